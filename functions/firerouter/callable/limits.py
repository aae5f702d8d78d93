"""The run-time limits of the room: bytes and seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How large a request of one callable may be.

    Attributes:
        text_max_bytes: All of it but the files.
        files_max_bytes: The base64 of the files in it.
        values_max: The objects, lists and entries in it: each takes many times its bytes.
    """

    text_max_bytes: int
    files_max_bytes: int = 0
    values_max: int = 20_000


@dataclass(frozen=True, slots=True)
class WireLimits:
    """The limits of one instance's requests and streams."""

    body_max_bytes: int = 12_000_000
    bodies_max_bytes: int = 96_000_000  # of all requests whose data are not processed yet
    body_grace_s: float = 10.0  # after that, a body has to come at least at the speed below
    body_min_bytes_per_s: int = 32_000
    parsed_at_once_bytes: int = 64_000  # a longer body is parsed off the event loop
    heartbeat_s: float = 15.0  # that a stream may be silent
    backlog_max_bytes: int = 256 * 1024  # of frames that wait for one slow reader


@dataclass(frozen=True, slots=True)
class WeightLimits:
    """What one call may take before it counts as several: see `Call.weigh`."""

    documents: int = 100  # read in Firestore
    size_bytes: int = 100_000  # sent to the client
