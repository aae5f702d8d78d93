"""Structured logs: one JSON object a line, as Cloud Logging reads them.

Only fields that are passed by name are written: never a request body, a header, a token or an
exception's text, all of which may contain secrets.
"""

from __future__ import annotations

import json
import os
import sys
import traceback


def info(event: str, **fields: object) -> None:
    """Log what may be of interest later."""
    _write("INFO", event, fields)


def warning(event: str, **fields: object) -> None:
    """Log what somebody should look into eventually."""
    _write("WARNING", event, fields)


def error(event: str, **fields: object) -> None:
    """Log what somebody has to act on."""
    _write("ERROR", event, fields)


def unexpected(error_: BaseException, trace_id: str) -> None:
    """Log where an unexpected exception came from: its type and stack, but not its text."""
    frames = traceback.extract_tb(error_.__traceback__)
    error(
        "unexpected",
        trace=trace_id,
        type=type(error_).__name__,
        cause=type(error_.__cause__).__name__ if error_.__cause__ else None,
        at=[f"{os.path.basename(f.filename)}:{f.lineno} {f.name}" for f in frames[-12:]],
    )


def _write(severity: str, event: str, fields: dict[str, object]) -> None:
    trace = fields.pop("trace", None)
    line = {"severity": severity, "message": event, **fields}
    if trace:
        project = os.environ.get("GCLOUD_PROJECT") or os.environ.get("GOOGLE_CLOUD_PROJECT", "")
        line["logging.googleapis.com/trace"] = f"projects/{project}/traces/{trace}"
    sys.stdout.write(json.dumps(line, default=str) + "\n")
    sys.stdout.flush()
