"""Sets up what a fresh clone lacks: functions/venv, node_modules, Java, the Firestore emulator.

`scripts/dev` and `scripts/test` run this first. Once everything is there, it compares a few hashes
and returns. After an interruption the next run continues: a stamp in `.local` is written last, and
what was cut short is repeated. Standard library only, because there may be no virtualenv yet.
"""

import contextlib
import fcntl
import hashlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from scripts.devtools import ROOT, processes
from scripts.devtools.cli_errors import SetupFailed
from scripts.devtools.toolchain import find_node, find_tools, firebase_tools, write_whole

REQUIREMENTS = ("requirements.txt", "functions/requirements.txt")
TICK_S = 0.1
NETWORK = "Check the network (and a proxy, if you need one), then run this again."
# in the output of pip and of npm
NO_CONNECTION = re.compile(
    r"connection broken by|Failed to establish a new connection|ConnectTimeoutError|ProxyError"
    r"|E(?:NOTFOUND|AI_AGAIN|CONN(?:REFUSED|RESET)|TIMEDOUT|NETUNREACH|HOSTUNREACH|NOTCACHED)\b"
)
PIP, NPM = "pip", "npm"
PIP_RETRIES = 2  # pip's own 5 take half a minute to say that there is no network
PING_WITHIN_S = 10
# The virtualenv and firebase-tools write the folder's name into shell scripts, between double
# quotes, and into PATH
UNUSABLE = frozenset('"$`\\:\n\r')
INSTALLING = "installing"  # in place of a stamp while packages are installed


def prepare(root: Path = ROOT) -> None:
    """Set up everything that `scripts/dev` and `scripts/test` need. Raises SetupFailed."""
    check_folder(root)
    local = root / ".local"
    (local / "log").mkdir(parents=True, exist_ok=True)
    with _alone(local / "setup.lock"):
        with _node_packages(root):
            _python_packages(root)
        find_tools(root, say=say)


def check_folder(root: Path) -> None:
    """Raise SetupFailed if the folder has a name that the tools below it cannot cope with."""
    remedy = "Rename the folder, or move the repository to another one, then run this again."
    found = " ".join(sorted(UNUSABLE & set(str(root)))).replace("\n", "(line end)")
    if found:
        raise SetupFailed(
            f"The path of this folder contains {found} which Python's virtual environments and "
            f"firebase-tools cannot handle: {root}",
            remedy,
        )
    try:
        str(root).encode()
    except UnicodeEncodeError:
        raise SetupFailed(f"The path of this folder is not UTF-8: {root!r}", remedy) from None


def enter(module: str) -> None:
    """Run `prepare`, then continue in the virtualenv, with the same module and arguments."""
    venv = ROOT / "functions" / "venv"
    inside = venv.exists() and venv.samefile(sys.prefix)
    prepare()
    processes.bypass_proxies(os.environ)
    if not inside:
        python = str(venv_python())
        os.execv(python, [python, "-m", module, *sys.argv[1:]])  # noqa: S606


def say(line: str) -> None:
    """Print a line of progress to stderr, because stdout is for answers."""
    print(line, file=sys.stderr, flush=True)


def venv_python(root: Path = ROOT) -> Path:
    return root / "functions" / "venv" / "bin" / "python"


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    """Show a step: the seconds while it runs, in a terminal, and how long it took."""
    begin = time.monotonic()
    done = threading.Event()

    def tick() -> None:
        for sign in itertools.cycle("|/-\\"):
            sys.stderr.write(f"\r{sign} {title} {time.monotonic() - begin:.0f} s ")
            sys.stderr.flush()
            if done.wait(TICK_S):
                return

    ticker = threading.Thread(target=tick, daemon=True) if sys.stderr.isatty() else None
    if ticker is None:
        say(f"  {title} ...")
    else:
        ticker.start()
    outcome = "failed after"
    try:
        yield
        outcome = "took"
    finally:
        done.set()
        if ticker is not None:
            ticker.join()
            sys.stderr.write("\r\x1b[K")
        say(f"  {title}: {outcome} {time.monotonic() - begin:.1f} s")


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Let one setup run at a time; a second one waits, and then finds everything done."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another setup of this folder to end ...")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def stamp_of(root: Path, files: Sequence[str]) -> str:
    """Return a hash of the files and of the root, because a moved virtualenv does not run."""
    hashed = hashlib.sha256(f"{root}\0".encode())
    for name in files:
        hashed.update((root / name).read_bytes() + b"\0")
    return hashed.hexdigest()


def _read(stamp: Path) -> str | None:
    try:
        return stamp.read_text("utf-8")
    except OSError:
        return None


# Python


