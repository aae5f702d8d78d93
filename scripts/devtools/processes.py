"""The processes of a suite: started, watched, and stopped to the last one.

The Functions emulator starts its Python workers through a shell and stops only that shell, and the
Firestore emulator gets a session of its own, so neither process groups nor waiting for a child is
enough. Whatever a suite starts carries FIREROUTER_SUITE=<id> in its environment, which children
inherit; this finds them whatever their parent is by then. Processes are ended by their IDs, never
by their names.
"""

import contextlib
import fcntl
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import IO, Any

OWN_HOSTS = ("127.0.0.1", "localhost", "::1")
PROXIES = ("https_proxy", "http_proxy")
MARKER = "FIREROUTER_SUITE"
MARKER_FOLDER = "FIREROUTER_SUITE_FOLDER"
POLL_S = 0.02
KILL_ROUNDS = 250  # of POLL_S: five seconds of SIGKILL; we cannot end what survives that

# Variables of the caller that would point the suite at other services, or at real ones
NOT_INHERITED = (
    "OPENROUTER_API_KEY",
    "OPENROUTER_BASE_URL",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CLOUD_PROJECT",
    "FIREBASE_TOKEN",
    "FIREBASE_CONFIG",
    "FUNCTION_TARGET",
    "K_SERVICE",
    "PORT",
)


