"""A joint admission of which a part is cancelled: the others are admitted, and it is ended."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from firerouter.background import BackgroundTasks
from firerouter.generation.joint_admission import JointAdmission
from firerouter.ledger import (
    Admission,
    Admitted,
    Allowance,
    Caps,
    FeatureLimits,
    FeatureUse,
    OpenEntry,
    Outcome,
    RequestKey,
    UserLimits,
    Windows,
)
from firerouter.ledger.entry import EntryState

CAPS = Caps(UserLimits(), FeatureLimits())
NOW = datetime(2026, 11, 28, tzinfo=UTC)


class Books:
    """A ledger that admits all once it is told to, and notes what is settled."""

    def __init__(self) -> None:
        self.background = BackgroundTasks()
        self.asked: list[str] = []
        self.open = asyncio.Event()
        self.settled: list[tuple[str, str]] = []

    async def admit_all(self, admissions: Sequence[Admission], caps: Caps) -> list[Admitted]:
        self.asked += [one.id for one in admissions]
        await self.open.wait()
        windows, state = Windows(at=NOW), EntryState(NOW)
        return [Admitted(OpenEntry(one, "n", windows, state), Allowance()) for one in admissions]

    def begin_to_settle(self, entry: OpenEntry, outcome: Outcome) -> None:
        self.settled.append((entry.admission.id, outcome.status))


def asked(id_: str) -> Admission:
    request, feature = RequestKey(payload="p"), FeatureUse(id="chat", revision=1, model="m")
    return Admission(id=id_, uid="ann", request=request, feature=feature)


async def begun(joint: JointAdmission, *ids: str) -> list[asyncio.Task[Any]]:
    """Return the parts that have asked, each in a task of its own."""
    tasks = [asyncio.create_task(joint.part().admit(asked(id_), CAPS)) for id_ in ids]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


def joint(books: Books) -> JointAdmission:
    return JointAdmission(books, 3)  # type: ignore[arg-type]


async def cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cancelled_before_all_have_asked_it_is_not_admitted() -> None:
    books = Books()
    together = joint(books)
    first, second = await begun(together, "g0", "g1")
    await cancelled(first)
    (third,) = await begun(together, "g2")
    books.open.set()
    assert [(await task).entry.admission.id for task in (second, third)] == ["g1", "g2"]
    assert (books.asked, books.settled) == (["g1", "g2"], [])


async def test_cancelled_while_all_are_admitted_it_is_ended() -> None:
    books = Books()
    first, second, third = await begun(joint(books), "g0", "g1", "g2")
    assert books.asked == ["g0", "g1", "g2"]
    await cancelled(first)
    books.open.set()
    assert [(await task).entry.admission.id for task in (second, third)] == ["g1", "g2"]
    assert books.settled == [("g0", "interrupted")]


async def test_where_all_are_cancelled_nothing_is_left() -> None:
    books = Books()
    tasks = await begun(joint(books), "g0", "g1", "g2")
    await asyncio.gather(*map(cancelled, tasks))
    books.open.set()
    await books.background.drain()
    assert sorted(books.settled) == [(f"g{n}", "interrupted") for n in range(3)]
