"""Answers kept for the same question, where a feature's `cacheSeconds` says so.

    responses/{hash}   {answer: {model, provider?, text, reasoning?, citations?, images?,
                                 finishReason, usage}, expireAt}

The hash is of all that OpenRouter would be sent, with the feature, its revision and, unless the
feature shares answers, the user: so nobody gets what another user's question was answered. Only
whole answers are kept. An outage of Firestore is a miss: OpenRouter is asked then.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from google.cloud.firestore import AsyncClient

from .. import limits, log
from ..callable import encode
from ..features import Feature
from ..files import without_image_data
from ..firestore import AWAY
from ..openrouter import ChatRequest

KEPT: Final = (
    *("model", "provider", "text", "reasoning", "citations", "images", "finishReason", "usage"),
)


def response_id(feature: Feature, uid: str, ask: ChatRequest) -> str | None:
    """Where the answer is kept; None where the feature keeps none."""
    if not feature.settings.cache_seconds:
        return None
    owner = None if feature.settings.cache_shared else uid
    asked = [feature.id, feature.revision, owner, *ask.fingerprint()]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def worth_keeping(status: str, result: dict[str, Any]) -> bool:
    """Whether it is a whole answer, and a new one, whose images can be had again."""
    whole = status == "done" and result["finishReason"] == "stop" and not result["cached"]
    return whole and all("path" in image for image in result.get("images", ()))


class ResponseCache:
    """Keeps them in Firestore. Make one an instance."""

    def __init__(
        self, firestore: AsyncClient, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._documents = firestore.collection("responses")
        self._now = now

    async def get(self, id_: str | None) -> dict[str, Any] | None:
        """The answer, if it is there and not too old."""
        if id_ is None:
            return None
        try:
            snapshot = await self._documents.document(id_).get(retry=None, timeout=limits.READ_S)
        except AWAY as error:
            log.warning("response_cache_unavailable", type=type(error).__name__)
            return None
        match snapshot.to_dict():
            case {
                "answer": {"model": str(), "text": str(), "usage": dict()} as answer,
                "expireAt": datetime() as end,
            }:
                # looked at here too: Firestore takes up to a day to delete what has expired
                if end > self._now():
                    return {name: answer[name] for name in KEPT if name in answer}
        return None

    async def put(self, id_: str | None, result: dict[str, Any], seconds: int) -> None:
        """Keep a whole answer; one that is too long, or comes while Firestore is away, is not."""
        result = without_image_data(result)
        answer = {name: result[name] for name in KEPT if name in result}
        if id_ is None or len(encode(answer)) > limits.RESULT_MAX_BYTES:
            return
        document = {"answer": answer, "expireAt": self._now() + timedelta(seconds=seconds)}
        try:
            await self._documents.document(id_).set(
                document, retry=None, timeout=limits.SETTLE_BEFORE_RESULT_S
            )
        except AWAY as error:
            log.warning("response_not_kept", type=type(error).__name__)
