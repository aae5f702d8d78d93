"""The pure parts of the callable wire: what is read, what is written, and who waits for whom.

Inputs that nobody thought of are Hypothesis's: whatever bytes come, the envelope parses or is
refused; whatever JSON goes out, it is one line of ASCII.
"""

import asyncio
import contextlib
import json
import re
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from firerouter.callable import (
    HTTP_STATUS,
    BodyLimits,
    BodyTooLarge,
    Call,
    CallableError,
    CallableResponse,
    Handler,
    Headers,
    MalformedRequest,
    Overloaded,
    Wire,
    WireLimits,
    encode,
    encode_frame,
)
from firerouter.callable.call import Beats, pack
from firerouter.callable.envelope import (
    DECODED_AT_ONCE_BYTES,
    DEPTH_MAX,
    parse_envelope,
    trace_id_of,
)

JSON = "application/json"
BACKLOG_MAX_BYTES = WireLimits().backlog_max_bytes
INT64 = "type.googleapis.com/google.protobuf.Int64Value"
TRACE = "0123456789abcdef0123456789abcdef"

whole = st.integers(-(2**63), 2**64 - 1)
numbers = whole | st.floats(allow_nan=False, allow_infinity=False)


def json_values(text: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.recursive(
        st.none() | st.booleans() | numbers | text,
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(text, inner, max_size=5),
        max_leaves=20,
    )


# a busy machine is no failure
anyhow = settings(suppress_health_check=[HealthCheck.too_slow])
any_json = json_values(st.text(st.characters()))  # with the lone surrogates that Python allows
sendable_json = json_values(st.text(st.characters(codec="utf-8")))
wrapped = st.builds(lambda value: {"@type": INT64, "value": value}, st.text() | whole | st.none())
nearly_json = (
    st.builds(json.dumps, json_values(st.text()) | wrapped | st.lists(wrapped))
    | st.integers(0, 3_000).map(lambda levels: "[" * levels + "]" * levels)
    | st.sampled_from(['{"data":', "{}", "NaN", '"\\ud800"', '{"data":1e999}', '{"data":[]}'])
)
bodies = st.binary() | st.sampled_from(["%s", '{"data":%s}']).flatmap(
    lambda envelope: nearly_json.map(lambda text: (envelope % text).encode())
)
content_types = st.text() | st.sampled_from(
    [JSON, f"{JSON}; charset=utf-16", f"{JSON};charset=utf-16be", f"{JSON}; charset=latin1"]
)
frames = st.lists(st.none() | any_json.map(encode), max_size=10)


# The envelope


@anyhow
@given(any_json)
@example("\u2028\u2029\u0085\n\x00\ud800\U0001f600")
def test_whatever_json_goes_out_is_one_line_of_ascii(value: Any) -> None:
    line = encode(value)
    assert line.isascii()
    assert len(line.decode().splitlines()) == 1
    assert json.loads(line) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [-float("inf")], {1}, b"x", object])
