"""The parts that a benchmark runs on: a suite, functions served in processes, a load process."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from scripts.benchmarks.callers import Callers
from scripts.local import processes
from scripts.local.ports import LOOPBACK
from scripts.local.processes import Part
from scripts.local.seed import LOCAL_KEY, create_documents
from scripts.local.suite import Suite, clean_environment

ROOT: Final = Path(__file__).resolve().parents[2]
FUNCTIONS: Final = ROOT / "functions" / "main.py"
BASELINE: Final = ROOT / "scripts" / "benchmarks" / "baseline" / "main.py"
TIMED: Final = ROOT / "scripts" / "benchmarks" / "timed" / "main.py"
SERVED_WITHIN_S: Final = 60.0
POLL_S: Final = 0.005
LOAD_WITHIN_S: Final = 200.0

# How tokens and ends look on the wire: ours and the bare function's alike, and OpenRouter's
FRAMES: Final = {"token": '{"message":{"type":"text"', "end": '{"result":'}
CHUNKS: Final = {"token": '"delta":{"role":"assistant","content":"', "end": "data: [DONE]"}
ANSWER: Final = {"token": '{"result":', "end": '{"result":'}


class Server:
    """One function, served as it is deployed: gunicorn and one uvicorn worker."""

    def __init__(self, target: str, source: Path, log: Path, environment: Mapping[str, str]):
        self.port = free_port()
        self.log = log
        self.started_at = time.perf_counter()
        command = [Path(sys.executable).with_name("functions-framework"), "--target", target]
        self._part = Part(
            target,
            [*map(str, command), "--source", str(source)],
            log=log,
            cwd=source.parent,
            env={
                **clean_environment(),
                **environment,
                "FUNCTION_TARGET": target,
                "K_SERVICE": target,
                "HOST": LOOPBACK,
                "PORT": str(self.port),
                "PYTHONUNBUFFERED": "1",
                "WORKERS": "1",
            },
        )

    def wait(self) -> "Server":
        """Until it answers. Raises RuntimeError with the end of its log."""
        first_answer(self, f"GET /__/health HTTP/1.1\r\nHost: {LOOPBACK}\r\n\r\n", b"HTTP/1.1")
        (self.worker,) = processes.descendants([self._part.pid]) - {self._part.pid}
        return self

    @property
    def died(self) -> bool:
        return self._part.died

    def tail(self) -> str:
        return self._part.tail()

    def stop(self) -> None:
        for pid in processes.descendants([self._part.pid]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._part.process.wait()


class Bench:
    """What the measures are given."""

    def __init__(self, suite: Suite, log_dir: Path) -> None:
        self.suite = suite
        self.callers = Callers(suite)
        self._log_dir = log_dir

    @contextlib.contextmanager
    def serving(
        self, target: str, source: Path, env: Mapping[str, str] | None = None, *, wait: bool = True
    ) -> Iterator[Server]:
        environment = {**self.suite.environment(), "BENCH_KEY": LOCAL_KEY, **(env or {})}
        environment.setdefault("PYTHONPATH", str(FUNCTIONS.parent))
        log = self._log_dir / f"{target}-{time.monotonic_ns()}.log"
        server = Server(target, source, log, environment)
        try:
            yield server.wait() if wait else server
        finally:
            server.stop()

    def load(self, job: dict[str, Any]) -> Any:
        """Runs one job in the load process. Raises RuntimeError with what it said."""
        done = subprocess.run(
            [sys.executable, "-m", "scripts.benchmarks.load"],
            cwd=ROOT,
            env=clean_environment(),
            input=json.dumps(job),
            capture_output=True,
            text=True,
            timeout=LOAD_WITHIN_S,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"the load generator failed:\n{done.stderr}")
        return json.loads(done.stdout)


def create_features(suite: Suite, crowd_tokens: int) -> None:
    """`bench`: any simulated model; `bench_crowd`: sim/ticks, cut at so many tokens;
    `bench_compared`: those that are compared."""
    from firerouter.features.settings import Feature, FeatureSettings
    from scripts.benchmarks.compared import MODELS

    any_model = ["sim/steady", "sim/ticks", "sim/fast"]
    crowd = FeatureSettings(model="sim/ticks", max_tokens=crowd_tokens)
    first, *others = MODELS
    compared = FeatureSettings(model=first, allowed_models=others)
    settings = {
        "bench_compared": compared,
        "bench": FeatureSettings(model=any_model[0], allowed_models=any_model),
        "bench_crowd": crowd,
    }
    documents = {
        f"features/{id_}": Feature(id_, True, 1, values).to_document()
        for id_, values in settings.items()
    }
    create_documents(suite.firestore_host, suite.project, documents)


def first_answer(server: Server, request: str, sign: bytes) -> float:
    """Seconds from the start of the process until `sign` came, asking as soon as it listens."""
    deadline = time.perf_counter() + SERVED_WITHIN_S
    while time.perf_counter() < deadline and not server.died:
        try:
            with socket.create_connection((LOOPBACK, server.port), SERVED_WITHIN_S) as client:
                client.sendall(request.encode("latin-1"))
                seen = b""
                while sign not in seen:
                    more = client.recv(65536)
                    if not more:
                        raise ConnectionResetError
                    seen += more
                return time.perf_counter() - server.started_at
        except OSError:
            time.sleep(POLL_S)
    raise RuntimeError(f"{server.log.name} does not answer:\n{server.tail()}")


def free_port() -> int:
    with socket.socket() as server:
        server.bind((LOOPBACK, 0))
        return int(server.getsockname()[1])
