"""The error tree, and that every failure of OpenRouter is one leaf of it."""

import json
import math
import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import openrouter
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openrouter.components.apierrortype import APIErrorType

from firerouter import errors
from firerouter.callable import HTTP_STATUS, BodyTooLarge, CallableError, MalformedRequest
from firerouter.errors import (
    AttachmentRejected,
    BudgetReached,
    ContextTooLong,
    CreditBusy,
    CutAtLength,
    FreeDailyLimit,
    KeyInvalid,
    KeyLimitReached,
    ModelNotFound,
    Moderated,
    NoCredit,
    NoProvider,
    OutOfTime,
    PrivacyExcludesAll,
    RateLimited,
    RoutingExcludesAll,
    UpstreamBusy,
    UpstreamError,
    UpstreamForbidden,
    UpstreamRejected,
    UpstreamSilent,
    UpstreamTimeout,
)
from firerouter.openrouter.failures import (
    from_event,
    from_finish_reason,
    from_status,
)
from tests.support.recordings import either

BODIES = either("errors.json", "errors/openrouter-error-bodies.json")
TRACE = "0" * 32
NOW = 1_775_300_000.0  # 2026-04-04T10:53:20Z
CLASSES = {"Refused", "NotConfigured", "Unavailable", "UpstreamError"}


def _tree(kind: type[CallableError]) -> list[type[CallableError]]:
    below = [leaf for child in kind.__subclasses__() for leaf in _tree(child)]
    return [kind, *below] if kind.__module__.startswith(errors.__name__) else below


LEAVES = sorted(
    {kind for kind in _tree(CallableError) if kind.__name__ not in CLASSES},
    key=lambda kind: kind.__name__,
)
UPSTREAM = [leaf for leaf in LEAVES if issubclass(leaf, UpstreamError)]


# -- the tree --------------------------------------------------------------------------------------


def test_the_tree_is_found() -> None:
    assert len(LEAVES) >= 40
    assert {*LEAVES} >= {errors.KeyInvalid, errors.AlreadyRunning, errors.LedgerUnavailable}


@pytest.mark.parametrize("leaf", LEAVES)
def test_a_leaf_has_a_callable_status(leaf: type[CallableError]) -> None:
    assert leaf.status in HTTP_STATUS
    # iOS drops message and details of an INTERNAL error, and OK is none
    assert leaf.status not in {"OK", "INTERNAL"}


@pytest.mark.parametrize("leaf", LEAVES)
def test_a_leaf_says_what_is_wrong_in_a_sentence_or_two(leaf: type[CallableError]) -> None:
    assert re.fullmatch(r"[A-Z][^.!?]*\.( [A-Z][^.!?]*\.)?", leaf.sentence), leaf.sentence
    assert leaf.sentence != CallableError.sentence


@pytest.mark.parametrize("leaf", LEAVES)
def test_a_leaf_has_a_reason_for_programs(leaf: type[CallableError]) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", leaf.reason)
    assert leaf.reason != CallableError.reason


def test_no_two_leaves_share_a_reason_but_one_below_the_other() -> None:
    reasons = [leaf.reason for leaf in LEAVES if "reason" in vars(leaf)]
    assert len(reasons) == len(set(reasons))
    assert UpstreamSilent.reason == OutOfTime.reason == UpstreamTimeout.reason
    for leaf in LEAVES:
        below = [kind for kind in LEAVES if issubclass(kind, leaf)]
        assert {kind.reason for kind in below} == {leaf.reason}
        assert {kind.sentence for kind in below} == {leaf.sentence}, "users are told the same"


@pytest.mark.parametrize("leaf", LEAVES)
def test_a_leaf_is_drawn_in_the_tree_under_its_class(leaf: type[CallableError]) -> None:
    drawn = str(errors.__doc__)
    assert re.search(rf"\b{leaf.__name__}\b", drawn)
    (parent,) = [kind.__name__ for kind in leaf.__mro__ if kind.__name__ in CLASSES]
    after = [drawn.index(f"      {name} ") for name in CLASSES if name != parent]
    place = re.search(rf"\b{leaf.__name__}\b", drawn)
    assert place is not None
    begin = drawn.index(f"      {parent} ")
    end = min([other for other in after if other > begin], default=len(drawn))
    assert begin < place.start() < end


def test_the_tree_draws_no_leaf_that_is_not_there() -> None:
    drawn = str(errors.__doc__).split("CallableError\n", 1)[1].split("`status`")[0]
    names = set(re.findall(r"\b[A-Z][a-z]+[A-Z]\w+\b", drawn))
    known = {leaf.__name__ for leaf in LEAVES} | CLASSES
    assert names - known <= {"OpenRouter"}


