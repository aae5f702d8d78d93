"""The table of failures, against every shape that OpenRouter and its providers send."""

import json
import math
import re
import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter import errors
from firerouter.errors import UpstreamError
from firerouter.openrouter import failures
from firerouter.openrouter.failures import TABLE, from_event, from_status
from tests.support.recordings import OURS

NOW = 1_775_300_000.0  # 2026-04-04T10:53:20Z
SHAPES = json.loads((OURS / "failures.json").read_text("utf-8"))
PATTERNS = [row.words for _, rows in TABLE for row in rows]


def read(shape: dict[str, Any]) -> UpstreamError:
    if shape["status"] is None:
        return from_event(shape["error"], now=NOW)
    return from_status(shape["status"], shape["error"], shape.get("headers", {}), now=NOW)


@pytest.mark.parametrize("shape", SHAPES, ids=[shape["kind"] for shape in SHAPES])
def test_each_shape_is_its_leaf(shape: dict[str, Any]) -> None:
    failure = read(shape)
    assert type(failure) is getattr(errors, shape["leaf"])
    assert failure.retry_after_seconds == shape.get("retryAfter")
    assert failure.affordable_tokens == shape.get("affordable")


@pytest.mark.parametrize("shape", SHAPES, ids=[shape["kind"] for shape in SHAPES])
def test_each_shape_is_the_same_in_an_event_with_its_status(shape: dict[str, Any]) -> None:
    if shape["status"] is not None and isinstance(shape["error"].get("code"), int):
        assert type(from_event(shape["error"], now=NOW)) is getattr(errors, shape["leaf"])


def test_no_two_shapes_have_the_same_name() -> None:
    assert set(Counter(shape["kind"] for shape in SHAPES).values()) == {1}


def test_the_earlier_column_decides() -> None:
    """Code, availability, type, message, raw: what stands in one says nothing against the next."""
    error: dict[str, Any] = {
        "code": "invalid_image",
        "availability": {"code": "privacy_restricted"},
        "message": "Developer instruction is not enabled",
        "metadata": {
            "error_type": "token_limit_exceeded",
            "raw": "prompt is too long: 9 tokens > 8 maximum",
        },
    }
    found = []
    for gone in ("code", "availability", "error_type", "message", "raw"):
        found.append(type(from_status(400, error, {})))
        error.pop(gone, None)
        error["metadata"].pop(gone, None)
    assert found == [
        errors.AttachmentRejected,
        errors.PrivacyExcludesAll,
        errors.NoCredit,
        errors.SystemRoleRejected,
        errors.ContextTooLong,
    ]
    assert type(from_status(400, error, {})) is errors.UpstreamRejected


def test_what_a_provider_repeats_of_the_request_does_not_decide() -> None:
    said = {"error": {"message": "Bad value"}, "input": "prompt is too long", "prompt": ["flagged"]}
    error = {"message": "Provider returned error", "metadata": {"raw": json.dumps(said)}}
    failure = from_status(400, error, {})
    assert type(failure) is errors.UpstreamRejected
    assert failure.unredacted == "Provider returned error; Bad value"


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_is_read_in_no_time_whatever_is_written(pattern: str) -> None:
    for piece in ("prompt ", "model x", "image is ", "max_tokens: 1", "a", "(", "system "):
        begins = time.perf_counter()
        re.search(pattern, piece * (failures.TEXT_MAX_CHARS // len(piece) + 1))
        assert time.perf_counter() - begins < 0.5


def test_what_is_read_has_bounds() -> None:
    deep: Any = {"message": "too deep"}
    for _ in range(50):
        deep = {"error": deep}
    many = [{"message": f"number {n}"} for n in range(1_000)]
    long = {"message": "x" * 1_000_000}
    for raw in (deep, many, long, json.dumps(many), "[" * 100_000, "x" * 1_000_000):
        failure = from_status(400, {"message": "m", "metadata": {"raw": raw}}, {})
        assert type(failure) is errors.UpstreamRejected
        most = failures.TEXTS_MAX * (failures.TEXT_MAX_CHARS + 2)
        assert len(failure.unredacted) <= most + failures.TEXT_MAX_CHARS


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
METADATA = (
    *("error_type", "reason", "reasons", "limit_source", "headers", "raw", "remedy_hint"),
    *("availability", "provider_code", "patterns"),
)
ODD = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("code", "message", "type"), JSON),
        "availability": st.fixed_dictionaries(
            {}, optional=dict.fromkeys(("code", "retryable", "retry_after"), JSON)
        ),
        "metadata": JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(METADATA, JSON)),
    },
)


@given(status=st.integers(0, 999), body=JSON | ODD, header=st.none() | st.text())
def test_no_shape_however_odd_raises(status: int, body: object, header: str | None) -> None:
    headers = {} if header is None else {"retry-after": header}
    for failure in (from_status(status, body, headers), from_event(body)):
        assert isinstance(failure, UpstreamError)
        after = failure.retry_after_seconds
        assert after is None or (math.isfinite(after) and 0 <= after <= failures.RETRY_AFTER_MAX_S)
        assert isinstance(failure.unredacted, str)
