"""Who OpenRouter is told asks, where a prompt may go, and what is kept of it there."""

import asyncio
import re
import secrets
from typing import Any

from tests.support.calls import ASK
from tests.support.in_process import Instance, World

HASH = re.compile(r"[0-9a-f]{32}")
CLAUDE, OTHER = "anthropic/claude-haiku-4.5", "openai/gpt-5-mini"


def marked() -> str:
    return f"routed-{secrets.token_hex(6)}"


async def feature(world: World, model: str = "sim/fast", **settings: Any) -> Instance:
    instance = world.instance()
    app = {"settings": {"freeModelsOnly": False}, "revision": 0}
    await instance.call("save_app_settings", app)
    await instance.save("routed", {"model": model, **settings})
    return instance


async def ask(instance: Instance, prompt: str, uid: str = "user", **more: Any) -> Any:
    return await instance.call(ASK, {"feature": "routed", "prompt": prompt, **more}, uid)


# -- who asks --------------------------------------------------------------------------------------


async def test_openrouter_tells_users_apart_and_knows_none(world: World) -> None:
    instance, marker = await feature(world), marked()
    for uid in ("maria", "maria", "paul"):
        await ask(instance, marker, uid)
    await ask(world.instance(), marker, "maria")
    first, again, other, elsewhere = [body["user"] for body in await world.bodies(marker)]
    assert HASH.fullmatch(first)
    assert first == again == elsewhere != other
    assert not any("session_id" in body for body in await world.bodies(marker))


async def test_two_apps_have_no_users_in_common(world: World) -> None:
    instance, marker = await feature(world), marked()
    await ask(instance, marker, "maria")
    await world.firestore.document("config/pseudonyms").delete()
    await ask(world.instance(), marker, "maria")
    here, there = [body["user"] for body in await world.bodies(marker)]
    assert here != there


async def test_instances_that_begin_at_once_agree_on_the_secret(world: World) -> None:
    instances = [world.instance() for _ in range(6)]
    names = await asyncio.gather(*(one.app.users.pseudonyms.user("maria") for one in instances))
    assert len(set(names)) == 1
    kept = await world.document("config/pseudonyms")
    assert len(kept["secret"]) == 64
    assert kept["secret"] not in str(names)


async def test_a_conversation_is_one_session_of_its_users(world: World) -> None:
    instance, marker = await feature(world, titles="beginning"), marked()
    first = await ask(instance, marker, conversationId="new")
    here = {"conversationId": first["conversationId"]}
    await ask(instance, marker, **here)
    await ask(instance, marker, conversationId="new")
    await ask(instance, marker, conversationId="new", temporary=True)
    told: list[Any] = [body.get("session_id") for body in await world.bodies(marker)]
    one, two, another, none = told
    assert HASH.fullmatch(one)
    assert one == two != another
    assert one != first["conversationId"]
    assert none is None
    user = (await world.bodies(marker))[0]["user"]
    assert user != one


async def test_what_is_told_can_be_switched_off(world: World) -> None:
    instance = await feature(world, sendUser=False, sendSession=False, titles="beginning")
    marker = marked()
    await ask(instance, marker, conversationId="new")
    (body,) = await world.bodies(marker)
    assert not {"user", "session_id"} & body.keys()


async def test_a_secret_that_was_typed_badly_names_nobody_and_stops_nobody(world: World) -> None:
    instance, marker = await feature(world, titles="beginning"), marked()
    await world.write("config/pseudonyms", {"secret": "short"})
    await ask(instance, marker, conversationId="new")
    (body,) = await world.bodies(marker)
    assert not {"user", "session_id"} & body.keys()


async def test_users_share_a_kept_answer_whoever_they_are(world: World) -> None:
    instance, marker = await feature(world, cacheSeconds=60, cacheShared=True), marked()
    await ask(instance, marker, "maria")
    assert (await ask(instance, marker, "paul"))["cached"] is True


async def test_embeddings_say_who_asks_and_a_comparison_says_it_of_each_model(world: World) -> None:
    instance, marker = await feature(world, allowedModels=["sim/steady", "sim/u2028"]), marked()
    await instance.save("vectors", {"kind": "embedding", "model": "sim/vectors"})
    await instance.call("create_embeddings", {"feature": "vectors", "input": marker}, "maria")
    data = {"feature": "routed", "prompt": marker, "models": ["sim/fast", "sim/u2028"]}
    await instance.call("execute_multi_model_prompt", data, "maria")
    (vectors,) = await world.embedded(marker)
    chats = [body for body in await world.bodies(marker) if "messages" in body]
    assert {body["user"] for body in chats} == {vectors["body"]["user"]}
    assert len(chats) == 2
    await instance.save(
        "vectors", {"kind": "embedding", "model": "sim/vectors", "sendUser": False}, 1
    )
    await instance.call("create_embeddings", {"feature": "vectors", "input": marker}, "maria")
    assert "user" not in (await world.embedded(marker))[-1]["body"]


