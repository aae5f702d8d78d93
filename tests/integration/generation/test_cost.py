"""The ledger is OpenRouter's bill, or an estimate of it that is marked until it has been looked up.

Against a real Firestore and the OpenRouter stand-in, which keeps a bill of each key.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from firerouter.callable import CallableError
from firerouter.errors import HistoryUnavailable, QuotaExceeded
from firerouter.generation.limits import GenerationLimits
from firerouter.generation.reconciler import Reconciler
from firerouter.ledger import OpenEntry, Outcome
from scripts.devtools.suite import Suite
from scripts.standins.openrouter.faults import BILLS
from scripts.standins.openrouter.odd_charges import REFUSAL
from tests.support import counters
from tests.support.bill import Account, Bill, billed_world
from tests.support.eventually import EVENTUALLY_S, until
from tests.support.in_process import Instance, World

USD = 1_000_000_000  # nano dollars
CENT = USD // 100
PROMPT, TOKEN = 3_000, 15_000  # nano dollars a token of sim/paid*
MOST_TOKENS = 16_384  # that a simulated model writes
GENERATION_DELAY_S = 0.15  # the stand-in knows what an answer cost so long after its end
ASK = "execute_prompt"


@dataclass
class Books:
    """One project with one user: its ledger, and the bill of its key."""

    world: World
    account: Account
    instance: Instance

    async def feature(self, model: str, **settings: Any) -> None:
        """Let the feature "chat" ask this model."""
        short = {"firstTokenS": 1, "idleS": 5, "totalS": 60}
        document = {"model": model, **short, **settings}
        path = "features/chat"
        await self.world.write(path, {"enabled": True, "revision": 1, "settings": document})
        self.instance = self.world.instance()

    async def ask(self, model: str, settings: Any = None, **more: Any) -> Any:
        await self.feature(model, **(settings or {}))
        return await self.again(**more)

    async def again(self, **more: Any) -> Any:
        return await self.instance.ask("chat", **{"prompt": self.world.project, **more})

    async def failure(self, model: str, settings: Any = None, **more: Any) -> CallableError:
        with pytest.raises(CallableError) as failed:
            await self.ask(model, settings, **more)
        return failed.value

    async def entry(self) -> dict[str, Any]:
        (entry,) = (await self.world.all("generations")).values()
        return entry

    async def spent(self) -> int:
        """What the counters say, in nano dollars."""
        windows = await self.world.all("quotas/user/windows")
        return counters.spent(windows)

    async def reconcile(self, ahead: timedelta = timedelta()) -> dict[str, int]:
        """Run the reconciler as soon as OpenRouter knows what has ended."""
        await asyncio.sleep(2 * GENERATION_DELAY_S)
        app = self.instance.app
        reconciler = Reconciler(
            store=app.ledger_store,
            progress=app.delivery.progress,
            conversations=app.conversations.store,
            keys=app.keys.pool,
            openrouter=app.openrouter,
            find_file=app.files.storage.look,
            limits=GenerationLimits(),
            now=lambda: datetime.now(UTC) + ahead,
        )
        return await reconciler.run()

    async def assert_paid(self) -> Bill:
        """Nothing is an estimate, and ledger, counters and bill are the same."""
        await self.assert_added_up()
        entries = (await self.world.all("generations")).values()
        assert not any(entry["costIsEstimate"] for entry in entries)
        bill = await self.account.bill()
        assert sum(entry["costNanoUsd"] for entry in entries) == bill.nano_usd
        attempts = [attempt for entry in entries for attempt in entry["attempts"]]
        byok = sum(attempt.get("byokNanoUsd", 0) for attempt in attempts)
        assert byok == bill.byok_nano_usd
        return bill

    async def assert_added_up(self) -> None:
        """Every entry is the sum of its attempts, and the counters are the sum of the entries."""
        entries = (await self.world.all("generations")).values()
        for entry in entries:
            assert entry["status"] != "running"
            costs = [attempt["costNanoUsd"] for attempt in entry["attempts"]]
            assert sum(costs) == entry["costNanoUsd"]
            guessed = [attempt.get("costIsEstimate", False) for attempt in entry["attempts"]]
            assert any(guessed) == entry["costIsEstimate"]
            assert entry["usage"].get("cost", 0) == entry["costNanoUsd"] / USD
        assert await self.spent() == sum(entry["costNanoUsd"] for entry in entries)


@pytest.fixture
async def books(suite: Suite) -> AsyncIterator[Books]:
    async with billed_world(suite) as (world, account):
        await world.write("config/app", {"freeModelsOnly": False, "limits": {"usdPerDay": 100}})
        yield Books(world, account, world.instance())


def tokens_of(attempt: dict[str, Any]) -> int:
    """What an attempt's tokens cost at the price of sim/paid, in nano dollars."""
    return int(attempt["promptTokens"] * PROMPT + attempt["completionTokens"] * TOKEN)


