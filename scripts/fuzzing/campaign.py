"""Runs the targets, round by round, and watches time and memory."""

from __future__ import annotations

import contextlib
import gc
import io
import signal
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, seed, settings

from scripts.fuzzing.targets import Target

ROUND: Final = 2_000  # inputs; after each round, Hypothesis forgets them
INPUT_S: Final = 5.0  # an input that takes longer counts as hanging
GROWTH_MAX_BYTES: Final = 64_000_000  # after the first rounds, in which caches fill
WARM_UP_ROUNDS: Final = 2
SHOWN_MAX: Final = 2_000  # characters of an input


class Hung(BaseException):
    """An input took too long. Not an Exception, so that no reader swallows it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What went wrong with one input, which was reduced to the smallest one that shows it."""

    target: str
    shown: str
    cause: str


@dataclass(slots=True)
class Tally:
    """What one target has read.

    Attributes:
        growth: By how many bytes memory grew after the first rounds.
    """

    target: str
    inputs: int = 0
    growth: int = 0


def run(target: Target, inputs: int, seed_: int, tally: Tally) -> Finding | None:
    """Feed a target until there is a finding or it has read all its inputs."""
    settled: int | None = None
    rounds = -(-inputs // ROUND)
    for number in range(rounds):
        size = min(ROUND, inputs - number * ROUND)
        found = _round(target, size, seed_ + number, tally)
        if found is not None:
            return found
        gc.collect()
        memory, files = _memory(), _open_files()
        if settled is None and number + 1 >= WARM_UP_ROUNDS:
            settled, open_files = memory, files
        elif settled is not None:
            tally.growth = memory - settled
            if tally.growth > GROWTH_MAX_BYTES or files > open_files:
                cause = f"{tally.growth:,} bytes and {files - open_files} open files are left over"
                return Finding(target.name, f"after {tally.inputs:,} inputs", cause)
    return None


def _round(target: Target, size: int, seed_: int, tally: Tally) -> Finding | None:
    last: list[Any] = [None]

    @seed(seed_)
    @settings(
        max_examples=size,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(target.inputs)
    def feed(value: Any) -> None:
        last[0] = value
        tally.inputs += 1
        with _within(INPUT_S):
            target.read(value)

    try:
        with contextlib.redirect_stdout(io.StringIO()):  # the functions log for Cloud Logging
            feed()
    except (Exception, Hung) as error:
        lines = traceback.format_exception_only(error)
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if "/firerouter/" in frame.filename]
        where = f" in {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
        return Finding(target.name, repr(last[0])[:SHOWN_MAX], f"{lines[0].strip()}{where}")
    return None


@contextlib.contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raise Hung inside the context if it takes longer."""

    def ring(_: int, __: FrameType | None) -> None:
        raise Hung(f"it takes longer than {seconds:g} s")

    before: Callable[[int, FrameType | None], Any] | int | None = signal.signal(
        signal.SIGALRM, ring
    )
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _memory() -> int:
    """Return how many bytes of memory this process holds; 0 if the system does not say."""
    try:
        pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * 4_096


def _open_files() -> int:
    try:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())
    except OSError:
        return 0
