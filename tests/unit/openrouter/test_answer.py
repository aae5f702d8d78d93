"""One streamed answer, read from whatever OpenRouter may send."""

import asyncio
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firerouter.errors import (
    AnswerTooLong,
    EmptyAnswer,
    KeyInvalid,
    ModelNotFound,
    RateLimited,
    StreamCut,
    UpstreamBusy,
    UpstreamError,
    UpstreamMalformed,
)
from firerouter.openrouter import AnswerStream, Delta, Usage
from tests.support.openrouter_stream import DONE, SSE, STOP, USAGE, chunk, sse, text
from tests.support.openrouter_stream import open_stream as answer
from tests.support.openrouter_stream import read_text as read
from tests.support.recordings import OUR_STREAMS, either

COUNTED = Usage(prompt_tokens=3, completion_tokens=2, cost_nano_usd=1_000_000)


HELLO = (text("Hel"), text("lo"))


async def test_an_answer_is_its_text_and_what_it_is_made_of() -> None:
    it = answer(*HELLO, STOP, chunk(usage=USAGE), DONE)
    assert await read(it) == "Hello"
    assert (it.answer.text, it.answer.reasoning) == ("Hello", "")
    assert (it.answer.model, it.answer.provider, it.answer.upstream_id) == (
        "answered/by",
        "Test",
        "gen-1",
    )
    assert it.answer.finish_reason == "stop"
    assert it.answer.usage == COUNTED


async def test_reasoning_and_text_are_told_apart() -> None:
    thought = chunk({"reasoning": "Hm. ", "content": ""})
    it = answer(thought, thought, *HELLO, STOP, DONE)
    await it.prime()
    kinds = [delta.kind async for deltas in it for delta in deltas]
    assert kinds == ["reasoning", "reasoning", "text", "text"]
    assert (it.answer.text, it.answer.reasoning) == ("Hello", "Hm. Hm. ")


async def test_deltas_come_as_the_network_brings_them() -> None:
    it = answer(HELLO[0] + HELLO[1], b": comment\n\n", text("!"), STOP)
    await it.prime()
    assert [[delta.text for delta in deltas] async for deltas in it] == [["Hel", "lo"], ["!"]]


async def test_the_id_in_the_headers_is_known_before_any_body() -> None:
    it = answer(*HELLO, STOP, headers={**SSE, "X-Generation-Id": "gen-header"})
    assert it.answer.upstream_id == "gen-header"
    await read(it)
    assert it.answer.upstream_id == "gen-header"


# -- usage -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "last",
    [
        chunk(usage=USAGE),
        chunk({"content": ""}, "stop", usage=USAGE),
        chunk(usage=USAGE, choices=[]),
        chunk(usage=USAGE, choices=None),
    ],
    ids=["null finish", "finish again", "empty choices", "null choices"],
)
async def test_usage_comes_in_several_shapes(last: bytes) -> None:
    it = answer(*HELLO, STOP, last, DONE)
    assert await read(it) == "Hello"
    assert it.answer.usage == COUNTED
    assert it.answer.finish_reason == "stop"


async def test_usage_that_comes_twice_is_the_last() -> None:
    half = {**USAGE, "completion_tokens": 1, "cost": 0.0005}
    it = answer(*HELLO, STOP, chunk(usage=half), chunk(usage=USAGE, choices=[]), DONE)
    await read(it)
    assert it.answer.usage == COUNTED


async def test_usage_of_zeros_does_not_undo_the_one_before() -> None:
    zero = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "cost": 0}
    it = answer(*HELLO, STOP, chunk(usage=USAGE), chunk(usage=zero, choices=[]), DONE)
    await read(it)
    assert it.answer.usage == COUNTED


async def test_usage_may_never_come() -> None:
    it = answer(*HELLO, STOP, DONE)
    await read(it)
    assert it.answer.usage is None


