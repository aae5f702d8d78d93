"""The kill test kills, and what it kills adds up afterwards."""

from pathlib import Path
from typing import Any

import pytest

from scripts.devtools.suite import Suite
from scripts.kill_test.plan import plan
from scripts.kill_test.trial import run


async def test_five_killed_instances_leave_a_ledger_that_adds_up(
    suite: Suite, tmp_path: Path, firestore: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(suite, tmp_path, times=5, seed=7) == 0, capsys.readouterr().out
    said = capsys.readouterr().out
    killed = sum(len(round_.functions) for round_ in plan(5, 7))
    assert killed > 5, "some of `continuation`"
    assert f"{killed} instances killed (seed 7)" in said
    assert "   0  generations still running" in said
    assert said.endswith("Everything adds up.\n")
