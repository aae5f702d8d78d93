"""Two rows of the crowd test, with few victims. No time is judged here: machines differ."""

from pathlib import Path

from scripts.crowd_test.attacks import ATTACKS
from scripts.crowd_test.trial import run
from scripts.crowd_test.verdict import text_of
from scripts.devtools.suite import Suite


async def test_an_attacker_hurts_nobody_for_good(suite: Suite, tmp_path: Path) -> None:
    rows = await run(suite, tmp_path, [ATTACKS["L1"], ATTACKS["L4"]], victims=3, repetitions=1)
    bodies, listeners = rows
    assert "body_too_large" in bodies.got
    assert "3 already_running" in listeners.got
    for row in rows:
        assert (row.died, row.refused) == (0, 0)
        assert 50 < row.peak_mb < 512
        assert row.runs == 1
    text = text_of(rows, "Here.", 3)
    assert len(text.splitlines()) == 8
    assert "| L1: bodies that explode" in text
