"""Titles and summaries: asked of a helper model beside an answer, and never in its way."""

import asyncio
from typing import Any

import pytest

from firerouter.app.limits import Limits
from firerouter.conversations.history import SUMMARY_PREFIX
from firerouter.conversations.limits import ConversationLimits
from firerouter.generation.helper_model import SUMMARY, TITLE
from firerouter.generation.limits import GenerationLimits, PromptLimits
from tests.support.eventually import until
from tests.support.in_process import Instance, World

FEATURE = {"model": "sim/fast", "maxTokens": 64, "helperModel": "sim/one-packet"}
NARROW = PromptLimits(history_max_bytes=10_000)
LONG = "word " * 400  # of which a small model's context holds a few


async def asked(world: World, system: str) -> list[dict[str, Any]]:
    """The bodies of the requests for this that name the world's project, oldest first."""
    requests = await world.upstream()
    bodies = [request["body"] for request in requests if request["body"].get("messages")]
    return [
        body
        for body in bodies
        if body["messages"][0] == {"role": "system", "content": system}
        and world.project in body["messages"][-1]["content"]
    ]


async def title(world: World, result: dict[str, Any]) -> str:
    id_ = result["conversationId"]
    return str((await world.document(f"users/user/conversations/{id_}"))["title"])


@pytest.fixture
async def instance(world: World) -> Instance:
    instance = world.instance()
    await instance.save("talk", FEATURE)
    return instance


async def first(instance: Instance, prompt: str, **more: Any) -> dict[str, Any]:
    result: dict[str, Any] = await instance.ask("talk", prompt=prompt, conversationId="new", **more)
    return result


# -- titles ----------------------------------------------------------------------------------------


async def test_the_helper_model_names_a_new_conversation(world: World, instance: Instance) -> None:
    prompt = f"{world.project} please tell me about the many ways in which bridges are built"
    result = await first(instance, prompt)
    assert await title(world, result) == f"{world.project} please tell me about the"
    (body,) = await asked(world, TITLE)
    assert body["model"] == "sim/one-packet"
    assert body["messages"][1]["content"].endswith(result["text"])
    await instance.ask("talk", prompt="And tunnels?", conversationId=result["conversationId"])
    assert len(await asked(world, TITLE)) == 1


async def test_what_a_title_costs_is_in_the_ledger(world: World, instance: Instance) -> None:
    paid = {"settings": {"freeModelsOnly": False}, "revision": 0}
    await instance.call("save_app_settings", paid)
    await instance.save("talk", {**FEATURE, "helperModel": "sim/paid"}, 1)
    result = await first(instance, world.project)
    entry = await world.document(f"generations/{result['generationId']}")
    own, beside = entry["attempts"]
    assert (own["model"], own.get("purpose")) == ("sim/fast", None)
    assert (beside["model"], beside["purpose"]) == ("sim/paid", "title")
    assert beside["upstreamId"].startswith("gen-")
    assert (own["costNanoUsd"], beside["costNanoUsd"]) == (0, entry["costNanoUsd"])
    assert entry["costNanoUsd"] > 0
    assert entry["costIsEstimate"] is False
    cost = entry["costNanoUsd"] / 1e9
    assert result["usage"]["cost"] == cost
    assert result["usage"]["costDetails"] == {"answer": 0, "helper": cost}
    assert [a["model"] for a in result["attempts"]] == ["sim/fast"]


