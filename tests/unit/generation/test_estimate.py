"""What an answer may cost at most."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from firerouter.contract.base import parse
from firerouter.contract.prompts import ExecutePrompt
from firerouter.features.settings import FeatureSettings
from firerouter.files.file import File
from firerouter.generation import estimate
from firerouter.generation.estimate import TEXT_ONLY, OutputPlan
from firerouter.generation.helper_plan import HelperPlan
from firerouter.generation.limits import PromptLimits
from firerouter.ledger import LaterRequests
from firerouter.models.model import Model

RESERVE = Decimal("0.05")
MODEL = Model(
    "a/b",
    "B",
    "a",
    context_length=100_000,
    max_completion_tokens=1_000,
    prompt_price=Decimal(2),
    completion_price=Decimal(10),
)


def tokens(settings: dict[str, Any], *files: File, **more: Any) -> int:
    request = parse(ExecutePrompt, {"feature": "f", "prompt": "Hi", **more})
    return estimate.prompt_tokens(
        FeatureSettings.model_validate(settings), request, files, PromptLimits()
    )


def test_all_that_is_sent_is_counted() -> None:
    base = tokens({})
    assert tokens({"systemPrompt": "{{text}}"}, variables={"text": "x" * 3_000}) - base >= 1_000
    assert tokens({}, context="x" * 3_000) - base >= 1_000
    schema = {"type": "object", "description": "x" * 900}
    tool = {"name": "f", "description": "x" * 900, "parameters": schema}
    assert tokens({}, tools=[tool]) - base >= 600
    wanted = {"type": "json_schema", "name": "n", "schema": schema}
    assert tokens({}, responseFormat=wanted) - base >= 300
    assert tokens({}, File("p", "text/plain", 30_000)) - base == 10_000
    assert tokens({}, File("p", "application/pdf", 30_000)) - base == 10_000
    assert tokens({}, File("p", "image/png", 5_000_000)) - base == 1_000


def test_a_chinese_character_is_a_token_and_an_english_one_is_less() -> None:
    base = tokens({})
    assert tokens({}, prompt="字" * 1_000) - base >= 990
    assert tokens({}, prompt="x" * 1_000) - base < 340


def test_a_prompt_is_no_longer_than_what_the_model_reads() -> None:
    settings = FeatureSettings()
    most = estimate.cost(MODEL, settings, 10**9, RESERVE)
    assert most == Decimal("0.2") + Decimal("0.01")  # 100,000 and 1,000 tokens


@pytest.mark.parametrize(
    ("settings", "written"), [({"maxTokens": 50}, 50), ({}, 1_000), ({"maxTokens": 5_000}, 5_000)]
)
def test_the_features_bound_comes_before_the_models(settings: dict[str, Any], written: int) -> None:
    assert (
        estimate.max_completion_tokens(MODEL, FeatureSettings.model_validate(settings)) == written
    )


def test_a_repair_is_a_second_answer_that_is_told_the_first() -> None:
    settings = FeatureSettings.model_validate({"repairJson": True, "maxTokens": 500})
    request = {"feature": "f", "prompt": "Hi"}
    assert not estimate.output_plan(settings, parse(ExecutePrompt, request)).may_repair
    asked = {**request, "responseFormat": {"type": "json_object"}}
    plan = estimate.output_plan(settings, parse(ExecutePrompt, asked))
    assert plan == OutputPlan(may_repair=True)
    once, twice = (estimate.cost(MODEL, settings, 300, RESERVE, m) for m in (OutputPlan(), plan))
    assert twice == 2 * once + 500 * Decimal(2) / 1_000_000
    later = estimate.worst_case(MODEL, settings, 300, RESERVE, plan).later
    assert later == LaterRequests(1, int((twice - once) * 10**9))
    free = estimate.worst_case(MODEL, settings, 300, RESERVE, plan, free=True)
    assert free.later == LaterRequests()


def test_images_are_what_the_app_reserves_for_them() -> None:
    drawing = {"kind": "image", "imageApi": "images", "imageOptions": {"n": 2}, "maxTokens": 1}
    settings = FeatureSettings.model_validate(drawing)
    request = {"feature": "f", "prompt": "Hi"}
    plan = estimate.output_plan(settings, parse(ExecutePrompt, request))
    assert plan.images == 2
    assert estimate.cost(MODEL, settings, 3, RESERVE, plan) == 2 * RESERVE
    three = parse(ExecutePrompt, {**request, "imageOptions": {"n": 3}})
    assert estimate.output_plan(settings, three).images == 3
    assert estimate.cost(None, settings, 3, RESERVE, OutputPlan(images=3)) == 3 * RESERVE


def test_a_long_prompt_is_reserved_at_its_own_price() -> None:
    """OpenRouter lists such a price for one model in seven."""
    long = replace(
        MODEL,
        long_prompt_tokens=1_000,
        long_prompt_price=Decimal(4),
        long_completion_price=Decimal(30),
    )
    settings = FeatureSettings.model_validate({"maxTokens": 100})

    def usd(tokens: int, plan: OutputPlan = TEXT_ONLY) -> Decimal:
        return 1_000_000 * estimate.cost(long, settings, tokens, RESERVE, plan)

    assert usd(999) == 999 * 2 + 100 * 10
    assert usd(1_000) == 1_000 * 4 + 100 * 30
    assert usd(950, OutputPlan(may_repair=True)) > 2 * (950 * 4 + 100 * 30)
    vectors = estimate.embeddings_reserve(long, 1_000, RESERVE, free=False)
    assert vectors.nano_usd == 1_000 * 4_000
    plan = HelperPlan(model="m", prompt_chars=1_000, completion_tokens=10)
    assert 1_000_000 * estimate.helper_usd(plan, long, RESERVE, free=False) == 4_000 + 300


def test_what_has_no_price_is_what_the_app_reserves() -> None:
    assert estimate.cost(None, FeatureSettings(), 10**9, RESERVE) == RESERVE
    searching = FeatureSettings.model_validate({"tools": [{"type": "openrouter:web_search"}]})
    assert estimate.tool_surcharge(searching, RESERVE) == RESERVE
    assert estimate.tool_surcharge(FeatureSettings(), RESERVE) == 0
    plain = estimate.cost(MODEL, FeatureSettings(), 3, RESERVE)
    assert estimate.cost(MODEL, searching, 3, RESERVE) == plain + RESERVE


def test_what_costs_nothing_by_the_token_and_is_not_free_is_what_the_app_reserves() -> None:
    """It is billed by the request, or by the image."""
    by_request = replace(MODEL, prompt_price=Decimal(0), completion_price=Decimal(0))
    plan = HelperPlan(model="m", prompt_chars=10, completion_tokens=10)
    assert estimate.cost(by_request, FeatureSettings(), 3, RESERVE) == RESERVE
    assert estimate.helper_usd(plan, by_request, RESERVE, free=False) == RESERVE
    vectors = estimate.embeddings_reserve(by_request, 3, RESERVE, free=False)
    assert vectors.nano_usd == RESERVE * 10**9
    assert estimate.worst_case(by_request, FeatureSettings(), 3, RESERVE, free=True).nano_usd == 0
