"""The ids of generations, which are derived from the user and the request. Pure."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping

from .. import limits


def generation_id(uid: str, request_id: str | None) -> str:
    """Return the id of a user's generation. A repeated request has the same one.

    Args:
        uid: The user.
        request_id: The request's idempotency key; without one, each call is a new generation.
    """
    nonce = request_id if request_id is not None else secrets.token_hex(16)
    return hashlib.sha256(f"{uid}\0{nonce}".encode()).hexdigest()[:32]


def comparison_request(comparison_id: str, index: int) -> str:
    """Return the request id of one model's answer within a comparison."""
    return f"{comparison_id}.{index}"


def comparison_ids(comparison_id: str, uid: str) -> list[str]:
    """Return the ids of all generations that a comparison may have, the judge's included."""
    indexes = range(limits.COMPARED_MODELS_MAX + 1)
    return [generation_id(uid, comparison_request(comparison_id, index)) for index in indexes]


def payload_hash(data: Mapping[str, object]) -> str:
    """Return a hash of everything that a caller sent, except the request id and null fields."""
    payload = {n: value for n, value in data.items() if n != "requestId" and value is not None}
    return hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()
