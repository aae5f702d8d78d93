"""The command line: start a suite, run one trial against it."""

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from scripts.devtools.arguments import whole_number

GENERATIONS: Final = 300
GENERATIONS_MIN: Final = 50  # with fewer, some ways to end would be missing
GENERATIONS_MAX: Final = 20_000  # the stand-in cannot remember more

EPILOG: Final = """\
Two instances of api and one of continuation are served, and called by many users at once. Answers
finish, are stopped before the headers, in the text or before the usage, are cut, silent, empty,
refused, retried, replaced by a fallback, cached, compared or queued. Titles, summaries, vectors
and images cost as well, some usage is malformed, and instances are killed with SIGKILL and
replaced. At random moments, and at the end, the ledger (entries, counters, ceilings and roll-ups)
is compared with the bill that the OpenRouter stand-in keeps, to the billionth of a dollar.
exit status: 0 everything adds up, 1 something does not, 2 wrong arguments, 3 not set up.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)

    from scripts.bill_test.trial import run
    from scripts.trials.project import run_trial

    return run_trial(
        "bill-test",
        options.seed,
        lambda suite, logs, seed: run(suite, logs, options.generations, seed),
    )


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./scripts/bill-test",
        description="Ends generations in every possible way and compares the ledger with the bill.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--generations",
        type=whole_number(GENERATIONS_MIN, GENERATIONS_MAX),
        default=GENERATIONS,
        metavar="N",
        help="the number of calls (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, help="repeat the plan of an earlier run")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
