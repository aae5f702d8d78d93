"""Where a streamed answer ends, and that it does not matter how the network cuts it."""

import asyncio
import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firerouter.errors import StreamCut, UpstreamBusy, UpstreamError, UpstreamMalformed
from firerouter.openrouter import Usage
from tests.support.openrouter_stream import (
    DONE,
    STOP,
    USAGE,
    chunk,
    open_stream,
    read_text,
    sse,
    text,
)

COUNTED = Usage(prompt_tokens=3, completion_tokens=2, cost_nano_usd=1_000_000)
HELLO = (text("Hel"), text("lo"))
USED = chunk(usage=USAGE, choices=[])
SOON_S = 0.02
AT_ONCE_S = 5.0  # of a busy machine; a wait for usage is longer in these tests


# -- ends ------------------------------------------------------------------------------------------


async def test_nothing_is_waited_for_after_done() -> None:
    it = open_stream(*HELLO, STOP, USED, DONE, held=True, usage_wait_s=60.0)
    async with asyncio.timeout(AT_ONCE_S):
        assert await read_text(it) == "Hello"
    assert (it.answer.finish_reason, it.answer.usage) == ("stop", COUNTED)


@pytest.mark.parametrize("done", [b"data: [DONE] \n\n", b"data:[DONE]\n\n", b"data:  [DONE]\t\n\n"])
async def test_done_may_have_spaces_around_it(done: bytes) -> None:
    it = open_stream(*HELLO, STOP, USED, done, held=True, usage_wait_s=60.0)
    async with asyncio.timeout(AT_ONCE_S):
        assert await read_text(it) == "Hello"


async def test_nothing_after_done_belongs_to_the_answer() -> None:
    rest = text("!") + b"data: {broken\n\n" + chunk(error={"code": 502, "message": "x"})
    for pieces in ((*HELLO, STOP, DONE, rest), (b"".join([*HELLO, STOP, DONE, rest]),)):
        assert await read_text(open_stream(*pieces)) == "Hello"


@pytest.mark.parametrize("rest", [(), (b": keep-alive\n\n",), (text(""),)], ids=["", "comment", ""])
@pytest.mark.parametrize("used", [(), (USED,)], ids=["no usage", "usage"])
async def test_after_a_finish_reason_silence_is_the_end(
    used: tuple[bytes, ...], rest: tuple[bytes, ...]
) -> None:
    it = open_stream(*HELLO, STOP, *used, *rest, held=True, usage_wait_s=SOON_S)
    assert await read_text(it) == "Hello"
    assert it.answer.finish_reason == "stop"
    assert it.answer.usage == (COUNTED if used else None)


async def test_a_connection_that_breaks_after_a_finish_reason_takes_nothing_away() -> None:
    for broken in (httpx2.ReadError("x"), ConnectionResetError()):
        it = open_stream(*HELLO, STOP, breaks=broken)
        assert await read_text(it) == "Hello"
        assert it.answer.finish_reason == "stop"


async def test_a_stream_that_ends_inside_its_usage_has_had_its_answer() -> None:
    it = open_stream(*HELLO, STOP, USED[:40])
    assert await read_text(it) == "Hello"


async def test_a_stream_that_ends_inside_an_event_was_cut() -> None:
    it = open_stream(*HELLO, text("!")[:40])
    with pytest.raises(StreamCut):
        await read_text(it)
    assert it.answer.text == "Hello"


async def test_events_without_data_are_passed_over() -> None:
    assert await read_text(open_stream(b"data:\n\n", *HELLO, b"data:  \n\n", STOP, DONE)) == "Hello"


# -- finish reasons --------------------------------------------------------------------------------


@pytest.mark.parametrize("blank", ["", " ", "null", None])
async def test_a_blank_finish_reason_is_none(blank: str | None) -> None:
    it = open_stream(chunk({"content": "Hel"}, blank), chunk({"content": "lo"}, blank))
    with pytest.raises(StreamCut):
        await read_text(it)
    assert it.answer.text == "Hello"


async def test_a_call_goes_on_until_the_end_whatever_the_chunks_say() -> None:
    def piece(arguments: str, **first: Any) -> dict[str, Any]:
        call = {
            "index": 0,
            **first,
            "function": {"name": first.get("name"), "arguments": arguments},
        }
        return {"tool_calls": [call]}

    for early, late in (("", "tool_calls"), ("tool_calls", "tool_calls"), ("stop", None)):
        it = open_stream(
            chunk(piece('{"ci', id="a", name="f"), early), chunk(piece('ty": 1}'), late), DONE
        )
        await read_text(it)
        assert it.answer.finish_reason == "tool_calls"
        assert it.answer.tool_calls == [{"id": "a", "name": "f", "arguments": '{"city": 1}'}]


@pytest.mark.parametrize(
    ("reason", "failure"),
    [("error", UpstreamBusy), ("network_error", StreamCut), ("brand_new", StreamCut)],
)
async def test_a_reason_that_is_no_end_fails_once_the_usage_is_read(
    reason: str, failure: type[UpstreamError]
) -> None:
    it = open_stream(*HELLO, chunk({"content": ""}, reason), USED, DONE)
    with pytest.raises(failure):
        await read_text(it)
    assert (it.answer.text, it.answer.usage, it.answer.finish_reason) == ("Hello", COUNTED, None)


async def test_a_repeated_finish_reason_does_not_make_an_answer_whole() -> None:
    it = open_stream(*HELLO, chunk(finish="length"), chunk({"content": ""}, "stop", usage=USAGE))
    await read_text(it)
    assert it.answer.finish_reason == "length"


# -- how the network cuts it -----------------------------------------------------------------------


