"""`./scripts/dev --ask`: sends one prompt as an app would, and prints the answer as it arrives."""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx

from scripts.devtools import dev_state, processes, setup
from scripts.devtools.callable_client import (
    CallableClient,
    CallableFailure,
    app_check_token,
    sign_in,
)
from scripts.devtools.cli_errors import FAILED, PartDied
from scripts.devtools.import_check import REMEDY, ImportCheck
from scripts.devtools.seed import PASSWORD, USER, seed
from scripts.devtools.setup import say
from scripts.devtools.suite import Suite

CALLABLE = "execute_prompt"
DEFAULT_FEATURE = "chat"
SUSPECT_AFTER_S = 2.0  # without any sign of an answer
LOOK_EVERY_S = 0.2
LOAD_FAILURE = "Failed to start functions in"  # what firebase-tools logs, after 30 s
LOG_LINES = 40
T = TypeVar("T")


@dataclass(frozen=True)
class Backend:
    """Where a suite of this folder is reached, and where it logs."""

    root: Path
    addresses: dict[str, str]
    logs: Path


def run(root: Path, options: argparse.Namespace) -> int:
    """Send the prompt to the running scripts/dev, or to a suite of its own. Raises Problem."""
    with backend_of(root) as backend:
        try:
            result = asyncio.run(_ask(backend, options))
        except CallableFailure as failure:
            say(failure.message)
            return FAILED
        except httpx.HTTPError as error:
            say(f"The connection to the functions failed: {error or type(error).__name__}.")
            return FAILED
        except BrokenPipeError:
            # the reader of our output has gone; Python would complain again at its exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        say(summary(result))
    return 0


@contextlib.contextmanager
def backend_of(root: Path) -> Iterator[Backend]:
    if state := dev_state.find(root):
        logs = Path(state.get("logs", root / ".local" / "log"))
        yield Backend(root, state["addresses"], logs)
        return
    key = os.environ.get("OPENROUTER_API_KEY") or None
    # nobody needs to know these addresses, and anything else may run at the same time
    ports = Suite.free_ports(root)
    suite = Suite(root, "ask", ports=ports, real_openrouter=key is not None, say=say)
    try:
        with setup.step("starting the backend (a running ./scripts/dev would save this)"):
            suite.start(meanwhile=partial(seed, key=key))
        yield Backend(root, suite.addresses(), suite.log_dir)
    finally:
        # nothing in it is worth saving, so there is no grace period
        suite.stop(grace_s=0)


async def self_check(backend: Backend, prompt: str) -> str | None:
    """Stream one prompt. Returns what went wrong, in a sentence, or None. Raises PartDied."""
    begun = asyncio.Event()

    async def stream() -> str | None:
        async with _client(backend.addresses) as client:
            data = {"feature": DEFAULT_FEATURE, "prompt": prompt}
            async for kind, value in client.stream(CALLABLE, data):
                begun.set()
                if kind == "result" and not value.get("text"):
                    return "The answer is empty."
        return None

    try:
        return await _unless_broken(backend, stream(), begun)
    except CallableFailure as failure:
        return failure.message
    except httpx.HTTPError as error:
        return f"{type(error).__name__}: {error}"


async def _ask(backend: Backend, options: argparse.Namespace) -> dict[str, Any]:
    data = {"feature": options.feature or DEFAULT_FEATURE, "prompt": options.ask}
    if options.model:
        data["model"] = options.model
    begin = time.monotonic()
    printer = Printer(quiet=options.json)
    begun = asyncio.Event()

    async def result_of() -> dict[str, Any]:
        result: dict[str, Any] = {}
        async with _client(backend.addresses) as client:
            if options.no_stream:
                result = await client.call(CALLABLE, data)
                printer.show({"type": "text", "delta": result.get("text", "")})
                return result
            async for kind, value in client.stream(CALLABLE, data):
                begun.set()
                if kind == "message":
                    printer.show(value)
                else:
                    result = value
        return result

    result = await _unless_broken(backend, result_of(), begun)
    printer.end()
    if options.json:
        print(json.dumps(result, ensure_ascii=False), flush=True)
    result.setdefault("timing", {}).setdefault("totalMs", (time.monotonic() - begin) * 1000)
    return result


async def _unless_broken(
    backend: Backend, answer: Coroutine[Any, Any, T], begun: asyncio.Event
) -> T:
    """Await an answer, but not for minutes if it cannot come.

    firebase-tools leaves a request without an answer if the function's process does not start.

    Args:
        backend: What is asked.
        answer: The request, up to its end.
        begun: Is set with the first sign of the answer.

    Raises:
        PartDied: The functions cannot be imported, or firebase-tools could not start one.
    """
    emulators = backend.logs / "emulators.log"
    start = emulators.stat().st_size if emulators.exists() else 0
    check = ImportCheck(backend.root, log=backend.logs / "ask-imports.log")
    request = asyncio.create_task(answer)
    try:
        await asyncio.wait({request}, timeout=SUSPECT_AFTER_S)
        if not request.done() and not begun.is_set():
            check.start()
        while not request.done() and not begun.is_set():
            check.raise_problem()
            if LOAD_FAILURE in text_from(emulators, start):
                reason = f"firebase-tools could not start the function. The end of {emulators}:"
                raise PartDied(f"{reason}\n{processes.tail(emulators, LOG_LINES)}", REMEDY)
            await asyncio.wait({request}, timeout=LOOK_EVERY_S)
        return await request
    finally:
        check.stop()
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)


def text_from(log: Path, offset: int) -> str:
    """Return what has been appended to a log since it had this size. Nothing, if it is gone."""
    try:
        with log.open("rb") as file:
            file.seek(offset)
            return file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


@contextlib.asynccontextmanager
async def _client(addresses: dict[str, str]) -> AsyncIterator[CallableClient]:
    id_token, app_check = await asyncio.gather(
        sign_in(addresses["auth"], USER, PASSWORD), app_check_token(addresses["appCheck"])
    )
    async with CallableClient(addresses["functions"], id_token, app_check) as client:
        yield client


class Printer:
    """Writes text to stdout as it arrives, and everything else to stderr."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._at_line_start = True

    def show(self, message: dict[str, Any]) -> None:
        match message:
            case {"type": "text", "delta": str(delta)} if delta and not self._quiet:
                sys.stdout.write(delta)
                sys.stdout.flush()
                self._at_line_start = delta.endswith("\n")
            case {"type": "reasoning", "delta": str(delta)}:
                sys.stderr.write(delta)
                sys.stderr.flush()
            case {"type": "retry", "model": str(model), "reason": str(reason)}:
                say(f"trying {model} ({reason})")

    def end(self) -> None:
        if not self._at_line_start:
            print(flush=True)


def summary(result: dict[str, Any]) -> str:
    """Return one line: the model, tokens, cost and time, as far as they are known."""
    usage = result.get("usage") or {}
    parts = [str(result.get("model", "unknown model"))]
    if (tokens := usage.get("totalTokens")) is not None:
        parts.append(f"{tokens} tokens")
    if (cost := usage.get("cost")) is not None:
        about = "about " if usage.get("costIsEstimate") else ""
        parts.append(f"{about}${cost:.6f}".rstrip("0").rstrip("."))
    parts.append(f"{result['timing']['totalMs'] / 1000:.1f} s")
    if result.get("finishReason", "stop") != "stop":
        parts.append(f"ended by {result['finishReason']}")
    return " · ".join(parts)
