"""The answers of a comparison are admitted together: all of them, or none.

The judge is admitted with them. Its request is sent after they have ended; if it is not sent, the
judge's admission is undone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from ..callable import CallableError
from ..ledger import Admission, Admitted, Answered, Caps, Ledger
from .exits import unsent


class Admitter(Protocol):
    """Admits one generation: the ledger, or a part of a joint admission."""

    async def admit(self, admission: Admission, caps: Caps) -> Admitted | Answered: ...


class JointAdmission:
    """Waits until every part has asked or left, then admits those that asked, in one commit."""

    def __init__(self, ledger: Ledger, parts: int, following: FollowingPart | None = None) -> None:
        self._ledger = ledger
        self._following = following
        self._awaited = parts
        self._asked: list[tuple[Admission, asyncio.Future[Admitted | Answered]]] = []
        self._caps: Caps | None = None
        self._is_admitting = False

    def part(self) -> JointPart:
        """Return one of the parts."""
        return JointPart(self)

    async def admit(self, admission: Admission, caps: Caps) -> Admitted | Answered:
        """Admit one part, once all others have asked or left. Raises as `Ledger.admit`."""
        future: asyncio.Future[Admitted | Answered] = asyncio.get_running_loop().create_future()
        self._asked.append((admission, future))
        self.count_part(caps)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            self._withdraw(future)
            raise

    def count_part(self, caps: Caps | None = None) -> None:
        """Stop waiting for one part: it has asked, with its caps, or it has left."""
        self._awaited -= 1
        self._caps = caps or self._caps
        if not self._awaited and self._asked and self._caps is not None:
            self._is_admitting = True
            self._ledger.background.start(self._admit(self._caps))

    async def _admit(self, caps: Caps) -> None:
        futures = [future for _, future in self._asked]
        admissions = [one for one, _ in self._asked]
        if self._following is not None:
            admissions.append(self._following.build(admissions[0]))
        outcomes: list[Admitted | Answered | CallableError]
        try:
            outcomes = await self._ledger.admit_all(admissions, caps)
        except asyncio.CancelledError:
            for future in futures:
                future.cancel()
            raise
        except Exception as error:
            for future in futures:
                future.set_exception(error)
                future.exception()  # mark it as retrieved: a part may have been cancelled
            return
        if self._following is not None:
            self._following.take(outcomes.pop(), caps)
        for future, outcome in zip(futures, outcomes, strict=True):
            if isinstance(outcome, CallableError):
                future.set_exception(outcome)
                future.exception()
            else:
                future.set_result(outcome)

    def _withdraw(self, future: asyncio.Future[Admitted | Answered]) -> None:
        """Leave out a part whose task was cancelled, or end its entry if it is admitted anyway."""
        if not self._is_admitting:
            self._asked = [asked for asked in self._asked if asked[1] is not future]
        future.add_done_callback(self._end)

    def _end(self, future: asyncio.Future[Admitted | Answered]) -> None:
        if future.cancelled() or future.exception() is not None:
            return
        admitted = future.result()
        if isinstance(admitted, Admitted):
            self._ledger.begin_to_settle(admitted.entry, unsent(admitted.entry))


class JointPart:
    """One part of a joint admission. Use it with `with`, so that the others never wait in vain."""

    def __init__(self, joint: JointAdmission) -> None:
        self._joint = joint
        self._counted = False

    async def admit(self, admission: Admission, caps: Caps) -> Admitted | Answered:
        self._counted = True
        return await self._joint.admit(admission, caps)

    def leave(self) -> None:
        """Let the other parts be admitted without this one."""
        if not self._counted:
            self._counted = True
            self._joint.count_part()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.leave()


class FollowingPart:
    """A generation that is admitted with others, but whose request is sent after they have ended.

    Two calls with the same request share it. The call that it was admitted for releases it.
    """

    def __init__(self, ledger: Ledger, build: Callable[[Admission], Admission]) -> None:
        """`build` derives its admission from another part's."""
        self.build = build
        self._ledger = ledger
        self._held: tuple[Admitted | Answered | CallableError, Caps] | None = None
        self._is_released = False

    def take(self, outcome: Admitted | Answered | CallableError, caps: Caps) -> None:
        """Store the outcome of its admission until it is needed."""
        self._held = (outcome, caps)
        if self._is_released:  # it is no longer needed
            self.release()

    async def admit(self, admission: Admission, caps: Caps) -> Admitted | Answered:
        """Return the outcome of its admission. Raises as `Ledger.admit`.

        A cached answer, or one that a task generates, is admitted anew and by itself.
        """
        if self._held is None:
            return await self._ledger.admit(admission, caps)
        outcome, _ = self._held
        if isinstance(outcome, Admitted):
            if admission.is_cached or admission.continues:
                if (withdrawing := self.release()) is not None:
                    await asyncio.wait({withdrawing})
                return await self._ledger.admit(admission, caps)
            await self._ledger.begin(outcome.entry)
        self._held = None
        if isinstance(outcome, CallableError):
            raise outcome
        return outcome

    def release(self) -> asyncio.Task[None] | None:
        """Undo its admission, unless its request was sent. Return the task that does it, if any."""
        self._is_released = True
        held, self._held = self._held, None
        if held is None or not isinstance(held[0], Admitted):
            return None
        return self._ledger.begin_to_withdraw(held[0].entry, held[1])

    def leave(self) -> None:
        """Do nothing: no other part waits for it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()
