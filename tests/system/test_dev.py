"""`scripts/dev` as a newcomer runs it: in a folder of its own, from a shell.

The folder borrows the installed packages of this one and has its own `.local`, so a `scripts/dev`
that somebody has up here is neither used nor disturbed.
"""

import json
import os
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


@dataclass
class Run:
    """One `scripts/dev`. All that it starts carries `mark` in its environment."""

    process: subprocess.Popen[bytes]
    mark: str
    stderr: Path
    stdout: list[bytes] = field(default_factory=list)

    def read_to_end(self) -> int:
        """Collect stdout, piece by piece as it was written; the exit status."""
        assert self.process.stdout is not None
        stdout, deadline = self.process.stdout.fileno(), time.monotonic() + WITHIN_S
        while True:
            ready, _, _ = select.select([stdout], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"still running after {WITHIN_S} s:\n{self.said}"
            if not (piece := os.read(stdout, 65536)):
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
        return self.stderr.read_text()

    @property
    def living(self) -> set[int]:
        return processes.carrying(self.mark)


@dataclass
class Folder:
    root: Path
    runs: list[Run] = field(default_factory=list)

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
    root = tmp_path / "clone"
    root.mkdir()
    for name in ("firebase.json", "firestore.rules", "firestore.indexes.json", "requirements.txt"):
        shutil.copy(ROOT / name, root)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / name, root)
    shutil.copytree(ROOT / "scripts", root / "scripts")
    shutil.copytree(
        ROOT / "functions", root / "functions", ignore=shutil.ignore_patterns("venv", "__pycache__")
    )
    (root / "functions" / "venv").symlink_to(ROOT / "functions" / "venv")
    (root / "node_modules").symlink_to(ROOT / "node_modules")
    if (ROOT / "web").exists():
        (root / "web").symlink_to(ROOT / "web")
    (root / ".local").mkdir()
    stamp = setup.stamp_of(root, setup.REQUIREMENTS)
    (root / ".local" / "venv.stamp").write_text(stamp)
    folder = Folder(root)
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
