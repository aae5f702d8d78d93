"""Reads the conversations of a project, and finds messages that are lost or there twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from google.cloud.firestore import AsyncClient

from scripts.kill_test.plan import Call

Json = dict[str, Any]


@dataclass
class Talk:
    """One conversation as it stands. sent: what the pages hold, as models are sent it."""

    uid: str
    id: str
    head: Json
    messages: dict[str, Json]
    sent: dict[str, Json]

    def problems(self) -> Iterator[str]:
        """Messages that something points at and that are not there."""
        if self.head.get("leaf") not in self.messages:
            yield f"{self.id}: the path ends nowhere"
        for id_, message in self.messages.items():
            if (parent := message["parent"]) is not None and parent not in self.messages:
                yield f"{self.id}: {id_} follows {parent}, which is not there"
            elif message["role"] == "assistant" and parent is None:
                yield f"{self.id}: {id_} has no question"
        for id_ in self.messages.keys() ^ self.sent.keys():
            yield f"{self.id}: {id_} is for {'clients' if id_ in self.messages else 'models'} alone"

    def above(self, id_: str) -> Iterator[str]:
        """The message and what is above it."""
        at: str | None = id_
        while at in self.messages:
            yield at
            at = self.messages[at]["parent"]


class Talks:
    """All of them, by user and id."""

    def __init__(self, talks: Iterable[Talk]) -> None:
        self._talks = {(talk.uid, talk.id): talk for talk in talks}

    def __iter__(self) -> Iterator[Talk]:
        return iter(self._talks.values())

    def message(self, call: Call, kind: str) -> Json | None:
        """The call's question (`q`) or answer (`a`)."""
        talk = self._talks.get((call.uid, str(call.conversation)))
        return None if talk is None else talk.messages.get(f"{kind}{call.generation}")

    def lost(self) -> list[str]:
        """What something points at and is not there."""
        return [problem for talk in self for problem in talk.problems()]

    def questions_lost(self, calls: Iterable[Call], entries: dict[str, Json]) -> list[str]:
        """Whatever was admitted has its question, however it ended; and its file, unless it was
        killed before that was stored."""
        wrong = []
        for call in _placed(calls):
            if call.generation not in entries or call.again is not None:
                continue
            question = self.message(call, "q")
            status = entries[call.generation]["status"]
            if question is None:
                wrong.append(f"{call.request_id}, {call.feature}, {status}: is not there")
            elif question["text"] != call.data["prompt"]:
                wrong.append(f"{call.request_id}: {question['text']}")
            elif call.file and not question.get("attachments") and status != "interrupted":
                wrong.append(f"{call.request_id}, {call.feature}, {status}: has lost its file")
        return wrong

    def answers_lost(self, calls: Iterable[Call], entries: dict[str, Json]) -> list[str]:
        """entries: as they were before anything was tidied up."""
        wrong = []
        for call in _placed(calls):
            entry = entries.get(call.generation, {"status": "none"})
            result = entry.get("result") or {}
            if entry["status"] != "done" and not (entry["status"] == "stopped" and result["text"]):
                continue
            answer = self.message(call, "a")
            if answer is None:
                wrong.append(f"{call.request_id}, {entry['status']}: is not there")
            elif answer["text"] != result.get("text"):
                wrong.append(f"{call.request_id}, {entry['status']}: differs")
        return wrong

    def texts_lost(self, calls: Iterable[Call], written: dict[str, str]) -> list[str]:
        """written: what was kept of answers whose instance was killed."""
        wrong = []
        for call in _placed(calls):
            if text := written.get(call.generation):
                answer = self.message(call, "a")
                if answer is None or not answer["text"].startswith(text):
                    told = "nothing" if answer is None else f"{len(answer['text'])} characters"
                    wrong.append(f"{call.request_id}, {call.feature}: {told} of {len(text)}")
        return wrong

    def paths_lost(self, before: Talks) -> list[str]:
        """What was the end of a path is still on it."""
        wrong = []
        for key, talk in before._talks.items():
            leaf, now = talk.head["leaf"], self._talks[key]
            if leaf not in now.above(now.head["leaf"]):
                wrong.append(f"{talk.id}: from {leaf} to {now.head['leaf']}")
        return wrong

    def files(self) -> list[str]:
        """The paths of all that questions came with."""
        return [
            file["path"]
            for talk in self
            for message in talk.messages.values()
            for file in message.get("attachments", ())
        ]


async def read_talks(firestore: AsyncClient) -> Talks:
    talks = []
    async for found in firestore.collection_group("conversations").stream():
        uid = found.reference.parent.parent.id
        messages = found.reference.collection("messages").stream()
        pages = found.reference.collection("transcript").stream()
        sent: dict[str, Json] = {}
        async for page in pages:
            sent |= (page.to_dict() or {})["messages"]
        kept = {message.id: message.to_dict() or {} async for message in messages}
        talks.append(Talk(uid, found.id, found.to_dict() or {}, kept, sent))
    return Talks(talks)


def _placed(calls: Iterable[Call]) -> list[Call]:
    return [call for call in dict.fromkeys(calls) if call.conversation is not None]


def doubled(talks: Talks) -> list[str]:
    """Questions say which request they are of; an answer, whose it is."""
    said = Counter(
        (message["role"], message["generationId"])
        for talk in talks
        for message in talk.messages.values()
    )
    texts = Counter(
        (talk.uid, message["text"])
        for talk in talks
        for message in talk.messages.values()
        if message["role"] == "user"
    )
    twice = [f"{role} of {id_}: {count}" for (role, id_), count in said.items() if count > 1]
    return twice + [f"{uid}, {text}: {count}" for (uid, text), count in texts.items() if count > 1]
