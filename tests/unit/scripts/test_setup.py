"""What setting up decides before it installs anything, and what it says if it cannot."""

from pathlib import Path
from typing import Any

import pytest

from scripts.devtools import processes, setup
from scripts.devtools.cli_errors import SetupFailed
from tests.support.orphans import orphan

# Stamps


def test_a_stamp_changes_with_a_file_and_with_the_folder(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for root in (here, there):
        root.mkdir()
        (root / "requirements.txt").write_text("httpx==0.28.1\n")
    before = setup.stamp_of(here, ["requirements.txt"])
    assert setup.stamp_of(here, ["requirements.txt"]) == before
    assert setup.stamp_of(there, ["requirements.txt"]) != before
    (here / "requirements.txt").write_text("httpx==0.28.2\n")
    assert setup.stamp_of(here, ["requirements.txt"]) != before


LOCK = {
    "packages": {
        "": {"name": "firerouter"},
        "node_modules/a": {"version": "1.0.0"},
        "node_modules/for-macos": {"version": "2.0.0", "optional": True},
    }
}


@pytest.mark.parametrize(
    ("installed", "matches"),
    [
        ({"packages": {"node_modules/a": {"version": "1.0.0"}}}, True),
        ({"packages": {"node_modules/a": {"version": "1.0.1"}}}, False),
        ({"packages": {"node_modules/b": {"version": "1.0.0"}}}, False),
        ({"packages": {}}, False),
        ({}, False),
    ],
)
def test_node_modules_are_kept_if_they_are_what_the_lock_says(
    installed: dict[str, Any], matches: bool
) -> None:
    assert setup.matches_lock(LOCK, installed) is matches


# The folder


@pytest.mark.parametrize("name", ['a"b', "a$b", "a`b", "a\\b", "a:b", "a\nb", "caf\udce9"])
def test_a_folder_that_the_tools_cannot_handle_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SetupFailed, match="Rename the folder"):
        setup.prepare(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a b", "it's", "Übung", "a&b;c#d%41!(e)", "日本"])
def test_any_other_folder_is_accepted(tmp_path: Path, name: str) -> None:
    setup.check_folder(tmp_path / name)


# Without a network


@pytest.mark.parametrize(
    ("said", "is_the_network"),
    [
        ("npm error code EAI_AGAIN", True),
        ("npm error code ENOTCACHED", True),
        ("npm error code ECONNREFUSED\nnpm error errno ECONNREFUSED", True),
        ("npm error code E404\nnpm error 404 Not Found", False),
        ("npm error code ENOSPC", False),
        ("WARNING: Retrying (Retry(total=1)) after connection broken by 'NewConnection", True),
        ("ERROR: No matching distribution found for httpx==99", False),
    ],
)
def test_a_missing_network_is_told_from_other_failures(said: str, is_the_network: bool) -> None:
    assert bool(setup.NO_CONNECTION.search(said)) is is_the_network


# After a setup that was killed


def test_what_a_killed_setup_left_is_ended_before_the_next_one_installs(tmp_path: Path) -> None:
    def mark(root: Path, installer: str) -> str:
        return setup._environment(root, installer)[processes.MARKER]

    leftover = mark(tmp_path, setup.PIP)
    others = [mark(tmp_path, setup.NPM), mark(tmp_path / "other", setup.PIP)]
    for each in (leftover, *others):
        orphan(each)
    try:
        setup._end_leftovers(tmp_path, setup.PIP)
        assert processes.marked(leftover) == set()
        assert [len(processes.marked(other)) for other in others] == [1, 1]
    finally:
        for other in others:
            processes.end(other, grace_s=0)