class Read(NamedTuple):
    """What came of an answer."""

    deltas: list[tuple[str, str, str]]  # kind, text, value; a text that came in pieces is one
    failure: str | None
    usage: Usage | None
    finish_reason: str | None
    reasoning_details: str


async def read(pieces: Sequence[bytes]) -> Read:
    it = open_stream(*pieces, line_max_bytes=450)
    deltas: list[tuple[str, str, str]] = []
    failure = None
    try:
        await it.prime()
        async for some in it:
            for delta in some:
                if deltas and deltas[-1][0] == delta.kind and delta.text:
                    deltas[-1] = (delta.kind, deltas[-1][1] + delta.text, "{}")
                else:
                    deltas.append((delta.kind, delta.text, json.dumps(delta.value)))
    except UpstreamError as error:
        failure = error.reason
    said = "".join(text for kind, text, _ in deltas if kind == "text")
    assert said == it.answer.text  # nothing that was read is held back
    details = json.dumps(it.answer.reasoning_details)
    return Read(deltas, failure, it.answer.usage, it.answer.finish_reason, details)


def joined(pieces: Sequence[bytes], cuts: Sequence[int]) -> list[bytes]:
    stream = b"".join(pieces)
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[a:b] for a, b in pairwise(places)]


ERROR = {"code": 502, "message": "x", "metadata": {"error_type": "provider_unavailable"}}
CITED = {"type": "url_citation", "url_citation": {"url": "https://a.test", "title": "A"}}
CALLS = [
    {"index": 0, "id": "a1", "function": {"name": "f", "arguments": '{"x":'}},
    {"index": 0, "id": "a2", "function": {"name": "g", "arguments": "{}"}},
    {"index": 0, "id": "a1", "function": {"arguments": " 1}"}},
]
EVENTS = {
    "a comment": b": OPENROUTER PROCESSING\n\n",
    "CRLF": text("crlf").replace(b"\n", b"\r\n"),
    "CR": text("cr").replace(b"\n", b"\r"),
    "text": text('hard \u2028 "🙂" 汉字'),
    "raw text": b'data: {"choices": [{"delta": {"content": "\xf0\x9f\x99\x82"}}]}\n\n',
    "half a character": chunk({"content": "a\ud83d"}),
    "the other half": chunk({"content": "\ude42b"}),
    "reasoning": chunk({"reasoning": "Hm. ", "content": ""}),
    "details": chunk({"reasoning_details": [{"type": "reasoning.text", "text": "So. "}]}),
    "a call": chunk({"tool_calls": CALLS[:1]}),
    "two calls": chunk({"tool_calls": CALLS[1:]}),
    "a citation": chunk({"content": "cited", "annotations": [CITED]}),
    "a refusal": chunk({"content": None, "refusal": "No."}),
    "blank": b"data:\n\n",
    "two lines": b'data: {"choices":\ndata: []}\n\n',
    "another choice": sse({"choices": [{"index": 1, "delta": {"content": "?"}}]}),
    "usage": USED,
    "stop": STOP,
    "length": chunk(finish="length"),
    "network_error": chunk(finish="network_error"),
    "an error": chunk({"content": "last"}, "error", error=ERROR, usage=USAGE),
    "an error inside": chunk(choices=[{"delta": {"content": "!"}, "error": ERROR}]),
    "no JSON": b"data: {broken\n\n",
    "no chunk": b"data: 7\n\n",
    "too long": b": " + b"x" * 500 + b"\n\n",
    "done": DONE,
    "done with spaces": b"data: [DONE] \n\n",
}


@given(
    names=st.lists(st.sampled_from([*EVENTS]), max_size=12),
    unfinished=st.integers(0, 200),
    cuts=st.lists(st.integers(0, 10_000), max_size=30),
)
@settings(max_examples=200, deadline=None)
def test_any_split_of_the_same_bytes_is_the_same_answer(
    names: list[str], unfinished: int, cuts: list[int]
) -> None:
    """In one packet, event by event, or cut anywhere: text, failure, usage, all of it."""
    pieces = [EVENTS[name] for name in names]
    pieces.append(text("cut off")[:unfinished])

    async def go() -> None:
        whole = await read([b"".join(pieces)])
        assert await read(pieces) == whole
        assert await read(joined(pieces, cuts)) == whole

    loop = asyncio.new_event_loop()  # asyncio.run would end pytest's own
    try:
        loop.run_until_complete(go())
    finally:
        loop.close()


@pytest.mark.parametrize(
    ("end", "failure"),
    [
        (EVENTS["an error inside"], UpstreamBusy),
        (EVENTS["no JSON"], UpstreamMalformed),
        (b"data: " + b"x" * 500, UpstreamError),
    ],
)
async def test_what_shares_a_packet_with_a_failure_comes_before_it(
    end: bytes, failure: type[UpstreamError]
) -> None:
    it = open_stream(b"".join([USED, *HELLO, end]), line_max_bytes=450)
    await it.prime()  # it has its first token: nobody is asked again
    told = aiter(it)
    assert "".join(delta.text for delta in await anext(told)).startswith("Hello")
    with pytest.raises(failure):
        await anext(told)
    assert it.answer.text.startswith("Hello")
    assert it.answer.usage == COUNTED


async def test_a_whole_completion_that_failed_inside_has_its_text() -> None:
    choice = {"message": {"content": "Hel"}, "finish_reason": "error", "error": ERROR}
    raw = json.dumps({"id": "gen-1", "choices": [choice], "usage": USAGE}).encode()
    it = open_stream(raw, headers={"content-type": "application/json"})
    await it.prime()
    with pytest.raises(UpstreamBusy):
        assert [delta.text async for deltas in it for delta in deltas]
    assert (it.answer.text, it.answer.usage) == ("Hel", COUNTED)
