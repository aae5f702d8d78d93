"""What can go wrong before anything runs: a reason, and what to do about it.

Problem
  SetupFailed   a tool is missing, or could not be installed
  PortTaken     another program listens where a part of the suite must
  AlreadyRuns   scripts/dev is up already
  PartDied      a part of the suite ended, or never became ready
"""

FAILED, USAGE, NOT_SET_UP, INTERRUPTED = 1, 2, 3, 130  # exit statuses; argparse gives USAGE itself


class Problem(Exception):
    """A sentence about the cause and one about the remedy, fit to be shown as they are."""

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
