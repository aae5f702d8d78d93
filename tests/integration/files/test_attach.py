"""Files: uploaded beside the callables, sent to a model, kept with a conversation, and whose."""

import asyncio
import base64
import json
from typing import Any

import httpx
import pytest
from google.api_core.exceptions import PermissionDenied, ServiceUnavailable

from firerouter import limits
from firerouter.app.limits import Limits
from firerouter.contract.base import parse
from firerouter.contract.prompts import ExecutePrompt
from firerouter.files.file import FREE_PDF_PLUGIN
from firerouter.files.limits import FILE_TOKENS, FileLimits
from scripts.devtools.callable_client import CallableClient
from scripts.devtools.suite import Suite
from tests.support import counters
from tests.support.conversations import ask_about
from tests.support.files import MP4, PDF, PNG, WAV, data_url, image_part, inline
from tests.support.in_process import Instance, World

SEES, HEARS_TOO, READS = "openai/gpt-5-mini", "google/gemini-3.7-flash", "z-ai/glm-4.5-air:free"
FEATURE = {"model": HEARS_TOO, "allowedModels": [SEES, READS], "maxTokens": 64}


async def send(made: dict[str, Any], content: bytes) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.request(
            made["method"], made["uploadUrl"], content=content, headers=made["headers"]
        )


async def upload(
    instance: Instance,
    content: bytes = PNG,
    type_: str = "image/png",
    uid: str = "user",
    **more: Any,
) -> str:
    data = {"contentType": type_, "bytes": len(content), **more}
    made = await instance.call("create_upload", data, uid)
    (await send(made, content)).raise_for_status()
    return str(made["path"])


async def told(world: World) -> list[Any]:
    """The content of the last message of each request that OpenRouter got from this test."""
    return [messages[-1]["content"] for messages in await asked(world)]


async def asked(world: World) -> list[list[dict[str, Any]]]:
    return [body["messages"] for body in await world.bodies()]


@pytest.fixture
def uid(world: World) -> str:
    """A user of the test's own: all tests share a bucket."""
    return f"user-{world.project}"


@pytest.fixture
async def instance(world: World) -> Instance:
    instance = world.instance()
    await instance.call("save_app_settings", {"settings": {"freeModelsOnly": False}, "revision": 0})
    await instance.save("talk", {**FEATURE, "systemPrompt": world.project})
    return instance


# -- in, and to the model --------------------------------------------------------------------------


async def test_a_file_is_uploaded_beside_the_callables_and_sent_to_the_model(
    world: World, instance: Instance, uid: str
) -> None:
    made = await instance.call(
        "create_upload", {"contentType": "image/png", "bytes": len(PNG), "name": "a.png"}, uid
    )
    assert made["path"].startswith(f"users/{uid}/uploads/")
    assert made["uploadUrl"].startswith(world.suite.storage_url)
    assert (await send(made, PNG)).is_success
    assert await ask_about(instance, uid, {"path": made["path"]})
    assert await told(world) == [[{"type": "text", "text": "What is it?"}, image_part()]]


@pytest.mark.parametrize(
    "name",
    [
        "Screenshot 3.04.05\u202fPM.png",
        "\u0645\u06cc\u200c\u062e.png",
        "\U0001f468\u200d\U0001f467.png",
    ],
    ids=ascii,
)
async def test_a_file_keeps_the_name_that_a_person_gave_it(
    world: World, instance: Instance, uid: str, name: str
) -> None:
    path = await upload(instance, PDF, "application/x-pdf", uid, name=name)
    own = inline(name=name)
    asked_ = {"prompt": "Both?", "conversationId": "new", "attachments": [{"path": path}, own]}
    result = await instance.call("execute_prompt", {"feature": "talk", **asked_}, uid)
    ((_, pdf, _),) = await told(world)
    assert pdf["file"]["filename"] == name
    folder = f"users/{uid}/conversations/{result['conversationId']}/messages"
    question = f"{folder}/{(await world.document(folder + '/' + result['messageId']))['parent']}"
    stored = (await world.document(question))["attachments"]
    assert [(file["name"], file["contentType"]) for file in stored] == [
        (name, "application/pdf"),
        (name, "image/png"),
    ]


