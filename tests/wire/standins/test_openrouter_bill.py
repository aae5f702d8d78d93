"""What the OpenRouter stand-in charges: in its usage, in `/generation`, and on a key's bill."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from firerouter.openrouter import Usage
from firerouter.openrouter.generation_cost import read_generation
from firerouter.openrouter.usage import read_usage
from scripts.standins.openrouter.faults import BILLS
from tests.support.eventually import until
from tests.support.openrouter_standin import Answer, Server, answer, ask, call, get, serving

PROMPT_TOKENS = 7
PROMPT_USD, TOKEN_USD = Decimal("0.000003"), Decimal("0.000015")  # of sim/paid
FREE = (Decimal(0), Decimal(0))
Usd = Decimal | int


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("--token-delay-ms", "1") as started:
        yield started


@dataclass
class Account:
    """A key of its own, whose bill nothing else moves."""

    server: Server
    key: str

    @property
    def last4(self) -> str:
        return self.key[-4:]

    async def bill(self) -> tuple[Usd, Usd, int]:
        """(US dollars of OpenRouter's, US dollars of providers', generations)."""
        mine = (await get(self.server, "/sim/bill")).json.get(self.last4)
        if mine is None:
            return (*FREE, 0)
        return Decimal(mine["usd"]), Decimal(mine["byokUsd"]), mine["generations"]

    async def charged(self) -> tuple[Usd, Usd]:
        """(US dollars of OpenRouter's, US dollars of providers') once the one request has ended."""

        async def ended() -> bool:
            return (await self.bill())[2] == 1

        await until(ended)
        usd, byok, _ = await self.bill()
        return usd, byok

    async def generation(self, id_: str) -> Usage:
        async def known() -> Any:
            found = await get(self.server, f"/api/v1/generation?id={id_}", key=self.key)
            return found.json if found.status == 200 else None

        return read_generation(await until(known))


@pytest.fixture
def account(server: Server) -> Account:
    return Account(server, f"sk-or-v1-simulated-{secrets.token_hex(8)}")


def price(tokens: int, prompt_tokens: int = PROMPT_TOKENS) -> Decimal:
    return prompt_tokens * PROMPT_USD + tokens * TOKEN_USD


def nano(usd: Usd) -> int:
    return int(usd * 10**9)


def reported(done: Answer) -> Usage | None:
    """Return what the answer itself says, as the functions read it."""
    usages = done.usages if done.headers["content-type"] == "text/event-stream" else []
    return read_usage(usages[-1]) if usages else None


@asynccontextmanager
async def left(account: Account, model: str) -> AsyncIterator[Answer]:
    """A request whose client leaves at the end of the block."""
    tried = await ask(account.server, model, key=account.key)
    try:
        yield tried.answer
    finally:
        tried.close()


# -- ordinary answers ------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
async def test_a_paid_answer_is_charged_by_its_tokens(account: Account, stream: bool) -> None:
    done = await answer(account.server, "sim/paid", key=account.key, stream=stream)
    usage = read_usage(done.usages[0] if stream else done.json["usage"])
    assert usage is not None
    charged, byok = await account.charged()
    assert (nano(charged), byok) == (usage.cost_nano_usd, 0)
    assert await account.generation(done.headers["x-generation-id"]) == Usage(
        PROMPT_TOKENS, usage.completion_tokens, 0, 0, usage.cost_nano_usd
    )


async def test_what_is_refused_or_free_is_on_no_bill(account: Account) -> None:
    await answer(account.server, "sim/503", key=account.key)
    assert await account.bill() == (0, 0, 0)
    await answer(account.server, "sim/fast", key=account.key)
    assert await account.charged() == FREE


async def test_who_leaves_is_charged_for_what_was_sent_by_then(account: Account) -> None:
    tried = await ask(account.server, "sim/paid-ticks", key=account.key)
    await tried.head()
    await tried.pieces(5)
    tried.close()
    charged, _ = await account.charged()
    assert price(3) <= charged < price(50)
    told = await account.generation(tried.answer.headers["x-generation-id"])
    assert told.cost_nano_usd == nano(charged)


async def test_a_bill_is_that_of_a_key_and_adds_up(account: Account) -> None:
    for _ in range(3):
        await answer(account.server, "sim/paid-empty", key=account.key)
    other = Account(account.server, f"sk-or-v1-simulated-{secrets.token_hex(8)}")
    await answer(account.server, "sim/paid-empty", key=other.key)
    assert await account.bill() == (Decimal("0.15"), 0, 3)
    assert await other.bill() == (Decimal("0.05"), 0, 1)
    await (await call(account.server, "DELETE", "/sim/requests", key=account.key)).finish()
    assert (await account.bill())[2] == 3


# -- faults ----------------------------------------------------------------------------------------


async def check_byok(account: Account) -> None:
    done = await answer(account.server, "sim/byok", key=account.key)
    usage = reported(done)
    assert usage is not None
    fee, byok = await account.charged()
    assert byok == price(usage.completion_tokens) == 20 * fee
    assert (usage.cost_nano_usd, usage.byok_nano_usd) == (nano(fee + byok), nano(byok))
    assert await account.generation(done.headers["x-generation-id"]) == Usage(
        PROMPT_TOKENS, usage.completion_tokens, 0, 0, nano(fee + byok), nano(byok)
    )


async def check_odd_usage(account: Account, model: str, cost: int | None) -> None:
    """The usage is not true; the charge, and what `/generation` says of it, are."""
    done = await answer(account.server, model, key=account.key)
    usage = reported(done)
    assert (usage.cost_nano_usd if usage else None) == cost
    charged, _ = await account.charged()
    told = await account.generation(done.headers["x-generation-id"])
    assert told.cost_nano_usd == nano(charged) == nano(price(told.completion_tokens)) > 0


async def check_flat(account: Account, model: str, usd: str) -> None:
    done = await answer(account.server, model, key=account.key)
    usage = reported(done)
    assert usage is not None
    assert usage.cost_nano_usd == nano(Decimal(usd))
    assert await account.charged() == (Decimal(usd), 0)


async def check_no_word(account: Account, model: str, tokens: int) -> None:
    """Nothing is said, or nothing but an error, and it is reported and charged all the same."""
    done = await answer(account.server, model, key=account.key)
    assert done.text == ""
    usage = reported(done)
    assert usage is not None
    assert (usage.completion_tokens, usage.cost_nano_usd) == (tokens, nano(price(tokens)))
    assert await account.charged() == (price(tokens), 0)
    told = await account.generation(done.headers["x-generation-id"])
    assert told.cost_nano_usd == nano(price(tokens))


async def check_refusal(account: Account) -> None:
    await check_no_word(account, "sim/paid-refusal", 5)
    done = await answer(account.server, "sim/paid-refusal", key=account.key)
    said = "".join(
        c["delta"].get("refusal") or "" for chunk in done.chunks for c in chunk["choices"]
    )
    assert said == "I can't help with that."


async def check_error(account: Account) -> None:
    await check_no_word(account, "sim/paid-error", 3)
    done = await answer(account.server, "sim/paid-error", key=account.key)
    assert ["usage" in chunk for chunk in done.chunks] == [True, False]
    assert done.chunks[1]["error"]["code"] == 502


async def check_error_once(account: Account) -> None:
    messages = [{"role": "user", "content": f"once {account.key}"}]
    first, second = [
        await answer(account.server, "sim/paid-error-once", key=account.key, messages=messages)
        for _ in range(2)
    ]
    assert (first.done, second.done) == (False, True)
    assert second.text
    charged = sum((usage.cost_nano_usd or 0) for one in (first, second) if (usage := reported(one)))
    usd, _, generations = await account.bill()
    assert (nano(usd), generations) == (charged, 2)


async def check_silent(account: Account, model: str) -> None:
    async with left(account, model):
        await asyncio.sleep(0.1)
    assert await account.charged() == (Decimal("0.05"), 0)


async def check_silent_after_headers(account: Account) -> None:
    tried = await ask(account.server, "sim/paid-silent-after-headers", key=account.key)
    head = await tried.head()
    tried.close()
    assert await account.charged() == (Decimal("0.05"), 0)
    told = await account.generation(head.headers["x-generation-id"])
    assert told.cost_nano_usd == nano(Decimal("0.05"))


async def check_stall(account: Account) -> None:
    tried = await ask(account.server, "sim/paid-stall", key=account.key)
    await tried.head()
    await tried.pieces(5)
    tried.close()
    assert await account.charged() == (price(3), 0)


async def check_late_usage(account: Account) -> None:
    """All text is charged, though the client leaves before it is told what that costs."""
    tried = await ask(account.server, "sim/paid-late-usage", key=account.key)
    head = await tried.head()
    while b'"finish_reason":"stop"' not in await tried.piece():
        pass
    tried.close()
    charged, _ = await account.charged()
    assert charged > price(5)
    told = await account.generation(head.headers["x-generation-id"])
    assert told.cost_nano_usd == nano(charged)


CHECKS: dict[str, Any] = {
    "sim/byok": check_byok,
    "sim/paid-misreported": lambda a: check_odd_usage(a, "sim/paid-misreported", 9 * 10**15),
    "sim/paid-negative": lambda a: check_odd_usage(a, "sim/paid-negative", None),
    "sim/paid-strings": lambda a: check_odd_usage(a, "sim/paid-strings", None),
    "sim/paid-nan": lambda a: check_odd_usage(a, "sim/paid-nan", None),
    "sim/paid-huge": lambda a: check_odd_usage(a, "sim/paid-huge", None),
    "sim/paid-no-usage": lambda a: check_odd_usage(a, "sim/paid-no-usage", None),
    "sim/free-billed": lambda a: check_flat(a, "sim/free-billed", "0.5"),
    "sim/paid-empty": lambda a: check_flat(a, "sim/paid-empty", "0.05"),
    "sim/paid-hidden": lambda a: check_no_word(a, "sim/paid-hidden", 5),
    "sim/paid-refusal": check_refusal,
    "sim/paid-error": check_error,
    "sim/paid-error-once": check_error_once,
    "sim/paid-silent": lambda a: check_silent(a, "sim/paid-silent"),
    "sim/paid-slow-headers": lambda a: check_flat(a, "sim/paid-slow-headers", "0.05"),
    "sim/paid-silent-after-headers": check_silent_after_headers,
    "sim/paid-stall": check_stall,
    "sim/paid-late-usage": check_late_usage,
}


@pytest.mark.parametrize("name", CHECKS)
async def test_a_fault_charges_what_its_line_says(account: Account, name: str) -> None:
    await CHECKS[name](account)


def test_every_billing_fault_is_tested() -> None:
    assert {fault.name for fault in BILLS} == set(CHECKS)


# -- other endpoints -------------------------------------------------------------------------------


async def test_vectors_are_on_the_bill_and_known_by_their_id(account: Account) -> None:
    body = json.dumps({"model": "sim/vectors-paid", "input": ["x" * 40, "y" * 8]}).encode()
    made = await (
        await call(account.server, "POST", "/api/v1/embeddings", body, key=account.key)
    ).finish()
    assert await account.charged() == (12 * PROMPT_USD, 0)
    told = await account.generation(made.json["id"])
    assert (told.prompt_tokens, told.cost_nano_usd) == (12, nano(12 * PROMPT_USD))


async def test_images_are_on_the_bill(account: Account) -> None:
    body = json.dumps({"model": "sim/images", "prompt": "a fox", "stream": True}).encode()
    done = await (
        await call(account.server, "POST", "/api/v1/images", body, key=account.key)
    ).finish()
    usage = [chunk["usage"] for chunk in done.chunks if "usage" in chunk][-1]
    assert await account.charged() == (Decimal(str(usage["cost"])), 0)


async def test_an_image_whose_usage_was_told_is_charged_though_it_is_cut(account: Account) -> None:
    body = json.dumps({"model": "sim/images-cut", "prompt": "a fox", "stream": True}).encode()
    cut = await call(account.server, "POST", "/api/v1/images", body, key=account.key)
    assert (await cut.finish()).ended == "cut"
    charged, _ = await account.charged()
    assert charged > 0


async def test_a_bill_has_an_item_for_each_request_that_says_what_was_asked(
    account: Account,
) -> None:
    messages = [
        {"role": "system", "content": "You answer " + "x" * 500},
        {"role": "user", "content": "Which fox?"},
    ]
    for model in ("sim/byok", "sim/paid-empty", "sim/503"):
        await answer(account.server, model, key=account.key, messages=messages)
    usd, byok, generations = await account.bill()
    items = (await get(account.server, f"/sim/charges?key={account.last4}")).json
    assert [item["model"] for item in items] == ["sim/byok", "sim/paid-empty"]
    assert len(items) == generations
    assert sum(Decimal(item["usd"]) for item in items) == usd
    assert sum(Decimal(item["byokUsd"]) for item in items) == byok
    assert all(item["asked"].startswith("You answer x") for item in items)
    assert all(item["asked"].endswith("\nWhich fox?") for item in items)
    assert max(len(item["asked"]) for item in items) < 250