# -- where it may go -------------------------------------------------------------------------------

ROUTING = {
    "zdr": True,
    "dataCollection": "deny",
    "order": ["anthropic", "google-vertex"],
    "maxPrice": {"prompt": 3, "request": 0.01},
    "enforceDistillableText": True,
    "preferredMinThroughput": 20,
    "preferredMaxLatency": 2.5,
    "options": {"anthropic": {"x": 1}},
}


async def test_the_admins_routing_and_tier_are_sent(world: World) -> None:
    instance, marker = await feature(world, provider=ROUTING, serviceTier="flex"), marked()
    await ask(instance, marker)
    (body,) = await world.bodies(marker)
    assert body["service_tier"] == "flex"
    assert body["provider"] == {
        "zdr": True,
        "data_collection": "deny",
        "order": ["anthropic", "google-vertex"],
        "max_price": {"prompt": 3, "request": 0.01},
        "enforce_distillable_text": True,
        "preferred_min_throughput": 20,
        "preferred_max_latency": 2.5,
        "options": {"anthropic": {"x": 1}},
    }


async def test_titles_go_nowhere_that_the_conversation_may_not(world: World) -> None:
    instance = await feature(
        world, provider=ROUTING, promptCaching="1h", model=CLAUDE, helperModel=CLAUDE
    )
    marker = marked()
    await ask(instance, marker, conversationId="new")
    answer, title = sorted(await world.bodies(marker), key=lambda body: "session_id" not in body)
    assert title["provider"] == {"zdr": True, "data_collection": "deny"}
    assert title["user"] == answer["user"]
    assert not {"session_id", "cache_control"} & title.keys()


async def test_prompts_are_cached_where_that_has_to_be_asked_for(world: World) -> None:
    instance, marker = (
        await feature(world, CLAUDE, promptCaching="1h", allowedModels=[OTHER]),
        marked(),
    )
    await ask(instance, marker)
    await ask(instance, marker, model=OTHER)
    claude, other = await world.bodies(marker)
    assert claude["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert "cache_control" not in other
    saved = await instance.save("routed", {"model": OTHER, "promptCaching": "5m"}, 1)
    assert [(w["field"], w["reason"]) for w in saved["warnings"]] == [
        ("promptCaching", "not_supported")
    ]


async def test_a_fallback_is_asked_in_its_own_way(world: World) -> None:
    instance = await feature(world, "sim/503", fallbackModels=[CLAUDE], promptCaching="5m")
    marker = marked()
    await ask(instance, marker)
    *failed, answered = await world.bodies(marker)
    assert not any("cache_control" in body for body in failed)
    assert answered["cache_control"] == {"type": "ephemeral", "ttl": "5m"}


async def test_what_has_a_field_is_no_parameter(world: World) -> None:
    instance = world.instance()
    for name in ("service_tier", "cache_control", "user", "session_id"):
        data = {"feature": "routed", "settings": {"parameters": {name: "x"}}}
        refused = await instance.refusal("save_feature_settings", data)
        assert (refused.reason, refused.details["field"]) == (
            "settings_refused",
            f"parameters.{name}",
        )


FREE_HAND = {
    "logit_bias": {"7": -1},
    "logprobs": True,
    "top_logprobs": 3,
    "verbosity": "low",
    "prediction": {"type": "content", "content": "x"},
    "stop_server_tools_when": [{"type": "step_count_is", "step_count": 3}],
    "deferred_tools": {"portable": True},
    "prompt_cache_key": "x",
    "prompt_cache_options": {"mode": "explicit"},
    "web_search_options": {"search_context_size": "low"},
    "transforms": ["middle-out"],
}


async def test_what_has_no_field_is_sent_as_the_admin_wrote_it(world: World) -> None:
    instance, marker = await feature(world, parameters=FREE_HAND), marked()
    await ask(instance, marker)
    (body,) = await world.bodies(marker)
    assert {name: body[name] for name in FREE_HAND} == FREE_HAND
