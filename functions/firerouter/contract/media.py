"""Content types, and the first bytes that identify them. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

ENCODED_AT_ONCE_BYTES: Final = 3 * 100_000
PDF: Final = "application/pdf"

ContentType = Literal[
    "image/png",
    "image/jpeg",
    "image/webp",
    "image/gif",
    "application/pdf",
    "text/plain",
    "text/csv",
    "text/markdown",
    "application/json",
    "audio/wav",
    "audio/mpeg",
    "audio/flac",
    "audio/ogg",
    "audio/mp4",
    "video/mp4",
    "video/quicktime",
    "video/webm",
]


# what browsers, phones and recorders call the same types
_ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "image/png": ("image/x-png", "image/apng"),
    "image/jpeg": ("image/jpg", "image/pjpeg", "image/jfif"),
    "application/pdf": ("application/x-pdf", "application/acrobat", "text/pdf"),
    # the last one is what Windows calls CSV files where Excel is installed
    "text/csv": (
        *("application/csv", "text/x-csv", "text/comma-separated-values"),
        "application/vnd.ms-excel",
    ),
    "text/markdown": ("text/x-markdown", "text/x-web-markdown"),
    "application/json": ("text/json", "application/x-json"),
    "audio/wav": ("audio/x-wav", "audio/wave", "audio/vnd.wave", "audio/x-pn-wav"),
    "audio/mpeg": ("audio/mp3", "audio/x-mp3", "audio/mpg", "audio/x-mpeg", "audio/mpeg3"),
    "audio/mp4": ("audio/m4a", "audio/x-m4a", "audio/x-mp4", "audio/mp4a-latm"),
    "audio/flac": ("audio/x-flac",),
    "audio/ogg": ("application/ogg", "audio/x-ogg", "audio/opus", "audio/vorbis"),
    "video/mp4": ("video/x-m4v", "video/m4v"),
    "video/quicktime": ("video/mov", "video/x-quicktime"),
}

# types that no model reads, by what to do instead
_INSTEAD: Final[Mapping[str, tuple[str, ...]]] = {
    "HEIC picture, which models can't read. Please convert it to JPEG first": (
        *("image/heic", "image/heif", "image/heic-sequence", "image/heif-sequence"),
    ),
    "picture that models can't read. Please convert it to JPEG or PNG first": (
        *("image/avif", "image/bmp", "image/x-ms-bmp", "image/tiff", "image/svg+xml"),
    ),
    "recording that models can't read. Please record WAV, MP3, M4A or Ogg instead": (
        *("audio/webm", "audio/amr", "audio/3gpp", "audio/aac", "audio/x-caf"),
    ),
    "document that models can't read. Please save it as PDF first": (
        "application/msword",
        "application/rtf",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "application/vnd.oasis.opendocument.text",
    ),
    "spreadsheet that models can't read. Please save it as CSV first": (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/vnd.oasis.opendocument.spreadsheet",
    ),
}
_UNKNOWN: Final = "can't be attached. Please attach a picture, a PDF, text, a recording or a video"


def usual_type(content_type: str) -> str:
    """Return a content type by its usual name, without parameters such as a charset."""
    plain = content_type.partition(";")[0].strip().lower()
    return next((usual for usual, aliases in _ALIASES.items() if plain in aliases), plain)


def type_problem(content_type: str) -> str | None:
    """Return why files of a type can't be attached, and what to do instead, as the end of a
    sentence about the file; None if they can."""
    if content_type in KINDS:
        return None
    known = (f"is a {what}" for what, types in _INSTEAD.items() if content_type in types)
    return next(known, _UNKNOWN)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file that may be attached.

    Attributes:
        modality: The input modality that a model must support, as the catalog names it; None if
            any model will do.
        matches: Returns whether a file is of this kind, from its first bytes.
        format: OpenRouter's name for it, for audio only.
    """

    modality: str | None
    matches: Callable[[bytes], bool]
    format: str = ""

    @property
    def is_text(self) -> bool:
        """Whether the content is sent as text."""
        return self.matches is _is_text


def _starts(*beginnings: bytes) -> Callable[[bytes], bool]:
    return lambda content: content.startswith(beginnings)


def _riff(form: bytes) -> Callable[[bytes], bool]:
    return lambda content: content[:4] == b"RIFF" and content[8:12] == form


def _brand(fits: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
    """Match MP4 and its relatives: a box named `ftyp`, then the brand."""
    return lambda content: content[4:8] == b"ftyp" and fits(content[8:12])


def _is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode("utf-8")
    except UnicodeDecodeError:
        return False


def _is_mp3(content: bytes) -> bool:
    synchronized = len(content) > 1 and content[0] == 0xFF and content[1] & 0xE6 == 0xE2
    return content.startswith(b"ID3") or synchronized


def _is_quicktime(content: bytes) -> bool:
    return content[4:12] == b"ftypqt  " or content[4:8] in {b"moov", b"mdat", b"wide", b"free"}


KINDS: Final[Mapping[str, Kind]] = {
    "image/png": Kind("image", _starts(b"\x89PNG\r\n\x1a\n")),
    "image/jpeg": Kind("image", _starts(b"\xff\xd8\xff")),
    "image/webp": Kind("image", _riff(b"WEBP")),
    "image/gif": Kind("image", _starts(b"GIF87a", b"GIF89a")),
    PDF: Kind(None, _starts(b"%PDF-")),  # OpenRouter parses it for models that cannot read PDFs
    "text/plain": Kind(None, _is_text),
    "text/csv": Kind(None, _is_text),
    "text/markdown": Kind(None, _is_text),
    "application/json": Kind(None, _is_text),
    "audio/wav": Kind("audio", _riff(b"WAVE"), "wav"),
    "audio/mpeg": Kind("audio", _is_mp3, "mp3"),
    "audio/flac": Kind("audio", _starts(b"fLaC"), "flac"),
    "audio/ogg": Kind("audio", _starts(b"OggS"), "ogg"),
    # recorders may use a video's brand for audio
    "audio/mp4": Kind("audio", _brand(lambda brand: brand != b"qt  "), "m4a"),
    "video/mp4": Kind("video", _brand(lambda brand: brand not in {b"qt  ", b"M4A "})),
    "video/quicktime": Kind("video", _is_quicktime),
    "video/webm": Kind("video", _starts(b"\x1a\x45\xdf\xa3")),
}


def encode_base64(content: bytes, *, piece_bytes: int = ENCODED_AT_ONCE_BYTES) -> str:
    """Encode in pieces, so that other threads can run in between.

    Args:
        content: What to encode.
        piece_bytes: The size of a piece: a multiple of 3, so that no piece needs padding.
    """
    pieces = range(0, len(content), piece_bytes)
    return "".join(
        base64.b64encode(content[at : at + piece_bytes]).decode("ascii") for at in pieces
    )


def decode_base64(data: str) -> bytes | None:
    """Return the bytes that the base64 stands for, or None if it is not base64."""
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None
