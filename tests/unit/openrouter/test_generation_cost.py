"""What `GET /generation` says, read: the tokens, and the charge to the billionth."""

from typing import Any

import pytest
from openrouter.components.generationresponse import GenerationResponseData

from firerouter.errors import UpstreamMalformed
from firerouter.openrouter import Usage, total
from firerouter.openrouter.generation_cost import read_generation

TOLD: dict[str, Any] = {
    "id": "gen-1",
    "total_cost": 0.0000015,
    "tokens_prompt": 9,
    "tokens_completion": 19,
    "native_tokens_prompt": 10,
    "native_tokens_completion": 20,
    "native_tokens_reasoning": 7,
    "native_tokens_cached": 4,
}


def test_tokens_and_cost_are_read_as_the_model_counts_and_openrouter_charges() -> None:
    assert read_generation({"data": TOLD}) == Usage(10, 20, 7, 4, 1500)


def test_every_field_that_is_read_is_one_of_the_official_sdks_model() -> None:
    assert TOLD.keys() <= GenerationResponseData.model_fields.keys()


@pytest.mark.parametrize("absent", [None, "12", -1, -0.5, True, 2**60])
def test_what_is_odd_is_left_out(absent: Any) -> None:
    odd = {
        "native_tokens_prompt": absent,
        "native_tokens_completion": absent,
        "native_tokens_reasoning": absent,
        "native_tokens_cached": absent,
    }
    assert read_generation({"data": {**TOLD, **odd}}) == Usage(9, 19, None, None, 1500)


@pytest.mark.parametrize("cost", [None, "0", -0.1, True, 1e300, float("nan"), float("inf")])
def test_without_a_sane_cost_nothing_is_believed(cost: Any) -> None:
    with pytest.raises(UpstreamMalformed):
        read_generation({"data": {**TOLD, "total_cost": cost}})


@pytest.mark.parametrize("body", [None, [], "x", {}, {"data": None}, {"data": []}, {"error": {}}])
def test_a_body_of_another_kind_is_malformed(body: Any) -> None:
    with pytest.raises(UpstreamMalformed):
        read_generation(body)


def test_a_free_answer_costs_nothing_and_is_known_to() -> None:
    assert read_generation({"data": {**TOLD, "total_cost": 0}}).cost_nano_usd == 0


def test_what_an_own_key_paid_is_added_to_the_fee() -> None:
    told = {**TOLD, "is_byok": True, "upstream_inference_cost": 0.01}
    assert told.keys() <= GenerationResponseData.model_fields.keys()
    usage = read_generation({"data": told})
    assert (usage.cost_nano_usd, usage.byok_nano_usd) == (10_001_500, 10_000_000)
    unknown = read_generation({"data": {**told, "upstream_inference_cost": None}})
    assert unknown.cost_nano_usd is None
    ours = read_generation({"data": {**told, "is_byok": False}})
    assert (ours.cost_nano_usd, ours.byok_nano_usd) == (1500, 0)


def test_several_add_up() -> None:
    assert total([]) == Usage(cost_nano_usd=0)
    assert total([Usage(1, 2, None, 3, 4), Usage(10, 20, 30, None, 40)]) == Usage(11, 22, 30, 3, 44)
