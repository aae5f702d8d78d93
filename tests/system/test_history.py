"""Conversations as apps use them: over HTTP, on two processes by turns."""

import asyncio
from typing import Any

import httpx
import pytest

from firerouter.delivery import ProgressLimits
from scripts.devtools.callable_client import CallableFailure
from scripts.devtools.suite import Suite
from tests.support.calls import ASK
from tests.support.eventually import until
from tests.support.over_http import Home, Person, has_come, new_home

CHAT, OTHER, SEES = "sim/fast", "sim/paid", "google/gemini-3.7-flash"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
FEATURES: dict[str, dict[str, Any]] = {
    "talk": {"model": CHAT, "allowedModels": [OTHER], "allowTemperature": True},
    "long": {"model": "sim/slow-drip"},
    "stalls": {"model": "sim/stall"},
    "sees": {"model": SEES},
}
Messages = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def home(suite: Suite) -> Home:
    features = {id_: {**settings, "titles": "beginning"} for id_, settings in FEATURES.items()}
    return new_home(suite, features)


async def begun(person: Person, feature: str = "talk", **more: Any) -> dict[str, Any]:
    """The first answer of a conversation."""
    asked = {"feature": feature, "prompt": f"one {person.uid}", "conversationId": "new", **more}
    result: dict[str, Any] = await person.call(ASK, **asked)
    return result


def here(first: dict[str, Any], feature: str = "talk") -> dict[str, Any]:
    return {"feature": feature, "conversationId": first["conversationId"]}


async def exported(person: Person, first: dict[str, Any], **more: Any) -> Any:
    data = {"conversationId": first["conversationId"], **more}
    return await person.call("export_conversation", **data)


async def messages_of(person: Person, first: dict[str, Any]) -> Messages:
    messages = (await exported(person, first))["conversation"]["messages"]
    return {message["id"]: message for message in messages}


def told(body: dict[str, Any]) -> list[Any]:
    return [(message["role"], message["content"]) for message in body["messages"]]


async def test_another_process_goes_on_where_the_first_one_ended(person: Person) -> None:
    first = await begun(person)
    streamed, second = await person.stream(ASK, at=1, **here(first), prompt="two")
    assert streamed.messages[0]["messageId"] == second["messageId"] != first["messageId"]
    assert streamed.text == second["text"]
    _, body = await person.bodies()
    assert told(body) == [
        ("user", f"one {person.uid}"),
        ("assistant", first["text"]),
        ("user", "two"),
    ]
    kept = await messages_of(person, first)
    assert [m["role"] for m in kept.values()] == ["user", "assistant", "user", "assistant"]
    assert kept[second["messageId"]]["text"] == second["text"]


async def test_an_earlier_turn_is_edited_and_the_old_one_stays(person: Person) -> None:
    first = await begun(person)
    await person.call(ASK, at=1, **here(first), prompt=f"two {person.uid}")
    edited = f"else {person.uid}"
    third = await person.call(ASK, **here(first), prompt=edited, parentMessageId="root")
    fourth = await person.call(ASK, at=1, **here(first), prompt="on")
    *_, rewritten, followed = await person.bodies()
    assert told(rewritten) == [("user", edited)]
    assert told(followed) == [("user", edited), ("assistant", third["text"]), ("user", "on")]
    kept = await messages_of(person, first)
    assert len(kept) == 8
    questions = [m for m in kept.values() if m["parent"] is None]
    assert [m["text"] for m in questions] == [f"one {person.uid}", edited]
    assert (await exported(person, first))["conversation"]["leaf"] == fourth["messageId"]


async def test_an_answer_is_given_again_by_another_model_at_another_temperature(
    person: Person,
) -> None:
    first = await begun(person)
    data = {**here(first), "regenerate": first["messageId"], "model": OTHER, "temperature": 0.3}
    streamed, again = await person.stream(ASK, at=1, **data)
    assert streamed.text == again["text"] != first["text"]
    assert again["model"] == OTHER
    before, body = await person.bodies()
    assert (body["model"], body["temperature"]) == (OTHER, 0.3)
    assert (before["model"], "temperature" in before) == (CHAT, False)
    assert told(body) == told(before)
    kept = await messages_of(person, first)
    assert kept[again["messageId"]]["parent"] == kept[first["messageId"]]["parent"]
    assert [m["model"] for m in kept.values() if m["role"] == "assistant"] == [CHAT, OTHER]


async def test_path_and_title_are_changed_and_both_forms_taken_away(person: Person) -> None:
    first = await begun(person)
    again = await person.call(ASK, **here(first), regenerate=first["messageId"], model=OTHER)
    change = {"conversationId": first["conversationId"], "title": "Boats"}
    change["messageId"] = first["messageId"]
    assert await person.call("update_conversation", at=1, **change) == change
    conversation = (await exported(person, first))["conversation"]
    assert (conversation["title"], conversation["leaf"]) == ("Boats", first["messageId"])
    assert len(conversation["messages"]) == 3
    markdown = (await exported(person, first, format="markdown"))["markdown"]
    assert "Boats" in markdown
    assert first["text"] in markdown
    assert again["text"] not in markdown
    await person.call(ASK, at=1, **here(first), prompt="two")
    assert told((await person.bodies())[-1])[1] == ("assistant", first["text"])