@pytest.mark.parametrize("odd", [[], "many", 7, True, {"cost": "free"}])
async def test_odd_usage_does_not_spoil_an_answer(odd: Any) -> None:
    it = answer(*HELLO, STOP, chunk(usage=odd), DONE)
    assert await read(it) == "Hello"


# -- choices ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("choices", [[], None])
async def test_chunks_without_choices_are_passed_over(choices: Any) -> None:
    none = chunk(choices=choices)
    it = answer(none, HELLO[0], none, HELLO[1], none, STOP, DONE)
    assert await read(it) == "Hello"


@pytest.mark.parametrize("delta", [None, "x", [], {"content": None}, {"content": [{"text": "x"}]}])
async def test_odd_deltas_bring_nothing(delta: Any) -> None:
    odd = chunk(choices=[{"index": 0, "delta": delta, "finish_reason": None}])
    assert await read(answer(HELLO[0], odd, HELLO[1], STOP)) == "Hello"


@pytest.mark.parametrize(
    "value", [7, "text", None, [], {"choices": "text"}, {"choices": 3}, {"choices": {"a": 1}}]
)
async def test_chunks_that_are_none_are_malformed(value: Any) -> None:
    with pytest.raises(UpstreamMalformed):
        await read(answer(*HELLO, sse(value), STOP))


async def test_names_that_are_no_text_are_left_out() -> None:
    odd: dict[str, Any] = {"model": {"a": 1}, "provider": ["x"], "id": 7}
    it = answer(chunk({"content": "x"}, **odd), text("y"), STOP)
    assert await read(it) == "xy"
    assert (it.answer.model, it.answer.provider, it.answer.upstream_id) == (
        "answered/by",
        "Test",
        "gen-1",
    )


# -- errors ----------------------------------------------------------------------------------------

ERROR = {"code": 502, "message": "secret words", "metadata": {"error_type": "provider_unavailable"}}


async def test_an_error_may_be_the_first_and_only_event() -> None:
    with pytest.raises(UpstreamBusy):
        await read(answer(chunk({"content": ""}, "error", error={"code": 503, "message": "x"})))


@pytest.mark.parametrize("finish", ["error", None])
async def test_an_error_after_text_keeps_the_text_and_the_usage(finish: str | None) -> None:
    it = answer(*HELLO, chunk({"content": ""}, finish, error=ERROR, usage=USAGE), DONE)
    with pytest.raises(UpstreamBusy) as failed:
        await read(it)
    assert it.answer.text == "Hello"
    assert it.answer.usage == COUNTED
    assert it.answer.finish_reason is None
    assert "secret" not in json.dumps(failed.value.to_wire("0" * 32))


@pytest.mark.parametrize(
    ("code", "failure"),
    [("429", RateLimited), ("server_error", UpstreamBusy), (401, KeyInvalid), (404, ModelNotFound)],
)
async def test_the_code_of_an_error_is_a_number_or_text(
    code: Any, failure: type[UpstreamError]
) -> None:
    with pytest.raises(failure):
        await read(answer(*HELLO, chunk(error={"code": code, "message": "x"})))


@pytest.mark.parametrize("error", ["it broke", ["x"], True, {"code": {}}])
async def test_an_error_of_an_odd_shape_is_one_too(error: Any) -> None:
    with pytest.raises(UpstreamBusy):
        await read(answer(*HELLO, chunk(error=error), STOP, DONE))


async def test_a_choice_may_hold_the_error() -> None:
    choice = {"index": 0, "delta": {"content": "!"}, "finish_reason": "error", "error": ERROR}
    it = answer(*HELLO, chunk(choices=[choice]))
    with pytest.raises(UpstreamBusy):
        await read(it)
    assert it.answer.text == "Hello!"


async def test_the_finish_reason_error_is_an_error() -> None:
    with pytest.raises(UpstreamBusy):
        await read(answer(*HELLO, chunk(finish="error"), DONE))


# -- ends ------------------------------------------------------------------------------------------


