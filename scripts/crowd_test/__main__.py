"""The command line: start a suite, play the rows against it, print or write the table."""

import argparse
import asyncio
from collections.abc import Sequence
from typing import Final

from scripts.crowd_test import verdict
from scripts.devtools import ROOT
from scripts.devtools.arguments import whole_number
from scripts.devtools.cli_errors import exit_status
from scripts.devtools.setup import say

PAGE: Final = ROOT / "docs" / "performance.md"
VICTIMS: Final = 20
VICTIMS_MAX: Final = 60  # an instance is sent 80 requests at once
REPETITIONS: Final = 3
REPETITIONS_MAX: Final = 20

EPILOG: Final = f"""\
One instance of api is served, as it is deployed, and killed when its memory exceeds that of a
deployed one. Twenty users each stream an answer, a token every 20 ms; then they do so again while
another user attacks in the way of one row, and more users call meanwhile. A row reports how much
longer the longest wait for a token was than without the attack, how many streams and calls failed,
and the peak of the memory. A row that is over a limit is repeated, because other programs use the
same cores: the best of its runs counts. In all it takes some ten minutes.
limits: {verdict.DELAY_MAX_MS} ms, no failure, {verdict.MEMORY_MAX_MB} MB.
exit status: 0 every row is within the limits, 1 one is not, 2 wrong arguments, 3 not set up.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)

    from scripts.benchmarks import proc_stats
    from scripts.crowd_test.attacks import ATTACKS
    from scripts.crowd_test.trial import run
    from scripts.trials.project import started_suite

    unknown = {*options.rows} - {*ATTACKS}
    if unknown:
        say(f"There is no row {', '.join(sorted(unknown))}: {', '.join(ATTACKS)}.")
        return 2
    attacks = [ATTACKS[row] for row in options.rows or ATTACKS]
    heading = f"Measured on {proc_stats.machine()}."

    def chore() -> int:
        if options.write:
            verdict.SECTION.replaced_in(PAGE, "")  # so that a fault shows before minutes are spent
        with started_suite("crowd-test") as (suite, logs):
            rows = asyncio.run(run(suite, logs, attacks, options.victims, options.repetitions))
        text = verdict.text_of(rows, heading, options.victims)
        print(text)
        if options.write:
            verdict.SECTION.write(PAGE, text)
            say(f"wrote {PAGE.relative_to(ROOT)}")
        return verdict.status_of(rows)

    return exit_status(chore)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./scripts/crowd-test",
        description="Measures how much one attacker delays other users' streams.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--rows",
        type=lambda text: text.split(","),
        default=[],
        metavar="NAME,...",
        help="only these, by their names in the table (default: all)",
    )
    parser.add_argument(
        "--victims",
        type=whole_number(1, VICTIMS_MAX),
        default=VICTIMS,
        metavar="N",
        help="the number of streams (default: %(default)s)",
    )
    parser.add_argument(
        "--repetitions",
        type=whole_number(1, REPETITIONS_MAX),
        default=REPETITIONS,
        metavar="N",
        help="the most runs of a row (default: %(default)s)",
    )
    parser.add_argument(
        "--write", action="store_true", help="write the table to docs/performance.md as well"
    )
    options = parser.parse_args(arguments)
    if options.write and options.rows:
        parser.error("--write needs all rows: not allowed with --rows")
    return options


if __name__ == "__main__":
    raise SystemExit(main())
