"""`create_embeddings`: vectors in order, in few requests, and every end of one in the ledger."""

import asyncio
import base64
import secrets
import struct
from dataclasses import replace
from typing import Any

import pytest

from firerouter import limits
from firerouter.app.limits import Limits
from firerouter.callable import CallableError
from firerouter.generation.limits import GenerationLimits
from firerouter.ledger.ids import generation_id
from firerouter.openrouter import OpenRouterLimits
from scripts.devtools.callable_client import CallableClient, CallableFailure
from scripts.devtools.suite import Suite
from tests.support import counters
from tests.support.calls import ADMIN, call_of
from tests.support.eventually import until
from tests.support.in_process import Instance, World

EMBED, TEST = "create_embeddings", "test_feature_settings"
PAID = "openai/text-embedding-3-small"
SOON_S = 5.0


async def feature(world: World, model: str = "sim/vectors", **settings: Any) -> Instance:
    """An instance, and the feature `vectors`."""
    instance = world.instance()
    await instance.save("vectors", {"kind": "embedding", "model": model, **settings})
    return instance


async def paid(world: World, model: str, **settings: Any) -> Instance:
    instance = world.instance()
    app = {"settings": {"freeModelsOnly": False}, "revision": 0}
    await instance.call("save_app_settings", app)
    await instance.save("vectors", {"kind": "embedding", "model": model, **settings})
    return instance


async def embed(instance: Instance, **data: Any) -> Any:
    return await instance.call(EMBED, {"feature": "vectors", **data}, "user")


async def refused(instance: Instance, **data: Any) -> CallableError:
    return await instance.refusal(EMBED, {"feature": "vectors", **data}, "user")


async def is_settled(world: World, uid: str = "user") -> bool:
    return counters.running(await world.all(f"quotas/{uid}/windows")) == 0


def marked(many: int) -> tuple[str, list[str]]:
    marker = f"marker-{secrets.token_hex(6)}"
    return marker, [f"{marker} {number}" for number in range(many)]


# -- what comes back -------------------------------------------------------------------------------


async def test_a_hundred_inputs_are_one_request_and_keep_their_order(world: World) -> None:
    instance = await feature(world)
    marker, texts = marked(100)
    result = await embed(instance, input=texts, dimensions=8)
    assert len(await world.embedded(marker)) == 1
    assert [one["index"] for one in result["embeddings"]] == list(range(100))
    assert result["dimensions"] == 8
    alone = await embed(instance, input=texts[42], dimensions=8)
    assert alone["embeddings"] == [{**result["embeddings"][42], "index": 0}]
    assert result["model"] == "sim/vectors"
    assert result["feature"] == "vectors"
    assert result["revision"] == 1
    assert result["usage"]["promptTokens"] == result["usage"]["totalTokens"] > 0
    assert result["usage"]["cost"] == 0
    assert "costIsEstimate" not in result["usage"]
    assert result["attempts"] == [{"model": "sim/vectors"}]
    entry = await world.document(f"generations/{result['generationId']}")
    assert entry["status"] == "done"
    assert entry["usage"] == result["usage"]
    assert entry["attempts"][0]["upstreamId"].startswith("gen-")
    assert await is_settled(world)


async def test_more_than_one_request_may_hold_go_in_batches_in_order(world: World) -> None:
    instance = await feature(world)
    marker, texts = marked(limits.EMBED_INPUTS_MAX)
    result = await embed(instance, input=texts, dimensions=4)
    batches = [request["body"]["input"] for request in await world.embedded(marker)]
    assert [text for batch in batches for text in batch] == texts
    assert [len(batch) for batch in batches] == [GenerationLimits().batch_inputs] * 2
    assert len(result["attempts"]) == 2
    last = await embed(instance, input=texts[-1], dimensions=4)
    assert result["embeddings"][-1]["embedding"] == last["embeddings"][0]["embedding"]


