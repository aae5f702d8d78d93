"""The worst case of an answer, and the shorter answers that fit into what is left of a budget."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter import limits
from firerouter.ledger import LaterRequests, Reserve
from firerouter.ledger.reserve import USEFUL_TOKENS, lower

DEAR = Reserve(
    base_nano_usd=1_000,
    nano_usd_per_token=Decimal("0.4"),
    base_tokens=100,
    completion_tokens=4_000,
    is_lowerable=True,
)


def test_a_worst_case_is_its_base_and_every_token_that_it_may_write_rounded_up() -> None:
    assert DEAR.nano_usd == 1_000 + 1_600
    assert DEAR.tokens == 4_100
    third = Reserve(nano_usd_per_token=Decimal(1) / 3, completion_tokens=1)
    assert third.nano_usd == 1


@pytest.mark.parametrize("price", [Decimal(10) ** 9, Decimal(10) ** 99])
def test_an_absurd_price_is_more_than_any_budget_and_fits_into_a_counter(price: Decimal) -> None:
    later = LaterRequests(1, int(price))
    absurd = replace(DEAR, nano_usd_per_token=price, completion_tokens=2**53, later=later)
    assert absurd.nano_usd > limits.USD_PER_MONTH_MAX * 1e9
    assert absurd.tokens > limits.TOKENS_PER_DAY_MAX
    at_once = limits.CONCURRENT_MAX * (limits.COMPARED_MODELS_MAX + 1)
    assert at_once * max(absurd.nano_usd, absurd.tokens) < 2**63
    assert absurd.later.to_document()["nanoUsd"] < 2**63


def test_an_answer_is_shortened_to_what_is_left_of_a_budget() -> None:
    found = lower([DEAR], nano_usd=1_400)
    assert found is not None
    assert found[0].completion_tokens == 1_000
    assert found[0].nano_usd == 1_400


def test_tokens_are_shortened_like_money() -> None:
    found = lower([DEAR], tokens=600)
    assert found is not None
    assert found[0].tokens == 600


@pytest.mark.parametrize(
    ("reserve", "nano_usd"),
    [
        (DEAR, 1_000 + USEFUL_TOKENS * 2 // 5 - 1),  # fewer tokens than are of use
        (DEAR, 0),
        (Reserve(base_nano_usd=5, completion_tokens=9_999), 4),  # it may not be told to be shorter
        (DEAR, 10_000),  # it fits as it is
    ],
)
def test_what_cannot_be_shortened_to_fit_is_not(reserve: Reserve, nano_usd: int) -> None:
    assert lower([reserve], nano_usd=nano_usd) is None


def test_answers_of_a_comparison_are_shortened_to_the_same_length() -> None:
    short = Reserve(
        base_nano_usd=10,
        nano_usd_per_token=Decimal(1),
        completion_tokens=300,
        is_lowerable=True,
    )
    found = lower([DEAR, short], nano_usd=DEAR.base_nano_usd + 10 + 400 + 300)
    assert found is not None
    assert [one.completion_tokens for one in found] == [1_000, 300]


reserves = st.builds(
    Reserve,
    base_nano_usd=st.integers(0, 10**9),
    nano_usd_per_token=st.decimals(0, 10**5, places=3),
    base_tokens=st.integers(0, 10**5),
    tokens_per_token=st.integers(1, 3),
    completion_tokens=st.integers(0, 10**5),
    is_lowerable=st.booleans(),
)


@given(st.lists(reserves, min_size=1, max_size=6), st.integers(0, 10**12), st.integers(0, 10**7))
def test_what_is_shortened_fits_and_a_token_more_does_not(
    wanted: list[Reserve], nano_usd: int, tokens: int
) -> None:
    found = lower(wanted, nano_usd=nano_usd, tokens=tokens)
    if found is None:
        return
    assert sum(one.nano_usd for one in found) <= nano_usd
    assert sum(one.tokens for one in found) <= tokens
    longest = max(
        new.completion_tokens for new, old in zip(found, wanted, strict=True) if new != old
    )
    assert longest >= USEFUL_TOKENS
    longer = [old.lowered(longest + 1) for old in wanted]
    over = sum(one.nano_usd for one in longer) > nano_usd
    assert over or sum(one.tokens for one in longer) > tokens
