"""Answers cached for identical requests, if the feature's `cacheSeconds` says so.

    responses/{hash}   {answer: {model, provider?, text, reasoning?, citations?, images?,
                                 finishReason, usage},
                        uid, conversationId?, expireAt}

The hash covers all that OpenRouter would be sent, the feature, its revision and, unless the feature
shares answers, the user: so nobody gets the answer to another user's request. Only whole answers
are cached. If an identical request is already running on this instance, a request waits for its
answer. The answers of a comparison do not wait, because those admitted with them would wait too,
and two comparisons could wait for each other. If Firestore is unavailable, that is a cache miss.

A cached answer names the user and the conversation that it was written for, and the ledger entry of
each generation that it was served to names the answer. It is deleted with any of these
conversations (see `conversations`).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import NotRequired, TypedDict, cast

from google.cloud.firestore import AsyncClient

from .. import log
from ..callable import encode
from ..contract import Citation, FinishReason, ImageInfo, PromptResult, Usage
from ..features import Feature
from ..files import without_image_data
from ..firestore import Batch, FirestoreError, Paths, commit, get
from ..ledger import Status
from ..openrouter import ChatRequest, nano_usd
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
    """Return the id under which the answer is cached; None if the feature caches no answers."""
    if not feature.settings.cache_seconds:
        return None
    owner = None if feature.settings.cache_shared else uid
    request = [feature.id, feature.revision, owner, *upstream.fingerprint()]
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()


def is_cacheable(status: Status, result: PromptResult) -> bool:
    """Return whether it is a whole, new answer, all of whose images are stored.

    An answer without the required format is not cached, because it would be served repeatedly.
    """
    whole = status == "done" and result["finishReason"] == "stop" and not result["cached"]
    if any(notice["reason"] == "format_not_kept" for notice in result.get("notices", ())):
        return False
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
        self._documents = Paths(firestore).responses()
        self._limits = limits
        self._now = now
        self._making: dict[str, asyncio.Future[None]] = {}  # by id: answers on this instance

    @contextmanager
    def making(self, id_: str | None) -> Iterator[asyncio.Future[None] | None]:
        """While entered, mark an answer as being generated.

        Of identical requests at the same time, one calls OpenRouter; the others wait and then find
        its answer in the cache.

        Yields:
            What to wait for: it is done when the other request has ended. None if there is none.
        """
        if id_ is None or id_ in self._making:
            yield None if id_ is None else self._making[id_]
            return
        made = self._making[id_] = asyncio.get_running_loop().create_future()
        try:
            yield None
        finally:
            del self._making[id_]
            made.set_result(None)

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

    async def put(self, id_: str, result: PromptResult, uid: str, seconds: int) -> None:
        """Cache a whole answer, unless it is too long or Firestore is unavailable.

        Args:
            id_: What `response_id` returned.
            result: The answer.
            uid: The user that it was written for.
            seconds: How long it may be served.
        """
        answer = _cached(without_image_data(result))
        if len(encode(answer)) > self._limits.result_max_bytes:
            return
        document: dict[str, object] = {
            "answer": answer,
            "uid": uid,
            "expireAt": self._now() + timedelta(seconds=seconds),
        }
        if "conversationId" in result:
            document["conversationId"] = result["conversationId"]
        batch = Batch(self._firestore)
        batch.set(self._documents.document(id_), document)
        try:
            await commit(batch, self._limits.settle_s)
        except FirestoreError as error:
            log.warning("response_not_kept", type=error.cause)

    async def delete(self, id_: str) -> None:
        """Delete an answer that was just cached. If that fails, it expires."""
        batch = Batch(self._firestore)
        batch.delete(self._documents.document(id_))
        try:
            await commit(batch, self._limits.settle_s)
        except FirestoreError as error:
            log.error("response_not_deleted", type=error.cause)


def saved_nano_usd(answer: CachedAnswer) -> int:
    """Return what a cached answer cost when it was generated, which serving it saves."""
    return nano_usd(answer["usage"].get("cost") or 0)


def _cached(result: Mapping[str, object]) -> CachedAnswer:
    return cast(CachedAnswer, {n: result[n] for n in CachedAnswer.__annotations__ if n in result})
