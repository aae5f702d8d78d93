"""The command line: which OpenRouter to ask, and where the table goes."""

import argparse
import asyncio
import os
import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from scripts.devtools.cli_errors import FAILED, Problem, exit_status
from scripts.devtools.generated_section import GeneratedSection
from scripts.devtools.setup import say

OPENROUTER: Final = "https://openrouter.ai/api/v1"
VARIABLE: Final = "OPENROUTER_API_KEY"
SECTION: Final = GeneratedSection("free-models", "./scripts/free-models --write")
MODELS: Final = 20
MODELS_MAX: Final = 50  # the daily limit of an account that never bought credits

EPILOG: Final = f"""\
examples:
  OPENROUTER_API_KEY=sk-or-... ./scripts/free-models
  OPENROUTER_API_KEY=sk-or-... ./scripts/free-models --write docs/free-models-guide.md

Each model costs one of the account's free requests of the day, and no money. Firerouter's default
models are asked first, then the newest.
FILE contains these two lines; what stands between them is replaced:
  {SECTION.begin}
  {SECTION.end}
exit status: 0 measured, 1 nothing was measured, 2 wrong arguments, 3 not set up.
"""


def main(
    arguments: Sequence[str] | None = None,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> int:
    """Run the chore. `sleep` waits between two models, for so many seconds."""
    options = parse(sys.argv[1:] if arguments is None else arguments)

    from firerouter.errors import UpstreamError

    def chore() -> int:
        if options.write:
            SECTION.replaced_in(options.write, "")  # before a request is spent in vain
        try:
            table = asyncio.run(measure(options.max, sleep))
        except UpstreamError as error:
            say(f"Nothing was measured, because OpenRouter's answer is {error.reason}.")
            return FAILED
        if options.write:
            SECTION.write(options.write, table)
        return 0

    return exit_status(chore)


async def measure(limit: int, sleep: Callable[[float], Awaitable[None]]) -> str:
    """Print the table row by row, and return it. Raises Problem, UpstreamError."""
    from firerouter.keys.secret import Secret
    from firerouter.openrouter import OpenRouter
    from scripts.free_models.survey import ANSWER_TOKENS, HEAD, ONE_TRY, survey

    lines: list[str] = []

    def add(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    openrouter = OpenRouter(base_url=OPENROUTER, limits=ONE_TRY)
    try:
        async for row in survey(openrouter, Secret(find_key()), limit, sleep=sleep):
            if not lines:
                add(
                    f"Measured on {datetime.now(UTC):%Y-%m-%d at %H:%M} UTC: one question to each "
                    f"model, for {ANSWER_TOKENS} tokens at most. Firerouter's defaults come first, "
                    f"then the newest models.\n\n{HEAD}"
                )
            add(str(row))
    finally:
        await openrouter.close()
    return "\n".join(lines)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./scripts/free-models",
        description="Asks each of OpenRouter's free models one short question, and prints which of "
        "them answer and how fast.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--max",
        type=int,
        choices=range(1, MODELS_MAX + 1),
        default=MODELS,
        metavar="N",
        help=f"how many models to ask (default: %(default)s, at most {MODELS_MAX})",
    )
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="write the table to FILE as well"
    )
    return parser.parse_args(arguments)


def find_key() -> str:
    """Return the key in the environment. Raises Problem."""
    key = os.environ.get(VARIABLE, "").strip()
    if not key:
        raise Problem(
            f"{VARIABLE} is not set.", "Set it to a key from https://openrouter.ai/settings/keys."
        )
    if not re.fullmatch(r"[\x21-\x7e]+", key):  # no header could carry it
        raise Problem(
            f"The value of {VARIABLE} can't be a key.",
            "It contains spaces, line breaks or characters beyond ASCII: copy the key again.",
        )
    return key


if __name__ == "__main__":
    sys.exit(main())
