"""The port of each part of the suite, and the program that has it if it is taken."""

import contextlib
import dataclasses
import http.client
import json
import random
import shutil
import socket
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from scripts.devtools.cli_errors import PortTaken

LOOPBACK = "127.0.0.1"
CONFIGURED = ("auth", "functions", "firestore", "hub", "logging", "hosting", "eventarc", "tasks")
# The Functions emulator gives its Python workers ports from 8081 up, and outgoing connections take
# theirs from 32768 up (Linux) or 49152 up (macOS). In between, ports stay free.
FREE_RANGE = range(20_000, 30_000)
FREE_TRIES = 1_000


@dataclasses.dataclass(frozen=True)
class Ports:
    """A port for each part. None leaves it to firebase-tools, or the part is not started."""

    auth: int = 9099
    functions: int = 5001
    firestore: int = 8080
    hub: int = 4400
    logging: int = 4500
    hosting: int | None = None
    eventarc: int | None = None
    tasks: int | None = None
    firestore_websocket: int | None = None
    openrouter: int = 9181
    secret_manager: int = 9182
    app_check: int = 9183
    secret_manager_control: int = 9184
    storage: int = 9199

    @classmethod
    def standard(cls, config: dict[str, Any]) -> "Ports":
        """Return the ports of `firebase.json`, and the default ones of our stand-ins."""
        emulators = config.get("emulators", {})
        named = {
            name: emulators[name]["port"]
            for name in ("auth", "functions", "firestore", "hub", "logging", "hosting")
            if "port" in emulators.get(name, {})
        }
        if "hosting" in config:
            named.setdefault("hosting", 5000)
        return cls(**named)

    @classmethod
    def free(cls, config: dict[str, Any]) -> "Ports":
        """Return unused ports, for a suite beside another one."""
        names = [field.name for field in dataclasses.fields(cls)]
        if "hosting" not in config:
            names.remove("hosting")
        with ExitStack() as held:
            return cls(**{name: _hold_free_port(held) for name in names})

    def named(self) -> dict[str, int]:
        return {name: port for name, port in dataclasses.asdict(self).items() if port is not None}


def read_config(root: Path) -> dict[str, Any]:
    """Return the content of `firebase.json`."""
    config: dict[str, Any] = json.loads((root / "firebase.json").read_text("utf-8"))
    return config


def config_with_ports(config: dict[str, Any], ports: Ports) -> dict[str, Any]:
    """Return the configuration with its emulators on other ports."""
    emulators = {**config.get("emulators", {})}
    for name, port in ports.named().items():
        if name in CONFIGURED:
            emulators[name] = {**emulators.get(name, {}), "host": LOOPBACK, "port": port}
    if ports.firestore_websocket is not None:
        emulators["firestore"]["websocketPort"] = ports.firestore_websocket
    return {**config, "emulators": emulators}


def is_listening(port: int) -> bool:
    with socket.socket() as asker:
        asker.settimeout(1)
        return asker.connect_ex((LOOPBACK, port)) == 0


def get_json(port: int, path: str) -> dict[str, Any] | None:
    """Return the JSON object that a server answers with 200.

    {} if the answer is something else; None if there is no such answer yet.
    """
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
    with contextlib.closing(connection):
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            return None
    if response.status != http.HTTPStatus.OK:
        return None
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def is_free(port: int) -> bool:
    if is_listening(port):
        return False
    with socket.socket() as server:
        # as the servers do; otherwise a port stays "taken" for a minute after its last use
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def check(
    wanted: dict[str, int],
    *,
    free: Callable[[int], bool] = is_free,
    holder: Callable[[int], str | None] | None = None,
) -> None:
    """Raise PortTaken if a port is taken, naming the part that needs it and who has it."""
    taken = {name: port for name, port in wanted.items() if not free(port)}
    if taken:
        raise taken_ports(taken, holder or holder_of)


def taken_ports(taken: dict[str, int], holder: Callable[[int], str | None]) -> PortTaken:
    lines = []
    for name, port in taken.items():
        by = holder(port)
        owner = f"by {by}" if by else "by another program"
        lines.append(f"Port {port}, which {PART_NAMES[name]} needs, is taken {owner}.")
    return PortTaken(
        "\n".join(lines),
        f"Stop what listens there (`lsof -i :{next(iter(taken.values()))}` shows it), change the "
        "emulators' ports in firebase.json, or start with --free-ports.",
    )


PART_NAMES = {
    "auth": "the Auth emulator",
    "functions": "the Functions emulator",
    "firestore": "the Firestore emulator",
    "hub": "the emulator hub",
    "logging": "the emulators' log server",
    "hosting": "the Hosting emulator",
    "eventarc": "the Eventarc emulator",
    "tasks": "the Cloud Tasks emulator",
    "firestore_websocket": "the Firestore emulator's request monitor",
    "openrouter": "the OpenRouter stand-in",
    "secret_manager": "the Secret Manager stand-in",
    "secret_manager_control": "the Secret Manager stand-in's control",
    "app_check": "the App Check stand-in",
    "storage": "the Cloud Storage emulator",
}


def holder_of(port: int) -> str | None:
    """Return the program that listens on the port, like `node (process 4711)`, if lsof knows."""
    lsof = shutil.which("lsof")
    if lsof is None:
        return None
    command = [lsof, "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc"]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    fields = {line[0]: line[1:] for line in found.splitlines() if line}
    return f"{fields['c']} (process {fields['p']})" if {"c", "p"} <= fields.keys() else None


def free_port() -> int:
    """Return an unused port. Take it soon: nothing reserves it."""
    with socket.socket() as server:
        server.bind((LOOPBACK, 0))
        return int(server.getsockname()[1])


def _hold_free_port(held: ExitStack) -> int:
    for port in random.sample(FREE_RANGE, FREE_TRIES):
        server = held.enter_context(socket.socket())
        try:
            server.bind((LOOPBACK, port))
        except OSError:
            continue
        return port
    raise PortTaken(
        f"None of {FREE_TRIES} ports between {FREE_RANGE.start} and {FREE_RANGE.stop} was free.",
        "Look for servers that were left running.",
    )
