"""The plan: every call, the process it goes to, and when that is killed, drawn from one seed."""

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
OPEN_CONVERSATIONS: Final = 4  # a user's newest ones, which later calls continue
LONG: Final = ("sim/ticks", "sim/paid-ticks")  # their answers take ten seconds
MODELS: Final = (
    "z-ai/glm-4.5-air:free",  # reserves nothing
    "sim/fast",
    "sim/paid",
    *LONG,
    "sim/silent-after-headers",
    "sim/paid-cut-mid-stream",
    "sim/flaky-2",  # tried up to three times
)
TRIES: Final = {"sim/flaky-2": 3}
PROMPT: Final = "For {{request}}, as an assistant:"  # names the request in OpenRouter's records
COLD_S: Final = 3.0  # a fresh process imports for a second or two before it admits anything
WARM_S: Final = 1.8  # attempts are recorded half a second after their IDs
LONG_S: Final = (3.0, 7.0)  # an answer's text is saved from its third second on
OTHER_S: Final = 3.0  # a round's second process outlives the first one


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    Attributes:
        leave_after_s: When the client hangs up; None if it stays.
        stop_after_s: When another device stops it; None if nobody does.
        opener: The request that opened the conversation, which may be this one; None if stateless.
        again: The request that it regenerates: its question or its answer, as `of` says.
        of: `q` or `a`.
        file: Whether the question has a file.
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
            **self._conversation_field(),
            **self._question(),
            "feature": self.feature,
            "model": self.model,
            "variables": {"request": self.request_id},
            "requestId": self.request_id,
        }

    def _conversation_field(self) -> dict[str, Any]:
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
    """Processes that are served, called and killed: `execute_prompt` and, if a call needs it,
    `continuation`.

    Attributes:
        warm: A call that warms up `execute_prompt` first; None for a cold start.
        first: Which of the two is killed first.
        then_after_s: How much later the other one is killed.
    """

    number: int
    warm: Call | None
    calls: tuple[Call, ...]
    kill_after_s: float
    first: str = "execute_prompt"
    then_after_s: float = 0.0

    @property
    def functions(self) -> tuple[str, ...]:
        """The functions in the order in which they are killed."""
        if all(call.feature != CONTINUES for call in self.calls):
            return ("execute_prompt",)
        if self.first == "continuation":
            return ("continuation", "execute_prompt")
        return ("execute_prompt", "continuation")


@dataclass
class _History:
    """The calls planned so far, which later ones repeat, continue or regenerate."""

    calls: list[Call] = field(default_factory=list)

    def openers(self, uid: str) -> list[str]:
        return [call.opener for call in self.calls if call.uid == uid and call.opener]

    def questions(self, uid: str, opener: str) -> list[str]:
        same = (call for call in self.calls if (call.uid, call.opener) == (uid, opener))
        return [call.request_id for call in same if call.again is None]


def plan(times: int, seed: int) -> list[Round]:
    """Draw the rounds.

    Some calls repeat an earlier one, as a client does whose connection broke. Some rounds last
    until part of a long answer is saved.
    """
    dice = random.Random(seed)  # noqa: S311  # repeatable, not secret
    rounds: list[Round] = []
    history = _History()
    for number in range(times):
        warm, lasts = dice.random() < 0.6, dice.random() < 0.35
        calls = []
        for at in range(dice.randint(1, CALLS_MAX)):
            if history.calls and dice.random() < 0.15:
                calls.append(dice.choice(history.calls))
            else:
                calls.append(_call(dice, f"{number}-{at}", history, lasts))
        history.calls += calls
        first = Call("user-0", FEATURE, "sim/fast", False, f"{number}-warm") if warm else None
        kill_after_s = (
            dice.uniform(*LONG_S) if lasts else dice.uniform(0, WARM_S if warm else COLD_S)
        )
        killed_first = dice.choice(("execute_prompt", "continuation"))
        other_s = dice.uniform(0, OTHER_S)
        rounds.append(Round(number, first, tuple(calls), kill_after_s, killed_first, other_s))
    return rounds


def _call(dice: random.Random, request_id: str, history: _History, lasts: bool) -> Call:
    uid = f"user-{dice.randrange(USERS)}"
    openers = history.openers(uid)
    continues = bool(openers) and dice.random() < 0.7
    continued = dice.choice(openers[-OPEN_CONVERSATIONS:]) if continues else request_id
    opener = continued if dice.random() < 0.7 else None
    questions = history.questions(uid, opener) if opener is not None else []
    again = dice.choice(questions) if questions and dice.random() < 0.35 else None
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
