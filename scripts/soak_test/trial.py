"""One trial: the traffic of the bill test at a steady pace, watched, and its audit at the end."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from scripts.bill_test.trial import ProjectTrial
from scripts.devtools.setup import say
from scripts.devtools.suite import Suite
from scripts.soak_test.plan import CALLS_A_SECOND, plan
from scripts.soak_test.watch import Watch
from scripts.trials.findings import report

WATCHED: Final = "api-0"
PROGRESS_EVERY: Final = 500  # calls


async def run(suite: Suite, logs: Path, minutes: float, seed: int) -> int:
    """Run a trial against a started suite, in a project of its own. Return the exit status."""
    began, calls, watch = time.monotonic(), 0, Watch()
    trial = ProjectTrial(suite, logs)

    def on_call() -> None:
        nonlocal calls
        calls += 1
        if calls % PROGRESS_EVERY == 0:
            memory = f"{watch.memory_mb[-1]:.0f} MB" if watch.memory_mb else ""
            say(f"{time.monotonic() - began:5.0f} s  {calls} calls  {memory}")

    watching = asyncio.create_task(watch.run(lambda: trial.traffic.server(WATCHED)))
    try:
        totals = await trial.run(plan(minutes, seed), on_call, pause_s=1 / CALLS_A_SECOND)
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
    print(f"{calls} calls in {minutes:g} minutes (seed {seed})")
    totals.describe()
    peak = max(watch.memory_mb)
    print(
        f"memory                  {peak:.0f} MB at most, {watch.growth:+.1%} from its first quarter"
    )
    print(f"open files              {max(watch.files)} at most, {watch.files_growth:+.0f}")
    totals.findings.check("leaks", watch.findings())
    return report(totals.findings)