async def test_without_done_a_finish_reason_is_an_end() -> None:
    it = answer(*HELLO, STOP)
    assert await read(it) == "Hello"
    assert it.answer.finish_reason == "stop"


async def test_without_a_finish_reason_done_is_an_end() -> None:
    it = answer(*HELLO, DONE)
    assert await read(it) == "Hello"
    assert it.answer.finish_reason == "stop"


async def test_the_last_event_may_lack_its_blank_line() -> None:
    it = answer(*HELLO, STOP.rstrip(b"\n"))
    assert await read(it) == "Hello"
    assert it.answer.finish_reason == "stop"


async def test_with_neither_it_was_cut_however_cleanly_it_closed() -> None:
    it = answer(*HELLO)
    with pytest.raises(StreamCut):
        await read(it)
    assert it.answer.text == "Hello"


@pytest.mark.parametrize(
    "broken",
    [httpx2.ReadError("x"), httpx2.RemoteProtocolError("x"), ConnectionResetError(), OSError()],
)
async def test_a_connection_that_breaks_is_a_cut(broken: Exception) -> None:
    it = answer(*HELLO, breaks=broken)
    with pytest.raises(StreamCut):
        await read(it)
    assert it.answer.text == "Hello"


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "content_filter"])
async def test_the_finish_reason_is_passed_on(reason: str) -> None:
    it = answer(*HELLO, chunk(finish=reason), DONE)
    await read(it)
    assert it.answer.finish_reason == reason


@pytest.mark.parametrize("pieces", [(STOP, DONE), (DONE,), (text(""), STOP)])
async def test_no_text_and_a_stop_is_an_empty_answer(pieces: tuple[bytes, ...]) -> None:
    with pytest.raises(EmptyAnswer):
        await read(answer(*pieces))


async def test_nothing_at_all_is_a_cut() -> None:
    with pytest.raises(StreamCut):
        await read(answer())


@pytest.mark.parametrize("reason", ["length", "content_filter"])
async def test_no_text_for_another_reason_is_an_answer(reason: str) -> None:
    """Reasoning ate all of max_tokens, or a filter took it: asking again would not help."""
    it = answer(chunk(finish=reason), DONE)
    assert await read(it) == ""
    assert it.answer.finish_reason == reason


async def test_an_answer_without_end_is_ended() -> None:
    with pytest.raises(AnswerTooLong):
        await read(answer(*[text("abc")] * 5, STOP, chars_max=10))


async def test_a_line_without_end_is_too_long() -> None:
    with pytest.raises(AnswerTooLong):
        await read(answer(b"data: ", *[b"x" * 100] * 20, line_max_bytes=1000))


# -- bytes -----------------------------------------------------------------------------------------

HARD = 'a\u2028b\u2029c\u0085d\x00e "quoted" \\ \r\n\t 🙂 Ürün 汉字'


async def test_hard_characters_come_through_as_they_are() -> None:
    raw = json.dumps({"choices": [{"delta": {"content": HARD}}]}, ensure_ascii=False).encode()
    it = answer(b"data: " + raw + b"\n\n", text(HARD), STOP, DONE)
    assert await read(it) == HARD * 2


@given(cuts=st.lists(st.integers(0, 2000), max_size=20))
@settings(max_examples=30)
def test_how_the_network_cuts_it_makes_no_difference(cuts: list[int]) -> None:
    stream = b": hi\r\n\r\n" + text(HARD) + HELLO[0] + STOP + chunk(usage=USAGE, choices=[]) + DONE
    places = [0, *sorted(cut % len(stream) for cut in cuts), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(places)]

    async def go() -> tuple[str, Usage | None]:
        it = answer(*pieces)
        return await read(it), it.answer.usage

    loop = asyncio.new_event_loop()  # asyncio.run would end pytest's own
    try:
        assert loop.run_until_complete(go()) == (HARD + "Hel", COUNTED)
    finally:
        loop.close()


