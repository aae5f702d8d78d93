"""Half a minute of the soak: traffic, a kill, the books. Too short to say anything of leaks."""

from pathlib import Path
from typing import Any

import pytest

from scripts.devtools.suite import Suite
from scripts.soak_test import trial, watch


async def test_the_books_add_up_after_mixed_traffic_and_a_kill(
    suite: Suite,
    tmp_path: Path,
    firestore: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watch, "GROWTH_MAX", 10.0)  # the process has only just started
    monkeypatch.setattr(watch, "FILES_MAX", 1_000)
    assert await trial.run(suite, tmp_path, minutes=0.55, seed=3) == 0, capsys.readouterr().out
    told = capsys.readouterr().out
    assert "1 killed" in told
    assert "   0  leaks" in told
    assert told.endswith("Everything adds up.\n")
