"""The peers of the benchmark: what is pinned, what is filled in, what the table says."""

import re
from pathlib import Path

import pytest

from scripts.benchmarks.peers.install import install
from scripts.benchmarks.peers.registry import NODE, PEERS, Peer
from scripts.benchmarks.peers.table import SECTION, Measured, text_of
from tests.support.repository import ROOT, SCRIPTS

SOURCES = SCRIPTS / "benchmarks" / "peers"
KNOWN = {"port": 1, "origin": "http://o", "key": "k", "id_token": "i", "app_check": "a"}


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.id)
def test_every_package_has_its_version(peer: Peer) -> None:
    for package in peer.packages:
        assert re.search(r"(==|.@)\d+\.\d+\.\d+$", package), package


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.id)
def test_all_that_is_filled_in_is_known(peer: Peer) -> None:
    texts = [*peer.command, *peer.env.values(), *peer.headers.values()]
    filled = [text.format(**KNOWN) for text in texts]
    assert any("--port=1" in text for text in filled)


def test_what_is_installed_is_kept_and_gets_our_files(tmp_path: Path) -> None:
    home = tmp_path / NODE.id
    home.mkdir()
    (home / "installed").write_text("\n".join(NODE.packages))
    (home / "node_modules").mkdir()
    assert install(NODE, tmp_path, SOURCES) == home
    assert (home / "node_modules").is_dir()
    assert (home / "index.js").read_text() == (SOURCES / "node" / "index.js").read_text()


def test_the_table_compares_with_the_bare_function() -> None:
    ours = Measured("ours", "all of it", cpu_ms=[3.0, 9.0, 4.0], rate=[10.0])
    bare = Measured("bare", "nothing", cpu_ms=[2.0])
    silent = Measured("silent", "little")
    text = text_of([ours, bare, silent], "bare", "On a machine.", ["silent: unary calls fail"])
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    by_name = {row[0]: row[1:] for row in rows if row}
    assert by_name["ours"][:3] == ["4.00", "2.00", "10.0"]
    assert by_name["bare"][:2] == ["2.00", "1.00"]
    assert set(by_name["silent"]) == {""}
    assert "- ours: all of it" in text
    assert "- silent: unary calls fail" in text


def test_the_page_takes_the_table() -> None:
    page = (ROOT / "docs" / "performance.md").read_text("utf-8")
    assert page.index(SECTION.begin) < page.index(SECTION.end)
