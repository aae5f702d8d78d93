"""Installs a peer into a folder of its own, so that the project depends on none of them."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from scripts.benchmarks.peers.registry import Peer
from scripts.devtools.cli_errors import SetupFailed
from scripts.devtools.processes import tail
from scripts.devtools.setup import say

INSTALLS_WITHIN_S: Final = 900.0
STAMP: Final = "installed"


def install(peer: Peer, folder: Path, sources: Path) -> Path:
    """Install the peer's packages, unless these versions are there already.

    Args:
        peer: What to install.
        folder: Where all peers are.
        sources: The folder of the files to copy next to the packages, by peer.

    Returns:
        The peer's folder.

    Raises:
        SetupFailed: It can't be installed here.
    """
    home = folder / peer.id
    stamp, wanted = home / STAMP, "\n".join(peer.packages)
    if not (stamp.is_file() and stamp.read_text() == wanted):
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        say(f"installing {peer.name} ...")
        for command in _commands(peer):
            _run(command, peer, home)
        stamp.write_text(wanted)
    if (own := sources / peer.id).is_dir():
        shutil.copytree(own, home, dirs_exist_ok=True)
    return home


def _commands(peer: Peer) -> Iterator[list[str]]:
    if peer.installer == "npm":
        quiet = ["--no-audit", "--no-fund", "--no-progress", "--loglevel=error"]
        yield ["npm", "init", "--yes"]
        yield ["npm", "install", *quiet, *peer.packages]
    else:
        yield [sys.executable, "-m", "venv", "venv"]
        yield ["venv/bin/pip", "install", "--quiet", *peer.packages]


def _run(command: list[str], peer: Peer, home: Path) -> None:
    log = home / "install.log"
    reason = "it took too long"
    try:
        with log.open("wb") as output:
            done = subprocess.run(
                command,
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=INSTALLS_WITHIN_S,
                check=False,
            )
        if done.returncode == 0:
            return
        reason = f"`{' '.join(command[:2])}` failed. The end of {log}:\n{tail(log)}"
    except OSError as error:
        reason = f"{command[0]}: {error.strerror}"
    except subprocess.TimeoutExpired:
        pass
    raise SetupFailed(f"{peer.name} can't be installed: {reason}.", "The table leaves it out.")
