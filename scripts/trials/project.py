"""A suite for one trial, and in it a project of the trial's own whose functions are served."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from scripts.devtools import ROOT, processes
from scripts.devtools.cli_errors import exit_status
from scripts.devtools.function_server import FUNCTIONS, FunctionServer
from scripts.devtools.seed import create_documents, store_key
from scripts.devtools.setup import say
from scripts.devtools.suite import Suite


@contextlib.contextmanager
def started_suite(name: str) -> Iterator[tuple[Suite, Path]]:
    """Start a suite; yield it, and a folder for logs. Raises Problem."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(processes.ending_on_signals())
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        suite = Suite(ROOT, name, ports=Suite.free_ports(ROOT), say=say)
        stack.enter_context(suite)
        stack.enter_context(_environment(FIRESTORE_EMULATOR_HOST=suite.firestore_host))
        yield suite, logs


def run_trial(
    name: str, seed: int | None, trial: Callable[[Suite, Path, int], Coroutine[Any, Any, int]]
) -> int:
    """Start a suite, run one trial against it, and return the exit status of the chore.

    Args:
        name: The suite's name.
        seed: What the trial is drawn from; None is a seed that is drawn as well.
        trial: Takes the suite, a folder for logs and the seed; returns the exit status.
    """
    drawn = secrets.randbelow(10**6) if seed is None else seed

    def chore() -> int:
        with started_suite(name) as (suite, logs):
            return asyncio.run(trial(suite, logs, drawn))

    return exit_status(chore)


def prepare_project(
    suite: Suite,
    project: str,
    *,
    key: str,
    app: Mapping[str, Any],
    features: Mapping[str, Mapping[str, Any]],
) -> str:
    """Store a project's key, its `config/app` and its features.

    Args:
        suite: A started suite.
        project: The project's ID.
        key: The OpenRouter key.
        app: Fields of `config/app` beside the key.
        features: Settings by feature.

    Returns:
        An App Check token.
    """
    store_key(suite.secret_manager_host, project, key)
    documents: dict[str, dict[str, Any]] = {
        "config/app": {"keys": {"default": [{"version": 1}]}, **app}
    }
    for name, settings in features.items():
        feature = {"enabled": True, "revision": 1, "settings": dict(settings)}
        documents[f"features/{name}"] = feature
    create_documents(suite.firestore_host, project, documents)
    wanted = {"projectId": project, "audience": [f"projects/{project}"]}
    url = f"http://{suite.app_check_host}/token"
    issued = httpx.post(url, json=wanted, trust_env=False).raise_for_status()
    return str(issued.json()["token"])


def serve(suite: Suite, project: str, function: str, *, log: Path, queue: str) -> FunctionServer:
    """Serve one function of a project; `queue` is the address of its task queue."""
    environment = {
        **suite.environment(),
        "GCLOUD_PROJECT": project,
        "CLOUD_TASKS_EMULATOR_HOST": queue,
        "PYTHONPATH": str(FUNCTIONS.parent),
    }
    return FunctionServer(function, FUNCTIONS, log=log, environment=environment)


@contextlib.contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
