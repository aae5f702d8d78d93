"""What was used, and what it cost in whole billionths of a dollar."""

import json
import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter.contract.fields import NANO_PER_USD
from firerouter.openrouter.usage import Usage, nano_usd, read_usage


@pytest.mark.parametrize(
    ("usd", "nano"),
    [
        (0, 0),
        (0.0, 0),
        (1, NANO_PER_USD),
        (0.1, 100_000_000),
        (0.000123456, 123_456),
        (1e-9, 1),
        (1e-10, 1),
        (1.0000000001e-9, 2),
        (1e-300, 1),
        (12.345678901, 12_345_678_901),
    ],
)
def test_dollars_become_billionths_rounded_up(usd: float, nano: int) -> None:
    assert nano_usd(usd) == nano


@given(st.floats(0, 1e6))
def test_a_charge_is_never_lost_and_never_grows_by_a_billionth(usd: float) -> None:
    exact = Fraction(repr(usd)) * NANO_PER_USD
    assert exact <= nano_usd(usd) < exact + 1


def test_usage_is_read_as_openrouter_counts_it() -> None:
    usage = read_usage(
        {
            "prompt_tokens": 10,
            "completion_tokens": 20,
            "total_tokens": 30,
            "cost": 0.0000015,
            "cost_details": {"upstream_inference_cost": None},
            "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 5},
            "completion_tokens_details": {"reasoning_tokens": 7},
        }
    )
    assert usage == Usage(10, 20, 7, 4, 1500, cache_write_tokens=5)
    assert usage.to_wire() == {
        "promptTokens": 10,
        "completionTokens": 20,
        "totalTokens": 30,
        "reasoningTokens": 7,
        "cachedTokens": 4,
        "cacheWriteTokens": 5,
    }, "the cost is that of all attempts, and not this one's"


def test_a_cost_of_nothing_is_a_cost() -> None:
    usage = read_usage({"prompt_tokens": 1, "completion_tokens": 1, "cost": 0})
    assert usage is not None
    assert usage.cost_nano_usd == 0


def byok(cost: Any, upstream: Any, is_byok: Any = True) -> Usage | None:
    details = {"upstream_inference_cost": upstream}
    return read_usage({"cost": cost, "is_byok": is_byok, "cost_details": details})


def test_what_a_provider_bills_to_an_own_key_is_added_to_the_fee_and_told_apart() -> None:
    assert byok(0.0005, 0.01) == Usage(cost_nano_usd=10_500_000, byok_nano_usd=10_000_000)
    assert byok(0, 0.01) == Usage(cost_nano_usd=10_000_000, byok_nano_usd=10_000_000)
    assert byok(0.0005, 0) == Usage(cost_nano_usd=500_000)


@pytest.mark.parametrize("is_byok", [False, None, "true", 1])
def test_what_a_provider_bills_to_openrouter_is_in_the_cost_already(is_byok: Any) -> None:
    assert byok(0.01, 0.01, is_byok) == Usage(cost_nano_usd=10_000_000)


@pytest.mark.parametrize("odd", [None, "0.01", -1, math.nan, math.inf, 9e99, True, [], 10**40])
def test_a_fee_alone_is_not_the_cost_of_an_answer_that_an_own_key_paid(odd: Any) -> None:
    assert byok(0.0005, odd) == Usage()
    assert byok(odd, 0.01) == Usage()


@pytest.mark.parametrize("value", [None, [], "x", 7, True])
def test_what_is_no_object_is_no_usage(value: Any) -> None:
    assert read_usage(value) is None


@pytest.mark.parametrize("odd", [None, "7", -1, -0.5, True, [], {}, math.nan, 2**53, 10**8 + 1])
def test_an_odd_number_of_tokens_is_left_out(odd: Any) -> None:
    assert read_usage(
        {
            "prompt_tokens": odd,
            "completion_tokens": 2,
            "prompt_tokens_details": {"cached_tokens": odd},
            "completion_tokens_details": {"reasoning_tokens": odd},
        }
    ) == Usage(0, 2)


@pytest.mark.parametrize("odd", [None, "0.5", -1, -0.1, True, [], math.nan, math.inf, 1e18, 10**40])
def test_an_odd_cost_is_none(odd: Any) -> None:
    assert read_usage({"cost": odd}) == Usage()


@pytest.mark.parametrize("details", [None, [], "x", 7])
def test_odd_details_are_left_out(details: Any) -> None:
    odd = {"prompt_tokens_details": details, "completion_tokens_details": details}
    assert read_usage({"prompt_tokens": 1, **odd}) == Usage(1)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = (
    "prompt_tokens",
    "completion_tokens",
    "cost",
    "is_byok",
    "cost_details",
    "prompt_tokens_details",
    "completion_tokens_details",
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, ANY)))
def test_whatever_it_holds_the_wire_and_the_ledger_can(value: dict[str, Any]) -> None:
    usage = read_usage(value)
    assert usage is not None
    wire = usage.to_wire()
    assert json.loads(json.dumps(wire, allow_nan=False)) == wire
    # Firestore's integers have 64 bits
    numbers = [number for number in wire.values() if isinstance(number, int)]
    assert all(0 <= number < 2**63 for number in [*numbers, usage.cost_nano_usd or 0])