def test_what_json_does_not_have_does_not_go_out(value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        encode({"result": value})


@anyhow
@given(st.sampled_from(["POST", "GET"]), content_types, bodies)
@example("POST", JSON, b"[" * 100_000)
@example("POST", JSON, b'{"data":{"@type":"%b","value":%b}}' % (INT64.encode(), b"9" * 10_000))
def test_whatever_comes_in_parses_or_is_refused(
    method: str, content_type: str, body: bytes
) -> None:
    with contextlib.suppress(MalformedRequest):
        encode(parse_envelope(method, content_type, body))


@anyhow
@given(sendable_json)
def test_data_comes_in_as_it_was_sent(data: Any) -> None:
    body = json.dumps({"data": data}).encode()
    assert parse_envelope("POST", JSON, body) == data
    assert parse_envelope("POST", JSON, bytearray(body)) == data


@anyhow
@given(st.text(st.characters()))
@example("\ud83d")
@example("\\\ud83d\\\ude00 \\ud83d\ude00")
def test_half_a_character_comes_in_as_the_sign_for_none(text: str) -> None:
    """So does one that follows a backslash, or what only looks like its other half."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert parse_envelope("POST", JSON, json.dumps({"data": text}).encode()) == whole
    assert parse_envelope("POST", JSON, json.dumps({"data": [{text: 1}]}).encode()) == [{whole: 1}]


@anyhow
@given(sendable_json)
def test_data_comes_in_as_it_was_sent_in_utf_16(data: Any) -> None:
    body = json.dumps({"data": data}, ensure_ascii=False).encode("utf-16")
    assert parse_envelope("POST", f"{JSON}; charset=utf-16", body) == data


@anyhow
@given(json_values(st.text()), whole)
def test_a_wrapped_integer_is_unwrapped_wherever_it_is(data: Any, number: int) -> None:
    kind = INT64 if number < 2**63 else INT64.replace("Int64", "UInt64")
    long = {"@type": kind, "value": str(number)}
    sent = {"data": {"list": [data, long], "object": {"long": long}}}
    parsed = parse_envelope("POST", JSON, json.dumps(sent).encode())
    assert parsed == {"list": [data, number], "object": {"long": number}}


@pytest.mark.parametrize("marker", ["", '{"@type":"x"}'], ids=["plain", "with @type"])
@pytest.mark.parametrize(("open_", "close"), [("[", "]"), ('{"a":', "}")], ids=["lists", "objects"])
def test_nests_as_deep_as_allowed_and_no_deeper(open_: str, close: str, marker: str) -> None:
    inner = marker or "1"
    room = DEPTH_MAX - bool(marker)

    def parse(levels: int) -> Any:
        text = '{"data":%s}' % (open_ * levels + inner + close * levels)
        return parse_envelope("POST", JSON, text.encode())

    assert encode(parse(room)).decode() == open_ * room + inner + close * room
    with pytest.raises(MalformedRequest, match="nested deeper than 100 levels"):
        parse(room + 1)


SMALL = BodyLimits(1_000, files_max_bytes=20_000, values_max=50)


def exploding(values: int) -> bytes:
    return b'{"data":{"zzz":[%b]}}' % b",".join([b"{}"] * values)


@pytest.mark.parametrize(
    "body",
    [
        exploding(60),
        b'{"data":[%b]}' % b",".join([b"1"] * 60),
        b'{"data":[%b]}' % b",".join([b'"a,b"'] * 60),
        b'{"data":[%b]}' % b",".join([b'"\\"["'] * 60),
        b'{"data":{%b}}' % b",".join([b'"k%d":0' % n for n in range(60)]),
        b'"" ' * 200 + b"," * 60,  # no JSON, and not worth looking at longer
    ],
    ids=["objects", "numbers", "texts", "quotes", "fields", "strings"],
)
def test_what_has_too_many_values_is_refused_before_it_is_parsed(
    body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firerouter.callable.envelope.orjson", None)
    limits = replace(SMALL, text_max_bytes=100_000)
    with pytest.raises(BodyTooLarge, match="more than 50 values") as refused:
        parse_envelope("POST", JSON, body, limits)
    assert refused.value.details == {"limitValues": 50}


@pytest.mark.parametrize(
    "text", ["[{,}]" * 100, '","' * 100, '\\"{[,' * 60, "\\" * 99, "{é,\u2028" * 50]
)
def test_marks_within_a_text_are_no_values(text: str) -> None:
    body = json.dumps({"data": {"prompt": text}}).encode()
    assert parse_envelope("POST", JSON, body, SMALL) == {"prompt": text}


@anyhow
@given(sendable_json)
def test_no_value_of_an_allowed_request_is_counted_twice(data: Any) -> None:
    body = json.dumps({"data": data}).encode()
    assert parse_envelope("POST", JSON, body, BodyLimits(len(body), values_max=len(body))) == data


def c_calls(work: Callable[[], object]) -> Counter[str]:
    """Count the functions in C that are called: no other thread has its turn within one."""
    found: Counter[str] = Counter()

    def note(_: object, event: str, called: Any) -> None:
        if event == "c_call":
            found[called.__name__] += 1

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return found


def test_half_characters_in_utf_16_are_decoded_a_piece_at_a_time() -> None:
    body = b"\xff\xfe" + '{"data":"'.encode("utf-16le") + b"\x00\xd8" * 200_000 + b'"\0}\0'
    parsed: list[Any] = []
    kind = f"{JSON}; charset=utf-16"
    found = c_calls(lambda: parsed.append(parse_envelope("POST", kind, body)))
    assert parsed == ["\ufffd" * 200_000]
    assert sum(count for name, count in found.items() if name.startswith("utf_16")) >= (
        len(body) // DECODED_AT_ONCE_BYTES
    )


def test_a_character_on_the_edge_of_two_pieces_is_whole() -> None:
    for shift in range(4):
        text = " " * (DECODED_AT_ONCE_BYTES // 2 - 12 + shift) + "\U0001f600"
        body = json.dumps({"data": text}, ensure_ascii=False).encode("utf-16le")
        assert parse_envelope("POST", f"{JSON}; charset=utf-16le", body) == text
        assert parse_envelope("POST", f"{JSON}; charset=utf-16", body) == text  # without its mark


def test_half_characters_are_replaced_one_by_one() -> None:
    body = b'{"data":"%b"}' % (b"\\ud800" * 1_000)
    parsed: list[Any] = []
    found = c_calls(lambda: parsed.append(parse_envelope("POST", JSON, body)))
    assert parsed == ["\ufffd" * 1_000]
    assert found["start"] >= 1_000  # of a match
    assert not found["sub"]


@pytest.mark.parametrize("unit", ["\\ud800", "\\u0041", "\\\\", "\\\\/"])
def test_what_has_other_escapes_than_base64_is_no_file(unit: str) -> None:
    body = f'{{"data":"{unit * 2_000}"}}'.encode()
    with pytest.raises(BodyTooLarge, match=r"larger than 0\.001 MB beside its files"):
        parse_envelope("POST", JSON, body, SMALL)
    file = f'{{"data":"{"AB/" * 2_000}"}}'.replace("/", "\\/").encode()
    assert parse_envelope("POST", JSON, file, SMALL) == "AB/" * 2_000


@pytest.mark.parametrize("body", [b'"' + b'\\"' * 500_000, b'{"data":"' + b"\\" * 999_999])
def test_a_text_without_an_end_is_looked_at_once(body: bytes) -> None:
    marked = body + b"," * 30_000
    with pytest.raises(MalformedRequest):
        parse_envelope("POST", JSON, marked, BodyLimits(len(marked)))


@pytest.mark.parametrize("slash", ["/", "\\/"], ids=["plain", "escaped"])
def test_files_may_be_larger_than_what_is_said_about_them(slash: str) -> None:
    file = f"AAA{slash}" * 2_000 + "=="

    def parse(text: str, files: int = 1) -> Any:
        attachments = ",".join(f'{{"data":"{file}"}}' for _ in range(files))
        body = f'{{"data":{{"prompt":"{text}","attachments":[{attachments}]}}}}'
        return parse_envelope("POST", JSON, body.encode(), SMALL)

    assert parse("x y " * 200)["attachments"] == [{"data": file.replace("\\", "")}]
    for text, files in (("x y " * 300, 1), ("x", 3)):
        with pytest.raises(
            BodyTooLarge, match=r"larger than 0\.001 MB beside its files"
        ) as refused:
            parse(text, files)
        assert refused.value.details == {"limitBytes": 1_000}


def test_many_values_beside_each_other_are_not_deep() -> None:
    data: list[Any] = [[{}] for _ in range(1_000)]
    assert parse_envelope("POST", JSON, json.dumps({"data": data}).encode()) == data


@pytest.mark.parametrize(
    ("headers", "trace"),
    [
        ({"x-cloud-trace-context": f"{TRACE}/123;o=1"}, TRACE),
        ({"x-cloud-trace-context": TRACE}, TRACE),
        ({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}, TRACE),
        ({"x-cloud-trace-context": f"{TRACE}/1", "traceparent": f"00-{'f' * 32}-1-01"}, TRACE),
        ({"x-cloud-trace-context": "?", "traceparent": f"00-{TRACE}-1-01"}, TRACE),
        ({"x-cloud-trace-context": f"{TRACE}0/1"}, None),
        ({"x-cloud-trace-context": TRACE[1:]}, None),
        ({"x-cloud-trace-context": f"{TRACE}\nforged"}, None),
        ({"x-cloud-trace-context": TRACE.upper()}, None),
        ({}, None),
    ],
)
def test_takes_the_trace_id_it_is_given_or_makes_one(
    headers: dict[str, str], trace: str | None
) -> None:
    found = trace_id_of(headers)
    assert re.fullmatch("[0-9a-f]{32}", found)
    assert (found == trace) == (trace is not None)
    assert (found == trace_id_of(headers)) == (trace is not None)


# Errors


class NoMore(CallableError):
    status = "RESOURCE_EXHAUSTED"
    reason = "no_more"
    sentence = "There is no more."
    retryable = True


def test_an_error_says_its_sentence_unless_told_another() -> None:
    assert NoMore().to_wire(TRACE) == {
        "status": "RESOURCE_EXHAUSTED",
        "message": "There is no more.",
        "reason": "no_more",
        "details": {
            "reason": "no_more",
            "message": "There is no more.",
            "retryable": True,
            "traceId": TRACE,
        },
    }
    assert NoMore("Not today.").to_wire(TRACE)["message"] == "Not today."
    assert str(NoMore("Not today.")) == "Not today."


def test_details_add_to_what_every_error_carries_and_replace_none_of_it() -> None:
    details = NoMore(retry_after_seconds=0, limit="perDay", reason="mine", traceId="mine")
    assert details.to_wire(TRACE)["details"] == {
        "limit": "perDay",
        "reason": "no_more",
        "message": "There is no more.",
        "retryable": True,
        "traceId": TRACE,
        "retryAfterSeconds": 0,
    }


@pytest.mark.parametrize("leaf", [CallableError, MalformedRequest, BodyTooLarge, Overloaded])
def test_every_error_of_the_wire_has_a_status_of_the_protocol(leaf: type[CallableError]) -> None:
    assert leaf.status in HTTP_STATUS
    assert leaf.sentence.endswith(".")


# Frames


@pytest.mark.parametrize(
    ("padded", "given_", "now_padded", "packed"),
    [
        (False, [], False, b""),
        (True, [], True, b""),
        (False, [b"1"], False, b"data: 1\n\n"),
        (False, [b"1", b"2"], False, b"data: 1\n\ndata: 2\n\n"),
        (False, [None], True, b"data: "),
        (True, [None], True, b" "),
        (False, [None, None, None], True, b"data:   "),
        (True, [b"1"], False, b"1\n\n"),
        (True, [None, b"1", b"2", None], True, b" 1\n\ndata: 2\n\ndata: "),
        (False, [b"1", None, None, b"2"], False, b"data: 1\n\ndata:  2\n\n"),
    ],
)
def test_a_beat_opens_the_next_frame_and_pads_it(
    padded: bool, given_: list[bytes | None], now_padded: bool, packed: bytes
) -> None:
    assert pack(given_, padded) == (now_padded, packed)


@anyhow
@given(frames, st.integers(0, 10))
def test_frames_read_the_same_however_they_are_packed(frames: list[bytes | None], cut: int) -> None:
    padded, first = pack(frames[:cut], False)
    padded, second = pack(frames[cut:], padded)
    assert (padded, first + second) == pack(frames, False)
    whole, _, open_frame = (first + second).rpartition(b"\n\n")
    read = [frame.removeprefix(b"data: ").lstrip(b" ") for frame in whole.split(b"\n\n") if frame]
    assert read == [frame for frame in frames if frame is not None]
    assert open_frame.strip() == (b"data:" if padded else b"")


# One call


async def within_bounds(work: Awaitable[Any]) -> None:
    """A test that would wait for ever fails."""
    await asyncio.wait_for(work, timeout=5)


def streamed() -> Call[None]:
    return Call({}, {}, None, streaming=True, trace_id=TRACE)


async def test_send_waits_for_a_reader_that_is_behind() -> None:
    call = streamed()
    large = {"text": "x" * BACKLOG_MAX_BYTES}
    sending = asyncio.create_task(call.send(large))
    await asyncio.sleep(0)
    assert not sending.done()
    assert call.take() == [encode({"message": large})]
    await within_bounds(sending)


async def test_send_waits_for_nobody_while_the_reader_keeps_up() -> None:
    call = streamed()
    for _ in range(100):
        await within_bounds(call.send({"text": "x" * (BACKLOG_MAX_BYTES - 100)}))
        call.take()


async def test_put_never_waits() -> None:
    call = streamed()
    for _ in range(3):
        call.put({"text": "x" * BACKLOG_MAX_BYTES})
    assert len(call.take()) == 3
    assert call.take() == []


async def test_a_client_that_leaves_frees_a_send_that_waits_for_it() -> None:
    call = streamed()
    sending = asyncio.create_task(call.send({"text": "x" * BACKLOG_MAX_BYTES}))
    await asyncio.sleep(0)
    call.leave()
    await within_bounds(sending)
    call.take()
    await within_bounds(call.send({"text": "x" * BACKLOG_MAX_BYTES}))
    assert call.take() == []


async def test_a_unary_call_has_nowhere_to_send_to() -> None:
    call: Call[None] = Call({}, {}, None, streaming=False, trace_id=TRACE)
    await call.send({"text": "x" * BACKLOG_MAX_BYTES * 2})
    assert call.take() == []


async def test_on_leave_calls_back_once_and_at_once_where_the_client_has_left() -> None:
    call = streamed()
    told: list[str] = []
    call.on_leave(lambda: told.append("before"))
    call.leave()
    call.leave()
    call.on_leave(lambda: told.append("after"))
    assert told == ["before", "after"]
    assert call.left


async def test_beats_come_one_an_interval_even_where_nobody_reads() -> None:
    call, loop = streamed(), asyncio.get_running_loop()
    interval_s, began = 0.01, loop.time()
    beats = Beats(call, interval_s)
    await asyncio.sleep(10 * interval_s)
    beats.stop()
    frames = call.take()
    assert set(frames) == {None}
    assert len(frames) <= (loop.time() - began) / interval_s


# Frames that are encoded once


async def test_a_frame_is_encoded_once_for_all_who_listen() -> None:
    message = {"type": "text", "delta": "\u2028"}
    frame = encode_frame(message)
    calls = [streamed_call() for _ in range(2)]
    for call in calls:
        call.put_frame(frame)
    await calls[0].send_frame(frame)
    told = streamed_call()
    told.put(message)
    assert [call.take() for call in calls] == [[frame, frame], [frame]]
    assert told.take() == [frame]


async def test_nobody_is_sent_a_frame_who_does_not_listen() -> None:
    unary: Call[str] = Call(None, {}, "ann", streaming=False, trace_id=TRACE)
    left = streamed_call()
    left.leave()
    for call in (unary, left):
        call.put_frame(b"{}")
        await call.send_frame(b"{}")
        assert call.take() == []


def streamed_call() -> Call[str]:
    return Call(None, {}, "ann", streaming=True, trace_id=TRACE)


# A response whose server fails it


def wire(handler_errors: list[BaseException]) -> Wire[str]:
    async def authenticate(headers: Any) -> str:
        return "anybody"

    return Wire(
        authenticate=authenticate,
        report=lambda error, trace_id: handler_errors.append(error),
        limits=WireLimits(body_max_bytes=1_000, bodies_max_bytes=1_000),
    )


SCOPE: MutableMapping[str, Any] = {
    "type": "http",
    "method": "POST",
    "path": "/",
    "headers": [(b"content-type", b"application/json"), (b"accept", b"text/event-stream")],
}


async def respond(wire: Wire[str], handler: Handler[str], *, fails_at: bytes) -> None:
    """One call whose connection fails when that goes out, and of whose end nothing is heard."""
    body = [{"type": "http.request", "body": b'{"data":1}', "more_body": False}]

    async def receive() -> MutableMapping[str, Any]:
        if not body:
            await asyncio.Event().wait()
        return body.pop()

    async def send(event: MutableMapping[str, Any]) -> None:
        if fails_at in event.get("body", b""):
            raise BrokenPipeError

    await wire.answer(handler)(SCOPE, receive, send)


async def test_where_sending_fails_the_handler_is_told_and_cleans_up() -> None:
    told: list[str] = []

    async def handler(call: Call[str]) -> None:
        left = asyncio.Event()
        call.on_leave(left.set)
        await call.send({"n": 1})
        await left.wait()
        await asyncio.sleep(0)
        told.append("cleaned up")

    reported: list[BaseException] = []
    served = wire(reported)
    with pytest.raises(BrokenPipeError):
        await within_bounds(respond(served, handler, fails_at=b"data: "))
    assert told == ["cleaned up"]
    assert (reported, served.bodies_bytes, served.tasks) == ([], 0, set())


async def test_a_response_that_is_cancelled_does_not_cancel_its_handler() -> None:
    began, told = asyncio.Event(), asyncio.Event()

    async def handler(call: Call[str]) -> None:
        call.on_leave(told.set)
        began.set()
        await told.wait()
        await asyncio.sleep(0)

    served = wire([])
    response = asyncio.create_task(respond(served, handler, fails_at=b"nothing"))
    await within_bounds(began.wait())
    (work,) = served.tasks  # what keeps it alive
    response.cancel()
    await within_bounds(work)
    with pytest.raises(asyncio.CancelledError):
        await within_bounds(response)
    assert served.bodies_bytes == 0


# Who may call, and bodies


async def answered(
    response: CallableResponse[str], receive: Callable[[], Awaitable[Any]]
) -> dict[str, Any]:
    """Return the JSON that a unary request is answered with."""
    sent: list[bytes] = []

    async def send(event: MutableMapping[str, Any]) -> None:
        sent.append(event.get("body", b""))

    unary = {**SCOPE, "headers": SCOPE["headers"][:1]}
    await response(unary, receive, send)
    answer: dict[str, Any] = json.loads(b"".join(sent))
    return answer


def sends(*chunks: bytes, pause_s: float = 0.0) -> Callable[[], Awaitable[Any]]:
    """Return what receives these chunks of a body."""
    ahead = [*chunks]

    async def receive() -> Any:
        await asyncio.sleep(pause_s)
        if not ahead:
            await asyncio.Event().wait()
        chunk = ahead.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(ahead)}

    return receive


async def null(call: Call[str]) -> None:
    return None


async def test_who_may_not_call_is_refused_before_the_body_is_read() -> None:
    asked: list[tuple[str, str]] = []

    async def admit(caller: str, headers: Headers) -> None:
        asked.append((caller, headers["content-type"]))
        raise Overloaded

    async def receive() -> Any:
        raise AssertionError("the body was read")

    errors: list[BaseException] = []
    answer = await answered(wire(errors).answer(null, admit=admit), receive)
    assert answer["error"]["details"]["reason"] == "overloaded"
    assert asked == [("anybody", JSON)]
    assert errors == []


async def test_what_fails_while_it_is_asked_is_reported() -> None:
    async def admit(caller: str, headers: Headers) -> None:
        raise RuntimeError("a canary")

    errors: list[BaseException] = []
    answer = await answered(wire(errors).answer(null, admit=admit), sends(b"{}"))
    assert answer["error"]["details"]["reason"] == "internal"
    assert [type(error) for error in errors] == [RuntimeError]


SLOW = WireLimits(body_grace_s=0.2, body_min_bytes_per_s=1_000)


@pytest.mark.parametrize("first", [b"", b"x" * 5_000], ids=["small", "refused for its size"])
async def test_a_body_that_comes_too_slowly_is_refused(first: bytes) -> None:
    slow = wire([])
    slow.limits = replace(SLOW, body_max_bytes=1_000)
    chunks = [first[:1], *(b" " for _ in range(5_000))]
    answer = await answered(slow.answer(null), sends(*chunks, pause_s=0.01))
    assert answer["error"]["status"] == "DEADLINE_EXCEEDED"
    assert answer["error"]["details"]["reason"] == "body_too_slow"
    assert slow.bodies_bytes == 0


async def test_a_body_that_keeps_coming_has_all_the_time_that_it_takes() -> None:
    slow = wire([])
    slow.limits = SLOW
    chunks = [b'{"data":"', *(b"x" * 50 for _ in range(20)), b'"}']
    answer = await answered(slow.answer(null), sends(*chunks, pause_s=0.02))
    assert answer == {"result": None}


async def test_a_large_body_is_parsed_off_the_loop_and_a_small_one_at_once() -> None:
    computed: list[str] = []

    async def compute(function: Callable[..., Any], *arguments: Any) -> Any:
        computed.append(function.__name__)
        return function(*arguments)

    large = wire([])
    large.limits, large.compute = replace(WireLimits(), parsed_at_once_bytes=50), compute
    for size in (10, 100):
        answer = await answered(large.answer(null), sends(b'{"data":"%b"}' % (b"x" * size)))
        assert answer == {"result": None}
    assert computed == ["parse_envelope"]


async def test_a_body_counts_until_its_data_are_let_go_of() -> None:
    held: list[int] = []
    one = wire([])

    async def handle(call: Call[str]) -> object:
        held.append(one.bodies_bytes)
        data = call.data
        call.release_data()
        held.append(one.bodies_bytes)
        return [data, call.data]

    body = b'{"data":"some"}'
    assert await answered(one.answer(handle), sends(body)) == {"result": ["some", None]}
    assert held == [len(body), 0]
    assert one.bodies_bytes == 0


async def test_a_callable_has_its_own_limit_of_text() -> None:
    body = b'{"data":"%b"}' % (b"x y" * 100)
    small = wire([]).answer(null, body=BodyLimits(200))
    answer = await answered(small, sends(body))
    assert answer["error"]["details"]["limitBytes"] == 200


def test_a_call_counts_as_one_and_as_one_more_for_each_hundred_documents_or_100_kb() -> None:
    call = Call(None, {}, caller=None, streaming=False, trace_id="0" * 32)
    assert call.units == 1
    call.weigh(documents=99, size_bytes=99_999)
    assert call.units == 1
    call.weigh(documents=1, size_bytes=1)
    assert call.units == 3
