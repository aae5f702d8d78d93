"""How far each limit can be exceeded after all: the table in docs/architecture.md, row by row."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from firerouter.callable import CallableError
from firerouter.errors import QuotaExceeded
from firerouter.ledger import (
    Admission,
    Admitted,
    Caps,
    Ceiling,
    FeatureLimits,
    FeatureUse,
    Ledger,
    OpenEntry,
    Outcome,
    RequestKey,
    Reserve,
    UserLimits,
    generation_id,
)
from scripts.devtools.suite import Suite
from tests.support import counters
from tests.support.bill import Account, billed_world
from tests.support.files import PDF, inline
from tests.support.in_process import Instance, World

PDF_TYPE = "application/pdf"
USD = 1_000_000_000  # nano dollars
CENT = USD // 100
TRIES = 2  # with one model that has nothing to say


@pytest.fixture
async def books(suite: Suite) -> AsyncIterator[tuple[World, Account]]:
    async with billed_world(suite) as (world, account):
        yield world, account


@pytest.fixture
async def world(books: tuple[World, Account]) -> World:
    return books[0]


async def spent(world: World, uid: str = "user") -> int:
    return counters.spent(await world.all(f"quotas/{uid}/windows"))


async def asking(world: World, limits: dict[str, Any], **settings: Any) -> Instance:
    """An instance whose users have these limits and whose feature "chat" has these settings."""
    await world.write("config/app", {"freeModelsOnly": False, "limits": limits})
    document = {"enabled": True, "revision": 1, "settings": settings}
    await world.write("features/chat", document)
    return world.instance()


def ledger_at(world: World, now: datetime) -> Ledger:
    app = world.instance().app
    return Ledger(app.ledger_store, background=app.background, now=lambda: now)


async def admit(ledger: Ledger, caps: Caps, uid: str = "user", cents: int = 1) -> OpenEntry:
    admission = Admission(
        id=generation_id(uid, None),
        uid=uid,
        request=RequestKey(payload=""),
        feature=FeatureUse(id="chat", revision=1, model="sim/paid"),
        reserve=Reserve(base_nano_usd=cents * CENT),
    )
    admitted = await ledger.admit(admission, caps)
    assert isinstance(admitted, Admitted)
    return admitted.entry


def done(cents: int) -> Outcome:
    return Outcome(status="done", model="sim/paid", cost_nano_usd=cents * CENT)


def capped(**limits: Any) -> Caps:
    return Caps(UserLimits(requests_per_minute=1_000, **limits), FeatureLimits())


async def test_tokens_that_were_not_estimated_exceed_a_budget_by_the_difference(
    world: World,
) -> None:
    caps, ledger = capped(usd_per_day=0.02, concurrent=10), ledger_at(world, datetime.now(UTC))
    entries = [await admit(ledger, caps) for _ in range(2)]
    for entry in entries:
        await ledger.settle(entry, done(3))
    assert await spent(world) == (2 + 2 * (3 - 1)) * CENT
    with pytest.raises(QuotaExceeded):
        await admit(ledger, caps, cents=0)


async def test_billed_failures_exceed_a_budget_by_all_attempts_but_the_last(
    books: tuple[World, Account],
) -> None:
    world, account = books
    day = 10 * CENT
    instance = await asking(
        world,
        {"usdPerDay": day / USD},
        model="sim/paid-empty",
        fallbackModels=["sim/paid-hidden"],
    )
    with pytest.raises(CallableError) as failed:
        await instance.ask("chat")
    assert failed.value.reason == "empty_answer"
    (entry,) = (await world.all("generations")).values()
    costs = [attempt["costNanoUsd"] for attempt in entry["attempts"]]
    models = [attempt["model"] for attempt in entry["attempts"]]
    assert models == ["sim/paid-empty"] * TRIES + ["sim/paid-hidden"] * TRIES
    bill = await account.bill()
    assert bill.nano_usd == await spent(world) == sum(costs)
    assert 0 < bill.nano_usd - day <= sum(costs[:-1])
    with pytest.raises(QuotaExceeded):
        await instance.ask("chat")


async def test_a_free_model_that_bills_exceeds_a_budget_by_what_is_in_progress(
    books: tuple[World, Account],
) -> None:
    world, account = books
    limits = {"usdPerDay": 0.4, "concurrent": 3, "requestsPerMinute": 100}
    instance = await asking(world, limits, model="sim/free-billed")
    calls = [instance.ask("chat", prompt=f"{number}") for number in range(9)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    refused = [result for result in results if isinstance(result, QuotaExceeded)]
    assert len(refused) >= 9 - limits["concurrent"]
    bill = await account.bill()
    assert 0.4 * USD < bill.nano_usd <= limits["concurrent"] * USD // 2
    assert bill.nano_usd == await spent(world)
    with pytest.raises(QuotaExceeded):
        await instance.ask("chat")


@pytest.mark.parametrize(
    ("plugin", "attachments", "cap"),
    [
        # the plugin, and each of the documents
        (
            {"id": "file-parser", "pdf": {"engine": "mistral-ocr"}},
            [inline(PDF, PDF_TYPE)] * 3,
            0.07,
        ),
        ({"id": "web", "max_results": 5}, [], 0.01),
    ],
    ids=["documents", "web"],
)
async def test_what_a_free_model_is_given_besides_is_reserved(
    books: tuple[World, Account], plugin: dict[str, Any], attachments: list[Any], cap: float
) -> None:
    """`reserveUsd`, 2 cents, stands in for the price of each document and each plugin."""
    world, account = books
    instance = await asking(world, {"usdPerDay": cap}, model="sim/fast", plugins=[plugin])
    with pytest.raises(QuotaExceeded) as refused:
        await instance.ask("chat", attachments=attachments)
    assert refused.value.details["limit"] == "usdPerDay"
    assert (await account.bill()).generations == 0
    assert await spent(world) == 0
    roomy = await asking(world, {"usdPerDay": 5}, model="sim/fast", plugins=[plugin])
    assert (await roomy.ask("chat", "another", attachments=attachments))["text"]


async def test_what_has_no_price_exceeds_a_budget_by_what_it_costs_above_the_reserve(
    books: tuple[World, Account],
) -> None:
    world, account = books
    reserved, room_for = USD // 1_000, 2
    limits = {"usdPerDay": room_for * reserved / USD, "reserveUsd": reserved / USD}
    instance = await asking(world, limits, model="openrouter/auto")
    prompt = "word " * 6_000
    calls = [instance.ask("chat", prompt=f"{number} {prompt}") for number in range(6)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(result, dict | QuotaExceeded) for result in results)
    costs = [entry["costNanoUsd"] for entry in (await world.all("generations")).values()]
    assert 1 <= len(costs) <= room_for
    bill = await account.bill()
    assert bill.nano_usd == sum(costs) == await spent(world)
    over = sum(cost - reserved for cost in costs)
    assert 0 < bill.nano_usd - room_for * reserved <= over
    with pytest.raises(QuotaExceeded):
        await instance.ask("chat")


async def test_instances_exceed_the_ceiling_by_what_they_reserve_before_they_read_it(
    world: World,
) -> None:
    """Below 80 %, each knows the others' spending as of ten seconds ago."""
    now = datetime(2100 + secrets.randbelow(5_000), 3, 5, 12, tzinfo=UTC)
    one, other = ledger_at(world, now), ledger_at(world, now)
    ceiling = Ceiling(usd_per_day=0.1, usd_per_month=1)
    caps = Caps(UserLimits(requests_per_minute=1_000, concurrent=100), FeatureLimits(), ceiling)
    for ledger in (one, other):
        await admit(ledger, caps)  # reads the sum
    for ledger in (one, other):
        for _ in range(8):
            with suppress(QuotaExceeded):
                await admit(ledger, caps)
    reserved = counters.spent(await world.all("quotas/user/windows"))
    assert 10 * CENT <= reserved <= (10 + 8) * CENT
    for ledger in (one, other):
        with pytest.raises(QuotaExceeded):
            await admit(ledger, caps, cents=2)


async def test_over_the_end_of_a_month_an_answer_counts_in_the_month_of_its_admission(
    world: World,
) -> None:
    caps = capped(usd_per_month=0.01)
    before = ledger_at(world, datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC))
    after = ledger_at(world, datetime(2026, 12, 1, tzinfo=UTC))
    entry = await admit(before, caps)
    with pytest.raises(QuotaExceeded):
        await admit(before, caps)
    other = await admit(after, caps)
    for ended in (entry, other):
        await after.settle(ended, done(1))
    windows = await world.all("quotas/user/windows")
    months = {
        name: window["month"]["nanoUsd"] for name, window in windows.items() if "month" in window
    }
    assert months == {"202611": CENT, "202612": CENT}
