"""The built-in features."""

import pytest

from firerouter.features.defaults import DEFAULTS
from firerouter.features.feature import Feature
from firerouter.features.settings import EMBEDDING, IMAGE
from firerouter.models.ids import is_free


def test_each_is_stored_under_its_own_id_and_was_never_saved() -> None:
    for id_, feature in DEFAULTS.items():
        assert (feature.id, feature.revision, feature.draft) == (id_, 0, None)
        assert feature.has_model_choice is (id_ == "chat")
        assert feature.settings.display_name


@pytest.mark.parametrize("feature", DEFAULTS.values(), ids=DEFAULTS)
def test_what_is_on_is_free_and_what_is_not_free_is_off(feature: Feature) -> None:
    free = all(map(is_free, feature.settings.model_ids()))
    assert feature.enabled == free


def test_images_and_embeddings_are_of_their_kinds() -> None:
    assert {id_: one.settings.kind for id_, one in DEFAULTS.items() if not one.enabled} == {
        IMAGE: IMAGE,
        EMBEDDING: EMBEDDING,
    }


def test_an_image_model_may_be_silent_for_long() -> None:
    chat, image = DEFAULTS["chat"].settings, DEFAULTS[IMAGE].settings
    assert image.first_token_s > chat.first_token_s
    assert image.idle_s > chat.idle_s
