"""What an attempt costs: reported, estimated, or out of all proportion."""

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter.contract import DocumentPart, Message, ToolReply
from firerouter.generation.prices import (
    AttemptCost,
    ModelPrice,
    Prices,
    cost_of,
    records_of,
    tokens_of,
    usage_of,
)
from firerouter.keys import Secret
from firerouter.ledger import cost_of_all
from firerouter.models import ModelList
from firerouter.models.model import read_models
from firerouter.openrouter import (
    Answer,
    Attempt,
    ChatRequest,
    EmbeddingsRequest,
    ImagesRequest,
    Usage,
)
from firerouter.openrouter.limits import OpenRouterLimits

USD = 1_000_000_000  # nano dollars
RESERVE = Decimal("0.02")
# a token costs 1,000 nano dollars to read and 2,000 to write; at most 1,000 are written
PAID = ModelPrice(Decimal(1), Decimal(2), context_tokens=10_000, completion_tokens=1_000)
PRICES = Prices(
    RESERVE,
    {"a/paid": PAID, "a/unknown": ModelPrice(), "a/zero": ModelPrice(is_free=True)},
)


class NoKeys:
    """Keys of a request that is never sent."""

    async def get(self) -> Secret:
        raise NotImplementedError

    async def next_after_refusal(self, refused: object, reason: str) -> Secret | None:
        raise NotImplementedError


def chat(
    prompt: str = "x" * 400, kind: type[ChatRequest] = ChatRequest, **parameters: Any
) -> ChatRequest:
    """Return a request of 100 tokens."""
    return kind(
        keys=NoKeys(),
        models=["a/paid"],
        messages=[Message("user", prompt)],
        parameters=parameters,
        app_name="app",
        referer="https://app.test",
    )


def vectors(*inputs: str) -> EmbeddingsRequest:
    return EmbeddingsRequest(
        keys=NoKeys(),
        model="a/paid",
        inputs=list(inputs),
        form="float",
        parameters={},
        app_name="app",
        referer="https://app.test",
    )


def written(text: str = "y" * 40, usage: Any = None) -> Answer:
    """Return an answer of 10 tokens."""
    answer = Answer("a/paid", "gen-1", OpenRouterLimits())
    if text:
        answer.add_text("text", text)
    if usage is not None:
        answer.set_usage(usage)
    return answer


def attempt(model: str = "a/paid", **fields: Any) -> Attempt:
    """Return one that OpenRouter has begun to answer."""
    begun = {"upstream_id": "gen-1", "request": chat(), "sent": True, "accepted": True}
    return Attempt(model, **{**begun, **fields})


def estimated(nano_usd: int) -> AttemptCost:
    return AttemptCost(nano_usd, is_estimate=True)


# -- what OpenRouter reported ----------------------------------------------------------------------


@pytest.mark.parametrize("reason", [None, "stopped", "empty_answer", "upstream_busy"])
def test_a_reported_cost_is_charged_however_the_attempt_ended(reason: str | None) -> None:
    answer = written("", {"prompt_tokens": 100, "completion_tokens": 9, "cost": 0.000123})
    assert cost_of(attempt(answer=answer, reason=reason), PRICES) == AttemptCost(123_000)


def test_a_reported_cost_of_nothing_is_believed() -> None:
    assert cost_of(attempt(answer=written(usage={"cost": 0})), PRICES) == AttemptCost(0)


def test_what_an_own_key_paid_is_part_of_the_cost() -> None:
    usage = {
        "cost": 0.0005,
        "is_byok": True,
        "cost_details": {"upstream_inference_cost": 0.01},
    }
    assert cost_of(attempt(answer=written(usage=usage)), PRICES) == AttemptCost(
        10_500_000, 10_000_000
    )


def test_a_cost_that_came_before_other_usage_counts() -> None:
    answer = written(usage={"prompt_tokens": 1, "cost": 0.001})
    answer.set_usage({"prompt_tokens": 2, "completion_tokens": 3})
    assert answer.usage == Usage(2, 3, cost_nano_usd=1_000_000)


# -- what nobody reported --------------------------------------------------------------------------


