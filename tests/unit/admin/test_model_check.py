"""What the daily check says about a feature's models, and which model takes over."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from firerouter.admin.model_check import flags_of, renamed, successor_of
from firerouter.admin.revisions import price_of
from firerouter.features.app_settings import AppSettings
from firerouter.features.feature import Draft, Feature, StoredFeature
from firerouter.features.settings import EMBEDDING, FeatureSettings
from firerouter.models.model import Model, ModelList

NOW = datetime(2026, 11, 22, tzinfo=UTC)
TODAY = NOW.date()


def model(id_: str, slug: str = "", **fields: Any) -> Model:
    variant = id_.partition(":")[2] or None
    return Model(
        id=id_, name=id_, provider="a", canonical_slug=slug or id_, variant=variant, **fields
    )


CHEAP = model("a/one", prompt_price=Decimal(1))
LISTED = ModelList(
    1,
    NOW,
    (
        CHEAP,
        model("a/new-name", "a/old-slug"),
        model("a/new-name:free", "a/old-slug", free=True),
        model("a/ends", expiration_date=date(2026, 12, 1)),
        model("b/free:free", free=True),
        model("~a/latest", "a/old-slug", alias_target="a/one"),
    ),
)


def stored(enabled: bool = True, **settings: Any) -> StoredFeature:
    return StoredFeature(Feature("chat", enabled, 1, FeatureSettings(**settings)))


def flagged(one: StoredFeature) -> list[tuple[str, str]]:
    return [(flag.field, flag.flag) for flag in flags_of("chat", one, LISTED, TODAY)]


def test_models_that_are_listed_and_cost_the_same_are_not_flagged() -> None:
    one = replace(stored(model="a/one"), prices={"a/one": {"model": "a/one", **price_of(CHEAP)}})
    assert flagged(one) == []


def test_each_place_that_names_a_model_is_checked_the_drafts_too() -> None:
    one = stored(model="a/one", fallback_models=["a/gone"], allowed_models=["a/ends"])
    assert one.feature is not None
    draft = Draft(2, FeatureSettings(model="a/gone"), 5.0)
    one = replace(one, feature=replace(one.feature, draft=draft))
    assert flagged(one) == [
        ("fallbackModels[0]", "gone"),
        ("allowedModels[0]", "expires"),
        ("draft.model", "gone"),
    ]


def test_another_price_is_flagged_with_both() -> None:
    one = replace(stored(model="a/one"), prices={"a/one": {"promptPrice": "2"}})
    (flag,) = flags_of("chat", one, LISTED, TODAY)
    assert flag.flag == "repriced"
    assert flag.to_wire()["before"] == {"promptPrice": "2", "completionPrice": None}
    assert flag.to_wire()["after"] == {"promptPrice": "1", "completionPrice": None}


def test_a_feature_that_is_off_is_only_flagged_for_what_is_unreadable() -> None:
    assert flagged(stored(enabled=False, model="a/gone")) == []
    broken = replace(stored(enabled=False, model="a/gone"), unreadable={"enabled": (), "draft": ()})
    assert flagged(broken) == [("enabled", "broken"), ("draft", "broken")]


def test_what_cannot_be_read_is_flagged_with_its_field_and_the_reason() -> None:
    problems = {"settings": [("temperature", "temperature may be at most 2, not 5.")]}
    one = replace(stored(model="a/one"), unreadable=problems)
    (flag,) = flags_of("chat", one, LISTED, TODAY)
    assert (flag.field, flag.flag) == ("temperature", "broken")
    assert flag.message == "temperature may be at most 2, not 5. Revision 1 is used instead."
    (flag,) = flags_of("own", StoredFeature(None, unreadable=problems), LISTED, TODAY)
    assert (flag.feature, flag.model) == ("own", "")
    assert flag.message.endswith("There is nothing to use instead, so calls are refused.")


def test_what_would_be_billed_is_flagged_where_only_what_is_free_is_allowed() -> None:
    one = stored(model="a/one", plugins=[{"id": "web"}])
    flags = [*flags_of("chat", one, LISTED, TODAY, free_only=True)]
    assert [(flag.field, flag.flag) for flag in flags] == [
        ("plugins[0]", "paid"),
        ("model", "paid"),
    ]
    assert flagged(one) == []
    free = stored(model="b/free:free", fallback_models=["a/one"])
    assert [*flags_of("chat", free, LISTED, TODAY, free_only=True)] == []


def test_a_preset_is_not_in_the_list_and_not_flagged() -> None:
    assert flagged(stored(model="@preset/mine")) == []


@pytest.mark.parametrize(
    ("id_", "expected"),
    [
        ("a/old", "a/new-name"),
        ("a/old:free", "a/new-name:free"),
        ("a/old:nitro", "a/new-name:nitro"),
        ("a/old:free:online", "a/new-name:free:online"),
        ("a/old:beta", None),
    ],
)
def test_a_renamed_model_has_the_same_slug_and_variant(id_: str, expected: str | None) -> None:
    one = replace(stored(model=id_), prices={id_: {"canonicalSlug": "a/old-slug"}})
    assert renamed(id_, one, LISTED) == expected


@pytest.mark.parametrize("price", [{}, {"canonicalSlug": ""}, {"canonicalSlug": 7}])
def test_without_a_slug_a_model_that_is_gone_is_gone(price: dict[str, object]) -> None:
    assert renamed("a/old", replace(stored(), prices={"a/old": price}), LISTED) is None


def successor(one: StoredFeature, **app: Any) -> str | None:
    assert one.feature is not None
    return successor_of(one.feature.settings, one, LISTED, AppSettings(**app))


def test_the_first_fallback_that_exists_and_may_be_used_takes_over() -> None:
    fallbacks = ["a/gone-too", "a/one", "b/free:free"]
    one = stored(model="a/gone", fallback_models=fallbacks)
    assert successor(one, free_models_only=False) == "a/one"
    assert successor(one, free_models_only=True) == "b/free:free"


def test_the_new_name_comes_before_the_fallbacks() -> None:
    one = stored(model="a/old", fallback_models=["a/one"])
    one = replace(one, prices={"a/old": {"canonicalSlug": "a/old-slug"}})
    assert successor(one, free_models_only=False) == "a/new-name"


def test_a_model_that_exists_or_is_a_preset_is_not_replaced() -> None:
    for id_ in ("a/one", "a/one:nitro", "@preset/mine"):
        assert successor(stored(model=id_, fallback_models=["b/free:free"])) is None


def test_no_fallback_takes_over_for_embeddings() -> None:
    assert successor(stored(kind=EMBEDDING, model="a/gone", fallback_models=["a/one"])) is None
