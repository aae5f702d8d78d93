"""What users see of the features and choose of them: no prompt, and no more than is allowed."""

import secrets
from typing import Any

import pytest

from scripts.devtools.callable_client import CallableClient, CallableFailure
from scripts.devtools.suite import Suite
from tests.support.faulty_firestore import firestore_api
from tests.support.in_process import Instance, World

LIST, SET, SAVE = "list_features", "set_preferences", "save_feature_settings"
CANARY = "canary-5e1f"
FREE = "z-ai/glm-4.5-air:free"


def choice(*allowed: str, model: str = "sim/fast", **more: Any) -> dict[str, Any]:
    return {"model": model, "allowedModels": list(allowed), **more}


async def listed(instance: Instance, uid: str = "user") -> dict[str, dict[str, Any]]:
    features = (await instance.call(LIST, None, uid))["features"]
    return {feature.pop("feature"): feature for feature in features}


async def prefer(instance: Instance, feature: str, model: str | None, uid: str = "user") -> Any:
    return await instance.call(SET, {"feature": feature, "model": model}, uid)


def reads(instance: Instance) -> list[str]:
    """The paths of the documents that the instance reads from now on."""
    found: list[str] = []
    api = firestore_api(instance.app.firestore)
    get = api.batch_get_documents

    def counting(*args: Any, request: Any, **kwargs: Any) -> Any:
        found.extend(name.partition("/documents/")[2] for name in request["documents"])
        return get(*args, request=request, **kwargs)

    api.batch_get_documents = counting
    return found


# -- through the wire ------------------------------------------------------------------------------


async def test_a_user_lists_chooses_and_is_answered_by_the_choice(
    suite: Suite, admin: str, app_check: str, client: CallableClient
) -> None:
    feature = f"choice-{secrets.token_hex(4)}"
    async with CallableClient(suite.functions_url, admin, app_check) as as_admin:
        settings = choice("sim/u2028", systemPrompt=CANARY)
        await as_admin.call(SAVE, {"feature": feature, "settings": settings, "revision": 0})
    for call in (LIST, "api"):
        found = await client.call(call, {"endpoint": LIST} if call == "api" else {})
        (own,) = [one for one in found["features"] if one["feature"] == feature]
        assert own["models"] == ["sim/fast", "sim/u2028"]
        assert CANARY not in str(found)
    chosen = {"feature": feature, "model": "sim/u2028"}
    assert await client.call(SET, chosen) == chosen
    try:
        result = await client.call("execute_prompt", {"feature": feature, "prompt": "Hi"})
        assert result["model"] == "sim/u2028"
        assert "notices" not in result
        for data, reason in (
            ({"feature": feature, "model": "sim/paid"}, "model_not_allowed"),
            ({"feature": "nobodys", "model": None}, "feature_unknown"),
            ({**chosen, "uid": "demo-admin"}, "invalid_argument"),
        ):
            with pytest.raises(CallableFailure) as refused:
                await client.call(SET, data)
            assert refused.value.details["reason"] == reason
    finally:
        await client.call(SET, {"feature": feature, "model": None})


# -- the list --------------------------------------------------------------------------------------


async def test_of_a_feature_a_user_sees_what_may_be_chosen_and_nothing_else(world: World) -> None:
    instance = world.instance()
    await instance.save(
        "poems",
        {
            **choice("sim/u2028", FREE, "sim/fast"),
            "displayName": "Poems",
            "kind": "verse",
            "stream": False,
            "systemPrompt": f"{CANARY} of {{{{ topic }}}} by {{{{author}}}} and {{{{topic}}}}",
            "temperature": 0.5,
            "topP": 0.25,
            "stop": [CANARY],
            "parameters": {"x": CANARY},
            "provider": {"order": [CANARY]},
            "plugins": [{"id": "response-healing", "x": CANARY}],
            "limits": {"requestsPerDay": 7},
        },
        note=CANARY,
    )
    await instance.save("bare", {"model": "sim/fast", "allowTemperature": True, "temperature": 0.5})
    await instance.save("hidden", choice(), enabled=False)
    assert (await listed(instance))["poems"] == {
        "displayName": "Poems",
        "kind": "verse",
        "stream": False,
        "model": "sim/fast",
        "models": ["sim/fast", "sim/u2028", FREE],
        "allowTemperature": False,
        "variables": ["topic", "author"],
    }
    for each in (instance, world.instance()):
        found = await listed(each)
        assert found.keys() == {"chat", "code", "summarize", "poems", "bare"}
        assert found["bare"]["displayName"] == "bare"
        assert (found["bare"]["temperature"], found["bare"]["models"]) == (0.5, ["sim/fast"])
        assert found["chat"]["models"][0] == FREE
        assert len(found["chat"]["models"]) >= 4, "a new app can compare"
        assert CANARY not in str(found)
        assert "sk-or" not in str(found)