@pytest.mark.parametrize("words", [{"prompt": ""}, {"prompt": " "}, {}], ids=str)
async def test_a_picture_without_words_is_answered(
    world: World, instance: Instance, uid: str, words: dict[str, Any]
) -> None:
    picture = inline(PNG, "image/x-png", name="cat.png")
    data = {"feature": "talk", "attachments": [picture], "conversationId": "new", **words}
    first = await instance.call("execute_prompt", data, uid)
    assert first["finishReason"] == "stop"
    assert await told(world) == [[image_part()]]
    thread = f"users/{uid}/conversations/{first['conversationId']}"
    assert (await world.document(thread))["title"] == "cat.png"
    following = {"feature": "talk", "prompt": "And?", "conversationId": first["conversationId"]}
    assert await instance.call("execute_prompt", following, uid)
    question = (await asked(world))[-1][1]
    assert question["content"] == [image_part()]
    again = {**following, "regenerate": first["messageId"]}
    del again["prompt"]
    assert (await instance.call("execute_prompt", again, uid))["text"]
    assert (await told(world))[-1] == [image_part()]


async def test_a_picture_without_words_that_a_model_cannot_read_is_not_an_empty_question(
    world: World, instance: Instance, uid: str
) -> None:
    data = {"feature": "talk", "attachments": [inline()], "conversationId": "new"}
    first = await instance.call("execute_prompt", data, uid)
    blind = {"prompt": "And?", "conversationId": first["conversationId"], "model": READS}
    result = await instance.call("execute_prompt", {"feature": "talk", **blind}, uid)
    assert [notice["reason"] for notice in result["notices"]] == ["attachment_left_out"]
    questions = [m["content"] for m in (await asked(world))[-1] if m["role"] == "user"]
    assert questions == ["[file]", "And?"]


async def test_a_file_that_is_something_else_is_refused_by_its_name(
    instance: Instance, uid: str
) -> None:
    for name, shown in (("plan.pdf", "plan.pdf"), (None, "This file")):
        file = {**inline(PNG, "application/pdf"), "name": name}
        data = {"feature": "talk", "prompt": "?", "attachments": [file]}
        refused = await instance.refusal("execute_prompt", data, uid)
        assert refused.details["field"] == "attachments[0]"
        assert refused.message == (
            f"{shown} is not really a file of the type application/pdf. Please attach another one."
        )


async def test_a_client_sees_no_more_than_two_callables_and_an_address(
    client: CallableClient, suite: Suite
) -> None:
    made = await client.call("create_upload", {"contentType": "application/pdf", "bytes": len(PDF)})
    assert (await send(made, PDF)).is_success
    data = {"prompt": "What is it?", "attachments": [{"path": made["path"]}]}
    frames = client.stream("api", {"endpoint": "execute_prompt", "feature": "chat", **data})
    kind, result = [frame async for frame in frames][-1]
    assert kind == "result"
    assert result["text"]


async def test_an_address_takes_one_file_of_the_length_that_was_said(
    world: World, instance: Instance, uid: str
) -> None:
    data = {"contentType": "image/png", "bytes": len(PNG)}
    made = await instance.call("create_upload", data, uid)
    assert (await send(made, PNG + b"more")).status_code == 400
    assert (await send(made, PNG)).is_success
    assert not (await send(made, PNG)).is_success
    assert list(await world.files(uid)) == [made["path"]]


async def test_a_web_page_may_upload(world: World, instance: Instance, uid: str) -> None:
    made = await instance.call("create_upload", {"contentType": "image/png", "bytes": 9}, uid)
    page = {"Origin": "https://app.example", "Access-Control-Request-Method": "PUT"}
    async with httpx.AsyncClient(trust_env=False) as http:
        allowed = await http.options(made["uploadUrl"], headers=page)
    assert allowed.is_success
    assert allowed.headers["access-control-allow-origin"] == "https://app.example"


