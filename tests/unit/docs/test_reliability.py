"""The page of faults is true: its tests exist, and no fault and no error is left out."""

import ast
import re
from collections.abc import Iterator

from firerouter.callable import CallableError
from firerouter.errors import UpstreamError
from scripts.standins.openrouter.faults import FAULTS
from scripts.standins.openrouter.image_generation import FAULTS as IMAGES
from scripts.standins.openrouter.vectors import FAULTS as VECTORS
from tests.support.repository import ROOT

TESTS = ROOT / "tests"
PAGE = (ROOT / "docs" / "reliability.md").read_text("utf-8")
FAULT_PAGE, _, SENTENCES = PAGE.partition("## What users read")


def rows(text: str) -> list[list[str]]:
    """The cells of every row of the page's tables, but for heads and the lines below them."""
    lines = [line[2:-2].split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [cells for cells in lines if cells[0] not in ("fault", "reason")]


def leaves() -> Iterator[type[CallableError]]:
    """The errors that may pass, and those of OpenRouter: each reason once."""
    kinds: list[type[CallableError]] = [CallableError]
    for kind in kinds:
        kinds += kind.__subclasses__()
        is_ours = "reason" in vars(kind) and kind.__module__.startswith("firerouter.")
        if is_ours and (kind.retryable or issubclass(kind, UpstreamError)):
            yield kind


def test_every_row_names_tests_and_each_of_them_exists() -> None:
    found = rows(FAULT_PAGE)
    assert len(found) > 100
    known: dict[str, set[str]] = {}
    for cells in found:
        assert len(cells) == 6, cells[0]
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", cells[5])
        assert named, f"no test shows {cells[0]}"
        for file, name in named:
            if file not in known:
                tree = ast.parse((TESTS / file).read_text("utf-8"))
                functions = [
                    node
                    for node in ast.walk(tree)
                    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                ]
                known[file] = {function.name for function in functions}
            assert name in known[file], f"{file} has no {name}"
            assert name.startswith("test_")


def test_every_fault_of_the_stand_in_has_a_row() -> None:
    named = {name for cells in rows(FAULT_PAGE) for name in re.findall(r"`(sim/[\w-]+)`", cells[0])}
    faults = {name for name in (*FAULTS, *VECTORS, *IMAGES) if "/replay/" not in name}
    assert not (missing := faults - named), f"no row has {sorted(missing)}"
    assert not (unknown := named - faults), f"the stand-in has no {sorted(unknown)}"


def test_every_error_that_may_pass_or_is_openrouters_has_a_row() -> None:
    told = {name for cells in rows(FAULT_PAGE) for name in re.findall(r"`(\w+)`", cells[1])}
    reasons = {leaf.reason for leaf in leaves()}
    assert {"upstream_busy", "quota_exceeded", "ledger_unavailable"} <= reasons
    assert not (missing := reasons - told), f"no row has {sorted(missing)}"


def test_what_users_read_is_what_they_read() -> None:
    printed = {cells[0].strip("`"): cells[1:] for cells in rows(SENTENCES)}
    expected = {
        leaf.reason: [leaf.sentence, "yes" if leaf.retryable else "no"] for leaf in leaves()
    }
    assert printed == expected
