"""A mistake in functions/ is found by importing them, with the traceback that a person needs."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.devtools.cli_errors import PartDied
from scripts.devtools.import_check import ImportCheck, ImportWatch

ENDS_WITHIN_S = 30.0
MAIN = "import shop.orders\n\ndef buy():\n    pass\n"
MANIFEST = "endpoints:\n  buy:\n    entryPoint: buy\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with functions of its own: a main, a package, a manifest."""
    files = {
        "main.py": MAIN,
        "shop/__init__.py": "",
        "shop/orders.py": "",
        "shop/deep/__init__.py": "",
        "shop/deep/later.py": "",  # imported by a request, not by main
        "functions.yaml": MANIFEST,
        "venv/broken.py": "def (",
    }
    for name, text in files.items():
        path = tmp_path / "functions" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / ".local").mkdir()
    return tmp_path


@pytest.fixture
def check(root: Path) -> Iterator[ImportCheck]:
    check = ImportCheck(root, log=root / "imports.log")
    yield check
    check.stop()


def result_of(check: ImportCheck) -> str | None:
    deadline = time.monotonic() + ENDS_WITHIN_S
    while check.is_running:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return check.problem()


def test_functions_that_can_be_imported_have_no_problem(check: ImportCheck) -> None:
    check.start()
    assert result_of(check) is None
    check.raise_problem()


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("main.py", "def broken(:", ["main.py", "def broken(:", "SyntaxError"]),
        ("main.py", "import nothing_like_it", ["main.py", "ModuleNotFoundError"]),
        ("main.py", "raise RuntimeError('no bucket')", ["line 1", "RuntimeError: no bucket"]),
        ("main.py", "exit(4)", ["main.py", "SystemExit: 4"]),
        ("shop/orders.py", "import os.nothing", ["orders.py", "main.py"]),
        ("shop/deep/later.py", "1 / 0", ["later.py", "ZeroDivisionError"]),
        ("functions.yaml", MANIFEST + "  sell:\n    entryPoint: sell\n", ["define sell"]),
        # importable from scripts/devtools, where the probe is, and not from functions/
        ("main.py", "import import_check", ["ModuleNotFoundError"]),
    ],
)
def test_a_mistake_is_told_with_its_traceback(
    root: Path, check: ImportCheck, file: str, text: str, told: list[str]
) -> None:
    (root / "functions" / file).write_text(text)
    check.start()
    problem = result_of(check)
    assert problem is not None
    assert all(words in problem for words in told), problem
    assert "import_probe" not in problem
    assert "importlib" not in problem
    with pytest.raises(PartDied, match=r"Correct functions/"):
        check.raise_problem()


def test_the_same_code_is_imported_once(root: Path, check: ImportCheck) -> None:
    check.start()
    assert result_of(check) is None
    check.start()
    assert not check.is_running
    (root / "functions" / "shop" / "orders.py").write_text("x = 1")
    check.start()
    assert check.is_running


def test_broken_code_is_not_remembered_as_fine(root: Path, check: ImportCheck) -> None:
    (root / "functions" / "main.py").write_text("1 / 0")
    check.start()
    assert result_of(check)
    check.start()
    assert check.is_running
    assert result_of(check)


def test_an_import_that_does_not_end_is_given_up(root: Path, check: ImportCheck) -> None:
    (root / "functions" / "main.py").write_text("import time; time.sleep(600)")
    check = ImportCheck(root, log=root / "imports.log", within_s=0.2)
    check.start()
    assert "still being imported" in str(result_of(check))


def test_a_change_is_told_when_it_breaks_and_when_it_mends(root: Path, check: ImportCheck) -> None:
    said: list[str] = []
    watch = ImportWatch(root, check, said.append)

    def look_until(lines: int) -> None:
        deadline = time.monotonic() + ENDS_WITHIN_S
        while len(said) < lines:
            assert time.monotonic() < deadline
            watch.look()
            time.sleep(0.01)

    for _ in range(5):
        watch.look()
    assert said == []
    (root / "functions" / "shop" / "orders.py").write_text("1 / 0")
    look_until(1)
    assert "ZeroDivisionError" in said[0]
    for _ in range(5):
        watch.look()
    (root / "functions" / "shop" / "orders.py").write_text("total = 0  # mended")
    look_until(2)
    assert said[1] == "functions/ can be imported again."
    assert len(said) == 2
