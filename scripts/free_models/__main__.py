"""The command line: whom to ask, the survey, and where its table goes."""

import argparse
import asyncio
import os
import re
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from firerouter.keys.secret import Secret
from scripts.free_models.asking import Source
from scripts.free_models.report import BEGIN, END, placed, text_of
from scripts.free_models.survey import VARIABLE, Pace, Refused, Survey, take
from scripts.local import running
from scripts.local.problems import FAILED, INTERRUPTED, NOT_SET_UP, Problem
from scripts.local.seed import LOCAL_KEY
from scripts.local.setup import ROOT, say

OPENROUTER: Final = "https://openrouter.ai/api/v1"
MODELS: Final = 20
MODELS_MAX: Final = 50  # what an account that never bought credits may ask in a day
PER_MINUTE: Final = 15
PER_MINUTE_MAX: Final = 20  # OpenRouter's own limit for free models

EPILOG: Final = f"""\
examples:
  OPENROUTER_API_KEY=sk-or-... ./scripts/free-models
  OPENROUTER_API_KEY=sk-or-... ./scripts/free-models --write docs/free-models-guide.md
  ./scripts/free-models --max 3     with no key: asks the stand-in of the ./scripts/dev that is up

Each model costs one of the account's free requests of the day, and no money. Firerouter's default
models are asked first, then the newest. Ctrl-C prints what has been measured so far.
FILE holds these two lines; what stands between them is replaced:
  {BEGIN}
  {END}
exit status: 0 measured, 1 nothing was, 2 wrong arguments, 3 nothing to do it with.
"""


def main(
    arguments: Sequence[str] | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> int:
    """clock and sleep, in seconds: those of the pace."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        if options.write:
            placed(options.write, "")  # before a request is spent on what has no place
        source = find_source()
        survey = Survey(source.simulated, datetime.now(UTC))
        try:
            asyncio.run(take(survey, source, options.max, Pace(options.per_minute, clock, sleep)))
        except KeyboardInterrupt:
            print(text_of(survey) if survey.rows else "Interrupted before any model had answered.")
            return INTERRUPTED
        publish(text_of(survey), options.write)
    except Problem as problem:
        say(str(problem))
        return FAILED if isinstance(problem, Refused) else NOT_SET_UP
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./scripts/free-models",
        description="Asks OpenRouter's free models one short question each: which of them answer, "
        "and how fast.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--max",
        type=partial(_number, most=MODELS_MAX),
        default=MODELS,
        metavar="N",
        help=f"models to ask: {MODELS}, at most {MODELS_MAX}",
    )
    parser.add_argument(
        "--per-minute",
        type=partial(_number, most=PER_MINUTE_MAX),
        default=PER_MINUTE,
        metavar="N",
        help=f"requests a minute: {PER_MINUTE}, at most the {PER_MINUTE_MAX} of OpenRouter's limit",
    )
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="put the table into FILE instead of printing it"
    )
    return parser.parse_args(arguments)


def _number(text: str, *, most: int) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 to {most}")
    return int(text)


def find_source() -> Source:
    """OpenRouter where there is a key, else the stand-in that is up. Raises Problem."""
    get_one = f"Set {VARIABLE} to a key from https://openrouter.ai/settings/keys"
    if given := os.environ.get(VARIABLE, "").strip():
        if not re.fullmatch(r"[\x21-\x7e]+", given):  # no header could carry it
            raise Problem(
                f"{VARIABLE} holds something that can not be a key.",
                "There are blanks, line ends or signs beyond ASCII in it: copy it once more.",
            )
        return Source(OPENROUTER, Secret(given))
    state = running.find(ROOT)
    if state is None:
        raise Problem(
            "There is no OpenRouter key here, and no ./scripts/dev is up to simulate with.",
            f"{get_one}, or start ./scripts/dev in another terminal.",
        )
    stand_in = state["addresses"].get("openrouter")
    if stand_in is None:
        raise Problem(
            "There is no OpenRouter key here, and the ./scripts/dev that is up uses the real one.",
            f"{get_one}.",
        )
    return Source(stand_in, Secret(LOCAL_KEY), simulated=True)


def publish(text: str, file: Path | None) -> None:
    """Print it, or put it into the file; where that fails, print it and raise Problem."""
    if file is None:
        print(text)
        return
    try:
        file.write_bytes(placed(file, text))
    except (OSError, Problem):
        print(text)
        raise Problem(
            f"{file} could not be written: what was measured is printed instead.",
            "Is it a file that may be changed, with the two lines of --help in it?",
        ) from None
    say(f"wrote {file}")


if __name__ == "__main__":
    sys.exit(main())
