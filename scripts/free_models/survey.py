"""The order of it all: what the account may still ask, which models, one by one, when to stop."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from firerouter.errors import FreeDailyLimit, KeyInvalid, KeyLimitReached, NoCredit, UpstreamError
from firerouter.features.settings import FREE_FALLBACK, FREE_MODEL
from firerouter.models.model import ROUTERS, Model
from scripts.free_models.asking import Row, Source, Upstream, words
from scripts.local.problems import Problem
from scripts.local.setup import say

VARIABLE: Final = "OPENROUTER_API_KEY"
FIRST: Final = (FREE_MODEL, FREE_FALLBACK)  # what Firerouter asks itself, out of the box
SIMULATED: Final = "sim/"  # the stand-in's faults, which are no models
# true of the account, and so of every model after it
FOR_ALL: Final = (FreeDailyLimit, KeyInvalid, KeyLimitReached, NoCredit)


class Refused(Problem):
    """OpenRouter was asked, and there is nothing to measure."""


@dataclass(slots=True)
class Survey:
    """What is known so far. Kept by the caller: an interruption leaves it as it is.

    left_today: free requests of the account before the first question; None: it was not said.
    offered: how many free models there are. chosen: those that were to be asked.
    """

    simulated: bool
    began: datetime  # UTC
    left_today: int | None = None
    offered: int = 0
    chosen: list[Model] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    stopped_by: UpstreamError | None = None


class Pace:
    """Turns, each at least 60 / `per_minute` seconds after the one before it."""

    def __init__(
        self,
        per_minute: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._gap_s = 60 / per_minute
        self._clock = clock
        self._sleep = sleep
        self._next: float | None = None

    async def turn(self) -> None:
        while self._next is not None and (early_s := self._next - self._clock()) > 0:
            await self._sleep(early_s)
        self._next = self._clock() + self._gap_s


async def take(survey: Survey, source: Source, most: int, pace: Pace) -> None:
    """Fill in the survey. Raises Refused: then no model was asked."""
    async with Upstream(source) as upstream:
        survey.left_today = await _left_today(upstream)
        free = pick(await _models(upstream))
        survey.offered, survey.chosen = len(free), free[:most]
        if not free:
            raise Refused("OpenRouter's list names no free model.", "Look again another day.")
        allowed = survey.chosen[: survey.left_today]
        if not allowed:
            raise Refused(
                "The account has no free request left today, so none was made.",
                "They start again at midnight UTC.",
            )
        left = "an unknown number of" if survey.left_today is None else survey.left_today
        say(f"The account has {left} free requests left today; to ask: {len(allowed)}.")
        for number, model in enumerate(allowed, 1):
            await pace.turn()
            row = await upstream.ask(model)
            survey.rows.append(row)
            say(f"  {number}/{len(allowed)}  {model.id}: {row.answered}")
            if isinstance(row.failure, FOR_ALL):
                survey.stopped_by = row.failure
                break


def pick(models: Iterable[Model]) -> list[Model]:
    """The free models worth asking: Firerouter's defaults, then the newest, each in one variant.

    Left out: what writes no text, what only the batch API takes, aliases, and routers, whose answer
    is another model's; but for the router that is a default.
    """

    def rank(model: Model) -> tuple[int, int, str]:
        first = FIRST.index(model.id) if model.id in FIRST else len(FIRST)
        return first, -(model.created or 0), model.id

    distinct: dict[str, Model] = {}
    for model in sorted(filter(_can_be_asked, models), key=rank):
        distinct.setdefault(model.canonical_slug or model.id, model)
    return list(distinct.values())


def _can_be_asked(model: Model) -> bool:
    if not model.free or "text" not in model.output_modalities or model.variant == "batch":
        return False
    return model.id in FIRST or not model.id.startswith((ROUTERS, SIMULATED, "~"))


async def _left_today(upstream: Upstream) -> int | None:
    """Free requests that the account has left. Raises Refused, also for a key that can not ask."""
    try:
        key = await upstream.key_report()
    except KeyInvalid:
        raise Refused(
            f"OpenRouter does not accept the key in {VARIABLE}.", "Copy it once more, or make one."
        ) from None
    except UpstreamError as failure:
        raise _refused("OpenRouter says nothing of the key", failure) from None
    if key.is_management_key:
        raise Refused(
            f"{VARIABLE} holds a management key, which can not ask a model.",
            "Use an ordinary one.",
        )
    left = (key.free_model_requests_today or {}).get("remaining")
    return max(left, 0) if type(left) is int else None


async def _models(upstream: Upstream) -> tuple[Model, ...]:
    try:
        return await upstream.models()
    except UpstreamError as failure:
        raise _refused("OpenRouter's list of models can not be read", failure) from None


def _refused(what: str, failure: UpstreamError) -> Refused:
    return Refused(f"{what}: {words(failure)}.", "No model was asked. Try again in a while.")
