"""`scripts/dev` as a newcomer runs it: in a folder of its own, from a shell.

The folder's name has everything in it that the tools can handle.

The folder borrows the installed packages of this one and has its own `.local`, so a `scripts/dev`
that somebody has up here is neither used nor disturbed.
"""

import json
import os
import re
import secrets
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scripts.devtools import processes, setup
from tests.support.repository import ROOT

WITHIN_S = 120
FAILS_WITHIN_S = 90  # it takes seconds, but on a busy machine; it took minutes before
NOWHERE = "http://127.0.0.1:9"  # nothing listens there
PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")


@dataclass
class Run:
    """One `scripts/dev`. All that it starts carries `mark` in its environment."""

    process: subprocess.Popen[bytes]
    mark: str
    stderr: Path
    stdout: list[bytes] = field(default_factory=list)
    started_at: float = field(default_factory=time.monotonic)
    seconds: float = 0

    def read_to_end(self) -> int:
        """Collect stdout, piece by piece as it was written; the exit status."""
        assert self.process.stdout is not None
        stdout, deadline = self.process.stdout.fileno(), time.monotonic() + WITHIN_S
        while True:
            ready, _, _ = select.select([stdout], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"still running after {WITHIN_S} s:\n{self.said}"
            if not (piece := os.read(stdout, 65536)):
                self.seconds = time.monotonic() - self.started_at
                return self.process.wait(WITHIN_S)
            self.stdout.append(piece)

    def wait_until(self, happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WITHIN_S
        while not happened():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.05)

    @property
    def said(self) -> str:
        return self.stderr.read_text("utf-8", "replace")

    @property
    def living(self) -> set[int]:
        return processes.carrying(self.mark)


@dataclass
class Folder:
    root: Path
    runs: list[Run] = field(default_factory=list)

    def edit(self, file: str, addition: str) -> str:
        """Append to a file of functions/, and return what it was."""
        path = self.root / "functions" / file
        before = path.read_text("utf-8")
        path.write_text(before + addition, "utf-8")
        return before

    def borrow_packages(self) -> None:
        """Let the virtualenv be the one of this repository, as if it had been installed here."""
        (self.root / "functions" / "venv").symlink_to(ROOT / "functions" / "venv")
        stamp = setup.stamp_of(self.root, setup.REQUIREMENTS)
        (self.root / ".local" / "venv.stamp").write_text(stamp)

    def dev(self, *arguments: str, env: Sequence[tuple[str, str]] = ()) -> Run:
        mark = secrets.token_hex(8)
        stderr = self.root / f"stderr-{mark}"
        inherited = {k: v for k, v in os.environ.items() if k != "OPENROUTER_API_KEY"}
        with stderr.open("wb") as output:
            process = subprocess.Popen(
                [self.root / "scripts" / "dev", *arguments],
                env={**inherited, **dict(env), "FIREROUTER_TEST": mark},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=output,
                start_new_session=True,
            )
        run = Run(process, f"FIREROUTER_TEST={mark}", stderr)
        self.runs.append(run)
        return run


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    root = tmp_path / "it's a clône (1) & 50%41; #!"
    root.mkdir()
    for name in ("firebase.json", "firestore.rules", "firestore.indexes.json", "requirements.txt"):
        shutil.copy(ROOT / name, root)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / name, root)
    shutil.copytree(ROOT / "scripts", root / "scripts")
    shutil.copytree(
        ROOT / "functions", root / "functions", ignore=shutil.ignore_patterns("venv", "__pycache__")
    )
    (root / "node_modules").symlink_to(ROOT / "node_modules")
    if (ROOT / "web").exists():
        (root / "web").symlink_to(ROOT / "web")
    (root / ".local").mkdir()
    folder = Folder(root)
    folder.borrow_packages()
    yield folder
    for run in folder.runs:
        for pid in run.living:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        run.process.wait()


def test_ask_streams_an_answer_and_leaves_nothing_running(folder: Folder) -> None:
    run = folder.dev("--ask", "Count to twenty, please.")
    assert run.read_to_end() == 0, run.said
    assert b"Count to twenty" in b"".join(run.stdout)
    assert len(run.stdout) > 1, "the whole answer came at once"
    assert " tokens · " in run.said
    assert run.living == set()
    assert list((folder.root / ".local" / "suites").glob("*-*")) == []
    assert list(folder.root.glob(".firebase.*")) == []


def test_asks_with_a_proxy_in_the_environment_and_without_utf_8(folder: Folder) -> None:
    env = {
        **dict.fromkeys(PROXIES, NOWHERE),
        **dict.fromkeys(("ALL_PROXY", "all_proxy"), "socks5://127.0.0.1:9"),
        "LC_ALL": "C",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONUTF8": "0",
        "PYTHONIOENCODING": "ascii",
    }
    run = folder.dev("--ask", "Grüße?", env=list(env.items()))
    assert run.read_to_end() == 0, run.said
    assert b"Gr??e?" in b"".join(run.stdout)
    emulators = folder.root / ".local" / "log" / "ask" / "emulators.log"
    assert NOWHERE not in emulators.read_text("utf-8", "replace")
    assert run.living == set()