def test_what_was_sent_and_written_is_priced() -> None:
    assert cost_of(attempt(answer=written()), PRICES) == estimated(100 * 1000 + 10 * 2000)
    assert cost_of(attempt(), PRICES) == estimated(100 * 1000), "accepted, and not a token came"
    replies = Message("tool", tool_replies=(ToolReply("1", "z" * 40),))
    request = replace(chat(), messages=[replies])
    assert cost_of(attempt(request=request), PRICES) == estimated(10 * 1000)


def test_reasoning_and_the_arguments_of_tools_are_written_as_well() -> None:
    answer = written("")
    answer.add_text("reasoning", "r" * 20)
    list(answer.add_tool_calls([{"id": "1", "function": {"name": "f", "arguments": "a" * 20}}]))
    assert cost_of(attempt(answer=answer), PRICES) == estimated(100 * 1000 + 10 * 2000)


def test_tokens_that_were_reported_without_a_cost_are_priced() -> None:
    answer = written(usage={"prompt_tokens": 50, "completion_tokens": 30})
    assert cost_of(attempt(answer=answer), PRICES) == estimated(50 * 1000 + 30 * 2000)


@pytest.mark.parametrize(
    "usage",
    [
        {},
        {"prompt_tokens": -5, "completion_tokens": "7", "cost": "0.5"},
        {"prompt_tokens": math.nan, "completion_tokens": 9e99, "cost": math.nan},
        {"prompt_tokens": 10**40, "completion_tokens": 2**53, "cost": -1},
        {"prompt_tokens": True, "completion_tokens": [], "cost": 9e99},
        {"prompt_tokens": None, "completion_tokens": {}, "cost": None},
    ],
)
def test_nonsense_is_as_good_as_nothing(usage: Any) -> None:
    assert cost_of(attempt(answer=written(usage=usage)), PRICES) == estimated(120_000)


def test_more_tokens_than_the_model_has_are_not_priced() -> None:
    answer = written(usage={"prompt_tokens": 10**7, "completion_tokens": 10**7})
    assert cost_of(attempt(answer=answer), PRICES) == estimated(10_000 * 1000 + 1_000 * 2000)


def test_a_long_prompt_is_estimated_at_its_own_price() -> None:
    long = replace(PAID, long_tokens=100, long_prompt=Decimal(3), long_completion=Decimal(5))
    prices = Prices(RESERVE, {"a/paid": long})
    answered = attempt(answer=written())
    assert cost_of(answered, prices) == estimated(100 * 3_000 + 10 * 5_000)
    short = attempt(request=chat("x" * 396), answer=written())
    assert cost_of(short, prices) == estimated(99 * 1_000 + 10 * 2_000)


def test_a_price_that_is_not_known_takes_the_reserve() -> None:
    assert cost_of(attempt("a/unknown", answer=written()), PRICES) == estimated(20_000_000)
    assert cost_of(attempt("a/never-listed"), PRICES) == estimated(20_000_000)


@pytest.mark.parametrize("model", ["a/zero", "a/any:free", "openrouter/free"])
def test_a_free_model_costs_nothing_by_its_name_or_by_its_price(model: str) -> None:
    assert cost_of(attempt(model, answer=written()), PRICES) == AttemptCost()
    assert cost_of(attempt(model, upstream_id=None, accepted=False), PRICES) == AttemptCost()


def test_tools_and_documents_are_estimated_beside_the_model_even_beside_a_free_one() -> None:
    with_tool = replace(PRICES, extras=1)
    assert cost_of(attempt("a/zero"), with_tool) == estimated(20_000_000)
    assert cost_of(attempt(), with_tool) == estimated(20_000_000 + 100_000)
    assert cost_of(attempt("a/zero"), with_tool.for_helper()) == AttemptCost()
    pdf = DocumentPart("a.pdf", "data:application/pdf;base64,QQ==")
    request = replace(chat(), messages=[Message("user", "", parts=(pdf, pdf))])
    parsed = replace(PRICES, parses_documents=True)
    assert cost_of(attempt("a/zero", request=request), parsed) == estimated(40_000_000)
    assert cost_of(attempt("a/zero", request=request), PRICES) == AttemptCost()


def test_images_take_the_reserve_each() -> None:
    request = chat(kind=ImagesRequest, n=3)
    assert cost_of(attempt(request=request), PRICES) == estimated(60_000_000)


