"""The command line: measure, or take what was measured before, and print or write the table."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from typing import Final

from scripts.devtools.cli_errors import exit_status

EPILOG: Final = """\
Each callable is called in a suite of its own: documents are counted where the functions send them
to Firestore's emulator, CPU and bytes in a served instance. The limits are those in code, and the
prices those in scripts/worst_day/list_prices.py, without any free tier.
exit status: 0 done, 1 a call failed, 2 wrong arguments, 3 not set up.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="./scripts/worst-day",
        description="Computes what a caller who never stops costs the owner at Google in a day.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--write", action="store_true", help="write the table to docs/security.md")
    parser.add_argument(
        "--stored", action="store_true", help="measure nothing: compute from the last measurements"
    )
    options = parser.parse_args(arguments)
    return exit_status(lambda: run(write=options.write, measures=not options.stored))


def run(*, write: bool, measures: bool) -> int:
    """Print the table, or write it. Raises Problem."""
    from scripts.worst_day import page

    if measures:
        from scripts.trials.project import started_suite
        from scripts.worst_day.measurement import measure

        with started_suite("worst-day") as (suite, logs):
            machine, measured = asyncio.run(measure(suite, logs))
        if write:
            page.store(machine, measured)
    else:
        machine, measured = page.stored()
    text = page.section(machine, measured)
    if write:
        page.SECTION.write(page.PAGE, text)
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
