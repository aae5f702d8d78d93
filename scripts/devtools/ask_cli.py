"""`./scripts/dev --ask`: sends one prompt as an app would, and prints the answer as it arrives."""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from scripts.devtools import dev_state, setup
from scripts.devtools.callable_client import (
    CallableClient,
    CallableFailure,
    app_check_token,
    sign_in,
)
from scripts.devtools.cli_errors import FAILED
from scripts.devtools.seed import PASSWORD, USER, seed
from scripts.devtools.setup import say
from scripts.devtools.suite import Suite

CALLABLE = "execute_prompt"
DEFAULT_FEATURE = "chat"


def run(root: Path, options: argparse.Namespace) -> int:
    """Send the prompt to the running scripts/dev, or to a suite of its own. Raises Problem."""
    with addresses_of(root) as addresses:
        try:
            result = asyncio.run(_ask(addresses, options))
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
def addresses_of(root: Path) -> Iterator[dict[str, str]]:
    if state := dev_state.find(root):
        yield state["addresses"]
        return
    key = os.environ.get("OPENROUTER_API_KEY") or None
    # nobody needs to know these addresses, and anything else may run at the same time
    ports = Suite.free_ports(root)
    suite = Suite(root, "ask", ports=ports, real_openrouter=key is not None, say=say)
    try:
        with setup.step("starting the backend (a running ./scripts/dev would save this)"):
            suite.start(meanwhile=partial(seed, key=key))
        yield suite.addresses()
    finally:
        # nothing in it is worth saving, so there is no grace period
        suite.stop(grace_s=0)


async def self_check(addresses: dict[str, str], prompt: str) -> str | None:
    """Stream one prompt. Returns what went wrong, in a sentence, or None."""
    try:
        async with _client(addresses) as client:
            data = {"feature": DEFAULT_FEATURE, "prompt": prompt}
            async for kind, value in client.stream(CALLABLE, data):
                if kind == "result" and not value.get("text"):
                    return "The answer is empty."
    except CallableFailure as failure:
        return failure.message
    except httpx.HTTPError as error:
        return f"{type(error).__name__}: {error}"
    return None


async def _ask(addresses: dict[str, str], options: argparse.Namespace) -> dict[str, Any]:
    data = {"feature": options.feature or DEFAULT_FEATURE, "prompt": options.ask}
    if options.model:
        data["model"] = options.model
    begin = time.monotonic()
    printer = Printer(quiet=options.json)
    async with _client(addresses) as client:
        result: dict[str, Any] = {}
        if options.no_stream:
            result = await client.call(CALLABLE, data)
            printer.show({"type": "text", "delta": result.get("text", "")})
        else:
            async for kind, value in client.stream(CALLABLE, data):
                if kind == "message":
                    printer.show(value)
                else:
                    result = value
    printer.end()
    if options.json:
        print(json.dumps(result, ensure_ascii=False), flush=True)
    result.setdefault("timing", {}).setdefault("totalMs", (time.monotonic() - begin) * 1000)
    return result


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
