"""The plan: every call, and when instances are killed and the ledger is audited."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from firerouter.contract.prompts import NEW
from firerouter.ledger.ids import comparison_ids, generation_id
from scripts.bill_test.ends import AGAIN, COMPARE, EMBED, ENDS, SUMMARY_CHARS, End, Json

USERS: Final = 40
TALKS: Final = 2  # of a user: the newest conversations, which later calls continue
FEW_USERS: Final = 5  # call the features below, so that each of them calls often
MET_AGAIN: Final = ("bill_cached", "bill_capped")
CACHED_PROMPTS: Final = 2  # of each user
REPEATED_WITHIN: Final = 60  # the latest calls, one of which is sent again
KILL_EVERY: Final = 250  # calls, about
AUDIT_EVERY: Final = 500  # calls, about
AUDITS_MIN: Final = 2
SERVERS: Final = ("api-0", "api-1", "continuation")


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """One call.

    Attributes:
        number: Its place in the plan.
        mark: The text by which the items of its bill are recognized.
        data: What is sent.
        stop_after_s, leave_after_s: See `End`.
        lane: Chooses the instance that is called.
        again: Whether it was sent before.
    """

    number: int
    end: End
    uid: str
    mark: str
    data: Json
    stream: bool
    stop_after_s: float | None
    leave_after_s: float | None
    lane: int
    again: bool = False

    @property
    def name(self) -> str:
        """The end that it is counted under."""
        return AGAIN if self.again else self.end.name

    @property
    def request_id(self) -> str:
        return str(self.data["requestId"])

    @property
    def conversation(self) -> str | None:
        """The conversation that it belongs to or opens, if any."""
        named = self.data.get("conversationId")
        return f"c{generation_id(self.uid, self.request_id)}" if named == NEW else named

    @property
    def generations(self) -> list[str]:
        """The ids of the entries that it may have."""
        own = generation_id(self.uid, self.request_id)
        return comparison_ids(own, self.uid) if self.end.callable == COMPARE else [own]


@dataclass(frozen=True)
class Plan:
    """What a trial does.

    Attributes:
        calls: The calls, in order.
        kills: The instance to kill when a call begins, by the call's number.
        audits: The numbers of the calls at whose beginning the ledger is audited.
    """

    calls: Sequence[PlannedCall]
    kills: dict[int, str]
    audits: frozenset[int]


@dataclass
class Drawing:
    """Draws calls one after the other: a later one may continue, or repeat, an earlier one."""

    dice: random.Random
    calls: list[PlannedCall] = field(default_factory=list)
    opened: dict[str, list[str]] = field(default_factory=dict)  # requests, by user

    def draw(self, number: int, end: End) -> PlannedCall:
        """Draw the call with this number, which ends like this, and keep it."""
        self.calls.append(self._drawn(number, end))
        return self.calls[-1]

    def _drawn(self, number: int, end: End) -> PlannedCall:
        if end.repeats and self.calls:
            before = self.dice.choice(self.calls[-REPEATED_WITHIN:])
            return replace(before, number=number, stop_after_s=None, leave_after_s=None, again=True)
        users = FEW_USERS if end.feature in MET_AGAIN else USERS
        uid = f"user-{self.dice.randrange(users)}"
        mark = f"call-{number}."
        if end.feature == "bill_cached":
            mark = f"cached-{uid}-{self.dice.randrange(CACHED_PROMPTS)}."
        return PlannedCall(
            number=number,
            end=end,
            uid=uid,
            mark=mark,
            data={"feature": end.feature, "requestId": f"r{number}", **self._data(end, uid, mark)},
            stream=end.callable != EMBED and self.dice.random() < 0.6,
            stop_after_s=None if end.stop_s is None else self.dice.uniform(*end.stop_s),
            leave_after_s=None if end.leave_s is None else self.dice.uniform(*end.leave_s),
            lane=self.dice.randrange(len(SERVERS)),
        )

    def _data(self, end: End, uid: str, mark: str) -> Json:
        if end.callable == EMBED:
            return {"input": [f"for {mark}", "y" * 300], "model": self.dice.choice(end.models)}
        data: Json = {"prompt": f"for {mark}", **(end.more or {})}
        if end.feature == "bill_images":
            return {**data, "model": self.dice.choice(end.models)}
        if end.feature != "bill_cached":
            data["variables"] = {"call": mark}
        if end.callable != COMPARE and end.feature not in ("bill_cached", "bill_fallback"):
            data["model"] = self.dice.choice(end.models)
        if end.talks is not None:
            data |= self._conversation(end, uid, mark)
        return data

    def _conversation(self, end: End, uid: str, mark: str) -> Json:
        opened = self.opened.setdefault(uid, [])
        if end.talks == "earlier" and opened:
            opener = self.dice.choice(opened[-TALKS:])
            talk = {"conversationId": f"c{generation_id(uid, opener)}"}
        else:
            opened.append(f"r{mark.removeprefix('call-').removesuffix('.')}")
            talk = {"conversationId": NEW}
        text = "word " * (SUMMARY_CHARS // 5) if end.talks == "earlier" else "please"
        return {**talk, "prompt": f"for {mark} {text}"}


def plan(generations: int, seed: int) -> Plan:
    """Draw the plan. It contains every end, and kills an instance of each function."""
    dice = random.Random(seed)  # noqa: S311  # repeatable, not secret
    drawing = Drawing(dice)
    drawn = dice.choices(ENDS, [end.weight for end in ENDS], k=generations - len(ENDS))
    ends = dice.sample([*ENDS, *drawn], generations)
    for number, end in enumerate(ends):
        drawing.draw(number, end)
    times = max(len(SERVERS), generations // KILL_EVERY)
    numbers = sorted(dice.sample(range(generations // 10, generations), times))
    kills = {number: SERVERS[at % len(SERVERS)] for at, number in enumerate(numbers)}
    audits = dice.sample(range(generations), max(AUDITS_MIN, generations // AUDIT_EVERY))
    return Plan(drawing.calls, kills, frozenset(audits))
