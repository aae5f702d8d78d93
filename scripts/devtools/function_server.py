"""One function in a process of its own, served as it is deployed."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from scripts.devtools import ROOT, processes
from scripts.devtools.cli_errors import PartDied
from scripts.devtools.ports import LOOPBACK, free_port
from scripts.devtools.processes import Part, clean_environment

FUNCTIONS: Final = ROOT / "functions" / "main.py"
HEALTH: Final = "/__/health"
RESPONDS_WITHIN_S: Final = 60.0
POLL_S: Final = 0.005


class FunctionServer:
    """functions-framework on a free port: gunicorn with one uvicorn worker.

    The process starts at once, and ends with `stop()` or with the `with` block.
    """

    def __init__(
        self, target: str, source: Path, *, log: Path, environment: Mapping[str, str]
    ) -> None:
        """Start the process.

        Args:
            target: The name of the function.
            source: The file that defines it.
            log: Where its output goes.
            environment: What it gets besides this process's own environment.
        """
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.log = log
        self.started_at = time.perf_counter()
        framework = Path(sys.executable).with_name("functions-framework")
        self._part = Part(
            target,
            [str(framework), "--target", target, "--source", str(source)],
            log=log,
            cwd=source.parent,
            env={
                **clean_environment(),
                "FUNCTION_TARGET": target,
                "K_SERVICE": target,
                "PYTHONUNBUFFERED": "1",
                "WORKERS": "1",
                **environment,
                "HOST": LOOPBACK,
                "PORT": str(self.port),
            },
        )

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """Gunicorn's master; its worker is a child."""
        return self._part.process

    @property
    def pid(self) -> int:
        return self._part.pid

    @cached_property
    def worker_pid(self) -> int:
        """The process that answers requests. There is one once the server is healthy."""
        (worker,) = processes.descendants([self.pid]) - {self.pid}
        return worker

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
        """Return when it takes connections. The worker may need longer until it answers.

        Raises:
            PartDied: It ended, or does not listen in time.
        """
        self._retry(self._connect)
        return self

    def wait_until_healthy(self, path: str = HEALTH) -> Self:
        """Return when the worker answers a GET: gunicorn listens before that.

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
        """Kill the process and its worker, by their numbers."""
        for pid in processes.descendants([self.pid]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def _retry(self, attempt: Callable[[], None]) -> None:
        """Repeat what raises OSError while the process starts. Raises PartDied."""
        deadline = time.perf_counter() + RESPONDS_WITHIN_S
        while time.perf_counter() < deadline and not self._part.died:
            with contextlib.suppress(OSError):
                attempt()
                return
            time.sleep(POLL_S)
        raise PartDied(
            f"functions-framework does not serve {self._part.name}. "
            f"The end of {self.log}:\n{self._part.tail()}",
            "Correct what it says and start again.",
        )

    def _connect(self) -> None:
        socket.create_connection((LOOPBACK, self.port), RESPONDS_WITHIN_S).close()

    def _receive(self, request: bytes, sign: bytes) -> None:
        """Read a response as far as `sign`. Raises OSError."""
        with socket.create_connection((LOOPBACK, self.port), RESPONDS_WITHIN_S) as client:
            client.sendall(request)
            seen = b""
            while sign not in seen:
                more = client.recv(65536)
                if not more:
                    raise ConnectionResetError
                seen += more