async def test_what_is_deleted_is_gone_for_every_process(person: Person) -> None:
    first = await begun(person)
    await person.call(ASK, at=1, **here(first), prompt="two")
    id_ = {"conversationId": first["conversationId"]}
    assert await person.call("delete_conversation", at=1, **id_) == {**id_, "deleted": True}
    path = f"users/{person.uid}/conversations/{first['conversationId']}"
    assert await person.document(path) == {}
    for name in ("messages", "transcript"):
        assert await person.documents(f"{path}/{name}") == {}
    for at in (0, 1):
        refusals = [
            await person.refusal(ASK, at=at, **here(first), prompt="three"),
            await person.refusal("export_conversation", at=at, **id_),
            await person.refusal("update_conversation", at=at, **id_, title="Mine"),
            await person.refusal("delete_conversation", at=at, **id_),
        ]
        assert {(r.status, r.details["reason"]) for r in refusals} == {
            ("NOT_FOUND", "conversation_unknown")
        }
    assert len(await person.bodies()) == 2


async def test_a_double_click_on_two_processes_is_one_answer(person: Person) -> None:
    asked = {"feature": "stalls", "prompt": person.uid, "conversationId": "new"}
    data = {**asked, "requestId": "twice"}
    calls = [asyncio.create_task(person.call(ASK, at=at, **data)) for at in (0, 1)]
    (late,), (early,) = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    with pytest.raises(CallableFailure) as refused:
        late.result()
    assert (refused.value.status, refused.value.details["reason"]) == ("ABORTED", "already_running")
    id_ = refused.value.details["generationId"]
    await until(person.upstream)
    await person.call("stop_generation", generationId=id_)
    result = await early
    assert result["generationId"] == id_
    for at in (0, 1):
        assert await person.call(ASK, at=at, resume=id_) == result
        assert await person.call(ASK, at=at, **data) == result
    assert len(await person.upstream()) == 1
    assert len(await messages_of(person, result)) == 2


async def test_who_lost_an_answer_goes_on_with_it_from_another_process(person: Person) -> None:
    """At the real pace: nothing is kept within two seconds, then a piece each two seconds."""
    asked = person.begin(ASK, feature="long", prompt=person.uid, conversationId="new")
    await has_come(asked)
    id_ = asked.messages[0]["generationId"]

    async def two_pieces() -> list[Any]:
        kept = await person.documents(f"generations/{id_}/progress")
        return sorted(kept.values(), key=lambda one: one.id) if len(kept) > 1 else []

    first, second, *_ = await until(two_pieces)
    entry = await person.document(f"generations/{id_}")
    assert (first.create_time - entry["createdAt"]).total_seconds() >= ProgressLimits().after_s
    assert (second.create_time - first.create_time).total_seconds() >= 1

    follows = person.begin(ASK, at=1, resume=id_)
    await until(lambda: _frames(follows, 3))
    await person.call("stop_generation", at=1, generationId=id_)
    result = await follows.result()
    assert result == await asked.result()
    assert result["finishReason"] == "stopped"
    start, so_far, *_ = follows.messages
    assert (start["type"], start["generationId"]) == ("start", id_)
    assert so_far["delta"].startswith(first.get("text") + second.get("text"))
    assert follows.text == result["text"] == asked.text
    kept = await messages_of(person, result)
    assert kept[result["messageId"]]["text"] == result["text"]
    assert kept[result["messageId"]]["status"] == "stopped"
    assert await person.documents(f"generations/{id_}/progress") == {}


async def _frames(streamed: Any, count: int) -> bool:
    return len(streamed.messages) >= count


async def test_an_upload_stays_with_its_conversation(person: Person, home: Home, urls: Any) -> None:
    made = await person.call("create_upload", contentType="image/png", bytes=len(PNG))
    async with httpx.AsyncClient(trust_env=False) as http:
        sent = await http.put(made["uploadUrl"], content=PNG, headers=made["headers"])
    assert sent.is_success
    file = {"path": made["path"]}
    first = await begun(person, "sees", attachments=[file])
    await person.call(ASK, at=1, **here(first, "sees"), prompt="two")
    await person.call(ASK, **here(first, "sees"), regenerate=first["messageId"])
    images = [
        part["image_url"]["url"]
        for body in await person.bodies()
        for part in body["messages"][0]["content"]
        if part["type"] == "image_url"
    ]
    assert len(images) == 3
    assert len(set(images)) == 1
    question, *_ = (await messages_of(person, first)).values()
    assert [kept["path"] for kept in question["attachments"]] == [made["path"]]
    async with home.person(*urls) as other:
        refused = await other.refusal(ASK, feature="sees", prompt=other.uid, attachments=[file])
        assert refused.details["reason"] == "attachment_unknown"
        assert await other.upstream() == []
