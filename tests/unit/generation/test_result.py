"""What the caller and the ledger get of a generation, however it ended."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from firerouter.callable import CallableError
from firerouter.contract import ExecutePrompt, Message, parse, parse_answer
from firerouter.conversations import Thread
from firerouter.conversations.tree import ThreadPlace
from firerouter.errors import Restarting, StreamCut, UpstreamBusy
from firerouter.features import AppSettings, Feature, FeatureSettings
from firerouter.files import FilePlan, GeneratedImage
from firerouter.generation.active import ActiveGeneration
from firerouter.generation.answer import AdmittedGeneration, AnswerOutcome, all_records
from firerouter.generation.cache import CachedAnswer
from firerouter.generation.exits import Ending
from firerouter.generation.helper_model import HelperCall
from firerouter.generation.limits import GenerationLimits
from firerouter.generation.preparation import PreparedRequest
from firerouter.generation.prices import ModelPrice, Prices
from firerouter.generation.result import (
    NO_TEXT,
    REASONING_NOT_KEPT,
    Conclusion,
    build_outcome,
    build_result,
    conclude,
)
from firerouter.keys import Secret
from firerouter.ledger import (
    Admission,
    AttemptRecord,
    FeatureUse,
    OpenEntry,
    RequestKey,
    Reserve,
    Windows,
)
from firerouter.ledger.entry import EntryState
from firerouter.openrouter import Answer, Attempt, AttemptLog, ChatRequest, Usage
from firerouter.openrouter.limits import OpenRouterLimits

DONE = Ending("done")
STOPPED = Ending("stopped")
RESERVED = 5_000_000  # nano dollars
NOTICE = {"reason": "parameter_dropped", "field": "temperature", "message": "Dropped."}
PRICES = Prices(  # US dollars for a million tokens: a token costs 1,000 and 2,000 nano dollars
    Decimal("0.02"),
    {name: ModelPrice(Decimal(1), Decimal(2)) for name in ("vendor/paid", "vendor/helper")},
)
FREE = Prices(Decimal("0.02"), {"vendor/paid": ModelPrice(is_free=True)})
CACHED: CachedAnswer = {
    "model": "vendor/other",
    "text": "Kept.",
    "reasoning": "Hm.",
    "finishReason": "stop",
    "usage": {
        "promptTokens": 4,
        "completionTokens": 2,
        "totalTokens": 6,
        "cost": 0.5,
        "costIsEstimate": True,
    },
}


class Run:
    """The run of an answer of which there is this, though something in it is spoilt."""

    def __init__(self, outcome: AnswerOutcome, spoilt: Exception | None = None) -> None:
        self._outcome = outcome
        self._spoilt = spoilt

    def outcome(self) -> AnswerOutcome:
        if self._spoilt is not None:
            raise self._spoilt
        return self._outcome

    def remains(self) -> AnswerOutcome:
        return self._outcome

    def records(self) -> list[AttemptRecord]:
        return all_records(self._outcome.attempts, self._outcome.helper_calls, PRICES)


class NoKeys:
    """Keys of a request that is never sent."""

    async def get(self) -> Secret:
        raise NotImplementedError

    async def next_after_refusal(self, refused: object, reason: str) -> Secret | None:
        raise NotImplementedError


def admitted(
    *,
    prices: Prices = PRICES,
    thread: Thread | None = None,
    cached: CachedAnswer | None = None,
    continues: bool = False,
    parameters: dict[str, Any] | None = None,
    **request: Any,
) -> AdmittedGeneration:
    """Return a generation of the user ann's. Call it inside the event loop."""
    asked = parse(ExecutePrompt, {"feature": "chat", "prompt": "x" * 40, **request})
    upstream = ChatRequest(
        keys=NoKeys(),
        models=["vendor/paid"],
        messages=[Message("user", "x" * 40)],
        parameters=parameters or {},
        app_name="app",
        referer="https://app.test",
    )
    prepared = PreparedRequest(
        request=asked,
        feature=Feature("chat", True, 7, FeatureSettings()),
        app=AppSettings(),
        upstream=upstream,
        thread=thread,
        files=FilePlan(["vendor/paid"], []),
        notices=(),
        reserve=Reserve(base_nano_usd=RESERVED),
        prices=prices,
        cache_id=None,
    )
    admission = Admission(
        id="g1",
        uid="ann",
        request=RequestKey(payload="p", request_id=asked.request_id),
        feature=FeatureUse(id="chat", revision=7, model="vendor/paid"),
        reserve=Reserve(base_nano_usd=RESERVED),
        continues=continues,
    )
    now = datetime(2026, 1, 1, tzinfo=UTC)
    entry = OpenEntry(admission, "nonce", Windows(at=now), EntryState(now))
    active = ActiveGeneration("g1", "ann", "p", "", total_s=60.0)
    return AdmittedGeneration(active, prepared, entry, cached)


