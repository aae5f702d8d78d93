"""The survey: one short question to each free model.

    GET /key     how many free requests the account has left today; no more are sent
    GET /models  the free models: Firerouter's defaults, then the newest
    each         one question, within a deadline, under OpenRouter's rate limit

Nothing is sent twice: a failed request can count against the day's free requests too.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from firerouter.contract import Message
from firerouter.errors import (
    EmptyAnswer,
    FreeDailyLimit,
    KeyInvalid,
    KeyLimitReached,
    NoCredit,
    OutOfTime,
    UpstreamError,
    UpstreamMalformed,
)
from firerouter.features.settings import FREE_FALLBACK, FREE_MODEL
from firerouter.keys.secret import Secret
from firerouter.models.model import ROUTERS, Model, read_models
from firerouter.openrouter import AttemptLog, ChatRequest, Deadline, OpenRouter, OpenRouterLimits

DEADLINE_S: Final = 30.0  # for one model, from the request to the end of its answer
LIST_WITHIN_S: Final = 20.0
GAP_S: Final = 4.0  # between two requests: OpenRouter allows 20 a minute
PROMPT: Final = "Say hello in one word."
ANSWER_TOKENS: Final = 32  # some providers refuse fewer than 16
DEFAULTS: Final = (FREE_MODEL, FREE_FALLBACK)
OF_THE_ACCOUNT: Final = {e.reason for e in (FreeDailyLimit, KeyInvalid, KeyLimitReached, NoCredit)}
ONE_TRY: Final = OpenRouterLimits(tries_per_model=1)
HEAD: Final = "| model | context | answered | first token ms | total ms |\n|---|--:|---|--:|--:|"


@dataclass(frozen=True, slots=True)
class OneKey:
    """A source of keys that has no second one."""

    key: Secret

    async def get(self) -> Secret:
        return self.key

    async def next_after_refusal(self, refused: Sequence[Secret], reason: str) -> Secret | None:
        return None


@dataclass(frozen=True, slots=True)
class Row:
    """The outcome of one question; times in milliseconds since it was sent."""

    model: Model
    outcome: str  # "yes", or the reason why not, as docs/reference/errors.md lists it
    first_token_ms: int | None = None
    total_ms: int | None = None

    def __str__(self) -> str:
        numbers = (self.model.context_length, self.first_token_ms, self.total_ms)
        context, *times = ("–" if number is None else f"{number:,}" for number in numbers)
        return f"| {' | '.join([f'`{self.model.id}`', context, self.outcome, *times])} |"


async def survey(
    openrouter: OpenRouter,
    key: Secret,
    limit: int,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[Row]:
    """Ask `limit` models at most, one after the other, and yield each outcome.

    Raises:
        UpstreamError: There is nothing to measure: OpenRouter reports neither on the key nor its
            models, or the account has no free requests left.
    """
    report = await openrouter.key_report(key)
    left = (report.free_model_requests_today or {}).get("remaining")
    if type(left) is int:
        limit = min(limit, left)
    if limit < 1:
        raise FreeDailyLimit
    for number, model in enumerate(free_models(await _listed_models(openrouter))[:limit]):
        if number:
            await sleep(GAP_S)
        row = await ask(openrouter, key, model)
        yield row
        if row.outcome in OF_THE_ACCOUNT:
            return  # every other model would answer the same


def free_models(models: Iterable[Model]) -> list[Model]:
    """Return the free models worth asking: the defaults, then the newest, in one variant each.

    Without models that write no text, batch variants, aliases, and routers, whose answer comes from
    another model; the one router that is a default stays.
    """

    def rank(model: Model) -> tuple[int, int, str]:
        first = DEFAULTS.index(model.id) if model.id in DEFAULTS else len(DEFAULTS)
        return first, -(model.created or 0), model.id

    distinct: dict[str, Model] = {}
    for model in sorted(filter(_is_worth_asking, models), key=rank):
        distinct.setdefault(model.canonical_slug or model.id, model)
    return list(distinct.values())


def _is_worth_asking(model: Model) -> bool:
    if not model.free or "text" not in model.output_modalities or model.variant == "batch":
        return False
    return model.id in DEFAULTS or not model.id.startswith((ROUTERS, "~"))


async def _listed_models(openrouter: OpenRouter) -> Iterable[Model]:
    """Fetch the whole list, which is public: the key is not sent. Raises UpstreamError."""
    document = await openrouter.get("/models", None, LIST_WITHIN_S)
    entries = document.get("data") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise UpstreamMalformed
    return read_models(entries)[0]


async def ask(openrouter: OpenRouter, key: Secret, model: Model) -> Row:
    """Send one request, once. Reasoning counts as an answer: few tokens may hold nothing else."""
    watch = Deadline(DEADLINE_S)
    request = ChatRequest(
        keys=OneKey(key),
        models=[model.id],
        messages=[Message("user", PROMPT)],
        parameters={"max_tokens": ANSWER_TOKENS},
        app_name="Firerouter",
        referer="",
        first_token_s=math.inf,  # the deadline is for all of it
    )
    began = time.perf_counter()
    first_ms: int | None = None
    try:
        async with openrouter.answer(request, watch, AttemptLog()) as stream:
            with watch.guard():
                async for _ in stream:
                    first_ms = _ms_since(began) if first_ms is None else first_ms
        if first_ms is None:
            raise EmptyAnswer
    except OutOfTime:
        return Row(model, f"not within {DEADLINE_S:.0f} s", first_ms)
    except UpstreamError as error:
        return Row(model, error.reason, first_ms)
    return Row(model, "yes", first_ms, _ms_since(began))


def _ms_since(began: float) -> int:
    return round((time.perf_counter() - began) * 1000)
