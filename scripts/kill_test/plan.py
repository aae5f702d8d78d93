"""What is asked, of which process, and when that is killed: all of it from one seed. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Final

from firerouter.contract import NEW
from firerouter.ids import generation_id

FEATURE: Final = "killed"
CAPPED: Final = "killed_capped"  # refuses more than two requests a minute
USERS: Final = 5
CALLS_MAX: Final = 4  # at once
OPEN_TALKS: Final = 4  # of a user: those that are gone on with
MODELS: Final = (
    "z-ai/glm-4.5-air:free",  # reserves nothing
    "sim/fast",
    "sim/paid",
    "sim/ticks",
    "sim/paid-ticks",
    "sim/silent-after-headers",
    "sim/paid-cut-mid-stream",
    "sim/flaky-2",  # asked up to three times
)
RETRIED: Final = {"sim/flaky-2": 3}
COLD_S: Final = 3.0  # a fresh process imports for a second or two before it admits anything
WARM_S: Final = 1.8  # the attempts are noted half a second after their ids


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    leave_after_s: the client hangs up by then; None: it stays.
    opener: the request whose conversation it goes on with; its own: it opens one; None: stateless.
    """

    uid: str
    feature: str
    model: str
    stream: bool
    request_id: str
    leave_after_s: float | None = None
    opener: str | None = None

    @property
    def generation(self) -> str:
        return generation_id(self.uid, self.request_id)

    @property
    def conversation(self) -> str | None:
        return None if self.opener is None else f"c{generation_id(self.uid, self.opener)}"

    @property
    def data(self) -> dict[str, Any]:
        opens = self.opener == self.request_id
        place = (
            {} if self.opener is None else {"conversationId": NEW if opens else self.conversation}
        )
        return {
            **place,
            "feature": self.feature,
            "model": self.model,
            "prompt": f"for {self.request_id}.",
            "requestId": self.request_id,
        }


@dataclass(frozen=True, slots=True)
class Round:
    """One process: warmed up by a call of its own or not, called, killed."""

    number: int
    warm: Call | None
    calls: tuple[Call, ...]
    kill_after_s: float


def plan(times: int, seed: int) -> list[Round]:
    """So many rounds. Some calls are an earlier one again, as a client whose connection broke
    sends it."""
    dice = random.Random(seed)  # noqa: S311  # to be repeated, not to be secret
    rounds: list[Round] = []
    made: list[Call] = []
    for number in range(times):
        warm = dice.random() < 0.6
        calls = []
        for at in range(dice.randint(1, CALLS_MAX)):
            if made and dice.random() < 0.15:
                calls.append(dice.choice(made))
            else:
                calls.append(_call(dice, f"{number}-{at}", made))
        made += calls
        first = Call("user-0", FEATURE, "sim/fast", False, f"{number}-warm") if warm else None
        kill_after_s = dice.uniform(0, WARM_S if warm else COLD_S)
        rounds.append(Round(number, first, tuple(calls), kill_after_s))
    return rounds


def _call(dice: random.Random, request_id: str, made: list[Call]) -> Call:
    uid = f"user-{dice.randrange(USERS)}"
    openers = [call.opener for call in made if call.uid == uid and call.opener]
    goes_on = dice.choice(openers[-OPEN_TALKS:]) if openers and dice.random() < 0.7 else request_id
    return Call(
        uid=uid,
        feature=CAPPED if dice.random() < 0.15 else FEATURE,
        model=dice.choice(MODELS),
        stream=dice.random() < 0.6,
        request_id=request_id,
        leave_after_s=dice.uniform(0.1, 1.5) if dice.random() < 0.25 else None,
        opener=goes_on if dice.random() < 0.6 else None,
    )
