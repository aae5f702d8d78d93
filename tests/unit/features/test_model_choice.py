"""The choice of models, with a catalog and preferences that a test sets."""

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from firerouter.contract.base import parse
from firerouter.contract.prompts import ExecutePrompt
from firerouter.errors import (
    CatalogUnavailable,
    InvalidArgument,
    ModelNotAllowed,
    PaidModel,
    SettingsUnavailable,
)
from firerouter.features.app_settings import AppSettings
from firerouter.features.defaults import DEFAULTS
from firerouter.features.feature import Feature
from firerouter.features.model_choice import ModelChoice
from firerouter.features.settings import FREE_MODELS, FeatureSettings
from firerouter.models.catalog import Catalog
from firerouter.models.model import Model, ModelList, Resolved
from firerouter.users.preferences import PreferenceStore

FREE_ONLY = AppSettings(free_models_only=True)
ANY_MODEL = AppSettings(free_models_only=False)


def model(id_: str, **fields: Any) -> Model:
    return Model(id=id_, name=id_, provider="a", **fields)


class Listed:
    """As much of the catalog as the choice uses."""

    def __init__(self) -> None:
        self.reads = 0
        self.is_away = False
        self.models = (
            model(
                "a/able",
                context_length=1_000,
                input_modalities=("text", "image"),
                supported_parameters=("temperature", "tools", "reasoning"),
            ),
            model("a/gratis", free=True, supported_parameters=("max_tokens",)),
            model("a/plain", supported_parameters=("max_tokens",)),
            model("a/thinker", supported_parameters=("reasoning",), reasoning_required=True),
        )

    async def get(self, *_: str) -> ModelList:
        self.reads += 1
        if self.is_away:
            raise CatalogUnavailable
        return ModelList(1, datetime(2026, 11, 22, tzinfo=UTC), self.models)

    async def resolve(self, id_: str) -> Resolved:
        return (await self.get()).resolve(id_)


class Preferred:
    """What users prefer."""

    def __init__(self) -> None:
        self.reads = 0
        self.is_away = False
        self.by_feature: dict[str, str] = {}

    async def models(self, uid: str) -> dict[str, str]:
        self.reads += 1
        if self.is_away:
            raise SettingsUnavailable
        return self.by_feature


@pytest.fixture
def listed() -> Listed:
    return Listed()


@pytest.fixture
def preferred() -> Preferred:
    return Preferred()


@pytest.fixture
def choice(listed: Listed, preferred: Preferred) -> ModelChoice:
    return ModelChoice(
        preferences=cast(PreferenceStore, preferred), catalog=lambda: cast(Catalog, listed)
    )


def feature(model_: str = "a/able", **settings: Any) -> Feature:
    test = settings.pop("test", False)
    values = FeatureSettings.model_validate(
        {"model": model_, **settings}, by_alias=True, by_name=False
    )
    return Feature("chat", True, 1, values, test=test)


def request(**fields: Any) -> ExecutePrompt:
    return parse(ExecutePrompt, {"feature": "chat", "prompt": "Hi", **fields})


# -- choosing --------------------------------------------------------------------------------------


async def test_without_a_choice_nothing_is_read(
    choice: ModelChoice, listed: Listed, preferred: Preferred
) -> None:
    one = feature("a/b:free", fallbackModels=["openrouter/free"])
    chosen = await choice.choose(request(), one, FREE_ONLY, "ann")
    assert (chosen.models, chosen.notices) == (("a/b:free", "openrouter/free"), ())
    assert (listed.reads, preferred.reads) == (0, 0)


async def test_the_callers_model_comes_before_the_users_and_the_features(
    choice: ModelChoice, preferred: Preferred
) -> None:
    one = feature(allowedModels=["a/plain", "a/gratis"])
    preferred.by_feature = {"chat": "a/gratis"}
    asked = await choice.choose(request(model="a/plain"), one, ANY_MODEL, "ann")
    assert asked.models == ("a/plain",)
    assert (await choice.choose(request(), one, ANY_MODEL, "ann")).models == ("a/gratis",)
    preferred.by_feature = {}
    assert (await choice.choose(request(), one, ANY_MODEL, "ann")).models == ("a/able",)


