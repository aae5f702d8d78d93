"""The table of what an app can reach of OpenRouter names tests that there are."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = [
    re.split(r"\s*\|\s*", line.strip("| "))
    for line in (ROOT / "docs" / "openrouter-coverage.md").read_text().splitlines()
    if line.startswith("| `") or line.startswith("| errors")
]
PROVEN = [(what, proof) for what, *_, proof in ROWS if proof != "not yet"]


def names_in(file: Path) -> set[str]:
    found = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.parse(file.read_text()).body if isinstance(node, found)}


def test_every_row_says_what_shows_it() -> None:
    assert len(ROWS) > 60
    assert all(len(row) == 3 for row in ROWS)


@pytest.mark.parametrize(("what", "proof"), PROVEN, ids=[what for what, _ in PROVEN])
def test_what_shows_it_is_a_test(what: str, proof: str) -> None:
    named = re.findall(r"`(tests/\w+/\w+\.py)::(test_\w+)`", proof)
    assert named, f"{what} is shown by nothing"
    for path, name in named:
        assert (ROOT / path).exists(), path
        assert name in names_in(ROOT / path), f"{path} has no {name}"
