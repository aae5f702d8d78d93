"""Functions in processes of their own, served as they are deployed, by functions-framework.

with serving(suite, logs) as serve:
    url = serve("execute_prompt").url
"""

import contextlib
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from scripts.devtools.function_server import FUNCTIONS, FunctionServer
from scripts.devtools.suite import Suite


class Serve(Protocol):
    """Starts a function, with `env` laid over the suite's environment."""

    def __call__(self, target: str, *, env: Mapping[str, str] | None = None) -> FunctionServer: ...


@contextlib.contextmanager
def serving(suite: Suite, logs: Path) -> Iterator[Serve]:
    """Serve functions of main.py without the emulator, which hides a disconnect from them."""
    with contextlib.ExitStack() as stack:

        def serve(target: str, *, env: Mapping[str, str] | None = None) -> FunctionServer:
            log = logs / f"{target}-{secrets.token_hex(4)}.log"
            environment = {**suite.environment(), **(env or {})}
            server = FunctionServer(target, FUNCTIONS, log=log, environment=environment)
            return stack.enter_context(server).wait_until_healthy()

        yield serve
