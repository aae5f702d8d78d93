"""An incremental parser of server-sent events, limited to what OpenRouter's streams use. Pure.

Bytes in, the `data` of complete events out (https://html.spec.whatwg.org/multipage/server-sent-events.html,
event stream interpretation). Lines may end in LF, CRLF or CR and may be split anywhere, even inside
a character: however the network cuts a stream, the same events come out of it. Comments, which keep
a connection alive, and all other fields are dropped.
"""

from __future__ import annotations

from collections.abc import Iterator


class TooLong(ValueError):
    """A line, or the lines of one event together, are longer than allowed."""


class Parser:
    """Feed it bytes from the network; it yields the events that they complete."""

    def __init__(self, line_max_bytes: int) -> None:
        self._line_max_bytes = line_max_bytes
        self._rest: list[bytes] = []  # the pieces of a line that has not ended
        self._rest_bytes = 0
        self._data: list[bytes] = []  # the data lines of an event that has not ended
        self._data_bytes = 0
        self._after_return = False  # the last line ended in CR, whose LF may follow
        self._started = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the data of each event that `chunk` completes.

        Raises:
            TooLong: After the events before that line.
        """
        *lines, rest = self._split(chunk)
        for line in lines:
            if line:
                self._take(line)
            elif self._data:
                yield self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
                self._data, self._data_bytes = [], 0
        if rest:
            self._rest.append(rest)
            self._rest_bytes += len(rest)
            self._check(self._rest_bytes)

    def flush(self) -> Iterator[bytes]:
        """Yield the event that the end of the stream left open, without a final line end."""
        return self.feed(b"\n\n")

    def _split(self, chunk: bytes) -> list[bytes]:
        """Return the lines that `chunk` ends, and last what it has of the next one."""
        if not chunk:
            return [b""]
        if self._after_return:
            chunk = chunk.removeprefix(b"\n")
        self._after_return = chunk.endswith(b"\r")
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"\n" not in chunk:
            return [chunk]
        if self._rest:
            self._rest.append(chunk)
            chunk = b"".join(self._rest)
            self._rest, self._rest_bytes = [], 0
        if not self._started:
            self._started = True
            chunk = chunk.removeprefix(b"\xef\xbb\xbf")
        return chunk.split(b"\n")

    def _take(self, line: bytes) -> None:
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line == b"data":
            self._data.append(b"")
        else:
            self._check(len(line))
            return
        self._data_bytes += len(line)
        self._check(self._data_bytes)

    def _check(self, size: int) -> None:
        if size > self._line_max_bytes:
            raise TooLong(f"more than {self._line_max_bytes} bytes")
