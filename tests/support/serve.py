"""Functions in processes of their own, served as they are deployed, by functions-framework.

with serving(suite, logs) as serve:
    url = serve("execute_prompt").url
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import httpx
import pytest

from scripts.devtools import processes
from scripts.devtools.ports import LOOPBACK
from scripts.devtools.suite import Suite
from tests.support.repository import FUNCTIONS

MAIN: Final = FUNCTIONS / "main.py"
SERVED_WITHIN_S: Final = 30.0
LOOK_EVERY_S: Final = 0.05


@dataclass(frozen=True)
class Served:
    """One function that is being served. `pid` is gunicorn's master; its worker is a child."""

    port: int
    pid: int
    log: Path

    @property
    def url(self) -> str:
        """Takes what the emulator's URL of that function takes."""
        return f"http://{LOOPBACK}:{self.port}"


class Serve(Protocol):
    """Starts a function, with `env` laid over the suite's environment."""

    def __call__(self, target: str, *, env: Mapping[str, str] | None = None) -> Served: ...


@contextlib.contextmanager
def serving(suite: Suite, logs: Path) -> Iterator[Serve]:
    """Serve functions of main.py without the emulator, which hides a disconnect from them."""
    with contextlib.ExitStack() as stack:

        def serve(target: str, *, env: Mapping[str, str] | None = None) -> Served:
            port = free_port()
            environment = {**suite.environment(), **(env or {})}
            log = logs / f"{target}-{port}.log"
            return stack.enter_context(served(target, log, environment, port=port))

        yield serve


@contextlib.contextmanager
def served(
    target: str,
    log: Path,
    environment: Mapping[str, str],
    *,
    source: Path = MAIN,
    port: int | None = None,
    health: str = "/__/health",
) -> Iterator[Served]:
    """Serve one function until the end of the block, and wait until it answers.

    Args:
        target: The function.
        log: Where its output goes.
        environment: Laid over a clean one.
        source: The module that has it.
        port: Where it listens; a free one if it is not given.
        health: The path that is asked until something answers, whatever that is.
    """
    port = port or free_port()
    process = start(target, log, environment, port=port, source=source)
    try:
        _wait(process, f"http://{LOOPBACK}:{port}{health}", log)
        yield Served(port, process.pid, log)
    finally:
        # by family, not by the suite's mark, which would end the suite as well
        for pid in processes.descendants([process.pid]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def start(
    target: str, log: Path, environment: Mapping[str, str], *, port: int, source: Path = MAIN
) -> subprocess.Popen[bytes]:
    """Start functions-framework in a session of its own; the caller ends it."""
    program = Path(sys.executable).with_name("functions-framework")
    with log.open("wb") as output:
        return subprocess.Popen(
            [program, "--target", target, "--source", source],
            cwd=source.parent,
            env={
                **processes.clean_environment(),
                "FUNCTION_TARGET": target,
                "K_SERVICE": target,
                "HOST": LOOPBACK,
                "PORT": str(port),
                "PYTHONUNBUFFERED": "1",
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as server:
        server.bind((LOOPBACK, 0))
        return int(server.getsockname()[1])


def _wait(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + SERVED_WITHIN_S
    while process.poll() is None and time.monotonic() < deadline:
        # a request, as the emulator makes one: gunicorn listens before its worker can answer
        with contextlib.suppress(httpx.TransportError):
            httpx.get(url, timeout=SERVED_WITHIN_S, trust_env=False)
            return
        time.sleep(LOOK_EVERY_S)
    pytest.fail(f"functions-framework does not serve:\n{processes.tail(log)}")
