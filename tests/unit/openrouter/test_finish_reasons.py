"""What a finish reason means, whoever's word it is."""

from typing import Any

import pytest

from firerouter.errors import StreamCut, UpstreamBusy
from firerouter.openrouter.finish_reasons import read_finish_reason


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        ("stop end_turn STOP eos stop-sequence FINISH_REASON_STOP completed", "stop"),
        ("length max_tokens MAX_TOKENS max_output_tokens model_length", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_calls tool_use function_call", "tool_calls"),
        ("content_filter guardrail_intervened SAFETY refusal PROHIBITED_CONTENT", "content_filter"),
    ],
)
def test_a_providers_word_means_what_openrouters_does(words: str, meaning: str) -> None:
    assert {read_finish_reason(word) for word in words.split()} == {meaning}


@pytest.mark.parametrize("blank", ["", " ", "null", "None", None, 7, {}, []])
def test_a_reason_that_says_nothing_is_none(blank: Any) -> None:
    assert read_finish_reason(blank) is None


@pytest.mark.parametrize(
    "word", ["network_error", "insufficient_system_resource", "abort", "brand_new", "OTHER"]
)
def test_a_reason_that_is_no_end_means_that_the_answer_was_cut(word: str) -> None:
    assert type(read_finish_reason(word)) is StreamCut


def test_a_provider_that_failed_says_error() -> None:
    assert type(read_finish_reason("error")) is UpstreamBusy
