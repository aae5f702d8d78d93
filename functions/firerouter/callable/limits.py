"""The run-time limits of the room: bytes and seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WireLimits:
    """The limits of one instance's requests and streams."""

    body_max_bytes: int = 12_000_000
    bodies_max_bytes: int = 96_000_000  # of all requests whose bodies are being read
    heartbeat_s: float = 15.0  # that a stream may be silent
    backlog_max_bytes: int = 256 * 1024  # of frames that wait for one slow reader