async def test_vectors_that_come_in_another_order_are_put_in_ours(world: World) -> None:
    instance = await feature(world, "sim/vectors-shuffled")
    _, texts = marked(3)
    together = await embed(instance, input=texts, dimensions=4)
    for number, text in enumerate(texts):
        alone = await embed(instance, input=text, dimensions=4)
        got = together["embeddings"][number]["embedding"]
        assert got == alone["embeddings"][0]["embedding"]


@pytest.mark.parametrize("model", ["sim/vectors", "sim/vectors-floats"])
async def test_base64_holds_the_same_numbers(world: World, model: str) -> None:
    instance = await feature(world, model)
    packed = await embed(instance, input=["a", "b"], dimensions=6, encodingFormat="base64")
    plain = await embed(instance, input=["a", "b"], dimensions=6)
    assert packed["dimensions"] == plain["dimensions"] == 6
    for one, other in zip(packed["embeddings"], plain["embeddings"], strict=True):
        numbers = struct.unpack("<6f", base64.b64decode(one["embedding"]))
        assert list(numbers) == pytest.approx(other["embedding"])


@pytest.mark.parametrize("model", ["sim/vectors-no-base64", "sim/vectors-paid-empty-base64"])
@pytest.mark.parametrize("form", ["float", "base64"])
async def test_a_model_without_base64_is_asked_for_numbers(
    world: World, model: str, form: str
) -> None:
    instance = await paid(world, model)
    marker, texts = marked(2)
    first = await embed(instance, input=texts, dimensions=4, encodingFormat=form)
    second = await embed(instance, input=texts, dimensions=4, encodingFormat="float")
    assert len(first["embeddings"]) == len(second["embeddings"]) == 2
    assert isinstance(first["embeddings"][0]["embedding"], list if form == "float" else str)
    asked = [body["body"]["encoding_format"] for body in await world.embedded(marker)]
    assert asked == ["base64", "float", "float"]  # and it is remembered
    assert [len(result["attempts"]) for result in (first, second)] == [2, 1]
    entries = (await world.all("generations")).values()
    attempts = sorted((entry["attempts"] for entry in entries), key=len, reverse=True)
    costs = [[attempt["costNanoUsd"] for attempt in each] for each in attempts]
    price = first["usage"]["cost"] > 0
    assert [[bool(cost) for cost in each] for each in costs] == [[price, price], [price]]
    assert not any(entry["costIsEstimate"] for entry in entries)


async def test_a_price_is_charged_to_the_day_and_no_reservation_is_left(world: World) -> None:
    instance = await paid(world, PAID)
    result = await embed(instance, input=["x" * 4000] * 10, dimensions=4)
    assert result["usage"]["cost"] == pytest.approx(10_000 * 2e-8)
    assert counters.spent(await world.all("quotas/user/windows")) == 200_000
    assert await is_settled(world)


@pytest.mark.parametrize("form", ["float", "base64"])
async def test_the_same_request_again_is_not_asked_twice(world: World, form: str) -> None:
    instance = await feature(world)
    marker, texts = marked(3)
    data: dict[str, Any] = {
        "input": texts,
        "dimensions": 4,
        "encodingFormat": form,
        "requestId": "r1",
    }
    first = await embed(instance, **data)
    again = await embed(world.instance(), **data)
    numbers = [one["embedding"] for one in first["embeddings"]]
    assert [one["embedding"] for one in again["embeddings"]] == (
        numbers if form == "base64" else [pytest.approx(vector) for vector in numbers]
    )
    assert again["generationId"] == first["generationId"]
    assert len(await world.embedded(marker)) == 1
    assert (await refused(instance, input="other", requestId="r1")).reason == "request_id_reused"


async def test_what_is_too_long_to_keep_is_not_kept(world: World) -> None:
    instance = await feature(world)
    data: dict[str, Any] = {
        "input": [f"text {n}" for n in range(64)],
        "dimensions": 4096,
        "requestId": "r2",
    }
    assert len((await embed(instance, **data))["embeddings"]) == 64
    assert (await refused(instance, **data)).reason == "result_not_kept"


