"""Conversations: what is written down, what a model is told of it, and who may touch it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.api_core.exceptions import ServiceUnavailable

from firerouter.app.limits import Limits
from firerouter.contract import ExportConversation, page_token
from firerouter.conversations.limits import ConversationLimits
from firerouter.generation.limits import GenerationLimits, PromptLimits
from tests.support.conversations import FEATURE, chosen, messages, said, sent, talk
from tests.support.eventually import until
from tests.support.faulty_firestore import applied_twice, firestore_api
from tests.support.files import inline
from tests.support.in_process import Instance, World


@pytest.fixture
async def instance(world: World) -> Instance:
    instance = world.instance()
    await instance.save("talk", FEATURE)
    return instance


def described(text: str) -> dict[str, Any]:
    """A format with that much to say about itself."""
    schema = {"type": "object", "description": text}
    return {"type": "json_schema", "name": "long", "schema": schema}


# -- turns -----------------------------------------------------------------------------------------


async def test_a_new_conversation_is_written_down_and_gone_on_with(
    world: World, instance: Instance
) -> None:
    first = await talk(instance, f"One {world.project}", conversationId="new")
    id_ = first["conversationId"]
    head = await world.document(f"users/user/conversations/{id_}")
    assert head["title"] == f"One {world.project}"
    assert head["feature"] == "talk"
    assert head["leaf"] == first["messageId"]
    second = await talk(
        world.instance(), f"Two {world.project}", conversationId=id_, context="Notes"
    )
    (told,) = await sent(world, f"Two {world.project}")
    assert told == [
        ("system", "Be brief."),
        ("user", f"One {world.project}"),
        ("assistant", said(f"One {world.project}")),
        ("user", f"Notes\n\nTwo {world.project}"),
    ]
    kept = await messages(world, id_)
    assert len(kept) == 4
    answer = kept[second["messageId"]]
    assert answer["role"] == "assistant"
    assert answer["text"] == second["text"]
    assert answer["status"] == "done"
    assert answer["usage"] == second["usage"]
    assert answer["generationId"] == second["generationId"]
    question = kept[answer["parent"]]
    assert (question["text"], question["context"]) == (f"Two {world.project}", "Notes")
    assert question["parent"] == first["messageId"]


async def test_the_frames_name_the_place_of_the_answer(world: World, instance: Instance) -> None:
    data = {"feature": "talk", "prompt": "Hi", "conversationId": "new"}
    frames, result = await instance.frames("execute_prompt", data, "user")
    assert frames[0]["type"] == "start"
    for name in ("conversationId", "messageId"):
        assert frames[0][name] == result[name]


async def test_the_question_is_there_while_it_is_answered(world: World, instance: Instance) -> None:
    await instance.save("talk", {**FEATURE, "model": "sim/ticks", "totalS": 2}, 1)
    data = {"prompt": "slow", "conversationId": "new", "requestId": "r1"}
    running = asyncio.create_task(talk(instance, **data))
    (id_,) = await until(lambda: world.all("users/user/conversations"))
    assert [m["text"] for m in (await messages(world, id_)).values()] == ["slow"]
    with pytest.raises(Exception, match="took too long"):
        await running
    kept = (await messages(world, id_)).values()
    (answer,) = [m for m in kept if m["role"] == "assistant"]
    assert answer["status"] == "failed"
    assert answer["error"] == "upstream_timeout"
    assert answer["text"].startswith("tick-1 ")


async def test_the_same_request_again_gets_the_same_place(world: World, instance: Instance) -> None:
    data = {"conversationId": "new", "requestId": "again"}
    first = await talk(instance, "Hi", **data)
    assert await talk(world.instance(), "Hi", **data) == first
    assert len(await messages(world, first["conversationId"])) == 2


async def test_what_is_temporary_knows_what_was_said_and_is_not_written_down(
    world: World, instance: Instance
) -> None:
    first = await talk(instance, "One", conversationId="new")
    id_ = first["conversationId"]
    marker = f"Secret {world.project}"
    passing = await talk(instance, marker, conversationId=id_, temporary=True)
    assert passing["conversationId"] == id_
    assert "messageId" not in passing
    (told,) = await sent(world, marker)
    assert len(told) == 4
    assert len(await messages(world, id_)) == 2
    alone = await talk(instance, "Hi", conversationId="new", temporary=True)
    assert "conversationId" not in alone
    assert len(await world.all("users/user/conversations")) == 1


# -- the tree --------------------------------------------------------------------------------------


async def test_a_regenerated_answer_is_a_sibling_and_the_chosen_one(
    world: World, instance: Instance
) -> None:
    await instance.save("talk", {**FEATURE, "allowedModels": ["sim/ticks"]}, 1)
    first = await talk(instance, "Hi", conversationId="new")
    id_ = first["conversationId"]
    data = {"feature": "talk", "conversationId": id_, "regenerate": first["messageId"]}
    again = await instance.call("execute_prompt", {**data, "model": "sim/fast"}, "user")
    kept = await messages(world, id_)
    assert len(kept) == 3
    assert kept[again["messageId"]]["parent"] == kept[first["messageId"]]["parent"]
    assert kept[first["messageId"]]["text"] == first["text"]
    head = await world.document(f"users/user/conversations/{id_}")
    assert head["leaf"] == again["messageId"]


async def test_an_answer_is_regenerated_by_another_model_at_another_temperature(
    world: World, instance: Instance
) -> None:
    others = {"allowedModels": ["sim/plain", "sim/one-packet"], "allowTemperature": True}
    await instance.save("talk", {**FEATURE, **others, "titles": "beginning"}, 1)
    marker = f"Hi {world.project}"
    first = await talk(instance, marker, conversationId="new")
    data = {
        "feature": "talk",
        "conversationId": first["conversationId"],
        "regenerate": first["messageId"],
        "model": "sim/one-packet",
        "temperature": 1.7,
    }
    again = await instance.call("execute_prompt", data, "user")
    asked = [r["body"] for r in await world.upstream() if marker in str(r["body"])]
    assert [body["model"] for body in asked] == ["sim/fast", "sim/one-packet"]
    assert [body.get("temperature") for body in asked] == [None, 1.7]
    assert asked[0]["messages"] == asked[1]["messages"]
    kept = await messages(world, first["conversationId"])
    assert kept[again["messageId"]]["model"] == again["model"] == "sim/one-packet"
    assert kept[first["messageId"]]["model"] == "sim/fast"


async def test_an_earlier_turn_is_edited_beside_what_was_said(
    world: World, instance: Instance
) -> None:
    first = await talk(instance, "One", conversationId="new")
    id_ = first["conversationId"]
    await talk(instance, "Two", conversationId=id_)
    edited = f"Two, edited {world.project}"
    await talk(instance, edited, conversationId=id_, parentMessageId=first["messageId"])
    assert await chosen(world, id_) == ["One", said("One"), edited, said(edited)]
    (told,) = await sent(world, edited)
    assert [content for _, content in told] == ["Be brief.", "One", said("One"), edited]
    top = f"One, edited {world.project}"
    await talk(instance, top, conversationId=id_, parentMessageId="root")
    assert await chosen(world, id_) == [top, said(top)]
    assert len(await messages(world, id_)) == 8


async def test_a_failed_regenerate_leaves_the_answer_as_it_was(
    world: World, instance: Instance
) -> None:
    first = await talk(instance, "Hi", conversationId="new")
    id_ = first["conversationId"]
    for number, model in enumerate(("sim/500", "sim/cut-mid-stream"), 1):
        await instance.save("talk", {**FEATURE, "model": model}, number)
        data = {"feature": "talk", "conversationId": id_, "regenerate": first["messageId"]}
        await instance.refusal("execute_prompt", data, "user")
        assert await chosen(world, id_) == ["Hi", said("Hi")]
    assert len(await messages(world, id_)) == 3, "what had been written before the cut is kept"


async def test_a_question_that_was_not_answered_can_be(world: World, instance: Instance) -> None:
    await instance.save("talk", {**FEATURE, "model": "sim/500"}, 1)
    await instance.refusal(
        "execute_prompt", {"feature": "talk", "prompt": "Hi", "conversationId": "new"}, "user"
    )
    (id_,) = await world.all("users/user/conversations")
    (question,) = await messages(world, id_)
    await instance.save("talk", FEATURE, 2)
    data = {"feature": "talk", "conversationId": id_, "regenerate": question}
    await instance.call("execute_prompt", data, "user")
    assert await chosen(world, id_) == ["Hi", said("Hi")]


async def test_the_path_is_chosen_and_the_title_changed(world: World, instance: Instance) -> None:
    first = await talk(instance, "One", conversationId="new")
    id_ = first["conversationId"]
    await talk(instance, "Two", conversationId=id_)
    change = {"conversationId": id_, "title": "Renamed", "messageId": first["messageId"]}
    assert await instance.call("update_conversation", change, "user") == change
    head = await world.document(f"users/user/conversations/{id_}")
    assert head["title"] == "Renamed"
    marker = f"Three {world.project}"
    await talk(instance, marker, conversationId=id_)
    (told,) = await sent(world, marker)
    assert [content for _, content in told] == ["Be brief.", "One", said("One"), marker]


# -- length ----------------------------------------------------------------------------------------


async def test_a_long_conversation_costs_hardly_more_reads_and_is_cut_in_whole_turns(
    world: World, instance: Instance
) -> None:
    limits = Limits(conversations=ConversationLimits(page_max_bytes=20_000))
    instance = world.instance(limits=limits)
    reads = count_reads(instance)
    took = {}
    for count in (10, 1000):
        first = await talk(instance, "One", conversationId="new")
        id_ = first["conversationId"]
        await write_turns(world, id_, first["messageId"], count // 2)
        reads.clear()
        marker = f"Last of {count} {world.project}"
        await talk(instance, marker, conversationId=id_)
        took[count] = len(reads)
    print(f"documents read: {took[10]} with 10 messages, {took[1000]} with 1,000")
    assert took[1000] <= took[10] + 3
    (told,) = await sent(world, marker)
    roles = [role for role, _ in told]
    assert roles[:2] == ["system", "user"]
    assert roles[1:-1] == ["user", "assistant"] * ((len(roles) - 2) // 2)
    assert len(roles) > 20
    assert told[-2][1].startswith("answer 499 ")


async def test_what_has_no_room_is_left_out_and_the_question_never(
    world: World, instance: Instance
) -> None:
    long = "word " * 30_000
    first = await talk(instance, long, conversationId="new")
    id_ = first["conversationId"]
    marker = f"Short {world.project}"
    await instance.save("talk", {**FEATURE, "maxTokens": 16_000}, 1)
    narrow = world.instance(
        limits=Limits(generation=GenerationLimits(prompts=PromptLimits(history_max_bytes=1_000)))
    )
    await talk(narrow, marker, conversationId=id_)
    (told,) = await sent(world, marker)
    assert told == [("system", "Be brief."), ("user", marker)]
    data = {"feature": "talk", "conversationId": id_, "regenerate": first["messageId"]}
    again = await narrow.call("execute_prompt", data, "user")
    assert long[:100] in again["text"]


@pytest.mark.parametrize(
    ("text", "beside"),
    [
        ("\u4f60\u597d" * 900, {}),
        ("word " * 400, {"attachments": [inline(b"word " * 4_000, "text/plain")]}),
        ("word " * 400, {"variables": {"notes": "word " * 3_800}}),
        ("word " * 400, {"context": "word " * 4_000}),
        ("word " * 400, {"responseFormat": described("word " * 3_500)}),
    ],
    ids=["chinese", "file", "variable", "context", "format"],
)
async def test_what_a_model_is_told_fits_its_context(
    world: World, instance: Instance, text: str, beside: dict[str, Any]
) -> None:
    small = {"model": "sim/8k", "systemPrompt": "Be brief. {{notes}}", "maxTokens": 1_000}
    await instance.save("talk", {**small, "titles": "beginning"}, 1)
    notes: dict[str, Any] = {"variables": {"notes": ""}}
    id_ = "new"
    for turn in range(5):
        said = await talk(instance, f"{turn} {text}", conversationId=id_, **notes)
        id_ = said["conversationId"]
    marker = f"Last {world.project}"
    last = await talk(instance, marker, conversationId=id_, **{**notes, **beside})
    assert len(last["attempts"]) == 1
    assert "context_too_long" not in str(last)
    if not beside:
        (told,) = await sent(world, marker)
        assert len(told) > 2, "as much as fits"


@pytest.mark.parametrize("model", ["sim/8k", "sim/8k-raw"])
async def test_what_a_model_finds_too_long_it_is_told_half_of(
    world: World, instance: Instance, model: str
) -> None:
    far_off = PromptLimits(bytes_per_token_min=12)
    instance = world.instance(limits=Limits(generation=GenerationLimits(prompts=far_off)))
    small = {"model": model, "systemPrompt": "Be brief.", "maxTokens": 1_000}
    await instance.save("talk", {**small, "titles": "beginning"}, 1)
    id_ = "new"
    for turn in range(4):
        said = await talk(instance, f"{turn} " + "\u4f60\u597d" * 950, conversationId=id_)
        id_ = said["conversationId"]
    for turn in range(3):
        marker = f"{turn} {world.project}"
        data = {"feature": "talk", "prompt": marker, "conversationId": id_}
        frames, last = await instance.frames("execute_prompt", data, "user")
        assert [a.get("reason") for a in last["attempts"]] == ["context_too_long", None]
        assert [f["reason"] for f in frames if f["type"] == "retry"] == ["context_too_long"]
        whole, half = await sent(world, marker)
        assert half[0] == whole[0] == ("system", "Be brief.")
        assert half[1][0] == "user"
        assert half[1:] == whole[-len(half) + 1 :]
        assert 2 < len(half) < len(whole)
    alone = await instance.refusal(
        "execute_prompt", {"feature": "talk", "prompt": "\u4f60" * 8_000}, "user"
    )
    assert alone.reason == "context_too_long"


async def test_an_answer_too_long_for_a_document_is_kept_whole(
    world: World, instance: Instance
) -> None:
    short = ConversationLimits(part_chars=20, page_max_bytes=330)
    instance = world.instance(limits=Limits(conversations=short))
    first = await talk(instance, "a long question of many words", conversationId="new")
    id_ = first["conversationId"]
    kept = await messages(world, id_)
    assert len(kept) > 4
    exported = await instance.call("export_conversation", {"conversationId": id_}, "user")
    texts = [m["text"] for m in exported["conversation"]["messages"]]
    assert texts == ["a long question of many words", first["text"]]
    data = {"feature": "talk", "conversationId": id_, "regenerate": first["messageId"]}
    again = await instance.call("execute_prompt", data, "user")
    assert again["text"].endswith("a long question of many words")


async def write_turns(world: World, id_: str, leaf: str, count: int) -> None:
    """So many more turns, on pages of fifty, as calls would have written them."""
    conversation = world.firestore.document(f"users/user/conversations/{id_}")
    parent, page = leaf, 0
    for start in range(0, count, 50):
        items: dict[str, Any] = {}
        number = start // 50 + 1
        for turn in range(start, min(start + 50, count)):
            for role, key in (("user", f"q{turn}"), ("assistant", f"a{turn}")):
                text = f"{'question' if role == 'user' else 'answer'} {turn} " + "x" * 40
                items[key] = {"role": role, "text": text, "parent": parent, "parentPage": page}
                parent, page = key, number
        await conversation.collection("transcript").document(str(number)).set({"messages": items})
    await conversation.update({"leaf": parent, "leafPage": page, "page": page, "pageBytes": 19_000})


def count_reads(instance: Instance) -> list[str]:
    """The name of every document that is read from now on, by its name or by a query: of one that
    finds none, too, which is charged as a read."""
    api = firestore_api(instance.app.firestore)
    read: list[str] = []
    get, query = api.batch_get_documents, api.run_query

    def counted(*args: Any, **kwargs: Any) -> Any:
        request = kwargs.get("request") or args[0]
        read.extend(request["documents"])
        return get(*args, **kwargs)

    async def queried(*args: Any, **kwargs: Any) -> Any:
        answers = await query(*args, **kwargs)

        async def found() -> AsyncIterator[Any]:
            names = []
            async for answer in answers:
                if answer.document.name:
                    names.append(answer.document.name)
                yield answer
            read.extend(names or ["nothing"])

        return found()

    api.batch_get_documents, api.run_query = counted, queried
    return read


# -- away and taken away ---------------------------------------------------------------------------


async def test_a_conversation_is_deleted_with_all_it_holds_also_in_two_goes(
    world: World, instance: Instance
) -> None:
    first = await talk(instance, "One", conversationId="new")
    id_ = first["conversationId"]
    await talk(instance, "Two", conversationId=id_)
    other = await talk(instance, "Stays", conversationId="new")
    commits = 0

    async def cut(commit: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal commits
        commits += 1
        if commits == 3:
            raise ServiceUnavailable("x")  # type: ignore[no-untyped-call]  # it ships no types
        return await commit(*args, **kwargs)

    few = ConversationLimits(delete_batch=2, change_s=0.5)
    broken = world.instance(limits=Limits(conversations=few))
    broken.commits(cut)
    failed = await broken.refusal("delete_conversation", {"conversationId": id_}, "user")
    assert failed.reason == "history_unavailable"
    assert len(await messages(world, id_)) == 2
    gone = await instance.refusal(
        "execute_prompt", {"feature": "talk", "prompt": "x", "conversationId": id_}, "user"
    )
    assert gone.reason == "conversation_unknown", "half deleted is deleted to everybody"
    assert [*await world.all("users/user/conversations")] == [other["conversationId"]]
    assert [*await world.all("users/user/deleting")] == [id_]
    few = ConversationLimits(delete_batch=2)
    instance = world.instance(limits=Limits(conversations=few))
    done = await instance.call("delete_conversation", {"conversationId": id_}, "user")
    assert done == {"conversationId": id_, "deleted": True}
    assert await messages(world, id_) == {}
    assert await world.all(f"users/user/conversations/{id_}/transcript") == {}
    assert [*await world.all("users/user/conversations")] == [other["conversationId"]]
    entries = await world.all("generations")
    assert [e["place"]["conversationId"] for e in entries.values() if e["result"] is not None] == [
        other["conversationId"]
    ], "no text is left in the ledger"
    assert await world.all("users/user/deleting") == {}
    again = await instance.refusal("delete_conversation", {"conversationId": id_}, "user")
    assert again.reason == "conversation_unknown"


async def test_an_answer_does_not_bring_a_deleted_conversation_back(
    world: World, instance: Instance
) -> None:
    first = await talk(instance, "One", conversationId="new")
    id_ = first["conversationId"]
    await instance.save("talk", {**FEATURE, "model": "sim/slow"}, 1)
    marker = f"Two {world.project}"
    running = asyncio.create_task(talk(instance, marker, conversationId=id_))
    await until(lambda: world.requests(marker))  # a few seconds go by until its first token
    await instance.call("delete_conversation", {"conversationId": id_}, "user")
    assert (await running)["text"]
    assert await world.all("users/user/conversations") == {}
    assert await messages(world, id_) == {}
    (entry,) = [e for e in (await world.all("generations")).values() if e["model"] == "sim/slow"]
    assert (entry["status"], entry["result"]) == ("done", None)


async def test_it_is_taken_away_as_json_and_as_markdown(world: World, instance: Instance) -> None:
    first = await talk(instance, "One", conversationId="new")
    id_ = first["conversationId"]
    await talk(instance, "Other", conversationId=id_, parentMessageId="root")
    told = await instance.call("export_conversation", {"conversationId": id_}, "user")
    shown = told["conversation"]["messages"]
    assert [m["text"] for m in shown] == ["One", said("One"), "Other", said("Other")]
    assert {"id", "parent", "role", "createdAt"} <= shown[0].keys()
    data = {"conversationId": id_, "format": "markdown"}
    text = (await instance.call("export_conversation", data, "user"))["markdown"]
    assert text == f"# One\n\n## You\n\nOther\n\n## Assistant\n\n{said('Other')}\n"


async def exported(instance: Instance, **data: Any) -> list[dict[str, Any]]:
    """Return the pages of an export, none of which leads back."""
    pages = [await instance.call("export_conversation", data, "user")]
    while token := pages[-1].get("nextPageToken"):
        assert len(pages) < 20
        more = {**data, "pageToken": token}
        pages.append(await instance.call("export_conversation", more, "user"))
    return pages


async def test_a_long_one_is_taken_away_page_by_page(world: World, instance: Instance) -> None:
    small = ConversationLimits(part_chars=20, export_page_bytes=400, export_read=2)
    whole, instance = instance, world.instance(limits=Limits(conversations=small))
    first = await talk(instance, "One", conversationId="new")
    id_ = first["conversationId"]
    for prompt in ("Two", "a long question of many words", "Four"):
        await talk(instance, prompt, conversationId=id_)
    await talk(instance, "Other", conversationId=id_, parentMessageId=first["messageId"])
    (at_once,) = await exported(whole, conversationId=id_)
    pages = await exported(instance, conversationId=id_)
    assert len(pages) > 2
    shown = [message for page in pages for message in page["conversation"]["messages"]]
    assert shown == at_once["conversation"]["messages"]
    assert len(shown) == 10
    (at_once,) = await exported(whole, conversationId=id_, format="markdown")
    pages = await exported(instance, conversationId=id_, format="markdown")
    assert len(pages) > 1
    assert "\n".join(page["markdown"] for page in pages) == at_once["markdown"]
    assert "Two" not in at_once["markdown"]


@pytest.mark.parametrize("format_", ["json", "markdown"])
async def test_only_a_page_gives_out_a_token(
    world: World, instance: Instance, format_: str
) -> None:
    id_ = (await talk(instance, "One", conversationId="new"))["conversationId"]
    request = ExportConversation.model_validate({"conversationId": id_, "format": format_})
    for token in ("odd", page_token(request, "a0"), page_token(request, "a0", "b")):
        data = {"conversationId": id_, "format": format_, "pageToken": token}
        refused = await instance.refusal("export_conversation", data, "user")
        assert refused.details["field"] == "pageToken"


async def test_commits_applied_twice_write_each_message_once(
    world: World, instance: Instance
) -> None:
    instance.commits(applied_twice)
    first = await talk(instance, "One", conversationId="new")
    await talk(instance, "Two", conversationId=first["conversationId"])
    assert await chosen(world, first["conversationId"]) == ["One", said("One"), "Two", said("Two")]


async def test_two_devices_at_once_lose_nothing(world: World, instance: Instance) -> None:
    other = world.instance()
    await talk(other, "Warm")
    first = await talk(instance, "One", conversationId="new")
    id_ = first["conversationId"]
    await asyncio.gather(
        talk(instance, "Left", conversationId=id_), talk(other, "Right", conversationId=id_)
    )
    kept = await messages(world, id_)
    asked = {m["text"] for m in kept.values() if m["parent"] == first["messageId"]}
    assert asked == {"Left", "Right"}
    assert len(kept) == 6
    path_ = await chosen(world, id_)
    assert path_ in [["One", said("One"), side, said(side)] for side in ("Left", "Right")]
    marker = f"Then {world.project}"
    await talk(instance, marker, conversationId=id_)
    (told,) = await sent(world, marker)
    assert [content for _, content in told[1:-1]] == path_


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("execute_prompt", {"feature": "talk", "prompt": "x"}),
        ("execute_prompt", {"feature": "talk", "prompt": "x", "parentMessageId": "m"}),
        ("execute_prompt", {"feature": "talk", "regenerate": "m"}),
        ("update_conversation", {"title": "x"}),
        ("update_conversation", {"messageId": "m"}),
        ("delete_conversation", {}),
        ("export_conversation", {}),
    ],
)
async def test_somebody_elses_is_as_good_as_none(
    world: World, instance: Instance, name: str, more: dict[str, Any]
) -> None:
    mine = await talk(instance, "One", conversationId="new")
    before = await messages(world, mine["conversationId"])
    names = {"parentMessageId", "regenerate", "messageId"} & more.keys()
    data = {**more, **dict.fromkeys(names, mine["messageId"])}
    data["conversationId"] = mine["conversationId"]
    refused = await instance.refusal(name, data, "stranger")
    assert (refused.status, refused.reason) == ("NOT_FOUND", "conversation_unknown")
    assert await messages(world, mine["conversationId"]) == before
    assert await world.all("users/stranger/conversations") == {}


@pytest.mark.parametrize("field", ["parentMessageId", "regenerate", "messageId"])
async def test_a_message_of_another_conversation_is_none_of_this_one(
    world: World, instance: Instance, field: str
) -> None:
    mine = await talk(instance, "One", conversationId="new")
    other = await talk(instance, "Two", conversationId="new")
    data: dict[str, Any] = {"conversationId": mine["conversationId"], field: other["messageId"]}
    name = "update_conversation"
    if field != "messageId":
        name = "execute_prompt"
        data |= {"feature": "talk", **({"prompt": "x"} if field == "parentMessageId" else {})}
    refused = await instance.refusal(name, data, "user")
    assert (refused.status, refused.reason) == ("NOT_FOUND", "message_unknown")
    assert refused.details["field"] == field
    assert len(await messages(world, mine["conversationId"])) == 2


@pytest.mark.parametrize("id_", ["a/b", "..", "__x__", "a\x00b", "x" * 1500, "", " ", "é", 7, None])
async def test_odd_ids_are_refused_by_name(instance: Instance, id_: Any) -> None:
    for name in ("delete_conversation", "export_conversation"):
        refused = await instance.refusal(name, {"conversationId": id_}, "user")
        assert refused.status == "INVALID_ARGUMENT"
        assert refused.details["field"] == "conversationId"
    for field in ("conversationId", "parentMessageId", "regenerate"):
        if id_ is None:
            continue
        data = {"feature": "talk", "prompt": "x", "conversationId": "c1", field: id_}
        refused = await instance.refusal("execute_prompt", data, "user")
        assert refused.status == "INVALID_ARGUMENT"
        assert refused.details["field"] == field


@pytest.mark.parametrize(
    "data",
    [
        {"prompt": "x", "regenerate": "m", "conversationId": "c"},
        {"regenerate": "m"},
        {"regenerate": "m", "conversationId": "new"},
        {"regenerate": "m", "conversationId": "c", "context": "x"},
        {"prompt": "x", "parentMessageId": "m"},
        {"prompt": "x", "parentMessageId": "m", "conversationId": "new"},
        {"messages": [{"role": "user", "content": "x"}], "conversationId": "c"},
    ],
)
async def test_what_makes_no_sense_together_is_refused(
    instance: Instance, data: dict[str, Any]
) -> None:
    refused = await instance.refusal("execute_prompt", {"feature": "talk", **data}, "user")
    assert refused.status == "INVALID_ARGUMENT"
