"""`config/app` as a change leaves it, field by field."""

from google.cloud.firestore import DELETE_FIELD

from firerouter.firestore.config import with_values

DOCUMENT: dict[str, object] = {"appName": "Mine", "keys": {"default": [1], "features": {"a": [2]}}}


def test_a_field_is_set_and_what_is_beside_it_stays() -> None:
    assert with_values(DOCUMENT, {("keys", "features", "b"): [3]}) == {
        "appName": "Mine",
        "keys": {"default": [1], "features": {"a": [2], "b": [3]}},
    }


def test_the_given_document_is_not_changed() -> None:
    with_values(DOCUMENT, {("keys", "default"): [], ("appName",): "Other"})
    assert DOCUMENT == {"appName": "Mine", "keys": {"default": [1], "features": {"a": [2]}}}


def test_a_field_is_removed() -> None:
    left = with_values(DOCUMENT, {("keys", "features", "a"): DELETE_FIELD})
    assert left["keys"] == {"default": [1], "features": {}}
    assert with_values({}, {("keys", "features", "a"): DELETE_FIELD}) == {"keys": {"features": {}}}


def test_what_is_no_map_gives_way_to_one() -> None:
    assert with_values({"keys": "edited"}, {("keys", "swept"): 1}) == {"keys": {"swept": 1}}
