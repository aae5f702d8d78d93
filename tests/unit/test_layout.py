"""How the tests are laid out: who imports whom, who needs what, and what a run may leave out."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.recordings import LEFT_OUT
from tests.support.repository import ROOT, TESTS
from tests.support.skips import Skip, left_out_of, skips_of, unexplained

MODULES = sorted(TESTS.rglob("*.py"))
FOLDERS = {"fixtures", "integration", "support", "system", "unit", "wire"}
# those of tests/support that start processes or talk to some
OUTSIDE_OF_UNIT = {
    "tests.support.accounts",
    "tests.support.callables",
    "tests.support.in_process",
    "tests.support.over_http",
    "tests.support.secret_store",
    "tests.support.serve",
}


def name_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts)


def imports(file: Path) -> Iterator[str]:
    """Yield every module that a file imports, and every name as `module.name`."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_no_module_imports_a_test_module(file: Path) -> None:
    assert not [name for name in imports(file) if re.match(r"tests\.(.*\.)?test_", name)]


@pytest.mark.parametrize("file", sorted((TESTS / "unit").rglob("*.py")), ids=name_of)
def test_a_unit_test_imports_nothing_that_needs_a_process(file: Path) -> None:
    found = set(imports(file))
    assert not found & OUTSIDE_OF_UNIT
    assert not {name for name in found if re.match(r"tests\.(integration|system|wire)\b", name)}


def test_every_test_is_in_a_folder_that_says_what_it_needs() -> None:
    folders = {path.name for path in TESTS.iterdir() if path.is_dir() and path.name[0] not in "_."}
    assert folders == FOLDERS
    assert not list(TESTS.glob("test_*.py"))


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_nothing_is_read_from_beside_the_repository(file: Path) -> None:
    text, depth = file.read_text("utf-8"), len(file.relative_to(ROOT).parts)
    assert "ROOT" + ".parent" not in text
    assert not [up for up in re.findall(r"parents\[(\d+)\]", text) if int(up) >= depth]


# -- what is left out ------------------------------------------------------------------------------


def report(why: str) -> SimpleNamespace:
    return SimpleNamespace(nodeid=f"test_{why[:5]}", longrepr=("file", 1, f"Skipped: {why}"))


def test_a_skip_for_want_of_recordings_is_named_and_fails_no_run() -> None:
    reports = [report(LEFT_OUT), report("other")]
    skips = skips_of(SimpleNamespace(stats={"skipped": reports}))
    assert skips == [Skip("test_needs", LEFT_OUT), Skip("test_other", "other")]
    assert left_out_of(skips) == ["test_needs"]
    assert unexplained(skips) == ["test_other: other"]


def test_a_run_without_skips_has_nothing_to_say() -> None:
    assert skips_of(SimpleNamespace(stats={})) == []
