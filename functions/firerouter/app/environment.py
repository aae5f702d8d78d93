"""The environment variables that an instance reads, and the guard of the local endpoints.

If the emulator suite runs the process, the stand-ins' addresses are read from the environment, but
only loopback addresses are accepted. Anywhere else their mere presence keeps the process from
starting, because a deploy uploads a stray `functions/.env`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Final

OPENROUTER_BASE_URL: Final = "https://openrouter.ai/api/v1"
# Cloud Storage's client reads API_ENDPOINT_OVERRIDE itself
OVERRIDES: Final = frozenset({"OPENROUTER_BASE_URL", "API_ENDPOINT_OVERRIDE"})
# where HTTP clients, gRPC and OpenSSL let requests pass, and whom they trust; in any case
DETOURS: Final = re.compile(
    r"((https?|all|ws|wss|grpc|ftp)_proxy|grpc_default_ssl_roots_file_path"
    r"|ssl_cert_(file|dir)|requests_ca_bundle|curl_ca_bundle|sslkeylogfile)",
    re.ASCII | re.IGNORECASE,
)
# certificates of the image itself, whose variables a platform may set
SYSTEM_STORE: Final = re.compile(r"/(etc/(ssl|pki)|usr/(lib|share))/[\w./-]+", re.ASCII)
# matched as a whole and not parsed: URL parsers disagree about the host of an odd URL
LOOPBACK: Final = re.compile(
    r"(http://)?(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?(/[\w./-]*)?", re.ASCII | re.IGNORECASE
)


class EnvironmentRefused(RuntimeError):
    """A variable is missing or malformed, is set where it must not be, or has a forbidden value."""


class Environment:
    """The variables that Firebase, Cloud Run, the emulator suite and ./scripts/dev set."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        """Raises EnvironmentRefused, naming the variable and saying what to do."""
        check_environment(environ)
        self._environ = environ
        self._firebase_config = _read_firebase_config(environ)

    @property
    def project(self) -> str:
        """The ID of the Google Cloud project. Raises EnvironmentRefused if no variable names it."""
        for name in ("GCLOUD_PROJECT", "GOOGLE_CLOUD_PROJECT"):
            if value := self._environ.get(name):
                return value
        if project := self._firebase_config.get("projectId"):
            return str(project)
        raise EnvironmentRefused("The project is unknown: set GCLOUD_PROJECT to its ID.")

    @property
    def storage_bucket(self) -> str:
        """The default bucket of Cloud Storage; empty if the project has none."""
        return str(self._firebase_config.get("storageBucket", ""))

    @property
    def emulated(self) -> bool:
        """Whether the emulator suite runs this process."""
        return bool(self._environ.get("FUNCTIONS_EMULATOR"))

    @property
    def default_referer(self) -> str:
        """The app's address as OpenRouter gets it, unless the app's settings have another one."""
        return f"https://{self.project}.web.app"

    @property
    def openrouter_url(self) -> str:
        """The base URL of OpenRouter's API."""
        return self._environ.get("OPENROUTER_BASE_URL", OPENROUTER_BASE_URL)

    @property
    def app_check_host(self) -> str | None:
        """The address of a stand-in for App Check."""
        return self._environ.get("APP_CHECK_EMULATOR_HOST") or None

    @property
    def secret_manager_host(self) -> str | None:
        """The address of a stand-in for Secret Manager."""
        return self._environ.get("SECRET_MANAGER_EMULATOR_HOST") or None

    @property
    def storage_host(self) -> str | None:
        """The address of a stand-in for Cloud Storage."""
        return self._environ.get("STORAGE_EMULATOR_HOST") or None


def check_environment(environ: Mapping[str, str] = os.environ) -> None:
    """Check that no local endpoint is set where it must not be. Reads only `environ`.

    In production, neither may one name a proxy, or certificates that are not the system's: prompts
    and keys would pass there. A developer's machine may need them.

    Cloud Run sets K_CONFIGURATION, which an uploaded `.env` cannot (firebase-tools reserves it), so
    no such file can make production look like the emulator.

    Raises:
        EnvironmentRefused: One is, or is malformed. The message names it.
    """
    deployed = "K_CONFIGURATION" in environ
    if deployed and "FUNCTIONS_EMULATOR" in environ:
        raise EnvironmentRefused("FUNCTIONS_EMULATOR is set in production: remove it from .env")
    local = bool(environ.get("FUNCTIONS_EMULATOR"))
    for name, value in environ.items():
        if deployed and DETOURS.fullmatch(name) and not SYSTEM_STORE.fullmatch(value):
            raise EnvironmentRefused(
                f"{name} is set in production, where it would lead requests astray: remove it from "
                ".env"
            )
        if not name.endswith("_EMULATOR_HOST") and name not in OVERRIDES:
            continue
        if not local:
            raise EnvironmentRefused(
                f"{name} is set, but no emulator suite runs this process: remove it from .env"
            )
        is_openrouter = name == "OPENROUTER_BASE_URL" and value == OPENROUTER_BASE_URL
        if not is_openrouter and not LOOPBACK.fullmatch(value):
            raise EnvironmentRefused(f"{name} must be an address of this machine: 127.0.0.1:PORT")
    _read_firebase_config(environ)


def _read_firebase_config(environ: Mapping[str, str]) -> dict[str, object]:
    """Read FIREBASE_CONFIG, which is JSON. Raises EnvironmentRefused."""
    try:
        config = json.loads(environ.get("FIREBASE_CONFIG") or "{}")
    except ValueError:
        config = None
    if not isinstance(config, dict):
        raise EnvironmentRefused("FIREBASE_CONFIG must be a JSON object: deploy again, or unset it")
    return config
