"""What every stand-in has: options for its address, and an end at SIGINT or SIGTERM."""

import argparse
import asyncio
import contextlib
import ipaddress
import signal


def add_address_options(parser: argparse.ArgumentParser, *, default_port: int) -> None:
    """Add `--host` and `--port`."""
    parser.add_argument(
        "--host",
        type=loopback_address,
        default="127.0.0.1",
        help="a loopback address (default: %(default)s)",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=default_port,
        help="0 picks a free one (default: %(default)s)",
    )


def loopback_address(text: str) -> str:
    """Return an address of this machine alone, because a stand-in authenticates nobody.

    Raises:
        argparse.ArgumentTypeError: It is not a loopback address.
    """
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(text).is_loopback:
            return text
    raise argparse.ArgumentTypeError(f"{text} is not a loopback address such as 127.0.0.1")


def stop_event() -> asyncio.Event:
    """Return an event that SIGINT and SIGTERM set. The running loop handles them from here on."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