async def test_an_admins_dimensions_are_not_the_callers_to_change(world: World) -> None:
    fixed = {"dimensions": 5, "input_type": "search_query"}
    instance = await feature(world, provider={"zdr": True}, parameters=fixed)
    marker, texts = marked(1)
    assert (await embed(instance, input=texts))["dimensions"] == 5
    (request,) = await world.embedded(marker)
    assert request["body"]["provider"] == {"zdr": True}
    assert request["body"]["input_type"] == "search_query"
    assert (await embed(instance, input=texts, dimensions=5))["dimensions"] == 5
    others: dict[str, Any] = {"dimensions": 6, "inputType": "search_document"}
    for field, value in others.items():
        error = await instance.refusal(EMBED, {"feature": "vectors", "input": "x", field: value})
        assert (error.reason, error.details["field"]) == ("invalid_argument", field)


async def test_a_model_of_one_length_is_refused_or_taken_as_the_feature_says(world: World) -> None:
    instance = await feature(world, "sim/vectors-fixed")
    error = await refused(instance, input="x", dimensions=8)
    assert (error.reason, error.details["field"]) == ("invalid_argument", "dimensions")
    assert await is_settled(world)
    await instance.save(
        "vectors", {"kind": "embedding", "model": "sim/vectors-fixed", "unsupported": "drop"}, 1
    )
    result = await embed(world.instance(), input="x", dimensions=8)
    (notice,) = result["notices"]
    assert (notice["reason"], notice["field"]) == ("parameter_dropped", "dimensions")
    assert result["dimensions"] == 1536
    assert "notices" not in await embed(instance, input="x")


async def test_an_input_that_cannot_fit_is_named_before_any_is_asked(world: World) -> None:
    instance = await paid(world, PAID)  # reads 8,192 tokens
    marker, texts = marked(2)
    error = await refused(instance, input=[*texts, "x" * 66_000])
    assert (error.reason, error.details["field"]) == ("context_too_long", "input[2]")
    assert await world.embedded(marker) == []


async def test_an_input_that_does_not_fit_after_all_is_named(world: World) -> None:
    await feature(world, "sim/vectors-short")
    instance = world.instance(Limits(generation=replace(GenerationLimits(), batch_inputs=2)))
    error = await refused(instance, input=["a", "b", "c", "d" * 101])
    assert (error.reason, error.details["field"]) == ("context_too_long", "input[3]")
    assert await is_settled(world)


async def test_vectors_without_end_are_not_asked_for_again(
    world: World,
) -> None:
    instance = await feature(world)
    marker, texts = marked(2)
    most = {"input": texts, "dimensions": limits.DIMENSIONS_MAX // 2}
    assert (await embed(instance, **most))["dimensions"] == limits.DIMENSIONS_MAX // 2
    (request,) = await world.embedded(marker)
    assert (
        request["body"]["encoding_format"] == "base64"
    )  # written out they are four times as large
    narrow = world.instance(Limits(openrouter=OpenRouterLimits(vectors_max_bytes=1000)))
    assert (await refused(narrow, **most)).reason == "answer_too_long"
    assert len(await world.embedded(marker)) == 2


async def test_it_streams_to_those_who_ask_for_a_stream(
    world: World,
) -> None:
    instance = await feature(world)
    data = {"feature": "vectors", "input": "x", "dimensions": 2}
    messages, result = await instance.frames(EMBED, data, "user")
    assert messages == []
    assert len(result["embeddings"]) == 1


# -- who may, and what ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({}, "input"),
        ({"input": []}, "input"),
        ({"input": ""}, "input[0]"),
        ({"input": ["a", " "]}, "input[1]"),
        ({"input": ["a", 7]}, "input[1]"),
        ({"input": 7}, "input"),
        ({"input": ["a"] * (limits.EMBED_INPUTS_MAX + 1)}, "input"),
        ({"input": ["a" * (limits.PROMPT_MAX_CHARS + 1)]}, "input[0]"),
        ({"input": ["a" * limits.PROMPT_MAX_CHARS] * 6}, "input"),
        ({"input": "a", "dimensions": 0}, "dimensions"),
        ({"input": "a", "dimensions": limits.DIMENSIONS_MAX + 1}, "dimensions"),
        ({"input": "a", "encodingFormat": "hex"}, "encodingFormat"),
        ({"input": "a", "inputType": "x"}, "inputType"),
        ({"input": "a", "prompt": "x"}, "prompt"),
    ],
)
async def test_bad_input_names_the_field(world: World, data: dict[str, Any], field: str) -> None:
    error = await refused(world.instance(), **data)
    assert (error.reason, error.details["field"]) == ("invalid_argument", field)


