"""The command line: start a suite, run one trial against it."""

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from scripts.devtools.arguments import whole_number

TIMES: Final = 20
TIMES_MAX: Final = 400  # limited by the stand-in's memory and a user's concurrency slots

EPILOG: Final = """\
In each round an instance of execute_prompt is served, called by several users at once and killed
with SIGKILL at a random moment. The calls use free and paid models, streamed and not; some clients
hang up, some are stopped from another device, some repeat a request, regenerate an answer, or
attach a file. If an answer needs no listener, an instance of continuation is killed too, before or
after. Then reconcile_generations runs, twice at once, with its clock moved past every deadline, and
everything is added up.
exit status: 0 everything adds up, 1 something does not, 2 wrong arguments, 3 not set up.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)

    from scripts.kill_test.trial import run
    from scripts.trials.project import run_trial

    return run_trial(
        "kill-test", options.seed, lambda suite, logs, seed: run(suite, logs, options.times, seed)
    )


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./scripts/kill-test",
        description="Kills instances at random moments, reconciles, and adds everything up.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--times",
        type=whole_number(1, TIMES_MAX),
        default=TIMES,
        help="the number of rounds (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, help="repeat the plan of an earlier run")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
