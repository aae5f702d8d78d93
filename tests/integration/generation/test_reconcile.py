"""What a killed instance left is closed, and what answers really cost is entered: once.

Against a real Firestore and the OpenRouter stand-in. A killed instance is one whose tasks are gone
without a settlement: the calls that would settle are held back, then the entry's deadline passes by
the reconciler's clock. (`scripts/kill-test` kills real processes.)
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from google.api_core import exceptions

from firerouter.app.limits import Limits
from firerouter.errors import (
    KeyUnavailable,
    LedgerUnavailable,
    RateLimited,
    ResultNotKept,
    UpstreamMalformed,
    UpstreamUnreachable,
)
from firerouter.firestore.paths import key_of
from firerouter.generation.limits import GenerationLimits
from firerouter.generation.reconciler import Reconciler
from firerouter.keys.secret import Secret
from firerouter.ledger import (
    Admission,
    Admitted,
    Answered,
    AttemptRecord,
    Caps,
    FeatureLimits,
    FeatureUse,
    Ledger,
    LedgerLimits,
    LedgerStore,
    OpenEntry,
    Outcome,
    RequestKey,
    Reserve,
    UserLimits,
    cost_of_all,
    generation_id,
    payload_hash,
)
from firerouter.openrouter import Usage
from scripts.devtools.suite import PROJECT, REGION, Suite
from tests.support import counters
from tests.support.eventually import until
from tests.support.faulty_firestore import applied_twice, firestore_api
from tests.support.in_process import OVERDUE_S, Instance, World

CENT = 10_000_000  # in nano dollars
ROOMY = UserLimits(requests_per_minute=1000, concurrent=100, usd_per_day=1.0)
PAID_PROMPT, PAID_COMPLETION = 3_000, 15_000  # nano dollars a token of sim/paid*
LATER = timedelta(seconds=OVERDUE_S)
NOTE_AFTER_S = LedgerLimits().note_after_s
CAPS = Caps(ROOMY, FeatureLimits())
GENERATION_DELAY_S = 0.15  # the stand-in knows what an answer cost so long after its end
MARGIN_S = 0.05
NOTHING = {"closed": 0, "costed": 0, "givenUp": 0, "waiting": 0}


class Tidy:
    """The reconciler of one instance, its clock, and what it asked OpenRouter for."""

    def __init__(self, instance: Instance) -> None:
        self.app = instance.app
        self.ahead = LATER
        self.asked: list[tuple[str, int | None]] = []
        self.failing: Exception | None = None
        self.told: dict[str, Usage | None] | None = None  # instead of what the stand-in says
        self._generation = self.app.openrouter.generation_usage
        self.app.openrouter.generation_usage = self.generation  # type: ignore[method-assign]
        self.bound()

    def bound(self, **bounds: float) -> None:
        """Give its runs other limits."""
        self._reconcile = Reconciler(
            store=LedgerStore(self.app.firestore),
            progress=self.app.delivery.progress,
            conversations=self.app.conversations.store,
            keys=self.app.keys.pool,
            openrouter=self.app.openrouter,
            find_file=self.app.files.storage.look,
            limits=replace(GenerationLimits(), **bounds),  # type: ignore[arg-type]
            now=lambda: datetime.now(UTC) + self.ahead,
        )

    async def run(self) -> dict[str, Any]:
        return await self._reconcile.run()

    async def generation(self, id_: str, key: Secret) -> Usage | None:
        self.asked.append((id_, key.version))
        if self.failing is not None:
            raise self.failing
        if self.told is not None:
            return self.told.get(id_)
        return await self._generation(id_, key)


class Kept:
    """What Firestore holds of the one user."""

    def __init__(self, world: World, uid: str = "user") -> None:
        self._world = world
        self._uid = uid

    async def entries(self) -> list[dict[str, Any]]:
        found = await self._world.all("generations")
        return sorted(found.values(), key=lambda entry: entry["createdAt"])

    async def entry(self) -> dict[str, Any]:
        (entry,) = await self.entries()
        return entry

    async def upstream_id(self) -> bool:
        """Return whether the ledger knows OpenRouter's id of the one call."""
        attempts = (await self.entry()).get("attempts", [])
        return any(attempt["upstreamId"] for attempt in attempts)

    async def counters(self) -> tuple[int, int]:
        """(running now, nano dollars of all days)."""
        windows = await self._world.all(f"quotas/{key_of(self._uid)}/windows")
        return counters.running(windows), counters.spent(windows)

    async def add_up(self) -> None:
        """Nothing runs, nothing is reserved, and the counters are what the entries say."""
        entries = await self.entries()
        assert all(entry["status"] != "running" for entry in entries)
        assert await self.counters() == (0, sum(entry["costNanoUsd"] for entry in entries))


@pytest.fixture
async def instance(world: World) -> Instance:
    await world.write(
        "config/app", {"freeModelsOnly": False, "keys": {"default": [{"version": 1}]}}
    )
    return world.instance()


