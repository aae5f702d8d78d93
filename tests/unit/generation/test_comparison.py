"""What a comparison adds up to."""

from typing import Any

import pytest

from firerouter.generation.comparison import build_result

TOKENS = {"promptTokens": 1, "completionTokens": 2, "totalTokens": 3}


@pytest.mark.parametrize(
    "costless",
    [
        {"model": "a", "text": "Hi.", "usage": TOKENS},
        {"model": "a", "text": "Hi.", "usage": {**TOKENS, "cost": None}},
        {"model": "a", "text": "Hi."},
        {"model": "a", "error": {"message": "No.", "details": {"usage": TOKENS}}},
        {"model": "a", "error": {"message": "No."}},
    ],
)
def test_an_answer_that_says_nothing_of_its_cost_adds_nothing(costless: Any) -> None:
    paid: Any = {"model": "b", "usage": {**TOKENS, "cost": 0.5, "costIsEstimate": True}}
    result = build_result("c1", 1.0, [costless, paid], costless)
    assert (result["totalCost"], result["totalCostIsEstimate"]) == (0.5, True)
    assert build_result("c1", 1.0, [costless], None)["totalCost"] == 0
