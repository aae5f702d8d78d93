"""Audits the conversations of a project: no message may be missing or exist twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from google.cloud.firestore import AsyncClient

from scripts.kill_test.plan import Call

Json = dict[str, Any]


@dataclass
class Conversation:
    """One conversation at one moment.

    Attributes:
        head: The conversation's own document.
        messages: The documents that clients read, by ID.
        transcript: The same messages in the form that models are sent, from the transcript's pages.
    """

    uid: str
    id: str
    head: Json
    messages: dict[str, Json]
    transcript: dict[str, Json]

    def broken_links(self) -> Iterator[str]:
        """Yield a line for each message that something refers to and that does not exist."""
        if self.head.get("leaf") not in self.messages:
            yield f"{self.id}: the chosen path ends at a missing message"
        for id_, message in self.messages.items():
            if (parent := message["parent"]) is not None and parent not in self.messages:
                yield f"{self.id}: {id_} follows {parent}, which is missing"
            elif message["role"] == "assistant" and parent is None:
                yield f"{self.id}: {id_} has no question"
        for id_ in self.messages.keys() ^ self.transcript.keys():
            yield f"{self.id}: only {'clients' if id_ in self.messages else 'models'} see {id_}"

    def path_to(self, id_: str) -> Iterator[str]:
        """Yield the message and all its ancestors."""
        at: str | None = id_
        while at in self.messages:
            yield at
            at = self.messages[at]["parent"]


class Conversations:
    """All conversations of a project."""

    def __init__(self, conversations: Iterable[Conversation]) -> None:
        self._by_id = {(each.uid, each.id): each for each in conversations}

    def __iter__(self) -> Iterator[Conversation]:
        return iter(self._by_id.values())

    def message(self, call: Call, kind: str) -> Json | None:
        """Return the call's question (`q`) or answer (`a`)."""
        found = self._by_id.get((call.uid, str(call.conversation)))
        return None if found is None else found.messages.get(f"{kind}{call.generation}")

    def broken_links(self) -> list[str]:
        return [line for conversation in self for line in conversation.broken_links()]

    def missing_questions(self, calls: Iterable[Call], entries: dict[str, Json]) -> list[str]:
        """Find admitted calls without their question, or without its file.

        However a call ended, its question is stored. A file may be missing if the instance was
        killed before it was stored.
        """
        lines = []
        for call in _with_conversation(calls):
            if call.generation not in entries or call.again is not None:
                continue
            question = self.message(call, "q")
            status = entries[call.generation]["status"]
            if question is None:
                lines.append(f"{call.request_id}, {call.feature}, {status}: no question")
            elif question["text"] != call.data["prompt"]:
                lines.append(f"{call.request_id}: {question['text']}")
            elif call.file and not question.get("attachments") and status != "interrupted":
                lines.append(f"{call.request_id}, {call.feature}, {status}: no file")
        return lines

    def missing_answers(self, calls: Iterable[Call], entries: dict[str, Json]) -> list[str]:
        """Find results that are not in their conversation. `entries`: before reconciliation."""
        lines = []
        for call in _with_conversation(calls):
            entry = entries.get(call.generation, {"status": "none"})
            result = entry.get("result") or {}
            if entry["status"] != "done" and not (entry["status"] == "stopped" and result["text"]):
                continue
            answer = self.message(call, "a")
            if answer is None:
                lines.append(f"{call.request_id}, {entry['status']}: no answer")
            elif answer["text"] != result.get("text"):
                lines.append(f"{call.request_id}, {entry['status']}: another text")
        return lines

    def missing_text(self, calls: Iterable[Call], saved_text: dict[str, str]) -> list[str]:
        """Find text that a killed instance had saved and that is not in the answer."""
        lines = []
        for call in _with_conversation(calls):
            if text := saved_text.get(call.generation):
                answer = self.message(call, "a")
                if answer is None or not answer["text"].startswith(text):
                    found = "nothing" if answer is None else f"{len(answer['text'])} characters"
                    lines.append(f"{call.request_id}, {call.feature}: {found} of {len(text)}")
        return lines

    def abandoned_paths(self, before: Conversations) -> list[str]:
        """Find conversations whose chosen path no longer contains its earlier end."""
        lines = []
        for key, conversation in before._by_id.items():
            leaf, now = conversation.head["leaf"], self._by_id[key]
            if leaf not in now.path_to(now.head["leaf"]):
                lines.append(f"{conversation.id}: from {leaf} to {now.head['leaf']}")
        return lines

    def file_paths(self) -> list[str]:
        """Return the paths of all files of questions."""
        return [
            file["path"]
            for conversation in self
            for message in conversation.messages.values()
            for file in message.get("attachments", ())
        ]


async def read_conversations(firestore: AsyncClient) -> Conversations:
    found = []
    async for head in firestore.collection_group("conversations").stream():
        uid = head.reference.parent.parent.id
        messages = {
            message.id: message.to_dict() or {}
            async for message in head.reference.collection("messages").stream()
        }
        transcript: dict[str, Json] = {}
        async for page in head.reference.collection("transcript").stream():
            transcript |= (page.to_dict() or {})["messages"]
        found.append(Conversation(uid, head.id, head.to_dict() or {}, messages, transcript))
    return Conversations(found)


def _with_conversation(calls: Iterable[Call]) -> list[Call]:
    return [call for call in dict.fromkeys(calls) if call.conversation is not None]


def duplicates(conversations: Conversations) -> list[str]:
    """Find messages that exist twice, by their generation and, for questions, by their text."""
    messages = [
        (conversation.uid, message)
        for conversation in conversations
        for message in conversation.messages.values()
    ]
    by_generation = Counter((message["role"], message["generationId"]) for _, message in messages)
    by_text = Counter(
        (uid, message["text"]) for uid, message in messages if message["role"] == "user"
    )
    lines = [f"{role} of {id_}: {n}" for (role, id_), n in by_generation.items() if n > 1]
    return lines + [f"{uid}, {text}: {n}" for (uid, text), n in by_text.items() if n > 1]
