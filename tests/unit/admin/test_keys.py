"""What an admin is told of a key, and what OpenRouter said of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from firerouter import limits
from firerouter.admin.keys import warnings
from firerouter.contract import admin
from firerouter.contract.admin import RemoveKey, SetKey
from firerouter.contract.base import parse
from firerouter.errors import InvalidArgument, UpstreamMalformed
from firerouter.openrouter.key_report import KeyReport, read_key_report

NOW = datetime(2026, 11, 22, 5, tzinfo=UTC)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
FIELDS = (
    *("usage", "usage_daily", "limit", "limit_remaining", "limit_reset", "expires_at"),
    *("is_free_tier", "is_management_key", "free_model_daily_requests"),
)


def report(**data: Any) -> KeyReport:
    return read_key_report({"data": data})


def reasons(**data: Any) -> list[str]:
    return [warning["reason"] for warning in warnings(report(**data), NOW)]


def in_days(days: float) -> str:
    return (NOW + timedelta(days=days)).isoformat()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, []),
        ({"limit": 10, "limit_remaining": 9.75}, []),
        ({"limit": None, "limit_remaining": None}, []),
        ({"is_free_tier": True}, ["free_tier"]),
        ({"limit_remaining": 1}, []),
        ({"limit_remaining": 0.99}, ["low_limit"]),
        ({"limit_remaining": 0.01}, ["low_limit"]),
        ({"expires_at": in_days(8)}, []),
        ({"expires_at": in_days(6.9)}, ["expires_soon"]),
        ({"expires_at": "2026-11-23T00:00:00Z"}, ["expires_soon"]),
        ({"expires_at": "2026-11-23"}, ["expires_soon"]),
        ({"expires_at": "some day"}, []),
        (
            {"is_free_tier": True, "limit_remaining": 0.4, "expires_at": in_days(1)},
            ["free_tier", "low_limit", "expires_soon"],
        ),
    ],
)
def test_an_admin_is_warned_of(data: dict[str, Any], expected: list[str]) -> None:
    assert reasons(**data) == expected


def test_a_warning_is_a_sentence_with_the_amount() -> None:
    (low,) = warnings(report(limit_remaining=0.4), NOW)
    assert low["message"] == "Only $0.40 of the key's limit is left."


@pytest.mark.parametrize("document", [None, [], "x", {}, {"data": None}, {"data": []}])
def test_an_answer_that_is_no_report_is_malformed(document: Any) -> None:
    with pytest.raises(UpstreamMalformed):
        read_key_report(document)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, ANY)))
def test_whatever_openrouter_says_of_a_key_can_be_told(data: dict[str, Any]) -> None:
    found = report(**data)
    assert isinstance(warnings(found, NOW), list)
    for amount in (found.usage_usd, found.limit_usd, found.limit_remaining_usd):
        assert amount is None or amount - amount == 0  # neither NaN nor infinite


def test_the_request_does_not_show_its_key() -> None:
    request = parse(SetKey, {"key": " sk-or-v1-canary \n"})
    assert request.key == "sk-or-v1-canary"
    assert "canary" not in repr(request)
    assert "canary" not in str(request)


@pytest.mark.parametrize(
    ("shape", "data", "field"),
    [
        (SetKey, {"key": "sk-or-v1-canary", "position": limits.KEYS_MAX + 1}, "position"),
        (SetKey, {"key": "sk-or-v1-canary", "feature": "no name"}, "feature"),
        (RemoveKey, {"position": 0}, "position"),
        (RemoveKey, {"key": "sk-or-v1-canary"}, "key"),
        (admin.TestConnection, {"key": "sk-or-v1-canary", "position": 1}, "key"),
        (admin.TestConnection, {"key": "sk-or-v1-canary", "feature": "chat"}, "key"),
    ],
)
def test_a_place_that_can_be_none_is_refused_by_name(
    shape: type[BaseModel], data: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse(shape, data)
    assert refused.value.details["field"] == field
    assert "canary" not in str(refused.value)