# -- failed attempts -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "reason", "tries"),
    [
        ("sim/paid-empty", "empty_answer", 2),
        ("sim/paid-hidden", "empty_answer", 2),
        ("sim/paid-error", "upstream_busy", 3),
    ],
)
async def test_what_ends_before_a_first_token_is_charged_for_each_attempt(
    books: Books, model: str, reason: str, tries: int
) -> None:
    failure = await books.failure(model)
    assert failure.reason == reason
    entry = await books.entry()
    assert [attempt["reason"] for attempt in entry["attempts"]] == [reason] * tries
    assert all(attempt["costNanoUsd"] > 0 for attempt in entry["attempts"])
    bill = await books.assert_paid()
    assert bill.generations == tries
    usage = failure.details["usage"]
    assert usage["cost"] == bill.nano_usd / USD
    assert usage["costDetails"] == {"answer": 0, "failedAttempts": bill.nano_usd / USD}


async def test_what_failed_attempts_cost_counts_against_the_cap(books: Books) -> None:
    await books.world.write("config/app", {"freeModelsOnly": False, "limits": {"usdPerDay": 0.09}})
    assert (await books.failure("sim/paid-empty")).reason == "empty_answer"
    assert (await books.account.bill()).nano_usd == 10 * CENT
    for _ in range(3):
        with pytest.raises(QuotaExceeded):
            await books.again()
    assert (await books.account.bill()).nano_usd == 10 * CENT


async def test_a_refusal_is_an_answer_that_is_charged_once(books: Books) -> None:
    result = await books.ask("sim/paid-refusal")
    assert (result["text"], result["refusal"]) == (REFUSAL, REFUSAL)
    assert result["finishReason"] == "content_filter"
    assert len(result["attempts"]) == 1
    bill = await books.assert_paid()
    assert (bill.generations, result["usage"]["cost"]) == (1, bill.nano_usd / USD)


async def test_an_answer_tells_what_the_attempt_before_it_cost(books: Books) -> None:
    result = await books.ask("sim/paid-error-once")
    bill = await books.assert_paid()
    assert [attempt.get("reason") for attempt in result["attempts"]] == ["upstream_busy", None]
    details = result["usage"]["costDetails"]
    assert result["usage"]["cost"] == bill.nano_usd / USD
    assert details["answer"] + details["failedAttempts"] == pytest.approx(bill.nano_usd / USD)


async def test_a_fallback_is_priced_by_itself(books: Books) -> None:
    settings = {"fallbackModels": ["sim/fast"]}
    result = await books.ask("sim/paid-empty", settings)
    assert result["model"] == "sim/fast"
    assert result["usage"]["costDetails"] == {"answer": 0, "failedAttempts": 0.1}
    await books.assert_paid()


