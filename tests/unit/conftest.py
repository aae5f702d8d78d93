"""A unit test opens no connection and starts no emulator: it fails at once where it tries."""

import socket
from typing import Any, NoReturn

import pytest


@pytest.fixture(autouse=True)
def no_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections to anything but a socket in the file system."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def guarded(original: Any) -> Any:
        def of(self: socket.socket, address: Any) -> Any:
            if self.family != socket.AF_UNIX:
                refuse(f"connects to {address}")
            return original(self, address)

        return of

    monkeypatch.setattr(socket.socket, "connect", guarded(connect))
    monkeypatch.setattr(socket.socket, "connect_ex", guarded(connect_ex))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: refuse(f"looks up {a[0]}"))


@pytest.fixture(scope="session")
def suite() -> NoReturn:
    """Stand in the way of the emulators, which every fixture of theirs begins with."""
    refuse("asks for the emulators")


def refuse(what: str) -> NoReturn:
    pytest.fail(f"A unit test {what}. Move it to tests/integration, or hand it what it asks for.")
