"""Errors that the command line shows as they are, and its exit statuses.

Problem
  SetupFailed   a tool is missing, or could not be installed
  PortTaken     another program listens where a part of the suite must
  AlreadyRuns   scripts/dev is running already
  PartDied      a part of the suite ended, or never became ready
"""

FAILED, USAGE, NOT_SET_UP, INTERRUPTED = 1, 2, 3, 130  # argparse exits with USAGE by itself


class Problem(Exception):
    """An error with a sentence about its cause and one about its remedy."""

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