def answer(text: str = "y" * 8, *, finish: str | None = "stop", cost: int | None = 100) -> Answer:
    """Return an answer; cost -1: OpenRouter said nothing of its usage."""
    made = Answer("vendor/dated", "gen-1", OpenRouterLimits())
    if text:
        made.add_text("text", text)
    made.provider, made.finish_reason = "Provider", finish
    if cost != -1:
        made.usage = Usage(10, 5, cost_nano_usd=cost)
    return made


def asked(of: Answer | None = None, reason: str | None = None, **fields: Any) -> Attempt:
    """Return an attempt that OpenRouter accepted, with what came of it."""
    attempt = Attempt("vendor/paid", "gen-1", reason, 3, accepted=True, answer=of)
    return replace(attempt, **fields)


def came(generation: AdmittedGeneration, *attempts: Attempt, **more: Any) -> AnswerOutcome:
    """Return what came of it: nothing, but for what is named."""
    fields: dict[str, Any] = {
        "answer": None,
        "cached": None,
        "helper_calls": (),
        "summary": None,
        "annotations": (),
        "images": (),
        "notices": (),
        "first_token_ms": 20,
        "total_ms": 90,
    }
    upstream = generation.prepared.upstream
    attempts = tuple(replace(attempt, request=upstream) for attempt in attempts)
    answers = [attempt.answer for attempt in attempts if attempt.answer and not attempt.reason]
    fields["answer"] = answers[-1] if answers else None
    fields |= more
    of = fields["answer"]
    text = fields["cached"]["text"] if fields["cached"] else of.text if of else ""
    fields.setdefault("parsed", parse_answer(text, upstream.response_format))
    if "records" not in fields:
        records = all_records(attempts, fields["helper_calls"], generation.prepared.prices)
        fields["records"] = tuple(records)
    return AnswerOutcome(upstream=upstream, attempts=attempts, **fields)


def settled(
    generation: AdmittedGeneration, outcome: AnswerOutcome, ending: Ending = DONE
) -> tuple[Any, Any]:
    """Return what the caller gets, and how the ledger's entry ends."""
    result = build_result(generation, outcome, ending.status)
    return result, build_outcome(generation, outcome, ending, result, GenerationLimits())


# -- the caller's result ---------------------------------------------------------------------------


async def test_a_whole_answer() -> None:
    generation = admitted(requestId="r")
    result, end = settled(generation, came(generation, asked(answer())))
    assert list(result.items()) == [
        ("generationId", "g1"),
        ("feature", "chat"),
        ("revision", 7),
        ("model", "vendor/dated"),
        ("provider", "Provider"),
        ("text", "yyyyyyyy"),
        ("finishReason", "stop"),
        ("usage", {"promptTokens": 10, "completionTokens": 5, "totalTokens": 15, "cost": 1e-7}),
        ("timing", {"firstTokenMs": 20, "totalMs": 90}),
        ("cached", False),
        ("attempts", [{"model": "vendor/paid"}]),
    ]
    assert (end.status, end.model, end.provider) == ("done", "vendor/dated", "Provider")
    assert (end.finish_reason, end.error, end.cost_nano_usd) == ("stop", None, 100)
    assert end.attempts[0].to_document() == {
        "model": "vendor/paid",
        "upstreamId": "gen-1",
        "reason": None,
        "keyVersion": 3,
        "costNanoUsd": 100,
    }
    assert end.result == result


