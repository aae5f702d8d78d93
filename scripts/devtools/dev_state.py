"""The running `scripts/dev` of this folder, if there is one, recorded in `.local/dev.json`."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.devtools.cli_errors import AlreadyRuns
from scripts.devtools.processes import Lease
from scripts.devtools.toolchain import write_whole


def find(root: Path) -> dict[str, Any] | None:
    """Return the record of the running one: pid, suite, addresses, logs. None if none runs."""
    try:
        state: dict[str, Any] = json.loads(_file(root).read_text("utf-8"))
        suite_id = state["suite"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return state if Lease.is_held(root / ".local" / "suites", suite_id) else None


def note(root: Path, suite_id: str, addresses: dict[str, str], *, logs: Path) -> None:
    """Write the record, which counts for as long as the suite runs."""
    state = {
        "pid": os.getpid(),
        "suite": suite_id,
        "addresses": addresses,
        "logs": str(logs),
    }
    write_whole(_file(root), json.dumps(state, indent=2) + "\n")


@contextlib.contextmanager
def only_one(root: Path) -> Iterator[None]:
    """Hold the lock of this folder's `scripts/dev`. Raises AlreadyRuns."""
    with (root / ".local" / "dev.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise already_runs(find(root)) from None
        try:
            yield
        finally:
            _file(root).unlink(missing_ok=True)


def already_runs(state: dict[str, Any] | None) -> AlreadyRuns:
    where = "and is starting or stopping"
    if state is not None:
        where = f"as process {state['pid']}, on {state['addresses']['functions']}"
    return AlreadyRuns(
        f"scripts/dev already runs in this folder, {where}.",
        'Use that one (`./scripts/dev --ask "..."` does), or stop it with Ctrl-C.',
    )


def _file(root: Path) -> Path:
    return root / ".local" / "dev.json"
