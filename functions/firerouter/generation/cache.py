"""Answers cached for identical requests, if the feature's `cacheSeconds` says so.

    responses/{hash}   {answer: {model, provider?, text, reasoning?, citations?, images?,
                                 finishReason, usage}, expireAt}

The hash covers everything that OpenRouter would be sent, the feature, its revision and, unless the
feature shares answers, the user, so that no user gets another user's answer. Only complete answers
are cached. If Firestore is unavailable, that is a cache miss, and OpenRouter is called.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NotRequired, TypedDict, cast

from google.cloud.firestore import AsyncClient

from .. import log
from ..callable import encode
from ..contract import Citation, FinishReason, ImageInfo, PromptResult, Usage
from ..features import Feature
from ..files import without_image_data
from ..firestore import FirestoreError, commit, get
from ..ledger import Status
from ..openrouter import ChatRequest
from .limits import GenerationLimits


class CachedAnswer(TypedDict):
    """The part of a result that is reused. Each field means the same as in `PromptResult`."""

    model: str
    provider: NotRequired[str]
    text: str
    reasoning: NotRequired[str]
    citations: NotRequired[list[Citation]]
    images: NotRequired[list[ImageInfo]]
    finishReason: FinishReason
    usage: Usage


def response_id(feature: Feature, uid: str, upstream: ChatRequest) -> str | None:
    """Return the id that the answer is cached under; None if the feature caches no answers."""
    if not feature.settings.cache_seconds:
        return None
    owner = None if feature.settings.cache_shared else uid
    request = [feature.id, feature.revision, owner, *upstream.fingerprint()]
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()


def is_cacheable(status: Status, result: PromptResult) -> bool:
    """Return whether this is a complete new answer whose images, if any, are stored."""
    whole = status == "done" and result["finishReason"] == "stop" and not result["cached"]
    return whole and all("path" in image for image in result.get("images", ()))


class ResponseCache:
    """Cached answers in Firestore. One per instance."""

    def __init__(
        self,
        firestore: AsyncClient,
        *,
        limits: GenerationLimits,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._firestore = firestore
        self._documents = firestore.collection("responses")
        self._limits = limits
        self._now = now

    async def get(self, id_: str | None) -> CachedAnswer | None:
        """Return the answer, if it is cached and has not expired."""
        if id_ is None:
            return None
        try:
            snapshot = await get(self._documents.document(id_))
        except FirestoreError as error:
            log.warning("response_cache_unavailable", type=error.cause)
            return None
        match snapshot.to_dict():
            case {
                "answer": {"model": str(), "text": str(), "usage": dict()} as answer,
                "expireAt": datetime() as end,
            }:
                # checked here too: Firestore can take a day to delete expired documents
                if end > self._now():
                    return _cached(answer)
        return None

    async def put(self, id_: str | None, result: PromptResult, seconds: int) -> None:
        """Cache a complete answer, unless it is too long or Firestore is unavailable."""
        if id_ is None:
            return
        answer = _cached(without_image_data(result))
        if len(encode(answer)) > self._limits.result_max_bytes:
            return
        batch = self._firestore.batch()
        expires = self._now() + timedelta(seconds=seconds)
        batch.set(self._documents.document(id_), {"answer": answer, "expireAt": expires})
        try:
            await commit(batch, self._limits.settle_s)
        except FirestoreError as error:
            log.warning("response_not_kept", type=error.cause)


def _cached(result: Mapping[str, object]) -> CachedAnswer:
    return cast(CachedAnswer, {n: result[n] for n in CachedAnswer.__annotations__ if n in result})
