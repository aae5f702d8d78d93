"""What a change makes of a feature: revisions, drafts, conflicts, the audit, prices."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from firerouter.admin import revisions
from firerouter.admin.limits import AdminLimits
from firerouter.admin.revisions import Author, FeatureChange
from firerouter.errors import FeatureUnknown, NoDraft
from firerouter.features.feature import Draft, Feature, StoredFeature
from firerouter.features.review import Finding, Review
from firerouter.features.settings import FeatureSettings
from firerouter.models.model import Model, ModelList

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ANN = Author("ann", "ann@app.test", "save_feature_settings", "because")
OLD = FeatureSettings(model="a/old", temperature=1.0)
NEW = FeatureSettings(model="a/new", temperature=1.0)
TRIED = FeatureSettings(model="a/tried")
CHAT = Feature("chat", True, 3, OLD)
WITH_DRAFT = replace(CHAT, draft=Draft(4, TRIED, 25.0))


def stored(feature: Feature | None = CHAT, **fields: Any) -> StoredFeature:
    return StoredFeature(feature, **{"version": NOW, **fields})


# -- the changes -----------------------------------------------------------------------------------


def test_a_feature_is_turned_off_and_its_settings_stay() -> None:
    change = revisions.toggle(stored(WITH_DRAFT), False)
    assert change == FeatureChange(replace(WITH_DRAFT, enabled=False))
    assert change.differences() == []
    assert change.revision_document(ANN, 3, NOW) is None


def test_published_settings_are_a_new_revision_and_the_draft_stays() -> None:
    change = revisions.publish(stored(WITH_DRAFT), "chat", NEW, 7)
    assert change.feature == replace(WITH_DRAFT, revision=7, settings=NEW)
    assert change.differences() == [{"field": "model", "before": "a/old", "after": "a/new"}]
    assert change.revision_document(ANN, 3, NOW) == {
        "revision": 7,
        "settings": NEW.to_json(),
        "action": "save_feature_settings",
        "base": 3,
        "changes": [{"field": "model", "before": "a/old", "after": "a/new"}],
        "at": NOW,
        "by": "ann",
        "email": "ann@app.test",
        "note": "because",
    }


def test_published_settings_that_are_active_already_make_no_revision() -> None:
    change = revisions.publish(stored(), "chat", OLD, 7, enabled=False)
    assert change == FeatureChange(replace(CHAT, enabled=False))


def test_published_settings_mend_a_document_whose_settings_are_unreadable() -> None:
    change = revisions.publish(stored(unreadable={"settings": ()}), "chat", OLD, 7)
    assert (change.number, change.feature.revision) == (7, 7)


@pytest.mark.parametrize(("enabled", "is_on"), [(None, True), (True, True), (False, False)])
def test_a_new_feature_is_on_unless_it_is_saved_as_off(enabled: bool | None, is_on: bool) -> None:
    change = revisions.publish(StoredFeature(None), "poems", NEW, 1, enabled)
    assert change.feature == Feature("poems", is_on, 1, NEW)
    assert change.before is None
    assert {"field": "temperature", "after": 1.0} in change.differences()


def test_a_draft_is_a_revision_that_is_marked_and_the_active_settings_stay() -> None:
    change = revisions.draft(stored(), TRIED, 4, 25.0)
    assert change.feature == WITH_DRAFT
    document = change.revision_document(ANN, 3, NOW)
    assert document is not None
    assert (document["revision"], document["draft"]) == (4, True)


def test_the_same_draft_only_changes_its_percentage() -> None:
    change = revisions.draft(stored(WITH_DRAFT), TRIED, 9, 50.0)
    assert change == FeatureChange(replace(CHAT, draft=Draft(4, TRIED, 50.0)))


def test_a_promoted_draft_keeps_its_number_unless_there_is_a_later_revision() -> None:
    change = revisions.promote(stored(WITH_DRAFT), 5)
    assert change.feature == replace(CHAT, revision=4, settings=TRIED)
    assert (change.number, change.promoted) == (None, 4)
    later = revisions.promote(stored(WITH_DRAFT), 6)
    assert later.feature == replace(CHAT, revision=6, settings=TRIED)
    assert (later.number, later.promoted) == (6, None)


def test_a_discarded_draft_is_gone() -> None:
    assert revisions.discard_draft(stored(WITH_DRAFT)) == FeatureChange(CHAT)


@pytest.mark.parametrize(
    "change",
    [
        lambda none: revisions.toggle(none, True),
        lambda none: revisions.draft(none, TRIED, 1, 5.0),
        lambda none: revisions.promote(none, 1),
        revisions.discard_draft,
    ],
)
def test_a_feature_that_does_not_exist_cannot_be_changed(change: Any) -> None:
    with pytest.raises(FeatureUnknown):
        change(StoredFeature(None))


@pytest.mark.parametrize(
    "change", [lambda stored: revisions.promote(stored, 4), revisions.discard_draft]
)
def test_without_a_draft_there_is_none_to_promote_or_discard(change: Any) -> None:
    with pytest.raises(NoDraft):
        change(stored())


# -- conflicts -------------------------------------------------------------------------------------


def test_what_an_admin_should_have_seen_is_the_draft_for_a_change_of_the_draft() -> None:
    assert revisions.seen_revision(stored(WITH_DRAFT), about_draft=True) == (4, TRIED)
    assert revisions.seen_revision(stored(WITH_DRAFT), about_draft=False) == (3, OLD)
    assert revisions.seen_revision(stored(), about_draft=True) == (3, OLD)
    assert revisions.seen_revision(StoredFeature(None), about_draft=False) == (0, None)


def test_a_conflict_shows_both_versions_and_where_they_differ() -> None:
    now = stored(saved_at=NOW, saved_by="bob")
    conflict = revisions.feature_conflict(now, NEW.to_json(), 2, about_draft=False)
    assert conflict.message == (
        "This is no longer revision 2: somebody has saved revision 3 since. "
        "Please look at what has changed and try again."
    )
    assert conflict.details == {
        "field": "revision",
        "yours": {"revision": 2, "settings": NEW.to_json()},
        "current": {
            "revision": 3,
            "enabled": True,
            "settings": OLD.to_json(),
            "savedAt": NOW.isoformat(),
            "savedBy": "bob",
        },
        "differences": [{"field": "model", "before": "a/old", "after": "a/new"}],
    }


def test_a_draft_that_was_replaced_is_not_said_to_have_been_edited() -> None:
    conflict = revisions.feature_conflict(stored(WITH_DRAFT), NEW.to_json(), 2, about_draft=True)
    assert conflict.message == (
        "The draft is no longer revision 2: somebody has saved revision 4 since. "
        "Please look at what has changed and try again."
    )


def test_a_refusal_names_the_first_error_and_lists_as_many_as_it_may() -> None:
    errors = [Finding(f"stop[{n}]", "invalid", f"Sentence {n}.") for n in range(5)]
    refused = revisions.refused(Review(errors=errors), AdminLimits(findings_max=3))
    assert (refused.message, refused.details["field"]) == ("Sentence 0.", "stop[0]")
    assert [error["field"] for error in refused.details["errors"]] == [
        "stop[0]",
        "stop[1]",
        "stop[2]",
    ]


def test_wrong_types_are_refused_by_field() -> None:
    with pytest.raises(ValidationError) as typo:
        FeatureSettings.model_validate({"tempurature": 1}, by_alias=True, by_name=False)
    assert revisions.invalid(typo.value).message == "tempurature is not a known setting."
    with pytest.raises(ValidationError) as wrong:
        FeatureSettings.model_validate({"model": 7, "stream": 1}, by_alias=True, by_name=False)
    refused = revisions.invalid(wrong.value)
    assert [error["field"] for error in refused.details["errors"]] == ["model", "stream"]
    assert {error["reason"] for error in refused.details["errors"]} == {"invalid"}


# -- what is stored beside it ----------------------------------------------------------------------


def test_the_audit_shows_the_draft_only_if_it_changed() -> None:
    before, after = revisions.audited_sides(stored(WITH_DRAFT), replace(WITH_DRAFT, enabled=False))
    assert before is not None
    assert "draft" not in before
    assert "draft" not in after
    before, after = revisions.audited_sides(stored(WITH_DRAFT), CHAT)
    assert before is not None
    assert before["draft"] == {"revision": 4, "percent": 25.0, "settings": TRIED.to_json()}
    assert after["draft"] is None


def test_the_audit_has_nothing_before_a_feature_that_was_never_saved() -> None:
    before, _ = revisions.audited_sides(StoredFeature(CHAT), replace(CHAT, enabled=False))
    assert before is None


def model(id_: str, **fields: Any) -> Model:
    return Model(id=id_, name=id_, provider="a", **fields)


MODELS = ModelList(
    1,
    NOW,
    (
        model("a/old", prompt_price=Decimal("0.10"), completion_price="dynamic"),
        model("a/tried", prompt_price=Decimal("1E+2"), canonical_slug="a/slug"),
    ),
)


def test_the_prices_of_all_models_that_are_listed_are_stored_as_text() -> None:
    assert revisions.prices_of(WITH_DRAFT, MODELS) == [
        {"model": "a/old", "promptPrice": "0.10", "completionPrice": "dynamic"},
        {"model": "a/tried", "promptPrice": "100", "canonicalSlug": "a/slug"},
    ]


def test_a_change_that_changes_nothing_is_not_written() -> None:
    same = FeatureChange(CHAT)
    assert revisions.changes_nothing(same, stored(), None)
    assert not revisions.changes_nothing(FeatureChange(WITH_DRAFT), stored(), None)
    assert not revisions.changes_nothing(same, stored(unreadable={"draft": ()}), None)
    assert not revisions.changes_nothing(same, StoredFeature(None), None)


def test_other_prices_are_written_and_the_same_ones_are_not() -> None:
    prices = revisions.prices_of(CHAT, MODELS)
    known = stored(prices={"a/old": prices[0]})
    assert revisions.changes_nothing(FeatureChange(CHAT), known, prices)
    assert not revisions.changes_nothing(FeatureChange(CHAT), known, [])
    assert revisions.changes_nothing(FeatureChange(CHAT), StoredFeature(CHAT), prices)
