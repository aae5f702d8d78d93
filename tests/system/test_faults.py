"""Every fault that the OpenRouter stand-in knows, through `execute_prompt`, unary and streamed.

Each ends in a typed answer within its deadline, with the connection to OpenRouter closed, the
ledger's entry ended once and its reservation given back. Each is tried again as often as it may
pass, and each attempt costs what is on OpenRouter's bill or is an estimate. The function is served
by functions-framework directly, many faults at once.

The stand-in quotes the key in every error, and in headers and comments: it is in no answer, no
document and no log.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from google.cloud.firestore import AsyncClient, FieldFilter

from scripts.bill_test.bill_audit import Bill
from scripts.devtools.callable_client import CallableClient, CallableFailure, id_token
from scripts.devtools.seed import store_key
from scripts.devtools.suite import Suite
from scripts.standins.openrouter.faults import FAULTS
from tests.support.in_process import World, new_world
from tests.support.serve import Serve

OK = {
    "fast": "stop",
    "paid": "stop",
    "u2028": "stop",
    "crlf": "stop",
    "split-utf8": "stop",
    "one-packet": "stop",
    "prompt": "stop",
    "megabyte-line": "stop",
    "json-for-sse": "stop",
    "no-done": "stop",
    "usage-null-finish": "stop",
    "usage-empty-choices": "stop",
    "usage-repeats-finish": "stop",
    "no-usage": "stop",
    "usage-twice": "stop",
    "empty-choices": "stop",
    "null-choices": "stop",
    "flaky-2": "stop",
    "length-no-text": "length",
    "content-filter": "content_filter",
    "plain": "stop",
    "cites": "stop",
    "parallel-tools": "stop",  # nobody declared any
    "bad-arguments": "tool_calls",
    "long-json": "stop",
    "flood": "stop",
    "unknown-tool": "tool_calls",
    "bad-json": "stop",
    "paid-bad-json": "stop",
    "worse-json": "stop",
    "ranks": "stop",  # nobody asked for a judgement
    "fenced-json": "stop",
    "slow-bad-json": "stop",
    "bad-json-silent": "stop",
    "8k": "stop",
    "8k-raw": "stop",
    "no-system": "stop",
    "402-affords": "stop",
    "sse-as-json": "stop",
    "max-tokens-after-text": "length",
    "pdf-then-502": "stop",  # there is no PDF
    "byok": "stop",
    "paid-misreported": "stop",
    "paid-negative": "stop",
    "paid-strings": "stop",
    "paid-nan": "stop",
    "paid-huge": "stop",
    "paid-no-usage": "stop",
    "paid-slow-headers": "stop",
    "paid-late-usage": "stop",
    "paid-error-once": "stop",
    "paid-long": "stop",
    "paid-refusal": "content_filter",
    "held-after-done": "stop",
    "held-after-finish": "stop",
    "done-with-space": "stop",
    "max-tokens": "length",
    "guardrail": "content_filter",
    "paid-zero-usage": "stop",
    "paid-floats": "stop",
    "two-choices": "stop",
    "reasoning-details": "stop",
    "plain-reasoning": "stop",
    "wrapped-json": "stop",
    "strict-turns": "stop",
    "blank-first": "stop",
    "free-billed": "stop",
}
FAILED = {
    "paid-4k-image": "answer_too_long",  # nobody asked for a picture
    "blank-finish": "stream_cut",
    "network-error": "stream_cut",
    "paid-packet-error": "upstream_busy",
    "shared-index": "empty_answer",  # nobody declared any tools
    "odd-tools": "empty_answer",
    "10000-tools": "too_many_tool_calls",
    "long-arguments": "answer_too_long",
    "empty": "empty_answer",
    "paid-empty": "empty_answer",
    "paid-hidden": "empty_answer",
    "paid-error": "upstream_busy",
    "paid-silent": "upstream_timeout",
    "paid-silent-after-headers": "upstream_timeout",
    "paid-stall": "upstream_timeout",
    "slow": "upstream_timeout",
    "silent": "upstream_timeout",
    "silent-after-headers": "upstream_timeout",
    "comments-only": "upstream_timeout",
    "stall": "upstream_timeout",
    "slow-drip": "upstream_timeout",
    "ticks": "upstream_timeout",  # ten seconds of tokens, five allowed
    "paid-ticks": "upstream_timeout",
    "steady": "upstream_timeout",
    "endless": "upstream_timeout",
    "reset": "upstream_unreachable",
    "reset-mid-stream": "stream_cut",
    "cut-mid-stream": "stream_cut",
    "paid-cut-mid-stream": "stream_cut",
    "no-finish": "stream_cut",
    "html-for-sse": "upstream_malformed",
    "malformed-json": "upstream_malformed",
    "error-in-200": "upstream_busy",
    "error-first": "upstream_busy",
    "error-after-text": "upstream_busy",
    "error-string-code": "upstream_busy",
    "error-word": "rate_limited",
    "long-line": "answer_too_long",
    "no-http": "upstream_malformed",
    "long-header": "upstream_malformed",
    "400": "upstream_rejected",
    "400-invalid-model": "model_not_found",
    "400-context-length": "context_too_long",
    "400-max-tokens": "max_tokens_too_high",
    "401": "key_invalid",
    "400-max-tokens-exceeded": "answer_too_long",
    "400-token-limit": "no_credit",
    "400-invalid-image": "attachment_rejected",
    "400-filter-in-raw": "moderated",
    "400-quotes": "upstream_rejected",
    "400-privacy-restricted": "no_provider",
    "402": "no_credit",
    "402-in-flight": "credit_busy",
    "402-key-limit": "key_limit_reached",
    "403": "upstream_forbidden",
    "403-moderation": "moderated",
    "403-guardrail": "moderated",
    "403-budget": "key_limit_reached",
    "403-key-limit": "key_limit_reached",
    "403-injection": "moderated",
    "404": "no_provider",
    "404-model-gone": "model_not_found",
    "404-data-policy": "no_provider",
    "404-privacy-restricted": "no_provider",
    "404-constraint-filtered": "no_provider",
    "404-no-endpoints": "no_provider",
    "404-model-not-found": "model_not_found",
    "404-no-allowed-provider": "no_provider",
    "404-ignored": "no_provider",
    "404-guardrail-policy": "no_provider",
    "408": "upstream_timeout",
    "409": "upstream_rejected",
    "410": "model_not_found",
    "412": "upstream_rejected",
    "413": "context_too_long",
    "422": "upstream_rejected",
    "429": "rate_limited",
    "429-retry-after": "rate_limited",
    "429-retry-after-60": "rate_limited",
    "429-free-daily": "free_daily_limit",
    "429-provider": "rate_limited",
    "500": "upstream_busy",
    "502": "upstream_busy",
    "503": "upstream_busy",
    "503-retry-after": "upstream_busy",
    "503-date": "upstream_busy",
    "503-next-year": "upstream_busy",
    "504": "upstream_timeout",
    "524": "upstream_timeout",
    "529": "upstream_busy",
}
# how often OpenRouter is asked, where that is not once
THRICE = {
    *("flaky-2", "paid-error", "reset", "html-for-sse", "no-http", "long-header", "402-in-flight"),
    *("error-in-200", "error-first", "error-word"),
    *("408", "429", "429-retry-after", "429-provider"),
    *("500", "502", "503", "503-retry-after", "503-date", "504", "524", "529"),
}
TWICE = {
    *("empty", "paid-empty", "paid-hidden", "shared-index", "odd-tools"),  # for it costs each time
    *("402-affords", "paid-error-once"),
}
UNENDING = {"slow-drip", "ticks", "paid-ticks", "steady", "endless"}
AT_ONCE = 16  # the deadlines above are of seconds, and the machine may be busy
# a key quoted in an upstream text, a prompt echoed by it: neither may come back to a caller
SECRET = "canary-key-55e0"
KEY = f"sk-or-v1-{SECRET}-echo-1234"
PROMPT = "What is the canary-prompt-7261 for?"


@dataclass
class Seen:
    """What a caller got."""

    frames: list[dict[str, Any]] = field(default_factory=list)
    result: dict[str, Any] | None = None
    failure: CallableFailure | None = None


def feature_of(fault: str) -> str:
    return f"fault-{fault}"


async def write_features(firestore: AsyncClient) -> None:
    batch = firestore.batch()
    for fault in (*OK, *FAILED):
        total_s = 5 if fault in UNENDING else 25
        silence_s = 2.5 if FAILED.get(fault) == "upstream_timeout" else 20
        deadlines = {"firstTokenS": silence_s, "idleS": silence_s, "totalS": total_s}
        settings = {"model": f"sim/{fault}", **deadlines}
        document = {"enabled": True, "revision": 1, "settings": settings}
        batch.set(firestore.collection("features").document(feature_of(fault)), document)
    await batch.commit()


async def ask(client: CallableClient, fault: str, *, stream: bool) -> Seen:
    seen = Seen()
    data = {"feature": feature_of(fault), "prompt": f"{PROMPT} {stream}"}
    try:
        if stream:
            async for kind, value in client.stream("", data):
                if kind == "result":
                    seen.result = value
                else:
                    seen.frames.append(value)
        else:
            seen.result = await client.call("", data)
    except CallableFailure as failure:
        seen.failure = failure
    return seen


async def settled(firestore: AsyncClient, uid: str) -> list[dict[str, Any]]:
    query = firestore.collection("generations").where(filter=FieldFilter("uid", "==", uid))
    return [snapshot.to_dict() or {} for snapshot in await query.get()]


def is_estimate(attempt: dict[str, Any]) -> bool:
    return bool(attempt.get("costIsEstimate"))


async def test_every_fault_ends_in_a_typed_answer_and_a_settled_entry(
    suite: Suite, serve: Serve, subtests: pytest.Subtests
) -> None:
    assert {f"sim/{name}" for name in (*OK, *FAILED)} == {f for f in FAULTS if "/replay/" not in f}
    async with new_world(suite, key=False) as world:
        await asyncio.to_thread(store_key, suite.secret_manager_host, world.project, KEY)
        await run_every_fault(world, serve, subtests)
        documents = str(await world.documents())
    assert SECRET not in documents


async def run_every_fault(world: World, serve: Serve, subtests: pytest.Subtests) -> None:
    suite, firestore = world.suite, world.firestore
    await write_features(firestore)
    await world.write("config/app", {"freeModelsOnly": False})
    app_check = await world.app_check()
    served = serve("execute_prompt", env={"GCLOUD_PROJECT": world.project})
    cases = [(fault, stream) for fault in (*OK, *FAILED) for stream in (False, True)]
    uids = {case: f"fault-{case[0]}-{case[1]}" for case in cases}

    places = asyncio.Semaphore(AT_ONCE)

    async def run(case: tuple[str, bool]) -> Seen:
        token = id_token(world.project, uids[case])
        async with places, CallableClient(served.url, token, app_check) as client:
            async with asyncio.timeout(60):
                return await ask(client, case[0], stream=case[1])

    seen = dict(zip(cases, await asyncio.gather(*map(run, cases)), strict=True))

    async with httpx.AsyncClient(trust_env=False) as http:
        requests = (await http.get(f"{suite.openrouter_root}/sim/requests")).json()
    still_open = Counter(r["model"] for r in requests if r["open"])
    log = served.log.read_text()
    bill = await Bill.read(suite, KEY)
    for case in cases:
        fault, stream = case
        with subtests.test(fault=fault, stream=stream):
            check(seen[case], fault, stream=stream)
            assert not still_open[f"sim/{fault}"], "the connection to OpenRouter is still open"
            (entry,) = await settled(firestore, uids[case])
            assert entry["status"] == ("done" if fault in OK else "failed")
            assert entry["error"] == FAILED.get(fault)
            tries = entry["attempts"]
            assert len(tries) == (3 if fault in THRICE else 2 if fault in TWICE else 1)
            for attempt in tries:
                if not is_estimate(attempt):
                    assert attempt["costNanoUsd"] == bill.of(attempt["upstreamId"])
            assert entry["costNanoUsd"] == sum(attempt["costNanoUsd"] for attempt in tries)
            assert entry["costIsEstimate"] == any(map(is_estimate, tries))
            window = firestore.document("quotas", uids[case], "windows", "concurrent")
            assert ((await window.get()).to_dict() or {})["count"] == 0
    assert "canary-prompt-7261" not in log
    assert SECRET not in log
    assert SECRET not in str(seen)
    assert "Traceback" not in log


def check(seen: Seen, fault: str, *, stream: bool) -> None:
    if fault in OK:
        assert seen.failure is None, seen.failure
        assert seen.result is not None
        assert seen.result["finishReason"] == OK[fault]
        if stream:
            text = "".join(f["delta"] for f in seen.frames if f["type"] == "text")
            assert text == seen.result["text"]
        if fault not in {"length-no-text", "content-filter"}:
            assert seen.result["text"] or seen.result["toolCalls"]
        return
    assert seen.result is None
    assert seen.failure is not None
    details = seen.failure.details
    assert details["reason"] == FAILED[fault]
    assert details["generationId"]
    assert seen.failure.message.endswith(".")
    written = details.pop("text", "")  # the model's own words, which quote the prompt
    if stream:
        assert written == "".join(f["delta"] for f in seen.frames if f["type"] == "text")
    assert "canary" not in f"{seen.failure.message}{details}"