async def test_each_kind_of_feature_has_its_own_call(world: World) -> None:
    instance = await feature(world)
    error = await instance.refusal(EMBED, {"feature": "chat", "input": "x"}, "user")
    assert (error.reason, error.details["kind"]) == ("wrong_kind", "chat")
    error = await instance.refusal("execute_prompt", {"feature": "vectors", "prompt": "x"}, "user")
    assert (error.reason, error.details["kind"]) == ("wrong_kind", "embedding")
    assert not await world.all("generations")


async def test_an_admin_tries_settings_that_nobody_has_saved(world: World) -> None:
    instance = world.instance()
    await instance.call("save_app_settings", {"settings": {"freeModelsOnly": False}, "revision": 0})
    settings = {"kind": "embedding", "model": PAID, "parameters": {"dimensions": 16}}
    test = {"feature": "vectors", "prompt": "x", "settings": settings}
    result = await instance.call(TEST, test, ADMIN)
    assert (result["test"], result["dimensions"], result["model"]) == (True, 16, PAID)
    assert result["warnings"] == []
    assert "embeddings" not in result
    entry = await world.document(f"generations/{result['generationId']}")
    assert (entry["test"], entry["status"], entry["revision"]) == (True, "done", None)
    assert await is_settled(world, ADMIN)
    given = {**test, "requestId": "r-1"}
    assert await instance.call(TEST, given, ADMIN) == await instance.call(TEST, given, ADMIN)
    messages = [{"role": "user", "content": "x"}]
    alone = {"feature": "vectors", "messages": messages, "settings": settings}
    refused = await instance.refusal(TEST, alone, ADMIN)
    assert refused.details["field"] == "prompt"
    broken = {**test, "settings": {**settings, "model": "sim/vectors-cut"}}
    assert (await instance.refusal(TEST, broken, ADMIN)).reason == "stream_cut"
    assert await is_settled(world, ADMIN)
    assert not await world.revisions("vectors")


async def test_the_built_in_feature_is_off_until_an_admin_pays(world: World) -> None:
    instance = world.instance()
    data = {"feature": "embedding", "input": "x", "dimensions": 3}
    assert (await instance.refusal(EMBED, data)).reason == "feature_disabled"
    await instance.call("save_feature_settings", {"feature": "embedding", "enabled": True})
    assert (await instance.refusal(EMBED, data)).reason == "paid_model"
    await instance.call("save_app_settings", {"settings": {"freeModelsOnly": False}, "revision": 0})
    assert (await world.instance().call(EMBED, data))["model"] == PAID


async def test_no_other_model_answers_in_its_place(world: World) -> None:
    instance = world.instance()
    settings = {"kind": "embedding", "model": "sim/vectors-429", "fallbackModels": ["sim/vectors"]}
    saved = await instance.save("vectors", {**settings, "allowedModels": ["sim/vectors"]})
    assert ("fallbackModels", "not_used") in {
        (warning["field"], warning["reason"]) for warning in saved["warnings"]
    }
    await instance.call("set_preferences", {"feature": "vectors", "model": "sim/vectors"}, "user")
    error = await refused(instance, input="x")
    assert error.reason == "rate_limited"
    chosen = await embed(instance, input="x", model="sim/vectors", dimensions=2)
    assert chosen["model"] == "sim/vectors"
    error = await refused(instance, input="x", model="sim/vectors-floats")
    assert error.reason == "model_not_allowed"


