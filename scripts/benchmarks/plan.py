"""How much a run measures."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """The amounts of one run.

    Attributes:
        rounds: Rounds of each comparison, interleaved; their median is reported.
        streams: Streams over which the CPU of a token is measured.
        window_s: For how long.
        crowd: How many streams the crowd has.
        crowd_tokens: Tokens of each of these streams.
        first_tokens: Calls of each kind.
        requests: Unary calls of a round.
        connections: Connections that they share.
        stops: Answers that another process stops.
        starts: Starts of a process.
        uncompiled: Whether to measure starts without compiled files too, which takes ten seconds.
        ladder: Streams held at once, step by step until the gaps double.
        ladder_window_s: For how long each step is held.
    """

    rounds: int
    streams: int
    window_s: float
    crowd: int
    crowd_tokens: int
    first_tokens: int
    requests: int
    connections: int
    stops: int
    starts: int
    uncompiled: bool
    ladder: tuple[int, ...]
    ladder_window_s: float


FULL = Plan(
    rounds=3,
    streams=32,
    window_s=4.0,
    crowd=300,
    crowd_tokens=100,
    first_tokens=60,
    requests=240,
    connections=16,
    stops=100,
    starts=3,
    uncompiled=True,
    ladder=(32, 64, 96, 128, 192, 256),
    ladder_window_s=2.0,
)
QUICK = Plan(
    rounds=1,
    streams=32,
    window_s=3.0,
    crowd=300,
    crowd_tokens=50,
    first_tokens=20,
    requests=160,
    connections=16,
    stops=20,
    starts=1,
    uncompiled=False,
    ladder=(32, 96),
    ladder_window_s=1.5,
)
SMOKE = Plan(
    rounds=1,
    streams=4,
    window_s=0.4,
    crowd=40,
    crowd_tokens=10,
    first_tokens=3,
    requests=8,
    connections=4,
    stops=3,
    starts=1,
    uncompiled=False,
    ladder=(2,),
    ladder_window_s=0.3,
)