async def test_an_attempt_that_was_silent_is_an_estimate_until_it_is_looked_up(
    books: Books,
) -> None:
    assert (await books.failure("sim/paid-silent-after-headers")).reason == "upstream_timeout"
    entry = await books.entry()
    (attempt,) = entry["attempts"]
    assert (attempt["costIsEstimate"], attempt["costNanoUsd"]) == (True, tokens_of(attempt))
    await books.assert_added_up()
    assert (await books.reconcile())["costed"] == 1
    assert (await books.assert_paid()).nano_usd == 5 * CENT


async def test_an_attempt_without_headers_counts_as_if_it_had_been_written_to_its_end(
    books: Books,
) -> None:
    assert (await books.failure("sim/paid-silent")).reason == "upstream_timeout"
    entry = await books.entry()
    assert entry["costIsEstimate"] is True
    assert entry["costNanoUsd"] >= MOST_TOKENS * TOKEN
    assert (await books.reconcile())["givenUp"] == 1
    await books.assert_added_up()
    bill = await books.account.bill()
    assert 0 < bill.nano_usd < (await books.entry())["costNanoUsd"]


async def test_an_image_that_nobody_can_read_is_charged(books: Books) -> None:
    settings = {"kind": "image", "imageApi": "images"}
    assert (await books.failure("sim/images-unreadable", settings)).reason == "image_unreadable"
    assert (await books.assert_paid()).nano_usd > CENT


@pytest.mark.parametrize("model", ["sim/503", "sim/400", "sim/reset", "sim/402"])
async def test_what_was_refused_costs_nothing(books: Books, model: str) -> None:
    await books.failure(model)
    assert (await books.entry())["costNanoUsd"] == 0
    await books.assert_paid()


# -- beside the answer -----------------------------------------------------------------------------


async def test_users_are_told_what_a_title_cost(books: Books) -> None:
    settings = {"helperModel": "sim/paid", "titles": "model"}
    result = await books.ask("sim/fast", settings, conversationId="new")
    bill = await books.assert_paid()
    assert bill.nano_usd > 0
    assert result["usage"]["cost"] == bill.nano_usd / USD
    assert result["usage"]["costDetails"] == {"answer": 0, "helper": bill.nano_usd / USD}


async def test_a_title_that_was_given_up_is_an_estimate_until_it_is_looked_up(
    books: Books,
) -> None:
    settings = {"helperModel": "sim/paid-silent-after-headers", "titles": "model"}
    result = await books.ask("sim/fast", settings, conversationId="new")
    assert result["usage"]["costIsEstimate"] is True
    assert result["usage"]["costDetails"]["helper"] > 0
    assert (await books.reconcile())["costed"] == 1
    assert (await books.assert_paid()).nano_usd == 5 * CENT
    usage = (await books.world.document(message_of(result)))["usage"]
    assert usage["costDetails"] == {"answer": 0, "helper": 0.05}


def message_of(result: Any) -> str:
    conversation = f"users/user/conversations/{result['conversationId']}"
    return f"{conversation}/messages/{result['messageId']}"


async def test_vectors_that_were_left_are_an_estimate_of_what_was_sent(books: Books) -> None:
    settings = {"kind": "embedding"}
    await books.feature("sim/vectors-paid-silent", **settings)
    data = {"feature": "chat", "input": [books.world.project]}
    failure = await books.instance.refusal("create_embeddings", data, "user")
    assert failure.reason == "upstream_timeout"
    entry = await books.entry()
    assert entry["costIsEstimate"] is True
    assert failure.details["usage"] == entry["usage"]
    await books.assert_added_up()


async def test_vectors_cost_what_is_on_the_bill(books: Books) -> None:
    await books.feature("sim/vectors-paid", kind="embedding")
    data = {"feature": "chat", "input": ["x" * 400, "y"]}
    result = await books.instance.call("create_embeddings", data, "user")
    bill = await books.assert_paid()
    assert bill.nano_usd > 0
    assert result["usage"]["cost"] == bill.nano_usd / USD


# -- own keys, and what OpenRouter misreports ------------------------------------------------------