async def test_a_cap_of_the_user_holds(world: World) -> None:
    instance = await feature(world, limits={"requestsPerDay": 1})
    await embed(instance, input="x", dimensions=2)
    error = await refused(instance, input="x", dimensions=2)
    assert error.details["limit"] == "feature.requestsPerDay"


async def test_it_is_there_through_the_real_wire(client: CallableClient) -> None:
    for name, data in ((EMBED, {}), ("api", {"endpoint": EMBED})):
        with pytest.raises(CallableFailure) as refusal:
            await client.call(name, {**data, "feature": "embedding", "input": "x"})
        assert refusal.value.details["reason"] == "feature_disabled"


async def test_an_app_reaches_it_behind_the_one_instance(
    suite: Suite, admin: str, app_check: str, client: CallableClient
) -> None:
    name = f"vectors-{secrets.token_hex(4)}"
    made = {"feature": name, "settings": {"kind": "embedding", "model": "sim/vectors"}}
    async with CallableClient(suite.functions_url, admin, app_check) as as_admin:
        await as_admin.call("save_feature_settings", made)
    asked = {"endpoint": EMBED, "feature": name, "input": ["a", "b"]}
    result = await client.call("api", asked)
    assert [len(one["embedding"]) for one in result["embeddings"]] == [result["dimensions"]] * 2
    (frame,) = [frame async for frame in client.stream("api", asked)]
    assert frame[0] == "result"
    assert frame[1]["embeddings"] == result["embeddings"]


# -- every end -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("sim/vectors-missing", "upstream_malformed"),
        ("sim/vectors-uneven", "upstream_malformed"),
        ("sim/vectors-error-in-200", "upstream_busy"),
        ("sim/vectors-cut", "stream_cut"),
    ],
)
async def test_a_failure_is_said_and_settled(world: World, model: str, reason: str) -> None:
    await feature(world, model)
    instance = world.instance(Limits(openrouter=OpenRouterLimits(backoff_first_s=0.01)))
    marker, texts = marked(2)
    error = await refused(instance, input=texts, dimensions=4)
    assert error.reason == reason
    assert len(await world.embedded(marker)) == OpenRouterLimits().tries_per_model
    entry = await world.document(f"generations/{error.details['generationId']}")
    assert (entry["status"], entry["error"], entry["costNanoUsd"]) == ("failed", reason, 0)
    assert await is_settled(world)


async def test_what_passes_is_tried_again(world: World) -> None:
    instance = await feature(world, "sim/vectors-flaky-2")
    marker, texts = marked(1)
    result = await embed(instance, input=texts, dimensions=2)
    reasons = [attempt.get("reason") for attempt in result["attempts"]]
    assert reasons == ["upstream_busy", "upstream_busy", None]
    assert len(await world.embedded(marker)) == 3


async def test_silence_ends_at_its_deadline(world: World) -> None:
    instance = await feature(world, "sim/vectors-silent", firstTokenS=1)
    assert (await refused(instance, input="x")).reason == "upstream_timeout"
    assert await is_settled(world)


async def begun(world: World, marker: str) -> None:
    await until(lambda: world.embedded(marker))


