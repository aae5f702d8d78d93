"""How a generation ends, and the one exit that all of them take.

    done         the work was completed
    stopped      the user stopped it, or the last client left: the text so far is the answer
    failed       with the error that the caller gets
    interrupted  the instance shut down, or the task was cancelled

Whatever happens after admission ends in `settled`: by then all connections are closed, the entry is
settled once, and the caller gets a result or an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import TypeVar

from .. import log
from ..callable import CallableError
from ..contract import Usage
from ..errors import Restarting, UpstreamError
from ..ledger import AttemptRecord, Cost, OpenEntry, Outcome, Status, cost_of_all
from ..openrouter import Interrupted
from ..openrouter import Usage as Tokens
from .prices import usage_of

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a generation ended. `failure`: what its caller gets instead of a result."""

    status: Status
    failure: CallableError | None = None


async def settled(
    work: Awaitable[None],
    settle: Callable[[Ending], Coroutine[object, object, ResultT | CallableError]],
    *,
    trace_id: str,
) -> ResultT:
    """Do the work, settle once however it ends, and return what `settle` returns.

    If the task is cancelled while it settles, it finishes settling first.

    Raises:
        CallableError: The failure that `settle` returned instead of a result.
    """
    ending = Ending("interrupted", Restarting())  # the default, if the task is cancelled
    try:
        ending = await _end(work, trace_id)
    finally:
        outcome = await to_its_end(settle(ending))
    if isinstance(outcome, CallableError):
        raise outcome
    return outcome


async def to_its_end(work: Coroutine[object, object, ResultT]) -> ResultT:
    """Finish work even if the task is cancelled. A second cancellation cancels the work as well.

    Raises:
        CancelledError: The task was cancelled in the meantime.
    """
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()  # no work continues without an owner
        raise


async def _end(work: Awaitable[None], trace_id: str) -> Ending:
    try:
        await work
    except Interrupted as interrupted:
        if interrupted.cause == "stopped":
            return Ending("stopped")
        return Ending("interrupted", Restarting())
    except CallableError as error:
        if isinstance(error, UpstreamError):
            log.warning(
                "upstream_failed",
                trace=trace_id,
                reason=error.reason,
                status=error.details.get("upstreamStatus"),
                upstreamReason=error.upstream_reason,
            )
        return Ending("failed", error)
    except Exception as error:
        return Ending("failed", unforeseen(error, trace_id))
    return Ending("done")


def unsent(entry: OpenEntry, failure: CallableError | None = None) -> Outcome:
    """Return the outcome of an entry for which nothing was sent to OpenRouter.

    Args:
        entry: The entry.
        failure: What its caller gets; None if its task was cancelled.
    """
    return Outcome(
        status="interrupted" if failure is None else "failed",
        model=entry.admission.feature.model,
        error=(failure or Restarting).reason,
        cost_nano_usd=0,
    )


def failed_outcome(
    entry: OpenEntry,
    failure: CallableError,
    price: Callable[[], tuple[Usage, Sequence[AttemptRecord]]],
    *,
    trace_id: str,
) -> Outcome:
    """Return the outcome of an entry without a result, which may have cost something nevertheless.

    Args:
        entry: The entry.
        failure: What its caller gets.
        price: Returns what it cost. If that raises, the entry's reservation is the estimate.
        trace_id: The trace of its call.
    """
    reserved = Cost(entry.admission.reserve.nano_usd, is_estimate=True)
    try:
        usage, attempts = price()
        cost = cost_of_all(attempts)
    except Exception as error:
        log.unexpected(error, trace_id)
        usage, cost = usage_of(Tokens().to_wire(), (), reserved), reserved
        attempts = entry.state.attempts
    return Outcome(
        status="failed",
        model=entry.admission.feature.model,
        error=failure.reason,
        usage=usage,
        cost_nano_usd=cost.nano_usd,
        cost_is_estimate=cost.is_estimate,
        attempts=tuple(attempts),
    )


def unforeseen(error: Exception, trace_id: str) -> CallableError:
    """Log an unexpected exception, and return the error that the caller gets."""
    log.unexpected(error, trace_id)
    return CallableError()
