"""What has been tried to get an answer, and when the same model is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from .. import limits
from ..errors import UpstreamError
from .deadline import Deadline
from .file_annotations import Files


@dataclass(slots=True)
class Attempt:
    """One try: the model, OpenRouter's id once it is known, why it failed if it did.

    key_version: of the key it was last asked with, which can look its id up.
    """

    model: str
    upstream_id: str | None = None
    reason: str | None = None
    key_version: int | None = None


@dataclass(slots=True)
class AttemptLog:
    """What has been tried, kept by the caller. on_id and on_retry are told as it happens.

    files: what was read of files for it before, or for a try that failed.
    """

    on_id: Callable[[], None] = lambda: None
    on_retry: Callable[[str, str], Awaitable[None]] | None = None  # next model, reason
    attempts: list[Attempt] = field(default_factory=list)
    files: Files = field(default_factory=Files)


def retrying(model: str, watch: Deadline, tries: AttemptLog) -> AsyncRetrying:
    """Tries of one model, while its failures may pass. Each announced to `tries.on_retry`."""
    jitter = wait_random_exponential(multiplier=limits.BACKOFF_FIRST_S, max=limits.BACKOFF_MAX_S)

    def wait(state: RetryCallState) -> float:
        failure = state.outcome.exception() if state.outcome else None
        asked = failure.retry_after_seconds if isinstance(failure, UpstreamError) else None
        return jitter(state) if asked is None else asked

    async def sleep(seconds: float) -> None:
        with watch.guard():
            await asyncio.sleep(seconds)

    async def announce(state: RetryCallState) -> None:
        failure = state.outcome.exception() if state.outcome else None
        if tries.on_retry is not None and isinstance(failure, UpstreamError):
            await tries.on_retry(model, failure.reason)

    return AsyncRetrying(
        retry=retry_if_exception(_may_pass),
        stop=stop_after_attempt(limits.TRIES_PER_MODEL),
        wait=wait,
        sleep=sleep,
        before_sleep=announce,
        reraise=True,
    )


def _may_pass(error: BaseException) -> bool:
    """Whether the same model may answer if asked again, soon enough to wait for it."""
    if not isinstance(error, UpstreamError) or not error.another_try:
        return False
    return (error.retry_after_seconds or 0) <= limits.RETRY_AFTER_MAX_S