async def test_a_hang_up_closes_the_connection_and_settles(world: World) -> None:
    instance = await paid(world, "sim/vectors-paid-silent")
    marker, texts = marked(1)
    call = call_of({"feature": "vectors", "input": texts}, "user")
    running = asyncio.create_task(instance.app.generation.embeddings.create_embeddings(call))
    await begun(world, marker)
    call.leave()
    with pytest.raises(CallableError) as ended:
        await asyncio.wait_for(running, SOON_S)
    assert ended.value.reason == "stopped"

    async def is_closed() -> bool:
        return bool((await world.embedded(marker))[0]["closedByClient"])

    await until(is_closed)
    entry = await world.document(f"generations/{ended.value.details['generationId']}")
    assert (entry["status"], entry["costIsEstimate"]) == ("stopped", True)
    (attempt,) = entry["attempts"]
    assert entry["costNanoUsd"] == attempt["costNanoUsd"] > 0
    assert await is_settled(world)


async def test_its_user_stops_it_from_anywhere(world: World) -> None:
    instance = await feature(world, "sim/vectors-silent")
    marker, texts = marked(1)
    data = {"feature": "vectors", "input": texts, "requestId": "r3"}
    running = asyncio.create_task(instance.call(EMBED, data, "user"))
    await begun(world, marker)
    assert (await refused(world.instance(), input=texts, requestId="r3")).reason == (
        "already_running"
    )
    stop = {"generationId": generation_id("user", "r3")}
    assert (await world.instance().call("stop_generation", stop, "user"))["stopped"]
    with pytest.raises(CallableError) as ended:
        await asyncio.wait_for(running, SOON_S)
    assert ended.value.reason == "stopped"
    assert await is_settled(world)


async def test_an_instance_that_goes_down_settles_first(world: World) -> None:
    instance = await feature(world, "sim/vectors-silent")
    marker, texts = marked(1)
    running = asyncio.create_task(embed(instance, input=texts))
    await begun(world, marker)
    instance.app.generation.embeddings.interrupt()
    with pytest.raises(CallableError) as ended:
        await asyncio.wait_for(running, SOON_S)
    assert ended.value.reason == "interrupted"
    assert await is_settled(world)


# -- the same request again while it runs ----------------------------------------------------------


async def test_the_same_request_again_waits_for_the_first_and_another_payload_does_not(
    world: World,
) -> None:
    instance = await feature(world, "sim/vectors-silent")
    marker, texts = marked(1)
    data = {"feature": "vectors", "input": texts, "requestId": "r"}
    first = asyncio.create_task(instance.call(EMBED, data, "user"))
    await begun(world, marker)
    again = asyncio.create_task(instance.call(EMBED, data, "user"))
    reused = await instance.refusal(EMBED, {**data, "input": ["other"]}, "user")
    assert reused.reason == "request_id_reused"
    stop = {"requestId": "r"}
    assert (await instance.call("stop_generation", stop, "user"))["stopped"]
    for running in (first, again):
        with pytest.raises(CallableError) as ended:
            await asyncio.wait_for(running, SOON_S)
        assert ended.value.reason == "stopped"
        assert ended.value.details["generationId"] == generation_id("user", "r")
    assert len(await world.embedded(marker)) == 1
    assert await is_settled(world)


async def test_it_goes_on_for_whoever_still_waits_and_ends_with_the_last(world: World) -> None:
    instance = await feature(world, "sim/vectors-silent")
    marker, texts = marked(1)
    data = {"feature": "vectors", "input": texts, "requestId": "r"}
    first = instance.begin(EMBED, data, "user")
    await begun(world, marker)
    again = instance.begin(EMBED, data, "user")
    await asyncio.sleep(0)
    first.call.leave()
    await asyncio.sleep(0.2)
    assert not first.task.done(), "somebody still waits for it"
    again.call.leave()
    for running in (first, again):
        with pytest.raises(CallableError) as ended:
            await asyncio.wait_for(running.task, SOON_S)
        assert ended.value.reason == "stopped"
    assert await is_settled(world)


async def test_an_instance_that_goes_down_begins_no_vectors_any_more(world: World) -> None:
    instance = await feature(world, "sim/vectors-silent")
    instance.app.generation.interrupt()
    marker, texts = marked(1)
    assert (await refused(instance, input=texts)).reason == "interrupted"
    assert await world.embedded(marker) == []
