"""A queued request is read by the task as the callable stored it."""

from typing import Any

import pytest

from firerouter.contract import ExecutePrompt, parse
from firerouter.delivery import QueuedRequest
from firerouter.features import DEFAULTS, Feature, FeatureSettings
from firerouter.firestore import cut

REQUESTS: list[dict[str, Any]] = [
    {"feature": "chat", "prompt": "Hi"},
    {"feature": "chat", "prompt": "\N{GRINNING FACE}é\0", "conversationId": "new"},
    {
        "feature": "chat",
        "messages": [{"role": "user", "content": "a"}],
        "variables": {"x": "y"},
        "requestId": "r",
        "tools": [{"name": "f", "description": "d", "parameters": {"type": "object"}}],
    },
]
STATES: list[dict[str, object] | None] = [None, {"on": 1, "bytes": 300, "begunAt": None}]


@pytest.mark.parametrize("data", REQUESTS)
@pytest.mark.parametrize("state", STATES, ids=["not stored", "stored"])
def test_a_request_survives_the_queue(
    data: dict[str, Any], state: dict[str, object] | None
) -> None:
    settings = FeatureSettings(model="sim/fast", temperature=0.5, system_prompt="Be brief.")
    feature = Feature("chat", True, 7, settings)
    queued = QueuedRequest(parse(ExecutePrompt, data), feature, "0" * 32, state)
    text = queued.to_json()
    assert text.isascii(), "a part's size in bytes is its length"
    assert QueuedRequest.from_json("".join(cut(text, 11))) == queued


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_a_default_feature_survives_the_queue(name: str) -> None:
    queued = QueuedRequest(parse(ExecutePrompt, REQUESTS[0]), DEFAULTS[name], "0" * 32)
    assert QueuedRequest.from_json(queued.to_json()).feature.settings == DEFAULTS[name].settings
