"""The ports of a suite, and what is said when one of them is taken."""

from pathlib import Path
from typing import Any

import pytest

from scripts.devtools import ports
from scripts.devtools.cli_errors import PortTaken
from scripts.devtools.ports import Ports

CONFIG: dict[str, Any] = {
    "functions": [{"source": "functions"}],
    "emulators": {"auth": {"host": "127.0.0.1", "port": 9099}, "ui": {"enabled": False}},
}


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
