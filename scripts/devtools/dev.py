"""`./scripts/dev`: the whole backend on this machine, or one question to it.

    parse the arguments -> set up what is missing -> go on in the virtualenv
      -> --ask: ask_cli.py
      -> else:  start, seed, ask one question as a check, stay until Ctrl-C, stop everything

Standard library only until it has gone on in the virtualenv.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from scripts.devtools import ROOT, processes, setup
from scripts.devtools.cli_errors import INTERRUPTED, NOT_SET_UP, Problem
from scripts.devtools.dev_state import note, only_one
from scripts.devtools.setup import say

CHECK_EVERY_S = 0.5
CHECK_PROMPT = "Say hello in five words."

DESCRIPTION = """\
Runs the whole backend on this machine: the Firebase emulators with the functions, and stand-ins
for OpenRouter, Secret Manager and App Check. No account and no key are needed. The first run
installs what is missing into this folder (a few minutes); later ones start in seconds.
"""
EPILOG = """\
examples:
  ./scripts/dev                               start everything and stay until Ctrl-C
  ./scripts/dev --ask "Why is the sky blue?"  ask once; starts and stops what is needed
  OPENROUTER_API_KEY=sk-or-... ./scripts/dev  the same against the real OpenRouter

An --ask while scripts/dev is up goes to that one, and answers at once.
The answer goes to stdout, all else to stderr. Logs are in .local/log.
exit status: 0 fine, 1 the question failed, 2 wrong arguments, 3 could not set up or start.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        with processes.ending_on_signals():
            setup.enter("scripts.devtools.dev")
            if options.ask is None:
                return serve(ROOT, free_ports=options.free_ports)
            from scripts.devtools import ask_cli

            return ask_cli.run(ROOT, options)
    except Problem as problem:
        say(str(problem))
        return NOT_SET_UP
    except KeyboardInterrupt:
        return INTERRUPTED


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./scripts/dev",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--free-ports", action="store_true", help="run on ports that nobody uses, and say which"
    )
    parser.add_argument("--ask", metavar="PROMPT", help="ask one question and print the answer")
    asking = parser.add_argument_group("with --ask")
    asking.add_argument("--feature", metavar="ID", help="the feature that answers (default: chat)")
    asking.add_argument(
        "--model", metavar="ID", help="a model, where the feature lets callers choose"
    )
    asking.add_argument("--no-stream", action="store_true", help="wait for the whole answer")
    asking.add_argument("--json", action="store_true", help="print the whole result as JSON")
    options = parser.parse_args(arguments)
    if options.ask is None and (
        options.feature or options.model or options.no_stream or options.json
    ):
        parser.error("--feature, --model, --no-stream and --json go with --ask")
    if options.ask is not None and not options.ask.strip():
        parser.error("--ask needs a question")
    return options


def serve(root: Path, *, free_ports: bool) -> int:
    """Everything up until Ctrl-C. Raises Problem."""
    from scripts.devtools import ask_cli
    from scripts.devtools.seed import seed
    from scripts.devtools.suite import Suite

    key = os.environ.get("OPENROUTER_API_KEY") or None
    with only_one(root):
        logs = root / ".local" / "log"
        ports = Suite.free_ports(root) if free_ports else None
        suite = Suite(
            root, "dev", ports=ports, log_dir=logs, real_openrouter=key is not None, say=say
        )
        try:
            with setup.step("starting the emulators and the stand-ins"):
                suite.start(meanwhile=partial(seed, key=key))
            note(root, suite.id, suite.addresses())
            with setup.step("asking it a question"):
                problem = asyncio.run(ask_cli.self_check(suite.addresses(), CHECK_PROMPT))
            say(f"  that failed: {problem}\n{suite.tails(5)}" if problem else "  it answers")
            say(welcome(suite.addresses(), logs))
            while True:
                time.sleep(CHECK_EVERY_S)
                suite.check()
        finally:
            if suite.is_started:
                say("\nstopping ...")
                suite.stop()
                say("stopped: nothing of it runs any more")


def welcome(addresses: dict[str, str], logs: Path) -> str:
    openrouter = addresses.get("openrouter")
    rows = {
        "Functions": addresses["functions"],
        "Web pages": addresses.get("hosting"),
        "OpenRouter": f"{openrouter} (a stand-in: it simulates)" if openrouter else "the real one",
        "Auth": addresses["auth"],
        "Firestore": addresses["firestore"],
        "App Check": addresses["appCheck"],
        "Secret Manager": addresses["secretManager"],
        "Cloud Storage": addresses["storage"],
        "Logs": str(logs),
        "": None,
        "Sign in as": "user@demo.test or admin@demo.test, password firerouter",
        "Ask": './scripts/dev --ask "Why is the sky blue?"',
    }
    lines = [f"  {name:<16}{value}" for name, value in rows.items() if value]
    return "\nFirerouter is up. Ctrl-C stops it.\n\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