async def test_what_a_provider_bills_to_an_own_key_counts_and_is_told_apart(books: Books) -> None:
    result = await books.ask("sim/byok")
    bill = await books.assert_paid()
    assert bill.nano_usd > bill.byok_nano_usd > 0
    details = {"answer": bill.nano_usd / USD, "byok": bill.byok_nano_usd / USD}
    assert result["usage"]["costDetails"] == details


async def test_a_misreported_cost_is_held_flagged_and_looked_up(
    books: Books, capfd: pytest.CaptureFixture[str]
) -> None:
    await books.world.write("config/app", {"freeModelsOnly": False, "limits": {"usdPerDay": 1}})
    result = await books.ask("sim/paid-misreported", {"maxTokens": 100})
    assert result["usage"]["costIsEstimate"] is True
    entry = await books.entry()
    (attempt,) = entry["attempts"]
    assert attempt["suspect"] is True
    assert entry["costNanoUsd"] < CENT
    assert (await books.reconcile())["costed"] == 1
    await books.assert_paid()
    assert (await books.entry())["attempts"][0]["suspect"] is True
    await books.again()  # nobody is locked out
    assert "suspect_cost_looked_up" in capfd.readouterr().out


async def test_a_free_model_that_bills_is_charged_and_flagged(books: Books) -> None:
    await books.world.write("config/app", {"freeModelsOnly": True, "limits": {"usdPerDay": 1}})
    result = await books.ask("sim/free-billed")
    assert result["usage"]["cost"] == 0.5
    assert (await books.entry())["attempts"][0]["suspect"] is True
    assert await books.spent() == USD // 2
    await books.reconcile()
    assert (await books.assert_paid()).nano_usd == USD // 2


@pytest.mark.parametrize(
    "model",
    ["sim/paid-negative", "sim/paid-strings", "sim/paid-nan", "sim/paid-huge", "sim/paid-no-usage"],
)
async def test_nonsense_in_the_usage_is_an_estimate_that_is_looked_up(
    books: Books, model: str
) -> None:
    result = await books.ask(model)
    assert result["usage"]["costIsEstimate"] is True
    assert 0 < result["usage"]["totalTokens"] < 1000
    (attempt,) = (await books.entry())["attempts"]
    assert attempt["costNanoUsd"] == tokens_of(attempt)
    assert (await books.reconcile())["costed"] == 1
    assert (await books.assert_paid()).nano_usd > 0


# -- stops -----------------------------------------------------------------------------------------


async def stopped(books: Books, tokens: int, **more: Any) -> Any:
    """Ask, and stop the answer after so many tokens."""
    asking = asyncio.create_task(books.again(requestId="r1", **more))
    await books.world.sent_tokens(tokens)
    await until(lambda: has_begun(books))
    await books.instance.call("stop_generation", {"requestId": "r1"}, "user")
    return await asyncio.wait_for(asking, EVENTUALLY_S)


async def has_begun(books: Books) -> bool:
    requests = await books.world.requests()
    return bool(requests and requests[0]["tokensSent"])


async def test_a_stop_costs_what_was_sent_and_written_and_the_message_is_corrected(
    books: Books,
) -> None:
    await books.feature("sim/paid-ticks")
    result = await stopped(books, 2, conversationId="new")
    assert (result["finishReason"], result["usage"]["costIsEstimate"]) == ("stopped", True)
    (attempt,) = (await books.entry())["attempts"]
    assert attempt["costNanoUsd"] == tokens_of(attempt) < CENT
    message = await books.world.document(message_of(result))
    assert message["usage"] == result["usage"]
    await books.assert_added_up()
    assert (await books.reconcile())["costed"] == 1
    bill = await books.assert_paid()
    message = await books.world.document(message_of(result))
    assert message["usage"]["cost"] == bill.nano_usd / USD
    assert "costIsEstimate" not in message["usage"]
    assert message["text"] == result["text"]
    again = await books.again(requestId="r1", conversationId="new")
    assert again["usage"] == message["usage"] == (await books.entry())["usage"]


