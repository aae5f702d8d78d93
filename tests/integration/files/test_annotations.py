"""What OpenRouter read of a PDF goes back to it, so that it is not paid for twice."""

import base64
import json
from typing import Any

import pytest

from firerouter.app.limits import Limits
from firerouter.files.limits import FileLimits
from tests.support.conversations import ask_about
from tests.support.files import PDF, inline
from tests.support.in_process import Instance, World
from tests.support.tools import WEATHER

READ = " The file was read for it."
READS, NATIVE, FAILS = "sim/fast", "google/gemini-3.7-flash", "sim/pdf-then-502"


@pytest.fixture
def uid(world: World) -> str:
    return f"user-{world.project}"


@pytest.fixture
async def instance(world: World) -> Instance:
    instance = world.instance()
    await instance.call("save_app_settings", {"settings": {"freeModelsOnly": False}, "revision": 0})
    settings = {"model": READS, "allowedModels": [NATIVE, FAILS, "sim/bad-json"]}
    data = {**settings, "systemPrompt": world.project, "titles": "beginning", "repairJson": True}
    await instance.save("talk", data)
    return instance


def pdf(content: bytes = PDF) -> dict[str, Any]:
    return inline(content, "application/pdf", name="a.pdf")


async def annotations(world: World) -> list[list[Any]]:
    """What each request brought back, message by message."""
    return [[m.get("annotations") for m in body["messages"][1:]] for body in await world.bodies()]


async def test_a_pdf_is_read_once_in_a_conversation(
    world: World, instance: Instance, uid: str
) -> None:
    first = await ask_about(instance, uid, pdf(), conversationId="new")
    here = {"conversationId": first["conversationId"]}
    second = await instance.ask("talk", uid, prompt="And now?", **here)
    third = await world.instance().ask("talk", uid, prompt="And then?", **here)
    assert READ in first["text"]
    assert READ not in second["text"] + third["text"]
    one, two, three = await annotations(world)
    assert one == [None]
    ((read,),) = [a for a in two if a]
    assert read["type"] == "file"
    assert read["file"]["name"] == "a.pdf"
    assert read["file"]["content"] == [{"type": "text", "text": "Simulated text of a.pdf."}]
    assert two == [None, [read], None]
    assert three == [None, [read], None, None, None]  # with the answer that it came with alone


async def test_what_was_read_lies_where_no_client_looks_and_goes_with_the_conversation(
    world: World, instance: Instance, uid: str
) -> None:
    first = await ask_about(instance, uid, pdf(), conversationId="new")
    id_, message = first["conversationId"], first["messageId"]
    assert "Simulated text" not in json.dumps(first)
    conversation = f"users/{uid}/conversations/{id_}"
    kept = await world.document(f"{conversation}/messages/{message}")
    assert kept["reading"]["documents"] == [f"{message}.0"]
    assert "Simulated text" not in json.dumps(kept, default=str)
    piece = await world.document(f"{conversation}/transcript/{message}.0")
    assert kept["reading"]["bytes"] == len(piece["reading"])
    exported = await instance.call("export_conversation", {"conversationId": id_}, uid)
    assert "reading" not in str(exported["conversation"]["messages"][1].keys())
    await instance.call("delete_conversation", {"conversationId": id_}, uid)
    assert await world.all(f"{conversation}/transcript") == {}


async def test_a_model_that_reads_files_itself_brings_nothing_to_keep(
    world: World, instance: Instance, uid: str
) -> None:
    first = await ask_about(instance, uid, pdf(), conversationId="new", model=NATIVE)
    path = f"users/{uid}/conversations/{first['conversationId']}/messages/{first['messageId']}"
    assert "reading" not in await world.document(path)


async def test_nothing_is_told_of_a_file_that_is_not_sent(
    world: World, instance: Instance, uid: str
) -> None:
    first = await ask_about(instance, uid, pdf(), conversationId="new")
    here = {"conversationId": first["conversationId"]}
    await instance.call("update_conversation", {**here, "messageId": first["messageId"]}, uid)
    sparing = world.instance(limits=Limits(files=FileLimits(request_max_files=0)))
    await sparing.ask("talk", uid, prompt="And now?", **here)
    assert (await annotations(world))[-1] == [None, None, None]
    assert "reading" not in str((await world.bodies())[-1])


async def test_a_second_file_is_read_and_the_first_is_not(
    world: World, instance: Instance, uid: str
) -> None:
    first = await ask_about(instance, uid, pdf(), conversationId="new")
    here = {"conversationId": first["conversationId"]}
    await ask_about(instance, uid, pdf(PDF + b"2"), **here)
    await instance.ask("talk", uid, prompt="And now?", **here)
    last = (await annotations(world))[-1]
    names = [[a["file"]["hash"] for a in told] for told in last if told]
    assert [len(told) for told in names] == [1, 1]
    assert names[0] != names[1]


async def test_what_is_lost_is_read_again(world: World, instance: Instance, uid: str) -> None:
    first = await ask_about(instance, uid, pdf(), conversationId="new")
    here = {"conversationId": first["conversationId"]}
    conversation = f"users/{uid}/conversations/{first['conversationId']}"
    lost = world.firestore.document(f"{conversation}/transcript/{first['messageId']}.0")
    await lost.delete()
    again = await instance.ask("talk", uid, prompt="And now?", **here)
    assert READ in again["text"]
    after = await instance.ask("talk", uid, prompt="And then?", **here)
    assert READ not in after["text"]


