"""Images that a model makes: to the caller, into Cloud Storage, into conversations and back."""

import asyncio
import base64
import json
import re
from dataclasses import replace
from typing import Any

import httpx
import pytest

from firerouter.app.limits import Limits
from firerouter.conversations.writer import ThreadWriter
from firerouter.files.limits import FileLimits
from firerouter.openrouter import OpenRouterLimits
from scripts.standins.openrouter.completions import simulated_png as drawn
from tests.support.eventually import until
from tests.support.files import image_part, inline
from tests.support.in_process import Instance, World

MODEL, CHATS = "google/gemini-2.5-flash-image", "z-ai/glm-4.5-air:free"
PROMPT = "A red boat"
PNG = base64.b64decode(drawn(PROMPT))


@pytest.fixture
def uid(world: World) -> str:
    """A user of the test's own: all tests share a bucket."""
    return f"user-{world.project}"


@pytest.fixture
async def instance(world: World) -> Instance:
    instance = world.instance()
    await instance.call("save_app_settings", {"settings": {"freeModelsOnly": False}, "revision": 0})
    await save(instance, world)
    return instance


async def save(instance: Instance, world: World, revision: int = 0, **more: Any) -> None:
    settings = {"kind": "image", "model": MODEL, "systemPrompt": world.project, **more}
    await instance.save("draw", settings, revision)


async def draw(instance: Instance, uid: str, **more: Any) -> dict[str, Any]:
    result: dict[str, Any] = await instance.ask("draw", uid, **{"prompt": PROMPT, **more})
    return result


async def settled(world: World, uid: str) -> list[dict[str, Any]]:
    """The user's entries, all of which have ended, with nothing held any more."""
    entries = [e for e in (await world.all("generations")).values() if e["uid"] == uid]
    windows = await world.all(f"quotas/{uid}/windows")
    assert windows["concurrent"]["count"] == 0
    assert "running" not in {entry["status"] for entry in entries}
    return entries


# -- out -------------------------------------------------------------------------------------------


async def test_an_image_is_stored_for_its_owner_and_told_by_its_path(
    world: World, instance: Instance, uid: str
) -> None:
    data = {"feature": "draw", "prompt": PROMPT, "requestId": "r1"}
    frames, result = await instance.frames("execute_prompt", data, uid)
    path = f"users/{uid}/images/{result['generationId']}-0.png"
    image = {"index": 0, "contentType": "image/png", "bytes": len(PNG), "path": path}
    assert result["images"] == [image]
    assert result["finishReason"] == "stop"
    assert {"type": "image", "image": image} in frames
    (body,) = await world.bodies()
    assert body["modalities"] == ["image", "text"]
    assert list(await world.files(uid, "images")) == [path]
    assert await world.content(path) == PNG
    (entry,) = await settled(world, uid)
    assert (entry["status"], entry["result"]["images"]) == ("done", [image])
    assert entry["usage"]["cost"] > 0
    again = await world.instance().call("execute_prompt", data, uid)
    assert again == result
    _, last = await world.instance().frames(
        "execute_prompt", {"resume": result["generationId"]}, uid
    )
    assert last == result