@pytest.mark.parametrize(
    ("model", "nano_usd"), [("sim/paid-slow-headers", 5 * CENT), ("sim/503", 0)]
)
async def test_a_stop_before_the_headers_waits_for_the_id_that_its_cost_is_looked_up_by(
    books: Books, model: str, nano_usd: int
) -> None:
    await books.feature(model)
    asking = asyncio.create_task(books.again(requestId="r1"))
    await until(books.world.requests)
    await books.instance.call("stop_generation", {"requestId": "r1"}, "user")
    result = await asyncio.wait_for(asking, EVENTUALLY_S)
    assert result["finishReason"] == "stopped"
    attempts = (await books.entry())["attempts"]
    assert all(a["upstreamId"] for a in attempts if a["reason"] == "stopped")
    await books.assert_added_up()
    await books.reconcile()
    assert (await books.assert_paid()).nano_usd == nano_usd


async def test_a_stop_before_the_headers_of_a_silent_model_stands_at_its_worst_case(
    books: Books,
) -> None:
    await books.feature("sim/paid-silent", firstTokenS=60, maxTokens=1000)
    asking = asyncio.create_task(books.again(requestId="r1"))
    await until(books.world.requests)
    await books.instance.call("stop_generation", {"requestId": "r1"}, "user")
    await asyncio.wait_for(asking, EVENTUALLY_S)
    entry = await books.entry()
    assert 1000 * TOKEN <= entry["costNanoUsd"] < 2000 * TOKEN
    assert (await books.reconcile())["givenUp"] == 1


async def test_a_message_that_was_deleted_meanwhile_keeps_no_ledger_from_its_correction(
    books: Books,
) -> None:
    await books.feature("sim/paid-ticks")
    result = await stopped(books, 2, conversationId="new")
    data = {"conversationId": result["conversationId"]}
    await books.instance.call("delete_conversation", data, "user")
    assert (await books.reconcile())["costed"] == 1
    await books.assert_paid()
    assert await books.world.document(message_of(result)) == {}


async def test_an_entry_waits_an_hour_for_its_message_and_not_for_ever(books: Books) -> None:
    await books.feature("sim/paid-ticks")
    await stopped(books, 2, conversationId="new")

    async def unavailable(uid: str, id_: str, message: str, usage: Any) -> None:
        raise HistoryUnavailable

    store = books.instance.app.conversations.store
    correct_usage = store.correct_usage
    store.correct_usage = unavailable  # type: ignore[method-assign]
    assert (await books.reconcile())["waiting"] == 1
    await books.assert_added_up()
    assert (await books.entry())["costIsEstimate"] is True
    assert (await books.reconcile(ahead=timedelta(minutes=10)))["waiting"] == 1
    assert (await books.reconcile(ahead=timedelta(hours=2)))["costed"] == 1
    await books.assert_paid()
    store.correct_usage = correct_usage  # type: ignore[method-assign]


async def test_a_stop_is_priced_as_the_catalog_was_before_the_answer_began(books: Books) -> None:
    await books.feature("sim/paid-ticks")

    def repriced() -> Any:
        raise AssertionError("the catalog was asked again")

    asking = asyncio.create_task(books.again(requestId="r1"))
    await books.world.sent_tokens(2)
    books.instance.app.features.choice._catalog = repriced
    await books.instance.call("stop_generation", {"requestId": "r1"}, "user")
    result = await asyncio.wait_for(asking, EVENTUALLY_S)
    (attempt,) = (await books.entry())["attempts"]
    assert attempt["costNanoUsd"] == tokens_of(attempt)
    assert result["usage"]["cost"] == attempt["costNanoUsd"] / USD


async def test_a_stop_of_a_model_that_is_free_by_its_price_costs_nothing(books: Books) -> None:
    await books.feature("sim/ticks")
    result = await stopped(books, 2)
    assert result["usage"]["cost"] == 0
    assert "costIsEstimate" not in result["usage"]
    await books.assert_paid()


