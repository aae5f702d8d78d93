"""The documents are true: links lead somewhere, commands exist, the reasons are the tree's."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from firerouter import errors  # noqa: F401  # its leaves are CallableError's subclasses
from firerouter.callable import HTTP_STATUS, CallableError
from tests.support.repository import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def leaves(kind: type[CallableError] = CallableError) -> Iterator[type[CallableError]]:
    if kind.__module__.startswith("firerouter."):  # and not a test's own
        yield kind
    for child in kind.__subclasses__():
        yield from leaves(child)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), target


def test_the_table_of_reasons_is_the_tree_of_errors() -> None:
    text = (ROOT / "docs" / "wire.md").read_text()
    table = dict(re.findall(r"^\| `(\w+)` \| ([A-Z_]+) \|", text, re.MULTILINE))
    tree = {leaf.reason: leaf.status for leaf in leaves() if "reason" in vars(leaf)}
    assert table == tree
    assert set(table.values()) <= HTTP_STATUS.keys()


def shell_commands() -> list[str]:
    blocks = [
        block
        for document in DOCUMENTS
        for block in re.findall(r"```(?:sh|console)\n(.*?)```", document.read_text(), re.DOTALL)
    ]
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    return sorted({line.split("  #")[0] for line in lines if line.startswith("./scripts/")})


@pytest.mark.parametrize("command", shell_commands())
def test_each_command_names_a_script_and_options_that_it_has(command: str) -> None:
    script = ROOT / command.split(maxsplit=1)[0]
    assert script.exists()
    options = re.findall(r"\s(--[a-z-]+)", command)
    if options:
        told = subprocess.run(
            [script, "--help"], capture_output=True, text=True, check=True, timeout=60
        )
        for option in options:
            assert option in told.stdout + told.stderr
