"""The plan: five calls in a hundred meet a fault, and an instance is killed every minute."""

from __future__ import annotations

import random
from typing import Final

from scripts.bill_test.ends import ENDS, End
from scripts.bill_test.plan import Drawing, Plan

CALLS_A_SECOND: Final = 3.0
FAULTS: Final = 0.05  # of all calls
KILLED: Final = "api-1"  # api-0 lives throughout: it is watched
FAULTY: Final = frozenset(
    {
        *("cut", "silent", "silent before headers", "empty", "refused by the model"),
        *("refused by OpenRouter", "failed, and charged", "retried", "fallen back"),
        *("out of all proportion", "usage is nonsense", "no usage", "repaired"),
    }
)


def plan(minutes: float, seed: int) -> Plan:
    """Draw the calls of so many minutes, the kills, and an audit in the middle of each five."""
    dice = random.Random(seed)  # noqa: S311  # repeatable, not secret
    drawing = Drawing(dice)
    sound = [end for end in ENDS if end.name not in FAULTY]
    faulty = [end for end in ENDS if end.name in FAULTY]
    calls_a_minute = round(CALLS_A_SECOND * 60)
    count = max(1, round(minutes * calls_a_minute))
    for number in range(count):
        drawing.draw(number, _drawn(dice, faulty if dice.random() < FAULTS else sound))
    kills = dict.fromkeys(range(calls_a_minute // 2, count, calls_a_minute), KILLED)
    audits = range(calls_a_minute * 5 // 2, count, calls_a_minute * 5)
    return Plan(drawing.calls, kills, frozenset(audits))


def _drawn(dice: random.Random, ends: list[End]) -> End:
    return dice.choices(ends, [end.weight for end in ends])[0]
