"""What the measures run on: a suite, served functions, and the load generator."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from scripts.benchmarks.http_callers import Callers
from scripts.devtools import ROOT
from scripts.devtools.function_server import FUNCTIONS, FunctionServer
from scripts.devtools.processes import clean_environment
from scripts.devtools.seed import LOCAL_KEY, create_documents
from scripts.devtools.suite import Suite

BASELINE: Final = ROOT / "scripts" / "benchmarks" / "baseline" / "main.py"
FIRST_TOKEN_PROBE: Final = ROOT / "scripts" / "benchmarks" / "first_token_probe" / "main.py"
LOAD_WITHIN_S: Final = 200.0

# Signs of a token and of the end: of both functions' streams, of OpenRouter's, of a unary answer
FRAMES: Final = {"token": '{"message":{"type":"text"', "end": '{"result":'}
CHUNKS: Final = {"token": '"delta":{"role":"assistant","content":"', "end": "data: [DONE]"}
ANSWER: Final = {"token": '{"result":', "end": '{"result":'}


class Bench:
    """What each measure is given."""

    def __init__(self, suite: Suite, log_dir: Path) -> None:
        self.suite = suite
        self.callers = Callers(suite)
        self._log_dir = log_dir

    @contextlib.contextmanager
    def serving(
        self, target: str, source: Path, env: Mapping[str, str] | None = None, *, wait: bool = True
    ) -> Iterator[FunctionServer]:
        """Serve a function in a process of its own. `env` is laid over the suite's environment."""
        environment = {**self.suite.environment(), "BENCH_KEY": LOCAL_KEY, **(env or {})}
        environment.setdefault("PYTHONPATH", str(FUNCTIONS.parent))
        log = self._log_dir / f"{target}-{time.monotonic_ns()}.log"
        server = FunctionServer(target, source, log=log, environment=environment)
        try:
            yield server.wait_until_healthy() if wait else server
        finally:
            server.stop()

    def load(self, job: dict[str, Any]) -> Any:
        """Run one job in the load generator. Raises RuntimeError with its error output."""
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
            raise RuntimeError(f"The load generator failed:\n{done.stderr}")
        return json.loads(done.stdout)


def create_features(suite: Suite, crowd_tokens: int) -> None:
    """Create the features that the measures call.

    `bench` allows the simulated models, `bench_crowd` cuts sim/ticks at `crowd_tokens`, and
    `bench_compared` allows the models of the comparison.
    """
    from firerouter.features.settings import Feature, FeatureSettings
    from scripts.benchmarks.comparison_latency import MODELS

    any_model = ["sim/steady", "sim/ticks", "sim/fast"]
    crowd = FeatureSettings(model="sim/ticks", max_tokens=crowd_tokens)
    first, *others = MODELS
    comparison = FeatureSettings(model=first, allowed_models=others)
    settings = {
        "bench_compared": comparison,
        "bench": FeatureSettings(model=any_model[0], allowed_models=any_model),
        "bench_crowd": crowd,
    }
    documents = {
        f"features/{id_}": Feature(id_, True, 1, values).to_document()
        for id_, values in settings.items()
    }
    create_documents(suite.firestore_host, suite.project, documents)