async def test_all_that_an_answer_may_have_comes_in_its_order() -> None:
    generation = admitted(
        parameters={"tools": [{"type": "function", "function": {"name": "look"}}]},
        thread=Thread(ThreadPlace("ann", "c1", "g1", "chat")),
    )
    full = answer("", finish="tool_calls")
    full.add_text("reasoning", "Hm.")
    full.add_reasoning_details([{"type": "reasoning.text", "text": "Hm."}], whole=True)
    full.tool_calls = [
        {"id": "1", "name": "look", "arguments": "{}"},
        {"id": "2", "name": "other", "arguments": "{}"},
    ]
    image = GeneratedImage(0, "image/png", 3, None, "QUJD")
    outcome = came(generation, asked(full), images=(image,), notices=(NOTICE,))
    result, _ = settled(generation, outcome)
    assert list(result) == [
        *("generationId", "conversationId", "messageId", "feature", "revision", "model"),
        *("provider", "text", "reasoning", "toolCalls", "reasoningDetails", "images"),
        *("finishReason", "usage", "timing", "cached", "notices", "attempts"),
    ]
    assert [call.get("error") for call in result["toolCalls"]] == [None, "unknown_tool"]
    assert (result["conversationId"], result["messageId"]) == ("c1", "ag1")


async def test_reasoning_that_cannot_be_sent_back_is_told_after_the_other_notices() -> None:
    generation = admitted()
    long = answer()
    details = [{"type": "reasoning.text", "text": "x" * 2_000_000}]
    long.add_reasoning_details(details, whole=True)
    result, _ = settled(generation, came(generation, asked(long), notices=(NOTICE,)))
    assert result["notices"] == [NOTICE, REASONING_NOT_KEPT]
    assert "reasoningDetails" not in result


@pytest.mark.parametrize("finish", ["length", "content_filter", "stop"])
async def test_an_answer_without_text_says_why(finish: str) -> None:
    generation = admitted()
    thought = answer(" \n", finish=finish)
    thought.add_text("reasoning", "Hm.")
    result, _ = settled(generation, came(generation, asked(thought)))
    assert [notice["reason"] for notice in result["notices"]] == ["no_text"]
    assert result["notices"][0]["message"] == NO_TEXT[finish]
    spoken, _ = settled(generation, came(generation, asked(answer(finish=finish))))
    assert "notices" not in spoken


async def test_a_refusal_is_told_beside_the_text() -> None:
    generation = admitted(parameters={"response_format": {"type": "json_object"}})
    refused = answer("", finish="stop")
    refused.add_refusal("I am sorry.")
    refused.finish()
    result, _ = settled(generation, came(generation, asked(refused)))
    assert (result["text"], result["refusal"]) == ("I am sorry.", "I am sorry.")
    assert result["finishReason"] == "content_filter"
    assert "notices" not in result


async def test_the_json_of_a_whole_answer_is_read_and_a_fault_is_told_of() -> None:
    wanted = {"response_format": {"type": "json_object"}}
    generation = admitted(parameters=wanted, requestId="r")
    result, end = settled(generation, came(generation, asked(answer('{"a": 1}'))))
    assert result["json"] == {"a": 1}
    assert end.result["hasJson"] is True
    assert "json" not in end.result
    result, _ = settled(generation, came(generation, asked(answer("{")), notices=(NOTICE,)))
    assert [notice["reason"] for notice in result["notices"]] == [
        "parameter_dropped",
        "format_not_kept",
    ]
    stopped, _ = settled(generation, came(generation, asked(answer("{", finish=None))), STOPPED)
    assert "notices" not in stopped, "nobody expects the whole of what was stopped"


# -- stopped, failed, interrupted ------------------------------------------------------------------


async def test_a_stopped_answer_counts_and_costs_what_was_sent_and_written() -> None:
    generation = admitted(requestId="r")
    cut = answer(finish=None, cost=-1)
    result, end = settled(generation, came(generation, asked(cut)), STOPPED)
    assert (result["text"], result["finishReason"]) == ("yyyyyyyy", "stopped")
    assert result["usage"] == {
        "promptTokens": 10,
        "completionTokens": 2,
        "totalTokens": 12,
        "cost": (10 * 1000 + 2 * 2000) / 1e9,
        "costIsEstimate": True,
    }
    assert (end.status, end.cost_nano_usd, end.cost_is_estimate) == ("stopped", 14_000, True)
    assert end.result == result