@pytest.mark.parametrize("leaf", [*LEAVES, MalformedRequest, BodyTooLarge])
def test_the_details_always_say_reason_retryable_and_trace(leaf: type[CallableError]) -> None:
    wire = leaf(field="x", reason_="y").to_wire(TRACE)
    assert wire["status"] == leaf.status
    assert wire["message"] == leaf.sentence
    assert wire["details"]["reason"] == leaf.reason
    assert wire["details"]["retryable"] is leaf.retryable
    assert wire["details"]["traceId"] == TRACE
    assert wire["details"]["field"] == "x"
    json.dumps(wire, allow_nan=False)


@pytest.mark.parametrize("leaf", UPSTREAM)
def test_what_may_be_tried_again_by_us_is_retryable_for_the_caller(
    leaf: type[UpstreamError],
) -> None:
    assert leaf.retryable or not leaf.another_try


# -- the table of failures -------------------------------------------------------------------------

STATUSES = {
    400: UpstreamRejected,
    401: KeyInvalid,
    402: NoCredit,
    403: UpstreamForbidden,
    404: ModelNotFound,
    408: UpstreamTimeout,
    409: UpstreamRejected,
    410: ModelNotFound,
    412: UpstreamRejected,
    413: ContextTooLong,
    422: UpstreamRejected,
    429: RateLimited,
    499: UpstreamBusy,
    500: UpstreamBusy,
    502: UpstreamBusy,
    503: UpstreamBusy,
    504: UpstreamTimeout,
    524: UpstreamTimeout,
    529: UpstreamBusy,
}
TYPES = {  # as OpenRouter documents them, with the status that each comes with
    "invalid_request": (400, UpstreamRejected),
    "invalid_prompt": (400, UpstreamRejected),
    "context_length_exceeded": (400, ContextTooLong),
    "max_tokens_exceeded": (400, CutAtLength),
    "token_limit_exceeded": (400, NoCredit),
    "string_too_long": (400, ContextTooLong),
    "invalid_image": (400, AttachmentRejected),
    "image_too_large": (400, AttachmentRejected),
    "image_too_small": (400, AttachmentRejected),
    "unsupported_image_format": (400, AttachmentRejected),
    "image_download_failed": (400, AttachmentRejected),
    "authentication": (401, KeyInvalid),
    "payment_required": (402, NoCredit),
    "permission_denied": (403, UpstreamForbidden),
    "content_policy_violation": (403, Moderated),
    "refusal": (403, Moderated),
    "not_found": (404, ModelNotFound),
    "image_not_found": (404, AttachmentRejected),
    "precondition_failed": (412, UpstreamRejected),
    "payload_too_large": (413, ContextTooLong),
    "unprocessable": (422, UpstreamRejected),
    "rate_limit_exceeded": (429, RateLimited),
    "server": (500, UpstreamBusy),
    "unmapped": (500, UpstreamBusy),
    "provider_unavailable": (502, UpstreamBusy),
    "provider_overloaded": (503, UpstreamBusy),
    "timeout": (504, UpstreamTimeout),
}


def error(code: int, message: str = "text", **metadata: Any) -> dict[str, Any]:
    return {"code": code, "message": message, "metadata": metadata}


@pytest.mark.parametrize(("status", "leaf"), STATUSES.items())
def test_a_status_alone_is_a_leaf(status: int, leaf: type[UpstreamError]) -> None:
    assert type(from_status(status, None, {})) is leaf
    assert type(from_event({"code": status, "message": "x"})) is leaf
    assert type(from_event({"code": str(status), "message": "x"})) is leaf


def documented_statuses() -> set[int]:
    """Return the statuses that OpenRouter's own SDK, made from its specification, tells apart."""
    code = "".join(
        file.read_text("utf-8") for file in Path(openrouter.__file__).parent.glob("*.py")
    )
    return set(map(int, re.findall(r'match_response\(\s*http_res, "([45]\d\d)"', code)))


def test_each_status_that_openrouter_documents_is_in_the_table() -> None:
    assert len(documented_statuses()) > 15
    # that of an error type which has no status of its own in the specification
    assert STATUSES.keys() - documented_statuses() == {412}
    assert documented_statuses() <= STATUSES.keys()


