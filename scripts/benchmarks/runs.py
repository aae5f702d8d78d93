"""What one run measures: everything, or only a part of it."""

import time

from scripts.benchmarks import catalog_cost, comparison_latency, measures, startup, stop_latency
from scripts.benchmarks.bench import BASELINE, Bench
from scripts.benchmarks.plan import Plan
from scripts.benchmarks.report import Table
from scripts.devtools.function_server import FUNCTIONS
from scripts.devtools.setup import say

MEASURES = (
    measures.relay,
    measures.unary,
    measures.first_token,
    measures.crowd,
    measures.ladder,
)


def everything(bench: Bench, plan: Plan) -> Table:
    """Fill every row. Short calls precede the first tokens, because they warm the emulators up."""
    table = Table()
    began = time.monotonic()

    def report_progress(what: str) -> None:
        say(f"{time.monotonic() - began:5.0f} s  {what}")

    with (
        bench.serving("execute_prompt", FUNCTIONS, wait=False) as ours,
        bench.serving("relay", BASELINE, wait=False) as bare,
    ):
        sides = measures.Sides(bench, ours.wait_until_healthy(), bare.wait_until_healthy())
        measures.warm(sides)
        for measure in MEASURES:
            measure(sides, plan, table)
            report_progress(measure.__name__)
        stop_latency.measure(bench, sides.ours, plan, table)
        report_progress("stops")
    with bench.serving("api", FUNCTIONS) as api:
        comparison_latency.measure(bench, api, plan, table)
    report_progress("comparison")
    catalog_cost.measure(table)
    report_progress("catalog")
    startup.measure(bench, plan, table)
    report_progress("starts")
    startup.measure_imports(bench, table)
    report_progress("imports")
    return table


def stops_alone(bench: Bench, plan: Plan) -> Table:
    table = Table()
    with bench.serving("execute_prompt", FUNCTIONS) as ours:
        stop_latency.measure(bench, ours, plan, table)
    return table


def comparison_alone(bench: Bench, plan: Plan) -> Table:
    table = Table()
    with bench.serving("api", FUNCTIONS) as api:
        comparison_latency.measure(bench, api, plan, table)
    return table
