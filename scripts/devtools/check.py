"""`./scripts/test`: lint, types and tests, in the words CI uses too.

With arguments only pytest runs, on those, one test after the other. The tests never see
OPENROUTER_API_KEY: no run of them may cost anybody anything.
"""

import os
import subprocess
import sys

from scripts.devtools import ROOT
from scripts.devtools.cli_errors import INTERRUPTED, NOT_SET_UP, Problem
from scripts.devtools.setup import enter, say

FAILED_CHECKS = "FIREROUTER_FAILED_CHECKS"  # read by tests/conftest.py, which ends the run with it
# of all tests: two processes with a suite each, for half the time goes into waiting
SIDE_BY_SIDE = ("--numprocesses", "2", "--dist", "loadfile")
CHECKS = (
    ("ruff check", "ruff", "check", "."),
    ("ruff format", "ruff", "format", "--check", "."),
    ("mypy", "mypy"),
)


def main() -> int:
    arguments = sys.argv[1:]
    try:
        enter("scripts.devtools.check")
        os.environ.pop("OPENROUTER_API_KEY", None)
        failed = [] if arguments else [name for name, *check in CHECKS if not passes(name, check)]
    except Problem as problem:
        say(str(problem))
        return NOT_SET_UP
    except KeyboardInterrupt:
        return INTERRUPTED
    os.environ[FAILED_CHECKS] = ", ".join(failed)
    sys.stdout.flush()
    # in this process's place: Ctrl-C then reaches pytest alone, which stops what it started
    pytest = [sys.executable, "-m", "pytest", *(arguments or SIDE_BY_SIDE)]
    os.execv(sys.executable, pytest)  # noqa: S606
    return 0


def passes(name: str, check: list[str]) -> bool:
    say(f"- {name}")
    return subprocess.run([sys.executable, "-m", *check], cwd=ROOT, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
