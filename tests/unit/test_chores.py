"""The chores explain themselves, and the scripts' packages import in one direction."""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
CHORES = sorted(path.name for path in SCRIPTS.iterdir() if path.is_file() and not path.suffix)
# A package may import those to the right of it, and itself
MAY_IMPORT = {
    "benchmarks": {"devtools", "standins"},
    "bill_test": {"trials", "usage_audit", "devtools"},
    "soak_test": {"bill_test", "benchmarks", "trials", "devtools"},
    "crowd_test": {"benchmarks", "trials", "devtools"},
    "kill_test": {"trials", "devtools", "standins"},
    "worst_day": {"benchmarks", "trials", "devtools"},
    "trials": {"devtools"},
    "fuzzing": {"devtools"},
    "free_models": {"devtools"},
    "usage_audit": {"devtools"},
    "devtools": {"standins"},
    "standins": set(),
}
# One service, one name: what talks to it in functions/, and what stands in for it here
SAME_NAME = {"openrouter"}


@pytest.fixture
def bare_clone(tmp_path: Path) -> Path:
    """The scripts in a folder that has nothing else: no virtualenv and no setup."""
    shutil.copytree(SCRIPTS, tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_every_chore_is_known() -> None:
    assert CHORES == [
        "bench",
        "bill-test",
        "contract",
        "crowd-test",
        "dev",
        "erase-user",
        "free-models",
        "fuzz",
        "grant-admin",
        "kill-test",
        "manifest",
        "soak",
        "test",
        "usage",
        "worst-day",
    ]


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("chore", CHORES)
def test_a_chore_explains_itself_without_any_setup(
    bare_clone: Path, chore: str, option: str
) -> None:
    before = sorted(bare_clone.iterdir())
    path = f"{sys.base_prefix}/bin:{os.environ['PATH']}"
    done = subprocess.run(
        [bare_clone / "scripts" / chore, option],
        cwd="/",
        env={"PATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: ./scripts/{chore} ")
    assert "show this help message" in done.stdout
    assert "exit status: " in done.stdout
    assert sorted(bare_clone.iterdir()) == before


@pytest.mark.parametrize("chore", sorted({*CHORES} - {"dev", "test"}))
def test_a_chore_without_the_virtualenv_says_how_to_create_it(bare_clone: Path, chore: str) -> None:
    done = subprocess.run(
        [bare_clone / "scripts" / chore], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 3
    assert "Run ./scripts/dev or ./scripts/test once" in done.stderr


def modules() -> Iterator[Path]:
    return (path for path in SCRIPTS.rglob("*.py") if path.parent != SCRIPTS)


def imported_packages(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("scripts."))


@pytest.mark.parametrize("path", [*modules()], ids=lambda path: str(path.relative_to(SCRIPTS)))
def test_the_scripts_import_in_one_direction(path: Path) -> None:
    package = path.relative_to(SCRIPTS).parts[0]
    assert {*imported_packages(path)} <= MAY_IMPORT[package] | {package}


def test_no_module_shares_its_name_with_one_of_the_functions() -> None:
    def names(folder: Path) -> set[str]:
        found = {path.stem for path in folder.rglob("*.py")} | {
            path.parent.name for path in folder.rglob("__init__.py")
        }
        return found - {"__init__", "__main__", "main", folder.name}

    assert names(SCRIPTS) & names(ROOT / "functions" / "firerouter") == SAME_NAME