@pytest.fixture
async def tidy(world: World, instance: Instance) -> Tidy:
    return Tidy(world.instance())


@pytest.fixture
def kept(world: World) -> Kept:
    return Kept(world)


@pytest.fixture
async def ledger(instance: Instance) -> AsyncIterator[Ledger]:
    yield instance.app.ledger
    await instance.app.background.drain()


def asked(request_id: str | None = None, **fields: Any) -> Admission:
    return Admission(
        id=generation_id("user", request_id),
        uid="user",
        request=RequestKey(payload=payload_hash({"prompt": "hello"}), request_id=request_id),
        feature=FeatureUse(id="chat", revision=1, model="sim/paid"),
        **{"reserve": Reserve(base_nano_usd=CENT), **fields},
    )


async def admitted(ledger: Ledger, admission: Admission | None = None) -> OpenEntry:
    admitted = await ledger.admit(admission or asked(), CAPS)
    assert isinstance(admitted, Admitted)
    return admitted.entry


def tried(id_: str | None, reason: str | None = None, version: int | None = 1) -> AttemptRecord:
    return AttemptRecord("sim/paid", id_, reason, version)


def guessed(id_: str | None, reason: str | None = None, version: int | None = 1) -> AttemptRecord:
    """Return an attempt that has ended, and of whose cost OpenRouter said nothing."""
    attempt = tried(id_, reason, version)
    return replace(
        attempt, cost_nano_usd=CENT, is_estimate=True, prompt_tokens=9, completion_tokens=9
    )


def stopped(*attempts: AttemptRecord) -> Outcome:
    tokens = 9 * sum(attempt.prompt_tokens is not None for attempt in attempts)
    usage = {"promptTokens": tokens, "completionTokens": tokens, "totalTokens": 2 * tokens}
    cost = cost_of_all(attempts)
    return Outcome(
        status="stopped",
        model="sim/paid",
        usage=usage,
        attempts=attempts,
        cost_nano_usd=cost.nano_usd,
        cost_is_estimate=cost.is_estimate,
    )


async def left_running(ledger: Ledger, *attempts: AttemptRecord, **fields: Any) -> OpenEntry:
    """An entry that nobody will settle, with its attempts noted."""
    entry = await admitted(ledger, asked(**fields))
    if attempts:
        ledger.note(entry, attempts)
        await asyncio.sleep(NOTE_AFTER_S + 0.1)
        await asyncio.wait({entry.state.noting} if entry.state.noting else set())
    return entry


async def left_running_each(ledger: Ledger, count: int) -> None:
    """So many of them, of the ids gen-0, gen-1, ..."""
    await asyncio.gather(*(left_running(ledger, tried(f"gen-{number}")) for number in range(count)))


