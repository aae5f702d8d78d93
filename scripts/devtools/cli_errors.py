"""Errors that the command line shows as they are, and its exit statuses.

Problem
  SetupFailed   a tool is missing, or could not be installed
  PortTaken     another program listens where a part of the suite must
  AlreadyRuns   scripts/dev is running already
  PartDied      a part of the suite ended, or never became ready
"""

import sys
from collections.abc import Callable
from typing import ClassVar

FAILED, USAGE, NOT_SET_UP, INTERRUPTED = 1, 2, 3, 130  # argparse exits with USAGE by itself


class Problem(Exception):
    """An error with a sentence about its cause and one about its remedy.

    Attributes:
        status: The exit status of a chore that ends with it.
    """

    status: ClassVar[int] = NOT_SET_UP

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"{reason}\n{remedy}")
        self.reason = reason
        self.remedy = remedy


class SetupFailed(Problem):
    pass


class PortTaken(Problem):
    pass


class AlreadyRuns(Problem):
    pass


class PartDied(Problem):
    pass


def exit_status(chore: Callable[[], int]) -> int:
    """Run a chore and return its exit status; a Problem is printed to stderr."""
    try:
        return chore()
    except Problem as problem:
        print(problem, file=sys.stderr, flush=True)
        return problem.status
    except KeyboardInterrupt:
        return INTERRUPTED