@pytest.mark.parametrize(
    ("type_", "content", "part"),
    [
        (
            "application/pdf",
            PDF,
            {
                "type": "file",
                "file": {"filename": "f", "file_data": data_url("application/pdf", PDF)},
            },
        ),
        (
            "audio/wav",
            WAV,
            {
                "type": "input_audio",
                "input_audio": {"data": base64.b64encode(WAV).decode(), "format": "wav"},
            },
        ),
        (
            "video/mp4",
            MP4,
            {"type": "video_url", "video_url": {"url": data_url("video/mp4", MP4)}},
        ),
        ("text/csv", b"a,b\n1,2\n", {"type": "text", "text": "f:\n\na,b\n1,2\n"}),
    ],
)
async def test_each_kind_has_its_part(
    world: World, instance: Instance, uid: str, type_: str, content: bytes, part: dict[str, Any]
) -> None:
    path = await upload(instance, content, type_, uid, name="f")
    await ask_about(instance, uid, {"path": path})
    await ask_about(instance, uid, inline(content, type_, name="f"))
    assert await told(world) == [[{"type": "text", "text": "What is it?"}, part]] * 2


async def test_context_and_variables_are_where_they_were(
    world: World, instance: Instance, uid: str
) -> None:
    await ask_about(instance, uid, inline(), context="Look.")
    assert (await told(world))[0][0] == {"type": "text", "text": "Look.\n\nWhat is it?"}


async def test_the_estimate_of_what_was_asked_counts_files(
    world: World, instance: Instance, uid: str
) -> None:
    await instance.save("talk", {**FEATURE, "model": "sim/no-usage"}, 1)
    result = await ask_about(instance, uid, inline(PDF, "application/pdf"))
    assert result["usage"]["promptTokens"] >= FILE_TOKENS
    result = await ask_about(instance, uid, inline(b"a text", "text/plain"))
    assert result["usage"]["promptTokens"] < 100, "a text counts as what it is"


def without_storage(world: World) -> Instance:
    """An instance for which Cloud Storage does not answer."""
    limits = Limits(files=FileLimits(storage_s=0.5))
    return world.instance(limits=limits, STORAGE_EMULATOR_HOST="http://127.0.0.1:1")


# -- conversations ---------------------------------------------------------------------------------


async def test_a_conversation_with_images_goes_on_and_is_answered_again(
    world: World, instance: Instance, uid: str
) -> None:
    path = await upload(instance, uid=uid, name="a.png")
    files = [{"path": path}, inline(PNG + b"2", name="b.png")]
    first = await ask_about(instance, uid, *files, conversationId="new")
    id_ = first["conversationId"]
    other = world.instance()  # knows only what is stored
    await other.ask("talk", uid, prompt="And now?", conversationId=id_)
    again = {"feature": "talk", "conversationId": id_, "regenerate": first["messageId"]}
    result = await other.call("execute_prompt", again, uid)
    assert "notices" not in result
    seen = [{"type": "text", "text": "What is it?"}, image_part(), image_part(PNG + b"2")]
    one, two, three = await asked(world)
    assert one[1:] == [{"role": "user", "content": seen}]
    assert [m["content"] for m in two[1:]] == [seen, first["text"], "And now?"]
    assert three[1:] == one[1:]
    messages = await world.all(f"users/{uid}/conversations/{id_}/messages")
    (question,) = [m for m in messages.values() if m["text"] == "What is it?"]
    kept = question["attachments"]
    assert [(f["contentType"], f["bytes"], f["name"]) for f in kept] == [
        ("image/png", len(PNG), "a.png"),
        ("image/png", len(PNG) + 1, "b.png"),
    ]
    assert kept[0]["path"] == path
    assert {f["path"] for f in kept} == (await world.files(uid)).keys()
    assert PNG.hex() not in json.dumps(messages, default=str)
    exported = await instance.call("export_conversation", {"conversationId": id_}, uid)
    assert exported["conversation"]["messages"][0]["attachments"] == kept
    data = {"conversationId": id_, "format": "markdown"}
    page = await instance.call("export_conversation", data, uid)
    assert "What is it?\n\nAttached: a.png, b.png\n" in page["markdown"]


