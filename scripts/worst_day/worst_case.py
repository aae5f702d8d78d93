"""What a caller costs in a day who sends more than any limit allows. Pure.

calls that go on   as many as `CallLimits` lets through, each with what was measured of it
all the others     refused: a request, some CPU, a few bytes
instances          billed as long as they answer anything: at this rate, all day
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from firerouter import limits as wire
from firerouter.app.callables import FUNCTIONS, RESOURCES, USER
from firerouter.users.limits import CallKind, CallLimits, Pace
from scripts.worst_day import list_prices as price

CALLS_PER_S: Final = 50
DAY_S: Final = 86_400
DAY_MINUTES: Final = 1_440
DAY_CALLS: Final = CALLS_PER_S * DAY_S
STRANGER: Final = "refused: no account"
TOO_OFTEN: Final = "refused: too often"
MIX: Final = "the worst mix, every function in turn"
OFF: Final = frozenset({"create_embeddings"})  # until an admin turns on a model that is not free
OVER_CAP: Final = "refused: over a limit of the ledger"


@dataclass(frozen=True, slots=True)
class Taken:
    """What one call takes, as measured.

    Attributes:
        function: The callable, or which refusal it is.
        variant: What was called for.
        reads: Documents read in Firestore; writes and deletes alike.
        cpu_ms: Of the instance.
        sent_bytes: To the client.
        units: As how many calls it counts in `CallRates`.
    """

    function: str
    variant: str
    reads: float
    writes: float
    deletes: float
    cpu_ms: float
    sent_bytes: float
    units: float = 1

    @property
    def usd(self) -> float:
        """Return what it costs beside the request and the instance."""
        return (
            self.reads * price.READ_USD
            + self.writes * price.WRITE_USD
            + self.deletes * price.DELETE_USD
            + self.sent_bytes / price.GIB * price.EGRESS_GIB_USD
        )


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: dollars a day, by what they are paid for."""

    caller: str
    does: str
    accepted: int
    calls_usd: float  # Firestore and egress of the calls that go on
    flood_usd: float  # requests, refusals and instances: what anybody can cause

    @property
    def usd(self) -> float:
        return self.calls_usd + self.flood_usd


def read_taken(stored: Sequence[Mapping[str, Any]]) -> list[Taken]:
    """Return measurements as they were stored."""
    return [Taken(**one) for one in stored]


def instance_day_usd() -> float:
    """Return what an instance costs that answers something all day."""
    memory = RESOURCES.memory_mb / 1024 * price.MEMORY_GIB_S_USD
    return DAY_S * (RESOURCES.cpus * price.CPU_S_USD + memory)


def instances_for(calls: float, cpu_ms: float, functions: int) -> float:
    """Return how many instances are billed all day for so many short calls.

    Each call is billed for 100 ms at least. Those of one function overlap, and one instance answers
    them; those of several functions do not.
    """
    cpu = calls * cpu_ms / 1000 / DAY_S / RESOURCES.cpus
    billed = calls * price.BILLED_STEP_S / DAY_S
    return max(min(billed, functions), cpu)


def pace_of(kind: CallKind, *, anonymous: bool) -> Pace:
    """Return the pace of `CallLimits`, as `users.call_rates` counts it."""
    limits = CallLimits()
    pace, share = limits.of(kind), limits.anonymous_share if anonymous else 1.0
    return Pace(max(1, round(pace.per_minute * share)), max(1, round(pace.at_once * share)))


def most_calls(taken: Taken, kind: CallKind, *, anonymous: bool) -> int:
    """Return how many of these calls go on in a day, on one instance of their function."""
    per_day = pace_of(kind, anonymous=anonymous).per_minute * DAY_MINUTES / taken.units
    if kind == "ask":  # the ledger's own limits
        minute = wire.ANONYMOUS_REQUESTS_PER_MINUTE if anonymous else wire.REQUESTS_PER_MINUTE
        per_day = min(per_day, minute * DAY_MINUTES)
        if anonymous:
            per_day = min(per_day, wire.ANONYMOUS_REQUESTS_PER_DAY)
    return int(min(per_day, DAY_CALLS))


def flood_usd(calls: int, refusal: Taken, functions: int) -> float:
    """Return what so many refused calls cost, spread over so many functions."""
    instances = instances_for(calls, refusal.cpu_ms, functions) * instance_day_usd()
    return instances + calls * (price.REQUEST_USD + refusal.usd)


def rows(measured: Sequence[Taken]) -> list[Row]:
    """Return the table: one account per kind of call, the worst mix, anonymous, a stranger."""
    by_name = {one.function: one for one in measured}
    kinds = {row.name: row.call_kind for row in FUNCTIONS if row.audience == USER}
    flood, most = flood_usd(DAY_CALLS, by_name[TOO_OFTEN], 1), RESOURCES.instances_max
    found: list[Row] = []
    for caller, anonymous in (("free account", False), ("anonymous account", True)):
        single: dict[Taken, Row] = {}
        for one in (taken for taken in measured if taken.function in kinds):
            accepted = most_calls(one, kinds[one.function], anonymous=anonymous)
            does = f"`{one.function}`, {one.variant}"
            single[one] = Row(caller, does, accepted, accepted * one.usd, flood)
        by_default = {taken: row for taken, row in single.items() if taken.function not in OFF}
        refused = by_name[TOO_OFTEN]
        found += [
            *single.values(),
            _mix(caller, MIX, by_default, kinds, refused=refused),
            _mix(caller, f"{MIX}; vectors are on", single, kinds, refused=refused),
            _mix(
                caller,
                f"{MIX}; {most} instances of each",
                by_default,
                kinds,
                refused=refused,
                instances=most,
            ),
        ]
    stranger = by_name[STRANGER]
    found.append(
        Row("stranger", "one function, no account", 0, 0.0, flood_usd(DAY_CALLS, stranger, 1))
    )
    spread = flood_usd(DAY_CALLS, stranger, len(kinds))
    return [*found, Row("stranger", "every function in turn, no account", 0, 0.0, spread)]


def _mix(
    caller: str,
    does: str,
    single: Mapping[Taken, Row],
    kinds: Mapping[str, CallKind],
    *,
    refused: Taken,
    instances: int = 1,
) -> Row:
    """Return the worst mix: the dearest calls of each function, as many as are let through.

    The ledger counts what asks a model for all functions and instances together. The other paces
    are those of one instance of a function, and `api` has them once more.
    """
    dearest: dict[str, tuple[Taken, Row]] = {}
    for taken, row in single.items():
        best = dearest.get(taken.function)
        if best is None or row.calls_usd > best[1].calls_usd:
            dearest[taken.function] = (taken, row)
    through_api: dict[CallKind, tuple[Taken, Row]] = {}
    for name, found in dearest.items():
        best = through_api.get(kinds[name])
        if best is None or found[1].calls_usd > best[1].calls_usd:
            through_api[kinds[name]] = found
    asked = through_api.pop("ask")
    others = [found for name, found in dearest.items() if kinds[name] != "ask"]
    choices = [(asked[0].usd, asked[1].accepted)] + [
        (taken.usd, row.accepted * instances) for taken, row in (*others, *through_api.values())
    ]
    accepted, calls_usd = 0, 0.0
    for usd, most in sorted(choices, reverse=True):
        calls = min(most, DAY_CALLS - accepted)
        accepted += calls
        calls_usd += calls * usd
    return Row(caller, does, accepted, calls_usd, flood_usd(DAY_CALLS, refused, len(kinds)))
