"""`./scripts/crowd-test`: its arguments, its rows, and what it says of them."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from firerouter.app.callables import RESOURCES
from scripts.crowd_test.__main__ import PAGE, main
from scripts.crowd_test.attacks import ATTACKS, exploding_bodies
from scripts.crowd_test.instance import MEMORY_MB
from scripts.crowd_test.verdict import (
    DELAY_MAX_MS,
    MEMORY_MAX_MB,
    SECTION,
    Row,
    status_of,
    text_of,
)

FINE = Row("L1", "bodies", 12.4, 0.0, 0, 0, 130.2, "3 body_too_large")


@pytest.mark.parametrize(
    ("changed", "is_over"),
    [
        ({}, False),
        ({"delay_ms": DELAY_MAX_MS}, False),
        ({"delay_ms": DELAY_MAX_MS + 1.0}, True),
        ({"delay_ms": -50.0}, False),
        ({"upstream_ms": 9_000.0}, False),
        ({"died": 1}, True),
        ({"refused": 1}, True),
        ({"peak_mb": MEMORY_MAX_MB + 1.0}, True),
    ],
)
def test_a_row_beyond_a_limit_fails(changed: Mapping[str, float], is_over: bool) -> None:
    row = replace(FINE, **changed)  # type: ignore[arg-type]
    assert row.is_over is is_over
    assert status_of([FINE, row]) == int(is_over)
    assert ("**no**" in text_of([row], "Here.", 20)) is is_over


def test_of_several_runs_the_one_counts_that_hurt_least() -> None:
    died, slow, quick = replace(FINE, died=1), replace(FINE, delay_ms=300.0), FINE
    assert min([died, slow, quick], key=lambda row: row.badness) is quick
    assert min([died, slow], key=lambda row: row.badness) is slow


def test_the_page_takes_the_table() -> None:
    page = PAGE.read_text("utf-8")
    assert page.index(SECTION.begin) < page.index(SECTION.end)


def test_the_instance_has_the_memory_of_a_deployed_one() -> None:
    assert RESOURCES.memory_mb == MEMORY_MB


def test_the_bodies_are_as_large_as_the_wire_reads() -> None:
    sizes = [len(body) for body in exploding_bodies()]
    assert max(sizes) < 12_000_000
    assert sum(size > 10_000_000 for size in sizes) > 3


@pytest.mark.parametrize(
    "wrong", [["--victims=0"], ["--victims=61"], ["--repetitions=0"], ["--write", "--rows=L1"]]
)
def test_wrong_arguments_are_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(wrong)
    assert refused.value.code == 2


def test_a_row_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rows=L1,L99"]) == 2
    assert "There is no row L99" in capsys.readouterr().err
    assert [*ATTACKS] == [
        *("L1", "L2", "L3", "L4", "L5", "L6", "L9", "L10", "L11", "L12", "L15", "L18")
    ]