async def test_a_preference_that_is_not_offered_any_more_is_ignored_with_a_notice(
    choice: ModelChoice, preferred: Preferred
) -> None:
    one = feature("a/gratis", allowedModels=["a/plain"])
    for gone, app in (("a/gone", ANY_MODEL), ("a/plain", FREE_ONLY)):
        preferred.by_feature = {"chat": gone}
        chosen = await choice.choose(request(), one, app, "ann")
        assert chosen.models == ("a/gratis",)
        assert [notice["reason"] for notice in chosen.notices] == ["preference_dropped"]


async def test_the_features_own_model_as_a_preference_needs_no_notice(
    choice: ModelChoice, preferred: Preferred
) -> None:
    preferred.by_feature = {"chat": "a/able"}
    one = feature(allowedModels=["a/plain"])
    chosen = await choice.choose(request(), one, ANY_MODEL, "ann")
    assert (chosen.models, chosen.notices) == (("a/able",), ())


async def test_preferences_that_cannot_be_read_leave_the_features_model(
    choice: ModelChoice, preferred: Preferred
) -> None:
    preferred.is_away = True
    one = feature(allowedModels=["a/plain"])
    assert (await choice.choose(request(), one, ANY_MODEL, "ann")).models == ("a/able",)


async def test_an_admins_test_is_not_about_the_admins_preference(
    choice: ModelChoice, preferred: Preferred
) -> None:
    preferred.by_feature = {"chat": "a/plain"}
    one = feature(allowedModels=["a/plain"], test=True)
    assert (await choice.choose(request(), one, ANY_MODEL, "ann")).models == ("a/able",)
    assert preferred.reads == 0


async def test_a_model_that_is_not_allowed_is_refused(choice: ModelChoice) -> None:
    for wanted in (choice.choose(request(model="a/plain"), feature(), ANY_MODEL, "ann"),):
        with pytest.raises(ModelNotAllowed):
            await wanted
    with pytest.raises(ModelNotAllowed):
        await choice.single_model("a/plain", feature(), ANY_MODEL)


async def test_where_nothing_may_be_billed_only_free_fallbacks_are_left(
    choice: ModelChoice,
) -> None:
    one = feature("a/gratis", fallbackModels=["a/plain", "openrouter/free"])
    chosen = await choice.choose(request(), one, FREE_ONLY, "ann")
    assert chosen.models == ("a/gratis", "openrouter/free")


async def test_where_nothing_may_be_billed_what_would_be_is_refused(choice: ModelChoice) -> None:
    with pytest.raises(PaidModel) as refused:
        await choice.choose(request(), feature(), FREE_ONLY, "ann")
    assert refused.value.details["field"] == "model"
    search = [{"type": "openrouter:web_search"}]
    with pytest.raises(PaidModel) as refused:
        await choice.choose(request(), feature("a/gratis", tools=search), FREE_ONLY, "ann")
    assert refused.value.details["field"] == "tools[0]"
    with pytest.raises(PaidModel):
        await choice.single_model(None, feature(), FREE_ONLY)
    with pytest.raises(PaidModel):
        await choice.no_reasoning_parameters("a/plain", FREE_ONLY)


async def test_without_the_catalog_a_name_says_whether_a_model_is_free(
    choice: ModelChoice, listed: Listed
) -> None:
    ids = ["a/gratis", "a/b:free"]
    assert await choice.filter_free(ids) == ids
    listed.is_away = True
    assert await choice.filter_free(ids) == ["a/b:free"]


# -- what the models support -----------------------------------------------------------------------


async def test_a_plain_request_to_the_features_own_model_is_not_compared(
    choice: ModelChoice, listed: Listed
) -> None:
    one, plain = feature("a/plain", temperature=1), request()
    supported = await choice.drop_unsupported(plain, one, ["a/plain", "a/able"])
    assert (supported.request, supported.models) == (plain, ("a/plain", "a/able"))
    assert (supported.notices, listed.reads) == ((), 0)


async def test_what_the_model_does_not_support_is_refused_or_dropped_as_the_feature_says(
    choice: ModelChoice,
) -> None:
    asked = request(temperature=0.5)
    with pytest.raises(InvalidArgument) as refused:
        await choice.drop_unsupported(asked, feature("a/plain"), ["a/plain"])
    assert refused.value.details["field"] == "temperature"
    one = feature("a/plain", unsupported="drop")
    supported = await choice.drop_unsupported(asked, one, ["a/plain", "a/able"])
    assert supported.request == request()
    assert supported.models == ("a/plain", "a/able")
    assert [notice["field"] for notice in supported.notices] == ["temperature"]


