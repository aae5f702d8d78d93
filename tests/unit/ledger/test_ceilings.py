"""What the whole app spends: read once for all that wait, and exactly near its ceiling."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast

from firerouter.firestore import Document
from firerouter.ledger.caps import Ceiling
from firerouter.ledger.ceilings import Ceilings
from firerouter.ledger.limits import LedgerLimits
from firerouter.ledger.quotas import NANO_USD, Counter, Windows
from firerouter.ledger.store import LedgerStore

WINDOWS = Windows(at=datetime(2026, 3, 14, 12, tzinfo=UTC), shard=2)
USD = 10**9
LIMITS = LedgerLimits()


class Shards:
    """Stands in for the store: what it holds, and how often that was read."""

    def __init__(self, **nano_usd: int) -> None:
        self.nano_usd = nano_usd
        self.reads = 0
        self.released = asyncio.Event()
        self.released.set()

    async def ceiling_shards(self, windows: Windows) -> dict[int, Document]:
        self.reads += 1
        held = {int(name[1:]): _document(value) for name, value in self.nano_usd.items()}
        await self.released.wait()
        return held


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def _document(nano_usd: int) -> Document:
    return {"days": {"14": {NANO_USD: nano_usd}}, "month": {NANO_USD: nano_usd}}


def counted(total: int) -> Mapping[str, tuple[Counter, int]]:
    def counter(field: tuple[str, ...], cap: str) -> tuple[Counter, int]:
        unit = Counter(home="project", field=field, by=1, cap=cap, max=None, unit="usd")
        return unit, total

    return {
        "app.usdPerDay": counter(("days", "14", NANO_USD), "app.usdPerDay"),
        "app.usdPerMonth": counter(("month", NANO_USD), "app.usdPerMonth"),
    }


def ceilings(shards: Shards, clock: Clock) -> Ceilings:
    return Ceilings(cast(LedgerStore, shards), limits=LIMITS, clock=clock)


async def test_all_that_wait_for_the_sum_share_one_read() -> None:
    shards = Shards(s0=USD)
    known = ceilings(shards, Clock())
    found = await asyncio.gather(
        *(known.excess(Ceiling(), WINDOWS, counted(total)) for total in range(16))
    )
    assert (found, shards.reads) == ([None] * 16, 1)


async def test_a_sum_that_grows_old_is_read_again_while_it_still_serves() -> None:
    shards, clock = Shards(s0=USD), Clock()
    known = ceilings(shards, clock)
    await known.excess(Ceiling(), WINDOWS, counted(1))
    shards.released.clear()
    clock.now += LIMITS.ceiling_fresh_s
    assert await known.excess(Ceiling(), WINDOWS, counted(2)) is None  # without waiting
    await asyncio.sleep(0)
    assert shards.reads == 2
    shards.released.set()
    await asyncio.sleep(0.01)
    clock.now += LIMITS.ceiling_stale_s
    await known.excess(Ceiling(), WINDOWS, counted(3))
    assert shards.reads == 3


async def test_near_its_ceiling_each_admission_reads_what_all_have_reserved() -> None:
    ceiling = Ceiling(usd_per_day=10, usd_per_month=1000)
    shards = Shards(s0=7 * USD)
    known = ceilings(shards, Clock())
    assert await known.excess(ceiling, WINDOWS, counted(USD // 2)) is None
    assert shards.reads == 1
    shards.nano_usd |= {"s1": USD, "s2": USD}  # another instance's, and this admission's own
    assert await known.excess(ceiling, WINDOWS, counted(USD)) is None
    assert shards.reads == 2
    shards.nano_usd |= {"s1": 3 * USD}
    excess = await known.excess(ceiling, WINDOWS, counted(USD))
    assert excess is not None
    counter, total, most = excess
    assert (counter.cap, total, most) == ("app.usdPerDay", 11 * USD, 10 * USD)


async def test_what_is_reserved_during_a_read_is_not_forgotten_by_it() -> None:
    ceiling = Ceiling(usd_per_day=10, usd_per_month=1000)
    shards, clock = Shards(s0=USD), Clock()
    known = ceilings(shards, clock)
    await known.excess(ceiling, WINDOWS, counted(1))
    shards.released.clear()
    clock.now += LIMITS.ceiling_fresh_s
    await known.excess(ceiling, WINDOWS, counted(2))
    await asyncio.sleep(0)  # the read has begun, and sees nothing of what follows
    clock.now += 1
    await known.excess(ceiling, WINDOWS, counted(6 * USD))
    shards.released.set()
    await asyncio.sleep(0.01)
    reads = shards.reads
    other = Windows(at=WINDOWS.at, shard=3)
    await known.excess(ceiling, other, counted(2 * USD))  # 9 of 10 dollars
    assert shards.reads == reads + 1


async def test_after_a_refusal_each_admission_reads_what_others_have_reserved() -> None:
    """For what was reserved is given back, so that the sum seems low while all try again."""
    ceiling = Ceiling(usd_per_day=10, usd_per_month=1000)
    shards, clock = Shards(s0=11 * USD), Clock()
    known = ceilings(shards, clock)
    assert await known.excess(ceiling, WINDOWS, counted(0)) is not None
    shards.nano_usd = {"s0": 0}
    assert await known.total(WINDOWS, ("days", "14", NANO_USD)) == 0
    shards.nano_usd = {"s0": 10 * USD, "s2": USD}  # another instance's, and this admission's own
    assert await known.excess(ceiling, WINDOWS, counted(USD)) is not None
    clock.now += LIMITS.ceiling_stale_s
    reads = shards.reads
    shards.nano_usd = {"s0": 0}
    await known.total(WINDOWS, ("days", "14", NANO_USD))
    assert await known.excess(ceiling, WINDOWS, counted(USD)) is None
    assert shards.reads == reads + 1


async def test_what_another_instance_wrote_is_not_replaced_by_an_older_total() -> None:
    ceiling = Ceiling(usd_per_day=10, usd_per_month=1000)
    shards = Shards(s0=9 * USD)
    known = ceilings(shards, Clock())
    await known.excess(ceiling, WINDOWS, counted(0))
    shards.nano_usd = {"s0": 9 * USD, "s2": 3 * USD, "s3": 0}  # of which two dollars are another's
    other = Windows(at=WINDOWS.at, shard=3)
    shards.released.clear()
    first = asyncio.create_task(known.excess(ceiling, other, counted(0)))
    await asyncio.sleep(0)
    own = asyncio.create_task(known.excess(ceiling, WINDOWS, counted(USD)))  # told late
    await asyncio.sleep(0)
    shards.released.set()
    assert await first is not None
    assert await own is not None