class Part:
    """A started process and its log."""

    def __init__(
        self, name: str, command: Sequence[str], *, log: Path, cwd: Path, env: Mapping[str, str]
    ) -> None:
        self.name = name
        self.log = log
        with log.open("wb") as output:
            # a session of its own: Ctrl-C in the terminal reaches only us, and we stop the rest
            self.process = subprocess.Popen(
                command,
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def died(self) -> bool:
        return self.process.poll() is not None

    def tail(self, lines: int = 20) -> str:
        return tail(self.log, lines)


def clean_environment() -> dict[str, str]:
    """Return this process's environment without variables that lead to other services."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in NOT_INHERITED and "_EMULATOR_" not in name and name != "FUNCTIONS_EMULATOR"
    }
    bypass_proxies(kept)
    return kept


def bypass_proxies(environ: MutableMapping[str, str]) -> None:
    """Keep connections within this machine away from the proxy that the environment names."""
    # the last one has precedence for gRPC, where somebody has set it
    for name in ("NO_PROXY", "no_proxy", *({"no_grpc_proxy"} & environ.keys())):
        hosts = [host for host in environ.get(name, "").split(",") if host]
        environ[name] = ",".join([*hosts, *(own for own in OWN_HOSTS if own not in hosts)])


def only_all_proxy(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment that names its proxy in ALL_PROXY alone.

    firebase-tools knows no NO_PROXY: it would send what one emulator says to another to the proxy.
    ALL_PROXY it does not read, and the functions that it starts do, for the real OpenRouter.
    """
    kept = {name: value for name, value in environ.items() if name.lower() not in PROXIES}
    proxies = [environ.get(name) or environ.get(name.upper()) for name in PROXIES]
    if proxy := next(filter(None, proxies), None):
        kept["ALL_PROXY"] = kept["all_proxy"] = proxy
    return kept


def tail(log: Path, lines: int = 20) -> str:
    """Return the last lines of a log, indented, or a line that says that there are none."""
    try:
        text = log.read_text("utf-8", "replace")
    except OSError:
        text = ""
    last = [line for line in text.splitlines() if line.strip()][-lines:] or ["(nothing)"]
    return "\n".join(f"  | {line}" for line in last)


def marked(suite_id: str) -> set[int]:
    """Return the living processes whose environment carries the mark of this suite."""
    return carrying(f"{MARKER}={suite_id}")


def carrying(mark: str) -> set[int]:
    """Return the living processes whose environment contains this "NAME=value"."""
    if sys.platform == "linux":
        return {pid for pid, environ in _environs() if mark.encode() in environ.split(b"\0")}
    listing = _ps("-axEww", "-o", "pid=,command=")
    return {int(line.split(None, 1)[0]) for line in listing if mark in line.split()}


def suite_folder(pid: int) -> Path | None:
    """Return the folder of the repository that the process of some suite belongs to."""
    mark = f"{MARKER_FOLDER}="
    if sys.platform == "linux":
        try:
            words = Path(f"/proc/{pid}/environ").read_bytes().decode("utf-8", "replace").split("\0")
        except OSError:
            return None
    else:
        words = output_of(["ps", "-Eww", "-o", "command=", "-p", str(pid)]).split()
    return next((Path(word.removeprefix(mark)) for word in words if word.startswith(mark)), None)


def descendants(roots: Iterable[int]) -> set[int]:
    """Return the roots and their descendants, through living parents."""
    parents = _parents()
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    waiting = [pid for pid in roots if pid in parents]
    while waiting:
        pid = waiting.pop()
        found.add(pid)
        waiting += [child for child in children.get(pid, ()) if child not in found]
    return found


def _parents() -> dict[int, int]:
    """Return every living process and its parent; zombies are not living."""
    rows = (line.split(None, 2) for line in _ps("-ax", "-o", "pid=,ppid=,stat="))
    return {int(pid): int(parent) for pid, parent, state in rows if not state.startswith("Z")}


def end(suite_id: str, roots: Sequence[int] = (), *, grace_s: float) -> None:
    """Send every process of the suite SIGTERM, and SIGKILL after `grace_s` seconds if it lives on.

    Each round looks again for what has been forked in the meantime. It returns when none is left.
    """
    known = descendants(roots)

    def left() -> set[int]:
        return known & _parents().keys() | marked(suite_id)

    if grace_s > 0:
        deadline = time.monotonic() + grace_s
        _signal_all(left(), signal.SIGTERM)
        while left() and time.monotonic() < deadline:
            time.sleep(POLL_S)
    for _ in range(KILL_ROUNDS):
        if not (pids := left()):
            return
        _signal_all(pids, signal.SIGKILL)
        time.sleep(POLL_S)


@contextlib.contextmanager
def ending_on_signals() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end this process as Ctrl-C does: through its `finally`s.

    SIGINT too, because shells start background processes with SIGINT ignored.
    """

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    with _handling(interrupt):
        yield


@contextlib.contextmanager
def held() -> Iterator[Callable[[], None]]:
    """Hold signals back until the yielded function is called, or until the end; then raise.

    This is for code beside which threads run. A KeyboardInterrupt in the middle of an import, or of
    a thread's start, would leave a lock taken forever, and block everyone who wants that lock.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    came: list[int] = []

    def check() -> None:
        if came:
            came.clear()
            raise KeyboardInterrupt

    with _handling(lambda number, frame: came.append(number)):
        yield check
    check()


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Keep a second Ctrl-C from cutting the cleanup after the first one short."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _handling(signal.SIG_IGN):
        yield


@contextlib.contextmanager
def _handling(handler: Any) -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, kept in before.items():
            signal.signal(number, kept)


def _signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _environs() -> Iterator[tuple[int, bytes]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            # it has ended, or is another user's
            with contextlib.suppress(OSError):
                yield int(entry.name), (entry / "environ").read_bytes()


def _ps(*options: str) -> list[str]:
    return output_of(["ps", *options]).splitlines()


def output_of(command: Sequence[str]) -> str:
    """Return what a command prints on stdout, also if it fails or prints bytes of any encoding."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return done.stdout.decode("utf-8", "replace")


class Lease:
    """A locked file in `.local/suites` that shows, while a suite runs, that its owner is alive.

    The lock ends with its owner, however that ends. An unlocked file therefore belongs to a suite
    whose owner was killed, and `sweep` ends what it left running.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.id = f"{name}-{secrets.token_hex(6)}"
        self._path = folder / self.id
        with _locked(folder):
            self._file: IO[str] = self._path.open("w")
            fcntl.flock(self._file, fcntl.LOCK_EX)

    @property
    def has_namesake(self) -> bool:
        """Whether another suite of this name runs, or was killed and has not been swept yet."""
        name = self.id.rpartition("-")[0]
        return any(path != self._path for path in self._path.parent.glob(f"{name}-*"))

    def release(self) -> None:
        self._path.unlink(missing_ok=True)
        self._file.close()

    @staticmethod
    def is_held(folder: Path, suite_id: str) -> bool:
        try:
            with (folder / suite_id).open() as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    @staticmethod
    def sweep(folder: Path) -> list[str]:
        """End what suites without a living owner left running. Returns their IDs."""
        swept = []
        with _locked(folder):
            for path in folder.glob("*-*"):
                if not Lease.is_held(folder, path.name):
                    end(path.name, grace_s=0)
                    path.unlink(missing_ok=True)
                    swept.append(path.name)
        return sorted(swept)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
