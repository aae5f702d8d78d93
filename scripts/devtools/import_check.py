"""Whether functions/ can be imported, found out in seconds and beside everything else.

firebase-tools reads functions.yaml instead of the code, so it calls functions loaded that cannot be
imported. Their first request then starts a process that ends at once, and firebase-tools leaves
that request without an answer. So the suite imports the code itself, in a process of its own.
"""

import contextlib
import hashlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from scripts.devtools.cli_errors import PartDied
from scripts.devtools.processes import Part, clean_environment
from scripts.devtools.toolchain import write_whole

IMPORTS_WITHIN_S = 120.0  # it takes three seconds of CPU time, and longer from a cold disk
TRACEBACK_LINES = 40
NOT_OURS = frozenset({"venv", "__pycache__"})
REMEDY = "Correct functions/ and try again. Until then, requests get no answer."


class ImportCheck:
    """The question whether functions/ can be imported, asked in a process of its own.

    `.local/imports.stamp` remembers the last code that could be, so that the same code is not
    imported again at every start.
    """

    def __init__(
        self,
        root: Path,
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        within_s: float = IMPORTS_WITHIN_S,
    ) -> None:
        """Prepare the check; `start` starts it.

        Args:
            root: The folder of the repository.
            log: Where the output of the import goes.
            environment: What the process gets besides this process's own environment.
            within_s: How long importing may take.
        """
        self._root = root
        self._log = log
        self._within_s = within_s
        self._environment = {
            **clean_environment(),
            "FUNCTIONS_EMULATOR": "true",
            "PYTHONIOENCODING": "utf-8:backslashreplace",
            **(environment or {}),
        }
        self._stamp = root / ".local" / "imports.stamp"
        self._lock = threading.Lock()  # a suite asks from two threads while it starts
        self._part: Part | None = None
        self._digest = ""
        self._deadline = 0.0
        self._problem: str | None = None

    def start(self) -> None:
        """Start the process, unless this very code is known to be fine. Abandon an earlier one."""
        self.stop()
        self._problem = None
        self._digest = digest(self._root)
        if self._remembered() == self._digest:
            return
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._deadline = time.monotonic() + self._within_s
        probe = Path(__file__).with_name("import_probe.py")
        self._part = Part(
            "import check",
            [sys.executable, "-P", str(probe), str(self._root / "functions")],
            log=self._log,
            cwd=self._root / "functions",
            env=self._environment,
        )

    def problem(self) -> str | None:
        """Return what is wrong with functions/, with the traceback, or None so far."""
        with self._lock:
            part = self._part
            if part is not None and part.died:
                if part.process.returncode == 0:
                    write_whole(self._stamp, self._digest)
                else:
                    self._problem = f"functions/ cannot be imported:\n{part.tail(TRACEBACK_LINES)}"
                self._part = None
            elif part is not None and time.monotonic() > self._deadline:
                self.stop()
                self._problem = f"functions/ is still being imported after {self._within_s:.0f} s."
            return self._problem

    @property
    def is_running(self) -> bool:
        """Whether the import is still running, so that `problem` may yet find one."""
        self.problem()
        return self._part is not None

    def raise_problem(self) -> None:
        """Raise PartDied if functions/ is known to be broken."""
        if problem := self.problem():
            raise PartDied(problem, REMEDY)

    def stop(self) -> None:
        """End the process, if there is one."""
        if self._part is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._part.pid, signal.SIGKILL)
            self._part.process.wait()
            self._part = None

    def _remembered(self) -> str | None:
        try:
            return self._stamp.read_text("utf-8")
        except OSError:
            return None


class ImportWatch:
    """Checks functions/ again whenever its code changes, and says what the result is."""

    def __init__(self, root: Path, check: ImportCheck, say: Callable[[str], None]) -> None:
        self._root = root
        self._check = check
        self._say = say
        self._seen = self._checked = snapshot(root)
        self._said: str | None = None

    def look(self) -> None:
        """Look once. This is to be called about twice a second."""
        before, self._seen = self._seen, snapshot(self._root)
        # the same twice in a row: the editor, or git, has finished writing
        if self._seen == before and self._seen != self._checked:
            self._checked = self._seen
            self._check.start()
        if self._check.is_running:
            return
        problem = self._check.problem()
        if problem and problem != self._said:
            self._say(f"{problem}\n{REMEDY}")
        elif self._said and not problem:
            self._say("functions/ can be imported again.")
        self._said = problem


def sources(root: Path) -> Iterator[Path]:
    """Yield the files that decide whether functions/ can be imported, in a fixed order."""
    for folder, folders, files in os.walk(root / "functions"):
        folders[:] = sorted(name for name in folders if name not in NOT_OURS)
        for name in sorted(files):
            if name.endswith((".py", ".yaml")) or name == "requirements.txt":
                yield Path(folder, name)


def digest(root: Path) -> str:
    """Return a hash of the code and of the Python that imports it."""
    hashed = hashlib.sha256(f"{sys.executable}\0{sys.version}".encode())
    for path in sources(root):
        # a file that has gone in the meantime changes the hash, too
        with contextlib.suppress(OSError):
            hashed.update(f"\0{path}\0".encode() + path.read_bytes())
    return hashed.hexdigest()


def snapshot(root: Path) -> dict[str, tuple[int, int]]:
    """Return the time and the size of each file: a cheap way to notice a change."""
    seen = {}
    for path in sources(root):
        with contextlib.suppress(OSError):
            status = path.stat()
            seen[str(path)] = (status.st_mtime_ns, status.st_size)
    return seen
