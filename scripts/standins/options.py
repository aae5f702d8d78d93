"""The command-line options that every stand-in has: where it listens."""

import argparse
import contextlib
import ipaddress


def add_address_options(parser: argparse.ArgumentParser, *, default_port: int) -> None:
    """Add `--host` and `--port`."""
    parser.add_argument(
        "--host",
        type=loopback_address,
        default="127.0.0.1",
        help="a loopback address (%(default)s)",
    )
    parser.add_argument(
        "--port", type=int, default=default_port, help="0 picks a free one (%(default)s)"
    )


def loopback_address(text: str) -> str:
    """Return an address of this machine alone, for a stand-in checks nobody's identity.

    Raises:
        argparse.ArgumentTypeError: It is not a loopback address.
    """
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(text).is_loopback:
            return text
    raise argparse.ArgumentTypeError(f"{text} is not a loopback address such as 127.0.0.1")
