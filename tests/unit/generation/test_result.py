"""What the caller and the ledger get of a generation, however it ended."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from firerouter.callable import CallableError
from firerouter.contract import ExecutePrompt, Message, parse
from firerouter.conversations import Thread
from firerouter.conversations.tree import ThreadPlace
from firerouter.errors import Restarting, StreamCut, UpstreamBusy
from firerouter.features import AppSettings, Feature, FeatureSettings
from firerouter.files import FilePlan, GeneratedImage
from firerouter.generation.active import ActiveGeneration
from firerouter.generation.answer import AdmittedGeneration, AnswerOutcome
from firerouter.generation.cache import CachedAnswer
from firerouter.generation.exits import Ending
from firerouter.generation.helper_model import HelperCall
from firerouter.generation.limits import GenerationLimits
from firerouter.generation.preparation import PreparedRequest
from firerouter.generation.result import (
    REASONING_NOT_KEPT,
    build_outcome,
    build_result,
    minimal_result,
    usage_of,
)
from firerouter.keys import Secret
from firerouter.ledger import Admission, FeatureUse, OpenEntry, RequestKey, Reserve, Windows
from firerouter.ledger.entry import EntryState
from firerouter.openrouter import Answer, Attempt, AttemptLog, ChatRequest, Usage
from firerouter.openrouter.limits import OpenRouterLimits

DONE = Ending("done")
STOPPED = Ending("stopped")
RESERVED = 5_000_000  # nano dollars
NOTICE = {"reason": "parameter_dropped", "field": "temperature", "message": "Dropped."}
ANSWERED = Attempt("vendor/paid", "gen-1", None, 3)
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


class NoKeys:
    """Keys of a request that is never sent."""

    async def get(self) -> Secret:
        raise NotImplementedError

    async def next_after_refusal(self, refused: object) -> Secret | None:
        raise NotImplementedError


def admitted(
    *,
    reserved: int = RESERVED,
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
        reserve=Reserve(base_nano_usd=reserved),
        cache_id=None,
    )
    admission = Admission(
        id="g1",
        uid="ann",
        request=RequestKey(payload="p", request_id=asked.request_id),
        feature=FeatureUse(id="chat", revision=7, model="vendor/paid"),
        reserve=Reserve(base_nano_usd=reserved),
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


def came(generation: AdmittedGeneration, *attempts: Attempt, **more: Any) -> AnswerOutcome:
    """Return what came of it: nothing, but for what is named."""
    fields: dict[str, Any] = {
        "answer": None,
        "replaced": None,
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
    return AnswerOutcome(upstream=upstream, attempts=attempts, **{**fields, **more})


def settled(
    generation: AdmittedGeneration, outcome: AnswerOutcome, ending: Ending = DONE
) -> tuple[Any, Any]:
    """Return what the caller gets, and how the ledger's entry ends."""
    result = build_result(generation, outcome, ending.status)
    return result, build_outcome(generation, outcome, ending, result, GenerationLimits())


# -- the caller's result ---------------------------------------------------------------------------


async def test_a_whole_answer() -> None:
    generation = admitted(requestId="r")
    result, end = settled(generation, came(generation, ANSWERED, answer=answer()))
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
    outcome = came(generation, ANSWERED, answer=full, images=(image,), notices=(NOTICE,))
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
    result, _ = settled(generation, came(generation, answer=long, notices=(NOTICE,)))
    assert result["notices"] == [NOTICE, REASONING_NOT_KEPT]
    assert "reasoningDetails" not in result


async def test_the_json_of_a_whole_answer_is_read_and_a_fault_is_told_of() -> None:
    wanted = {"response_format": {"type": "json_object"}}
    generation = admitted(parameters=wanted, requestId="r")
    result, end = settled(generation, came(generation, answer=answer('{"a": 1}')))
    assert result["json"] == {"a": 1}
    assert end.result["hasJson"] is True
    assert "json" not in end.result
    result, _ = settled(generation, came(generation, answer=answer("{"), notices=(NOTICE,)))
    assert [notice["reason"] for notice in result["notices"]] == [
        "parameter_dropped",
        "format_not_kept",
    ]
    stopped, _ = settled(generation, came(generation, answer=answer("{", finish=None)), STOPPED)
    assert "notices" not in stopped, "nobody expects the whole of what was stopped"


# -- stopped, failed, interrupted ------------------------------------------------------------------


