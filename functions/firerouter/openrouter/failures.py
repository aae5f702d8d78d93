"""Maps every failure that OpenRouter reports to one leaf of the error tree.

OpenRouter reports failures with an HTTP status, an `error` object inside a 200, or a finish reason.
Other failures are raised by the modules that notice them: a connection that breaks or stays silent,
an answer that is malformed, empty, cut off or too long.

`TABLE` is read from top to bottom, and the first row that fits decides. Its columns are in the
order in which they can be trusted: a code that can only mean one thing, the availability of the
model, the limit that was reached, the type of the error, its message, and what the provider wrote
(`raw`); only then codes and types that mean many things, and the status.

Sources: OpenRouter's "errors" and "limits" pages and publicly recorded error bodies. Enums are
open: what no row knows falls to its status, and an unknown status to its class. Messages are never
passed on but to admins, after `redaction`.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, Literal, NamedTuple

from ..contract import parse_json
from ..errors import (
    AttachmentRejected,
    BudgetReached,
    ContextTooLong,
    CreditBusy,
    CutAtLength,
    FreeDailyLimit,
    KeyInvalid,
    KeyLimitReached,
    MaxTokensTooHigh,
    ModelNotFound,
    Moderated,
    NoCredit,
    NoProvider,
    PrivacyExcludesAll,
    RateLimited,
    RoutingExcludesAll,
    SystemRoleRejected,
    UpstreamBusy,
    UpstreamError,
    UpstreamForbidden,
    UpstreamRejected,
    UpstreamTimeout,
)
from .json_fields import Json, as_list, as_object

RETRY_AFTER_MAX_S: Final = 86_400.0  # the longest wait that a client is told
TEXT_MAX_CHARS: Final = 500  # read of a message, and of each text of a provider
TEXTS_MAX: Final = 6  # read of what a provider wrote
RAW_MAX_CHARS: Final = 100_000  # of what a provider wrote, to be parsed
RAW_DEPTH_MAX: Final = 4  # how deep it is looked into

Column = Literal[
    "code",
    "availability",
    "retryable",
    "limit",
    "type",
    "message",
    "fields",
    "raw",
    "raw_code",
    "status",
]


class Row(NamedTuple):
    """One row of the table.

    Attributes:
        leaf: What the failure is.
        words: A regular expression, in lower case: for the whole of a code, type or status, or for
            a part of what is longer.
        statuses: The statuses that it is for; empty if the status does not matter.
    """

    leaf: type[UpstreamError]
    words: str
    statuses: frozenset[int] = frozenset()


REFUSED: Final = frozenset({400, 413, 415, 422, 500, 502, 503})  # by a provider, however it says so
BLOCKED: Final = REFUSED | {403, 451}
SPENT: Final = frozenset({402, 403})
NOT_OFFERED: Final = frozenset({400, 404, 503})

_FILE: Final = "(image|file|audio|video|pdf|document)"
_SYSTEM: Final = r"['\"]?(system|developer)['\"]?"
_NOT: Final = r"(is |are )?(not|un)[ -]?(enabled|supported|allowed)"

CODES: Final = (
    Row(
        ContextTooLong,
        "((model_)?context_(length|window)|(prompt|input)_tokens)_exceeded|string_too_long"
        "|string_above_max_length|(prompt|input)_too_long|(payload|request)_too_large",
    ),
    Row(CutAtLength, "max_((output|completion)_)?tokens(_exceeded)?"),
    Row(NoCredit, "token_limit_exceeded|insufficient_credits?"),
    Row(
        AttachmentRejected,
        rf"(invalid|unsupported|empty)_(base64_)?{_FILE}(_\w+)?"
        rf"|{_FILE}_(too_(large|small|long)|download_failed|not_found|parse_error|unreadable)",
    ),
    Row(
        Moderated,
        r"(image_)?content_policy(_violation)?|refusal|content_filter(ed)?|moderation(_blocked)?"
        "|moderated|prohibited_content|responsibleaipolicyviolation|data_?inspection_?failed",
    ),
    Row(ModelNotFound, "model_(not_found|decommissioned|deprecated)"),
)

TEXTS: Final = (
    Row(FreeDailyLimit, "free-models-per-day", frozenset({429, 502})),
    Row(CreditBusy, "in-flight", frozenset({402})),
    Row(
        KeyLimitReached,
        r"\bkey limit|limit (of|for|on) (this|the|your) (api )?key|\bkey has (reached|exceeded)"
        "|/settings/keys",
        SPENT,
    ),
    Row(
        BudgetReached,
        "(guardrail|workspace|organization|member)('s)? budget|budget exceeded",
        SPENT,
    ),
    Row(
        SystemRoleRejected,
        rf"{_SYSTEM}[ _](instruction|role|prompt|message)s? {_NOT}"
        rf"|(not|n't) support (the )?{_SYSTEM}(?!\w)|role:? {_SYSTEM} {_NOT}"
        rf"|invalid role:? {_SYSTEM}",
        REFUSED,
    ),
    Row(
        ContextTooLong,
        "context[ _](length|window|limit|size)|maximum model length"
        "|(prompt|input|request|message|conversation|text)s? (is |are |entity )?too (long|large)"
        "|too many (input |prompt )?tokens|reduce (the|your) (length|prompt|input|messages)"
        r"|maximum (number of|allowed) (input )?tokens(?! (for|in) (the )?(output|completion))"
        "|(input|prompt) token count|range of input length|model token limit"
        "|tokens in request more than|(input|prompt)[^.]{0,40} (exceeds|longer than)",
        REFUSED,
    ),
    Row(
        MaxTokensTooHigh,
        r"max_(completion_|output_|new_)?tokens\W{0,3}(is|are|must|should|can|exceeds|\d+ ?>)"
        "(?!.{0,60}(at least|minimum|greater than or equal|positive))"
        "|maximum (allowed )?number of output tokens",
        REFUSED,
    ),
    Row(
        Moderated,
        r"\bflagged\b|content[ _](management )?(polic|filter)|usage (polic|guideline)"
        "|safety (system|filter|setting|reason|polic)|prohibited[ _](content|use)"
        "|inappropriate content|content exists risk|sensitive (content|information|word)"
        "|(request|prompt|input|content|message|response|output) (was |is |has been )?blocked"
        "|prompt injection|requires moderation",
        BLOCKED,
    ),
    Row(
        AttachmentRejected,
        "(could not|cannot|can't|couldn't|unable to|failed to|error while) "
        "(process|decod|read|pars|load|open|identify|download|fetch)(e|ing)?"
        rf"( the| your| this| an?| input| provided)* {_FILE}"
        rf"|(invalid|unsupported|corrupt(ed)?|empty) (input )?(base64 )?({_FILE}|media|mime)"
        rf"|{_FILE}\b[^.]{{0,60}} (exceeds?|too (large|big|small|many)|password|not supported"
        "|unsupported|invalid|corrupt)",
        REFUSED,
    ),
    Row(
        PrivacyExcludesAll,
        "data polic|guardrail restriction|privacy setting|/settings/privacy|data retention",
        NOT_OFFERED,
    ),
    Row(
        RoutingExcludesAll,
        "allowed providers|providers? (have|has) been ignored|routing requirements"
        "|requested providers|provider preferences",
        NOT_OFFERED,
    ),
    Row(
        ModelNotFound,
        r"not a valid model|no endpoints found for \S+$|unknown model|no such model"
        r"|\bmodel\b.{0,80} (not found|not exist|no longer|deprecated|decommissioned|retired)",
        frozenset({400, 404}),
    ),
    Row(NoProvider, "no (allowed |available )?(endpoint|provider)s?", frozenset({404})),
    Row(
        RateLimited,
        r"rate[ -]limit|too many requests|resource[ _]exhausted|quota exceeded",
        frozenset({500, 502, 503}),
    ),
)

BROAD: Final = (
    Row(UpstreamRejected, "invalid_(request(_error)?|prompt)|precondition_failed|unprocessable"),
    Row(KeyInvalid, "authentication"),
    Row(NoCredit, "payment_required"),
    Row(UpstreamForbidden, "permission_(denied|error)"),
    Row(ModelNotFound, "not_found"),
    Row(RateLimited, "rate_limit(_exceeded|_error|ed)|too_many_requests|resource_exhausted"),
    Row(UpstreamBusy, "server|unmapped|provider_(unavailable|overloaded)|overloaded(_error)?"),
    Row(UpstreamTimeout, "timeout"),
)

TABLE: Final[tuple[tuple[Column, tuple[Row, ...]], ...]] = (
    ("code", CODES),
    (
        "availability",
        (
            Row(PrivacyExcludesAll, "privacy_restricted"),
            Row(RoutingExcludesAll, "constraint_filtered"),
            Row(NoProvider, "no_endpoints"),
            Row(ModelNotFound, "model_not_found"),
        ),
    ),
    ("retryable", (Row(UpstreamBusy, "true", NOT_OFFERED),)),
    (
        "limit",
        (
            Row(CreditBusy, "in_flight_budget", frozenset({402})),
            Row(KeyLimitReached, r"\w+_key_limit", SPENT),
            Row(BudgetReached, r"openrouter_\w+_budget", SPENT),
            Row(FreeDailyLimit, "free_tier_daily", frozenset({429})),
        ),
    ),
    ("type", CODES),
    ("message", TEXTS),
    (
        "fields",
        (
            Row(Moderated, r"\b(flagged_input|reasons|patterns)\b", frozenset({400, 403})),
            Row(RoutingExcludesAll, r"\b(available|requested)_providers\b", frozenset({404})),
            # of a key of the owner's own, which the provider refuses
            Row(UpstreamForbidden, r"\braw\b", frozenset({401})),
        ),
    ),
    ("raw", TEXTS),
    ("raw_code", CODES),
    ("code", BROAD),
    ("type", BROAD),
    (
        "status",
        (
            Row(KeyInvalid, "401"),
            Row(NoCredit, "402"),
            Row(UpstreamForbidden, "403"),
            Row(ModelNotFound, "404|410"),
            Row(ContextTooLong, "413"),
            Row(UpstreamTimeout, "408|504|524"),
            Row(RateLimited, "429"),
            Row(UpstreamBusy, "499"),
            Row(UpstreamRejected, r"4\d\d"),
            Row(UpstreamBusy, ".*"),
        ),
    ),
)
_PARTS: Final = frozenset({"limit", "message", "fields", "raw"})  # columns that rows fit a part of

BY_FINISH_REASON: Final[Mapping[str, type[UpstreamError]]] = {
    "error": UpstreamBusy,  # a provider failed while answering
}


def from_status(
    status: int, body: object, headers: Mapping[str, str], *, now: float | None = None
) -> UpstreamError:
    """Return the failure behind an HTTP status.

    Args:
        status: The status.
        body: The `error` object of the body, or text, or None.
        headers: The headers of the response.
        now: The current time, in seconds since the epoch.
    """
    error = as_object(body)
    if isinstance(body, str) and not body.lstrip().startswith("<"):  # not a page of HTML
        error = {"message": body}
    return _failure(status, error, headers, time.time() if now is None else now)


def from_event(error: object, *, now: float | None = None) -> UpstreamError:
    """Return the failure in an `error` object inside a 200, in JSON or as an event."""
    if isinstance(error, str):
        error = {"message": error}
    if not isinstance(error, dict):
        return UpstreamBusy()
    code = error.get("code")
    if isinstance(code, str) and re.fullmatch(r"[1-5][0-9]{2}", code):
        code = int(code)
    # without a status, a provider failed, with the code "server_error" for example
    status = code if isinstance(code, int) and 100 <= code < 600 else 502
    return _failure(status, error, {}, time.time() if now is None else now)


def from_finish_reason(reason: str) -> UpstreamError | None:
    """Return the failure that a finish reason means; None if it is not a failure."""
    leaf = BY_FINISH_REASON.get(reason)
    return leaf() if leaf else None


@dataclass(frozen=True, slots=True)
class Clues:
    """What the columns of the table say of one failure, in lower case. Empty: nothing.

    Attributes:
        texts: What OpenRouter and the provider wrote, as they wrote it.
    """

    columns: Mapping[Column, str]
    texts: tuple[str, ...]

    @classmethod
    def of(cls, status: int, error: Json) -> Clues:
        metadata = as_object(error.get("metadata"))
        available = as_object(error.get("availability")) or as_object(metadata.get("availability"))
        message, *rest = [*_texts(error.get("message"), 0), ""]
        raw = [*rest, *_texts(metadata.get("raw"), 0), *_texts(metadata.get("provider_code"), 0)]
        hints = [
            *_texts(metadata.get("remedy_hint"), 0),
            *_texts(available.get("code"), 0),
            *_texts(metadata.get("reasons"), 0),
        ]
        columns: dict[Column, str] = {
            "code": _word(error.get("code")) or _word(error.get("type")),
            "availability": _word(available.get("code")),
            "retryable": _word(available.get("retryable")),
            "limit": f"{_word(metadata.get('limit_source'))} {_word(metadata.get('reason'))}",
            "type": _word(metadata.get("error_type")),
            "message": message,
            "fields": " ".join(name for name in metadata if metadata[name]),
            "raw": "\n".join(raw[:TEXTS_MAX]),
            "raw_code": "\n".join(raw[:TEXTS_MAX]),
            "status": str(status),
        }
        texts = tuple(text for text in dict.fromkeys((message, *raw[:TEXTS_MAX], *hints)) if text)
        return cls({name: text.lower() for name, text in columns.items()}, texts)


def leaf_of(status: int, clues: Clues) -> type[UpstreamError]:
    """Return what a failure is: the first row that fits."""
    for column, rows in TABLE:
        text = clues.columns[column].strip()
        for row in rows if text else ():
            words = row.words if column in _PARTS else f"^({row.words})$"
            fits = not row.statuses or status in row.statuses
            if fits and re.search(words, text, re.MULTILINE):
                return row.leaf
    return UpstreamBusy


def _failure(status: int, error: Json, headers: Mapping[str, str], now: float) -> UpstreamError:
    clues = Clues.of(status, error)
    failure = leaf_of(status, clues)(
        retry_after_seconds=_retry_after(headers, error, now), upstreamStatus=status
    )
    failure.file_annotations = as_object(error.get("metadata")).get("file_annotations")
    failure.unredacted = "; ".join(clues.texts)
    afford = re.search(r"can only afford ([0-9]{1,9})\b", clues.columns["message"])
    if afford and status == 402:
        failure.affordable_tokens = int(afford[1])
    return failure


# -- reading one -----------------------------------------------------------------------------------

_SAYS: Final = ("message", "msg", "error", "errors", "detail", "details", "title", "description")
_CALLS: Final = ("code", "type", "status", "reason")  # what it calls the failure


def _texts(value: object, depth: int) -> Iterator[str]:
    """Yield the texts that say what went wrong: of a text, or of JSON, which may be in a text.

    Not all of it is looked at: providers repeat the request in what they write.
    """
    if isinstance(value, str):
        parsed = _parsed(value) if depth < RAW_DEPTH_MAX else None
        if parsed is not None:
            yield from _texts(parsed, depth + 1)
        elif text := value.strip()[:TEXT_MAX_CHARS]:
            yield text
    elif depth >= RAW_DEPTH_MAX:
        return
    elif isinstance(value, dict):
        for name in _SAYS:
            yield from _texts(value.get(name), depth + 1)
        for name in _CALLS:
            if isinstance(word := value.get(name), str) and word:
                yield word[:TEXT_MAX_CHARS]
    else:
        for item in as_list(value)[:TEXTS_MAX]:
            yield from _texts(item, depth + 1)


def _parsed(text: str) -> Json | list[object] | None:
    """Return the JSON object or array that a text is; None if it is none."""
    if not text.lstrip().startswith(("{", "[")) or len(text) > RAW_MAX_CHARS:
        return None
    try:
        value = parse_json(text.encode("utf-8", "replace"), lenient=True)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def _word(value: object) -> str:
    if isinstance(value, bool):
        return str(value)
    return value[:TEXT_MAX_CHARS] if isinstance(value, str) else ""


def _retry_after(headers: Mapping[str, str], error: Json, now: float) -> float | None:
    """Return the seconds to wait: as the header says, or else until the rate limit resets."""
    metadata = as_object(error.get("metadata"))
    nested = as_object(metadata.get("headers"))
    available = as_object(error.get("availability")) or as_object(metadata.get("availability"))
    seconds = _number(headers.get("retry-after"))
    if seconds is None:
        seconds = _until(headers.get("retry-after"), now)
    if seconds is None:
        seconds = _number(available.get("retry_after"))
    if seconds is None:
        reset = _number(nested.get("X-RateLimit-Reset"))  # milliseconds since the epoch
        seconds = None if reset is None else reset / 1000 - now
    if seconds is None or seconds < 0:
        return None
    return math.ceil(min(seconds, RETRY_AFTER_MAX_S) * 10) / 10


def _until(date: str | None, now: float) -> float | None:
    """Return the seconds until an HTTP date, in any of its three forms; None if it is none."""
    try:
        at = parsedate_to_datetime(date or "")
        if at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        return at.timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return None


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
