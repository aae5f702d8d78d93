"""What is odd about a charge: how a usage misreports it, and answers that cost but say nothing.

The charge itself is in the `Generation`, from which `/generation` and the bill are made.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any

from .behaviors import error_of, stream, whole
from .completions import REASONING, Answer, words
from .streams import SHORT_TOKENS, Event, Exchange, script_of

Json = dict[str, Any]

ABSURD_USD = 9e6
HEADERS_S = 0.25
USAGE_S = 0.75
REFUSAL = "I can't help with that."


# Usage that is not true


def absurd(usage: Json) -> Json:
    return {**usage, "cost": ABSURD_USD}


def negative(usage: Json) -> Json:
    return {**usage, "prompt_tokens": -7, "completion_tokens": -1, "cost": -0.5}


def strings(usage: Json) -> Json:
    return {**usage, "prompt_tokens": "7", "completion_tokens": "many", "cost": "0.5"}


def not_a_number(usage: Json) -> Json:
    """JSON has no NaN, but providers written in Python do."""
    return {**usage, "prompt_tokens": math.nan, "completion_tokens": math.nan, "cost": math.nan}


def huge(usage: Json) -> Json:
    return {**usage, "prompt_tokens": 10**30, "completion_tokens": 2**63, "cost": 9e99}


# Answers that take their time, or without a word


async def slow_headers(ex: Exchange) -> None:
    await asyncio.sleep(HEADERS_S)
    await (stream(ex) if ex.chat.stream else whole(ex))


async def late_usage(ex: Exchange) -> None:
    """Say everything, and what it costs only after a while."""
    ex.settle()
    script = script_of(ex)
    await ex.play(
        [*script.body, script.finish, script.usage._replace(pause_s=USAGE_S), script.done]
    )


def nothing(_: Exchange) -> Answer:
    return Answer(())


def hidden(_: Exchange) -> Answer:
    return Answer((), REASONING, hidden_reasoning=True)


async def refusal(ex: Exchange) -> None:
    """Say no in `delta.refusal`, which is no content."""
    said = words(REFUSAL)
    ex.answer = Answer(())
    ex.settle()
    script = script_of(ex)
    pieces = [Event(ex.chunks.delta({"content": None, "refusal": word}), 1) for word in said]
    usage = ex.chunks.event({"choices": [], "usage": ex.usage(len(said))})
    await ex.play([*script.opening, *pieces, script.finish, Event(usage), script.done])


async def error_with_usage(ex: Exchange) -> None:
    """Send an error first of all, with the usage of what is charged nevertheless."""
    ex.generation.finish_reason = "error"
    rest = {"choices": [], "usage": ex.usage(SHORT_TOKENS)}
    usage = Event(ex.chunks.event(rest), SHORT_TOKENS)
    await ex.play([usage, Event(ex.chunks.event({"choices": [], "error": error_of(502)}))])


async def error_once(ex: Exchange) -> None:
    """Do so the first time that a prompt comes, and answer it from then on."""
    if ex.flaky.fails_again(f"error-once {ex.chat.last_text}", 1):
        ex.generation.bills_always = True
        await error_with_usage(ex)
    else:
        await (stream(ex) if ex.chat.stream else whole(ex))