async def test_what_a_conversation_keeps_no_rule_of_the_bucket_deletes(
    world: World, instance: Instance, uid: str
) -> None:
    kept, unused = await upload(instance, uid=uid), await upload(instance, uid=uid)
    await ask_about(instance, uid, {"path": kept}, inline(), conversationId="new")
    times = {path: item["customTime"][:4] for path, item in (await world.files(uid)).items()}
    assert times.pop(unused) < "2100"
    assert times.pop(kept) == "9000"
    assert list(times.values()) == ["9000"]


@pytest.mark.parametrize("more", [{}, {"conversationId": "new", "temporary": True}])
async def test_without_a_conversation_what_came_with_the_call_is_stored_nowhere(
    world: World, instance: Instance, uid: str, more: dict[str, Any]
) -> None:
    await ask_about(instance, uid, inline(), **more)
    assert await world.files(uid) == {}


async def test_the_same_request_again_stores_nothing_twice(
    world: World, instance: Instance, uid: str
) -> None:
    data = {"conversationId": "new", "requestId": "r1"}
    first = await ask_about(instance, uid, inline(), **data)
    assert await ask_about(world.instance(), uid, inline(), **data) == first
    assert len(await world.files(uid)) == 1
    assert len(await told(world)) == 1


async def test_a_file_that_is_gone_is_left_out_and_the_user_is_told(
    world: World, instance: Instance, uid: str
) -> None:
    path = await upload(instance, uid=uid)
    first = await ask_about(instance, uid, {"path": path}, conversationId="new")
    await world.remove(path)
    result = await instance.ask("talk", uid, prompt="Go on", conversationId=first["conversationId"])
    assert result["notices"] == [
        {
            "reason": "attachment_left_out",
            "message": "A file of an earlier message was not sent: it no longer exists.",
        }
    ]
    assert (await asked(world))[-1][1] == {"role": "user", "content": "What is it?"}


async def test_the_newest_files_go_first_where_there_is_no_room_for_all(
    world: World, instance: Instance, uid: str
) -> None:
    small = FileLimits(request_max_bytes=2 * len(PNG) + 10)
    instance = world.instance(limits=Limits(files=small))
    first = await ask_about(instance, uid, inline(), conversationId="new")
    id_ = first["conversationId"]
    await ask_about(instance, uid, inline(PNG + b"2"), conversationId=id_)
    result = await ask_about(instance, uid, inline(PNG + b"3"), conversationId=id_)
    assert "no room for it" in result["notices"][0]["message"]
    contents = [m["content"] for m in (await asked(world))[-1] if m["role"] == "user"]
    assert [c if isinstance(c, str) else c[1] for c in contents] == [
        "What is it?",
        image_part(PNG + b"2"),
        image_part(PNG + b"3"),
    ]


async def test_deleting_a_conversation_deletes_its_files_and_no_others(
    world: World, instance: Instance, uid: str
) -> None:
    mine, other = await upload(instance, uid=uid), await upload(instance, uid=uid)
    first = await ask_about(instance, uid, {"path": mine}, inline(), conversationId="new")
    id_ = first["conversationId"]
    await ask_about(instance, uid, inline(PNG + b"2"), conversationId=id_)
    assert len(await world.files(uid)) == 4
    await instance.call("delete_conversation", {"conversationId": id_}, uid)
    assert list(await world.files(uid)) == [other]
    assert await world.all(f"users/{uid}/conversations") == {}


async def test_a_deletion_that_finds_no_storage_is_finished_by_calling_again(
    world: World, instance: Instance, uid: str
) -> None:
    first = await ask_about(instance, uid, inline(), conversationId="new")
    data = {"conversationId": first["conversationId"]}
    away = without_storage(world)
    refused = await away.refusal("delete_conversation", data, uid)
    assert refused.reason == "storage_unavailable"
    assert len(await world.files(uid)) == 1
    # from the first call on it is none to anybody
    asked = {"feature": "talk", "prompt": "x", **data}
    assert (await instance.refusal("execute_prompt", asked, uid)).reason == "conversation_unknown"
    await instance.call("delete_conversation", data, uid)
    assert await world.files(uid) == {}


