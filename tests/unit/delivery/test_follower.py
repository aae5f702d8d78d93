"""What a follower sends of an answer that runs elsewhere, from its entry and its pieces."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from firerouter.callable import Call
from firerouter.delivery import Follower, Piece, ProgressLimits, Repair
from firerouter.errors import AlreadyRunning, Restarting, ResultNotKept, StreamCut
from firerouter.ledger import Place, StoredEntry
from firerouter.users import Caller
from tests.support.calls import call_of

ID = "0" * 32
NOW = datetime(2026, 11, 28, tzinfo=UTC)
RUNNING = StoredEntry(
    id=ID,
    uid="ann",
    status="running",
    model="sim/fast",
    deadline_at=NOW + timedelta(seconds=300),
)


def ended(**fields: Any) -> StoredEntry:
    return StoredEntry(id=ID, uid="ann", **{"status": "done", "model": "sim/fast", **fields})


class Told:
    """Progress that says one thing at each look: the entry, and the pieces stored until then."""

    limits = ProgressLimits(every_s=0.0, live_s=0.0, first_looks_s=(), follow_max_s=5.0)

    def __init__(self, *looks: tuple[StoredEntry, Sequence[Piece]]) -> None:
        self._looks = list(looks)
        self._pieces: Sequence[Piece] = ()
        self.reads = 0

    async def entry(self, id_: str, uid: str) -> StoredEntry:
        assert (id_, uid) == (ID, "ann")
        entry, self._pieces = self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]
        return entry

    async def read(self, id_: str, after: int = -1) -> list[Piece]:
        assert id_ == ID
        self.reads += 1
        return [piece for piece in self._pieces if piece.number > after]


def follower(progress: Told, now: datetime = NOW) -> Follower:
    return Follower(progress, now=lambda: now)  # type: ignore[arg-type]  # a stand-in


async def follow(*looks: tuple[StoredEntry, Sequence[Piece]]) -> tuple[list[Any], Any]:
    """Return the frames after the start, and the result."""
    call = call_of({}, "ann", streaming=True)
    result = await follower(Told(*looks)).follow(call, ID)
    start, *frames = sent(call)
    assert start["type"] == "start"
    return frames, result


def sent(call: Call[Caller]) -> list[Any]:
    return [json.loads(frame)["message"] for frame in call.take() if frame]


async def test_what_was_written_is_sent_and_then_the_rest() -> None:
    first, second = Piece(0, "one ", "hm "), Piece(1, "two ", "")
    result = {"text": "one two three", "reasoning": "hm so", "model": "sim/fast"}
    frames, got = await follow(
        (RUNNING, [first]), (RUNNING, [first, second]), (ended(result=result), [])
    )
    assert frames == [
        {"type": "reasoning", "delta": "hm "},
        {"type": "text", "delta": "one "},
        {"type": "text", "delta": "two "},
        {"type": "reasoning", "delta": "so"},
        {"type": "text", "delta": "three"},
    ]
    assert got == result


async def test_a_repair_begins_the_text_anew() -> None:
    repair = Repair("sim/fast", "$ (json)")
    before, after = Piece(0, "no json", ""), Piece(1, "{", "", repair)
    frames, _ = await follow(
        (RUNNING, [before]),
        (RUNNING, [before, after]),
        (ended(result={"text": "{}", "model": "sim/fast"}), []),
    )
    assert frames == [
        {"type": "text", "delta": "no json"},
        {"type": "repair", "model": "sim/fast", "at": "$ (json)"},
        {"type": "text", "delta": "{"},
        {"type": "text", "delta": "}"},
    ]


async def test_who_comes_after_a_repair_hears_of_none() -> None:
    repair = Repair("sim/fast", "$ (json)")
    pieces = [Piece(0, "no json", ""), Piece(1, "{", "", repair)]
    result = {"text": "{}", "model": "sim/fast"}
    frames, _ = await follow((RUNNING, pieces), (ended(result=result), []))
    assert frames == [{"type": "text", "delta": "{"}, {"type": "text", "delta": "}"}]


async def test_a_result_that_differs_from_what_was_sent_is_sent_whole() -> None:
    result = {"text": "other", "model": "sim/other"}
    frames, _ = await follow((RUNNING, [Piece(0, "one", "")]), (ended(result=result), []))
    assert frames == [
        {"type": "text", "delta": "one"},
        {"type": "repair", "model": "sim/other"},
        {"type": "text", "delta": "other"},
    ]


async def test_where_streams_are_off_no_text_is_sent_and_no_progress_read() -> None:
    result = {"text": "x", "model": "m", "citations": [{"url": "u"}], "images": [{"index": 0}]}
    progress = Told(
        (StoredEntry(**{**vars_of(RUNNING), "streams": False}), []),
        (ended(result=result, streams=False), []),
    )
    call = call_of({}, "ann", streaming=True)
    await follower(progress).follow(call, ID)
    assert [frame["type"] for frame in sent(call)] == ["start", "citation", "image"]
    assert progress.reads == 0


def vars_of(entry: StoredEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in StoredEntry.__slots__}


async def test_the_start_says_where_the_answer_is() -> None:
    place = Place(conversation_id="c", message_id="a1", parent="q1", parent_page=0)
    entry = StoredEntry(**{**vars_of(RUNNING), "place": place})
    call = call_of({}, "ann", streaming=True)
    await follower(Told((entry, []), (ended(result={"text": ""}), []))).follow(call, ID)
    assert sent(call)[0] == {
        "type": "start",
        "generationId": ID,
        "conversationId": "c",
        "messageId": "a1",
        "model": "sim/fast",
    }


async def test_one_that_has_ended_is_resumed_without_a_frame() -> None:
    result = {"text": "x"}
    call = call_of({}, "ann", streaming=True)
    assert await follower(Told((ended(result=result), []))).resume(call, ID) == result
    assert sent(call) == []


async def test_a_failure_is_told_as_it_was() -> None:
    with pytest.raises(StreamCut) as failed:
        await follow((RUNNING, []), (ended(status="failed", error="stream_cut"), []))
    assert failed.value.details["generationId"] == ID


async def test_a_result_that_is_not_stored_is_not_made_up() -> None:
    with pytest.raises(ResultNotKept) as failed:
        await follow((RUNNING, []), (ended(), []))
    assert failed.value.details["previousStatus"] == "done"


@pytest.mark.parametrize("deadline_at", [NOW - timedelta(seconds=1), None])
async def test_a_killed_instance_is_not_followed_for_ever(deadline_at: datetime | None) -> None:
    late = StoredEntry(**{**vars_of(RUNNING), "deadline_at": deadline_at})
    with pytest.raises(Restarting):
        await follow((late, []))


async def test_a_follower_ends_before_its_own_function_does() -> None:
    progress = Told((RUNNING, []))
    progress.limits = ProgressLimits(every_s=0.01, follow_max_s=0.05)
    with pytest.raises(AlreadyRunning) as ended_:
        await follower(progress).follow(call_of({}, "ann", streaming=True), ID)
    assert ended_.value.retry_after_seconds == 1


async def test_who_leaves_is_not_kept() -> None:
    call = call_of({}, "ann", streaming=True)
    call.leave()
    with pytest.raises(ResultNotKept):
        await follower(Told((RUNNING, []))).follow(call, ID)
