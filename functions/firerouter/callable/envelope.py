"""The envelope of a callable: how a request is parsed and a response is encoded. Pure."""

from __future__ import annotations

import codecs
import json
import re
import uuid
from collections.abc import Mapping
from typing import Any, ClassVar, Final, TypedDict

import orjson

from .limits import BodyLimits

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


class WireError(TypedDict):
    """A failure as clients get it."""

    status: str
    message: str
    reason: str
    details: dict[str, Any]  # any JSON, with `reason`, `message`, `retryable` and `traceId`


class CallableError(Exception):
    """A failure that is reported to the client.

    A leaf fixes `status`, `reason`, `retryable` and two sentences: `sentence` for users, and
    `admin_sentence` for admins if they can act; otherwise they get the user's. `details` always
    carries `reason`, `message`, `retryable` and `traceId`, because clients keep no more of every
    failure than its details: JavaScript's adds the HTTP status to the message, and Android's
    reports each streamed error as INTERNAL, with the entire error as its details.
    """

    status: ClassVar[str] = "INTERNAL"
    reason: ClassVar[str] = "internal"
    sentence: ClassVar[str] = "Something went wrong on our side. Please try again."
    admin_sentence: ClassVar[str] = ""
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str | None = None,
        *,
        retry_after_seconds: float | None = None,
        **details: Any,
    ) -> None:
        """Create a failure.

        Args:
            message: A sentence for users and admins alike, in place of the leaf's own.
            retry_after_seconds: When it is worth trying again.
            details: JSON values that programs may need.
        """
        super().__init__(message or self.sentence)
        self.message = message or self.sentence
        self.admin_message = message or self.admin_sentence or self.sentence
        self.retry_after_seconds = retry_after_seconds
        self.details = details
        self.admin_details: dict[str, Any] = {}  # told to admins beside `details`, to nobody else

    def to_wire(self, trace_id: str, *, for_admin: bool = False) -> WireError:
        """Return `{"status", "message", "reason", "details": {"reason", "message", ...}}`.

        `reason` is in both places: the Android client has either as the details of a failure.
        """
        message = self.admin_message if for_admin else self.message
        details = {
            **(self.admin_details if for_admin else {}),
            **self.details,
            "reason": self.reason,
            "message": message,
            "retryable": self.retryable,
            "traceId": trace_id,
        }
        if self.retry_after_seconds is not None:
            details["retryAfterSeconds"] = self.retry_after_seconds
        return {
            "status": self.status,
            "message": message,
            "reason": self.reason,
            "details": details,
        }


class MalformedRequest(CallableError):
    """The request doesn't follow the callable protocol. No client SDK sends one like it."""

    status = "INVALID_ARGUMENT"
    reason = "malformed_request"
    sentence = "This app sent a request that can't be read. Please update the app."


class BodyTooLarge(CallableError):
    """`details.limitBytes` says how large a body may be, or `limitValues` how many values it may
    have.
    """

    status = "INVALID_ARGUMENT"
    reason = "body_too_large"
    sentence = "This request is too large. Please send less at once."


class BodyTooSlow(CallableError):
    """The request took too long to arrive."""

    status = "DEADLINE_EXCEEDED"
    reason = "body_too_slow"
    sentence = "This request arrived too slowly. Please try again on a faster connection."
    retryable = True


class Overloaded(CallableError):
    """The instance holds as many request bodies, or files, as its memory allows."""

    status = "UNAVAILABLE"
    reason = "overloaded"
    sentence = "The service is busy. Please try again in a moment."
    retryable = True


DECODED_AT_ONCE_BYTES: Final = 64_000
DEPTH_MAX: Final = 100  # nested lists and objects; Python's own recursion limit is 1,000

# ASCII only: the JavaScript client silently drops a frame that holds a raw U+2028
_encode_text = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode

_UTF_8: Final = {"utf-8", "utf8", "us-ascii"}
_UTF_16: Final = {"utf-16", "utf-16le", "utf-16be"}
_INT64: Final = {
    "type.googleapis.com/google.protobuf.Int64Value": range(-(2**63), 2**63),
    "type.googleapis.com/google.protobuf.UInt64Value": range(2**64),
}


# possessive, so that no text of a caller's makes them go back and forth
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_FILE: Final = re.compile(rb'"[A-Za-z0-9+/=\\]{4096,}+"')  # base64, in which some clients escape /
_MARKS: Final = (b"{", b"[", b",")  # one before or after each value

# half of a character that takes two escapes, such as an emoji: JSON.stringify writes one for a text
# that was cut in the middle. No other encoding has it, and no parser but Python's own accepts it.
_HALF: Final = re.compile(
    rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD])[c-fC-F][0-9a-fA-F]{2})"
)
_TRACE: Final = re.compile(r"(?:00-)?([0-9a-f]{32})(?:[/-]|\Z)")


def encode(value: object) -> bytes:
    """Encode one line of ASCII JSON.

    Raises:
        ValueError: The value holds NaN or an infinity.
        TypeError: The value holds a type that JSON does not have.
    """
    return _encode_text(value).encode("ascii")


def encoding_of(method: str, content_type: str) -> str:
    """Return the body's encoding. Raises MalformedRequest if this cannot be a callable request."""
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


