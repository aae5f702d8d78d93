"""`./scripts/test`: style, types and tests. CI runs the same command.

The tests never see OPENROUTER_API_KEY: running them must not cost anything.
"""

import os
import subprocess
import sys

from scripts.devtools import ROOT
from scripts.devtools.cli_errors import exit_status
from scripts.devtools.setup import enter, say

FAILED_CHECKS = "FIREROUTER_FAILED_CHECKS"  # tests/conftest.py reads it at the end of the run
# three processes with a suite each on two cores, because they wait for half of their time
SIDE_BY_SIDE = ("--numprocesses", "3", "--dist", "loadfile")
CHECKS = (
    ("ruff check", "ruff", "check", "."),
    ("ruff format", "ruff", "format", "--check", "."),
    ("mypy", "mypy"),
)


USAGE = """\
usage: ./scripts/test [-h] [PYTEST_ARGUMENT ...]

Checks the style (ruff) and the types (mypy), then runs every test, in three processes. The first
run installs what is missing into this folder (a few minutes).

options:
  -h, --help       show this help message and exit
  PYTEST_ARGUMENT  run pytest alone, with these arguments, in one process

examples:
  ./scripts/test
  ./scripts/test tests/unit
  ./scripts/test tests/unit/openrouter/test_sse.py -k cut

exit status: 0 everything passed, 3 could not set up, otherwise pytest's own.
"""


def main() -> int:
    arguments = sys.argv[1:]
    if arguments[:1] in (["-h"], ["--help"]):
        print(USAGE, end="")
        return 0
    return exit_status(lambda: check(arguments))


def check(arguments: list[str]) -> int:
    """Continue as pytest, after all other checks if there are no arguments. Raises Problem."""
    enter("scripts.devtools.check")
    os.environ.pop("OPENROUTER_API_KEY", None)
    failed = [] if arguments else [name for name, *module in CHECKS if not passes(name, module)]
    os.environ[FAILED_CHECKS] = ", ".join(failed)
    sys.stdout.flush()
    # in place of this process: Ctrl-C then reaches pytest alone, which stops what it started
    pytest = [sys.executable, "-m", "pytest", *(arguments or SIDE_BY_SIDE)]
    os.execv(sys.executable, pytest)  # noqa: S606
    return 0


def passes(name: str, check: list[str]) -> bool:
    say(f"- {name}")
    return subprocess.run([sys.executable, "-m", *check], cwd=ROOT, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
