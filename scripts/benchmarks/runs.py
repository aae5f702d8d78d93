"""The command line: start what is needed, measure, print, write docs/performance.md if asked."""

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.benchmarks import (
    catalog_cost,
    comparison_latency,
    measures,
    proc_stats,
    startup,
    stop_latency,
)
from scripts.benchmarks.bench import BASELINE, Bench, create_features
from scripts.benchmarks.plan import FULL, QUICK, SMOKE, Plan
from scripts.benchmarks.report import Table, text_of, write_between
from scripts.devtools import ROOT, processes
from scripts.devtools.cli_errors import INTERRUPTED, NOT_SET_UP, Problem
from scripts.devtools.function_server import FUNCTIONS
from scripts.devtools.seed import seed
from scripts.devtools.suite import Suite

PAGE = ROOT / "docs" / "performance.md"
MEASURES = (
    measures.relay,
    measures.unary,
    measures.first_token,
    measures.crowd,
    measures.ladder,
)


def main(arguments: Sequence[str] | None = None, suite: Suite | None = None) -> int:
    """suite: one that runs and is seeded, to be left running; else one is started and stopped."""
    options = _options(arguments)
    sys.path.insert(0, str(FUNCTIONS.parent))  # the default features are the functions' own
    plan = SMOKE if options.smoke else QUICK if options.quick else FULL
    heading = f"Measured on {proc_stats.machine()}."
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(processes.ending_on_signals())
            logs = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            if suite is None:
                suite = stack.enter_context(Suite(ROOT, "bench", ports=Suite.free_ports(ROOT)))
                # sim/* are free by the catalog alone, and no real model is looked up there
                seed(suite, app={"freeModelsOnly": False})
            create_features(suite, plan.crowd_tokens)
            measured = measure
            if options.stops or options.compared:
                measured = measure_stops if options.stops else measure_compared
            table = measured(Bench(suite, logs), plan)
    except Problem as problem:
        _say(str(problem))
        return NOT_SET_UP
    except KeyboardInterrupt:
        return INTERRUPTED
    text = text_of(table, heading)
    print(text)
    if options.write:
        write_between(PAGE, text)
        _say(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


def measure(bench: Bench, plan: Plan) -> Table:
    """Every row. Short calls come before the wait for a first token: they warm the emulators up."""
    table = Table()
    begun = time.monotonic()

    def done(what: str) -> None:
        _say(f"{time.monotonic() - begun:5.0f} s  {what}")

    with (
        bench.serving("execute_prompt", FUNCTIONS, wait=False) as ours,
        bench.serving("relay", BASELINE, wait=False) as bare,
    ):
        sides = measures.Sides(bench, ours.wait_until_healthy(), bare.wait_until_healthy())
        measures.warm(sides)
        for measured in MEASURES:
            measured(sides, plan, table)
            done(measured.__name__)
        stop_latency.stops(bench, sides.ours, plan, table)
        done("stops")
    with bench.serving("api", FUNCTIONS) as both:
        comparison_latency.compared(bench, both, plan, table)
    done("compared")
    catalog_cost.shelf(table)
    done("shelf")
    startup.starts(bench, plan, table)
    done("starts")
    startup.imports(bench, table)
    done("imports")
    return table


def measure_stops(bench: Bench, plan: Plan) -> Table:
    """Those rows alone."""
    table = Table()
    with bench.serving("execute_prompt", FUNCTIONS) as ours:
        stop_latency.stops(bench, ours, plan, table)
    return table


def measure_compared(bench: Bench, plan: Plan) -> Table:
    """That row alone."""
    table = Table()
    with bench.serving("api", FUNCTIONS) as both:
        comparison_latency.compared(bench, both, plan, table)
    return table


def _say(line: str) -> None:
    """Progress goes to stderr: stdout is for the table."""
    print(line, file=sys.stderr, flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./scripts/bench",
        description="What execute_prompt costs beside a bare relay and beside the upstream itself.",
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="less of each, in under 90 s")
    size.add_argument("--smoke", action="store_true", help="the least that fills every row")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--stops", action="store_true", help="stop_generation alone, under two minutes"
    )
    what.add_argument(
        "--compared", action="store_true", help="a comparison of six models alone, two minutes"
    )
    what.add_argument("--write", action="store_true", help="into docs/performance.md as well")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
