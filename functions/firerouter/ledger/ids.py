"""The ids of generations, which follow from who asked and for what, and of documents. Pure."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any

from .. import limits


def generation_id(uid: str, request_id: str | None) -> str:
    """A hash of the user and the request's id, so that the same request finds its generation."""
    nonce = request_id if request_id is not None else secrets.token_hex(16)
    return hashlib.sha256(f"{uid}\0{nonce}".encode()).hexdigest()[:32]


def comparison_request(comparison_id: str, index: int) -> str:
    """The request's id of one model's part of a comparison."""
    return f"{comparison_id}.{index}"


def comparison_ids(comparison_id: str, uid: str) -> list[str]:
    """The generations that it may have, the judge's included."""
    parts = range(limits.COMPARED_MODELS_MAX + 1)
    return [generation_id(uid, comparison_request(comparison_id, index)) for index in parts]


def payload_hash(data: dict[str, Any]) -> str:
    """Tells requests apart: of everything the caller sent but the request's id."""
    payload = {name: value for name, value in data.items() if name != "requestId"}
    return hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()
