"""What a suite starts ends with it, even if its owner is killed, and inherits no proxy, no key."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.devtools import processes
from scripts.devtools.processes import Lease
from tests.support.orphans import orphan


@pytest.fixture
def lease(tmp_path: Path) -> Iterator[Lease]:
    lease = Lease(tmp_path, "unit")
    yield lease
    processes.end(lease.id, grace_s=0)
    lease.release()


def test_ends_what_lost_its_parent_and_ignores_sigterm(lease: Lease) -> None:
    orphan(lease.id)
    assert len(processes.marked(lease.id)) == 1
    processes.end(lease.id, grace_s=0.1)
    assert processes.marked(lease.id) == set()


def test_ends_nothing_of_another_suite(lease: Lease, tmp_path: Path) -> None:
    orphan(lease.id)
    processes.end("unit-another", grace_s=0)
    assert len(processes.marked(lease.id)) == 1


def test_what_a_killed_owner_left_is_ended_by_the_next_run(tmp_path: Path) -> None:
    owner = f"""
import time
from pathlib import Path
from tests.support.orphans import orphan
from scripts.devtools.processes import Lease
lease = Lease(Path({str(tmp_path)!r}), "unit")
orphan(lease.id)
print(lease.id, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", owner], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        suite_id = run.stdout.readline().strip()
        assert Lease.sweep(tmp_path) == []  # its owner lives
        assert len(processes.marked(suite_id)) == 1
        run.send_signal(signal.SIGKILL)
        run.wait()
    assert Lease.sweep(tmp_path) == [suite_id]
    assert processes.marked(suite_id) == set()
    assert Lease.sweep(tmp_path) == []


def test_finds_the_children_of_children() -> None:
    shell = ["/bin/sh", "-c", "sleep 60 & sleep 60; true"]
    with subprocess.Popen(shell, start_new_session=True) as process:
        deadline = time.monotonic() + 5
        while len(processes.descendants([process.pid])) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        family = processes.descendants([process.pid])
        os.killpg(process.pid, signal.SIGKILL)
    assert len(family) == 3
    assert process.pid in family
    assert processes.descendants([process.pid]) == set()


@pytest.mark.parametrize("looks", [True, False], ids=["at a look", "at the end"])
def test_a_signal_waits_until_it_can_do_no_harm(looks: bool) -> None:
    reached = []

    def work() -> None:
        with processes.held() as check:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
            reached.append("still here")
            if looks:
                check()
                reached.append("too far")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["still here"]


def test_the_suite_inherits_no_key_and_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENROUTER_API_KEY", "OPENROUTER_BASE_URL", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.setenv(name, "not for the suite")
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "elsewhere:1")
    monkeypatch.setenv("NO_PROXY", "example.com")
    kept = processes.clean_environment()
    assert "not for the suite" not in kept.values()
    assert "FIRESTORE_EMULATOR_HOST" not in kept
    assert kept["NO_PROXY"] == "example.com,127.0.0.1,localhost,::1"
    assert kept["PATH"] == os.environ["PATH"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems name files in UTF-8 anyway")
@pytest.mark.parametrize(
    ("given", "locale"),
    [
        ({}, "C.UTF-8"),
        ({"LC_ALL": "C", "LANG": "en_US.UTF-8"}, "C.UTF-8"),
        ({"LANG": "de_DE.ISO-8859-1"}, "C.UTF-8"),
        ({"LANG": "de_DE.UTF-8"}, None),
        ({"LC_ALL": "en_US.utf8"}, "en_US.utf8"),
    ],
)
def test_the_suite_names_files_in_utf_8(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], locale: str | None
) -> None:
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert processes.clean_environment().get("LC_ALL") == locale


def test_no_proxy_stands_within_this_machine() -> None:
    environ = {"http_proxy": "http://proxy:3128", "no_proxy": "corp,localhost", "no_grpc_proxy": ""}
    processes.bypass_proxies(environ)
    processes.bypass_proxies(environ)  # twice is no harm
    assert environ == {
        "http_proxy": "http://proxy:3128",
        "NO_PROXY": "127.0.0.1,localhost,::1",
        "no_proxy": "corp,localhost,127.0.0.1,::1",
        "no_grpc_proxy": "127.0.0.1,localhost,::1",
    }


def test_firebase_tools_sees_no_proxy_and_the_functions_do() -> None:
    environ = {"HTTPS_PROXY": "http://proxy:3128", "http_proxy": "http://other", "PATH": "/bin"}
    assert processes.only_all_proxy(environ) == {
        "PATH": "/bin",
        "ALL_PROXY": "http://proxy:3128",
        "all_proxy": "http://proxy:3128",
    }
    assert processes.only_all_proxy({"PATH": "/bin"}) == {"PATH": "/bin"}


def test_output_of_any_encoding_is_read() -> None:
    command = [sys.executable, "-c", r"import sys; sys.stdout.buffer.write(b'caf\xe9\n')"]
    assert processes.output_of(command) == "caf\ufffd\n"