@pytest.mark.parametrize(("kind", "found"), TYPES.items())
def test_an_error_type_is_a_leaf(kind: str, found: tuple[int, type[UpstreamError]]) -> None:
    status, leaf = found
    assert type(from_status(status, error(status, error_type=kind), {})) is leaf
    assert type(from_event(error(status, error_type=kind))) is leaf


@pytest.mark.parametrize(("kind", "found"), TYPES.items())
def test_an_error_type_counts_for_more_than_an_odd_status(
    kind: str, found: tuple[int, type[UpstreamError]]
) -> None:
    assert type(from_status(418, error(418, error_type=kind), {})) is found[1]


def test_each_error_type_that_openrouter_documents_is_in_the_table() -> None:
    (known,) = [kind for kind in get_args(APIErrorType) if get_origin(kind) is Literal]
    assert TYPES.keys() == set(get_args(known))


@pytest.mark.parametrize(
    ("status", "leaf"),
    [
        (402, NoCredit),
        (405, UpstreamRejected),
        (418, UpstreamRejected),
        (451, UpstreamRejected),
        (501, UpstreamBusy),
        (520, UpstreamBusy),
        (599, UpstreamBusy),
        (307, UpstreamBusy),
    ],
)
@pytest.mark.parametrize("kind", [None, "brand_new", 7, ["server"], {"a": 1}])
def test_what_is_new_falls_to_its_class(
    status: int, leaf: type[UpstreamError], kind: object
) -> None:
    assert type(from_status(status, error(status, error_type=kind), {})) is leaf


@pytest.mark.parametrize(
    ("status", "message", "metadata", "leaf"),
    [
        (400, "x/y is not a valid model ID", {}, ModelNotFound),
        (400, "This endpoint's maximum context length is 8192 tokens", {}, ContextTooLong),
        (402, "x", {"reason": "in_flight_budget_exhausted"}, CreditBusy),
        (402, "given your current in-flight requests", {}, CreditBusy),
        (402, "x", {"reason": "weight_exceeds_budget"}, NoCredit),
        (402, "x", {"limit_source": "openrouter_credits"}, NoCredit),
        (402, "x", {"limit_source": "openrouter_key_limit"}, KeyLimitReached),
        (403, "Key limit exceeded", {}, KeyLimitReached),
        (403, "x", {"limit_source": "openrouter_guardrail_budget"}, BudgetReached),
        (403, "x", {"limit_source": "openrouter_workspace_budget"}, BudgetReached),
        (403, "x", {"reasons": ["violence"], "flagged_input": "..."}, Moderated),
        (404, "No endpoints found that support tool use", {}, NoProvider),
        (404, "x", {}, ModelNotFound),
        (429, "Rate limit exceeded: free-models-per-day-high-balance", {}, FreeDailyLimit),
        (429, "x", {"limit_source": "openrouter_free_tier_daily"}, FreeDailyLimit),
        (429, "Rate limit exceeded: free-models-per-min", {}, RateLimited),
        (503, "No provider meets your routing requirements", {}, RoutingExcludesAll),
    ],
)
def test_cases_that_share_a_status_are_told_apart(
    status: int, message: str, metadata: dict[str, Any], leaf: type[UpstreamError]
) -> None:
    assert type(from_status(status, error(status, message, **metadata), {})) is leaf


@pytest.mark.parametrize("bodies", BODIES)
@pytest.mark.parametrize(
    ("name", "leaf", "retry_after"),
    [
        ("provider_429", RateLimited, None),
        ("free_models_per_day_429", FreeDailyLimit, 47_200.0),
        ("credits_402", NoCredit, None),
        ("in_flight_budget_402", CreditBusy, None),
        ("invalid_model_400", ModelNotFound, None),
        ("models_array_too_long_400", UpstreamRejected, None),
        ("data_policy_404", PrivacyExcludesAll, None),
        ("bad_key_401", KeyInvalid, None),
    ],
)
def test_a_body_of_openrouters_is_the_right_leaf(
    bodies: Path, name: str, leaf: type[UpstreamError], retry_after: float | None
) -> None:
    (entry,) = [entry for entry in json.loads(bodies.read_text("utf-8")) if entry["name"] == name]
    headers = {key.lower(): value for key, value in entry["headers"].items()}
    failure = from_status(entry["status"], entry["body"]["error"], headers, now=NOW)
    assert type(failure) is leaf
    assert failure.retry_after_seconds == retry_after
    wire = json.dumps(failure.to_wire(TRACE))
    assert entry["body"]["error"]["message"] not in wire


@pytest.mark.parametrize("bodies", BODIES)
def test_there_are_no_other_bodies(bodies: Path) -> None:
    assert len(json.loads(bodies.read_text("utf-8"))) == 8