async def test_malformed_json_among_sound_events_is_said() -> None:
    it = answer(*HELLO, b"data: {broken\n\n", STOP, DONE)
    with pytest.raises(UpstreamMalformed):
        await read(it)
    assert it.answer.text == "Hello"


# -- no stream at all ------------------------------------------------------------------------------


def whole(value: Any, kind: str = "application/json", **limits: Any) -> AnswerStream:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return answer(raw[:7], raw[7:], headers={"content-type": kind}, breaks=None, **limits)


async def test_a_whole_completion_is_an_answer_too() -> None:
    message = {"role": "assistant", "content": "Hello", "reasoning": "Hm."}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    it = whole({"id": "gen-1", "model": "answered/by", "choices": choices, "usage": USAGE})
    await it.prime()
    deltas = [delta async for deltas in it for delta in deltas]
    assert deltas == [Delta("reasoning", "Hm."), Delta("text", "Hello")]
    assert (it.answer.finish_reason, it.answer.usage, it.answer.model) == (
        "stop",
        COUNTED,
        "answered/by",
    )


async def test_json_of_only_an_error_is_that_error() -> None:
    with pytest.raises(RateLimited):
        await read(whole({"id": "gen-1", "error": {"code": 429, "message": "x"}}))


async def test_a_whole_completion_may_break_off_inside() -> None:
    choice = {"message": {"content": "Hel"}, "finish_reason": "error", "error": ERROR}
    it = whole({"id": "gen-1", "choices": [choice], "usage": USAGE})
    with pytest.raises(UpstreamBusy):
        await read(it)
    assert it.answer.usage == COUNTED


@pytest.mark.parametrize("choices", [[], None])
async def test_a_whole_completion_without_choices_is_empty(choices: Any) -> None:
    with pytest.raises((EmptyAnswer, StreamCut)):
        await read(whole({"id": "gen-1", "choices": choices}))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html><body>Bad gateway</body></html>", "text/html"),
        (b'{"choices": [{"mess', "application/json"),
        (b"[1, 2]", "application/json"),
        (b'"text"', "application/json"),
        (b"", "application/json"),
        (b"\xff\xfe", "application/octet-stream"),
    ],
)
async def test_what_is_neither_stream_nor_json_is_malformed(body: bytes, kind: str) -> None:
    with pytest.raises(UpstreamMalformed):
        await read(whole(body, kind))


async def test_a_whole_body_without_end_is_too_long() -> None:
    with pytest.raises(AnswerTooLong):
        await read(whole(b'{"a": "' + b"x" * 5000, line_max_bytes=1000))


async def test_the_content_type_may_have_parameters_and_any_case() -> None:
    kind = {"content-type": "Text/Event-Stream; charset=utf-8"}
    assert await read(answer(*HELLO, STOP, headers=kind)) == "Hello"


# -- whole answers, of ours and recorded -----------------------------------------------------------


def replay(file: Path, piece: int) -> AnswerStream:
    raw = file.read_bytes()
    return answer(*(raw[at : at + piece] for at in range(0, len(raw), piece)))


@pytest.mark.parametrize("piece", [1, 100, 16_384])
@pytest.mark.parametrize(
    "file", either(OUR_STREAMS / "midstream-error.sse", "sse/midstream-error-2025-11.sse")
)
async def test_an_error_after_reasoning_is_one_with_its_usage(file: Path, piece: int) -> None:
    it = replay(file, piece)
    with pytest.raises(UpstreamError):
        await read(it)
    assert it.answer.reasoning
    assert it.answer.usage is not None


