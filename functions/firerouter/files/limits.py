"""Limits of files and images: sizes, counts, timeouts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .. import limits as wire

FILE_TOKENS: Final = 1_000  # of a file that is not text, roughly, for estimates
BYTES_PER_TOKEN_MIN: Final = 3  # of UTF-8, where something has to fit; English has about four


@dataclass(frozen=True, slots=True)
class FileLimits:
    """What one instance holds, sends, stores and waits for."""

    # one request, including the files of earlier messages
    file_max_bytes: int = wire.ATTACHMENT_MAX_BYTES
    text_file_max_bytes: int = wire.ATTACHED_TEXT_MAX_BYTES
    request_max_bytes: int = wire.ATTACHMENTS_MAX_BYTES
    request_max_files: int = 20

    # memory of an instance: sending a file takes some copies of it, one of them per request
    in_flight_max_bytes: int = 40_000_000
    copies: int = 5

    # Cloud Storage
    storage_s: float = 10.0  # one lookup, or one change
    storage_read_s: float = 30.0  # all files of a request
    storage_threads: int = 8

    # uploads
    uploads_per_day: int = 500  # of one user
    upload_open_days: int = 7  # an upload URL of Cloud Storage is valid that long
    quota_s: float = 8.0  # counting one upload
    quota_keep_days: int = 2

    # images that models generate
    inline_image_max_bytes: int = 200_000  # of a stored image whose bytes are sent as well
    images_at_once: int = 4  # being decoded and stored: each takes several copies
    large_image_bytes: int = 6_000_000  # a larger one is decoded and stored by itself
    keep_images_s: float = 3.0  # after the response, Cloud Run may throttle the CPU

    # OpenRouter's annotations of files
    annotations_max_bytes: int = 4_000_000  # of one answer, and of all that go with a request
    annotation_piece_chars: int = 900_000  # ASCII; a document holds at most 1 MiB
