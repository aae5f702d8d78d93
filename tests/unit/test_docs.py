"""The documents are true: links and anchors lead somewhere, commands exist."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.repository import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), target


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
