"""The project that a chore works on: the running `scripts/dev`, or a Firebase project at Google."""

import argparse
import os
from typing import Final

from scripts.devtools import ROOT, dev_state, processes
from scripts.devtools.cli_errors import Problem
from scripts.devtools.suite import PROJECT

EMULATORS: Final = {
    "auth": "FIREBASE_AUTH_EMULATOR_HOST",
    "firestore": "FIRESTORE_EMULATOR_HOST",
    "storage": "STORAGE_EMULATOR_HOST",
}


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add `--project`."""
    parser.add_argument(
        "--project",
        metavar="ID",
        help="the Firebase project (default: the running ./scripts/dev)",
    )


def point_clients_at(project: str | None) -> str:
    """Set the environment variables in which Google's clients look for their project.

    Args:
        project: A Firebase project's ID; None is the running `scripts/dev`.

    Returns:
        The project's ID.

    Raises:
        Problem: No `scripts/dev` is running.
    """
    if project is not None:
        for name in [name for name in os.environ if name.endswith("_EMULATOR_HOST")]:
            del os.environ[name]  # a named project is never an emulator
        # a person's credentials, unlike a service account's, do not name the quota's project
        os.environ.setdefault("GOOGLE_CLOUD_QUOTA_PROJECT", project)
        return project
    state = dev_state.find(ROOT)
    if state is None:
        raise Problem(
            "No ./scripts/dev is running in this folder.",
            "Start it, or name a Firebase project: --project ID",
        )
    processes.bypass_proxies(os.environ)
    for part, name in EMULATORS.items():
        os.environ[name] = state["addresses"][part]
    return PROJECT


def no_credentials() -> Problem:
    """Return what a chore says when Google's clients find no credentials."""
    return Problem(
        "There are no Google credentials on this machine, or they have expired.",
        "Run `gcloud auth application-default login`, then this again.",
    )
