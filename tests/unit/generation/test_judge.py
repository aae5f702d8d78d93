"""What a judge is asked, and how its ranking is read."""

from typing import Any

import pytest

from firerouter.contract.prompts import Judge
from firerouter.features.feature import Feature
from firerouter.features.settings import FeatureSettings
from firerouter.generation.judge import (
    judge_feature,
    judge_prompt,
    judgeable_answers,
    parse_ranking,
)
from firerouter.generation.limits import GenerationLimits

MAX_CHARS = GenerationLimits().judge_reads_max_chars
PLACES = {0: "a", 1: "b", 3: "d"}


@pytest.mark.parametrize(
    ("text", "ranking"),
    [
        ("2, 1, 4\n\nThe second is the best.", [1, 0, 3]),
        ("Here is my ranking:\n\n**4 > 1 > 2**", [3, 0, 1]),
        ("Answer 1, Answer 2, Answer 4", [0, 1, 3]),
        ("1, 2, 3", None),  # there is no third one
        ("1, 2", None),
        ("1, 1, 2, 4", None),
        ("1\n2\n4", None),
        ("9" * 5_000, None),
        ("All of them are fine.", None),
        ("", None),
    ],
)
def test_a_ranking_is_the_line_that_names_each_answer_once(
    text: str, ranking: list[int] | None
) -> None:
    assert parse_ranking(text, PLACES) == ranking


def test_what_failed_was_stopped_or_says_nothing_is_not_judged() -> None:
    results: Any = [
        {"text": "whole", "finishReason": "stop"},
        {"model": "m", "error": {"status": "UNAVAILABLE"}},
        {"text": "half", "finishReason": "stopped"},
        {"text": " \n", "finishReason": "tool_calls"},
        {"text": "long", "finishReason": "length"},
    ]
    assert judgeable_answers(results) == {0: "whole", 4: "long"}


def test_long_answers_are_cut_so_that_all_have_room() -> None:
    long = "x" * MAX_CHARS
    prompt = judge_prompt(Judge(model="a/b", mode="merge"), long, {0: long, 1: long}, MAX_CHARS)
    assert len(prompt) < MAX_CHARS + 500
    assert prompt.count("x" * (MAX_CHARS // 3)) == 3


def test_a_judge_has_the_features_bounds_and_nothing_of_its_task() -> None:
    settings = FeatureSettings.model_validate(
        {
            "kind": "image",
            "systemPrompt": "Summarize.",
            "responseFormat": {"type": "json_object"},
            "tools": [{"type": "openrouter:web_search"}],
            "plugins": [{"id": "web"}],
            "parameters": {"verbosity": "low"},
            "stop": ["2"],
            "imageApi": "images",
            "maxTokens": 77,
            "totalS": 9,
        }
    )
    feature = Feature("f", True, 1, settings)
    assert judge_feature(feature).settings == FeatureSettings(max_tokens=77, total_s=9)
