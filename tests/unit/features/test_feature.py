"""A feature and its draft: who gets which settings, and how documents are read."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter.features.feature import (
    Draft,
    Feature,
    Malformed,
    StoredFeature,
    read_draft,
    read_prices,
    read_revision_number,
    read_settings,
)
from firerouter.features.settings import FeatureSettings

SETTINGS = FeatureSettings(model="a/a")
TRIED = FeatureSettings(model="b/b")
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


def test_a_draft_for_nobody_or_for_all() -> None:
    uids = [f"user-{n}" for n in range(200)]
    assert not any(Draft(2, TRIED, 0.0).includes("chat", uid) for uid in uids)
    assert all(Draft(2, TRIED, 100.0).includes("chat", uid) for uid in uids)


def test_a_higher_percentage_adds_users_and_takes_none_away() -> None:
    uids = [f"user-{n}" for n in range(500)]
    few, more = Draft(2, TRIED, 20.0), Draft(2, TRIED, 60.0)
    with_few = {uid for uid in uids if few.includes("chat", uid)}
    with_more = {uid for uid in uids if more.includes("chat", uid)}
    assert with_few < with_more
    assert 50 < len(with_few) < 150
    assert 250 < len(with_more) < 350


def test_another_draft_is_for_other_users() -> None:
    uids = [f"user-{n}" for n in range(200)]
    one = {uid for uid in uids if Draft(2, TRIED, 50.0).includes("chat", uid)}
    assert one != {uid for uid in uids if Draft(3, TRIED, 50.0).includes("chat", uid)}
    assert one != {uid for uid in uids if Draft(2, TRIED, 50.0).includes("code", uid)}


def test_a_user_gets_the_drafts_settings_under_its_revision() -> None:
    feature = Feature("chat", True, 1, SETTINGS, Draft(2, TRIED, 100.0))
    mine = feature.for_user("ann")
    assert (mine.revision, mine.settings) == (2, TRIED)
    feature = replace(feature, draft=Draft(2, TRIED, 0.0))
    assert feature.for_user("ann") is feature


def test_users_may_have_chosen_a_model_if_there_is_or_was_a_choice() -> None:
    feature = Feature("chat", True, 1, SETTINGS)
    assert not feature.has_model_choice
    assert replace(feature, had_choice=True).has_model_choice
    offered = FeatureSettings(model="a/a", allowed_models=["b/b"])
    assert replace(feature, settings=offered).has_model_choice


def test_a_draft_survives_the_way_to_firestore_and_back() -> None:
    draft = Draft(2, TRIED, 12.5)
    assert read_draft(draft.to_document()) == draft
    assert read_draft(None) is None


@pytest.mark.parametrize(
    "document",
    [
        7,
        [],
        {},
        {"revision": 0, "percent": 5, "settings": TRIED.to_json()},
        {"revision": True, "percent": 5, "settings": TRIED.to_json()},
        {"revision": 2, "percent": "5", "settings": TRIED.to_json()},
        {"revision": 2, "percent": float("nan"), "settings": TRIED.to_json()},
        {"revision": 2, "percent": 5, "settings": {"model": 7}},
        {"revision": 2, "percent": 5},
    ],
)
def test_a_malformed_draft_is_no_draft(document: Any) -> None:
    with pytest.raises(Malformed):
        read_draft(document)


def test_malformed_settings_say_what_is_wrong_and_not_what_they_hold() -> None:
    with pytest.raises(Malformed) as malformed:
        read_settings({"model": "a canary", "stream": 7})
    assert len(malformed.value.problems) == 2
    assert "canary" not in str(malformed.value.problems)


def test_settings_by_their_python_names_are_malformed() -> None:
    with pytest.raises(Malformed):
        read_settings({"system_prompt": "Hi"})


@given(ANY)
def test_whatever_a_document_holds_is_settings_or_malformed(value: Any) -> None:
    try:
        settings = read_settings(value)
    except Malformed:
        return
    assert read_settings(settings.to_json()) == settings


@pytest.mark.parametrize(
    ("value", "number"),
    [(3, 3), (0, 0), (2**53 - 1, 2**53 - 1), (2**53, 0), (-1, 0), (True, 0), ("3", 0), (3.0, 0)],
)
def test_a_revisions_number_is_one_that_clients_can_send_back(value: Any, number: int) -> None:
    assert read_revision_number(value) == number


def test_prices_without_a_model_are_left_out() -> None:
    entry = {"model": "a/a", "promptPrice": "1"}
    assert read_prices([entry, {"model": 7}, None, "a/a"]) == {"a/a": entry}
    others: list[object] = [None, {}, "a/a", 7]
    for malformed in others:
        assert read_prices(malformed) == {}


def test_settings_are_unreadable_if_the_document_says_so() -> None:
    assert StoredFeature(None, unreadable={"settings": ()}).settings_unreadable
    assert not StoredFeature(None, unreadable={"enabled": ()}).settings_unreadable
