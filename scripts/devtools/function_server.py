"""One function in a process of its own, served as it is deployed."""

import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Final, Self

from scripts.devtools import ROOT, processes
from scripts.devtools.http_server import HttpServer
from scripts.devtools.ports import LOOPBACK, free_port
from scripts.devtools.processes import clean_environment

FUNCTIONS: Final = ROOT / "functions" / "main.py"
HEALTH: Final = "/__/health"


class FunctionServer(HttpServer):
    """functions-framework on a free port: gunicorn with one uvicorn worker."""

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
        port = free_port()
        framework = Path(sys.executable).with_name("functions-framework")
        super().__init__(
            target,
            [str(framework), "--target", target, "--source", str(source)],
            port=port,
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
                "PORT": str(port),
            },
        )

    @cached_property
    def worker_pid(self) -> int:
        """The process that answers requests. There is one once the server is healthy."""
        (worker,) = processes.descendants([self.pid]) - {self.pid}
        return worker

    def wait_until_healthy(self, path: str = HEALTH) -> Self:
        """Return when the worker answers a GET: gunicorn, its master, listens before that.

        Raises:
            PartDied: It ended, or does not answer in time.
        """
        return super().wait_until_healthy(path)