async def test_a_user_of_a_draft_sees_the_drafts(world: World) -> None:
    instance = world.instance()
    await instance.save("chat", choice())
    await instance.save("chat", choice("sim/u2028", systemPrompt=CANARY), 1, draftPercent=100)
    assert (await listed(instance))["chat"]["models"] == ["sim/fast", "sim/u2028"]
    assert (await prefer(instance, "chat", "sim/u2028"))["model"] == "sim/u2028"
    assert (await instance.ask("chat"))["revision"] == 2


async def test_where_free_models_alone_are_allowed_others_are_not_offered(world: World) -> None:
    instance = world.instance()
    await instance.call("save_app_settings", {"settings": {"freeModelsOnly": False}, "revision": 0})
    await instance.save("chat", choice("sim/paid"))
    assert (await listed(instance))["chat"]["models"] == ["sim/fast", "sim/paid"]
    await prefer(instance, "chat", "sim/paid")
    assert (await listed(instance))["chat"]["preferredModel"] == "sim/paid"
    assert "preferredModel" not in (await listed(instance, "another"))["chat"]
    await instance.call("save_app_settings", {"settings": {"freeModelsOnly": True}, "revision": 1})
    shown = (await listed(instance))["chat"]
    assert shown["models"] == ["sim/fast"]
    assert "preferredModel" not in shown
    refused = await instance.refusal(SET, {"feature": "chat", "model": "sim/paid"}, "another")
    assert (refused.reason, refused.details["field"]) == ("paid_model", "model")


async def test_what_was_broken_by_hand_does_not_break_the_list(world: World) -> None:
    documents: dict[str, dict[str, Any]] = {
        "features/chat": {"enabled": True, "settings": {"model": 7}},
        "features/code": {"enabled": "yes"},
        "features/poems": {"enabled": True, "settings": "text", "revision": "x"},
        "features/two words": {"enabled": True, "settings": {"model": "sim/fast"}},  # no name
        "users/user": {"models": "typed"},
        "config/app": {"freeModelsOnly": 7},
    }
    for path, document in documents.items():
        await world.write(path, document)
    found = await listed(world.instance())
    assert found.keys() == {"chat", "summarize"}
    assert found["chat"]["model"] == FREE


# -- the choice ------------------------------------------------------------------------------------


async def test_a_choice_is_honoured_until_it_is_taken_back(world: World) -> None:
    instance = world.instance()
    await instance.save("my-feature_2", choice("sim/u2028"))
    await instance.save("chat", choice("sim/u2028"))
    for feature in ("my-feature_2", "chat"):
        chosen = {"feature": feature, "model": "sim/u2028"}
        assert await prefer(instance, **chosen) == chosen
    assert await world.document("users/user") == {
        "models": {"my-feature_2": "sim/u2028", "chat": "sim/u2028"}
    }
    assert (await instance.ask("my-feature_2"))["model"] == "sim/u2028"
    assert (await instance.ask("my-feature_2", "another"))["model"] == "sim/fast"
    # what the request says comes first
    assert (await instance.ask("my-feature_2", model="sim/fast"))["model"] == "sim/fast"
    assert (await prefer(instance, "my-feature_2", None))["model"] is None
    assert (await instance.ask("my-feature_2"))["model"] == "sim/fast"
    assert (await instance.ask("chat"))["model"] == "sim/u2028"
    await prefer(instance, "chat", "sim/fast")  # the feature's own is a choice as well
    result = await instance.ask("chat")
    assert (result["model"], "notices" in result) == ("sim/fast", False)


REFUSED: list[tuple[Any, str, str | None]] = [
    ({"feature": "chat", "model": "no/such"}, "model_not_allowed", "model"),
    ({"feature": "chat", "model": "sim/fast:nitro"}, "model_not_allowed", "model"),
    ({"feature": "chat", "model": ""}, "invalid_argument", "model"),
    ({"feature": "chat", "model": "a\x00b"}, "invalid_argument", "model"),
    ({"feature": "chat", "model": 7}, "invalid_argument", "model"),
    ({"model": None}, "invalid_argument", "feature"),
    ({"feature": "a.b", "model": None}, "invalid_argument", "feature"),
    ({"feature": "nobodys", "model": None}, "feature_unknown", None),
    ({"feature": "image", "model": None}, "feature_disabled", None),
    ({"feature": "chat", "model": None, "temperature": 1}, "invalid_argument", "temperature"),
    (None, "invalid_argument", "feature"),
]


async def test_a_choice_that_is_none_is_refused(world: World) -> None:
    instance = world.instance()
    for data, reason, field in REFUSED:
        refused = await instance.refusal(SET, data, "user")
        assert (refused.reason, refused.details.get("field")) == (reason, field), data
    assert await world.document("users/user") == {}