def parse_envelope(
    method: str, content_type: str, body: bytes | bytearray, limits: BodyLimits | None = None
) -> Any:
    """Return the `data` of a callable request, with 64-bit integers unwrapped.

    Args:
        method: The request's method.
        content_type: Its header of that name.
        body: Its body.
        limits: How large it may be. It is measured before it is parsed.

    Raises:
        MalformedRequest: The message says what is wrong; Node sends a bare 400 or an HTML page.
        BodyTooLarge: It has too many values, or too much beside its files.
    """
    encoding = encoding_of(method, content_type)
    try:
        if encoding in _UTF_16:
            body = _utf_8_of(body, encoding)
        if limits is not None:
            _measure(body, limits)
        try:
            envelope = orjson.loads(body)
        except ValueError:
            envelope = orjson.loads(_with_whole_characters(body))
    except ValueError:  # malformed JSON, NaN
        raise MalformedRequest("The request body is not valid JSON.") from None
    if not isinstance(envelope, dict) or "data" not in envelope:
        raise MalformedRequest('The request body must be a JSON object with the key "data".')
    if len(envelope) > 1:
        raise MalformedRequest('The request body must have no key other than "data".')
    data: object = envelope["data"]
    if b"@type" not in body and body.count(b"[") + body.count(b"{") <= DEPTH_MAX:
        return data  # neither a Long that Android wrapped, nor enough brackets to be too deep
    return _unwrap(data, DEPTH_MAX)


def _measure(body: bytes | bytearray, limits: BodyLimits) -> None:
    """Raises BodyTooLarge."""
    if len(body) > limits.text_max_bytes:
        files = sum(_file_bytes(body, *found.span()) for found in _FILE.finditer(body))
        if files > limits.files_max_bytes or len(body) - files > limits.text_max_bytes:
            most = limits.text_max_bytes
            beside = " beside its files" if limits.files_max_bytes else ""
            sentence = f"The request is larger than {most / 1_000_000:g} MB{beside}."
            raise BodyTooLarge(sentence, limitBytes=most)
    if _has_more_values(body, limits.values_max):
        sentence = f"The request has more than {limits.values_max:,} values."
        raise BodyTooLarge(sentence, limitValues=limits.values_max)


def _file_bytes(body: bytes | bytearray, begin: int, end: int) -> int:
    """Return the size of a file in a body; 0 for a text that has other escapes than base64 has."""
    escapes = body.count(b"\\", begin, end)
    return end - begin if escapes == body.count(b"\\/", begin, end) else 0


def _has_more_values(body: bytes | bytearray, most: int) -> bool:
    """Return whether a body has more values than that, or can only be malformed."""
    if sum(map(body.count, _MARKS)) <= most:
        return False  # even if those within strings counted, as in most bodies they may
    values, strings, at = 0, 0, 0
    while values <= most and strings <= 2 * most:  # an entry has two strings at most
        begin = body.find(b'"', at)
        end = begin if begin >= 0 else len(body)
        values += sum(body.count(mark, at, end) for mark in _MARKS)
        string = _STRING.match(body, begin) if begin >= 0 else None
        if string is None:
            return values > most
        at, strings = string.end(), strings + 1
    return True


def _utf_8_of(body: bytes | bytearray, encoding: str) -> bytes:
    """Return a text in UTF-8, a piece at a time.

    Each half character takes a call of Python's, while no other thread has its turn.
    """
    if encoding == "utf-16" and not body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16le"  # as browsers read it
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    starts = range(0, len(body), DECODED_AT_ONCE_BYTES)
    pieces = [decoder.decode(body[at : at + DECODED_AT_ONCE_BYTES]).encode() for at in starts]
    return b"".join([*pieces, decoder.decode(b"", True).encode()])


def _with_whole_characters(body: bytes | bytearray) -> bytes:
    """Return JSON with U+FFFD in place of half characters, as Node and browsers read them.

    Raises:
        ValueError: The body can't be JSON, as no JSON has this byte.
    """
    if b"\0" in body:
        raise ValueError
    # an escaped backslash is set apart: what follows it is no escape
    escaped = body.decode("utf-8", "replace").encode().replace(b"\\\\", b"\0")
    whole = bytearray(escaped)
    for half in _HALF.finditer(escaped):  # one by one: other threads have their turns in between
        whole[half.start() : half.end()] = b"\\ufffd"
    return bytes(whole.replace(b"\0", b"\\\\"))


def _unwrap(value: object, levels: int) -> object:
    """Replace the wrappers in a value, in place: a body can hold millions of values."""
    if not isinstance(value, (list, dict)):
        return value
    if levels == 0:
        raise MalformedRequest(f"The request is nested deeper than {DEPTH_MAX} levels.")
    if isinstance(value, dict) and isinstance(value.get("@type"), str):
        allowed = _INT64.get(value["@type"])
        if allowed is not None:
            return _int64(value.get("value"), allowed)
    container: Any = value  # a list's indexes are assigned to like an object's keys
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(item, (list, dict)):
            container[key] = _unwrap(item, levels - 1)
    return value


def _int64(value: object, allowed: range) -> int:
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,20}", value):
        value = int(value)
    if type(value) is int and value in allowed:
        return value
    raise MalformedRequest("A 64-bit integer in the request is malformed or out of range.")


def trace_id_of(headers: Mapping[str, str]) -> str:
    """Return the trace ID that Cloud Run put on the request, or a new one: 32 hex digits."""
    for name in ("x-cloud-trace-context", "traceparent"):
        if match := _TRACE.match(headers.get(name, "")):
            return match[1]
    return uuid.uuid4().hex