async def test_a_fallback_that_does_not_support_the_request_is_no_fallback(
    choice: ModelChoice,
) -> None:
    asked = request(temperature=0.5)
    models = ["a/able", "a/plain", "a/unknown"]
    supported = await choice.drop_unsupported(asked, feature(), models)
    assert supported.models == ("a/able", "a/unknown")
    assert supported.notices == ()


async def test_settings_that_another_model_does_not_support_are_told(choice: ModelChoice) -> None:
    one = feature("a/able", temperature=1.0, allowedModels=["a/plain"])
    supported = await choice.drop_unsupported(request(), one, ["a/plain"])
    assert [notice["field"] for notice in supported.notices] == ["temperature"]


async def test_reasoning_is_turned_off_or_kept_short(choice: ModelChoice) -> None:
    parameters = choice.no_reasoning_parameters
    assert await parameters("a/able", ANY_MODEL) == {"reasoning": {"enabled": False}}
    short = {"effort": "low", "exclude": True}
    assert await parameters("a/thinker", ANY_MODEL) == {"reasoning": short}
    assert await parameters("a/plain", ANY_MODEL) == {}
    assert await parameters("a/unknown", ANY_MODEL) == {}


async def test_what_the_catalog_does_not_know_is_not_made_up(
    choice: ModelChoice, listed: Listed
) -> None:
    assert await choice.context_tokens("a/able:nitro") == 1_000
    assert await choice.context_tokens("a/unknown") is None
    ids = ["a/able", "a/unknown", "a/able@preset/mine"]
    assert await choice.input_modalities(ids) == [("text", "image"), (), ()]
    listed.is_away = True
    assert await choice.find_model("a/able") is None
    assert await choice.input_modalities(ids) == [(), (), ()]


# -- default models that OpenRouter has withdrawn --------------------------------------------------

GLM, GROK, ROUTER = FREE_MODELS


def with_record(listed: Listed, preferred: Preferred, *missing: str) -> ModelChoice:
    async def record() -> frozenset[str]:
        return frozenset(missing)

    return ModelChoice(
        preferences=cast(PreferenceStore, preferred),
        catalog=lambda: cast(Catalog, listed),
        missing_defaults=record,
    )


@pytest.mark.parametrize(
    ("missing", "models"),
    [
        ((), (GLM, GROK, ROUTER)),
        ((GLM,), (GROK, ROUTER)),
        ((GROK,), (GLM, ROUTER)),
        ((GLM, GROK), (ROUTER,)),
    ],
)
async def test_a_default_that_is_gone_is_not_asked(
    listed: Listed, preferred: Preferred, missing: tuple[str, ...], models: tuple[str, ...]
) -> None:
    choice = with_record(listed, preferred, *missing)
    chosen = await choice.choose(request(), DEFAULTS["code"], FREE_ONLY, "ann")
    assert chosen.models == models
    assert (await choice.default_model()) == models[0]
    assert listed.reads == 0, "the last check of the models has stored it"


async def test_before_the_first_check_the_list_says_which_defaults_are_gone(
    choice: ModelChoice, listed: Listed
) -> None:
    chosen = await choice.choose(request(), DEFAULTS["code"], FREE_ONLY, "ann")
    assert chosen.models == (ROUTER,)
    assert listed.reads


async def test_a_gone_default_is_not_offered_and_cannot_be_chosen(
    listed: Listed, preferred: Preferred
) -> None:
    choice = with_record(listed, preferred, GLM, GROK)
    settings = await choice.with_listed_defaults(DEFAULTS["chat"].settings)
    assert settings.model == ROUTER
    assert not {GLM, GROK} & {*settings.allowed_models}
    with pytest.raises(ModelNotAllowed):
        await choice.choose(request(model=GROK), DEFAULTS["chat"], FREE_ONLY, "ann")


async def test_what_an_admin_chose_is_asked_whatever_the_list_says(
    listed: Listed, preferred: Preferred
) -> None:
    choice = with_record(listed, preferred, GLM)
    one = feature("a/gone:free", fallbackModels=[GLM])
    assert (await choice.choose(request(), one, FREE_ONLY, "ann")).models == ("a/gone:free",)
    alone = feature(GLM)
    assert (await choice.choose(request(), alone, FREE_ONLY, "ann")).models == (GLM,)
