"""The prompt that has a judge read a comparison's answers, and its ranking. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from ..contract import FailedAnswer, Judge, PromptResult
from ..features import Feature

_TASKS: Final[Mapping[str, str]] = {
    "merge": "Write the one best answer to the question, using everything that is right in these "
    "answers.",
    "rank": "Rank these answers from the best to the worst: first a line with nothing but their "
    "numbers, the best one's first, and then one sentence on each.",
}
# replaces what the feature sets for its own answers: a judgement is not one of them
_PLAIN: Final[Mapping[str, object]] = {
    "kind": "chat",
    "system_prompt": "",
    "stop": [],
    "response_format": None,
    "tools": [],
    "plugins": [],
    "parameters": {},
    "image_api": "chat",
    "image_options": None,
}


def judge_feature(feature: Feature) -> Feature:
    """Return the feature as the judge uses it: a plain chat, within the same bounds."""
    return replace(feature, settings=feature.settings.model_copy(update=dict(_PLAIN)))


def judgeable_answers(answers: Sequence[PromptResult | FailedAnswer]) -> dict[int, str]:
    """Return the texts to judge by their index, without answers that failed, were stopped or are
    empty."""
    texts = {}
    for index, answer in enumerate(answers):
        if "error" not in answer and answer["finishReason"] != "stopped" and answer["text"].strip():
            texts[index] = answer["text"]
    return texts


def judge_prompt(judge: Judge, question: str, answers: Mapping[int, str], max_chars: int) -> str:
    """Return the prompt that has the judge read the answers.

    Args:
        judge: What the judge should do.
        question: The prompt that the models got.
        answers: Their texts by index. In the prompt, the answers are numbered from 1.
        max_chars: Characters of question and answers together; each gets an equal share.
    """
    most = max_chars // (len(answers) + 1)
    texts = "\n\n".join(f"Answer {index + 1}:\n{text[:most]}" for index, text in answers.items())
    return f"{_TASKS[judge.mode]}\n\nThe question:\n{question[-most:]}\n\n{texts}"


def parse_ranking(text: str, indexes: Collection[int]) -> list[int] | None:
    """Return the indexes of the answers, the best first.

    The first line that names each answer exactly once counts; None if there is no such line.
    """
    for line in text.splitlines():
        ranked = [int(number) - 1 for number in re.findall(r"\b[0-9]{1,2}\b", line, re.ASCII)]
        if sorted(ranked) == sorted(indexes):
            return ranked
    return None
