"""The envelope of a callable: what is read from a request and written into an answer. Pure."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import orjson

HTTP_STATUS: Final[Mapping[str, int]] = {
    "OK": 200,
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
}


class CallableError(Exception):
    """A failure the client is told of. A leaf fixes `status`, `reason`, `sentence`, `retryable`.

    `details` always carries `reason`, `retryable` and `traceId`, for the Android client reports
    every streamed error as INTERNAL and keeps only the details.
    """

    status: ClassVar[str] = "INTERNAL"
    reason: ClassVar[str] = "internal"
    sentence: ClassVar[str] = "Something went wrong on our side. Please try again."
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str | None = None,
        *,
        retry_after_seconds: float | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message or self.sentence)
        self.message = message or self.sentence
        self.retry_after_seconds = retry_after_seconds
        self.details = details

    def to_wire(self, trace_id: str) -> dict[str, Any]:
        """`{"status", "message", "details": {"reason", "retryable", "traceId", ...}}`"""
        details = {
            **self.details,
            "reason": self.reason,
            "retryable": self.retryable,
            "traceId": trace_id,
        }
        if self.retry_after_seconds is not None:
            details["retryAfterSeconds"] = self.retry_after_seconds
        return {"status": self.status, "message": self.message, "details": details}


class MalformedRequest(CallableError):
    status = "INVALID_ARGUMENT"
    reason = "malformed_request"
    sentence = "The request is not a callable request."


class BodyTooLarge(CallableError):
    status = "INVALID_ARGUMENT"
    reason = "body_too_large"
    sentence = "The request is too large."


class Overloaded(CallableError):
    status = "UNAVAILABLE"
    reason = "overloaded"
    sentence = "The service is busy. Please try again in a moment."
    retryable = True


# ASCII only: the JavaScript client drops a frame that holds a raw U+2028, without a word.
encode_text = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode


def encode(value: Any) -> bytes:
    """One line of ASCII JSON. Raises ValueError on NaN and infinities, TypeError on other types."""
    return encode_text(value).encode("ascii")


DEPTH_MAX: Final = 100  # lists and objects in one another; the interpreter gives up at a thousand

_UTF_8: Final = {"utf-8", "utf8", "us-ascii"}
_UTF_16: Final = {"utf-16", "utf-16le", "utf-16be"}
_INT64: Final = {
    "type.googleapis.com/google.protobuf.Int64Value": range(-(2**63), 2**63),
    "type.googleapis.com/google.protobuf.UInt64Value": range(2**64),
}


def encoding_of(method: str, content_type: str) -> str:
    """How the body is encoded. Raises MalformedRequest where it can not be a callable's."""
    if method != "POST":
        raise MalformedRequest(f"A callable is called with POST, not {method[:16]}.")
    media, _, parameters = content_type.partition(";")
    if media.strip().lower() != "application/json":
        raise MalformedRequest("A callable takes Content-Type: application/json.")
    charset = re.search(r"charset\s*=\s*\"?([\w-]+)", parameters, re.IGNORECASE)
    encoding = charset[1].lower() if charset else "utf-8"
    if encoding not in _UTF_8 | _UTF_16:
        raise MalformedRequest("A callable takes JSON in UTF-8.")
    return encoding


def parse_envelope(method: str, content_type: str, body: bytes | bytearray) -> Any:
    """The `data` of a callable request, 64-bit integer wrappers unwrapped.

    Raises MalformedRequest, saying what is wrong, where Node answers 400 or an HTML page.
    """
    encoding = encoding_of(method, content_type)
    try:
        if encoding in _UTF_16:
            body = body.decode(encoding).encode()
        envelope = orjson.loads(body)
    except ValueError:  # JSON that does not parse, bytes that are no UTF-8, lone surrogates, NaN
        raise MalformedRequest("The request body is not valid JSON.") from None
    if not isinstance(envelope, dict) or "data" not in envelope:
        raise MalformedRequest('The request body must be a JSON object with the key "data".')
    if len(envelope) > 1:
        raise MalformedRequest('The request body must have no key but "data".')
    data = envelope["data"]
    if b"@type" not in body and body.count(b"[") + body.count(b"{") <= DEPTH_MAX:
        return data  # neither a Long that Android wrapped, nor enough brackets to be too deep
    return _unwrap(data, DEPTH_MAX)


def _unwrap(value: Any, levels: int) -> Any:
    """`value` with its wrappers replaced in place: a body can hold millions of values."""
    if not isinstance(value, (list, dict)):
        return value
    if levels == 0:
        raise MalformedRequest(f"The request is nested deeper than {DEPTH_MAX} levels.")
    if isinstance(value, dict) and isinstance(value.get("@type"), str):
        allowed = _INT64.get(value["@type"])
        if allowed is not None:
            return _int64(value.get("value"), allowed)
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(item, (list, dict)):
            value[key] = _unwrap(item, levels - 1)
    return value


def _int64(value: Any, allowed: range) -> int:
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,20}", value):
        value = int(value)
    if type(value) is int and value in allowed:
        return value
    raise MalformedRequest("A 64-bit integer in the request has no decimal value of that size.")


_TRACE = re.compile(r"(?:00-)?([0-9a-f]{32})(?:[/-]|\Z)")


def trace_id_of(headers: Mapping[str, str]) -> str:
    """The trace id that Cloud Run put on the request, or a new one: 32 hexadecimal digits."""
    for name in ("x-cloud-trace-context", "traceparent"):
        if match := _TRACE.match(headers.get(name, "")):
            return match[1]
    return uuid.uuid4().hex
