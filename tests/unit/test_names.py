"""Names and prose of the whole repository: the field's words, in plain English."""

import ast
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.support.repository import FUNCTIONS, ROOT, SCRIPTS, TESTS

PACKAGE = FUNCTIONS / "firerouter"
NO_NAMES = {"__init__", "__main__"}  # every package may have them
# nouns of the field that end like participles
NOUNS_IN_ING = {"listing", "pricing", "reasoning", "routing", "streaming"}
# what is done is named by a noun: preparation, execution, comparison
VERBS = {
    *("ask", "attach", "browse", "compare", "configure", "continue", "embed", "execute"),
    *("find", "follow", "give", "hold", "keep", "look", "make", "prepare", "read", "reconcile"),
    *("say", "send", "serve", "take", "tell", "write"),
}


def tracked(*places: Path) -> list[Path]:
    """Return the files below these places that git knows, without those that are no text."""
    command = ["git", "ls-files", "-z", "--", *map(str, places)]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = [ROOT / name for name in listed.split("\0") if name]
    return [file for file in files if file.exists() and b"\0" not in file.read_bytes()]


PROSE = tracked(FUNCTIONS, SCRIPTS, TESTS, ROOT / "docs", ROOT / "README.md")
MODULES = [file for file in tracked(PACKAGE, SCRIPTS) if file.suffix == ".py"]
TEST_MODULES = [file for file in tracked(TESTS) if file.suffix == ".py"]


def relative(file: Path) -> str:
    return str(file.relative_to(ROOT))


def modules_below(place: Path) -> set[str]:
    """Return the names of the modules below a place; what is OpenRouter's is a package of both."""
    return {file.stem for file in MODULES if file.is_relative_to(place)} - NO_NAMES


@pytest.mark.parametrize("file", PROSE, ids=relative)
def test_cannot_is_one_word(file: Path) -> None:
    words = r"\bcan" + r"\s+(?:#\s+)?not\b"  # in two pieces: this file is looked at as well
    wrong = re.findall(rf".*{words}.*", file.read_text("utf-8"), re.IGNORECASE)
    assert wrong == []


@pytest.mark.parametrize("file", MODULES, ids=relative)
def test_a_module_is_named_by_a_noun(file: Path) -> None:
    words = set(file.stem.split("_"))
    assert not {word for word in words if word.endswith("ing")} - NOUNS_IN_ING
    assert file.stem not in VERBS


def test_no_module_of_the_functions_is_called_as_one_of_the_scripts() -> None:
    assert modules_below(PACKAGE) & modules_below(SCRIPTS) == set()


def test_a_test_waits_by_the_one_until_there_is() -> None:
    names = Counter(
        node.name
        for file in TEST_MODULES
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    )
    # the implementation and its two overloads, all in tests/support/eventually.py
    assert names["until"] == 3


def test_a_unit_test_is_filed_under_the_package_that_it_tests() -> None:
    packages = {file.parent.name for file in MODULES if file.name == "__init__.py"}
    rooms = {file.parent.name for file in TEST_MODULES if file.is_relative_to(TESTS / "unit")}
    assert rooms - {"unit"} <= packages | {"docs", "scripts", "support"}