@pytest.mark.parametrize("spoilt", ['["odd", 7, null]', "7", '{"a": 1}', "[NaN]", "[" * 100_000])
async def test_what_is_no_annotation_is_read_again(
    world: World, instance: Instance, uid: str, spoilt: str
) -> None:
    first = await ask_about(instance, uid, pdf(), conversationId="new")
    here = {"conversationId": first["conversationId"]}
    conversation = f"users/{uid}/conversations/{first['conversationId']}"
    place = f"{conversation}/transcript/{first['messageId']}.0"
    await world.write(place, {**await world.document(place), "reading": spoilt})
    again = await instance.ask("talk", uid, prompt="And now?", **here)
    assert READ in again["text"]
    entries = (await world.all("generations")).values()
    assert {entry["status"] for entry in entries} == {"done"}


async def test_a_file_that_is_gone_takes_what_was_read_of_it_along(
    world: World, instance: Instance, uid: str
) -> None:
    first = await ask_about(instance, uid, pdf(), conversationId="new")
    here = {"conversationId": first["conversationId"]}
    messages = await world.all(f"users/{uid}/conversations/{first['conversationId']}/messages")
    (path,) = [f["path"] for m in messages.values() for f in m.get("attachments", ())]
    await world.remove(path)
    result = await instance.ask("talk", uid, prompt="And now?", **here)
    assert result["notices"][0]["reason"] == "attachment_left_out"
    assert result["text"]


async def test_what_is_too_long_to_be_kept_is_not(
    world: World, instance: Instance, uid: str
) -> None:
    instance = world.instance(limits=Limits(files=FileLimits(annotations_max_bytes=100)))
    first = await ask_about(instance, uid, pdf(), conversationId="new")
    here = {"conversationId": first["conversationId"]}
    assert READ in (await instance.ask("talk", uid, prompt="And now?", **here))["text"]


async def test_long_ones_come_in_pieces_and_go_back_whole(
    world: World, instance: Instance, uid: str
) -> None:
    instance = world.instance(limits=Limits(files=FileLimits(annotation_piece_chars=50)))
    first = await ask_about(instance, uid, pdf(), conversationId="new")
    here = {"conversationId": first["conversationId"]}
    transcript = await world.all(f"users/{uid}/conversations/{here['conversationId']}/transcript")
    assert len(transcript) > 3
    assert READ not in (await instance.ask("talk", uid, prompt="And now?", **here))["text"]


async def test_without_a_conversation_and_with_temporary_nothing_is_kept(
    world: World, instance: Instance, uid: str
) -> None:
    await ask_about(instance, uid, pdf())
    await ask_about(instance, uid, pdf(), conversationId="new", temporary=True)
    assert await world.all(f"users/{uid}/conversations") == {}


async def test_an_answer_that_is_asked_for_again_is_not_read_for_twice(
    world: World, instance: Instance, uid: str
) -> None:
    wanted = {"responseFormat": {"type": "json_object"}, "model": "sim/bad-json"}
    first = await ask_about(instance, uid, pdf(), conversationId="new", **wanted)
    assert first["json"]
    _, repair = await annotations(world)
    assert repair[0] is None
    assert repair[1][0]["type"] == "file"
    here = {"conversationId": first["conversationId"]}
    assert READ not in (await instance.ask("talk", uid, prompt="And now?", **here))["text"]


async def test_calls_and_files_go_back_together(world: World, instance: Instance, uid: str) -> None:
    tools = {"tools": [WEATHER]}
    asked = {"prompt": "Please use a tool", "conversationId": "new", **tools}
    first = await ask_about(instance, uid, pdf(), **asked)
    (call,) = first["toolCalls"]
    data = {
        "feature": "talk",
        "conversationId": first["conversationId"],
        "toolResults": [{"toolCallId": call["id"], "content": "Rain"}],
        **tools,
    }
    await instance.call("execute_prompt", data, uid)
    question, calls, result = (await world.bodies())[-1]["messages"][1:]
    url = f"data:application/pdf;base64,{base64.b64encode(PDF).decode()}"
    assert question["content"][1]["file"]["file_data"] == url
    assert [c["id"] for c in calls["tool_calls"]] == [call["id"]]
    assert [a["type"] for a in calls["annotations"]] == ["file"]
    assert result == {"role": "tool", "tool_call_id": call["id"], "content": "Rain"}


async def test_what_was_read_for_a_try_that_failed_is_told_to_the_next(
    world: World, instance: Instance, uid: str
) -> None:
    first = await ask_about(instance, uid, pdf(), conversationId="new", model=FAILS)
    assert [a.get("reason") for a in first["attempts"]] == ["upstream_busy", None]
    assert READ not in first["text"]
    one, two = [body["messages"][1:] for body in await world.bodies()]
    assert [message["role"] for message in one] == ["user"]
    file, seen, question = two
    assert [part["type"] for part in file["content"]] == ["file"]
    assert (seen["role"], len(seen["annotations"])) == ("assistant", 1)
    assert question == {"role": "user", "content": one[0]["content"][:1]}
    here = {"conversationId": first["conversationId"], "model": READS}
    assert READ not in (await instance.ask("talk", uid, prompt="And now?", **here))["text"]


async def test_an_answer_that_is_regenerated_is_not_read_for_twice(
    world: World, instance: Instance, uid: str
) -> None:
    first = await ask_about(instance, uid, pdf(), conversationId="new")
    here = {"feature": "talk", "conversationId": first["conversationId"]}
    for _ in range(2):
        first = await instance.call(
            "execute_prompt", {**here, "regenerate": first["messageId"]}, uid
        )
        assert READ not in first["text"]
    after = await instance.call("execute_prompt", {**here, "prompt": "And now?"}, uid)
    assert READ not in after["text"], "the chosen answer has it too"
    told = [[bool(a) for a in told] for told in await annotations(world)]
    assert told == [[False], *[[False, True, False]] * 2, [False, True, False]]