@pytest.mark.parametrize("helper", ["sim/reset", "sim/empty", "sim/silent", "sim/paid"])
async def test_a_title_that_is_not_had_keeps_the_beginning_of_the_question(
    world: World, instance: Instance, helper: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if helper == "sim/paid":  # not free, which an admin could not save
        document = await world.document("features/talk")
        document["settings"]["helperModel"] = helper
        await world.write("features/talk", document)
        instance = world.instance()
    else:
        await instance.save("talk", {**FEATURE, "helperModel": helper}, 1)
    prompt = f"{world.project} please tell me about the many ways in which bridges are built"
    begin = asyncio.get_running_loop().time()
    result = await first(instance, prompt)
    assert asyncio.get_running_loop().time() - begin < GenerationLimits().helper_wait_s + 5
    assert (await title(world, result)).startswith(f"{world.project} please tell me about the many")
    entry = await world.document(f"generations/{result['generationId']}")
    assert entry["status"] == "done"
    assert entry["costIsEstimate"] is False
    if helper == "sim/paid":  # the others may fail after they were given up
        assert "helper_call_failed" in capfd.readouterr().out


async def test_titles_can_be_switched_off(world: World, instance: Instance) -> None:
    await instance.save("talk", {**FEATURE, "titles": "beginning"}, 1)
    result = await first(instance, f"{world.project} is the question")
    assert await title(world, result) == f"{world.project} is the question"
    assert await asked(world, TITLE) == []


async def test_a_title_that_the_user_gave_meanwhile_stays(world: World, instance: Instance) -> None:
    await instance.save("talk", {**FEATURE, "model": "sim/slow"}, 1)
    asking = asyncio.create_task(first(instance, world.project))
    (id_,) = await until(lambda: world.all("users/user/conversations"))
    await instance.call("update_conversation", {"conversationId": id_, "title": "Mine"}, "user")
    assert await title(world, await asking) == "Mine"
    assert len(await asked(world, TITLE)) == 1


async def test_nothing_is_asked_for_what_leaves_no_text(world: World, instance: Instance) -> None:
    await first(instance, world.project, temporary=True)
    await instance.ask("talk", prompt=world.project)
    assert await asked(world, TITLE) == []


# -- summaries -------------------------------------------------------------------------------------


async def long_talk(world: World, instance: Instance, turns: int, **settings: Any) -> str:
    """A conversation that has outgrown the room for its history."""
    feature = {**FEATURE, "titles": "beginning", "history": "summarised", **settings}
    await instance.save("talk", feature, 1)
    id_ = "new"
    for turn in range(turns):
        prompt = f"{world.project} turn {turn} {LONG}"
        id_ = (await instance.ask("talk", prompt=prompt, conversationId=id_))["conversationId"]
    return id_


async def told(world: World, marker: str) -> list[tuple[str, str]]:
    requests = await world.upstream()
    bodies = [r["body"] for r in requests if r["body"].get("messages")]
    (body,) = [b for b in bodies if str(b["messages"][-1]["content"]).endswith(marker)]
    return [(m["role"], m["content"]) for m in body["messages"]]


async def test_older_turns_are_told_in_short(world: World, instance: Instance) -> None:
    instance = world.instance(limits=Limits(generation=GenerationLimits(prompts=NARROW)))
    id_ = await long_talk(world, instance, 5)
    head = await world.document(f"users/user/conversations/{id_}")
    (body,) = (await asked(world, SUMMARY))[-1:]
    assert f"{world.project} turn 0" in body["messages"][1]["content"]
    assert head["summary"]["text"]
    marker = f"{world.project} and now?"
    await instance.ask("talk", prompt=marker, conversationId=id_)
    (role, first), *messages = await told(world, marker)
    summary, newest = SUMMARY_PREFIX + head["summary"]["text"], "\n\n"
    assert role == "user"
    assert first.startswith(summary + newest)
    said = [first.removeprefix(summary + newest)]
    said += [text for role, text in messages[:-1] if role == "user"]
    turns = [text.split(" word")[0] for text in said]
    kept = int(turns[0].rsplit(" ", 1)[1])
    assert turns == [f"{world.project} turn {number}" for number in range(kept, 5)]
    folded = body["messages"][1]["content"]
    assert f"turn {kept - 1} " in folded  # nothing between the summary and what follows is lost
    assert f"turn {kept} " not in folded


async def test_a_summary_builds_on_the_one_before(world: World, instance: Instance) -> None:
    instance = world.instance(limits=Limits(generation=GenerationLimits(prompts=NARROW)))
    await long_talk(world, instance, 8)
    first, *_, last = await asked(world, SUMMARY)
    assert "in short" not in first["messages"][1]["content"]
    assert last["messages"][1]["content"].startswith("(before that, in short) ")
    assert "turn 0 " not in last["messages"][1]["content"].replace(LONG, "")[200:]


async def test_without_a_summary_the_oldest_turns_are_left_out(
    world: World, instance: Instance
) -> None:
    instance = world.instance(limits=Limits(generation=GenerationLimits(prompts=NARROW)))
    id_ = await long_talk(world, instance, 6, helperModel="sim/reset")
    assert "summary" not in await world.document(f"users/user/conversations/{id_}")
    marker = f"{world.project} and now?"
    await instance.ask("talk", prompt=marker, conversationId=id_)
    messages = await told(world, marker)
    assert SUMMARY_PREFIX not in messages[0][1]
    assert messages[0][0] == "user"
    assert sum(len(text) for _, text in messages[:-1]) <= NARROW.history_max_bytes


async def test_another_branch_is_not_told_of_this_one(world: World, instance: Instance) -> None:
    instance = world.instance(limits=Limits(generation=GenerationLimits(prompts=NARROW)))
    id_ = await long_talk(world, instance, 5)
    assert "summary" in await world.document(f"users/user/conversations/{id_}")
    marker = f"{world.project} anew"
    await instance.ask("talk", prompt=marker, conversationId=id_, parentMessageId="root")
    assert await told(world, marker) == [("user", marker)]


async def test_one_long_turn_leaves_the_summary_of_those_before_it(
    world: World, instance: Instance
) -> None:
    less = ConversationLimits(summary_reads_max_bytes=20_000)
    instance = world.instance(
        limits=Limits(generation=GenerationLimits(prompts=NARROW), conversations=less)
    )
    id_ = await long_talk(world, instance, 5)
    head = await world.document(f"users/user/conversations/{id_}")
    before = head["summary"]["text"]
    asked_before = len(await asked(world, SUMMARY))
    long = f"{world.project} " + "long " * 8_000
    await instance.ask("talk", prompt=long, conversationId=id_)
    marker = f"{world.project} and now?"
    await instance.ask("talk", prompt=marker, conversationId=id_)
    assert (await told(world, marker))[0][1].startswith(SUMMARY_PREFIX + before)
    bodies = (await asked(world, SUMMARY))[asked_before:]
    folded = bodies[-1]["messages"][1]["content"]
    assert folded.startswith(f"(before that, in short) {before}")
    assert "long long" in folded, "the beginning of what is too long for it"