async def test_a_stop_after_the_last_token_is_a_stop_with_a_known_cost() -> None:
    generation = admitted()
    result, end = settled(generation, came(generation, asked(answer())), STOPPED)
    assert result["finishReason"] == "stopped"
    assert (end.cost_nano_usd, end.cost_is_estimate) == (100, False)


async def test_what_was_stopped_before_it_was_sent_costs_nothing() -> None:
    generation = admitted()
    outcome = came(generation, first_token_ms=None)
    result, end = settled(generation, outcome, STOPPED)
    assert (result["model"], result["text"], result["attempts"]) == ("vendor/paid", "", [])
    assert result["usage"]["totalTokens"] == result["usage"]["cost"] == 0
    assert result["timing"] == {"totalMs": 90}
    assert "provider" not in result
    assert (end.cost_nano_usd, end.cost_is_estimate) == (0, False)


async def test_a_failure_without_an_answer_costs_nothing_and_keeps_no_result() -> None:
    generation = admitted(requestId="r")
    failed = Ending("failed", UpstreamBusy())
    busy = Attempt("vendor/paid", None, "upstream_busy", 3)
    result, end = settled(generation, came(generation, busy), failed)
    assert result["attempts"] == [{"model": "vendor/paid", "reason": "upstream_busy"}]
    assert (end.status, end.error, end.finish_reason) == ("failed", UpstreamBusy.reason, None)
    assert (end.cost_nano_usd, end.cost_is_estimate, end.result) == (0, False, None)


@pytest.mark.parametrize(
    "ending", [Ending("failed", StreamCut()), Ending("interrupted", Restarting())]
)
async def test_what_broke_off_half_way_is_an_estimate(ending: Ending) -> None:
    generation = admitted(requestId="r")
    cut = answer(finish=None, cost=-1)
    result, end = settled(generation, came(generation, asked(cut)), ending)
    assert ending.failure is not None
    assert ("finishReason" in result, result["text"]) == (False, "yyyyyyyy"), "nobody stopped it"
    assert (end.status, end.error) == (ending.status, ending.failure.reason)
    assert (end.cost_nano_usd, end.cost_is_estimate, end.result) == (14_000, True, None)


async def test_a_fault_of_our_own_after_the_request_was_sent_is_an_estimate() -> None:
    generation = admitted()
    failed = Ending("failed", CallableError())
    _, end = settled(generation, came(generation, asked()), failed)
    assert (end.cost_nano_usd, end.cost_is_estimate) == (10_000, True)


async def test_what_no_result_can_be_made_of_is_settled_all_the_same() -> None:
    generation = admitted(requestId="r")

    def end(outcome: AnswerOutcome, spoilt: Exception | None = None) -> Conclusion:
        return conclude(generation, Run(outcome, spoilt), DONE, GenerationLimits())

    whole = came(generation, asked(answer()))
    assert end(whole).ending is DONE
    spoilt = end(whole, ZeroDivisionError("secret"))
    assert (spoilt.result["generationId"], spoilt.result["text"]) == ("g1", "yyyyyyyy")
    assert (spoilt.ending.status, spoilt.outcome.status) == ("failed", "failed")
    assert (spoilt.outcome.cost_nano_usd, spoilt.outcome.cost_is_estimate) == (100, False)
    assert (spoilt.outcome.error, spoilt.outcome.result) == (CallableError.reason, None)
    assert len(spoilt.outcome.attempts) == 1
    assert spoilt.outcome.usage["totalTokens"] == 15
    assert end(came(generation), ZeroDivisionError()).result["text"] == ""
    cached = end(came(generation, cached=CACHED), ZeroDivisionError())
    assert cached.result["text"] == "Kept."