async def test_storage_that_is_away_keeps_nobody_from_an_answer_about_what_came_along(
    world: World, uid: str, instance: Instance, capfd: pytest.CaptureFixture[str]
) -> None:
    away = without_storage(world)
    first = await ask_about(away, uid, inline(), conversationId="new")
    assert first["text"]
    result = await instance.ask("talk", uid, prompt="Go on", conversationId=first["conversationId"])
    assert result["notices"][0]["reason"] == "attachment_left_out"
    path = f"users/{uid}/uploads/{'0' * 32}"
    data = {"feature": "talk", "prompt": "x", "attachments": [{"path": path}]}
    refused = await away.refusal("execute_prompt", data, uid)
    assert (refused.reason, refused.retryable) == ("storage_unavailable", True)
    logged = capfd.readouterr().out
    assert "attachment_not_kept" in logged
    assert "storage_unavailable" in logged


# -- what is refused -------------------------------------------------------------------------------


async def uncounted(world: World, uid: str) -> bool:
    windows = await world.all(f"quotas/{uid}/windows")
    counted = [name for name in windows if not name.startswith("uploads-")]
    return not counted and not await world.all("generations")


async def refusal(instance: Instance, uid: str, *files: Any, **more: Any) -> Any:
    data = {"feature": "talk", "prompt": "What is it?", "attachments": list(files), **more}
    return await instance.refusal("execute_prompt", data, uid)


async def test_nobody_gets_at_another_users_file(
    world: World, instance: Instance, uid: str
) -> None:
    path = await upload(instance, uid=uid)
    for stranger in ("stranger", "ann"):
        refused = await refusal(instance, stranger, inline(), {"path": path})
        assert refused.reason == "attachment_unknown"
        assert refused.status == "NOT_FOUND"
        assert refused.details["field"] == "attachments[1].path"
    never = await refusal(instance, uid, {"path": f"users/{uid}/uploads/{'0' * 32}"})
    assert never.reason == "attachment_unknown"
    assert await told(world) == []
    assert await uncounted(world, "stranger")


@pytest.mark.parametrize(
    "path",
    [
        "users/{uid}/uploads/../../other/uploads/00000000000000000000000000000000",
        "users/{uid}/uploads/00000000000000000000000000000000/..",
        "users/{uid}/uploads/name.png",
        "users/{uid}/other/00000000000000000000000000000000",
        "/users/{uid}/uploads/00000000000000000000000000000000",
        "gs://bucket/users/{uid}/uploads/00000000000000000000000000000000",
        "http://169.254.169.254/computeMetadata/v1/",
        "https://example.com/cat.png",
        "",
    ],
)
async def test_a_path_is_one_that_was_handed_out(instance: Instance, uid: str, path: str) -> None:
    refused = await refusal(instance, uid, {"path": path.format(uid=uid)})
    assert refused.reason == "invalid_argument"
    assert refused.details["field"] == "attachments[0].path"


@pytest.mark.parametrize(
    ("attachment", "field"),
    [
        ({"url": "http://10.0.0.1/a.png"}, "attachments[1].url"),
        ({"image_url": {"url": "http://10.0.0.1/a.png"}}, "attachments[1].image_url"),
        ({}, "attachments[1]"),
        ({"data": "AAAA"}, "attachments[1]"),
        ({"data": "AAAA", "contentType": "image/svg+xml"}, "attachments[1].contentType"),
        ({"data": "no base64!", "contentType": "image/png"}, "attachments[1].data"),
        ({"data": "", "contentType": "image/png"}, "attachments[1].data"),
        (inline(name="../../etc/passwd"), "attachments[1].name"),
        (inline(b"<html>"), "attachments[1]"),
        (inline(b"MZ\x90\x00", "application/pdf"), "attachments[1]"),
        (inline(b"\xff\xfe\x00a", "text/plain"), "attachments[1]"),
        (inline(b"a" * (limits.ATTACHED_TEXT_MAX_BYTES + 1), "text/plain"), "attachments[1]"),
    ],
)
async def test_what_is_wrong_with_a_file_is_said_by_its_place(
    world: World, instance: Instance, uid: str, attachment: dict[str, Any], field: str
) -> None:
    refused = await refusal(instance, uid, inline(), attachment)
    assert refused.reason == "invalid_argument"
    assert refused.details["field"] == field
    assert await uncounted(world, uid)


