"""Runs the targets, round by round, and watches time and memory."""

from __future__ import annotations

import contextlib
import copy
import gc
import io
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, seed, settings

from scripts.fuzzing.targets import TARGETS, Target

ROUND: Final = 2_000  # inputs; after each round, Hypothesis forgets them
INPUT_S: Final = 5.0  # an input that takes longer counts as hanging
KEPT: Final = 500  # inputs, which are read again at the end
REPEATS: Final = 12  # the first few fill caches
WARM_UP_REPEATS: Final = 4
GROWTH_MAX_BYTES: Final = 4_000_000  # over the other repeats
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
        growth: By how many bytes memory grew while the same inputs were read again and again.
    """

    target: str
    inputs: int = 0
    growth: int = 0
    kept: list[Any] = field(default_factory=list)


def feed(name: str, inputs: int, seed: int) -> tuple[str, bool]:
    """Feed a target. Return what came of it, in lines, and whether something was found."""
    (target,) = (one for one in TARGETS if one.name == name)
    tally, begin = Tally(name), time.monotonic()
    finding = run(target, inputs, seed, tally)
    grown = f"memory {tally.growth / 1e6:+.1f} MB"
    line = f"{name:<10} {tally.inputs:>9,} inputs, {time.monotonic() - begin:.0f} s, {grown}"
    return (f"{line}\n  {finding.cause}\n  {finding.shown}", True) if finding else (line, False)


def run(target: Target, inputs: int, seed_: int, tally: Tally) -> Finding | None:
    """Feed a target until there is a finding or it has read all its inputs."""
    for number in range(-(-inputs // ROUND)):
        size = min(ROUND, inputs - number * ROUND)
        found = _round(target, size, seed_ + number, tally)
        if found is not None:
            return found
    return _leak(target, tally)


def _leak(target: Target, tally: Tally) -> Finding | None:
    """Read some inputs again and again: Hypothesis, whose own memory grows, is not in the way."""
    for repeat in range(REPEATS):
        with contextlib.redirect_stdout(io.StringIO()):
            for value in tally.kept:
                target.read(value)
        gc.collect()
        if repeat == WARM_UP_REPEATS:
            memory, files = _memory(), _open_files()
    tally.growth = _memory() - memory
    left_open = _open_files() - files
    if tally.growth <= GROWTH_MAX_BYTES and left_open <= 0:
        return None
    cause = f"{tally.growth:,} bytes and {left_open} open files are left over"
    return Finding(target.name, f"after {len(tally.kept)} inputs, {REPEATS} times", cause)


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
        if len(tally.kept) < KEPT:
            tally.kept.append(copy.deepcopy(value))
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