async def test_an_answer_that_cannot_be_stored_is_settled_as_failed_at_what_it_cost() -> None:
    generation = admitted(requestId="r")
    odd: Any = {"url": float("nan")}
    made = answer()
    made.citations.append(odd)
    end = conclude(generation, Run(came(generation, asked(made))), DONE, GenerationLimits())
    assert (end.ending.status, end.outcome.status) == ("failed", "failed")
    assert end.outcome.cost_nano_usd == 100


async def test_where_not_even_the_cost_can_be_said_what_was_reserved_stands() -> None:
    generation = admitted()
    attempt = asked(vectors_usage="spoilt")
    run = Run(came(generation, attempt, records=()), ZeroDivisionError())
    end = conclude(generation, run, DONE, GenerationLimits())
    assert (end.outcome.status, end.outcome.cost_is_estimate) == ("failed", True)
    assert end.outcome.cost_nano_usd == RESERVED
    assert end.told["usage"]["cost"] == RESERVED / 1e9


# -- what it cost ----------------------------------------------------------------------------------


async def test_a_repair_is_paid_for_like_the_answer_that_it_replaces() -> None:
    generation = admitted()
    outcome = came(generation, asked(answer(cost=30)), asked(answer()))
    result, end = settled(generation, outcome)
    assert (result["usage"]["totalTokens"], end.cost_nano_usd) == (30, 130)
    assert "costDetails" not in result["usage"]


async def test_of_two_answers_one_that_has_no_price_is_an_estimate_of_its_own() -> None:
    generation = admitted()
    outcome = came(generation, asked(answer(cost=None)), asked(answer()))
    result, end = settled(generation, outcome)
    assert (end.cost_nano_usd, end.cost_is_estimate) == (10 * 1000 + 5 * 2000 + 100, True)
    assert [attempt.is_estimate for attempt in end.attempts] == [True, False]
    assert (result["usage"]["totalTokens"], result["usage"]["costIsEstimate"]) == (30, True)


async def test_a_failed_attempt_is_paid_for_beside_the_answer_and_told_apart() -> None:
    generation = admitted()
    empty = asked(answer("", cost=40), "empty_answer")
    result, end = settled(generation, came(generation, empty, asked(answer())))
    assert (end.cost_nano_usd, end.cost_is_estimate) == (140, False)
    assert result["usage"]["cost"] == 140 / 1e9
    assert result["usage"]["costDetails"] == {"answer": 100 / 1e9, "failedAttempts": 40 / 1e9}


async def test_what_a_provider_billed_to_an_own_key_is_told_apart() -> None:
    generation = admitted()
    own = answer()
    own.usage = Usage(10, 5, cost_nano_usd=105, byok_nano_usd=100)
    result, end = settled(generation, came(generation, asked(own)))
    assert result["usage"]["costDetails"] == {"answer": 105 / 1e9, "byok": 100 / 1e9}
    assert end.attempts[0].byok_nano_usd == 100


async def test_nothing_of_a_free_model_is_ever_an_estimate() -> None:
    generation = admitted(prices=FREE)
    for ending, made in ((DONE, answer(cost=None)), (STOPPED, answer(finish=None, cost=-1))):
        result, end = settled(generation, came(generation, asked(made)), ending)
        assert (result["usage"]["cost"], end.cost_nano_usd) == (0.0, 0)
        assert "costIsEstimate" not in result["usage"]


def helped(purpose: str, made: Answer | None, reason: str | None = None) -> HelperCall:
    attempt = Attempt("vendor/helper", "gen-2", reason, 3, accepted=True, answer=made)
    return HelperCall(purpose, "vendor/helper", AttemptLog([attempt]))


async def test_what_the_helper_model_costs_is_paid_for_beside_the_answer_and_told() -> None:
    generation = admitted()
    title = helped("title", answer(cost=7))
    result, end = settled(generation, came(generation, asked(answer()), helper_calls=(title,)))
    assert end.cost_nano_usd == 107
    assert result["usage"]["cost"] == 107 / 1e9
    assert result["usage"]["costDetails"] == {"answer": 100 / 1e9, "helper": 7 / 1e9}
    assert result["usage"]["totalTokens"] == 15, "the answer's own"
    assert [attempt.purpose for attempt in end.attempts] == [None, "title"]


