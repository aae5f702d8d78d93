"""Writing a question and its answer, over commits that a test answers: no emulator."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from google.api_core.exceptions import (
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ServiceUnavailable,
)
from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore import AsyncClient
from google.cloud.firestore_v1.types import WriteResult

from firerouter.background import BackgroundTasks
from firerouter.conversations.limits import ConversationLimits
from firerouter.conversations.tree import Question, Summary, Thread, ThreadPlace, TreePosition
from firerouter.conversations.writer import ThreadWriter
from firerouter.files.annotations import AnnotationPieces
from firerouter.firestore import Batch

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RESULT: dict[str, Any] = {"text": "Yes", "model": "a/b"}
# what a page has of each message in these tests
ITEM_BYTES = ConversationLimits().page_item_bytes + len("Yes")


class RecordedBatch(Batch):
    """Records its writes, and is answered by the client's test."""

    def __init__(self, client: "Client") -> None:
        super().__init__(client)
        self.recorder = client
        self.writes: dict[str, dict[str, Any]] = {}

    def set(self, reference: Any, document: Any, *, merge: bool = False) -> None:
        super().set(reference, document, merge=merge)
        before = self.writes.get(reference.path, {}).get("messages", {}) if merge else {}
        self.writes[reference.path] = document
        if before:
            self.writes[reference.path] = {"messages": {**before, **document["messages"]}}

    def update(self, reference: Any, fields: Any, *, version: datetime | None = None) -> None:
        super().update(reference, fields, version=version)
        self.writes[reference.path] = fields

    async def commit(self, *_: Any, **__: Any) -> Any:
        self.recorder.tried.append(self.writes)
        failure = self.recorder.failures.pop(0) if self.recorder.failures else None
        if failure is not None:
            raise failure
        self.recorder.applied.append(self.writes)
        return [WriteResult(update_time=NOW) for _ in self.writes]


class Client(AsyncClient):
    """A client that never connects.

    failures: What the next commits raise, in turn; None lets one through.
    """

    def __init__(self) -> None:
        super().__init__(project="demo", credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]
        self.failures: list[Exception | None] = []
        self.tried: list[dict[str, dict[str, Any]]] = []
        self.applied: list[dict[str, dict[str, Any]]] = []


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr("firerouter.conversations.writer.Batch", RecordedBatch)
    return Client()


def place(**more: Any) -> ThreadPlace:
    fields = {"parent": TreePosition("a0", 0), "page": 0, "page_bytes": ITEM_BYTES, **more}
    return ThreadPlace("ann", "c1", "g1", "talk", **fields)


def writer(
    client: Client,
    thread: Thread,
    written: dict[str, Any] | None = None,
    **limits: Any,
) -> ThreadWriter:
    return ThreadWriter(
        thread,
        firestore=client,
        conversation=client.document("users/ann/conversations/c1"),
        background=BackgroundTasks(),
        limits=ConversationLimits(**{"answer_pause_s": 0.0, **limits}),
        now=lambda: NOW,
        written=written,
    )


def pages(commits: list[dict[str, dict[str, Any]]]) -> list[dict[str, list[str]]]:
    """The messages that each commit writes to each page of the transcript."""
    return [
        {
            path.rpartition("/")[2]: [*document["messages"]]
            for path, document in commit.items()
            if "/transcript/" in path and "messages" in document
        }
        for commit in commits
    ]


