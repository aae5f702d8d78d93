"""The port of each part of the suite, and the program that has it if it is taken."""

import contextlib
import dataclasses
import json
import os
import random
import shutil
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from scripts.devtools import processes
from scripts.devtools.cli_errors import PortTaken

LOOPBACK = "127.0.0.1"
CONFIGURED = ("auth", "functions", "firestore", "hub", "logging", "hosting", "eventarc", "tasks")
# The Functions emulator gives its Python workers ports from 8081 up, and outgoing connections take
# theirs from 32768 up (Linux) or 49152 up (macOS). In between, ports stay free.
FREE_RANGE = range(20_000, 30_000)
FREE_TRIES = 1_000
FREED_WITHIN_S = 3.0  # longer than firebase-tools looks at a port, or a killed server takes to end
POLL_S = 0.1
LISTENING = "0A"  # in /proc/net/tcp


@dataclasses.dataclass(frozen=True)
class Holder:
    """The program that listens on a port; `folder` is the repository's, if a suite started it."""

    pid: int
    name: str
    folder: Path | None = None


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
    holder: Callable[[int], Holder | None] | None = None,
    within_s: float = FREED_WITHIN_S,
) -> None:
    """Raise PortTaken if a port stays taken, naming the part that needs it and who has it.

    A port that is taken for a moment only is waited for: another firebase-tools may be looking
    whether it is free, or its last server may still be ending.
    """
    deadline = time.monotonic() + within_s
    while taken := {name: port for name, port in wanted.items() if not free(port)}:
        if time.monotonic() >= deadline:
            raise taken_ports(taken, holder or holder_of)
        time.sleep(POLL_S)


def taken_ports(taken: dict[str, int], holder: Callable[[int], Holder | None]) -> PortTaken:
    reasons, leftovers = [], []
    remedy = f"Stop that program (`lsof -i :{next(iter(taken.values()))}` shows it)"
    for name, port in taken.items():
        by = holder(port)
        described = f"{by.name} (process {by.pid})" if by else "another program"
        if by and by.folder:
            described += f", which was started for the suite in {by.folder}"
            leftovers.append(str(by.pid))
        reasons.append(f"Port {port}, which {PART_NAMES[name]} needs, is taken by {described}.")
    if leftovers:
        pids = " ".join(dict.fromkeys(leftovers))
        remedy = f"Press Ctrl-C where that suite runs (if it was killed: `kill {pids}`)"
    return PortTaken(
        "\n".join(reasons),
        f"{remedy}, start with --free-ports, or change the emulators' ports in firebase.json.",
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


def holder_of(port: int) -> Holder | None:
    """Return the program that listens on the port, if it can be found out."""
    pid = _pid_by_lsof(port) or _pid_in_proc(port)
    if pid is None:
        return None
    name = processes.output_of(["ps", "-o", "comm=", "-p", str(pid)]).strip()
    return Holder(pid, Path(name).name or "a program", processes.suite_folder(pid))


def _pid_by_lsof(port: int) -> int | None:
    if shutil.which("lsof") is None:
        return None
    found = processes.output_of(["lsof", "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fp"])
    pids = [line[1:] for line in found.splitlines() if line.startswith("p")]
    return int(pids[0]) if pids else None


def _pid_in_proc(port: int) -> int | None:
    """Find the listener without lsof, which many a Linux lacks."""
    sockets = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for row in Path(table).read_text("ascii").splitlines()[1:]:
                fields = row.split()
                if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    sockets.add(f"socket:[{fields[9]}]")
    for link in Path("/proc").glob("[0-9]*/fd/*") if sockets else ():
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            if os.readlink(link) in sockets:
                return int(link.parts[2])
    return None


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
