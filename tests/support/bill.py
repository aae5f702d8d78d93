"""What the OpenRouter stand-in charged to one key, to be held against the ledger."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx

from scripts.devtools.seed import store_key
from scripts.devtools.suite import Suite
from tests.support.in_process import World, new_world

NANO_PER_USD = 1_000_000_000


@dataclass(frozen=True)
class Bill:
    """The bill of one key.

    Attributes:
        nano_usd: All of it, in billionths of a US dollar.
        byok_nano_usd: What providers billed to the owner of the key, which is a part of it.
        generations: How many requests were accepted and have ended.
    """

    nano_usd: int = 0
    byok_nano_usd: int = 0
    generations: int = 0


class Account:
    """A key that nobody else uses."""

    def __init__(self, suite: Suite) -> None:
        self.key = f"sk-or-v1-bill-{secrets.token_hex(12)}"
        self._url = f"{suite.openrouter_root}/sim/bill"

    async def bill(self) -> Bill:
        async with httpx.AsyncClient(trust_env=False) as http:
            bills: dict[str, Any] = (await http.get(self._url)).json()
        mine = bills.get(self.key[-4:])
        if mine is None:
            return Bill()
        byok = Decimal(mine["byokUsd"])
        return Bill(_nano(Decimal(mine["usd"]) + byok), _nano(byok), mine["generations"])


@asynccontextmanager
async def billed_world(suite: Suite) -> AsyncIterator[tuple[World, Account]]:
    """A project whose only key has a bill of its own."""
    account = Account(suite)
    async with new_world(suite, key=False) as world:
        await asyncio.to_thread(store_key, suite.secret_manager_host, world.project, account.key)
        yield world, account


def _nano(usd: Decimal) -> int:
    exact = usd * NANO_PER_USD
    assert exact == int(exact), f"{usd} is no whole number of billionths"
    return int(exact)
