"""The command line: start what is needed, measure, print, write docs/performance.md on request."""

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.benchmarks import plan, report
from scripts.benchmarks.peers import table
from scripts.devtools import ROOT, processes
from scripts.devtools.cli_errors import exit_status
from scripts.devtools.seed import seed
from scripts.devtools.setup import say
from scripts.devtools.suite import Suite

if TYPE_CHECKING:
    from scripts.benchmarks.bench import Bench

PAGE = ROOT / "docs" / "performance.md"


def main(arguments: Sequence[str] | None = None, suite: Suite | None = None) -> int:
    """Run the benchmarks.

    Args:
        arguments: The command line's arguments; the process's own by default.
        suite: A started and seeded suite, which is left running. By default, one is started and
            stopped again.
    """
    options = parse(arguments)

    from scripts.benchmarks import proc_stats
    from scripts.benchmarks.bench import Bench, create_features

    size = plan.SMOKE if options.smoke else plan.QUICK if options.quick else plan.FULL
    heading = f"Measured on {proc_stats.machine()}."
    section = table.SECTION if options.peers else report.SECTION

    def chore() -> int:
        if options.write:
            section.replaced_in(PAGE, "")  # so that a fault shows before minutes are spent
        with contextlib.ExitStack() as stack:
            stack.enter_context(processes.ending_on_signals())
            logs = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            running = suite or stack.enter_context(
                Suite(ROOT, "bench", ports=Suite.free_ports(ROOT))
            )
            if suite is None:
                # sim/* are free only according to the stand-in's list, which is not consulted here
                seed(running, app={"freeModelsOnly": False})
            create_features(running, size.crowd_tokens)
            text = _measured(options, Bench(running, logs), size, heading)
        print(text)
        if options.write:
            section.write(PAGE, text)
            say(f"wrote {PAGE.relative_to(ROOT)}")
        return 0

    return exit_status(chore)


def _measured(options: argparse.Namespace, bench: "Bench", size: plan.Plan, heading: str) -> str:
    """Measure what the options say. Returns the report as Markdown."""
    from scripts.benchmarks import runs
    from scripts.benchmarks.peers import measure as peers

    if options.peers:
        return peers.report(bench, size, heading)
    measure = runs.everything
    if options.stops or options.compared:
        measure = runs.stops_alone if options.stops else runs.comparison_alone
    return report.text_of(measure(bench, size), heading)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./scripts/bench",
        description="Measures what execute_prompt costs compared with a bare relay and the "
        "upstream itself.",
        epilog="exit status: 0 measured, 2 wrong arguments, 3 not set up.",
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="measure less of each, in under 90 s")
    size.add_argument("--smoke", action="store_true", help="measure the least that fills every row")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--stops", action="store_true", help="measure only stop_generation, in under two minutes"
    )
    what.add_argument(
        "--compared",
        action="store_true",
        help="measure only a comparison of six models, in two minutes",
    )
    what.add_argument(
        "--peers",
        action="store_true",
        help="compare it with other gateways and a Node function, in three minutes; the first run "
        "installs them in .local/peers",
    )
    parser.add_argument(
        "--write", action="store_true", help="write the tables to docs/performance.md as well"
    )
    options = parser.parse_args(arguments)
    if options.write and (options.stops or options.compared):
        parser.error("--write needs all rows: not allowed with --stops or --compared")
    return options


if __name__ == "__main__":
    sys.exit(main())
