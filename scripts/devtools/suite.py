"""The whole backend on one machine: the Firebase emulators and our stand-ins.

    with Suite(ROOT, "bench", ports=Suite.free_ports(ROOT)) as suite:  # or start() and stop()
        seed(suite)
        httpx.post(f"{suite.functions_url}/execute_prompt", ...)

`scripts/dev`, the tests and the benchmarks all use this class. Two suites run side by side if the
second one takes `Suite.free_ports`: firebase-tools then gets a copy of firebase.json, in the root,
because it takes that file's folder as the project's root.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from scripts.devtools import emulators, processes
from scripts.devtools import ports as ports_
from scripts.devtools.cli_errors import PartDied
from scripts.devtools.import_check import ImportCheck
from scripts.devtools.ports import LOOPBACK, PART_NAMES, Ports
from scripts.devtools.processes import Lease, Part, clean_environment
from scripts.devtools.readiness import get_json, is_ready
from scripts.devtools.toolchain import Tools, find_tools
from scripts.standins import DEMO_PROJECT as PROJECT

__all__ = ["PROJECT", "REGION", "Suite", "clean_environment"]

BUCKET = f"{PROJECT}.appspot.com"
REGION = "australia-southeast1"
EMULATORS = ("auth", "functions", "firestore")
READY_WITHIN_S = 180  # a cold start on a busy laptop takes twenty seconds
STOP_GRACE_S = 1  # everything is in memory, so there is nothing to save
POLL_S = 0.05


def sweep(root: Path, say: Callable[[str], None]) -> None:
    """End what suites of this folder left running when their owner was killed."""
    for left in Lease.sweep(root / ".local" / "suites"):
        (root / f".firebase.{left}.json").unlink(missing_ok=True)
        say(f"ended what an interrupted run had left behind ({left})")


class Suite:
    """Parts that run together, from `start()` to `stop()`, which leaves nothing running."""

    project = PROJECT
    region = REGION

    def __init__(
        self,
        root: Path,
        name: str,
        *,
        ports: Ports | None = None,
        only: Iterable[str] | None = None,
        log_dir: Path | None = None,
        real_openrouter: bool = False,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Describe a suite, without starting it.

        Args:
            only: The emulators to start. Stand-ins are started only if "functions" is among them.
            real_openrouter: Start no OpenRouter stand-in, so that the functions call OpenRouter.
            say: Receives progress, a line at a time.
        """
        self.root = root
        self.name = name
        self.log_dir = log_dir or root / ".local" / "log" / name
        self.config = ports_.read_config(root)
        self.ports = ports or Ports.standard(self.config)
        hosting = ("hosting",) if "hosting" in self.config else ()
        self.only = tuple(only) if only is not None else (*EMULATORS, *hosting)
        self.with_functions = "functions" in self.only
        self.real_openrouter = real_openrouter
        self.parts: dict[str, Part] = {}
        self.import_check: ImportCheck | None = None
        self._say = say
        self._lease: Lease | None = None
        self._hub: dict[str, dict[str, Any]] = {}

    @staticmethod
    def free_ports(root: Path) -> Ports:
        """Return ports for a suite beside another one. Start it soon: nothing reserves them."""
        return Ports.free(ports_.read_config(root))

    # Addresses

    @property
    def is_started(self) -> bool:
        return self._lease is not None

    @property
    def id(self) -> str:
        if self._lease is None:
            raise RuntimeError("the suite is not started")
        return self._lease.id

    @property
    def firestore_host(self) -> str:
        return f"{LOOPBACK}:{self.ports.firestore}"

    @property
    def auth_host(self) -> str:
        return f"{LOOPBACK}:{self.ports.auth}"

    @property
    def functions_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.functions}/{PROJECT}/{REGION}"

    @property
    def hosting_url(self) -> str | None:
        port = self.ports.hosting
        return f"http://{LOOPBACK}:{port}" if port is not None and "hosting" in self.only else None

    @property
    def openrouter_root(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.openrouter}"

    @property
    def openrouter_url(self) -> str:
        return f"{self.openrouter_root}/api/v1"

    @property
    def secret_manager_host(self) -> str:
        return f"{LOOPBACK}:{self.ports.secret_manager}"

    @property
    def secret_manager_control(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.secret_manager_control}"

    @property
    def app_check_host(self) -> str:
        return f"{LOOPBACK}:{self.ports.app_check}"

    @property
    def storage_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.storage}"

    def environment(self) -> dict[str, str]:
        """Return the variables that the Functions emulator sets for a function of this suite."""
        hub = f"{LOOPBACK}:{self.ports.hub}"
        environment = {
            **self._standin_environment(),
            processes.MARKER: self.id,
            "FUNCTIONS_EMULATOR": "true",
            "FIREBASE_EMULATOR_HUB": hub,
            "FIRESTORE_EMULATOR_HOST": self.firestore_host,
            "FIREBASE_FIRESTORE_EMULATOR_ADDRESS": self.firestore_host,
            "FIREBASE_AUTH_EMULATOR_HOST": self.auth_host,
            "GCLOUD_PROJECT": PROJECT,
            "GOOGLE_CLOUD_QUOTA_PROJECT": PROJECT,
            "FIREBASE_CONFIG": json.dumps(
                {
                    "storageBucket": BUCKET,
                    "databaseURL": f"https://{PROJECT}.firebaseio.com",
                    "projectId": PROJECT,
                }
            ),
            "K_REVISION": "1",
            "TZ": "UTC",
        }
        if tasks := self._hub.get("tasks"):
            environment["CLOUD_TASKS_EMULATOR_HOST"] = f"{tasks['host']}:{tasks['port']}"
        return environment

    def addresses(self) -> dict[str, str]:
        """Return the addresses of the parts by name."""
        named = {
            "functions": self.functions_url,
            "auth": self.auth_host,
            "firestore": self.firestore_host,
            "appCheck": self.app_check_host,
            "secretManager": self.secret_manager_host,
            "storage": self.storage_url,
        }
        if not self.real_openrouter:
            named["openrouter"] = self.openrouter_url
        if self.hosting_url:
            named["hosting"] = self.hosting_url
        return named

    # Life

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, *, meanwhile: Callable[["Suite"], None] | None = None) -> None:
        """Start every part at once, and return when all of them answer.

        Args:
            meanwhile: Work that a thread does while the parts start, such as seeding Firestore
                while Auth still starts. It calls `wait_for` before it needs a part.

        Raises:
            SetupFailed, PortTaken, PartDied: Nothing is left running.
        """
        processes.bypass_proxies(os.environ)
        tools = find_tools(self.root, say=self._say)
        sweep(self.root, self._say)
        ports_.check(self._wanted_ports())
        self._lease = Lease(self.root / ".local" / "suites", self.name)
        if self._lease.has_namesake:
            self.log_dir = self.log_dir.with_name(self.id)
        try:
            with processes.held() as interrupted:
                self.log_dir.mkdir(parents=True, exist_ok=True)
                self._start_parts(tools)
                if meanwhile is None:
                    self._wait_until_ready(interrupted)
                else:
                    self._wait_until_ready_and(meanwhile, interrupted)
        except BaseException:
            self.stop(grace_s=0)
            raise

    def stop(self, *, grace_s: float = STOP_GRACE_S) -> None:
        """End every process of the suite. It may be called twice, or after a failed start."""
        if self._lease is None:
            return
        roots = [part.pid for part in self.parts.values()]
        with processes.undisturbed():
            processes.end(self._lease.id, roots, grace_s=grace_s)
            for part in self.parts.values():
                part.process.wait()
            if self.import_check is not None:
                self.import_check.stop()
            self._config_copy.unlink(missing_ok=True)
            self._lease.release()
            self._lease = None

    def wait_for(self, part: str) -> None:
        """Return when a part answers, by its name in `Ports`. Raises PartDied."""
        port = self.ports.named()[part]
        deadline = time.monotonic() + READY_WITHIN_S
        while not is_ready(part, port):
            self.check()
            if time.monotonic() > deadline:
                reason = f"Nothing answers as {PART_NAMES[part]} on port {port}."
                raise PartDied(f"{reason}\n{self.tails()}", self._see_logs)
            time.sleep(POLL_S)

    def check(self) -> None:
        """Raise PartDied if a part has ended by itself, or functions/ cannot be imported."""
        if self.import_check is not None:
            self.import_check.raise_problem()
        for part in self.parts.values():
            if part.died:
                raise PartDied(
                    f"The {part.name} part of the suite ended (status {part.process.returncode}).\n"
                    f"The end of {part.log}:\n{part.tail()}",
                    "Correct what it says and start again.",
                )

    def tails(self, lines: int = 20) -> str:
        """Return the end of each part's log."""
        return "\n".join(f"{p.log}:\n{p.tail(lines)}" for p in self.parts.values())

    # Parts

    def _wanted_ports(self) -> dict[str, int]:
        names = {*self.only, "hub"}
        if self.with_functions:
            names |= {"secret_manager", "secret_manager_control", "app_check", "eventarc", "tasks"}
            names |= {"storage"}
            names |= set() if self.real_openrouter else {"openrouter"}
        if "firestore" in self.only:
            names |= {"firestore_websocket"}
        return {name: port for name, port in self.ports.named().items() if name in names}

    def _start_parts(self, tools: Tools) -> None:
        self.parts["emulators"] = self._emulators(tools)
        if not self.with_functions:
            return
        self.import_check = ImportCheck(
            self.root, log=self.log_dir / "imports.log", environment=self._marks()
        )
        self.import_check.start()
        ports = self.ports
        if not self.real_openrouter:
            self._standin("openrouter", "--port", ports.openrouter)
        control = ("--control-port", ports.secret_manager_control)
        self._standin("secret_manager", "--port", ports.secret_manager, *control)
        # the same key each time, so that an app's cached token survives a restart, as in production
        key = self.root / ".local" / "app-check-key.pem"
        rules = self.root / "functions" / "storage.rules"
        bucket = ("--bucket", BUCKET, "--project", PROJECT, "--rules", rules)
        self._standin("cloud_storage", "--port", ports.storage, *bucket)
        self._standin("app_check", "--port", ports.app_check, "--key", key)

    def _standin(self, name: str, *options: object) -> None:
        self.parts[name] = Part(
            name,
            [sys.executable, "-m", f"scripts.standins.{name}", *map(str, options)],
            log=self.log_dir / f"{name}.log",
            cwd=self.root,
            env=self._base_environment(),
        )

    def _emulators(self, tools: Tools) -> Part:
        config = self.root / "firebase.json"
        if self.ports != Ports.standard(self.config):
            config = self._config_copy
            config.write_text(json.dumps(ports_.config_with_ports(self.config, self.ports)))
        environment = {**self._base_environment(), **self._standin_environment()}
        return emulators.start(
            self.root,
            tools,
            only=self.only,
            project=PROJECT,
            config=config,
            log_dir=self.log_dir,
            env=environment,
        )

    @property
    def _config_copy(self) -> Path:
        return self.root / f".firebase.{self.id}.json"

    def _standin_environment(self) -> dict[str, str]:
        if not self.with_functions:
            return {}
        environment = {
            "SECRET_MANAGER_EMULATOR_HOST": self.secret_manager_host,
            "APP_CHECK_EMULATOR_HOST": self.app_check_host,
            "STORAGE_EMULATOR_HOST": self.storage_url,
        }
        if not self.real_openrouter:
            environment["OPENROUTER_BASE_URL"] = self.openrouter_url
        return environment

    def _base_environment(self) -> dict[str, str]:
        return {**clean_environment(), **self._marks()}

    def _marks(self) -> dict[str, str]:
        return {processes.MARKER: self.id, processes.MARKER_FOLDER: str(self.root)}

    # Readiness

    @property
    def _see_logs(self) -> str:
        return f"The whole logs are in {self.log_dir}."

    def _wait_until_ready_and(
        self, work: Callable[["Suite"], None], interrupted: Callable[[], None]
    ) -> None:
        with ThreadPoolExecutor(max_workers=1) as pool:
            working = pool.submit(work, self)
            try:
                self._wait_until_ready(interrupted)
                while not working.done():
                    interrupted()
                    wait([working], POLL_S)
            except BaseException:
                self.stop(grace_s=0)  # `wait_for` notices, so the thread ends too
                raise
            working.result()

    def _wait_until_ready(self, interrupted: Callable[[], None]) -> None:
        waiting = self._probes()
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            waiting = {name: ready for name, ready in waiting.items() if not ready()}
            if not waiting:
                return
            interrupted()
            self.check()
            if time.monotonic() > deadline:
                reason = f"Not ready after {READY_WITHIN_S} s: {', '.join(waiting)}."
                raise PartDied(f"{reason}\n{self.tails()}", self._see_logs)
            time.sleep(POLL_S)

    def _probes(self) -> dict[str, Callable[[], bool]]:
        if not self.with_functions:
            return {"emulators": self._emulators_are_up}
        names = ["app_check", "secret_manager_control", "storage"]
        names += [] if self.real_openrouter else ["openrouter"]
        ports = self.ports.named()
        return {
            **{PART_NAMES[name]: partial(is_ready, name, ports[name]) for name in names},
            "the functions": self._functions_are_loaded,
            "the import of functions/": self._functions_are_imported,
        }

    def _emulators_are_up(self) -> bool:
        hub = get_json(self.ports.hub, "/emulators") or {}
        self._hub = {name: told for name, told in hub.items() if isinstance(told, dict)}
        return set(self.only) <= self._hub.keys() and all(
            is_ready(name, int(self._hub[name]["port"])) for name in self.only
        )

    def _functions_are_imported(self) -> bool:
        if self.import_check is None:
            return True
        is_running = self.import_check.is_running
        self.import_check.raise_problem()
        return not is_running

    def _functions_are_loaded(self) -> bool:
        """The Functions emulator loads functions last of all, and keeps running if that fails."""
        backends = (get_json(self.ports.functions, "/backends") or {}).get("backends")
        if isinstance(backends, list) and any(
            backend.get("functionTriggers") for backend in backends
        ):
            return self._emulators_are_up()
        log = self.parts["emulators"].log.read_text("utf-8", "replace")
        if "Failed to load function definition" in log:
            raise PartDied(
                f"The functions could not be loaded.\n{self.parts['emulators'].tail()}",
                "Correct functions/ (`./scripts/test tests/unit` is quickest) and start again.",
            )
        return False