def head(commit: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return commit["users/ann/conversations/c1"]


ASKED = Thread(place(), Question("user", "Who?"))
BEGUN = Thread(place(is_new=True, parent=TreePosition(), page_bytes=0), Question("user", "Who?"))


async def test_a_question_then_its_answer_are_written_and_the_path_leads_to_them(
    client: Client,
) -> None:
    writes = writer(client, ASKED)
    await writes.write_question()
    assert writes.question_written
    assert await writes.write_answer(RESULT, "done", None)
    assert pages(client.applied) == [{"0": ["qg1"]}, {"0": ["ag1"]}]
    question, answer = client.applied
    message = question["users/ann/conversations/c1/messages/qg1"]
    assert (message["parent"], message["parentPage"], message["page"]) == ("a0", 0, 0)
    message = answer["users/ann/conversations/c1/messages/ag1"]
    assert (message["parent"], message["text"], message["status"]) == ("qg1", "Yes", "done")
    assert head(question)["leaf"] == "qg1"
    assert head(answer) == {
        "updatedAt": NOW,
        "page": 0,
        "pageBytes": ITEM_BYTES * 3 + len("Who?") - len("Yes"),
        "leaf": "ag1",
        "leafPage": 0,
    }


async def test_a_write_that_is_tried_again_keeps_its_page(client: Client) -> None:
    writes = writer(client, ASKED, page_max_bytes=ITEM_BYTES * 3 + 10)
    client.failures = [*[ServiceUnavailable("x")] * 5, None]  # type: ignore[no-untyped-call]
    await writes.write_question()
    assert not writes.question_written
    assert await writes.write_answer(RESULT, "done", None)
    assert pages(client.tried) == [{"0": ["qg1"]}, *[{"0": ["qg1", "ag1"]}] * 5]
    used = [head(commit)["pageBytes"] for commit in client.tried]
    assert used[1:] == [used[1]] * 5


async def test_a_page_without_room_is_followed_by_the_next(client: Client) -> None:
    writes = writer(client, ASKED, page_max_bytes=ITEM_BYTES * 2 + 10)
    await writes.write_question()
    await writes.write_answer(RESULT, "done", None)
    assert pages(client.applied) == [{"0": ["qg1"]}, {"1": ["ag1"]}]
    assert head(client.applied[1])["pageBytes"] == ITEM_BYTES
    answer = client.applied[1]["users/ann/conversations/c1/messages/ag1"]
    assert (answer["parentPage"], answer["page"]) == (0, 1)


async def test_a_page_that_firestore_refuses_is_followed_by_the_next(client: Client) -> None:
    writes = writer(client, ASKED)
    client.failures = [InvalidArgument("too large")]  # type: ignore[no-untyped-call]
    await writes.write_question()
    await writes.write_answer(RESULT, "done", None)
    assert pages(client.tried) == [{"0": ["qg1"]}, {"1": ["qg1"]}, {"1": ["ag1"]}]


async def test_what_firestore_never_takes_is_given_up_and_told_apart_from_an_outage(
    client: Client,
) -> None:
    writes = writer(client, ASKED)
    client.failures = [InvalidArgument("no")] * 50  # type: ignore[no-untyped-call]
    await writes.write_question()
    assert not await writes.write_answer(RESULT, "done", None)
    await asyncio.sleep(0.05)
    assert pages(client.tried) == [{"0": ["qg1"]}, {"1": ["qg1"]}]
    assert writes.refused


async def test_a_new_page_is_not_the_reason_why_firestore_does_not_take_a_message(
    client: Client,
) -> None:
    writes = writer(client, BEGUN)
    client.failures = [InvalidArgument("no")] * 50  # type: ignore[no-untyped-call]
    await writes.write_question()
    assert not await writes.write_answer(RESULT, "done", None)
    assert pages(client.tried) == [{"0": ["qg1"]}]


async def test_an_answer_that_is_not_taken_is_tried_on_one_more_page(client: Client) -> None:
    writes = writer(client, ASKED)
    client.failures = [None, *[InvalidArgument("no")] * 50]  # type: ignore[no-untyped-call]
    await writes.write_question()
    assert not await writes.write_answer(RESULT, "done", None)
    assert pages(client.tried) == [{"0": ["qg1"]}, {"0": ["ag1"]}, {"1": ["ag1"]}]


async def test_what_cannot_be_recovered_is_not_recovered_again(client: Client) -> None:
    client.failures = [InvalidArgument("no")] * 50  # type: ignore[no-untyped-call]
    writes = writer(client, Thread(place(), Question("user", "Who?")))
    assert await writes.recover(RESULT, "restarting", leads=True)
    assert len(client.tried) == 2


async def test_a_message_too_long_for_a_page_leaves_its_text_to_its_document(
    client: Client,
) -> None:
    writes = writer(client, ASKED, page_max_bytes=310, part_chars=4)
    await writes.write_answer({"text": "x" * 11}, "done", None)
    (commit,) = client.applied
    item = commit["users/ann/conversations/c1/transcript/1"]["messages"]["ag1"]
    assert item == {"role": "assistant", "parent": "qg1", "parentPage": 1}
    texts = [
        commit[f"users/ann/conversations/c1/messages/ag1{n}"]["text"] for n in ("", ".1", ".2")
    ]
    assert texts == ["xxxx", "xxxx", "xxx"]


async def test_a_conversation_that_was_deleted_is_left_alone(client: Client) -> None:
    writes = writer(client, ASKED)
    client.failures = [NotFound("x")]  # type: ignore[no-untyped-call]
    await writes.write_question()
    assert (writes.deleted, writes.question_written) == (True, False)
    assert await writes.write_answer(RESULT, "done", None), "there is nothing left to store"
    assert len(client.tried) == 1


async def test_what_firestore_does_not_take_is_tried_on_in_the_background(client: Client) -> None:
    writes = writer(client, Thread(place()), answer_s=0.05, answer_pause_s=0.03)
    client.failures = [PermissionDenied("x")] * 3  # type: ignore[no-untyped-call]
    assert not await writes.write_answer(RESULT, "done", None)
    await asyncio.sleep(0.5)
    assert len(client.applied) == 1


async def test_a_new_conversation_begins_with_its_question(client: Client) -> None:
    begun = Thread(
        place(is_new=True, parent=TreePosition(), page_bytes=0), Question("user", "Who?")
    )
    writes = writer(client, begun)
    await writes.set_title("Too early")
    assert client.tried == []
    await writes.write_question()
    await writes.write_answer(RESULT, "done", None)
    first, second = client.applied
    assert (head(first)["title"], head(first)["feature"]) == ("Who?", "talk")
    assert "title" not in head(second)
    await writes.set_title("Who is it?")
    assert head(client.applied[-1]) == {"title": "Who is it?"}


async def test_another_instance_goes_on_from_a_written_question(client: Client) -> None:
    begun = Thread(
        place(is_new=True, parent=TreePosition(), page_bytes=0), Question("user", "Who?")
    )
    first = writer(client, begun)
    assert first.written_question() is None
    await first.write_question()
    written = first.written_question()
    assert written is not None
    other = writer(client, BEGUN, written)
    await other.write_question()
    assert len(client.applied) == 1, "the question is there"
    await other.write_answer(RESULT, "done", None)
    answer = client.applied[-1]["users/ann/conversations/c1/messages/ag1"]
    assert (answer["parent"], answer["parentPage"]) == ("qg1", 0)
    assert head(client.applied[-1])["pageBytes"] == first._page_bytes + ITEM_BYTES
    await other.set_title("Who is it?")
    assert head(client.applied[-1]) == {"title": "Who is it?"}


@pytest.mark.parametrize(
    ("more", "result", "status", "leads"),
    [
        ({}, RESULT, "done", True),
        ({}, {"text": ""}, "stopped", True),
        ({}, RESULT, "failed", True),
        ({"is_regeneration": True}, RESULT, "done", True),
        ({"is_regeneration": True}, RESULT, "stopped", True),
        ({"is_regeneration": True}, {"text": ""}, "stopped", False),
        ({"is_regeneration": True}, RESULT, "failed", False),
        ({}, {"text": ""}, "failed", None),
        ({"persisted": False}, RESULT, "done", None),
    ],
)
async def test_the_path_leads_to_an_answer_that_has_something_to_show(
    client: Client, more: dict[str, Any], result: dict[str, Any], status: str, leads: bool | None
) -> None:
    assert await writer(client, Thread(place(**more))).write_answer(result, status, None)
    if leads is None:
        assert client.tried == []
    else:
        assert ("leaf" in head(client.applied[0])) == leads


async def test_a_summary_and_annotations_come_with_the_answer(client: Client) -> None:
    await writer(client, Thread(place())).write_answer(
        RESULT,
        "done",
        None,
        annotations=AnnotationPieces({"ag1.0": "[{}]"}),
        summary=Summary("short", "a0"),
    )
    (commit,) = client.applied
    assert head(commit)["summary"] == {"text": "short", "upTo": "a0"}
    assert commit["users/ann/conversations/c1/transcript/ag1.0"] == {"reading": "[{}]"}
    message = commit["users/ann/conversations/c1/messages/ag1"]
    assert message["reading"] == {"documents": ["ag1.0"], "bytes": 4}


@pytest.mark.parametrize(
    ("question", "result", "messages"),
    [
        (None, RESULT, [["ag1"]]),
        (Question("user", "Who?"), RESULT, [["qg1"], ["ag1"]]),
        (Question("user", "Who?"), {"text": ""}, [["qg1"]]),
        (None, {"text": ""}, []),
    ],
)
async def test_what_a_killed_instance_had_is_stored(
    client: Client, question: Question | None, result: dict[str, Any], messages: list[list[str]]
) -> None:
    writes = writer(client, Thread(place(), question))
    assert await writes.recover(result, "restarting", leads=False)
    assert [ids for commit in pages(client.applied) for ids in commit.values()] == messages
    assert all("leaf" not in head(commit) for commit in client.applied)


async def test_a_recovery_that_failed_says_so(client: Client) -> None:
    client.failures = [ServiceUnavailable("x")]  # type: ignore[no-untyped-call]
    writes = writer(client, Thread(place(), Question("user", "Who?")))
    assert not await writes.recover(RESULT, "restarting", leads=True)
    assert len(client.tried) == 1, "no answer without its question"