@pytest.mark.parametrize("reason", [None, "stopped", "empty_answer"])
async def test_a_helper_call_of_unknown_cost_is_an_estimate(reason: str | None) -> None:
    generation = admitted()
    begun = helped("summary", answer("y" * 400, cost=-1), reason)
    outcome = came(generation, asked(answer()), helper_calls=(begun,))
    _, end = settled(generation, outcome)
    assert (end.cost_nano_usd, end.cost_is_estimate) == (100 + 100 * 2000, True)


async def test_a_helper_call_that_was_refused_costs_nothing() -> None:
    generation = admitted()
    busy = Attempt("vendor/helper", None, "upstream_busy", 3)
    refused = HelperCall("title", "vendor/helper", AttemptLog([busy]))
    outcome = came(generation, asked(answer()), helper_calls=(refused,))
    _, end = settled(generation, outcome)
    assert (end.cost_nano_usd, end.cost_is_estimate) == (100, False)


# -- a cached answer -------------------------------------------------------------------------------


async def test_a_cached_answer_is_another_generation_that_costs_nothing() -> None:
    generation = admitted(cached=CACHED, requestId="r")
    result, end = settled(generation, came(generation, cached=CACHED, notices=(NOTICE,)))
    assert result == {
        **CACHED,
        "generationId": "g1",
        "feature": "chat",
        "revision": 7,
        "usage": {"promptTokens": 4, "completionTokens": 2, "totalTokens": 6, "cost": 0.0},
        "timing": {"firstTokenMs": 20, "totalMs": 90},
        "cached": True,
        "notices": [NOTICE],
        "attempts": [],
    }
    assert (end.cost_nano_usd, end.attempts, end.result) == (0, (), result)
    assert CACHED["usage"]["cost"] == 0.5, "the cache's own stays as it was"


async def test_a_title_beside_a_cached_answer_is_paid_for() -> None:
    generation = admitted(cached=CACHED)
    title = helped("title", answer(cost=7))
    result, end = settled(generation, came(generation, cached=CACHED, helper_calls=(title,)))
    assert (result["usage"]["cost"], end.cost_nano_usd) == (7 / 1e9, 7)


async def test_the_images_of_a_cached_answer_are_this_generations_own() -> None:
    cached: CachedAnswer = {**CACHED, "images": [{"path": "users/bob/images/1"}]}  # type: ignore[typeddict-item]
    own = GeneratedImage(0, "image/png", 3, "users/ann/images/g1.0.png")
    generation = admitted(cached=cached)
    result, _ = settled(generation, came(generation, cached=cached, images=(own,)))
    assert result["images"] == [own.to_wire()]


# -- whether the ledger keeps it -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "keeps"),
    [
        ({}, False),
        ({"requestId": "r"}, True),
        ({"continues": True}, True),
        ({"requestId": "r", "temporary": True}, False),
    ],
)
async def test_a_result_is_kept_for_whoever_may_ask_for_it_again(
    fields: dict[str, Any], keeps: bool
) -> None:
    generation = admitted(**fields)
    _, end = settled(generation, came(generation, asked(answer())))
    assert (end.result is not None) is keeps


async def test_a_result_that_no_document_holds_is_not_kept() -> None:
    generation = admitted(requestId="r")
    long = answer("y" * GenerationLimits().result_max_bytes)
    _, end = settled(generation, came(generation, asked(long)))
    assert (end.result, end.status, end.cost_nano_usd) == (None, "done", 100)


async def test_the_bytes_of_images_are_not_kept() -> None:
    generation = admitted(requestId="r")
    images = (
        GeneratedImage(0, "image/png", 3, "users/ann/images/g1.0.png", "QUJD"),
        GeneratedImage(1, "image/png", 3, None, "QUJD"),
    )
    result, end = settled(generation, came(generation, asked(answer()), images=images))
    assert [image.get("data") for image in result["images"]] == ["QUJD", "QUJD"]
    assert end.result["images"] == [
        {"index": 0, "contentType": "image/png", "bytes": 3, "path": "users/ann/images/g1.0.png"}
    ]