async def test_a_wrong_file_behind_a_right_name_is_refused_and_nothing_is_sent(
    world: World, instance: Instance, uid: str
) -> None:
    path = await upload(instance, b"MZ\x90\x00 a program", "image/png", uid, name="cat.png")
    refused = await refusal(instance, uid, inline(), {"path": path}, conversationId="new")
    assert refused.reason == "invalid_argument"
    assert str(refused) == (
        "cat.png is not really a file of the type image/png. Please attach another one."
    )
    assert refused.details["field"] == "attachments[1]"
    assert await told(world) == []
    ((_, entry),) = (await world.all("generations")).items()
    assert (entry["status"], entry["error"]) == ("failed", "invalid_argument")
    assert not entry["costIsEstimate"]
    windows = await world.all(f"quotas/{uid}/windows")
    assert (counters.running(windows), counters.spent(windows)) == (0, 0)
    assert await world.all(f"users/{uid}/conversations") == {}
    assert list(await world.files(uid)) == [path]


async def test_bytes_are_fetched_under_the_caps_of_the_request(
    world: World, instance: Instance, uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await upload(instance, uid=uid)
    caps = {"limits": {"requestsPerDay": 1, "concurrent": 1, "usdPerDay": 1, "reserveUsd": 0.02}}
    await instance.call("save_app_settings", {"settings": caps, "revision": 1})
    await ask_about(instance, uid, {"path": path})

    async def never(_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(instance.app.files.storage, "fetch", never)
    assert (await refusal(instance, uid, {"path": path})).reason == "quota_exceeded"


async def test_an_answer_that_is_kept_needs_no_file(
    world: World, instance: Instance, uid: str
) -> None:
    await instance.save("talk", {**FEATURE, "systemPrompt": world.project, "cacheSeconds": 60}, 1)
    path = await upload(instance, uid=uid)
    for file in ({"path": path}, inline(name="a.png")):
        first, second = await ask_about(instance, uid, file), await ask_about(instance, uid, file)
        assert (first["cached"], second["cached"]) == (False, True)
    assert (await ask_about(instance, uid, inline(PNG + b"2", name="a.png")))["cached"] is False
    assert len(await told(world)) == 3


async def test_a_stop_reaches_a_request_that_waits_for_its_files(
    world: World, instance: Instance, uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await upload(instance, uid=uid)
    waiting = asyncio.Event()

    async def hang(_: Any) -> None:
        waiting.set()
        await asyncio.sleep(60)

    monkeypatch.setattr(instance.app.files.storage, "fetch", hang)
    asking = asyncio.create_task(ask_about(instance, uid, {"path": path}, requestId="r1"))
    await asyncio.wait_for(waiting.wait(), 10)
    stopped = await instance.call("stop_generation", {"requestId": "r1"}, uid)
    assert stopped["stopped"]
    assert (await asking)["finishReason"] == "stopped"
    assert await told(world) == []
    assert instance.app.files.attachments._memory.used_bytes == 0


async def test_what_is_too_large_or_too_much_is_refused(
    world: World, instance: Instance, uid: str
) -> None:
    data = {"contentType": "image/png", "bytes": 50_000_000}
    refused = await instance.refusal("create_upload", data, uid)
    assert refused.details["field"] == "bytes"
    refused = await instance.refusal("create_upload", {"contentType": "a/b", "bytes": 1}, uid)
    assert refused.details["field"] == "contentType"
    data = {"contentType": "text/plain", "bytes": limits.ATTACHED_TEXT_MAX_BYTES + 1}
    assert (await instance.refusal("create_upload", data, uid)).details["field"] == "bytes"
    refused = await refusal(instance, uid, *[inline()] * (limits.ATTACHMENTS_MAX + 1))
    assert refused.details["field"] == "attachments"
    refused = await refusal(instance, uid, inline(PNG + bytes(limits.INLINE_MAX_BYTES)))
    assert "upload larger files" in str(refused)
    path = await upload(instance, PNG * 10, uid=uid)
    small = FileLimits(file_max_bytes=len(PNG) * 5, request_max_bytes=len(PNG) * 2)
    sparing = world.instance(limits=Limits(files=small))
    refused = await refusal(sparing, uid, {"path": path})  # by whatever it came to this
    assert refused.details["field"] == "attachments[0]"
    refused = await refusal(sparing, uid, *[inline()] * 3)
    assert refused.details["field"] == "attachments"
    assert await uncounted(world, uid)


async def test_an_instance_holds_only_so_much_at_once(
    world: World, instance: Instance, uid: str
) -> None:
    small = FileLimits(in_flight_max_bytes=len(PNG) + 1)
    instance = world.instance(limits=Limits(files=small))
    refused = await refusal(instance, uid, inline(), inline(PNG + b"2"))
    assert (refused.reason, refused.retryable) == ("overloaded", True)
    for _ in range(3):  # what one has let go the next may hold
        await ask_about(instance, uid, inline())
    await instance.save("talk", {**FEATURE, "model": "sim/400"}, 1)
    failed = await refusal(instance, uid, inline(PDF, "application/pdf"))
    assert failed.reason == "upstream_rejected"
    path = await upload(instance, b"nothing", uid=uid)
    await instance.save("talk", FEATURE, 2)
    assert (await refusal(instance, uid, {"path": path})).reason == "invalid_argument"
    assert instance.app.files.attachments._memory.used_bytes == 0


async def test_a_comparison_fetches_and_holds_a_file_once(
    world: World, instance: Instance, uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [f"sim/{name}" for name in ("fast", "crlf", "one-packet", "u2028", "no-done", "slow")]
    await instance.save("many", {"model": models[0], "allowedModels": models[1:]})
    text = f"{world.project} {'word ' * 200}".encode()
    path = await upload(instance, text, "text/plain", uid=uid)
    # as much as a comparison of six may have, and less than two requests' own files
    size = 2 * len(text)
    instance = world.instance(limits=Limits(files=FileLimits(in_flight_max_bytes=2 * size)))
    fetched, fetch = list[Any](), instance.app.files.storage.fetch

    async def fetch_once(file: Any) -> Any:
        fetched.append(file.path)
        return await fetch(file)

    monkeypatch.setattr(instance.app.files.storage, "fetch", fetch_once)
    files = [{"path": path}, inline(text, "text/plain")]
    data = {"feature": "many", "prompt": "Hi", "models": models, "attachments": files}
    result = await instance.call("execute_multi_model_prompt", data, uid)
    assert [r.get("finishReason") for r in result["results"]] == ["stop"] * 6
    assert fetched == [path]
    bodies_ = await world.bodies()
    assert {body["model"] for body in bodies_} == set(models)
    assert all(len(body["messages"][-1]["content"]) == 3 for body in bodies_)
    assert instance.app.files.attachments._memory.used_bytes == 0


async def test_files_go_with_a_prompt_alone(instance: Instance, uid: str) -> None:
    data: dict[str, Any] = {"feature": "talk", "attachments": [inline()]}
    said = {"messages": [{"role": "user", "content": "x"}]}
    refused = await instance.refusal("execute_prompt", {**data, **said}, uid)
    assert refused.reason == "invalid_argument"


async def test_a_user_uploads_only_so_much_in_a_day(
    world: World, instance: Instance, uid: str
) -> None:
    two = Limits(files=FileLimits(uploads_per_day=2))
    instance = world.instance(limits=two)
    data = {"contentType": "image/png", "bytes": 9}
    for _ in range(2):
        assert await instance.call("create_upload", data, uid)
    refused = await world.instance(limits=two).refusal("create_upload", data, uid)
    assert refused.reason == "quota_exceeded"
    assert (refused.details["limit"], refused.details["max"]) == ("uploadsPerDay", 2)
    assert await instance.call("create_upload", data, "another")


@pytest.mark.parametrize(
    ("error", "reason", "retryable"),
    [
        (PermissionDenied, "firestore_forbidden", False),
        (ServiceUnavailable, "ledger_unavailable", True),
    ],
)
async def test_an_upload_that_cannot_be_counted_does_not_begin(
    instance: Instance, error: Any, reason: str, retryable: bool
) -> None:
    sent = 0

    async def refuse(*_: Any, **__: Any) -> Any:
        nonlocal sent
        sent += 1
        raise error("x")

    instance.commits(refuse)
    data = {"contentType": "image/png", "bytes": 9}
    refused = await instance.refusal("create_upload", data, "ann")
    assert (refused.reason, refused.retryable, sent) == (reason, retryable, 1)


# -- models ----------------------------------------------------------------------------------------


async def test_a_model_that_cannot_take_a_file_is_not_asked(
    world: World, instance: Instance, uid: str
) -> None:
    path = await upload(instance, WAV, "audio/wav", uid)
    refused = await refusal(instance, uid, inline(), {"path": path}, model=SEES)
    assert refused.reason == "attachment_not_taken"
    assert refused.status == "FAILED_PRECONDITION"
    assert (refused.details["field"], refused.details["modality"]) == ("attachments[1]", "audio")
    assert str(refused).startswith(f"{SEES} does not accept audio/wav.")
    assert await told(world) == []
    assert await uncounted(world, uid)
    assert (await ask_about(instance, uid, inline(), model=SEES))["text"]


async def test_a_question_with_an_image_is_not_asked_again_of_a_model_that_sees_none(
    world: World, instance: Instance, uid: str
) -> None:
    first = await ask_about(instance, uid, inline(), conversationId="new")
    data = {"conversationId": first["conversationId"], "model": READS, "feature": "talk"}
    again = {**data, "regenerate": first["messageId"]}
    refused = await instance.refusal("execute_prompt", again, uid)
    assert (refused.reason, refused.details["field"]) == ("attachment_not_taken", "regenerate")
    result = await instance.call("execute_prompt", {**data, "prompt": "Go on"}, uid)
    (notice,) = result["notices"]
    assert notice["message"].endswith(f"not sent: {READS} does not accept it.")
    assert (await asked(world))[-1][1] == {"role": "user", "content": "What is it?"}


async def test_a_fallback_that_cannot_take_a_file_is_left_out(instance: Instance, uid: str) -> None:
    image_, unknown = inline(), "somebody/new"
    request = parse(ExecutePrompt, {"feature": "talk", "prompt": "x", "attachments": [image_]})
    models = [HEARS_TOO, READS, SEES, unknown]
    found = await instance.app.files.attachments.find(request, uid, "0" * 32)
    plan = await instance.app.files.attachments.plan(request, found, models, [])
    assert plan.models == [HEARS_TOO, SEES, unknown]


async def test_no_pdf_is_read_for_money_where_nothing_may_cost_any(
    world: World, instance: Instance, uid: str
) -> None:
    pdf = inline(PDF, "application/pdf")
    await ask_about(instance, uid, pdf)
    data = {"settings": {"freeModelsOnly": True}, "revision": 1}
    await instance.call("save_app_settings", data)
    await instance.save("talk", {"model": READS, "systemPrompt": world.project}, 1)
    first = await ask_about(instance, uid, pdf, conversationId="new")
    await instance.ask("talk", uid, prompt="Go on", conversationId=first["conversationId"])
    plugins = [body.get("plugins") for body in await world.bodies()]
    assert plugins == [None, [FREE_PDF_PLUGIN], [FREE_PDF_PLUGIN]]