def test_a_mistake_in_functions_is_told_with_its_traceback(folder: Folder) -> None:
    folder.edit("firerouter/app/edge.py", "\ndef broken(:\n")
    run = folder.dev("--ask", "Never mind.")
    assert run.read_to_end() == 3, run.said
    assert run.stdout == []
    assert "firerouter/app/edge.py" in run.said
    assert "SyntaxError" in run.said
    assert "Correct functions/ and try again" in run.said
    assert run.seconds < FAILS_WITHIN_S
    assert run.living == set()


def test_a_mistake_made_while_it_runs_is_told_and_so_is_its_end(folder: Folder) -> None:
    run = folder.dev("--free-ports")
    run.wait_until(lambda: "Firerouter is up" in run.said)
    whole = folder.edit("main.py", "\nimport nothing_like_it\n")
    run.wait_until(lambda: "No module named 'nothing_like_it'" in run.said)
    ask = folder.dev("--ask", "Is anybody there?")
    assert ask.read_to_end() == 3, ask.said
    assert "No module named 'nothing_like_it'" in ask.said
    assert ask.seconds < FAILS_WITHIN_S

    (folder.root / "functions" / "main.py").write_text(whole)
    run.wait_until(lambda: "functions/ can be imported again" in run.said)
    ask = folder.dev("--ask", "Is anybody there?")
    assert ask.read_to_end() == 0, ask.said

    # killed, and one of its processes with it: the next start ends the rest
    os.kill(run.process.pid, signal.SIGKILL)
    run.process.wait()
    left = run.living
    assert len(left) > 3
    os.kill(min(left), signal.SIGKILL)
    ask = folder.dev("--ask", "And now?")
    assert ask.read_to_end() == 0, ask.said
    assert "ended what an interrupted run had left behind" in ask.said
    assert run.living == set()


def test_without_a_network_setting_up_fails_at_once(folder: Folder) -> None:
    (folder.root / "functions" / "venv").unlink()
    (folder.root / "node_modules").unlink()
    (folder.root / ".local" / "venv.stamp").unlink()
    env = {
        "PIP_INDEX_URL": f"{NOWHERE}/simple",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_FIND_LINKS": "",
        "npm_config_registry": NOWHERE,
        "npm_config_cache": str(folder.root / "npm-cache"),
    }
    run = folder.dev("--ask", "Never mind.", env=list(env.items()))
    assert run.read_to_end() == 3, run.said
    assert "The Python packages could not be installed. The network, or the server" in run.said
    assert "Check the network" in run.said
    # without the time for an empty virtualenv, which needs no network
    failed_after = re.findall(r"installing the Python packages: failed after ([\d.]+) s", run.said)
    assert float(failed_after[0]) < FAILS_WITHIN_S
    assert run.living == set()

    # the same with the Python packages there, and not the emulators
    shutil.rmtree(folder.root / "functions" / "venv")
    folder.borrow_packages()
    run = folder.dev("--ask", "Never mind.", env=list(env.items()))
    assert run.read_to_end() == 3, run.said
    assert "The Node packages could not be installed. The network, or the server" in run.said
    assert run.seconds < FAILS_WITHIN_S
    assert run.living == set()


def test_ctrl_c_while_it_starts_leaves_nothing_running(folder: Folder) -> None:
    run = folder.dev("--ask", "Never mind.")
    run.wait_until((folder.root / ".local" / "log" / "ask" / "emulators.log").exists)
    os.kill(run.process.pid, signal.SIGINT)
    assert run.read_to_end() == 130, run.said
    assert run.stdout == []
    assert run.living == set()


def test_stays_up_answers_questions_and_ctrl_c_leaves_nothing_running(folder: Folder) -> None:
    run = folder.dev("--free-ports")
    run.wait_until(lambda: "Firerouter is up" in run.said)
    assert "it answers" in run.said

    second = folder.dev("--free-ports")
    assert second.read_to_end() == 3
    assert f"already runs in this folder, as process {run.process.pid}" in second.said

    ask = folder.dev("--ask", "Quick?", "--json", "--no-stream")
    assert ask.read_to_end() == 0, ask.said
    assert "Quick?" in json.loads(b"".join(ask.stdout))["text"]
    assert "starting" not in ask.said

    unknown = folder.dev("--ask", "Hello?", "--feature", "no-such-feature")
    assert unknown.read_to_end() == 1
    assert unknown.stdout == []
    assert unknown.said.strip()

    os.kill(run.process.pid, signal.SIGINT)
    assert run.read_to_end() == 130
    assert run.living == set()
    assert not (folder.root / ".local" / "dev.json").exists()


def test_a_taken_port_is_named_and_nothing_starts(folder: Folder) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        config = json.loads((folder.root / "firebase.json").read_text())
        config["emulators"]["firestore"]["port"] = port
        (folder.root / "firebase.json").write_text(json.dumps(config))
        run = folder.dev()
        assert run.read_to_end() == 3
    assert f"Port {port}, which the Firestore emulator needs, is taken by" in run.said
    assert "firebase.json" in run.said
    assert run.living == set()