def _python_packages(root: Path) -> None:
    stamp = root / ".local" / "venv.stamp"
    wanted = stamp_of(root, REQUIREMENTS)
    found = _read(stamp)
    python = venv_python(root)
    if found == wanted and python.exists():
        return
    _end_leftovers(root, PIP)
    if found == INSTALLING or not _has_pip(python):
        with step("creating functions/venv"):
            _create_venv(root, stamp)
    write_whole(stamp, INSTALLING)
    pip = [python, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    pip += ["--retries", str(PIP_RETRIES)]
    with step("installing the Python packages"):
        try:
            _run(
                root,
                [*pip, "-r", REQUIREMENTS[0]],
                "The Python packages could not be installed.",
                NETWORK,
            )
        except SetupFailed:
            # not cut short: what is installed is complete, and the next run continues from it
            write_whole(stamp, "failed")
            raise
    with step("compiling them"):
        # otherwise the first request of every function pays for it. A file that does not compile
        # is a template, not a failure
        subprocess.run(
            [python, "-m", "compileall", "-q", "-j", "0", "functions"],
            cwd=root,
            env=_environment(root, PIP),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    write_whole(stamp, wanted)


def _has_pip(python: Path) -> bool:
    if not python.exists():
        return False
    question = "import pip, sys; sys.exit(sys.version_info[:2] != (3, 11))"
    asked = subprocess.run([python, "-c", question], capture_output=True, check=False)
    return asked.returncode == 0


def _create_venv(root: Path, stamp: Path) -> None:
    stamp.unlink(missing_ok=True)
    base = Path(sys.base_prefix) / "bin" / "python3.11"
    python = str(base) if base.exists() else sys.executable
    _run(
        root,
        [python, "-m", "venv", "--clear", root / "functions" / "venv"],
        "The virtualenv functions/venv could not be created.",
        "On Debian and Ubuntu it needs a package: sudo apt install python3.11-venv",
    )


# Node


@contextlib.contextmanager
def _node_packages(root: Path) -> Iterator[None]:
    """Let npm install while the body runs, because both mostly wait for the network."""
    stamp = root / ".local" / "npm.stamp"
    wanted = stamp_of(root, ("package.json", "package-lock.json"))
    if _read(stamp) == wanted and firebase_tools(root).exists():
        yield
        return
    if matches_lock(_json(root / "package-lock.json"), _installed(root)):
        yield
    else:
        log = root / ".local" / "log" / "setup-npm.log"
        npm = _start_npm(root, log)
        try:
            yield
            with step("installing the Node packages (the Firebase emulators)"):
                npm.wait()
        finally:
            npm.terminate()  # harmless if it has ended
            npm.wait()
        if npm.returncode != 0:
            raise _failure("The Node packages could not be installed.", log, NETWORK)
    write_whole(stamp, wanted)


def _start_npm(root: Path, log: Path) -> subprocess.Popen[bytes]:
    find_node()
    if (npm := shutil.which("npm")) is None:
        raise SetupFailed(
            "npm, which installs the Firebase emulators, is not here (but Node is).",
            "Install npm: https://docs.npmjs.com/downloading-and-installing-node-js-and-npm",
        )
    _end_leftovers(root, NPM)
    command = [npm, "ci", "--no-audit", "--no-fund", "--no-progress", "--loglevel=error"]
    if not _reaches_registry(root, npm):
        # from its cache, or not at all: otherwise npm retries each of hundreds of packages
        command.append("--offline")
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            cwd=root,
            env=_environment(root, NPM),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def _reaches_registry(root: Path, npm: str) -> bool:
    """Whether npm's registry answers. One that answers with an error is not away."""
    timeout = f"--fetch-timeout={PING_WITHIN_S * 1000}"
    said = subprocess.run(
        [npm, "ping", "--fetch-retries=0", timeout],
        cwd=root,
        env=_environment(root, NPM),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return said.returncode == 0 or not NO_CONNECTION.search(said.stdout.decode("utf-8", "replace"))


def _installed(root: Path) -> dict[str, Any]:
    """Return npm's record of node_modules, which exists only after a complete installation."""
    return _json(root / "node_modules" / ".package-lock.json")


def matches_lock(lock: dict[str, Any], installed: dict[str, Any]) -> bool:
    """Whether every package of the lock is installed, except those for other platforms."""
    there = installed.get("packages", {})
    return bool(there) and all(
        there[path].get("version") == package.get("version")
        if path in there
        else package.get("optional") or package.get("devOptional") or package.get("peer")
        for path, package in lock.get("packages", {}).items()
        if path
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return value


def _run(root: Path, command: Sequence[object], reason: str, remedy: str) -> None:
    log = root / ".local" / "log" / "setup.log"
    with log.open("wb") as output:
        done = subprocess.run(
            [str(word) for word in command],
            cwd=root,
            env=_environment(root, PIP),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        raise _failure(reason, log, remedy)


def _failure(reason: str, log: Path, remedy: str) -> SetupFailed:
    if NO_CONNECTION.search(log.read_text("utf-8", "replace")):
        reason = f"{reason} The network, or the server that has them, cannot be reached."
    return SetupFailed(f"{reason} The end of {log}:\n{processes.tail(log)}", remedy)


# Processes that a killed setup leaves behind


def _mark(root: Path, installer: str) -> str:
    return f"setup-{installer}-{hashlib.sha256(str(root).encode()).hexdigest()[:12]}"


def _environment(root: Path, installer: str) -> dict[str, str]:
    """Return the environment of what a setup starts, by which the next setup recognizes it."""
    return {**os.environ, processes.MARKER: _mark(root, installer)}


def _end_leftovers(root: Path, installer: str) -> None:
    """End the installer of an earlier setup, if that was killed: two would disturb each other.

    pip and npm are told apart, because a setup runs both at once.
    """
    processes.end(_mark(root, installer), grace_s=0)
