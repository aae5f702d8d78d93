"""The gate of the local endpoints: which addresses this process may be told to talk to.

Where the emulator suite runs it, the stand-ins' addresses are taken from the environment, loopback
ones only; anywhere else their mere presence keeps the process from starting, for a stray
`functions/.env` is uploaded by a deploy.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final

OPENROUTER_BASE_URL: Final = "https://openrouter.ai/api/v1"
# API_ENDPOINT_OVERRIDE is one that Cloud Storage's client reads for itself
OVERRIDES: Final = frozenset({"OPENROUTER_BASE_URL", "API_ENDPOINT_OVERRIDE"})
# matched whole and not parsed: parsers of URLs disagree about what the host of an odd one is
LOOPBACK: Final = re.compile(
    r"(http://)?(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?(/[\w./-]*)?", re.ASCII | re.IGNORECASE
)


class EnvironmentRefused(RuntimeError):
    """A variable that may only be set in the emulator suite is set here, or points elsewhere."""


def check_environment(environ: Mapping[str, str] = os.environ) -> None:
    """Raises EnvironmentRefused, naming the variable. Reads nothing but `environ`.

    Cloud Run sets K_CONFIGURATION, which an uploaded `.env` can not (firebase-tools reserves it):
    so no such file can make production look like the emulator.
    """
    deployed = "K_CONFIGURATION" in environ
    if deployed and "FUNCTIONS_EMULATOR" in environ:
        raise EnvironmentRefused("FUNCTIONS_EMULATOR is set in production: remove it from .env")
    local = bool(environ.get("FUNCTIONS_EMULATOR"))
    for name, value in environ.items():
        if not name.endswith("_EMULATOR_HOST") and name not in OVERRIDES:
            continue
        if not local:
            raise EnvironmentRefused(
                f"{name} is set, but no emulator suite runs this process: remove it from .env"
            )
        real = name == "OPENROUTER_BASE_URL" and value == OPENROUTER_BASE_URL
        if not real and not LOOPBACK.fullmatch(value):
            raise EnvironmentRefused(f"{name} must be an address of this machine: 127.0.0.1:PORT")
