"""What is asked, of which process, and when that is killed: all of it from one seed. Pure."""

from __future__ import annotations

import base64
import random
from dataclasses import dataclass, field
from typing import Any, Final

from firerouter.contract.prompts import NEW
from firerouter.ledger.ids import generation_id

FEATURE: Final = "killed"
CAPPED: Final = "killed_capped"  # refuses more than two requests a minute
CONTINUES: Final = "killed_continues"  # needs no listener: `continuation` answers it
USERS: Final = 5
CALLS_MAX: Final = 4  # at once
OPEN_TALKS: Final = 4  # of a user: those that are gone on with
LONG: Final = ("sim/ticks", "sim/paid-ticks")  # they write for ten seconds
MODELS: Final = (
    "z-ai/glm-4.5-air:free",  # reserves nothing
    "sim/fast",
    "sim/paid",
    *LONG,
    "sim/silent-after-headers",
    "sim/paid-cut-mid-stream",
    "sim/flaky-2",  # asked up to three times
)
RETRIED: Final = {"sim/flaky-2": 3}
PROMPT: Final = "For {{request}}, as an assistant:"  # tells OpenRouter's records whose they are
COLD_S: Final = 3.0  # a fresh process imports for a second or two before it admits anything
WARM_S: Final = 1.8  # the attempts are noted half a second after their ids
LONG_S: Final = (3.0, 7.0)  # of an answer's text something is kept from its third second on
OTHER_S: Final = 3.0  # a round's second process outlives the first one


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    leave_after_s: the client hangs up by then; None: it stays. stop_after_s: another device stops
    it. opener: the request whose conversation it goes on with; its own: it opens one; None:
    stateless. again: the request whose answer it asks for once more, or whose question it has
    answered, as `of` says. file: it brings one along.
    """

    uid: str
    feature: str
    model: str
    stream: bool
    request_id: str
    leave_after_s: float | None = None
    stop_after_s: float | None = None
    opener: str | None = None
    again: str | None = None
    of: str = "q"
    file: bool = False

    @property
    def generation(self) -> str:
        return generation_id(self.uid, self.request_id)

    @property
    def conversation(self) -> str | None:
        return None if self.opener is None else f"c{generation_id(self.uid, self.opener)}"

    @property
    def data(self) -> dict[str, Any]:
        return {
            **self._place(),
            **self._question(),
            "feature": self.feature,
            "model": self.model,
            "variables": {"request": self.request_id},
            "requestId": self.request_id,
        }

    def _place(self) -> dict[str, Any]:
        if self.opener is None:
            return {}
        opens = self.opener == self.request_id
        return {"conversationId": NEW if opens else self.conversation}

    def _question(self) -> dict[str, Any]:
        if self.again is not None:
            return {"regenerate": f"{self.of}{generation_id(self.uid, self.again)}"}
        files = {"attachments": [_file(self.request_id)]} if self.file else {}
        return {"prompt": f"for {self.request_id}.", **files}


@dataclass(frozen=True, slots=True)
class Round:
    """`execute_prompt` and, where a call needs it, `continuation`, a process each: warmed up by a
    call of its own or not, called, killed.

    first: which of them is killed first. then_after_s: the other one is, that much later.
    """

    number: int
    warm: Call | None
    calls: tuple[Call, ...]
    kill_after_s: float
    first: str = "execute_prompt"
    then_after_s: float = 0.0

    @property
    def functions(self) -> tuple[str, ...]:
        """In the order in which they are killed."""
        if all(call.feature != CONTINUES for call in self.calls):
            return ("execute_prompt",)
        if self.first == "continuation":
            return ("continuation", "execute_prompt")
        return ("execute_prompt", "continuation")


@dataclass
class _Made:
    """What was planned so far, to be sent again, gone on with, and answered again."""

    calls: list[Call] = field(default_factory=list)

    def talks(self, uid: str) -> list[str]:
        return [call.opener for call in self.calls if call.uid == uid and call.opener]

    def questions(self, uid: str, opener: str) -> list[str]:
        there = (call for call in self.calls if (call.uid, call.opener) == (uid, opener))
        return [call.request_id for call in there if call.again is None]


def plan(times: int, seed: int) -> list[Round]:
    """So many rounds. Some calls are an earlier one again, as a client whose connection broke
    sends it. Some rounds last until there is something of a long answer to be kept."""
    dice = random.Random(seed)  # noqa: S311  # to be repeated, not to be secret
    rounds: list[Round] = []
    made = _Made()
    for number in range(times):
        warm, lasts = dice.random() < 0.6, dice.random() < 0.35
        calls = []
        for at in range(dice.randint(1, CALLS_MAX)):
            if made.calls and dice.random() < 0.15:
                calls.append(dice.choice(made.calls))
            else:
                calls.append(_call(dice, f"{number}-{at}", made, lasts))
        made.calls += calls
        first = Call("user-0", FEATURE, "sim/fast", False, f"{number}-warm") if warm else None
        kill_after_s = (
            dice.uniform(*LONG_S) if lasts else dice.uniform(0, WARM_S if warm else COLD_S)
        )
        killed_first = dice.choice(("execute_prompt", "continuation"))
        other_s = dice.uniform(0, OTHER_S)
        rounds.append(Round(number, first, tuple(calls), kill_after_s, killed_first, other_s))
    return rounds


def _call(dice: random.Random, request_id: str, made: _Made, lasts: bool) -> Call:
    uid = f"user-{dice.randrange(USERS)}"
    openers = made.talks(uid)
    goes_on = dice.choice(openers[-OPEN_TALKS:]) if openers and dice.random() < 0.7 else request_id
    opener = goes_on if dice.random() < 0.7 else None
    asked = made.questions(uid, opener) if opener is not None else []
    again = dice.choice(asked) if asked and dice.random() < 0.35 else None
    ends = dice.random()
    return Call(
        uid=uid,
        feature=dice.choices((FEATURE, CAPPED, CONTINUES), (60, 15, 25))[0],
        model=dice.choice(LONG) if lasts and dice.random() < 0.7 else dice.choice(MODELS),
        stream=dice.random() < 0.6,
        request_id=request_id,
        leave_after_s=dice.uniform(0.1, 1.5) if ends < 0.2 else None,
        stop_after_s=dice.uniform(0.1, 4.0) if ends > 0.8 else None,
        opener=opener,
        again=again,
        of=dice.choice("qa"),
        file=again is None and dice.random() < 0.15,
    )


def _file(request_id: str) -> dict[str, str]:
    content = f"notes for {request_id}.".encode()
    return {
        "data": base64.b64encode(content).decode(),
        "contentType": "text/plain",
        "name": "notes.txt",
    }
