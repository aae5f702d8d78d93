"""The command line: start the stand-in, or list its faults."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from aiohttp import web

from scripts.standins.server import add_address_options, stop_event

from .faults import FAULTS
from .image_generation import FAULTS as IMAGES
from .routes import Settings, build_app
from .vectors import FAULTS as VECTORS

DEFAULT_PORT = 9181
BACKLOG = 2048
SHUTDOWN_S = 0.5


def main() -> int:
    options = _options()
    if options.list_faults:
        _list_faults()
        return 0
    settings = Settings(options.token_delay_ms / 1000, tuple(options.replay))
    try:
        app = build_app(settings)
        asyncio.run(_serve(app, options.host, options.port))
    except OSError as problem:
        print(f"cannot start: {problem}", file=sys.stderr)
        return 1
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.standins.openrouter",
        description="A stand-in for OpenRouter on loopback. It simulates; no model is ever called.",
    )
    add_address_options(parser, default_port=DEFAULT_PORT)
    parser.add_argument(
        "--token-delay-ms", type=_delay, default=25.0, help="the pause between tokens (default: 25)"
    )
    parser.add_argument(
        "--replay",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="answer sim/replay/<name> with the .sse files of DIR as well",
    )
    parser.add_argument("--list-faults", action="store_true", help="print the sim/* models")
    return parser.parse_args()


def _delay(text: str) -> float:
    delay_ms = float(text)
    if not 0 <= delay_ms <= 60_000:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 60000 ms")
    return delay_ms


def _list_faults() -> None:
    lines = {**{fault.name: fault.line for fault in FAULTS.values()}, **VECTORS, **IMAGES}
    width = max(map(len, lines))
    for name, line in lines.items():
        print(f"{name:<{width}}  {line}")
    print(f"{'sim/replay/<name>':<{width}}  the recorded stream <name>.sse, byte for byte")


async def _serve(app: web.Application, host: str, port: int) -> None:
    # handler_cancellation: a silent handler, too, learns at once of a closed connection
    runner = web.AppRunner(
        app, handler_cancellation=True, access_log=None, shutdown_timeout=SHUTDOWN_S
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=BACKLOG).start()
        address = runner.addresses[0]
        print(
            f"OpenRouter stand-in (simulated, no model is called) "
            f"on http://{address[0]}:{address[1]}/api/v1",
            flush=True,
        )
        await stop_event().wait()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    sys.exit(main())