def test_vectors_are_priced_by_what_was_sent() -> None:
    sent = attempt(request=vectors("x" * 40, "y" * 360))
    assert cost_of(sent, PRICES) == estimated(100 * 1000)
    told = replace(sent, vectors_usage=Usage(80, cost_nano_usd=7))
    assert cost_of(told, PRICES) == AttemptCost(7)


@pytest.mark.parametrize("reason", ["upstream_busy", "key_invalid", "rate_limited"])
def test_what_openrouter_refused_costs_nothing(reason: str) -> None:
    refused = attempt(upstream_id=None, sent=False, accepted=False, reason=reason)
    assert cost_of(refused, PRICES) == AttemptCost()
    assert tokens_of(refused) == Usage()


def test_what_was_left_before_its_id_came_counts_as_if_written_to_its_end() -> None:
    """Nobody can ask what it came to, and somebody may do it on purpose."""
    left = attempt(upstream_id=None, accepted=False, reason="stopped")
    assert cost_of(left, PRICES) == estimated(400 * 1000 + 1_000 * 2000)
    short = replace(left, request=chat(max_tokens=10))
    assert cost_of(short, PRICES) == estimated(400 * 1000 + 10 * 2000)
    assert cost_of(replace(left, model="a/unknown"), PRICES) == estimated(20_000_000)
    embedded = replace(left, request=vectors("x" * 400))
    assert cost_of(embedded, PRICES) == estimated(400 * 1000)


# -- what is out of proportion ---------------------------------------------------------------------

WORST = 400 * 1000 + 1_000 * 2000  # of the request that all attempts here have


def reporting(usd: float, model: str = "a/paid", **fields: Any) -> Attempt:
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "cost": usd}
    return attempt(model, answer=written(usage=usage), **fields)


def test_an_absurd_cost_is_held_at_the_worst_case_and_looked_up() -> None:
    held = AttemptCost(WORST, is_estimate=True, is_suspect=True)
    assert cost_of(reporting(9e6), PRICES) == held
    assert cost_of(reporting(9e6, "a/zero"), PRICES) == replace(held, nano_usd=0)
    # 110 tokens at the price of the dearest model there may be
    assert cost_of(reporting(9e6, "a/unknown"), PRICES) == replace(held, nano_usd=110_000_000)


def test_a_cost_that_is_too_high_but_possible_is_held_until_it_was_looked_up() -> None:
    suspect = AttemptCost(500_000_000, is_estimate=True, is_suspect=True)
    assert cost_of(reporting(0.5), PRICES) == suspect
    assert cost_of(reporting(0.5, "a/zero"), PRICES) == suspect, "a budget is for this as well"


@pytest.mark.parametrize("usd", [0.0001, 0.0024, 0.0072, 0.1])
def test_a_cost_in_proportion_or_of_cents_is_believed(usd: float) -> None:
    assert cost_of(reporting(usd), PRICES) == AttemptCost(round(usd * USD))


def test_without_a_price_a_cost_is_held_against_the_dearest_one() -> None:
    usage = {"prompt_tokens": 20_000, "completion_tokens": 40_000, "cost": 5.0}
    dear = attempt("a/unknown", answer=written(usage=usage))
    assert cost_of(dear, PRICES) == AttemptCost(5 * USD)


def test_documents_may_be_dear_without_being_absurd() -> None:
    pdf = DocumentPart("a.pdf", "data:application/pdf;base64,QQ==")
    request = replace(chat(), messages=[Message("user", "", parts=(pdf,) * 10)])
    parsed = replace(PRICES, parses_documents=True)
    cost = cost_of(reporting(20.0, "a/zero", request=request), parsed)
    assert cost == AttemptCost(20 * USD, is_estimate=True, is_suspect=True)


# -- prices as the catalog has them ----------------------------------------------------------------


def listed(id_: str, prompt: Any, completion: Any, **more: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "pricing": {"prompt": prompt, "completion": completion, **more},
        "context_length": 1000,
        "architecture": {"output_modalities": ["text"]},
        "top_provider": {"max_completion_tokens": 100},
    }


