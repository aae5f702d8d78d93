"""The answers of a comparison are admitted together: all of them fit, or none is asked for."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Protocol, Self

from ..callable import CallableError
from ..ledger import Admission, Admitted, Answered, Caps, Ledger
from .exits import unsent


class Admitter(Protocol):
    """Admits one generation: the ledger, or a part of a joint admission."""

    async def admit(self, admission: Admission, caps: Caps) -> Admitted | Answered: ...


class JointAdmission:
    """Waits until every part has asked, or has left, and admits those that asked by one commit."""

    def __init__(self, ledger: Ledger, parts: int) -> None:
        self._ledger = ledger
        self._awaited = parts
        self._asked: list[tuple[Admission, asyncio.Future[Admitted | Answered]]] = []
        self._caps: Caps | None = None
        self._is_admitting = False

    def part(self) -> JointPart:
        """Return one of the parts."""
        return JointPart(self)

    async def admit(self, admission: Admission, caps: Caps) -> Admitted | Answered:
        """Admit one part, once all others have asked as well. Raises as `Ledger.admit`."""
        future: asyncio.Future[Admitted | Answered] = asyncio.get_running_loop().create_future()
        self._asked.append((admission, future))
        self.count_part(caps)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            self._withdraw(future)
            raise

    def count_part(self, caps: Caps | None = None) -> None:
        """Wait for one part less: it has asked, with its caps, or has left."""
        self._awaited -= 1
        self._caps = caps or self._caps
        if not self._awaited and self._asked and self._caps is not None:
            self._is_admitting = True
            self._ledger.background.start(self._admit(self._caps))

    async def _admit(self, caps: Caps) -> None:
        futures = [future for _, future in self._asked]
        outcomes: list[Admitted | Answered | CallableError]
        try:
            outcomes = await self._ledger.admit_all([one for one, _ in self._asked], caps)
        except asyncio.CancelledError:
            for future in futures:
                future.cancel()
            raise
        except Exception as error:
            for future in futures:
                future.set_exception(error)
                future.exception()  # retrieved: a part may have left meanwhile
            return
        for future, outcome in zip(futures, outcomes, strict=True):
            if isinstance(outcome, CallableError):
                future.set_exception(outcome)
                future.exception()
            else:
                future.set_result(outcome)

    def _withdraw(self, future: asyncio.Future[Admitted | Answered]) -> None:
        """Have a part whose task was cancelled not admitted, or its entry ended once it is."""
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
    """One part of a joint admission: `with` it, so that no other part waits for it in vain."""

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
