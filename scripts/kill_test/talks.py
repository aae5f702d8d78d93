"""Reads the conversations of a project, and finds messages that are lost or there twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
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
            if (
                message["role"] == "assistant"
                and f"q{message['generationId']}" not in self.messages
            ):
                yield f"{self.id}: {id_} has no question"
        for id_ in self.messages.keys() ^ self.sent.keys():
            yield f"{self.id}: {id_} is for {'clients' if id_ in self.messages else 'models'} alone"


async def read_talks(firestore: AsyncClient) -> list[Talk]:
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
    return talks


def lost(talks: Iterable[Talk], calls: Iterable[Call], ended: dict[str, str]) -> list[str]:
    """ended: the status of what ended by itself, by generation; those have both their messages."""
    by_id = {(talk.uid, talk.id): talk for talk in talks}
    wrong = [problem for talk in by_id.values() for problem in talk.problems()]
    for call in set(calls):
        if call.conversation is None or ended.get(call.generation) not in {"done", "stopped"}:
            continue
        talk = by_id.get((call.uid, call.conversation))
        kept = talk.messages if talk is not None else {}
        ids = (f"q{call.generation}", f"a{call.generation}")
        wrong += [f"{call.request_id}: {id_} is not there" for id_ in ids if id_ not in kept]
    return wrong


def doubled(talks: Sequence[Talk]) -> list[str]:
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
