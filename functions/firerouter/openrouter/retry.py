"""When a model is retried: if its failure may be temporary, with full jitter in between."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..errors import EmptyAnswer, UpstreamError
from .attempts import OnRetry
from .deadline import Deadline
from .limits import OpenRouterLimits

if TYPE_CHECKING:
    from tenacity import AsyncRetrying, RetryCallState


def retrying(
    model: str, deadline: Deadline, limits: OpenRouterLimits, on_retry: OnRetry | None = None
) -> AsyncRetrying:
    """Return an iterator over the attempts with one model.

    Args:
        model: The model.
        deadline: Guards the pauses between attempts.
        limits: How many attempts there are, and how long the pauses are.
        on_retry: Called before each retry.
    """
    from tenacity import AsyncRetrying, retry_if_exception, wait_random_exponential

    empty_answers = 0
    jitter = wait_random_exponential(multiplier=limits.backoff_first_s, max=limits.backoff_max_s)

    def wait(state: RetryCallState) -> float:
        failure = state.outcome.exception() if state.outcome else None
        requested = failure.retry_after_seconds if isinstance(failure, UpstreamError) else None
        return jitter(state) if requested is None else requested

    async def sleep(seconds: float) -> None:
        with deadline.guard():
            await asyncio.sleep(seconds)

    async def announce(state: RetryCallState) -> None:
        failure = state.outcome.exception() if state.outcome else None
        if on_retry is not None and isinstance(failure, UpstreamError):
            await on_retry(model, failure.reason)

    def may_pass(error: BaseException) -> bool:
        """Whether a retry may succeed, and its pause is short enough to wait for."""
        if not isinstance(error, UpstreamError) or not error.another_try:
            return False
        return (error.retry_after_seconds or 0) <= limits.retry_after_max_s

    def was_last(state: RetryCallState) -> bool:
        """Whether a model has had its tries. One that has nothing to say, says so for money."""
        nonlocal empty_answers
        failure = state.outcome.exception() if state.outcome else None
        empty_answers += isinstance(failure, EmptyAnswer)
        spent = empty_answers >= limits.empty_answers_per_model
        return spent or state.attempt_number >= limits.tries_per_model

    return AsyncRetrying(
        retry=retry_if_exception(may_pass),
        stop=was_last,
        wait=wait,
        sleep=sleep,
        before_sleep=announce,
        reraise=True,
    )
