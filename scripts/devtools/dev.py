"""`./scripts/dev`: the whole backend on this machine, or one question to it.

    parse the arguments -> set up what is missing -> continue in the virtualenv
      -> --ask: ask_cli.py
      -> otherwise: start, seed, send one prompt as a check, wait for Ctrl-C, stop everything

Standard library only until it continues in the virtualenv.
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
from scripts.devtools.cli_errors import exit_status
from scripts.devtools.dev_state import note, only_one
from scripts.devtools.setup import say

CHECK_EVERY_S = 0.5
CHECK_PROMPT = "Say hello in five words."

DESCRIPTION = """\
Runs the whole backend on this machine: the Firebase emulators with the functions, and stand-ins
for OpenRouter, Secret Manager, App Check and Cloud Storage. You need neither an account nor a key.
The first run installs what is missing into this folder (a few minutes); later ones take seconds.
"""
EPILOG = """\
examples:
  ./scripts/dev                               start everything; Ctrl-C stops it
  ./scripts/dev --ask "Why is the sky blue?"  ask once; starts and stops what is needed
  OPENROUTER_API_KEY=sk-or-... ./scripts/dev  the same with the real OpenRouter

While ./scripts/dev is running, --ask uses it and answers at once.
The answer goes to stdout, everything else to stderr. Logs are in .local/log.
exit status: 0 fine, 1 the question failed, 2 wrong arguments, 3 could not set up or start.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(sys.argv[1:] if arguments is None else arguments)

    def chore() -> int:
        with processes.ending_on_signals():
            setup.enter("scripts.devtools.dev")
            if options.ask is None:
                return serve(ROOT, free_ports=options.free_ports)
            from scripts.devtools import ask_cli

            return ask_cli.run(ROOT, options)

    return exit_status(chore)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./scripts/dev",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--free-ports", action="store_true", help="use free ports and print them")
    parser.add_argument("--ask", metavar="PROMPT", help="ask one question and print the answer")
    with_ask = parser.add_argument_group("with --ask")
    with_ask.add_argument(
        "--feature", metavar="ID", help="the feature that answers (default: chat)"
    )
    with_ask.add_argument(
        "--model", metavar="ID", help="the model, if the feature lets callers choose"
    )
    with_ask.add_argument("--no-stream", action="store_true", help="wait for the whole answer")
    with_ask.add_argument("--json", action="store_true", help="print the whole result as JSON")
    options = parser.parse_args(arguments)
    if options.ask is None and (
        options.feature or options.model or options.no_stream or options.json
    ):
        parser.error("--feature, --model, --no-stream and --json require --ask")
    if options.ask is not None and not options.ask.strip():
        parser.error("--ask needs a question")
    return options


def serve(root: Path, *, free_ports: bool) -> int:
    """Run everything until Ctrl-C. Raises Problem."""
    from scripts.devtools import ask_cli
    from scripts.devtools.import_check import ImportCheck, ImportWatch
    from scripts.devtools.seed import seed
    from scripts.devtools.suite import Suite

    key = os.environ.get("OPENROUTER_API_KEY") or None
    with only_one(root):
        logs = root / ".local" / "log"
        ports = Suite.free_ports(root) if free_ports else None
        suite = Suite(
            root, "dev", ports=ports, log_dir=logs, real_openrouter=key is not None, say=say
        )
        # from the start on, so that no change is missed
        changes = ImportWatch(root, ImportCheck(root, log=logs / "changes-imports.log"), say)
        try:
            with setup.step("starting the emulators and the stand-ins"):
                suite.start(meanwhile=partial(seed, key=key))
            note(root, suite.id, suite.addresses(), logs=suite.log_dir)
            backend = ask_cli.Backend(root, suite.addresses(), suite.log_dir)
            with setup.step("sending a prompt as a check"):
                problem = asyncio.run(ask_cli.self_check(backend, CHECK_PROMPT))
            say(f"  the check failed: {problem}\n{suite.tails(5)}" if problem else "  it answers")
            say(welcome(suite.addresses(), suite.log_dir))
            while True:
                time.sleep(CHECK_EVERY_S)
                suite.check()
                changes.look()
        finally:
            if suite.is_started:
                say("\nstopping ...")
                suite.stop()
                say("stopped: nothing is left running")


def welcome(addresses: dict[str, str], logs: Path) -> str:
    from scripts.devtools.suite import BUCKET

    openrouter = addresses.get("openrouter")
    rows = {
        "Functions": addresses["functions"],
        "Web pages": addresses.get("hosting"),
        "OpenRouter": f"{openrouter} (a stand-in: it simulates)" if openrouter else "the real one",
        "Auth": addresses["auth"],
        "Firestore": addresses["firestore"],
        "App Check": addresses["appCheck"],
        "Secret Manager": addresses["secretManager"],
        "Cloud Storage": f"{addresses['storage']}, bucket {BUCKET}",
        "Logs": str(logs),
        "": None,
        "Sign in as": "user@demo.test or admin@demo.test, password firerouter",
        "Ask": './scripts/dev --ask "Why is the sky blue?"',
    }
    lines = [f"  {name:<16}{value}" for name, value in rows.items() if value]
    return "\nFirerouter is up. Ctrl-C stops it.\n\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
