"""A few hundred generations end in every way, and the ledger is the bill afterwards."""

from pathlib import Path
from typing import Any

import pytest

from scripts.bill_test.trial import run
from scripts.devtools.suite import Suite


async def test_after_every_end_the_ledger_is_the_bill(
    suite: Suite, tmp_path: Path, firestore: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(suite, tmp_path, generations=250, seed=5) == 0, capsys.readouterr().out
    said = capsys.readouterr().out
    assert "250 calls (seed 5)" in said
    assert "   0  entries that differ from the bill" in said
    assert said.endswith("Everything adds up.\n")