async def test_a_stopped_answer_counts_what_was_sent_and_written() -> None:
    generation = admitted(requestId="r")
    cut = answer(finish=None, cost=-1)
    result, end = settled(generation, came(generation, ANSWERED, answer=cut), STOPPED)
    assert (result["text"], result["finishReason"]) == ("yyyyyyyy", "stopped")
    assert result["usage"] == {
        "promptTokens": 10,
        "completionTokens": 2,
        "totalTokens": 12,
        "cost": 0.005,
        "costIsEstimate": True,
    }
    assert (end.status, end.cost_nano_usd) == ("stopped", None)
    assert end.result == result


async def test_a_stop_after_the_last_token_is_a_stop_with_a_known_cost() -> None:
    generation = admitted()
    result, end = settled(generation, came(generation, ANSWERED, answer=answer()), STOPPED)
    assert (result["finishReason"], end.cost_nano_usd) == ("stopped", 100)


async def test_what_was_stopped_before_it_was_sent_costs_nothing() -> None:
    generation = admitted()
    outcome = came(generation, first_token_ms=None)
    result, end = settled(generation, outcome, STOPPED)
    assert (result["model"], result["text"], result["attempts"]) == ("vendor/paid", "", [])
    assert result["usage"]["totalTokens"] == result["usage"]["cost"] == 0
    assert result["timing"] == {"totalMs": 90}
    assert "provider" not in result
    assert end.cost_nano_usd == 0


async def test_a_call_that_was_stopped_before_its_first_token_may_cost_something() -> None:
    generation = admitted()
    stopped = Attempt("vendor/paid", "gen-1", "stopped", 3)
    result, end = settled(generation, came(generation, stopped), STOPPED)
    assert (result["usage"]["cost"], result["usage"]["costIsEstimate"]) == (0.005, True)
    assert end.cost_nano_usd is None


async def test_a_failure_without_an_answer_costs_nothing_and_keeps_no_result() -> None:
    generation = admitted(requestId="r")
    failed = Ending("failed", UpstreamBusy())
    busy = Attempt("vendor/paid", None, "upstream_busy", 3)
    result, end = settled(generation, came(generation, busy), failed)
    assert result["attempts"] == [{"model": "vendor/paid", "reason": "upstream_busy"}]
    assert (end.status, end.error, end.finish_reason) == ("failed", UpstreamBusy.reason, None)
    assert (end.cost_nano_usd, end.result) == (0, None)


@pytest.mark.parametrize(
    "ending", [Ending("failed", StreamCut()), Ending("interrupted", Restarting())]
)
async def test_what_broke_off_half_way_stands_at_its_estimate(ending: Ending) -> None:
    generation = admitted(requestId="r")
    cut = answer(finish=None, cost=-1)
    result, end = settled(generation, came(generation, ANSWERED, answer=cut), ending)
    assert ending.failure is not None
    assert (result["finishReason"], result["text"]) == ("stopped", "yyyyyyyy")
    assert (end.status, end.error) == (ending.status, ending.failure.reason)
    assert (end.cost_nano_usd, end.result) == (None, None)


async def test_a_fault_of_our_own_after_the_request_was_sent_stands_at_its_estimate() -> None:
    generation = admitted()
    failed = Ending("failed", CallableError())
    _, end = settled(generation, came(generation, ANSWERED), failed)
    assert end.cost_nano_usd is None


async def test_what_no_result_can_be_made_of_is_settled_all_the_same() -> None:
    generation = admitted()
    failed = Ending("failed", CallableError())
    outcome = came(generation, ANSWERED, answer=answer())
    result = minimal_result(generation, outcome)
    assert (result["generationId"], result["text"]) == ("g1", "yyyyyyyy")
    end = build_outcome(generation, outcome, failed, result, GenerationLimits())
    assert (end.status, end.cost_nano_usd, end.result) == ("failed", 100, None)
    assert minimal_result(generation, came(generation))["text"] == ""
    assert minimal_result(generation, came(generation, cached=CACHED))["text"] == "Kept."


# -- what it cost ----------------------------------------------------------------------------------


async def test_a_repair_is_paid_for_like_the_answer_that_it_replaces() -> None:
    generation = admitted()
    outcome = came(generation, ANSWERED, ANSWERED, answer=answer(), replaced=answer(cost=30))
    assert usage_of(outcome) == Usage(20, 10, cost_nano_usd=130)
    result, end = settled(generation, outcome)
    assert (result["usage"]["totalTokens"], end.cost_nano_usd) == (30, 130)