def test_a_provider_that_died_says_so_in_the_finish_reason() -> None:
    assert type(from_finish_reason("error")) is UpstreamBusy
    for good in ("stop", "length", "tool_calls", "content_filter", "brand_new", ""):
        assert from_finish_reason(good) is None


# -- when to ask again -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("1.25", 1.3),
        (" 3 ", 3),
        ("99999999999", 86_400),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("", None),
        ("soon", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
    ],
)
def test_retry_after_is_read_in_seconds(given_: str, seconds: float | None) -> None:
    assert from_status(429, None, {"retry-after": given_}).retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        (str(int((NOW + 60) * 1000)), 60),
        (int((NOW + 60) * 1000), 60),
        (str(int((NOW - 60) * 1000)), None),
        ("x", None),
        (None, None),
        ([], None),
    ],
)
def test_the_reset_of_a_rate_limit_is_epoch_milliseconds(
    reset: object, seconds: float | None
) -> None:
    body = error(429, headers={"X-RateLimit-Reset": reset})
    assert from_status(429, body, {}, now=NOW).retry_after_seconds == seconds
    assert from_event(body, now=NOW).retry_after_seconds == seconds


def test_the_header_counts_for_more_than_the_reset() -> None:
    body = error(429, headers={"X-RateLimit-Reset": str(int((NOW + 60) * 1000))})
    assert from_status(429, body, {"retry-after": "2"}, now=NOW).retry_after_seconds == 2


# -- whatever comes --------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ODD = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("code", "message", "metadata", "type"), JSON)
) | st.fixed_dictionaries(
    {
        "metadata": st.fixed_dictionaries(
            {},
            optional=dict.fromkeys(
                ("error_type", "reason", "reasons", "limit_source", "headers", "raw"), JSON
            ),
        )
    }
)


@given(status=st.integers(0, 999), body=JSON | ODD, header=st.none() | st.text())
def test_no_body_however_odd_raises(status: int, body: object, header: str | None) -> None:
    headers = {} if header is None else {"retry-after": header}
    for failure in (from_status(status, body, headers), from_event(body)):
        assert isinstance(failure, UpstreamError)
        after = failure.retry_after_seconds
        assert after is None or (math.isfinite(after) and 0 <= after <= 86_400)
        json.dumps(failure.to_wire(TRACE), allow_nan=False)


@pytest.mark.parametrize("body", [None, "", "<html>bad gateway</html>", [], ["x"], 7, True])
def test_a_body_that_is_no_object_leaves_the_status_to_say(body: object) -> None:
    assert type(from_status(404, body, {})) is ModelNotFound
    assert type(from_event(body)) is UpstreamBusy


@pytest.mark.parametrize("metadata", [None, "text", ["x"], 3])
def test_metadata_that_is_no_object_is_left_out(metadata: object) -> None:
    body = {"code": 429, "message": "x", "metadata": metadata}
    assert type(from_status(429, body, {})) is RateLimited


@pytest.mark.parametrize("code", [10**400, -5, 0, True, None, "server_error", "5" * 5000, "²", 1.5])
def test_a_code_however_odd_is_a_leaf_that_goes_over_the_wire(code: object) -> None:
    failure = from_event({"code": code, "message": "x"})
    assert type(failure) is UpstreamBusy
    assert len(json.dumps(failure.to_wire(TRACE))) < 500


@pytest.mark.parametrize("status", [*STATUSES, 418, 599])
def test_what_openrouter_wrote_never_reaches_the_caller(status: int) -> None:
    canary = "canary-sk-or-v1"
    body = {
        "code": canary,
        "message": canary,
        "metadata": {
            "raw": canary,
            "provider_name": canary,
            "reasons": [canary],
            "flagged_input": canary,
            "error_type": canary,
            "limit_source": canary,
        },
    }
    for failure in (from_status(status, body, {"retry-after": canary}), from_event(body)):
        assert "unredacted" in vars(failure), "it is kept apart, and shown to nobody as it is"
        assert canary not in json.dumps(failure.to_wire(TRACE))
        assert canary not in str(failure) + repr(failure)


def test_a_reason_that_was_written_down_is_its_leaf_again() -> None:
    for leaf in (errors.KeyInvalid, errors.OutOfTime, errors.Restarting, errors.QueueUnavailable):
        found = errors.failure_of(leaf.reason)
        assert (found.reason, found.status) == (leaf.reason, leaf.status)
    assert errors.failure_of("of_an_older_version") is CallableError
