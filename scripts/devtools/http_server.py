"""A server in a process of its own: started, waited for, asked, stopped by its number."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from scripts.devtools import processes
from scripts.devtools.cli_errors import PartDied
from scripts.devtools.ports import LOOPBACK
from scripts.devtools.processes import Part

RESPONDS_WITHIN_S: Final = 60.0
POLL_S: Final = 0.005


class HttpServer:
    """A process that serves HTTP on a port of this machine.

    It starts at once, and ends with `stop()` or with the `with` block.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        port: int,
        log: Path,
        cwd: Path,
        env: Mapping[str, str],
        responds_within_s: float = RESPONDS_WITHIN_S,
    ) -> None:
        """Start the process.

        Args:
            name: What it is called in an error.
            command: What starts it.
            port: The port that it will listen on, on the loopback interface.
            log: Where its output goes.
            cwd: Its working directory.
            env: Its whole environment.
            responds_within_s: How long it may take until it answers.
        """
        self.name = name
        self.port = port
        self.url = f"http://{LOOPBACK}:{port}"
        self.log = log
        self._program = Path(command[0]).name
        self._responds_within_s = responds_within_s
        self.started_at = time.perf_counter()
        self._part = Part(name, command, log=log, cwd=cwd, env=env)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that was started. Others may be its children."""
        return self._part.process

    @property
    def pid(self) -> int:
        return self._part.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def wait_until_listening(self) -> Self:
        """Return when it takes connections. It may need longer until it answers.

        Raises:
            PartDied: It ended, or does not listen in time.
        """
        self._retry(self._connect)
        return self

    def wait_until_healthy(self, path: str = "/") -> Self:
        """Return when it answers a GET, whatever the answer is.

        Raises:
            PartDied: It ended, or does not answer in time.
        """
        request = f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}\r\nConnection: close\r\n\r\n"
        self.seconds_until(request, b"HTTP/1.1")
        return self

    def seconds_until(self, request: str, sign: bytes) -> float:
        """Send a request as soon as the server listens.

        Returns:
            The seconds from the start of the process until `sign` was in the response.

        Raises:
            PartDied: It ended, or does not answer in time.
        """
        self._retry(lambda: self._receive(request.encode("latin-1"), sign))
        return time.perf_counter() - self.started_at

    def stop(self) -> None:
        """Kill the process and its children, by their numbers."""
        for pid in processes.descendants([self.pid]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def _retry(self, attempt: Callable[[], None]) -> None:
        """Repeat what raises OSError while the process starts. Raises PartDied."""
        deadline = time.perf_counter() + self._responds_within_s
        while time.perf_counter() < deadline and not self._part.died:
            with contextlib.suppress(OSError):
                attempt()
                return
            time.sleep(POLL_S)
        raise PartDied(
            f"{self._program} does not serve {self.name}. "
            f"The end of {self.log}:\n{self._part.tail()}",
            "Correct what it says and start again.",
        )

    def _connect(self) -> None:
        socket.create_connection((LOOPBACK, self.port), self._responds_within_s).close()

    def _receive(self, request: bytes, sign: bytes) -> None:
        """Read a response as far as `sign`. Raises OSError."""
        with socket.create_connection((LOOPBACK, self.port), self._responds_within_s) as client:
            client.sendall(request)
            seen = b""
            while sign not in seen:
                more = client.recv(65536)
                if not more:
                    raise ConnectionResetError
                seen += more