@pytest.mark.parametrize(
    ("id_", "price"),
    [
        ("a/paid", ModelPrice(Decimal(3), Decimal(15), False, False, 1000, 100)),
        ("a/paid:nitro", ModelPrice(Decimal(3), Decimal(15), False, False, 1000, 100)),
        ("a/paid:online", ModelPrice(Decimal(3), Decimal(15), False, True, 1000, 100)),
        ("a/paid@preset/mine", ModelPrice(None, None, False, False, 1000, 100)),
        ("a/zero", ModelPrice(is_free=True)),
        ("a/zero:online", ModelPrice(None, None, False, True, 1000, 100)),
        ("a/request", ModelPrice(None, None, False, False, 1000, 100)),
        ("a/dynamic", ModelPrice(None, None, False, False, 1000, 100)),
        ("a/half", ModelPrice(None, None, False, False, 1000, 100)),
        ("a/unlisted", ModelPrice()),
        ("a/unlisted:free", ModelPrice(is_free=True)),
    ],
)
def test_a_price_is_that_of_the_catalog_or_none(id_: str, price: ModelPrice) -> None:
    models, _ = read_models(
        [
            listed("a/paid", "0.000003", "0.000015"),
            listed("a/zero", "0", "0"),
            listed("a/request", "0", "0", request="0.01"),
            listed("a/dynamic", "-1", "-1"),
            listed("a/half", "0.000003", None),
        ]
    )
    catalog = ModelList(1, datetime(2026, 1, 1, tzinfo=UTC), models)
    assert ModelPrice.of(catalog.resolve(id_)) == price


# -- all of them -----------------------------------------------------------------------------------


def test_what_has_not_ended_has_no_cost_yet() -> None:
    failed = attempt(answer=written("", {"cost": 0.001}), reason="empty_answer")
    first, second = records_of([failed, attempt()], PRICES, ended=False)
    assert (first.cost_nano_usd, second.cost_nano_usd) == (1_000_000, None)
    assert "costNanoUsd" not in second.to_document()


def test_an_estimate_keeps_its_tokens_for_its_correction() -> None:
    (record,) = records_of([attempt(answer=written())], PRICES)
    assert record.to_document() == {
        "model": "a/paid",
        "upstreamId": "gen-1",
        "reason": None,
        "keyVersion": None,
        "costNanoUsd": 120_000,
        "costIsEstimate": True,
        "promptTokens": 100,
        "completionTokens": 10,
    }


ANY = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
usages = st.fixed_dictionaries(
    {},
    optional={
        "prompt_tokens": ANY,
        "completion_tokens": ANY,
        "cost": ANY,
        "is_byok": ANY,
        "cost_details": st.fixed_dictionaries({"upstream_inference_cost": ANY}),
    },
)
any_attempt = st.builds(
    attempt,
    st.sampled_from(["a/paid", "a/unknown", "a/zero", "b/other"]),
    upstream_id=st.none() | st.just("gen-1"),
    reason=st.sampled_from([None, "stopped", "empty_answer", "upstream_busy"]),
    sent=st.booleans(),
    accepted=st.booleans(),
    answer=st.none() | st.builds(written, st.text(max_size=9), st.none() | usages),
)


@given(st.lists(any_attempt, max_size=4))
def test_whatever_came_of_them_the_parts_add_up_and_fit_into_the_ledger(
    attempts: list[Attempt],
) -> None:
    records = records_of(attempts, PRICES)
    cost = cost_of_all(records)
    assert cost.nano_usd == sum(record.cost_nano_usd or 0 for record in records)
    assert 0 <= cost.nano_usd < 2**63
    assert all(0 <= record.byok_nano_usd <= (record.cost_nano_usd or 0) for record in records)
    usage = usage_of({}, records)
    assert json.loads(json.dumps(usage, allow_nan=False)) == usage
    details = usage.get("costDetails", {"answer": usage["cost"]})
    parts = [value for name, value in details.items() if name != "byok"]
    assert math.isclose(sum(parts), usage["cost"], abs_tol=1e-9)  # type: ignore[arg-type]


@given(usages)
def test_no_report_moves_a_budget_by_more_than_a_dollar_over_the_worst_case(
    usage: dict[str, Any],
) -> None:
    cost = cost_of(attempt(answer=written(usage=usage)), PRICES)
    assert cost.nano_usd <= max(3 * 12_000_000, 12_000_000 + USD)
