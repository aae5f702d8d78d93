"""What a model is sent of a conversation, walked over pages in memory."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from firerouter.contract.messages import (
    Message,
    StoredAnnotations,
    StoredReasoning,
    ToolReply,
    ToolRequest,
)
from firerouter.contract.result import Json
from firerouter.conversations.history import SUMMARY_PREFIX, History, Path, message_of, walk
from firerouter.conversations.limits import ConversationLimits
from firerouter.conversations.tree import Summary, TreePosition
from firerouter.errors import MessageUnknown
from firerouter.files.file import File

LIMITS = ConversationLimits()


class Pages:
    """A transcript in memory: the pages that were read, and the messages that were read whole."""

    def __init__(self, *items: dict[str, Any], per_page: int = 100) -> None:
        self.pages: dict[int, dict[str, object]] = {}
        self.read: list[int] = []
        self.whole_texts: dict[str, str] = {}
        parent: str | None = None
        for number, item in enumerate(items):
            page = number // per_page
            link = {"parent": parent, "parentPage": (number - 1) // per_page}
            parent = f"m{number}"
            self.pages.setdefault(page, {})[parent] = {**link, **item}
        self.end = TreePosition(parent, (len(items) - 1) // per_page)

    async def page(self, number: int) -> Mapping[str, object]:
        self.read.append(number)
        return self.pages.get(number, {})

    async def whole(self, message_id: str, item: Json) -> Json:
        return {**item, "text": self.whole_texts[message_id]}


def user(text: str, **more: Any) -> dict[str, Any]:
    return {"role": "user", "text": text, **more}


def assistant(text: str, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "text": text, **more}


async def walked(
    pages: Pages, max_bytes: int = 1_000, limits: ConversationLimits = LIMITS, **more: Any
) -> History:
    return await walk(pages, Path("ann", pages.end, max_bytes, **more), limits)


def texts(history: History) -> list[str]:
    return [entry.message.text for entry in history.messages]


def summarized(history: History) -> list[str]:
    return [turn.text for turn in history.to_summarize]


TURNS = [user("q0"), assistant("a0"), user("q1"), assistant("a1"), user("q2"), assistant("a2")]


async def test_the_oldest_comes_first() -> None:
    history = await walked(Pages(*TURNS))
    assert texts(history) == ["q0", "a0", "q1", "a1", "q2", "a2"]
    assert [entry.message.role for entry in history.messages[:2]] == ["user", "assistant"]
    assert history.to_summarize == ()


async def test_a_conversation_without_messages_has_no_history() -> None:
    assert await walk(Pages(), Path("ann", TreePosition(), 1_000), LIMITS) == History()


@pytest.mark.parametrize(
    ("room", "kept"),
    [(12, 6), (11, 4), (8, 4), (7, 2), (4, 2), (3, 0), (0, 0)],
)
async def test_turns_fit_whole_or_not_at_all(room: int, kept: int) -> None:
    history = await walked(Pages(*TURNS), room)
    assert texts(history) == ["q0", "a0", "q1", "a1", "q2", "a2"][6 - kept :]


async def test_room_is_counted_in_bytes() -> None:
    assert texts(await walked(Pages(user("\u4f60"), assistant("a")), 4)) == ["\u4f60", "a"]
    assert texts(await walked(Pages(user("\u4f60"), assistant("a")), 3)) == []


async def test_the_turn_in_progress_goes_however_long_it_is() -> None:
    call = [{"id": "c1", "name": "f", "arguments": "{}"}]
    turns = [*TURNS, user("x" * 100), assistant("", toolCalls=call)]
    history = await walked(Pages(*turns), 50, in_progress=True)
    assert [entry.message.role for entry in history.messages] == ["user", "assistant"]
    assert texts(await walked(Pages(*turns), 50)) == []


async def test_a_regeneration_whose_question_is_gone_is_refused() -> None:
    pages = Pages(user("q0"))
    pages.pages[0].clear()
    with pytest.raises(MessageUnknown) as refused:
        await walked(pages, is_regeneration=True, in_progress=True)
    assert refused.value.details["field"] == "regenerate"


async def test_annotations_of_a_question_go_with_it() -> None:
    stored = StoredAnnotations(("a1.0",), 10)
    history = await walked(
        Pages(user("q0"), assistant("a0"), user("q1")),
        in_progress=True,
        is_regeneration=True,
        question_annotations=stored,
    )
    found = [entry.message.stored_annotations for entry in history.messages]
    assert found == [None, None, stored]


async def test_a_missing_message_ends_the_path() -> None:
    pages = Pages(*TURNS)
    del pages.pages[0]["m1"]
    assert texts(await walked(pages)) == ["q1", "a1", "q2", "a2"]


@pytest.mark.parametrize("item", [None, "x", {}, {"role": "system", "text": "x"}])
async def test_a_malformed_message_ends_the_path(item: object) -> None:
    pages = Pages(*TURNS)
    pages.pages[0]["m1"] = item
    assert texts(await walked(pages)) == ["q1", "a1", "q2", "a2"]


async def test_only_so_many_pages_are_read_and_each_once() -> None:
    pages = Pages(*TURNS, per_page=2)
    history = await walked(pages, limits=replace(LIMITS, pages_read_max=2))
    assert pages.read == [2, 1]
    assert texts(history) == ["q1", "a1", "q2", "a2"]


async def test_no_more_pages_are_read_than_have_room() -> None:
    pages = Pages(*TURNS, per_page=2)
    await walked(pages, 4)
    assert pages.read == [2, 1]


async def test_an_answer_that_says_nothing_is_left_out() -> None:
    image = {"path": f"users/ann/images/{'0' * 32}-0.png", "contentType": "image/png", "bytes": 3}
    pages = Pages(user("q0"), assistant(""), user("q1"), assistant("", images=[image]))
    history = await walked(pages, 10_000)
    assert texts(history) == ["q0", "q1", ""]
    assert history.messages[-1].images == (File(str(image["path"]), "image/png", 3),)


async def test_files_take_room_and_only_the_users_own_are_there() -> None:
    own = {"path": f"users/ann/uploads/{'0' * 32}", "contentType": "image/png", "bytes": 9}
    other = {**own, "path": f"users/bob/uploads/{'0' * 32}"}
    file = File(str(own["path"]), "image/png", 9)
    pages = Pages(user("q0", attachments=[own, other, "odd"]))
    (entry,) = (await walked(pages, 2 + file.prompt_bytes)).messages
    assert entry.attachments == (file,)
    assert texts(await walked(pages, 1 + file.prompt_bytes)) == []


def test_a_message_has_all_that_a_model_wants_back() -> None:
    item = assistant(
        "Let me see",
        toolCalls=[{"id": "c1", "name": "f", "arguments": "{}", "error": "x"}, {"id": 1}, "odd"],
        reasoningDetails="[]",
        askedModel="a/b",
        reading={"documents": ["a1.0"], "bytes": 10},
    )
    assert message_of(item) == Message(
        "assistant",
        "Let me see",
        tool_requests=(ToolRequest("c1", "f", "{}"),),
        stored_reasoning=StoredReasoning("[]", "a/b"),
        stored_annotations=StoredAnnotations(("a1.0",), 10),
    )
    results = [{"toolCallId": "c1", "content": "y"}, {"content": "y"}]
    assert message_of({"role": "tool", "toolResults": results}) == Message(
        "tool", tool_replies=(ToolReply("c1", "y"),)
    )
    assert message_of(assistant("x", reasoningDetails="[]")) == Message("assistant", "x")


# -- messages that are too long for a page ---------------------------------------------------------


async def test_a_message_too_long_for_a_page_is_read_whole_only_if_it_is_needed() -> None:
    pages = Pages(user("q0"), assistant("a0"), {"role": "user"}, assistant("a1"))
    pages.whole_texts["m2"] = "long " * 100
    assert texts(await walked(pages, 1_000)) == []
    history = await walked(pages, 1_000, in_progress=True)
    assert texts(history) == ["long " * 100, "a1"]
    assert texts(await walked(pages, 10**6)) == ["q0", "a0", "", "a1"]


# -- summaries -------------------------------------------------------------------------------------


async def test_a_summary_stands_for_what_is_above_its_message() -> None:
    summary = Summary("short", "m1")
    history = await walked(Pages(*TURNS), summary=summary)
    assert texts(history) == [SUMMARY_PREFIX + "short", "q1", "a1", "q2", "a2"]
    assert history.messages[0].message.role == "user"
    assert history.summary == summary
    assert texts(await walked(Pages(*TURNS), 5 + 7, summary=summary))[1:] == ["q2", "a2"]


async def test_a_summary_of_another_path_is_of_no_use() -> None:
    history = await walked(Pages(*TURNS), summary=Summary("short", "elsewhere"))
    assert texts(history) == ["q0", "a0", "q1", "a1", "q2", "a2"]
    assert history.summary is None


async def test_a_summary_above_what_fits_is_found_all_the_same() -> None:
    history = await walked(Pages(*TURNS), 5 + 4, summary=Summary("short", "m1"))
    assert texts(history) == [SUMMARY_PREFIX + "short", "q2", "a2"]


async def test_half_of_a_full_history_is_summarized_next() -> None:
    history = await walked(Pages(*TURNS), 15, wants_summary=True)
    assert texts(history) == ["q0", "a0", "q1", "a1", "q2", "a2"]
    assert summarized(history) == ["q0", "a0"]
    assert history.to_summarize[-1].message_id == "m1"
    assert (await walked(Pages(*TURNS), 16, wants_summary=True)).to_summarize == ()
    assert (await walked(Pages(*TURNS), 15)).to_summarize == ()


async def test_what_does_not_fit_is_summarized_with_half_of_what_does() -> None:
    history = await walked(Pages(*TURNS), 8, wants_summary=True)
    assert texts(history) == ["q1", "a1", "q2", "a2"]
    assert summarized(history) == ["q0", "a0", "q1", "a1"]


async def test_a_summary_reads_only_so_much() -> None:
    turns = [user("x" * 50), assistant("y" * 50), user("q"), assistant("a")]
    less = replace(LIMITS, summary_reads_max_bytes=60)
    history = await walked(Pages(*turns), 2, less, wants_summary=True)
    assert texts(history) == ["q", "a"]
    assert summarized(history) == ["x" * 10, "y" * 50]
