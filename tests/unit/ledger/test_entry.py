"""The ledger entry: what is written is what is read, and nothing malformed is in the way."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter.ledger import (
    Admission,
    AttemptRecord,
    ConversationLink,
    EntryField,
    FeatureUse,
    LaterRequests,
    LedgerLimits,
    Outcome,
    Payer,
    Place,
    RequestKey,
    Reserve,
    Stop,
    StoredEntry,
    Windows,
)

LIMITS = LedgerLimits()
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
WINDOWS = Windows(at=NOW, shard=3)
NAMES = [value for name, value in vars(EntryField).items() if name.isupper()]

text = st.text(min_size=1, max_size=12)
maybe_text = st.none() | text
places = st.builds(
    Place,
    conversation_id=text,
    message_id=maybe_text,
    parent=maybe_text,
    parent_page=st.none() | st.integers(0, 99),
    regenerates=st.booleans(),
)
links = st.builds(
    ConversationLink,
    place=places,
    question=st.none() | st.dictionaries(text, text, min_size=1, max_size=2),
)
admissions = st.builds(
    Admission,
    id=text,
    uid=text,
    request=st.builds(RequestKey, payload=text, request_id=maybe_text),
    feature=st.builds(
        FeatureUse, id=text, revision=st.integers(0, 99), model=text, is_test=st.booleans()
    ),
    reserve=st.builds(
        Reserve,
        base_nano_usd=st.integers(0, 10**12),
        base_tokens=st.integers(0, 10**9),
        later=st.just(LaterRequests())
        | st.builds(LaterRequests, st.integers(1, 3), st.integers(0, 10**12)),
    ),
    payer=st.builds(Payer, tier=maybe_text, anonymous=st.booleans()),
    saved_nano_usd=st.none() | st.integers(0, 10**9),
    conversation=st.none() | links,
    continues=st.booleans(),
    streams=st.booleans(),
)
attempts = st.builds(
    AttemptRecord,
    model=maybe_text,
    upstream_id=maybe_text,
    reason=maybe_text,
    key_version=st.none() | st.integers(1, 99),
    purpose=maybe_text,
)
outcomes = st.builds(
    Outcome,
    status=st.sampled_from(["done", "stopped", "failed", "interrupted"]),
    model=text,
    error=maybe_text,
    attempts=st.lists(attempts, max_size=3).map(tuple),
    result=st.none() | st.dictionaries(text, text, max_size=2),
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)


def opened(admission: Admission, **more: Any) -> dict[str, Any]:
    return {
        **admission.to_document(nonce="n", instance="i", windows=WINDOWS, limits=LIMITS),
        **more,
    }


def read(document: dict[str, Any], id_: str = "id") -> StoredEntry:
    return StoredEntry.from_document(id_, document, created_at=NOW, version=NOW)


# -- there and back --------------------------------------------------------------------------------


@given(admission=admissions)
def test_an_admission_is_read_as_it_was_written(admission: Admission) -> None:
    stored = read(opened(admission), admission.id)
    assert stored.admission() == admission
    assert stored.is_running
    assert (stored.nonce, stored.admitted_at, stored.ended_at) == ("n", NOW, NOW)
    assert stored.instance == (None if admission.continues else "i")
    assert stored.is_unclaimed is admission.continues
    assert stored.windows == WINDOWS
    assert stored.reservation.nano_usd == admission.reserve.nano_usd
    assert stored.reservation.tokens == admission.reserve.tokens
    assert stored.reservation.holds_place is not admission.is_cached
    assert stored.reservation.uid == admission.uid


def test_an_answer_that_was_shortened_is_no_longer_when_a_task_claims_it() -> None:
    reserve = Reserve(base_nano_usd=5, base_tokens=9, completion_tokens=300, is_lowerable=True)
    feature = FeatureUse(id="chat", revision=3, model="sim/fast")
    short = Admission(
        id="id",
        uid="ann",
        request=RequestKey(payload="hash"),
        feature=feature,
        reserve=reserve,
        is_shortened=True,
    )
    claimed = read(opened(short), "id").admission()
    assert claimed is not None
    assert claimed.is_shortened
    assert claimed.reserve.completion_tokens == 300
    assert (claimed.reserve.nano_usd, claimed.reserve.tokens) == (5, 309)


def test_an_entry_is_alive_by_its_own_lease_or_by_its_instances() -> None:
    stored = replace(read({}), instance="i", lease_until=NOW)
    later = NOW + timedelta(seconds=1)
    assert stored.is_alive(NOW - timedelta(seconds=1), None)
    assert not stored.is_alive(later, None)
    assert stored.is_alive(later, later + timedelta(seconds=1))


def test_an_entry_that_waits_for_its_task_is_alive_until_its_deadline() -> None:
    waits = replace(read({}), continues=True, deadline_at=NOW)
    assert waits.is_alive(NOW - timedelta(seconds=1), None)
    assert not waits.is_alive(NOW, NOW + timedelta(days=1))


@given(admission=admissions, outcome=outcomes)
def test_an_outcome_is_read_as_it_was_written(admission: Admission, outcome: Outcome) -> None:
    stored = read({**opened(admission), **outcome.to_fields()})
    assert not stored.is_running
    assert (stored.status, stored.model, stored.error) == (
        outcome.status,
        outcome.model,
        outcome.error,
    )
    assert stored.attempts == outcome.attempts
    assert stored.result == outcome.result


@given(place=places)
def test_a_place_is_read_as_it_was_written(place: Place) -> None:
    assert Place.from_document(place.to_document()) == place


@given(attempt=attempts)
def test_an_attempt_is_read_as_it_was_written(attempt: AttemptRecord) -> None:
    assert AttemptRecord.from_document(attempt.to_document()) == attempt


@given(by=text, instance=text, comparison=maybe_text)
def test_a_stop_is_read_as_it_was_written(by: str, instance: str, comparison: str | None) -> None:
    stop = Stop(by=by, instance=instance, comparison=comparison)
    assert Stop.from_document(stop.to_document()) == stop


def test_the_document_names_its_fields_as_the_rules_and_indexes_do() -> None:
    admission = Admission(
        id="id",
        uid="ann",
        request=RequestKey(payload="hash", request_id="r"),
        feature=FeatureUse(id="chat", revision=3, model="sim/fast"),
        reserve=Reserve(base_nano_usd=5, base_tokens=9),
        conversation=ConversationLink(
            place=Place(conversation_id="c", message_id="a1", parent="q1", parent_page=0),
            question={"text": "Hi"},
        ),
        streams=False,
    )
    assert opened(admission) == {
        "uid": "ann",
        "requestId": "r",
        "payload": "hash",
        "nonce": "n",
        "instance": "i",
        "feature": "chat",
        "revision": 3,
        "model": "sim/fast",
        "status": "running",
        "createdAt": NOW,
        "deadlineAt": NOW + timedelta(seconds=310),
        "expireAt": NOW + timedelta(days=90),
        "leaseUntil": NOW + timedelta(seconds=50),
        "reservedNanoUsd": 5,
        "reservedTokens": 9,
        "shard": 3,
        "attempts": [],
        "test": False,
        "place": {
            "conversationId": "c",
            "messageId": "a1",
            "parent": "q1",
            "parentPage": 0,
            "regenerates": False,
        },
        "question": {"text": "Hi"},
        "streams": False,
    }


# -- malformed -------------------------------------------------------------------------------------


@given(document=st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), anything))
def test_no_document_is_too_damaged_to_be_closed(document: dict[str, Any]) -> None:
    stored = read(document)
    assert stored.reservation.version == NOW
    assert isinstance(stored.reservation.nano_usd, int)
    assert stored.reservation.uid is None or isinstance(stored.reservation.uid, str)
    assert stored.admitted_at == stored.ended_at == NOW
    admission = stored.admission()
    assert admission is None or admission.uid
    assert isinstance(stored.is_claimable(NOW), bool)


@pytest.mark.parametrize("lost", [EntryField.UID, EntryField.PAYLOAD, EntryField.FEATURE])
def test_an_entry_that_lost_what_it_is_can_be_run_by_nobody(lost: str) -> None:
    admission = Admission(
        id="id",
        uid="ann",
        request=RequestKey(payload="hash"),
        feature=FeatureUse(id="chat", revision=3, model="sim/fast"),
    )
    assert read(opened(admission, **{lost: 7})).admission() is None


# -- claims ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "claimable"),
    [
        ({}, True),
        ({"instance": "other"}, False),
        ({"status": "done"}, False),
        ({"continues": False}, False),
        ({"deadlineAt": NOW - timedelta(seconds=1)}, False),
        ({"deadlineAt": None}, False),
        ({"stop": {}}, True),
    ],
)
def test_what_waits_for_a_task_can_be_claimed_until_it_is_late(
    changed: dict[str, Any], claimable: bool
) -> None:
    admission = Admission(
        id="id",
        uid="ann",
        request=RequestKey(payload="hash"),
        feature=FeatureUse(id="chat", revision=3, model="sim/fast"),
        continues=True,
    )
    document = opened(admission, **changed)
    assert read(document).is_claimable(NOW) is claimable
    late = NOW + timedelta(seconds=LIMITS.queued_max_s)
    assert not read(document).is_claimable(late)