async def test_a_stop_of_a_model_without_a_price_takes_the_reserve(books: Books) -> None:
    limits = {"usdPerDay": 100, "reserveUsd": 0.03}
    await books.world.write("config/app", {"freeModelsOnly": False, "limits": limits})
    await books.feature("openrouter/auto")
    prompt = f"{books.world.project} " + "word " * 190
    result = await stopped(books, 2, prompt=prompt)
    assert result["usage"]["cost"] == 0.03
    assert (await books.reconcile())["costed"] == 1
    await books.assert_paid()


async def test_a_long_prompt_costs_no_more_than_was_reserved(books: Books) -> None:
    """From 1,000 tokens on, sim/paid-long costs twice as much."""
    for words, double in ((10, False), (1_200, True)):
        await books.ask("sim/paid-long", {"maxTokens": 20}, prompt="word " * words)
        entries = (await books.world.all("generations")).values()
        entry = max(entries, key=lambda one: one["createdAt"])
        usage = entry["usage"]
        tokens = usage["promptTokens"] * PROMPT + usage["completionTokens"] * TOKEN
        assert entry["costNanoUsd"] == tokens * (2 if double else 1)
        assert entry["costNanoUsd"] <= entry["reservedNanoUsd"]
    await books.assert_paid()


# -- twice, and with another clock -----------------------------------------------------------------


async def test_an_entry_that_is_settled_twice_is_charged_once(books: Books) -> None:
    await books.feature("sim/paid")
    settle = books.instance.app.ledger.settle

    async def twice(entry: OpenEntry, outcome: Outcome) -> None:
        await asyncio.gather(settle(entry, outcome), settle(entry, outcome))
        await settle(entry, outcome)

    books.instance.app.ledger.settle = twice  # type: ignore[method-assign]
    await books.again()
    await books.instance.app.background.drain()
    await books.assert_paid()


@pytest.mark.parametrize("step", [timedelta(hours=-3), timedelta(hours=3)])
async def test_a_clock_that_is_stepped_loses_no_correction(books: Books, step: timedelta) -> None:
    await books.feature("sim/paid-ticks")
    ledger = books.instance.app.ledger
    asking = asyncio.create_task(books.again(requestId="r1"))
    await books.world.sent_tokens(2)
    ledger._now = lambda: datetime.now(UTC) + step  # between the admission and the end
    await books.instance.call("stop_generation", {"requestId": "r1"}, "user")
    await asyncio.wait_for(asking, EVENTUALLY_S)
    assert (await books.reconcile())["givenUp"] == 0
    if step > timedelta():
        await books.reconcile(ahead=step + timedelta(minutes=1))
    await books.assert_paid()


# -- all of it -------------------------------------------------------------------------------------

WITHOUT_ID = {"sim/paid-silent"}


async def test_after_every_odd_charge_the_ledger_is_the_bill(books: Books) -> None:
    names = sorted({fault.name for fault in BILLS} - WITHOUT_ID)
    limits = {"usdPerDay": 100, "concurrent": 100, "requestsPerMinute": 1000}
    await books.world.write("config/app", {"freeModelsOnly": False, "limits": limits})
    for name in names:
        silent = {"model": name, "firstTokenS": 2, "idleS": 2}
        await books.world.write(
            f"features/{name.removeprefix('sim/')}",
            {"enabled": True, "revision": 1, "settings": silent},
        )
    ask = [
        books.instance.ask(name.removeprefix("sim/"), prompt=name) for name in names for _ in "ab"
    ]
    await asyncio.gather(*ask, return_exceptions=True)
    await books.instance.app.background.drain()
    await books.assert_added_up()
    assert (await books.reconcile())["waiting"] == 0
    bill = await books.assert_paid()
    assert bill.nano_usd > USD // 2
