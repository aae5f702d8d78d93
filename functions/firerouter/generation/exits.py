"""How a generation ends, and the one way out that all of them take.

    done         the work was completed
    stopped      the user stopped it, or the last client left: what was written is the answer
    failed       with the error that the caller gets
    interrupted  the instance shut down, or the task was cancelled

Whatever happens after a generation was admitted ends in `settled`: its connections are closed by
then, its entry is settled once, and its caller gets a result or an error.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from .. import log
from ..callable import CallableError
from ..errors import Restarting
from ..ledger import Status
from ..openrouter import Interrupted

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a generation ended. `failure`: what its caller gets instead of a result."""

    status: Status
    failure: CallableError | None = None


async def settled(
    work: Awaitable[None],
    settle: Callable[[Ending], Awaitable[ResultT | CallableError]],
    *,
    trace_id: str,
) -> ResultT:
    """Do the work, settle once however it ends, and return what `settle` returns.

    Raises:
        CallableError: The failure that `settle` returned instead of a result.
    """
    ending = Ending("interrupted", Restarting())  # the default, if the task is cancelled
    try:
        ending = await _end(work, trace_id)
    finally:
        outcome = await settle(ending)
    if isinstance(outcome, CallableError):
        raise outcome
    return outcome


async def _end(work: Awaitable[None], trace_id: str) -> Ending:
    try:
        await work
    except Interrupted as interrupted:
        if interrupted.cause == "stopped":
            return Ending("stopped")
        return Ending("interrupted", Restarting())
    except CallableError as error:
        return Ending("failed", error)
    except Exception as error:
        return Ending("failed", unforeseen(error, trace_id))
    return Ending("done")


def unforeseen(error: Exception, trace_id: str) -> CallableError:
    """Log an unexpected exception, and return the error that the caller gets."""
    log.unexpected(error, trace_id)
    return CallableError()
