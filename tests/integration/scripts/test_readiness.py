"""A part is ready when it answers as itself, and is given again what it refused for a moment."""

import http.server
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from scripts.devtools import ports, processes
from scripts.devtools.cli_errors import PartDied
from scripts.devtools.ports import free_port
from scripts.devtools.readiness import is_ready
from scripts.devtools.seed import retry
from tests.support.eventually import until


@contextmanager
def listening() -> Iterator[int]:
    """A port that accepts connections and never answers, as firebase-tools' probes do."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield int(server.getsockname()[1])


@contextmanager
def answering(status: int, body: bytes) -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize("part", ["auth", "firestore", "secret_manager_control", "storage"])
def test_an_open_port_is_not_an_emulator(part: str) -> None:
    assert not is_ready(part, free_port())
    with listening() as port:
        assert ports.is_listening(port)
        assert not is_ready(part, port)


@pytest.mark.parametrize(
    ("part", "body"),
    [
        ("firestore", b"Ok\n"),
        ("auth", b'{"authEmulator": {"ready": true}}'),
        ("secret_manager_control", b"{}"),
        ("storage", b"OK"),
    ],
)
def test_a_part_that_answers_as_itself_is_ready(part: str, body: bytes) -> None:
    with answering(200, body) as port:
        assert is_ready(part, port)


@pytest.mark.parametrize("part", ["auth", "firestore"])
def test_another_server_on_an_emulators_port_is_not_the_emulator(part: str) -> None:
    with answering(200, b"<h1>It works!</h1>") as port:
        assert not is_ready(part, port)


def test_what_is_refused_for_a_moment_is_sent_again() -> None:
    attempts = 0

    def job() -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise httpx.ConnectError("[Errno 111] Connection refused")

    retry("firestore", job)
    assert attempts == 3


def test_what_is_refused_for_good_is_told_and_not_shown_as_a_traceback() -> None:
    def job() -> None:
        raise httpx.ConnectError("[Errno 111] Connection refused")

    with pytest.raises(PartDied, match=r"Seeding the Firestore emulator failed: .*refused"):
        retry("firestore", job, within_s=0)


def test_who_has_a_port_is_found_with_lsof_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as port:
        found = [ports.holder_of(port)]
        monkeypatch.setattr(shutil, "which", lambda _: None)
        found.append(ports.holder_of(port))
    assert found[0] == found[1]
    assert found[0] is not None
    assert "python" in found[0].name or "pytest" in found[0].name


async def test_what_a_suite_has_started_knows_its_folder(tmp_path: Path) -> None:
    sleeper = processes.Part(
        "sleeper",
        ["sleep", "60"],
        log=tmp_path / "log",
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", processes.MARKER_FOLDER: "/a folder/of ours"},
    )
    try:
        folder = await until(lambda: processes.suite_folder(sleeper.pid))
        assert folder == Path("/a folder/of ours")
    finally:
        sleeper.process.kill()
        sleeper.process.wait()