async def killed(
    world: World, model: str, *, when: Callable[[], Awaitable[bool]] | None = None
) -> None:
    """Kill an instance in the middle of its one call.

    Args:
        world: The project.
        model: What it asks.
        when: The moment; as soon as the call is admitted if there is none.
    """
    at_once = replace(LedgerLimits(), settle_before_result_s=0.0)
    instance = world.instance(limits=Limits(ledger=at_once))
    await world.write(
        "features/killed",
        {"enabled": True, "revision": 1, "settings": {"model": model, "firstTokenS": 30}},
    )

    async def never(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    instance.app.ledger._settle = never  # type: ignore[method-assign]
    reached = asyncio.Event()
    admit = instance.app.ledger.admit

    async def admit_and_say(admission: Admission, caps: Caps) -> Any:
        entry = await admit(admission, caps)
        reached.set()
        if when is None:
            await never()
        return entry

    instance.app.ledger.admit = admit_and_say  # type: ignore[method-assign]
    asking = asyncio.create_task(instance.ask("killed", prompt=world.project))
    await reached.wait()
    if when is not None:
        await until(when)
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    for task in list(instance.app.background._running):
        task.cancel()
    await until(lambda: openrouter_knows(world))


async def openrouter_knows(world: World) -> bool:
    """Return whether every request has ended, and OpenRouter can say what it cost."""
    requests = await world.requests()
    known = time.time() - GENERATION_DELAY_S - MARGIN_S
    return all(request["endedAt"] and request["endedAt"] < known for request in requests)


# -- what a killed instance left -------------------------------------------------------------------


async def test_what_runs_within_its_deadline_is_left_alone(
    ledger: Ledger, tidy: Tidy, kept: Kept
) -> None:
    await left_running(ledger)
    tidy.ahead = timedelta(0)
    assert await tidy.run() == NOTHING
    assert (await kept.entry())["status"] == "running"
    assert await kept.counters() == (1, CENT)


async def test_killed_after_its_admission_the_estimate_stands_and_the_place_is_free(
    world: World, instance: Instance, tidy: Tidy, kept: Kept
) -> None:
    await killed(world, "sim/paid-ticks")
    assert await tidy.run() == {**NOTHING, "closed": 1, "givenUp": 1}
    entry = await kept.entry()
    assert (entry["status"], entry["error"]) == ("interrupted", "interrupted")
    assert entry["endedAt"] > entry["createdAt"]
    assert (entry["costNanoUsd"], entry["costIsEstimate"]) == (entry["reservedNanoUsd"], True)
    assert entry["costNanoUsd"] > 0
    assert entry["costGivenUpAt"]
    assert tidy.asked == []
    await kept.add_up()
    assert await tidy.run() == NOTHING


async def test_killed_after_the_headers_it_costs_what_openrouter_says(
    world: World, instance: Instance, tidy: Tidy, kept: Kept
) -> None:
    await killed(world, "sim/silent-after-headers", when=kept.upstream_id)
    assert await tidy.run() == {**NOTHING, "closed": 1, "costed": 1}
    entry = await kept.entry()
    assert (entry["status"], entry["costNanoUsd"], entry["costIsEstimate"]) == (
        "interrupted",
        0,
        False,
    )
    await kept.add_up()


@pytest.mark.parametrize("model", ["sim/paid-ticks", "sim/ticks"])
async def test_killed_mid_text_it_costs_what_was_sent_by_then(
    world: World,
    instance: Instance,
    tidy: Tidy,
    kept: Kept,
    model: str,
    capfd: pytest.CaptureFixture[str],
) -> None:

    async def five_tokens_sent_and_its_id_noted() -> bool:
        (request,) = await world.requests()
        return request["tokensSent"] >= 5 and await kept.upstream_id()

    await killed(world, model, when=five_tokens_sent_and_its_id_noted)
    assert await tidy.run() == {**NOTHING, "closed": 1, "costed": 1}
    entry = await kept.entry()
    usage = entry["usage"]
    assert usage["promptTokens"] > 0
    assert usage["completionTokens"] >= 5
    priced = (
        usage["promptTokens"] * PAID_PROMPT + usage["completionTokens"] * PAID_COMPLETION
        if model == "sim/paid-ticks"
        else 0
    )
    assert entry["costNanoUsd"] == priced
    assert usage["cost"] == pytest.approx(priced / 1e9)
    assert entry["costIsEstimate"] is False
    assert "costDueAt" not in entry
    assert entry["reconciledAt"] > entry["endedAt"] - timedelta(seconds=5)
    assert tidy.asked == [(entry["attempts"][0]["upstreamId"], 1)]
    await kept.add_up()
    assert await tidy.run() == NOTHING
    assert "generation_closed" in capfd.readouterr().out


async def test_the_same_request_again_hears_that_it_was_interrupted(
    ledger: Ledger, tidy: Tidy
) -> None:
    await left_running(ledger, request_id="again")
    await tidy.run()
    with pytest.raises(ResultNotKept) as refused:
        await ledger.admit(asked("again"), CAPS)
    assert refused.value.details["previousStatus"] == "interrupted"


async def test_what_somebody_asked_to_stop_and_nobody_heard_is_closed_as_well(
    world: World, ledger: Ledger, tidy: Tidy, kept: Kept
) -> None:
    entry = await left_running(ledger, tried("gen-1"))
    reference = world.firestore.document(f"generations/{entry.admission.id}")
    await reference.update({"stop": {"by": "user", "instance": "gone"}})
    tidy.told = {"gen-1": Usage(cost_nano_usd=5)}
    assert await tidy.run() == {**NOTHING, "closed": 1, "costed": 1}
    await kept.add_up()


async def test_many_are_closed_page_by_page(ledger: Ledger, tidy: Tidy, kept: Kept) -> None:
    tidy.bound(reconcile_page=5)
    await asyncio.gather(*(left_running(ledger) for _ in range(13)))
    assert await tidy.run() == {**NOTHING, "closed": 13, "givenUp": 13}
    await kept.add_up()


async def test_a_spoilt_document_is_closed_as_well_and_holds_up_nobody(
    world: World, ledger: Ledger, tidy: Tidy, kept: Kept, capfd: pytest.CaptureFixture[str]
) -> None:
    late = datetime.now(UTC) - timedelta(days=1)
    odd = {"attempts": [7, {"upstreamId": 5}], "uid": 3, "reservedNanoUsd": "much"}
    spoilt = {"status": "running", "deadlineAt": late, **odd}
    await world.write("generations/spoilt", spoilt)
    await world.write("generations/bare", {"status": "running", "deadlineAt": late})
    await left_running(ledger)
    summary = await tidy.run()
    assert (summary["closed"], summary["waiting"]) == (3, 0)
    assert (await world.document("generations/spoilt"))["status"] == "interrupted"
    assert await kept.counters() == (0, CENT)
    assert "generation_closed" in capfd.readouterr().out


# -- what it really cost ---------------------------------------------------------------------------


async def test_an_estimate_of_a_stopped_answer_is_corrected_in_the_window_of_its_day(
    world: World, ledger: Ledger, tidy: Tidy, kept: Kept
) -> None:
    entry = await admitted(ledger)
    await ledger.settle(entry, stopped(guessed("gen-1")))
    assert await kept.counters() == (0, CENT)
    tidy.told = {"gen-1": Usage(3, 4, 1, 0, 1234)}
    assert await tidy.run() == {**NOTHING, "costed": 1}
    stored = await kept.entry()
    assert stored["status"] == "stopped"
    assert (stored["costNanoUsd"], stored["costIsEstimate"]) == (1234, False)
    assert stored["usage"] == {
        "promptTokens": 3,
        "completionTokens": 4,
        "totalTokens": 7,
        "reasoningTokens": 1,
        "cachedTokens": 0,
        "cost": 1234 / 1e9,
    }
    await kept.add_up()
    assert counters.tokens(await world.all("quotas/user/windows")) == 7


async def test_a_cost_above_the_estimate_is_charged_and_a_free_one_that_cost_as_well(
    ledger: Ledger, tidy: Tidy, kept: Kept, world: World
) -> None:
    for reserve, id_ in ((CENT, "gen-1"), (0, "gen-2")):
        entry = await admitted(ledger, asked(reserve=Reserve(base_nano_usd=reserve)))
        await ledger.settle(entry, stopped(guessed(id_)))
    tidy.told = {id_: Usage(cost_nano_usd=CENT + 5) for id_ in ("gen-1", "gen-2")}
    assert (await tidy.run())["costed"] == 2
    await kept.add_up()
    assert await kept.counters() == (0, 2 * CENT + 10)
    windows = await world.all("quotas/user/windows")
    assert all("expireAt" in window for name, window in windows.items() if name != "concurrent")


async def test_over_midnight_the_day_of_the_admission_is_corrected(
    world: World, instance: Instance, tidy: Tidy
) -> None:
    late = datetime(2026, 11, 20, 23, 59, 58, tzinfo=UTC)
    store, background = instance.app.ledger_store, instance.app.background
    ledger = Ledger(store, background=background, now=lambda: late)
    await left_running(ledger, tried("gen-1"))
    tidy.told = {"gen-1": Usage(cost_nano_usd=7)}
    assert (await tidy.run())["costed"] == 1
    windows = await world.all("quotas/user/windows")
    assert counters.by_day(windows, "nanoUsd") == {"20261120": 7}


async def test_every_attempt_that_has_an_id_is_asked_for_and_they_are_summed(
    ledger: Ledger, tidy: Tidy, kept: Kept
) -> None:
    entry = await admitted(ledger)
    refused = replace(tried(None, "upstream_busy"), cost_nano_usd=0)
    attempts = [guessed("gen-1", "empty_answer"), refused, guessed("gen-2")]
    await ledger.settle(entry, stopped(*attempts))
    tidy.told = {"gen-1": Usage(1, 2, None, 1, 10), "gen-2": Usage(10, 20, 5, None, 100)}
    assert (await tidy.run())["costed"] == 1
    stored = await kept.entry()
    assert stored["costNanoUsd"] == 110
    assert (stored["usage"]["promptTokens"], stored["usage"]["completionTokens"]) == (11, 22)
    assert (stored["usage"]["reasoningTokens"], stored["usage"]["cachedTokens"]) == (5, 1)
    await kept.add_up()


async def test_a_title_is_paid_for_and_no_part_of_what_the_answer_used(
    ledger: Ledger, tidy: Tidy, kept: Kept
) -> None:
    entry = await admitted(ledger)
    title = replace(guessed("gen-2", "stopped"), purpose="title", prompt_tokens=None)
    await ledger.settle(entry, stopped(guessed("gen-1"), title))
    tidy.told = {"gen-1": Usage(1, 2, None, 1, 10), "gen-2": Usage(10, 20, 5, None, 100)}
    assert (await tidy.run())["costed"] == 1
    stored = await kept.entry()
    assert stored["costNanoUsd"] == 110
    assert (stored["usage"]["promptTokens"], stored["usage"]["completionTokens"]) == (1, 2)
    await kept.add_up()


async def test_with_one_of_the_attempts_unknown_the_other_one_is_corrected(
    ledger: Ledger, tidy: Tidy, kept: Kept
) -> None:
    entry = await admitted(ledger)
    await ledger.settle(entry, stopped(guessed("gen-1", "empty_answer"), guessed("gen-2")))
    tidy.told = {"gen-1": Usage(1, 2, cost_nano_usd=1)}
    assert await tidy.run() == {**NOTHING, "waiting": 1}
    stored = await kept.entry()
    assert (stored["costNanoUsd"], stored["costIsEstimate"]) == (CENT + 1, True)
    assert stored["usage"]["costDetails"] == {"answer": 0.01, "failedAttempts": 1e-9}
    await kept.add_up()
    tidy.told = {"gen-2": Usage(3, 4, cost_nano_usd=2)}
    tidy.ahead += timedelta(seconds=300)
    assert await tidy.run() == {**NOTHING, "costed": 1}
    assert [id_ for id_, _ in tidy.asked] == ["gen-1", "gen-2", "gen-2"]
    stored = await kept.entry()
    assert (stored["costNanoUsd"], stored["costIsEstimate"]) == (3, False)
    assert (stored["usage"]["promptTokens"], stored["usage"]["completionTokens"]) == (4, 6)
    await kept.add_up()


async def test_only_what_is_an_estimate_is_asked_for(
    ledger: Ledger, tidy: Tidy, kept: Kept
) -> None:
    entry = await admitted(ledger)
    reported = replace(tried("gen-1", "empty_answer"), cost_nano_usd=70)
    await ledger.settle(entry, stopped(reported, guessed("gen-2")))
    tidy.told = {"gen-2": Usage(3, 4, cost_nano_usd=2)}
    assert await tidy.run() == {**NOTHING, "costed": 1}
    assert tidy.asked == [("gen-2", 1)]
    assert (await kept.entry())["costNanoUsd"] == 72
    await kept.add_up()


@pytest.mark.parametrize(
    "attempts",
    [
        [guessed(None, "stopped")],
        [replace(tried("gen-1", "upstream_busy"), cost_nano_usd=0), guessed(None, "stopped")],
        [tried(None)],
    ],
    ids=["stopped before its id", "and so a second one", "of a release before"],
)
async def test_where_an_id_never_came_the_estimate_stands_and_nobody_is_asked(
    ledger: Ledger, tidy: Tidy, kept: Kept, attempts: list[AttemptRecord]
) -> None:
    entry = await admitted(ledger)
    outcome = stopped(*attempts)
    if attempts[0].cost_nano_usd is None:
        outcome = replace(outcome, cost_nano_usd=None)
    await ledger.settle(entry, outcome)
    assert await tidy.run() == {**NOTHING, "givenUp": 1}
    stored = await kept.entry()
    assert (stored["costNanoUsd"], stored["costIsEstimate"]) == (CENT, True)
    assert tidy.asked == []
    await kept.add_up()


async def test_killed_between_two_attempts_the_estimate_stands_beside_what_is_known(
    ledger: Ledger, tidy: Tidy, kept: Kept
) -> None:
    """The next one may have been sent, its id not noted yet."""
    await left_running(ledger, tried("gen-1", "empty_answer"))
    tidy.told = {"gen-1": Usage(1, 1, cost_nano_usd=7)}
    assert await tidy.run() == {**NOTHING, "closed": 1, "givenUp": 1}
    stored = await kept.entry()
    assert (stored["costNanoUsd"], stored["costIsEstimate"]) == (CENT + 7, True)
    assert stored["costGivenUpAt"]
    await kept.add_up()
    assert await tidy.run() == NOTHING


async def test_what_failed_attempts_cost_is_kept_when_the_instance_is_killed_in_the_next_one(
    ledger: Ledger, tidy: Tidy, kept: Kept
) -> None:
    failed = replace(tried("gen-1", "empty_answer"), cost_nano_usd=300)
    await left_running(ledger, failed, tried("gen-2"))
    tidy.told = {}
    assert await tidy.run() == {**NOTHING, "closed": 1, "waiting": 1}
    assert (await kept.entry())["costNanoUsd"] == CENT + 300
    await kept.add_up()
    tidy.told = {"gen-2": Usage(1, 1, cost_nano_usd=5)}
    tidy.ahead += timedelta(seconds=300)
    assert await tidy.run() == {**NOTHING, "costed": 1}
    assert (await kept.entry())["costNanoUsd"] == 305
    await kept.add_up()


async def test_a_retry_is_noted_before_it_is_made(
    world: World, instance: Instance, tidy: Tidy, kept: Kept
) -> None:

    async def noted() -> bool:
        attempts = (await kept.entry()).get("attempts", [])
        return bool(attempts and attempts[-1]["reason"] == "upstream_busy")

    await killed(world, "sim/503-retry-after", when=noted)
    assert (await kept.entry())["attempts"][-1]["reason"] == "upstream_busy"
    assert (await tidy.run())["givenUp"] == 1


async def test_an_early_404_is_asked_again_at_a_later_run(
    ledger: Ledger, tidy: Tidy, kept: Kept
) -> None:
    await left_running(ledger, tried("gen-1"))
    tidy.told = {}
    assert await tidy.run() == {**NOTHING, "closed": 1, "waiting": 1}
    stored = await kept.entry()
    assert (stored["costNanoUsd"], stored["costIsEstimate"]) == (CENT, True)
    assert await tidy.run() == {**NOTHING, "waiting": 1}
    assert len(tidy.asked) == 1, "not before its time"
    tidy.told = {"gen-1": Usage(1, 1, cost_nano_usd=5)}
    tidy.ahead += timedelta(seconds=300)
    assert await tidy.run() == {**NOTHING, "costed": 1}
    await kept.add_up()


async def test_what_is_never_found_is_asked_for_less_and_less_and_given_up(
    ledger: Ledger, tidy: Tidy, kept: Kept, capfd: pytest.CaptureFixture[str]
) -> None:
    await left_running(ledger, tried("gen-1"))
    tidy.told = {}
    await tidy.run()
    runs = 0
    while (await tidy.run())["waiting"]:
        tidy.ahead += timedelta(seconds=300)
        runs += 1
        assert runs < 2 * GenerationLimits().cost_sought_s / 300
    stored = await kept.entry()
    assert stored["costIsEstimate"] is True
    assert stored["costGivenUpAt"] - stored["endedAt"] >= timedelta(
        seconds=GenerationLimits().cost_sought_s
    )
    assert 5 < len(tidy.asked) < 25
    tidy.ahead += timedelta(days=1)
    asked_by_now = len(tidy.asked)
    assert await tidy.run() == NOTHING
    assert len(tidy.asked) == asked_by_now
    await kept.add_up()
    assert "cost_given_up" in capfd.readouterr().out


async def test_a_kept_result_is_corrected_as_well(ledger: Ledger, tidy: Tidy, kept: Kept) -> None:
    entry = await admitted(ledger, asked("again"))
    result = {"text": "hi", "usage": {"totalTokens": 1, "cost": 0.01, "costIsEstimate": True}}
    outcome = Outcome(
        status="done",
        model="sim/paid",
        attempts=[guessed("gen-1")],
        usage={},
        result=result,
        cost_nano_usd=CENT,
        cost_is_estimate=True,
    )
    await ledger.settle(entry, outcome)
    tidy.told = {"gen-1": Usage(2, 3, cost_nano_usd=1000)}
    await tidy.run()
    answered = await ledger.admit(asked("again"), CAPS)
    assert isinstance(answered, Answered)
    assert answered.result == {"text": "hi", "usage": {**Usage(2, 3).to_wire(), "cost": 1e-6}}
    await kept.add_up()


# -- with which key --------------------------------------------------------------------------------


async def other_keys(instance: Instance) -> None:
    """Version 1 made way for 2, and 2 for 3, which serves."""
    for words in ("two", "three"):
        await instance.call("set_openrouter_key", {"key": f"sk-or-v1-reconcile-number-{words}"})


async def test_each_attempt_is_asked_for_with_the_key_it_was_made_with(
    world: World, instance: Instance, ledger: Ledger, tidy: Tidy, kept: Kept
) -> None:
    data = {"key": "sk-or-v1-reconcile-number-two", "position": 2}
    await instance.call("set_openrouter_key", data)
    entry = await admitted(ledger)
    attempts = [guessed("gen-1", "empty_answer", 1), guessed("gen-2", None, 2)]
    await ledger.settle(entry, stopped(*attempts))
    tidy.told = {id_: Usage(cost_nano_usd=1) for id_ in ("gen-1", "gen-2")}
    assert (await tidy.run())["costed"] == 1
    assert tidy.asked == [("gen-1", 1), ("gen-2", 2)]
    await kept.add_up()


@pytest.mark.parametrize("version", [1, 2, 99, None])
async def test_a_key_that_is_disabled_or_gone_makes_way_for_the_one_that_serves(
    instance: Instance, ledger: Ledger, tidy: Tidy, version: int | None
) -> None:
    await other_keys(instance)
    entry = await admitted(ledger)
    await ledger.settle(entry, stopped(guessed("gen-1", None, version)))
    tidy.told = {"gen-1": Usage(cost_nano_usd=1)}
    assert (await tidy.run())["costed"] == 1
    assert tidy.asked == [("gen-1", 3)]


async def test_a_key_that_openrouter_refuses_makes_way_for_the_one_that_serves(
    instance: Instance, ledger: Ledger, tidy: Tidy
) -> None:
    first = await instance.app.keys.vault.add(Secret("sk-or-v1-revoked-since-then"))
    for id_ in ("gen-1", "gen-2"):
        entry = await admitted(ledger)
        await ledger.settle(entry, stopped(guessed(id_, None, first)))
    real = tidy._generation

    async def known(id_: str, key: Secret) -> Usage | None:
        tidy.asked.append((id_, key.version))
        if key.version == first:
            return await real(id_, key)  # 401
        return Usage(cost_nano_usd=1)

    tidy.app.openrouter.generation_usage = known  # type: ignore[method-assign]
    assert (await tidy.run())["costed"] == 2
    assert ("gen-1", 1) in tidy.asked
    assert ("gen-2", 1) in tidy.asked


async def test_with_no_key_at_all_entries_are_closed_and_their_costs_wait(
    instance: Instance, ledger: Ledger, tidy: Tidy, kept: Kept
) -> None:
    await left_running(ledger, tried("gen-1"))
    await instance.app.keys.vault.disable(1)
    assert await tidy.run() == {**NOTHING, "closed": 1, "waiting": 1}
    await kept.add_up()


# -- outages ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [UpstreamUnreachable(), RateLimited(), KeyUnavailable()])
async def test_an_outage_closes_entries_all_the_same_and_asks_no_more_in_this_run(
    ledger: Ledger, tidy: Tidy, kept: Kept, failure: Exception
) -> None:
    tidy.bound(reconcile_at_once=1)
    await left_running_each(ledger, 3)
    tidy.failing = failure
    assert await tidy.run() == {**NOTHING, "closed": 3, "waiting": 3}
    assert len(tidy.asked) == 1
    await kept.add_up()
    tidy.failing = None
    tidy.told = {f"gen-{number}": Usage(cost_nano_usd=number) for number in range(3)}
    tidy.ahead += timedelta(seconds=300)
    assert await tidy.run() == {**NOTHING, "costed": 3}
    await kept.add_up()


async def test_openrouter_really_away_closes_entries_all_the_same(
    world: World, instance: Instance, ledger: Ledger, kept: Kept, capfd: pytest.CaptureFixture[str]
) -> None:
    await left_running(ledger, tried("gen-1"))
    away = Tidy(world.instance(OPENROUTER_BASE_URL="http://127.0.0.1:9/api/v1"))
    assert await away.run() == {**NOTHING, "closed": 1, "waiting": 1}
    await kept.add_up()
    assert "cost_not_told" in capfd.readouterr().out


async def test_secret_manager_really_away_closes_entries_all_the_same(
    world: World, instance: Instance, ledger: Ledger, kept: Kept
) -> None:
    await left_running(ledger, tried("gen-1"))
    away = Tidy(world.instance(SECRET_MANAGER_EMULATOR_HOST="127.0.0.1:9"))
    assert await away.run() == {**NOTHING, "closed": 1, "waiting": 1}
    assert away.asked == []
    await kept.add_up()


async def test_an_answer_that_makes_no_sense_holds_up_nobody_else(
    ledger: Ledger, tidy: Tidy, kept: Kept
) -> None:
    for id_ in ("gen-odd", "gen-1"):
        await left_running(ledger, tried(id_))

    async def odd(id_: str, key: Secret) -> Usage | None:
        if id_ == "gen-odd":
            raise UpstreamMalformed
        return Usage(cost_nano_usd=1)

    tidy.app.openrouter.generation_usage = odd  # type: ignore[method-assign]
    assert await tidy.run() == {**NOTHING, "closed": 2, "costed": 1, "waiting": 1}
    await kept.add_up()


async def test_what_takes_too_long_is_left_for_the_next_run(ledger: Ledger, tidy: Tidy) -> None:
    await left_running_each(ledger, 8)
    tidy.told = {f"gen-{number}": Usage(cost_nano_usd=number) for number in range(8)}
    quick = tidy.app.openrouter.generation_usage
    run_s = 3.0

    async def slow(id_: str, key: Secret) -> Usage | None:
        await asyncio.sleep(run_s)
        return await quick(id_, key)

    tidy.app.openrouter.generation_usage = slow  # type: ignore[method-assign]
    tidy.bound(reconcile_s=run_s)
    summary = await tidy.run()
    assert summary["closed"] == 8
    assert summary["costed"] == 8 - summary["waiting"] <= GenerationLimits().reconcile_at_once
    tidy.bound()
    assert await tidy.run() == {**NOTHING, "costed": summary["waiting"]}


async def test_an_outage_of_firestore_is_for_the_schedule_to_try_again(
    world: World, ledger: Ledger, kept: Kept
) -> None:
    await left_running(ledger)

    async def failing(*_: Any, **__: Any) -> Any:
        raise exceptions.ServiceUnavailable("away")  # type: ignore[no-untyped-call]

    instance = world.instance()
    instance.commits(failing)
    with pytest.raises(LedgerUnavailable):
        await Tidy(instance).run()
    unreadable = Tidy(world.instance())
    firestore_api(unreadable.app.firestore).run_query = failing
    with pytest.raises(LedgerUnavailable):
        await unreadable.run()
    assert await kept.counters() == (1, CENT)


# -- once ------------------------------------------------------------------------------------------


async def test_two_reconcilers_at_once_move_nothing_twice(
    world: World, ledger: Ledger, kept: Kept
) -> None:
    await left_running_each(ledger, 5)
    await asyncio.gather(*(left_running(ledger) for _ in range(5)))
    both = [Tidy(world.instance()), Tidy(world.instance())]
    for one in both:
        one.told = {f"gen-{number}": Usage(cost_nano_usd=number) for number in range(10)}
    first, second = await asyncio.gather(*(one.run() for one in both))
    assert first["closed"] + second["closed"] == 10
    assert first["costed"] + second["costed"] == 5
    assert first["givenUp"] + second["givenUp"] == 5
    assert first["waiting"] == second["waiting"] == 0
    await kept.add_up()
    assert await kept.counters() == (0, 5 * CENT + sum(range(5)))


async def test_commits_applied_twice_move_nothing_twice(
    world: World, ledger: Ledger, kept: Kept
) -> None:
    for id_ in ("gen-1", "gen-2", None):
        await left_running(ledger, *([tried(id_)] if id_ else []))
    instance = world.instance()
    instance.commits(applied_twice)
    tidy = Tidy(instance)
    tidy.told = {"gen-1": Usage(cost_nano_usd=1)}
    for _ in range(3):  # what a second sending hides from one run the next one finds
        await tidy.run()
        tidy.ahead += timedelta(seconds=300)
    entries = await kept.entries()
    assert sorted(entry["costNanoUsd"] for entry in entries) == [1, CENT, CENT]
    await kept.add_up()


Commit = Callable[..., Awaitable[Any]]


@pytest.mark.parametrize("first", ["reconciler", "owner"])
async def test_the_instance_that_still_lives_and_the_reconciler_end_it_once(
    instance: Instance, world: World, ledger: Ledger, kept: Kept, first: str
) -> None:
    entry = await left_running(ledger, tried("gen-1"))
    outcome = Outcome(status="done", model="sim/paid", cost_nano_usd=77, attempts=[tried("gen-1")])
    other = world.instance()
    meanwhile = asyncio.Event()

    async def owner_first(commit: Commit, *args: Any, **kwargs: Any) -> Any:
        if not meanwhile.is_set():  # between the look at it and the commit
            meanwhile.set()
            await ledger.settle(entry, outcome)
        return await commit(*args, **kwargs)

    tidy = Tidy(other)
    tidy.told = {"gen-1": Usage(cost_nano_usd=55)}
    if first == "owner":
        other.commits(owner_first)
        assert await tidy.run() == NOTHING
    else:
        assert await tidy.run() == {**NOTHING, "closed": 1, "costed": 1}
        await ledger.settle(entry, outcome)
        await instance.app.background.drain()
    stored = await kept.entry()
    assert stored["status"] == ("done" if first == "owner" else "interrupted")
    assert stored["costNanoUsd"] == (77 if first == "owner" else 55)
    await kept.add_up()


async def test_a_note_that_comes_after_the_closing_does_not_let_it_be_ended_again(
    instance: Instance, ledger: Ledger, tidy: Tidy, kept: Kept
) -> None:
    """An instance whose CPU was stopped wakes up after its deadline, and goes on as if nothing."""
    entry = await left_running(ledger, tried("gen-1"))
    tidy.told = {"gen-1": Usage(cost_nano_usd=55)}
    assert (await tidy.run())["closed"] == 1
    ledger.note(entry, [tried("gen-1"), tried("gen-2")])
    await asyncio.sleep(NOTE_AFTER_S + 0.1)
    await ledger.settle(entry, Outcome(status="done", model="sim/paid", cost_nano_usd=77))
    await instance.app.background.drain()
    stored = await kept.entry()
    assert (stored["status"], stored["costNanoUsd"]) == ("interrupted", 55)
    assert len(stored["attempts"]) == 1
    await kept.add_up()


async def test_owners_that_settle_while_it_runs_count_once(
    instance: Instance, world: World, ledger: Ledger, kept: Kept
) -> None:
    entries = await asyncio.gather(*(left_running(ledger, tried(f"g-{n}")) for n in range(12)))
    tidy = Tidy(world.instance())
    tidy.told = {f"g-{n}": Usage(cost_nano_usd=5) for n in range(12)}
    outcome = Outcome(status="done", model="sim/paid", cost_nano_usd=7)
    await asyncio.gather(tidy.run(), *(ledger.settle(entry, outcome) for entry in entries))
    await instance.app.background.drain()
    tidy.ahead += timedelta(seconds=300)
    await tidy.run()
    assert {entry["costNanoUsd"] for entry in await kept.entries()} <= {5, 7}
    await kept.add_up()


# -- as it is deployed -----------------------------------------------------------------------------


async def test_the_emulator_runs_it_as_cloud_scheduler_would(suite: Suite) -> None:
    name = "reconcile_generations-0"  # the emulator's own name of a scheduled function
    url = f"{httpx.URL(suite.functions_url).join('/')}{PROJECT}/{REGION}/{name}"
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        answer = await http.post(url, headers={"X-CloudScheduler-JobName": "reconcile"})
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == NOTHING.keys()


async def test_what_waited_for_others_when_its_instance_was_killed_costs_nothing(
    ledger: Ledger, tidy: Tidy, kept: Kept
) -> None:
    outcomes = await ledger.admit_all([asked("model"), asked("judge", follows=True)], CAPS)
    assert all(isinstance(outcome, Admitted) for outcome in outcomes)
    assert await kept.counters() == (1, 2 * CENT)
    assert (await tidy.run())["closed"] == 2
    costs = {entry["requestId"]: entry["costNanoUsd"] for entry in await kept.entries()}
    assert costs == {"model": CENT, "judge": 0}
    await kept.add_up()


async def test_what_waited_and_was_begun_when_its_instance_was_killed_is_held(
    ledger: Ledger, tidy: Tidy, kept: Kept
) -> None:
    entry = await admitted(ledger, asked("judge", follows=True))
    await ledger.begin(entry)
    assert (await tidy.run())["closed"] == 1
    assert (await kept.entry())["costNanoUsd"] == CENT
    await kept.add_up()
