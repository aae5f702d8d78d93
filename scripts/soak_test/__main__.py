"""The command line: start a suite, run one trial against it."""

import argparse
from collections.abc import Sequence
from typing import Final

MINUTES: Final = 30.0
MINUTES_MAX: Final = 120.0  # the stand-in's memory ends there

EPILOG: Final = """\
Two instances of api and one of continuation are served, and called three times a second. Five calls
in a hundred meet a fault at OpenRouter; others are stopped, left, repeated, compared, queued. One
instance is killed with SIGKILL every minute and replaced. The other one lives throughout: its
memory may grow by five percent after the first quarter, and its open files by a few. At the end the
ledger is held against the bill, as ./scripts/bill-test does.
exit status: 0 all is well, 1 something is not, 2 wrong arguments, 3 not set up.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)

    from scripts.soak_test.trial import run
    from scripts.trials.project import run_trial

    return run_trial(
        "soak", options.seed, lambda suite, logs, seed: run(suite, logs, options.minutes, seed)
    )


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./scripts/soak",
        description="Mixed traffic for many minutes, with faults and kills.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--minutes",
        type=_minutes,
        default=MINUTES,
        metavar="N",
        help="how long (default: %(default)g)",
    )
    parser.add_argument("--seed", type=int, help="repeat the plan of an earlier run")
    return parser.parse_args(arguments)


def _minutes(text: str) -> float:
    number = float(text)
    if not 0 < number <= MINUTES_MAX:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to {MINUTES_MAX:g}")
    return number


if __name__ == "__main__":
    raise SystemExit(main())
