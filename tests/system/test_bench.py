"""The benchmarks run, every row of them. What they find is not judged here: machines differ."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from scripts.benchmarks.__main__ import main
from scripts.benchmarks.bench import Bench, create_features
from scripts.benchmarks.peers.measure import report
from scripts.benchmarks.plan import SMOKE
from scripts.benchmarks.report import SECTION
from scripts.devtools import ROOT
from scripts.devtools.seed import OWNER
from scripts.devtools.suite import Suite

ROWS = (
    "CPU per relayed token, µs",
    "requests per second",
    "CPU per request, ms",
    "first token at one stream, a caller seen before",
    "first token at one stream, a caller never seen",
    "streams of sim/ticks: complete",
    "streams of sim/ticks: first token, median",
    "streams of sim/ticks: gap between tokens, p99",
    "streams of sim/ticks: gap between tokens, max",
    "streams of sim/ticks: memory of the worker",
    "streams held at a token every 20 ms",
    "a stop from another process",
    "first token of a comparison of six",
    "CPU of reading the list of 421 models",
    "CPU of a page of 50",
    "process start to first streamed token",
)
PARTS = ("identity", "settings", "keys", "admit", "server and loopback")


@pytest.fixture
def lent(suite: Suite) -> Iterator[Suite]:
    """The suite of all tests, without the benchmarks' features afterwards."""
    yield suite
    root = f"http://{suite.firestore_host}/v1/projects/{suite.project}/databases/(default)"
    for feature in ("bench", "bench_crowd", "bench_compared"):
        url = f"{root}/documents/features/{feature}"
        httpx.delete(url, headers=OWNER, trust_env=False).raise_for_status()


def test_fills_every_row_and_answers_forty_streams_at_once(
    lent: Suite, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--smoke"], lent) == 0
    table = capsys.readouterr().out
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    cells = {line[0]: line[1:] for line in lines if line}
    for row in ROWS:
        assert [values[0] for name, values in cells.items() if row in name], row
    for part in PARTS:
        assert float(cells[part][0]) >= 0
    assert "`firerouter`" in cells
    assert SMOKE.crowd == 40
    assert cells["40 streams of sim/ticks: complete"][0] == "40"


def test_measures_beside_peers_what_it_measures_of_them(lent: Suite, tmp_path: Path) -> None:
    create_features(lent, SMOKE.crowd_tokens)
    text = report(Bench(lent, tmp_path), SMOKE, "Here.", peers=())
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    cells = {line[0]: line[1:] for line in lines if line}
    assert all(cells["**Firerouter**"])
    assert all(cells["bare function"])
    assert cells["bare function"][1] == "1.00"
    assert "Left out" not in text


def test_says_what_it_does() -> None:
    command = [str(ROOT / "scripts" / "bench"), "--help"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "--quick" in said
    assert "--stops" in said
    assert "--peers" in said
    assert "--write" in said


def test_the_page_takes_a_table() -> None:
    page = (ROOT / "docs" / "performance.md").read_text("utf-8")
    assert page.index(SECTION.begin) < page.index(SECTION.end)
