"""An incremental parser of server-sent events, limited to what OpenRouter's streams use. Pure.

Bytes in, the `data` of complete events out (https://html.spec.whatwg.org/multipage/server-sent-events.html,
event stream interpretation). Lines may end in LF, CRLF or CR and may be split anywhere, even inside
a character. Comments, which keep a connection alive, and all other fields are dropped.
"""

from __future__ import annotations


class TooLong(ValueError):
    """A line, or the lines of one event together, are longer than allowed."""


class Parser:
    """Feed it bytes from the network; it returns the events that they complete."""

    def __init__(self, line_max_bytes: int) -> None:
        self._line_max_bytes = line_max_bytes
        self._rest: list[bytes] = []  # the pieces of a line that has not ended
        self._rest_bytes = 0
        self._data: list[bytes] = []  # the data lines of an event that has not ended
        self._data_bytes = 0
        self._started = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of each event that `chunk` completes. Raises TooLong."""
        if b"\r" in chunk or (self._rest and self._rest[-1].endswith(b"\r")):
            chunk = self._without_returns(chunk)
        if b"\n" not in chunk:
            self._keep(chunk)
            return []
        if self._rest:
            self._rest.append(chunk)
            chunk = b"".join(self._rest)
            self._rest, self._rest_bytes = [], 0
        if not self._started:
            self._started = True
            chunk = chunk.removeprefix(b"\xef\xbb\xbf")
        *lines, rest = chunk.split(b"\n")
        if rest:
            self._keep(rest)
        return self._events(lines)

    def flush(self) -> list[bytes]:
        """Return the event that the end of the stream left open, without a final line end."""
        rest, self._rest = b"".join(self._rest), []
        return self._events([rest.rstrip(b"\r"), b""])

    def _events(self, lines: list[bytes]) -> list[bytes]:
        events: list[bytes] = []
        for line in lines:
            if not line:
                if self._data:
                    events.append(self._data[0] if len(self._data) == 1 else b"\n".join(self._data))
                    self._data, self._data_bytes = [], 0
            elif line.startswith(b"data:"):
                self._take(line, line[6:] if line[5:6] == b" " else line[5:])
            elif line == b"data":
                self._take(line, b"")
        return events

    def _take(self, line: bytes, data: bytes) -> None:
        self._data.append(data)
        self._data_bytes += len(line)
        self._check(self._data_bytes)

    def _keep(self, piece: bytes) -> None:
        self._rest.append(piece)
        self._rest_bytes += len(piece)
        self._check(self._rest_bytes)

    def _check(self, size: int) -> None:
        if size > self._line_max_bytes:
            raise TooLong(f"more than {self._line_max_bytes} bytes")

    def _without_returns(self, chunk: bytes) -> bytes:
        """Replace CRLF and CR by LF. A CR at the end waits, because its LF may follow."""
        if self._rest and self._rest[-1].endswith(b"\r"):
            chunk = b"\r" + chunk
            self._rest[-1] = self._rest[-1][:-1]
        held = b"\r" if chunk.endswith(b"\r") else b""
        return chunk.removesuffix(held).replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held
