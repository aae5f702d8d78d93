"""What `scripts/dev` and `scripts/test` decide before anything runs, and what they leave behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.devtools import callable_client as client
from scripts.devtools import dev, ports, processes, seed, setup
from scripts.devtools import dev_state as running
from scripts.devtools import toolchain as tools
from scripts.devtools.cli_errors import PortTaken, SetupFailed
from scripts.devtools.ports import Ports
from scripts.devtools.processes import Lease

CONFIG: dict[str, Any] = {
    "functions": [{"source": "functions"}],
    "emulators": {"auth": {"host": "127.0.0.1", "port": 9099}, "ui": {"enabled": False}},
}

# The launcher jar


@pytest.mark.parametrize("length", [0, 1, 57, 58, 59, 60, 128, 129, 130, 500])
def test_a_manifest_has_no_line_over_72_bytes(length: int) -> None:
    value = "file:/" + "x" * length
    lines = tools.manifest({"Class-Path": value}).split(b"\r\n")
    assert lines[-1] == b""
    assert max(len(line) + 2 for line in lines) <= 72
    assert all(line.startswith(b" ") for line in lines[2:-1])


@pytest.mark.parametrize("length", [0, 57, 58, 128, 129, 500])
def test_a_wrapped_manifest_reads_as_it_was_given(length: int) -> None:
    value = "file:/" + "x" * length
    joined = tools.manifest({"Class-Path": value}).replace(b"\r\n ", b"")
    assert joined == f"Manifest-Version: 1.0\r\nClass-Path: {value}\r\n".encode()


# Java


@pytest.mark.parametrize(
    ("said", "major"),
    [
        ('openjdk version "21.0.4" 2024-07-16\nOpenJDK Runtime Environment', 21),
        ('openjdk version "25.0.2" 2026-01-20 LTS', 25),
        ('openjdk version "22" 2024-03-19', 22),
        ('java version "1.8.0_401"', 8),
        ('openjdk version "17-ea" 2021-09-14', 17),
        ('Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version "23.0.1" 2024-10-15', 23),
        ("The operation couldn't be completed. Unable to locate a Java Runtime.", None),
        ("", None),
    ],
)
def test_reads_the_version_that_java_says(said: str, major: int | None) -> None:
    assert tools.parse_java_version(said) == major


def test_a_java_that_does_not_run_has_no_version(tmp_path: Path) -> None:
    stub = tmp_path / "java"
    stub.write_text("#!/bin/sh\necho no Java here >&2\nexit 1\n")
    stub.chmod(0o755)
    assert tools.java_major(str(stub)) is None
    assert tools.java_major(str(tmp_path / "missing")) is None


# Stamps


def test_a_stamp_changes_with_a_file_and_with_the_folder(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for root in (here, there):
        root.mkdir()
        (root / "requirements.txt").write_text("httpx==0.28.1\n")
    before = setup.stamp_of(here, ["requirements.txt"])
    assert setup.stamp_of(here, ["requirements.txt"]) == before
    assert setup.stamp_of(there, ["requirements.txt"]) != before
    (here / "requirements.txt").write_text("httpx==0.28.2\n")
    assert setup.stamp_of(here, ["requirements.txt"]) != before


LOCK = {
    "packages": {
        "": {"name": "firerouter"},
        "node_modules/a": {"version": "1.0.0"},
        "node_modules/for-macos": {"version": "2.0.0", "optional": True},
    }
}


@pytest.mark.parametrize(
    ("installed", "matches"),
    [
        ({"packages": {"node_modules/a": {"version": "1.0.0"}}}, True),
        ({"packages": {"node_modules/a": {"version": "1.0.1"}}}, False),
        ({"packages": {"node_modules/b": {"version": "1.0.0"}}}, False),
        ({"packages": {}}, False),
        ({}, False),
    ],
)
def test_node_modules_are_kept_if_they_are_what_the_lock_says(
    installed: dict[str, Any], matches: bool
) -> None:
    assert setup.matches_lock(LOCK, installed) is matches


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    tools.write_whole(tmp_path / "stamp", "one")
    tools.write_whole(tmp_path / "stamp", "two")
    assert (tmp_path / "stamp").read_text() == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["stamp"]


# Ports


def taken(holder: ports.Holder | None) -> PortTaken:
    with pytest.raises(PortTaken) as raised:
        ports.check(
            {"firestore": 8080, "auth": 9099},
            free=lambda port: port != 8080,
            holder=lambda _: holder,
            within_s=0,
        )
    return raised.value


def test_a_taken_port_is_named_with_what_needs_it_and_who_has_it() -> None:
    error = taken(ports.Holder(4711, "java"))
    assert error.reason == (
        "Port 8080, which the Firestore emulator needs, is taken by java (process 4711)."
    )
    assert "lsof -i :8080" in error.remedy
    assert "firebase.json" in error.remedy


def test_a_port_that_another_folders_suite_holds_is_told_with_that_folder() -> None:
    error = taken(ports.Holder(4711, "java", Path("/home/ann/other app")))
    assert error.reason.endswith(", which was started for the suite in /home/ann/other app.")
    assert error.remedy.startswith(
        "Press Ctrl-C where that suite runs (if it was killed: `kill 4711`)"
    )


def test_a_port_that_is_taken_for_a_moment_is_waited_for() -> None:
    """firebase-tools opens ports for an instant to see whether they are free."""
    looks = iter([False, False, True])
    ports.check({"firestore": 8080}, free=lambda _: next(looks), holder=lambda _: None)
    assert list(looks) == []


def test_every_taken_port_has_its_line() -> None:
    taken = ports.taken_ports({"hub": 4400, "openrouter": 9181}, lambda _: None)
    assert taken.reason.splitlines() == [
        "Port 4400, which the emulator hub needs, is taken by another program.",
        "Port 9181, which the OpenRouter stand-in needs, is taken by another program.",
    ]


def test_every_part_has_a_name_for_people() -> None:
    everything = Ports.free({**CONFIG, "hosting": {}}).named()
    assert everything.keys() == ports.PART_NAMES.keys()


def test_free_ports_differ_and_keep_clear_of_the_python_workers() -> None:
    free = list(Ports.free(CONFIG).named().values())
    assert len(set(free)) == len(free)
    assert not any(8081 <= port <= 9081 for port in free)


def test_standard_ports_are_those_of_the_configuration() -> None:
    standard = Ports.standard({**CONFIG, "hosting": {"public": "web"}})
    assert (standard.auth, standard.hosting, standard.openrouter) == (9099, 5000, 9181)
    assert Ports.standard(CONFIG).hosting is None


def test_other_ports_change_nothing_else_in_the_configuration() -> None:
    moved = ports.config_with_ports(CONFIG, Ports(auth=21000, tasks=21001))
    assert moved["emulators"]["auth"] == {"host": "127.0.0.1", "port": 21000}
    assert moved["emulators"]["tasks"]["port"] == 21001
    assert moved["emulators"]["ui"] == {"enabled": False}
    assert moved["functions"] == CONFIG["functions"]
    assert CONFIG["emulators"]["auth"]["port"] == 9099


def test_a_second_scripts_dev_is_told_where_the_first_is() -> None:
    state = {"pid": 4711, "addresses": {"functions": "http://127.0.0.1:5001/demo/here"}}
    told = str(running.already_runs(state))
    assert "already runs" in told
    assert "4711" in told
    assert "http://127.0.0.1:5001/demo/here" in told


# Processes


@pytest.fixture
def lease(tmp_path: Path) -> Iterator[Lease]:
    lease = Lease(tmp_path, "unit")
    yield lease
    processes.end(lease.id, grace_s=0)
    lease.release()


def orphan(suite_id: str) -> None:
    """Leave a marked process behind that ignores SIGTERM and whose parent is gone."""
    sleeper = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
    environment = {**os.environ, processes.MARKER: suite_id}
    shell = ["/bin/sh", "-c", '"$0" -c "$1" & sleep 0.3', sys.executable, sleeper]
    subprocess.run(shell, env=environment, start_new_session=True, check=True)


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
import time, tests.unit.scripts.test_setup as here
from pathlib import Path
from scripts.devtools.cli_errors import PortTaken, SetupFailed
from scripts.devtools.processes import Lease
lease = Lease(Path({str(tmp_path)!r}), "unit")
here.orphan(lease.id)
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


def test_what_a_killed_setup_left_is_ended_before_the_next_one_installs(tmp_path: Path) -> None:
    def mark(root: Path, installer: str) -> str:
        return setup._environment(root, installer)[processes.MARKER]

    leftover = mark(tmp_path, setup.PIP)
    others = [mark(tmp_path, setup.NPM), mark(tmp_path / "other", setup.PIP)]
    for each in (leftover, *others):
        orphan(each)
    try:
        setup._end_leftovers(tmp_path, setup.PIP)
        assert processes.marked(leftover) == set()
        assert [len(processes.marked(other)) for other in others] == [1, 1]
    finally:
        for other in others:
            processes.end(other, grace_s=0)


# The folder


@pytest.mark.parametrize("name", ['a"b', "a$b", "a`b", "a\\b", "a:b", "a\nb", "caf\udce9"])
def test_a_folder_that_the_tools_cannot_handle_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SetupFailed, match="Rename the folder"):
        setup.prepare(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a b", "it's", "Übung", "a&b;c#d%41!(e)", "日本"])
def test_any_other_folder_is_accepted(tmp_path: Path, name: str) -> None:
    setup.check_folder(tmp_path / name)


# Setting up without a network


@pytest.mark.parametrize(
    ("said", "is_the_network"),
    [
        ("npm error code EAI_AGAIN", True),
        ("npm error code ENOTCACHED", True),
        ("npm error code ECONNREFUSED\nnpm error errno ECONNREFUSED", True),
        ("npm error code E404\nnpm error 404 Not Found", False),
        ("npm error code ENOSPC", False),
        ("WARNING: Retrying (Retry(total=1)) after connection broken by 'NewConnection", True),
        ("ERROR: No matching distribution found for httpx==99", False),
    ],
)
def test_a_missing_network_is_told_from_other_failures(said: str, is_the_network: bool) -> None:
    assert bool(setup.NO_CONNECTION.search(said)) is is_the_network


# Seeding, and the scripts' own client


def test_json_values_in_firestores_rest_encoding() -> None:
    assert seed.to_value({"on": True, "n": 1, "x": 0.5, "none": None, "list": ["a"]}) == {
        "mapValue": {
            "fields": {
                "on": {"booleanValue": True},
                "n": {"integerValue": "1"},
                "x": {"doubleValue": 0.5},
                "none": {"nullValue": None},
                "list": {"arrayValue": {"values": [{"stringValue": "a"}]}},
            }
        }
    }
    with pytest.raises(TypeError, match="set"):
        seed.to_value({1})


@pytest.mark.parametrize(
    ("frame", "read"),
    [
        (b'data: {"message": {"type": "text"}}', ("message", {"type": "text"})),
        (b'data:     {"result": {"text": "hi"}}', ("result", {"text": "hi"})),
        (b'data: {"message": null}', ("message", None)),
    ],
)
def test_reads_a_frame_with_and_without_beats(frame: bytes, read: tuple[str, Any]) -> None:
    assert client.read_frame(frame) == read


@pytest.mark.parametrize(
    "frame",
    [
        b": ping",
        b'data:{"message": 1}',
        b'data: {"message": 1}\ndata: {"message": 2}',
        'data: {"message": "\u2028"}'.encode(),
        b'data: {"other": 1}',
        b"",
    ],
)
def test_refuses_a_frame_that_some_sdk_would_drop(frame: bytes) -> None:
    with pytest.raises(client.CallableFailure):
        client.read_frame(frame)


def test_an_error_counts_more_than_the_http_status() -> None:
    body = json.dumps({"error": {"status": "ABORTED", "message": "No.", "details": {"a": 1}}})
    with pytest.raises(client.CallableFailure) as raised:
        client.read_answer(body.encode(), 200)
    assert (raised.value.status, raised.value.message) == ("ABORTED", "No.")
    assert raised.value.details == {"a": 1}


def test_an_answer_that_is_not_json_is_shown() -> None:
    with pytest.raises(client.CallableFailure, match="HTTP 404: Function x does not exist"):
        client.read_answer(b"Function x does not exist", 404)


# Arguments


@pytest.mark.parametrize(
    "arguments", [["--model", "m"], ["--json"], ["--ask"], ["--ask", " "], ["what"]]
)
def test_wrong_arguments_exit_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        dev.parse(arguments)
    assert raised.value.code == 2
    assert "usage: ./scripts/dev" in capsys.readouterr().err
