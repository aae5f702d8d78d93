"""The command line: how many inputs, of which targets."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Final

from scripts.devtools.arguments import whole_number
from scripts.devtools.cli_errors import FAILED, exit_status

INPUTS: Final = 20_000
INPUTS_MAX: Final = 100_000_000

EPILOG: Final = """\
Each input is a well-formed example with a few odd changes: another type, a huge number, half a
character, bytes that are not text, an extra field. Firerouter's readers may refuse it with an error
that they document. Anything else is a finding, as are an input that takes more than five seconds,
and leaks of memory or open files. Findings are reduced to the smallest input that shows them.

targets:
  callables  what clients send, as bytes      features  settings of features in Firestore
  streams    answers of OpenRouter, in pieces app       config/app
  failures   its failures                     limits    a user's own limits
  catalog    entries of its list of models    ledger    entries, and what they add to reports

examples:
  ./scripts/fuzz --inputs 1000000
  ./scripts/fuzz --target streams --seed 7

exit status: 0 nothing was found, 1 findings, 2 wrong arguments, 3 not set up.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(sys.argv[1:] if arguments is None else arguments)
    return exit_status(lambda: run(options))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./scripts/fuzz",
        description="Feeds odd inputs to every reader of outside data.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--inputs",
        type=whole_number(1, INPUTS_MAX),
        default=INPUTS,
        metavar="N",
        help="the number of inputs, shared by the targets (default: %(default)s)",
    )
    parser.add_argument("--target", metavar="NAME", help="only this one")
    parser.add_argument("--seed", type=int, help="repeat an earlier run")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> int:
    """Feed the targets, print the findings, and return the exit status."""
    from scripts.fuzzing import campaign
    from scripts.fuzzing.targets import TARGETS

    targets = [one for one in TARGETS if options.target in (None, one.name)]
    if not targets:
        names = ", ".join(one.name for one in TARGETS)
        print(f"There is no target {options.target}. The targets are {names}.", file=sys.stderr)
        return FAILED
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    each = -(-options.inputs // len(targets))
    print(f"seed {seed}", flush=True)
    found = 0
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as processes:
        running = [processes.submit(campaign.feed, target.name, each, seed) for target in targets]
        for ended in as_completed(running):
            lines, has_found = ended.result()
            found += has_found
            print(lines, flush=True)
    print(f"{found} found." if found else "Nothing was found.")
    return FAILED if found else 0


if __name__ == "__main__":
    sys.exit(main())