@pytest.mark.parametrize("piece", [1, 100, 16_384])
@pytest.mark.parametrize(
    ("file", "reasons"),
    [
        *either(OUR_STREAMS / "reasoning.sse", "sse/reasoning-2025-12.sse", True),
        *either(
            OUR_STREAMS / "usage-empty-choices.sse",
            "sse/usage-chunk-empty-choices-2026-03.sse",
            False,
        ),
    ],
)
async def test_a_stream_is_read_whole(file: Path, reasons: bool, piece: int) -> None:
    it = replay(file, piece)
    await read(it)
    assert it.answer.text
    assert bool(it.answer.reasoning) is reasons
    assert it.answer.finish_reason == "stop"
    assert it.answer.usage is not None
    assert it.answer.usage.completion_tokens > 0
    assert it.answer.usage.cost_nano_usd
    assert it.answer.upstream_id is not None
    assert it.answer.upstream_id.startswith("gen-")
    assert it.answer.provider


@pytest.mark.parametrize(
    ("file", "finish"),
    [
        *either(
            "responses/plain-with-usage.json", "responses/plain-with-usage-2026-03.json", "stop"
        ),
        *either("responses/reasoning.json", "responses/reasoning-2026-05.json", "stop"),
        *either("responses/tool-call.json", "responses/tool-call-2025-11.json", "tool_calls"),
    ],
)
async def test_an_answer_in_one_piece_is_read_too(file: Path, finish: str) -> None:
    it = whole(file.read_bytes())
    text_ = await read(it)
    assert it.answer.finish_reason == finish
    assert bool(text_) is (finish == "stop")
    assert it.answer.usage is not None


async def test_joins_a_character_that_was_cut_between_two_deltas() -> None:
    stream = answer(chunk({"content": "a\ud83d"}), chunk({"content": "\ude42b"}, "stop"), DONE)
    assert await read(stream) == "a\N{SLIGHTLY SMILING FACE}b" == stream.answer.text


async def test_half_a_character_alone_becomes_a_replacement_character() -> None:
    assert await read(answer(chunk({"content": "a\ude42b"}, "stop"), DONE)) == "a\ufffdb"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
async def test_what_is_no_number_is_null_and_costs_no_answer(number: str) -> None:
    for held in (f'"x": {number}', f'"x": "\\ud83d", "y": [{number}]'):
        usage = f'"usage": {{"prompt_tokens": 3, "completion_tokens": 2, "cost": {number}}}'
        event = f'data: {{{held}, "choices": [], {usage}}}\n\n'.encode()
        it = answer(*HELLO, STOP, event, DONE)
        assert await read(it) == "Hello"
        assert it.answer.usage is not None
        assert it.answer.usage.cost_nano_usd is None


# -- what was read of files ------------------------------------------------------------------------


def read_file(hash_: str, text: str = "Text.") -> dict[str, Any]:
    content = [{"type": "text", "text": text}]
    return {"type": "file", "file": {"hash": hash_, "name": "a.pdf", "content": content}}


async def test_what_was_read_of_files_is_kept_as_it_came_each_file_once() -> None:
    one, two = read_file("h1", "é\ud800"), read_file("h2")
    it = answer(chunk({"annotations": [one]}), *HELLO, chunk({"annotations": [one, two]}), STOP)
    assert await read(it) == "Hello"
    assert [json.loads(text) for text in it.answer.file_annotations.values()] == [one, two]
    assert it.answer.citations == []


@pytest.mark.parametrize(
    "odd",
    [
        None,
        "file",
        {"type": "file"},
        {"type": "file", "file": None},
        {"type": "file", "file": {"hash": 7, "content": []}},
        {"type": "file", "file": {"hash": "h1"}},
        {"type": "url_citation", "file": {"hash": "h1", "content": []}},
    ],
)
async def test_what_is_no_reading_is_passed_over(odd: Any) -> None:
    it = answer(chunk({"annotations": [odd, read_file("h2")]}), *HELLO, STOP)
    assert await read(it) == "Hello"
    assert list(it.answer.file_annotations) == ["h2"]


async def test_readings_that_are_too_long_are_not_kept_at_all() -> None:
    long = chunk({"annotations": [read_file("h1"), read_file("h2", "x" * 100)]})
    it = answer(long, *HELLO, STOP, file_annotations_max_bytes=200)
    assert await read(it) == "Hello"
    assert it.answer.file_annotations == {}
