"""Budgets over HTTP: two processes, real prices, and a bill that is never more than was allowed."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest
from google.cloud.firestore import AsyncClient

from scripts.devtools.callable_client import CallableClient, CallableFailure, id_token
from scripts.devtools.suite import Suite
from tests.support import counters
from tests.support.serve import Serve

CALLS = 50
ROOM_FOR = 3
ASKED = {"feature": "budget", "prompt": "Count to thirty."}


async def prepared(firestore: AsyncClient, uid: str, **limits: Any) -> None:
    settings = {"model": "sim/paid-ticks", "maxTokens": 30, "stream": False}
    document = {"enabled": True, "revision": 1, "settings": settings}
    await firestore.document("features/budget").set(document)
    own = {"requestsPerMinute": 1000, "concurrent": 100, **limits}
    await firestore.document(f"limits/{uid}").set({"limits": own})


async def windows(firestore: AsyncClient, uid: str) -> dict[str, Any]:
    found = firestore.document("quotas", uid).collection("windows").stream()
    return {window.id: window.to_dict() or {} async for window in found}


async def reserved_for_one(firestore: AsyncClient, client: CallableClient) -> int:
    """Return the worst case of the call, in nano dollars."""
    result = await client.call("", ASKED)
    entry = await firestore.document(f"generations/{result['generationId']}").get()
    reserved: int = entry.get("reservedNanoUsd")
    assert 0 < entry.get("costNanoUsd") <= reserved
    return reserved


@pytest.mark.usefixtures("paid_models")
async def test_fifty_calls_at_two_processes_on_a_budget_for_three_are_three(
    suite: Suite, serve: Serve, app_check: str, firestore: AsyncClient
) -> None:
    urls = [serve("execute_prompt").url for _ in range(2)]
    first, uid = (f"payer-{secrets.token_hex(4)}" for _ in range(2))
    await prepared(firestore, first)
    async with CallableClient(urls[0], id_token(suite.project, first), app_check) as client:
        reserved = await reserved_for_one(firestore, client)
    budget = ROOM_FOR * reserved + reserved // 2
    await prepared(firestore, uid, usdPerDay=budget / 1e9)

    clients = [CallableClient(url, id_token(suite.project, uid), app_check) for url in urls]
    outcomes = await asyncio.gather(
        *(clients[number % 2].call("", ASKED) for number in range(CALLS)), return_exceptions=True
    )
    for client in clients:
        await client.aclose()
    answered = [outcome for outcome in outcomes if isinstance(outcome, dict)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, CallableFailure)]
    assert (len(answered), len(refused)) == (ROOM_FOR, CALLS - ROOM_FOR)
    assert {failure.details["limit"] for failure in refused} == {"usdPerDay"}
    found = await windows(firestore, uid)
    spent = sum(round(one["usage"]["cost"] * 1e9) for one in answered)
    assert counters.spent(found) == spent <= budget
    assert (counters.requests(found), counters.running(found)) == (ROOM_FOR, 0)
