"""What a judge is asked of a comparison's answers, and how its ranking is read. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from .. import limits
from ..contract import Judge
from ..features import Feature

_ASKS: Final[Mapping[str, str]] = {
    "merge": "Write the one best answer to the question, from all that is right in these answers.",
    "rank": "Rank these answers from the best to the worst: first a line with nothing but their "
    "numbers, the best one's first, and then one sentence on each.",
}
# what a feature sets for its own answers, which a judgement is none of
_PLAIN: Final[Mapping[str, Any]] = {
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
    """The feature as a judge answers through it: a plain chat, within the same bounds."""
    return replace(feature, settings=feature.settings.model_copy(update=dict(_PLAIN)))


def readable(results: list[dict[str, Any]]) -> dict[int, str]:
    """The texts that there are to judge, by their places: none of what failed, was stopped or
    says nothing."""
    whole = (
        (at, r) for at, r in enumerate(results) if r.get("finishReason", "stopped") != "stopped"
    )
    return {at: result["text"] for at, result in whole if result["text"].strip()}


def judge_prompt(judge: Judge, question: str, answers: Mapping[int, str]) -> str:
    """answers: by their places, which people count from one."""
    most = limits.JUDGE_READS_MAX_CHARS // (len(answers) + 1)
    told = "\n\n".join(f"Answer {at + 1}:\n{text[:most]}" for at, text in answers.items())
    return f"{_ASKS[judge.mode]}\n\nThe question:\n{question[-most:]}\n\n{told}"


def parse_ranking(text: str, places: Mapping[int, Any]) -> list[int] | None:
    """The places from the best to the worst, by the first line that names each of them once;
    None where none does."""
    for line in text.splitlines():
        ranked = [int(number) - 1 for number in re.findall(r"\b[0-9]{1,2}\b", line, re.ASCII)]
        if sorted(ranked) == sorted(places):
            return ranked
    return None
