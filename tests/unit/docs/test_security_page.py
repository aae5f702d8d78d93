"""docs/security.md: every test, module and limit that it names exists, and its table is fresh."""

import ast
import importlib
import re
from pathlib import Path

import pytest

from firerouter.app.callables import FUNCTIONS, USER
from scripts.worst_day import page
from scripts.worst_day.worst_case import OVER_CAP, STRANGER, TOO_OFTEN

ROOT = Path(__file__).parents[3]
TEXT = page.PAGE.read_text("utf-8")
MODELLED = TEXT.partition("## What is not stopped")[0]
TESTS = re.findall(r"`([\w/]+\.py)::(test_\w+)`", MODELLED)
LIMITS = re.findall(r"`([A-Z]\w+)\.([a-z]\w+)`", TEXT)
MODULES = re.findall(r"`([a-z_]+)\.([a-z_]+)`", MODELLED)
FIRST = "firerouter"


def rows() -> list[str]:
    """The rows of the tables that say which test shows something."""
    lines = [line for line in MODELLED.split("\n") if line.startswith("| ")]
    return [line for line in lines if not line.endswith("| test |") and "---" not in line]


def functions_of(path: Path) -> set[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


@pytest.mark.parametrize("row", rows())
def test_every_row_names_a_test(row: str) -> None:
    *_, tests, end = row.split(" |")
    assert not end
    assert re.fullmatch(r" `[^`]+`(, `[^`]+`)*", tests), row


@pytest.mark.parametrize(("file", "name"), sorted({*TESTS}))
def test_every_test_exists(file: str, name: str) -> None:
    path = ROOT / "tests" / file
    assert path.exists(), file
    assert name in functions_of(path), f"{file} has no {name}"


@pytest.mark.parametrize(("package", "module"), sorted({*MODULES} - {("storage", "rules")}))
def test_every_module_exists(package: str, module: str) -> None:
    assert (ROOT / "functions" / FIRST / package / f"{module}.py").exists()


@pytest.mark.parametrize(("owner", "name"), sorted({*LIMITS}))
def test_every_limit_exists(owner: str, name: str) -> None:
    packages = (ROOT / "functions" / FIRST).glob("*/limits.py")
    modules = [f"{FIRST}.{path.parent.name}.limits" for path in packages]
    homes = [importlib.import_module(one) for one in (*modules, f"{FIRST}.app.callables")]
    found = [getattr(home, owner) for home in homes if hasattr(home, owner)]
    assert found, owner
    assert name in found[0].__annotations__, f"{owner}.{name}"


def test_the_page_looks_at_every_caller() -> None:
    callers = re.findall(r"^## (.*)$", MODELLED, re.MULTILINE)
    assert len(callers) == 10
    assert len(TESTS) > 40


def test_the_worst_day_is_that_of_the_limits_in_code() -> None:
    fresh = page.SECTION.replaced_in(page.PAGE, page.section(*page.stored()))
    assert page.PAGE.read_bytes() == fresh, "run ./scripts/worst-day --stored --write"


def test_every_kind_of_call_was_measured() -> None:
    measured = {one.function for one in page.stored()[1]}
    kinds = {row.name: row.call_kind for row in FUNCTIONS if row.audience == USER}
    assert {kinds[name] for name in measured if name in kinds} == {*kinds.values()} - {"any"}
    assert measured >= {STRANGER, TOO_OFTEN, OVER_CAP}