async def test_small_ones_come_inline_where_that_is_asked_for(
    world: World, instance: Instance, uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {"feature": "draw", "prompt": PROMPT, "inlineImages": True, "requestId": "r1"}
    frames, result = await instance.frames("execute_prompt", data, uid)
    (image,) = result["images"]
    assert base64.b64decode(image["data"]) == PNG
    assert {"type": "image", "image": image} in frames
    assert list(await world.files(uid, "images")) == [image["path"]]
    (entry,) = await settled(world, uid)
    (kept,) = entry["result"]["images"]
    assert kept.keys() == {"index", "contentType", "bytes", "path"}
    sparing = world.instance(limits=Limits(files=FileLimits(inline_image_max_bytes=len(PNG) - 1)))
    (image,) = (await draw(sparing, uid, inlineImages=True))["images"]
    assert image.keys() == {"index", "contentType", "bytes", "path"}


async def test_temporary_ones_are_stored_nowhere(
    world: World, instance: Instance, uid: str
) -> None:
    instance = world.instance(limits=Limits(files=FileLimits(inline_image_max_bytes=0)))
    for more in ({}, {"conversationId": "new"}):
        (image,) = (await draw(instance, uid, temporary=True, **more))["images"]
        assert base64.b64decode(image["data"]) == PNG
        assert "path" not in image
    tried = await instance.call("test_feature_settings", {"feature": "draw", "prompt": PROMPT})
    assert "path" not in tried["images"][0]
    assert await world.files(uid, "images") == {}
    assert drawn(PROMPT) not in json.dumps(await world.all("generations"), default=str)


async def test_storage_that_is_away_keeps_nobody_from_an_image(
    world: World, instance: Instance, uid: str, capfd: pytest.CaptureFixture[str]
) -> None:
    hurried = Limits(files=FileLimits(storage_s=0.5))
    away = world.instance(limits=hurried, STORAGE_EMULATOR_HOST="http://127.0.0.1:1")
    result = await draw(away, uid, conversationId="new", requestId="r1")
    (image,) = result["images"]
    assert base64.b64decode(image["data"]) == PNG
    assert [notice["reason"] for notice in result["notices"]] == ["image_not_kept"]
    (entry,) = await settled(world, uid)
    assert entry["status"] == "done"
    assert "images" not in entry["result"]
    messages = await world.all(f"users/{uid}/conversations/{result['conversationId']}/messages")
    assert [m for m in messages.values() if "images" in m] == []
    assert "image_not_kept" in capfd.readouterr().out


async def test_without_streaming_the_image_is_in_the_result(
    world: World, instance: Instance, uid: str
) -> None:
    await save(instance, world, 1, stream=False)
    data = {"feature": "draw", "prompt": PROMPT}
    frames, result = await instance.frames("execute_prompt", data, uid)
    assert [frame["type"] for frame in frames] == ["start"]
    assert len(result["images"]) == 1


@pytest.mark.parametrize(
    ("bound", "value", "reason"),
    [
        ("image_max_bytes", 50, "images_too_large"),
        ("images_max_bytes", 50, "images_too_large"),
        ("images_max", 0, "images_too_large"),
        ("image_line_max_bytes", 320, "images_too_large"),
    ],
)
async def test_what_is_too_large_ends_the_answer_and_is_not_kept(
    world: World,
    instance: Instance,
    uid: str,
    bound: str,
    value: int,
    reason: str,
) -> None:
    instance = world.instance(Limits(openrouter=replace(OpenRouterLimits(), **{bound: value})))
    data = {"feature": "draw", "prompt": PROMPT, "requestId": "r1"}
    refused = await instance.refusal("execute_prompt", data, uid)
    assert (refused.reason, refused.status, refused.retryable) == (reason, "OUT_OF_RANGE", False)
    assert await world.files(uid, "images") == {}
    (entry,) = await settled(world, uid)
    assert (entry["status"], entry["error"]) == ("failed", reason)
    assert len(await world.bodies()) == 1  # it would be paid for again


# -- conversations ---------------------------------------------------------------------------------


async def test_a_conversation_keeps_its_images_and_goes_on_with_them(
    world: World, instance: Instance, uid: str
) -> None:
    first = await draw(instance, uid, conversationId="new", inlineImages=True)
    id_ = first["conversationId"]
    kept = {name: first["images"][0][name] for name in ("path", "contentType", "bytes")}
    other = world.instance()  # knows only what is stored
    second = await draw(other, uid, prompt="Make it blue", conversationId=id_)
    third = await draw(other, uid, prompt="Larger", conversationId=id_)
    again = {"feature": "draw", "conversationId": id_, "regenerate": second["messageId"]}
    await other.call("execute_prompt", again, uid)
    _, two, three, four = [body["messages"][1:] for body in await world.bodies()]
    blue = base64.b64decode(drawn("Make it blue"))
    assert two == [
        {"role": "user", "content": PROMPT},
        {"role": "assistant", "content": first["text"]},
        {"role": "user", "content": [{"type": "text", "text": "Make it blue"}, image_part(PNG)]},
    ]
    assert three[2] == two[2]
    assert three[-1]["content"] == [{"type": "text", "text": "Larger"}, image_part(blue)]
    assert four == two
    messages = await world.all(f"users/{uid}/conversations/{id_}/messages")
    assert messages[first["messageId"]]["images"] == [kept]
    assert drawn(PROMPT) not in json.dumps(messages, default=str)
    times = {
        path: item["customTime"][:4] for path, item in (await world.files(uid, "images")).items()
    }
    assert len(times) == 4
    assert set(times.values()) == {"9000"}
    exported = await instance.call("export_conversation", {"conversationId": id_}, uid)
    assert exported["conversation"]["messages"][1]["images"] == [kept]
    page = {"conversationId": id_, "format": "markdown"}
    assert "Images: 1\n" in (await instance.call("export_conversation", page, uid))["markdown"]
    assert third["images"][0]["path"] in times
    await instance.call("delete_conversation", {"conversationId": id_}, uid)
    assert await world.files(uid, "images") == {}


async def test_without_a_conversation_an_image_stays_for_a_week(
    world: World, instance: Instance, uid: str
) -> None:
    await draw(instance, uid)
    (item,) = (await world.files(uid, "images")).values()
    assert item["customTime"] < "2100"


async def test_an_image_goes_with_another_question_by_its_path(
    world: World, instance: Instance, uid: str
) -> None:
    (image,) = (await draw(instance, uid))["images"]
    file = {"path": image["path"]}
    await draw(instance, uid, prompt="Make it blue", attachments=[file])
    assert (await world.bodies())[1]["messages"][-1]["content"][1] == image_part(PNG)
    data = {"feature": "draw", "prompt": PROMPT, "attachments": [file]}
    assert (await instance.refusal("execute_prompt", data, "bob")).reason == "attachment_unknown"


async def test_an_image_that_is_gone_is_left_out_and_the_user_is_told(
    world: World, instance: Instance, uid: str
) -> None:
    first = await draw(instance, uid, conversationId="new")
    await world.remove(first["images"][0]["path"])
    result = await draw(instance, uid, prompt="More", conversationId=first["conversationId"])
    assert result["notices"][0]["reason"] == "attachment_left_out"
    assert (await world.bodies())[1]["messages"][-1] == {"role": "user", "content": "More"}


async def test_a_conversation_that_is_deleted_meanwhile_keeps_no_image(
    world: World, instance: Instance, uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await draw(instance, uid, conversationId="new")
    id_ = first["conversationId"]
    write = ThreadWriter.write_answer

    async def deleted_first(*args: Any, **kwargs: Any) -> bool:
        await world.instance().call("delete_conversation", {"conversationId": id_}, uid)
        return await write(*args, **kwargs)

    monkeypatch.setattr(ThreadWriter, "write_answer", deleted_first)
    assert (await draw(instance, uid, conversationId=id_))["images"]
    assert await world.files(uid, "images") == {}


async def test_an_answer_that_is_kept_has_images_of_its_own(
    world: World, instance: Instance, uid: str
) -> None:
    await save(instance, world, 1, cacheSeconds=60, cacheShared=True)
    first = await draw(instance, uid, conversationId="new")
    data = {"feature": "draw", "prompt": PROMPT, "conversationId": "new"}
    frames, second = await instance.frames("execute_prompt", data, "bob-" + uid)
    assert (second["cached"], second["usage"]["cost"]) == (True, 0.0)
    (image,) = second["images"]
    assert {"type": "image", "image": image} in frames
    assert image["path"] == f"users/bob-{uid}/images/{second['generationId']}-0.png"
    await instance.call("delete_conversation", {"conversationId": first["conversationId"]}, uid)
    assert await world.content(image["path"]) == PNG
    # the first one's is gone: what names it is asked for anew
    assert (await draw(instance, uid))["cached"] is False


async def test_whoever_follows_an_answer_that_runs_elsewhere_gets_its_images(
    world: World, instance: Instance, uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await save(instance, world, 1, onDisconnect="continue")
    elsewhere, delivered = world.instance(), list[asyncio.Task[Any]]()

    async def deliver(id_: str) -> None:
        delivered.append(asyncio.create_task(elsewhere.app.generation.prompts.deliver(id_)))

    monkeypatch.setattr(instance.app.delivery.handover._queue, "add", deliver)
    data = {"feature": "draw", "prompt": PROMPT, "conversationId": "new", "inlineImages": True}
    frames, result = await instance.frames("execute_prompt", data, uid)
    await asyncio.gather(*delivered)
    (image,) = result["images"]
    assert image.keys() == {"index", "contentType", "bytes", "path"}
    assert {"type": "image", "image": image} in frames
    assert await world.content(image["path"]) == PNG


# -- what is asked ---------------------------------------------------------------------------------


async def test_options_are_the_admins_and_the_callers(
    world: World, instance: Instance, uid: str
) -> None:
    await save(
        instance,
        world,
        1,
        imageOptions={"aspectRatio": "16:9", "size": "1K"},
        parameters={"image_config": {"style": "plain"}},
    )
    await draw(instance, uid, imageOptions={"size": "2K", "seed": 7})
    (body,) = await world.bodies()
    config = {"style": "plain", "aspect_ratio": "16:9", "image_size": "2K"}
    assert (body["image_config"], body["seed"]) == (config, 7)
    data = {"feature": "draw", "prompt": PROMPT, "imageOptions": {"n": 2}}
    refused = await instance.refusal("execute_prompt", data, uid)
    assert (refused.reason, refused.details["field"]) == ("invalid_argument", "imageOptions.n")
    await save(instance, world, 2, allowImageOptions=False)
    data = {**data, "imageOptions": {"seed": 2}}
    assert (await instance.refusal("execute_prompt", data, uid)).details["field"] == "imageOptions"
    await instance.save("talk", {"model": CHATS})
    data = {**data, "feature": "talk"}
    assert (await instance.refusal("execute_prompt", data, uid)).details["field"] == "imageOptions"


# -- OpenRouter's image API ------------------------------------------------------------------------


async def test_the_image_api_makes_several_with_partial_ones_before(
    world: World, instance: Instance, uid: str
) -> None:
    await save(instance, world, 1, imageApi="images", temperature=0.5)
    options = {"n": 2, "aspectRatio": "16:9", "size": "2K", "seed": 7, "quality": "high"}
    reference = {"data": base64.b64encode(PNG).decode(), "contentType": "image/png"}
    data = {"prompt": PROMPT, "imageOptions": options, "attachments": [reference]}
    frames, result = await instance.frames("execute_prompt", {"feature": "draw", **data}, uid)
    (body,) = await world.bodies()
    assert re.fullmatch("[0-9a-f]{32}", body.pop("user"))
    assert body == {
        "model": MODEL,
        "prompt": f"{world.project}\n\n{PROMPT}",
        "n": 2,
        "aspect_ratio": "16:9",
        "size": "2K",
        "seed": 7,
        "quality": "high",
        "stream": True,
        "input_references": [image_part(PNG)],
    }
    images = [frame["image"] for frame in frames if frame["type"] == "image"]
    assert [(i["index"], "partial" in i) for i in images] == [
        *((0, True), (0, True), (0, False)),
        *((1, True), (1, True), (1, False)),
    ]
    assert all(base64.b64decode(i["data"]).startswith(b"\x89PNG") for i in images if "partial" in i)
    assert result["images"] == [i for i in images if "partial" not in i]
    assert len(await world.files(uid, "images")) == 2
    (entry,) = await settled(world, uid)
    assert entry["usage"]["cost"] > 0
    assert (entry["status"], result["finishReason"]) == ("done", "stop")


async def test_an_image_api_is_told_what_to_draw(
    instance: Instance, world: World, uid: str
) -> None:
    """A picture alone is a question in a chat, but no order for another picture."""
    await save(instance, world, 1, imageApi="images")
    for words in ({}, {"prompt": " "}):
        data = {"feature": "draw", "attachments": [inline()], **words}
        refused = await instance.refusal("execute_prompt", data, uid)
        assert refused.details["field"] == "prompt"
        assert str(refused) == "prompt is required. It describes the image that is generated."
    assert await world.bodies() == []


async def test_the_image_api_edits_what_a_conversation_has(
    world: World, instance: Instance, uid: str
) -> None:
    await save(instance, world, 1, imageApi="images")
    first = await draw(instance, uid, conversationId="new")
    await draw(instance, uid, prompt="Make it blue", conversationId=first["conversationId"])
    made = base64.b64decode(drawn(f"{world.project}\n\n{PROMPT} 0"))
    body = (await world.bodies())[1]
    assert body["prompt"].endswith("\n\nMake it blue")
    entry = await world.document(f"generations/{first['generationId']}")
    titles = [a["reason"] for a in entry["attempts"] if a.get("purpose") == "title"]
    assert titles == [None]  # a chat was asked for it
    assert body["input_references"] == [image_part(made)]


async def test_the_image_api_takes_no_more_than_it_has_a_place_for(
    world: World, instance: Instance, uid: str
) -> None:
    await save(instance, world, 1, imageApi="images")
    pdf = {"data": base64.b64encode(b"%PDF-1.7").decode(), "contentType": "application/pdf"}
    tool = {"name": "weather", "parameters": {"type": "object"}}
    for field, value, reason in [
        ("attachments", [pdf], "attachment_not_taken"),
        ("tools", [tool], "invalid_argument"),
        ("responseFormat", {"type": "json_object"}, "invalid_argument"),
    ]:
        data = {"feature": "draw", "prompt": PROMPT, field: value}
        refused = await instance.refusal("execute_prompt", data, uid)
        assert refused.reason == reason
        assert refused.details["field"].startswith(field)
    assert await world.bodies() == []


async def test_several_images_hold_as_much_as_several_answers(
    world: World, instance: Instance, uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await save(instance, world, 1, imageApi="images")
    caps = {"requestsPerMinute": 9, "concurrent": 9, "usdPerDay": 0.1, "reserveUsd": 0.02}
    await instance.call("save_app_settings", {"settings": {"limits": caps}, "revision": 1})
    data = {"feature": "draw", "prompt": PROMPT, "imageOptions": {"n": 10}}
    refused = await instance.refusal("execute_prompt", data, uid)
    assert (refused.reason, refused.details["limit"]) == ("quota_exceeded", "usdPerDay")
    assert await world.bodies() == []


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("sim/images-cut", "stream_cut"),
        ("sim/images-usage-first", "stream_cut"),
        ("sim/images-error", "upstream_busy"),
    ],
)
async def test_an_answer_that_breaks_off_keeps_the_images_that_had_come(
    world: World, instance: Instance, uid: str, model: str, reason: str
) -> None:
    await save(instance, world, 1, imageApi="images", model=model)
    data = {"feature": "draw", "prompt": PROMPT, "conversationId": "new"}
    more = {"imageOptions": {"n": 2}}
    refused = await instance.refusal("execute_prompt", {**data, **more}, uid)
    assert refused.reason == reason
    assert len(await world.bodies()) == 1  # some of it is there, and may have to be paid for
    (entry,) = await settled(world, uid)
    conversation = f"users/{uid}/conversations/{entry['place']['conversationId']}"
    message = await world.document(f"{conversation}/messages/{entry['place']['messageId']}")
    assert (message["status"], message["text"]) == ("failed", "")
    ((path, item),) = (await world.files(uid, "images")).items()
    assert [image["path"] for image in message["images"]] == [path]
    assert item["customTime"].startswith("9000")


@pytest.mark.parametrize(
    ("model", "made", "estimate"),
    [
        ("sim/images-json", 2, None),
        ("sim/images-fewer", 1, None),
        ("sim/images-alike", 2, None),
        ("sim/images-no-usage", 2, True),
    ],
)
async def test_what_a_provider_makes_its_own_way_is_an_answer(
    world: World, instance: Instance, uid: str, model: str, made: int, estimate: bool | None
) -> None:
    await save(instance, world, 1, imageApi="images", model=model)
    result = await draw(instance, uid, imageOptions={"n": 2})
    assert [image["index"] for image in result["images"]] == list(range(made))
    dropped = [(notice["reason"], notice["field"]) for notice in result.get("notices", [])]
    assert dropped == [("parameter_dropped", "imageOptions.n")] * (2 - made)
    assert len(await world.files(uid, "images")) == made
    (entry,) = await settled(world, uid)
    assert (entry["status"], entry["usage"].get("costIsEstimate")) == ("done", estimate)
    assert entry["usage"]["cost"] > 0


async def test_partial_images_without_end_are_not_all_sent(
    world: World, instance: Instance, uid: str
) -> None:
    await save(instance, world, 1, imageApi="images", model="sim/images-partial")
    data = {"feature": "draw", "prompt": PROMPT}
    frames, result = await instance.frames("execute_prompt", data, uid)
    partial = [f for f in frames if f["type"] == "image" and "partial" in f["image"]]
    assert (len(partial), len(result["images"])) == (OpenRouterLimits().partial_images_max, 1)


async def test_privacy_that_the_image_api_does_not_keep_to_is_not_promised(
    world: World, instance: Instance, uid: str
) -> None:
    settings = {"kind": "image", "model": MODEL, "imageApi": "images", "provider": {"zdr": True}}
    data = {"feature": "draw", "settings": settings, "revision": 1}
    refused = await instance.refusal("save_feature_settings", data)
    (error,) = refused.details["errors"]
    assert (error["field"], error["reason"]) == ("provider.zdr", "invalid")
    await save(instance, world, 1, imageApi="images", provider={"only": ["openai"]})
    await draw(instance, uid)
    (body,) = await world.bodies()
    assert body["provider"] == {"only": ["openai"]}


async def test_what_a_model_does_not_draw_by_is_refused_or_dropped_as_the_feature_says(
    world: World, instance: Instance, uid: str
) -> None:
    plain = {"kind": "image", "imageApi": "images", "model": "sim/images-plain"}
    shaped = {"feature": "draw", "settings": {**plain, "imageOptions": {"size": "2K"}}}
    saved = await instance.call("save_feature_settings", {**shaped, "revision": 1})
    assert [(w["field"], w["reason"]) for w in saved["warnings"]] == [
        ("imageOptions.size", "not_supported")
    ]
    options = {"quality": "high", "aspectRatio": "16:9", "n": 2}
    data = {"feature": "draw", "prompt": PROMPT, "imageOptions": options}
    refused = await instance.refusal("execute_prompt", data, uid)
    assert refused.details["field"] == "imageOptions.aspectRatio"
    assert await world.bodies() == []
    more = {"unsupported": "drop", "systemPrompt": world.project}
    await instance.save("draw", {**plain, **more}, 2)
    result = await draw(instance, uid, imageOptions=options)
    dropped = [notice["field"] for notice in result["notices"]]
    assert dropped == ["imageOptions.aspectRatio", "imageOptions.quality"]
    (body,) = await world.bodies()
    assert (body["n"], {"quality", "aspect_ratio"} & body.keys()) == (2, set())


async def test_a_callers_pixels_go_before_the_features_shape(
    world: World, instance: Instance, uid: str
) -> None:
    await save(instance, world, 1, imageApi="images", imageOptions={"aspectRatio": "16:9"})
    await draw(instance, uid, imageOptions={"size": "1024x1536"})
    (body,) = await world.bodies()
    assert (body["size"], "aspect_ratio" in body) == ("1024x1536", False)


async def test_only_what_the_image_api_is_sent_of_a_conversation_is_fetched(
    world: World, instance: Instance, uid: str
) -> None:
    await save(instance, world, 1, imageApi="images")
    reference = {"data": base64.b64encode(PNG).decode(), "contentType": "image/png"}
    first = await draw(instance, uid, conversationId="new", attachments=[reference])
    here = {"conversationId": first["conversationId"]}
    second = await draw(instance, uid, prompt="Make it blue", **here)
    for image in (await world.files(uid, "images")).keys() - {second["images"][0]["path"]}:
        await world.remove(image)
    third = await draw(instance, uid, prompt="Larger", **here)
    assert "notices" not in third  # those that are gone were not looked for
    again = {"feature": "draw", **here, "regenerate": third["messageId"]}
    await instance.call("execute_prompt", again, uid)
    blue = base64.b64decode(drawn(f"{world.project}\n\nMake it blue 0"))
    for body in (await world.bodies())[2:]:
        assert body["input_references"] == [image_part(blue)]


async def test_whoever_leaves_ends_the_images(
    world: World, instance: Instance, uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await save(instance, world, 1, imageApi="images")
    data = {"feature": "draw", "prompt": PROMPT, "imageOptions": {"n": 10}}
    asking = instance.begin("execute_prompt", data, uid)
    await until(lambda: any("image" in message for message in asking.messages))
    asking.call.leave()
    assert (await asking.task)["finishReason"] == "stopped"
    (entry,) = await settled(world, uid)
    assert entry["status"] == "stopped"

    async def is_closed() -> bool:
        return any(request["closedByClient"] for request in await world.requests())

    await until(is_closed)


async def test_models_side_by_side_draw_each_for_itself(
    world: World, instance: Instance, uid: str
) -> None:
    await save(instance, world, 1, allowedModels=["openrouter/auto"])  # which picks one that writes
    data = {"feature": "draw", "prompt": PROMPT, "models": [MODEL, "openrouter/auto"]}
    frames, result = await instance.frames("execute_multi_model_prompt", data, uid)
    (shown,) = [frame for frame in frames if frame["type"] == "image"]
    first, second = result["results"]
    assert (shown["index"], [shown["image"]]) == (0, first["images"])
    assert base64.b64decode(shown["image"]["data"]) == PNG  # without a requestId none is stored
    assert "images" not in second


async def test_whoever_stops_an_image_pays_for_none(
    world: World, instance: Instance, uid: str
) -> None:
    await save(instance, world, 1, imageApi="images", model="sim/images-silent")
    data = {"feature": "draw", "prompt": PROMPT, "requestId": "r1"}
    asking = instance.begin("execute_prompt", data, uid)
    await until(lambda: any("partial" in m.get("image", ()) for m in asking.messages))
    await instance.call("stop_generation", {"requestId": "r1"}, uid)
    result = await asking.task
    assert result["finishReason"] == "stopped"
    assert "images" not in result
    (entry,) = await settled(world, uid)
    assert (entry["status"], entry["usage"]["costIsEstimate"]) == ("stopped", True)
    asked = {"id": entry["attempts"][0]["upstreamId"]}
    url, key = f"{world.suite.openrouter_root}/api/v1/generation", "Bearer sk-or-v1-simulated"

    async def openrouter_knows() -> bool:
        async with httpx.AsyncClient(trust_env=False) as http:
            headers = {"Authorization": key}
            return (await http.get(url, params=asked, headers=headers)).is_success

    await until(openrouter_knows)
    await instance.app.generation.reconciler.run()
    (entry,) = await settled(world, uid)
    assert (entry["costNanoUsd"], entry["usage"]["cost"]) == (0, 0)
