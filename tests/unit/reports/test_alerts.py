"""Amounts as alerts show them."""

import pytest

from firerouter.reports.alerts import dollars

USD = 1_000_000_000  # nano dollars


@pytest.mark.parametrize(
    ("nano_usd", "shown"),
    [
        (0, "$0.00"),
        (1, "$0.000001"),
        (4_200_000, "$0.0042"),
        (10_000_000, "$0.01"),
        (USD // 2, "$0.50"),
        (1_234_500_000_000, "$1,234.50"),
    ],
)
def test_an_amount_says_something_however_small_it_is(nano_usd: int, shown: str) -> None:
    assert dollars(nano_usd) == shown