async def test_a_choice_that_is_no_longer_allowed_is_dropped_and_said(world: World) -> None:
    instance = world.instance()
    await instance.save("chat", choice("sim/u2028", "sim/no-usage"))
    await prefer(instance, "chat", "sim/u2028")
    await instance.save("chat", choice("sim/no-usage"), 1)
    messages, result = await instance.frames(
        "execute_prompt", {"feature": "chat", "prompt": "x"}, "user"
    )
    assert messages[0]["model"] == result["model"] == "sim/fast"
    assert result["notices"] == [
        {
            "reason": "preference_dropped",
            "message": "Your preferred model sim/u2028 is no longer available here.",
        }
    ]
    assert "notices" not in await instance.ask("chat", "another")
    assert "notices" not in await instance.ask("chat", model="sim/no-usage")
    # allowed again, it is honoured again
    await instance.save("chat", choice("sim/u2028"), 2)
    assert (await instance.ask("chat"))["model"] == "sim/u2028"


@pytest.mark.parametrize("draft", [False, True])
async def test_a_choice_is_dropped_and_said_where_there_is_none_any_more(
    world: World, draft: bool
) -> None:
    instance = world.instance()
    await instance.save("chat", choice(*([] if draft else ["sim/u2028"])))
    if draft:
        await instance.save("chat", choice("sim/u2028"), 1, draftPercent=100)
    await prefer(instance, "chat", "sim/u2028")
    if draft:
        await instance.call("drop_draft", {"feature": "chat", "revision": 2})
    else:
        await instance.save("chat", choice(), 1)
        await instance.save("chat", choice(temperature=0.5), 2)
    for each in (instance, world.instance()):
        result = await each.ask("chat")
        assert result["model"] == "sim/fast"
        assert [notice["reason"] for notice in result["notices"]] == ["preference_dropped"]
        assert "notices" not in await each.ask("chat", "another")
    await prefer(instance, "chat", None)
    assert "notices" not in await instance.ask("chat")


async def test_a_choice_that_is_no_longer_free_is_dropped_where_others_may_not_be(
    world: World,
) -> None:
    instance = world.instance()
    await world.write("users/user", {"models": {"chat": "sim/paid"}})
    settings = choice("sim/paid")
    await world.write("features/chat", {"enabled": True, "revision": 1, "settings": settings})
    result = await instance.ask("chat")
    assert result["model"] == "sim/fast"
    assert [notice["reason"] for notice in result["notices"]] == ["preference_dropped"]
    await instance.call("save_app_settings", {"settings": {"freeModelsOnly": False}, "revision": 0})
    result = await instance.ask("chat")
    assert (result["model"], "notices" in result) == ("sim/paid", False)


TYPED: list[dict[str, Any]] = [
    {},
    {"models": None},
    {"models": "sim/u2028"},
    {"models": ["sim/u2028"]},
    {"models": {"chat": 7}},
    {"models": {"chat": {"model": "sim/u2028"}}},
    {"models": {"code": "sim/u2028"}},
    {"chat": "sim/u2028"},
]


async def test_a_choice_that_was_typed_otherwise_is_none(world: World) -> None:
    settings = choice("sim/u2028")
    await world.write("features/chat", {"enabled": True, "revision": 1, "settings": settings})
    instance = world.instance()
    for number, typed in enumerate(TYPED):
        await world.write(f"users/{number}", typed)
        result = await instance.ask("chat", str(number))
        assert (result["model"], "notices" in result) == ("sim/fast", False)
        await prefer(instance, "chat", "sim/u2028", str(number))
        assert (await instance.ask("chat", str(number)))["model"] == "sim/u2028"


async def test_what_a_user_chose_is_read_only_where_there_is_a_choice(world: World) -> None:
    instance = world.instance()
    await instance.save("plain", {"model": FREE})
    await instance.save("choosy", choice("sim/u2028"))
    for feature in ("plain", "choosy"):
        await instance.ask(feature)  # settings, key and catalog are known from now on
    found = reads(instance)
    await instance.ask("plain")
    assert found == []
    await instance.ask("choosy")
    assert found == ["users/user"]
    found.clear()
    await instance.ask("choosy", model="sim/u2028")
    assert found == []


async def test_a_uid_with_a_slash_has_a_document_of_its_own(world: World) -> None:
    instance = world.instance()
    await instance.save("chat", choice("sim/u2028"))
    await prefer(instance, "chat", "sim/u2028", "a/b")
    assert await world.document("users/a%2Fb") == {"models": {"chat": "sim/u2028"}}
    assert (await instance.ask("chat", "a/b"))["model"] == "sim/u2028"