@pytest.mark.parametrize(("cost", "tokens"), [(None, 30), (-1, 12)])
async def test_two_answers_of_which_one_has_no_price_stand_at_the_estimate(
    cost: int | None, tokens: int
) -> None:
    generation = admitted()
    outcome = came(generation, ANSWERED, ANSWERED, answer=answer(), replaced=answer(cost=cost))
    result, end = settled(generation, outcome)
    assert end.cost_nano_usd is None
    assert result["usage"]["totalTokens"] == tokens
    assert result["usage"]["costIsEstimate"] is True


async def test_a_stopped_call_hides_the_cost_of_the_answer_beside_it() -> None:
    generation = admitted()
    stopped = replace(ANSWERED, reason="stopped")
    assert usage_of(came(generation, ANSWERED, stopped, answer=answer())) is None


async def test_an_answer_without_a_price_stands_at_the_estimate() -> None:
    generation = admitted()
    result, end = settled(generation, came(generation, ANSWERED, answer=answer(cost=None)))
    assert (result["usage"]["cost"], result["usage"]["totalTokens"]) == (0.005, 15)
    assert end.cost_nano_usd is None


async def test_nothing_of_a_free_model_is_ever_billed() -> None:
    generation = admitted(reserved=0)
    for ending, made in ((DONE, answer(cost=None)), (STOPPED, answer(finish=None, cost=-1))):
        result, end = settled(generation, came(generation, ANSWERED, answer=made), ending)
        assert (result["usage"]["cost"], end.cost_nano_usd) == (0.0, 0)
        assert result["usage"]["costIsEstimate"] is True, "OpenRouter said nothing of it"


async def test_what_the_helper_model_costs_is_paid_for_beside_the_answer() -> None:
    generation = admitted()
    title = HelperCall("title", "vendor/helper", AttemptLog([ANSWERED]), answer(cost=7))
    outcome = came(generation, ANSWERED, answer=answer(), helper_calls=(title,))
    result, end = settled(generation, outcome)
    assert end.cost_nano_usd == 107
    assert result["usage"]["cost"] == 1e-7, "the answer's own"
    assert [attempt.purpose for attempt in end.attempts] == [None, "title"]


async def test_a_helper_call_of_unknown_cost_leaves_the_whole_at_its_estimate() -> None:
    generation = admitted()
    begun = HelperCall("summary", "vendor/helper", AttemptLog([ANSWERED]))
    outcome = came(generation, ANSWERED, answer=answer(), helper_calls=(begun,))
    assert settled(generation, outcome)[1].cost_nano_usd is None
    free = admitted(reserved=0)
    assert settled(free, replace(outcome, upstream=free.prepared.upstream))[1].cost_nano_usd == 100


async def test_a_helper_call_that_failed_before_its_first_token_costs_nothing() -> None:
    generation = admitted()
    refused = HelperCall(
        "title", "vendor/helper", AttemptLog([replace(ANSWERED, reason="upstream_busy")])
    )
    outcome = came(generation, ANSWERED, answer=answer(), helper_calls=(refused,))
    assert settled(generation, outcome)[1].cost_nano_usd == 100


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
    _, end = settled(generation, came(generation, ANSWERED, answer=answer()))
    assert (end.result is not None) is keeps


async def test_a_result_that_no_document_holds_is_not_kept() -> None:
    generation = admitted(requestId="r")
    long = answer("y" * GenerationLimits().result_max_bytes)
    _, end = settled(generation, came(generation, ANSWERED, answer=long))
    assert (end.result, end.status, end.cost_nano_usd) == (None, "done", 100)


async def test_the_bytes_of_images_are_not_kept() -> None:
    generation = admitted(requestId="r")
    images = (
        GeneratedImage(0, "image/png", 3, "users/ann/images/g1.0.png", "QUJD"),
        GeneratedImage(1, "image/png", 3, None, "QUJD"),
    )
    result, end = settled(generation, came(generation, answer=answer(), images=images))
    assert [image.get("data") for image in result["images"]] == ["QUJD", "QUJD"]
    assert end.result["images"] == [
        {"index": 0, "contentType": "image/png", "bytes": 3, "path": "users/ann/images/g1.0.png"}
    ]
