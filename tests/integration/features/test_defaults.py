"""What a fresh deployment can do, and what it does when OpenRouter withdraws a default model."""

from firerouter.features.settings import FREE_MODELS
from tests.support.in_process import World

GLM, GROK, ROUTER = FREE_MODELS


async def test_a_fresh_app_offers_a_choice_and_compares(world: World) -> None:
    instance = world.instance()
    listed = (await instance.call("list_features", None, "user"))["features"]
    (chat,) = [one for one in listed if one["feature"] == "chat"]
    assert chat["model"] == GLM
    assert chat["models"][:3] == [GLM, GROK, ROUTER]
    compared = await instance.call(
        "execute_multi_model_prompt",
        {"feature": "chat", "prompt": "Hi", "models": chat["models"][:2]},
        "user",
    )
    assert [one["model"] for one in compared["results"]] == [GLM, GROK]
    other = await instance.ask("chat", model=GROK)
    assert other["model"] == GROK


async def test_a_default_that_is_gone_is_skipped_before_anything_is_asked(world: World) -> None:
    await world.write("config/app", {"catalog": {"missingDefaults": [GLM, GROK]}})
    instance = world.instance()
    result = await instance.ask("chat", context=world.project)
    assert [attempt["model"] for attempt in result["attempts"]] == [ROUTER]
    assert {body["model"] for body in await world.bodies()} == {ROUTER}
    (chat,) = [
        one
        for one in (await instance.call("list_features", None, "user"))["features"]
        if one["feature"] == "chat"
    ]
    assert chat["model"] == chat["models"][0] == ROUTER
    assert not {GLM, GROK} & {*chat["models"]}


async def test_the_check_of_the_models_says_which_defaults_are_gone(world: World) -> None:
    instance = world.instance()
    await instance.call("refresh_catalog", None)
    catalog = (await world.document("config/app"))["catalog"]
    assert (catalog["missingDefaults"], catalog["flags"]) == ([], [])
