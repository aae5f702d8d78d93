"""The callable wire, byte for byte, as functions-framework serves it.

Each record is a request and its exact answer, sent twice: for one JSON answer, and for a stream,
which is always 200 with exactly one result or error frame. Then what bytes alone do not say: who
learns that a client has left, what a slow reader costs, what is kept of a body that is refused.
"""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, cast

import flask
import pytest
from firebase_functions import https_fn

from firerouter.callable import HTTP_STATUS, WireLimits
from tests.support.callables import JSON, STREAM, TRACE, Server, request, serving
from tests.wire.functions.main import SECRET

JSON_HEADERS = {
    "content-type": "application/json; charset=utf-8",
    "cache-control": "no-store",
    "access-control-allow-origin": "*",
    "vary": "Origin",
}
STREAM_HEADERS = {
    "content-type": "text/event-stream",
    "cache-control": "no-store, no-transform",
    "x-accel-buffering": "no",
    "access-control-allow-origin": "*",
    "vary": "Origin",
    "transfer-encoding": "chunked",
}
INT64 = b"type.googleapis.com/google.protobuf.Int64Value"
UINT64 = b"type.googleapis.com/google.protobuf.UInt64Value"
DEEPEST = 100
NOT_JSON = "The request body is not valid JSON."
NO_DATA = 'The request body must be a JSON object with the key \\"data\\".'
OTHER_KEYS = 'The request body must have no key other than \\"data\\".'
NOT_JSON_TYPE = "A callable takes Content-Type: application/json."
NOT_UTF = "A callable takes JSON in UTF-8."
NO_INT = "A 64-bit integer in the request is malformed or out of range."
TOO_DEEP = "The request is nested deeper than 100 levels."
OURS = "Something went wrong on our side. Please try again."


def error(status: str, reason: str, message: str, *, retryable: bool = False) -> bytes:
    details = b'{"reason":"%b","message":"%b","retryable":%b,"traceId":"%b"}' % (
        reason.encode(),
        message.encode(),
        b"true" if retryable else b"false",
        TRACE.encode(),
    )
    return b'{"error":{"status":"%b","message":"%b","reason":"%b","details":%b}}' % (
        status.encode(),
        message.encode(),
        reason.encode(),
        details,
    )


def malformed(message: str) -> bytes:
    return error("INVALID_ARGUMENT", "malformed_request", message)


INTERNAL = error("INTERNAL", "internal", OURS)


@dataclass(frozen=True)
class Record:
    """A request, and what comes of it: HTTP status and body where it is not streamed."""

    id: str
    body: bytes
    answer: bytes
    status: int = 200
    path: str = "/plain/echo"
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)


def echoed(id_: str, data: bytes, result: bytes) -> Record:
    return Record(id_, b'{"data":%b}' % data, b'{"result":%b}' % result)


def refused(id_: str, body: bytes, message: str) -> Record:
    return Record(id_, body, malformed(message), 400)


def typed(id_: str, content_type: str, body: bytes, answer: bytes) -> Record:
    """Sent with that content type; "" sends none."""
    status = 200 if answer.startswith(b'{"result"') else 400
    return Record(id_, body, answer, status, headers={"Content-Type": content_type})


def handled(handler: str, answer: bytes, status: int = 200, data: bytes = b"null") -> Record:
    return Record(handler, b'{"data":%b}' % data, answer, status, path=f"/plain/{handler}")


def nested(levels: int, innermost: bytes = b"") -> bytes:
    return b"[" * levels + innermost + b"]" * levels


def wrapped(kind: bytes, value: bytes) -> bytes:
    return b'{"@type":"%b","value":%b}' % (kind, value)


ONE = b'{"data":1}'
UTF_16 = '{"data":"é"}'

RECORDS = [
    # The envelope
    Record("data", b'{"data":{"a":[1,"b",null,true]}}', b'{"result":{"a":[1,"b",null,true]}}'),
    Record("spaces", b' {\r\n\t"data" : 1 } \n', b'{"result":1}'),
    Record("null data", b'{"data":null}', b'{"result":null}'),
    Record("any path", ONE, b'{"result":"ran"}', path="/plain/any/path"),
    Record("duplicate data key, the last wins", b'{"data":1,"data":2}', b'{"result":2}'),
    refused("malformed JSON", b'{"data":', NOT_JSON),
    refused("more after the JSON", b'{"data":1}}', NOT_JSON),
    refused("empty body", b"", NOT_JSON),
    refused("null", b"null", NO_DATA),
    refused("string", b'"data"', NO_DATA),
    refused("number", b"7", NO_DATA),
    refused("list", b"[]", NO_DATA),
    refused('list that holds "data"', b'["data"]', NO_DATA),
    refused("no data", b"{}", NO_DATA),
    refused("another key alone", b'{"Data":1}', NO_DATA),
    refused("extra key", b'{"data":1,"token":"x"}', OTHER_KEYS),
    # Bytes and characters
    refused("UTF-8 cut off", b'{"data":"\xc3', NOT_JSON),
    refused("raw control character", b'{"data":"\n"}', NOT_JSON),
    refused("raw null character", b'{"data":"\0"}', NOT_JSON),
    refused("raw null character beside half an emoji", b'{"data":"\0\\ud83d"}', NOT_JSON),
    # Half characters, as `"\u{1F600}".slice(0, 1)` leaves them: U+FFFD in their place
    *(
        echoed(f"half characters, {id_}", b'"%b"' % sent, b'"%b"' % got)
        for id_, sent, got in (
            ("the first", rb"x\ud83d", rb"x\ufffd"),
            ("the second", rb"\uDE00x", rb"\ufffdx"),
            ("in the wrong order", rb"\ude00\ud83d", rb"\ufffd\ufffd"),
            ("before a whole one", rb"\ud83d\ud83d\ude00", rb"\ufffd\ud83d\ude00"),
            ("after a whole one", rb"\uD83D\uDE00\udE00", rb"\ud83d\ude00\ufffd"),
            ("after a backslash", rb"\\\ud83d", rb"\\\ufffd"),
            ("after what looks like one", rb"\\ud83d\ude00", rb"\\ud83d\ufffd"),
            ("beside what looks like one", rb"\ud83d\\ude00", rb"\ufffd\\ude00"),
            ("raw", b"\xed\xa0\xbdx", rb"\ufffd\ufffd\ufffdx"),
            ("of UTF-8", b"\xff", rb"\ufffd"),
        )
    ),
    echoed(
        "half a character in a name",
        rb'{"\ud83d":[{"a":"\ud83d"}]}',
        rb'{"\ufffd":[{"a":"\ufffd"}]}',
    ),
    echoed(
        "line separators, quotes, emoji",
        '"\u2028\u2029\u0085 \\u0000\\n \\"é\\\\ 😀"'.encode(),
        rb'"\u2028\u2029\u0085 \u0000\n \"\u00e9\\ \ud83d\ude00"',
    ),
    echoed("any key", '{"\u2028":1,"":2}'.encode(), rb'{"\u2028":1,"":2}'),
    # Numbers
    echoed("numbers", b"[1,-1,1.5,1E2,1.0]", b"[1,-1,1.5,100.0,1.0]"),
    echoed("64 bits", b"18446744073709551615", b"18446744073709551615"),
    refused("NaN", b'{"data":NaN}', NOT_JSON),
    refused("Infinity", b'{"data":[Infinity]}', NOT_JSON),
    refused("-Infinity", b'{"data":{"a":-Infinity}}', NOT_JSON),
    refused("a number that overflows", b'{"data":1e999}', NOT_JSON),
    # 64-bit integers, as Android wraps each Long
    echoed("Int64", wrapped(INT64, b'"-9223372036854775808"'), b"-9223372036854775808"),
    echoed("UInt64", wrapped(UINT64, b'"18446744073709551615"'), b"18446744073709551615"),
    echoed("Int64 of a number", wrapped(INT64, b"5"), b"5"),
    echoed(
        "Int64 in lists and objects",
        b'{"a":[%b,{"b":%b}],"c":"d"}' % (wrapped(INT64, b'"1"'), wrapped(UINT64, b'"2"')),
        b'{"a":[1,{"b":2}],"c":"d"}',
    ),
    echoed(
        "an unknown @type is a map",
        b'{"@type":"example.com/Point","value":%b}' % wrapped(INT64, b'"3"'),
        b'{"@type":"example.com/Point","value":3}',
    ),
    echoed("an @type that is no string is a map", b'{"@type":{"a":1}}', b'{"@type":{"a":1}}'),
    *(
        refused(f"Int64 of {value.decode()[:12]}", b'{"data":%b}' % wrapped(INT64, value), NO_INT)
        for value in (
            *(b'"x"', b'""', b'"1.5"', b'"1_000"', b'" 1 "', b'"+1"', b'"0x1"', b"true", b"null"),
            *(b"1.5", b"[]", b'"9223372036854775808"', b'"%b"' % (b"9" * 5_000)),
        )
    ),
    refused("UInt64 of -1", b'{"data":%b}' % wrapped(UINT64, b'"-1"'), NO_INT),
    refused("Int64 without value", b'{"data":{"@type":"%b"}}' % INT64, NO_INT),
    # Depth
    echoed("as deep as allowed", nested(DEEPEST), nested(DEEPEST)),
    refused("one deeper", b'{"data":%b}' % nested(DEEPEST + 1), TOO_DEEP),
    refused("objects", b'{"data":%b1%b}' % (b'{"a":' * 101, b"}" * 101), TOO_DEEP),
    refused("deeper, with @type", b'{"data":%b}' % nested(600, b'{"@type":"x"}'), TOO_DEEP),
    refused("deeper than the interpreter", b'{"data":%b}' % nested(1_000), TOO_DEEP),
    refused("deeper than the parser", b'{"data":%b}' % nested(9_000), NOT_JSON),
    echoed("many brackets, none deep", b"[%b0]" % (b"[]," * 500), b"[%b0]" % (b"[]," * 500)),
    # Content types
    typed("upper case", "APPLICATION/JSON", ONE, b'{"result":1}'),
    typed("utf-8", "application/json; charset=utf-8", ONE, b'{"result":1}'),
    typed("quoted", 'application/json;charset="UTF-8"', ONE, b'{"result":1}'),
    typed("other parameters", "application/json; odata=verbose", ONE, b'{"result":1}'),
    typed(
        "utf-16",
        "application/json; charset=utf-16",
        UTF_16.encode("utf-16"),
        rb'{"result":"\u00e9"}',
    ),
    typed(
        "utf-16le",
        "application/json; charset=UTF-16LE",
        (b'{"data":%b}' % wrapped(INT64, b'"7"')).decode().encode("utf-16-le"),
        b'{"result":7}',
    ),
    typed(
        "utf-16 of invalid bytes",
        "application/json; charset=utf-16",
        b"\xff",
        malformed(NOT_JSON),
    ),
    typed(
        "iso-8859-1",
        "application/json; charset=iso-8859-1",
        UTF_16.encode("iso-8859-1"),
        malformed(NOT_UTF),
    ),
    typed("text", "text/plain", ONE, malformed(NOT_JSON_TYPE)),
    typed("vendor", "application/vnd.api+json", ONE, malformed(NOT_JSON_TYPE)),
    typed("form", "application/x-www-form-urlencoded", b"data=1", malformed(NOT_JSON_TYPE)),
    typed("none", "", ONE, malformed(NOT_JSON_TYPE)),
    # Methods
    *(
        Record(
            method,
            ONE,
            malformed(f"A callable is called with POST, not {method}."),
            400,
            method=method,
        )
        for method in ("GET", "PUT", "PATCH", "DELETE")
    ),
    Record(
        "GET without a body",
        b"",
        malformed("A callable is called with POST, not GET."),
        400,
        method="GET",
        headers={"Content-Length": ""},
    ),
    # What `authenticate` says
    *(
        Record(
            given,
            ONE,
            error("UNAUTHENTICATED", "session_invalid", "Please sign in again."),
            401,
            headers={**JSON, "Authorization": given},
        )
        for given in ("Bearer bad", "Basic dXNlcg==")
    ),
    # What handlers do
    handled("null", b'{"result":null}'),
    handled("crash", INTERNAL, 500),
    handled("nan", INTERNAL, 500),
    handled("no_json", INTERNAL, 500),
    handled("too_deep", INTERNAL, 500),
    handled("cancelled", INTERNAL, 500),
    handled("fail_undescribed", INTERNAL, 500),
    *(
        handled(
            "fail_with",
            error(status, "internal", OURS),
            http_status,
            data=b'"%b"' % status.encode(),
        )
        for status, http_status in HTTP_STATUS.items()
    ),
    handled("fail_with", INTERNAL, 500, data=b'"NO_SUCH_STATUS"'),
]


def each(record: Record) -> str:
    return f"{record.path.rpartition('/')[2]}: {record.id}".replace(" ", "_")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("callables") / "log") as server:
        yield server


def frame(json_: bytes) -> bytes:
    return b"data: %b\n\n" % json_


def frames(answer: bytes) -> bytes:
    """How a stream ends with that answer: a failure is told in a message first."""
    if not answer.startswith(b'{"error":'):
        return frame(answer)
    told = answer.removeprefix(b"{").removesuffix(b"}")
    return frame(b'{"message":{"type":"error",%b}}' % told) + frame(answer)


def body_of(data: object) -> bytes:
    return json.dumps({"data": data}).encode()


# Records


@pytest.mark.parametrize("record", RECORDS, ids=each)
async def test_answers_with_exactly_these_bytes(server: Server, record: Record) -> None:
    answer = await server.ask(
        record.path, record.body, method=record.method, headers=record.headers
    )
    assert (answer.status, answer.body) == (record.status, record.answer)
    assert answer.headers == {**JSON_HEADERS, "content-length": str(len(record.answer))}


@pytest.mark.parametrize("record", RECORDS, ids=each)
async def test_streams_the_same_answer_as_the_last_frame_with_status_200(
    server: Server, record: Record
) -> None:
    headers = {**record.headers, **STREAM}
    answer = await server.ask(record.path, record.body, method=record.method, headers=headers)
    assert (answer.status, answer.body) == (200, frames(record.answer))
    assert answer.headers == STREAM_HEADERS
    assert answer.body.isascii()
    # `str.splitlines` knows every kind of line end
    assert len(answer.body.decode().splitlines()) == 2 * answer.body.count(b"data: ")


def test_knows_every_status_of_the_protocol_by_firebases_own_http_status() -> None:
    """What the SDK that we do without answers to each of its codes, in Flask as it is deployed."""

    @https_fn.on_call()
    def failing(request: Any) -> None:
        raise https_fn.HttpsError(https_fn.FunctionsErrorCode(request.data), "No.")

    app = flask.Flask("failing")
    app.add_url_rule("/", view_func=lambda: failing(cast(Any, flask.request)), methods=["POST"])
    answers = [
        app.test_client().post("/", json={"data": code.value})
        for code in https_fn.FunctionsErrorCode
    ]
    statuses = {answer.get_json()["error"]["status"]: answer.status_code for answer in answers}
    assert statuses == HTTP_STATUS


# One name, two forms


async def test_streams_messages_then_the_result(server: Server) -> None:
    body = body_of({"messages": [{"n": 1}, {"text": "a\u2028b"}], "result": {"ok": True}})
    answer = await server.ask("/plain/say", body, headers={**JSON, **STREAM})
    assert answer.body == (
        frame(b'{"message":{"n":1}}')
        + frame(rb'{"message":{"text":"a\u2028b"}}')
        + frame(b'{"result":{"ok":true}}')
    )


async def test_streams_messages_then_an_error_with_all_its_details(server: Server) -> None:
    answer = await server.ask("/plain/fail", body_of(None), headers={**JSON, **STREAM})
    assert answer.body == frame(b'{"message":{"n":1}}') + frames(
        b'{"error":{"status":"RESOURCE_EXHAUSTED","message":"There is no more for now.",'
        b'"reason":"no_more","details":{"limit":"perDay","reason":"no_more",'
        b'"message":"There is no more for now.","retryable":true,"traceId":"%b",'
        b'"retryAfterSeconds":2.5}}}' % TRACE.encode()
    )


async def test_a_message_that_is_no_json_ends_in_an_error_frame(server: Server) -> None:
    answer = await server.ask("/plain/nan_message", body_of(None), headers={**JSON, **STREAM})
    assert answer.body == frames(INTERNAL)


async def test_says_nothing_of_messages_where_nobody_streams(server: Server) -> None:
    answer = await server.ask("/plain/say", body_of({"messages": [{"n": 1}], "result": 2}))
    assert answer.body == b'{"result":2}'


@pytest.mark.parametrize(
    ("accept", "streamed"),
    [
        ("text/event-stream", True),
        ("text/event-stream, */*", False),
        ("text/event-stream; q=1", False),
        ("TEXT/EVENT-STREAM", False),
        ("*/*", False),
        ("application/json", False),
        ("", False),
    ],
)
async def test_streams_only_for_exactly_that_accept_header(
    server: Server, accept: str, streamed: bool
) -> None:
    answer = await server.ask("/plain/about", body_of(None), headers={**JSON, "Accept": accept})
    assert answer.body.startswith(b"data: ") == streamed
    assert (b'"streaming":true' in answer.body) == streamed


async def test_sends_many_frames_in_one_go_whole_and_in_order(server: Server) -> None:
    messages = [{"n": n} for n in range(9_000)]
    body = body_of({"messages": messages, "result": "end"})
    answer = await server.ask("/plain/say", body, headers={**JSON, **STREAM})
    frames = answer.body.split(b"\n\n")
    assert frames[:-2] == [b'data: {"message":{"n":%d}}' % n for n in range(9_000)]
    assert frames[-2:] == [b'data: {"result":"end"}', b""]


async def test_sends_a_frame_of_megabytes_whole(server: Server) -> None:
    text = "x" * (3 * WireLimits().backlog_max_bytes)
    body = body_of({"messages": [{"text": text}] * 4, "result": text})
    answer = await server.ask("/plain/say", body, headers={**JSON, **STREAM})
    expected = frame(b'{"message":{"text":"%b"}}' % text.encode()) * 4
    assert answer.body == expected + frame(b'{"result":"%b"}' % text.encode())


async def test_one_connection_serves_call_after_call(server: Server) -> None:
    async with server.connect() as connection:
        for headers in (JSON, {**JSON, **STREAM}, {**JSON, "Accept": "*/*"}):
            for body in (ONE, b"{"):
                await connection.send(request("/plain/echo", body, headers=headers))
                answer = await connection.answer()
                assert (b'"result":1' in answer.body) == (body == ONE)


async def test_head_is_refused_without_a_body(server: Server) -> None:
    async with server.connect() as connection:
        await connection.send(request("/plain/echo", b"", method="HEAD"))
        head = await connection.answer(without_body=True)
        assert head.status == 400
        await connection.send(request("/plain/echo", ONE))
        assert (await connection.answer()).body == b'{"result":1}'


# What a handler sees


async def test_a_handler_sees_the_caller_the_headers_and_the_trace(server: Server) -> None:
    headers = {**JSON, "Authorization": "Bearer me", "X-ANY-Header": "value"}
    answer = await server.ask("/plain/about", body_of(None), headers=headers)
    assert json.loads(answer.body)["result"] == {
        "caller": "Bearer me",
        "header": "value",
        "streaming": False,
        "traceId": TRACE,
    }


async def test_takes_the_trace_of_traceparent_where_cloud_run_gave_none(server: Server) -> None:
    given = {"X-Cloud-Trace-Context": "", "traceparent": f"00-{TRACE[::-1]}-0123456789abcdef-01"}
    answer = await server.ask("/plain/echo", b"", headers={**JSON, **given})
    assert answer.error["details"]["traceId"] == TRACE[::-1]


@pytest.mark.parametrize("given", ["", "not-a-trace", "0" * 31, "0" * 40])
async def test_makes_a_trace_of_its_own_where_there_is_none(server: Server, given: str) -> None:
    headers = {**JSON, "X-Cloud-Trace-Context": given}
    answers = [await server.ask("/plain/echo", b"", headers=headers) for _ in range(2)]
    traces = {answer.error["details"]["traceId"] for answer in answers}
    assert len(traces) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", trace) for trace in traces)


async def test_an_uncaught_error_is_reported_under_the_trace_that_the_client_is_told(
    server: Server,
) -> None:
    for handler, kind in (("crash", "ValueError"), ("nan", "ValueError"), ("no_json", "TypeError")):
        headers = {**JSON, "X-Cloud-Trace-Context": ""}
        answer = await server.ask(f"/plain/{handler}", body_of(None), headers=headers)
        trace = answer.error["details"]["traceId"]
        assert f"reported {kind} {trace}\n" in server.log.read_text()


async def test_the_text_of_an_uncaught_error_reaches_neither_client_nor_log(
    server: Server,
) -> None:
    for headers in (JSON, {**JSON, **STREAM}):
        answer = await server.ask("/plain/crash", body_of(None), headers=headers)
        assert SECRET.encode() not in answer.body
    log = server.log.read_text()
    assert "reported ValueError" in log
    assert SECRET not in log
    assert "Traceback" not in log


# Browsers


async def test_a_preflight_is_answered_and_may_be_kept_for_hours(server: Server) -> None:
    asked = "authorization,content-type,x-firebase-appcheck"
    answer = await server.ask(
        "/plain/fail",
        b"",
        method="OPTIONS",
        headers={
            "Origin": "https://app.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": asked,
        },
    )
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers == {
        "access-control-allow-origin": "https://app.example",
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": asked,
        "access-control-max-age": "7200",
        "vary": "Origin, Access-Control-Request-Headers",
    }


@pytest.mark.parametrize("more", [{}, STREAM], ids=["unary", "stream"])
@pytest.mark.parametrize(
    "path", ["/plain/echo", "/plain/crash", "/plain/null", "/narrow/echo"], ids=lambda path: path
)
async def test_every_answer_lets_the_asking_page_read_it(
    server: Server, path: str, more: Mapping[str, str]
) -> None:
    headers = {**JSON, **more, "Origin": "https://app.example"}
    for body in (ONE, b"not json", b"x" * 2_000):
        answer = await server.ask(path, body, headers=headers)
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        assert answer.headers["vary"] == "Origin"
        assert "access-control-allow-credentials" not in answer.headers


# Bodies


@pytest.mark.parametrize("more", [{}, STREAM], ids=["unary", "stream"])
async def test_a_body_of_30_mb_is_refused_clearly_and_not_kept(
    server: Server, more: Mapping[str, str]
) -> None:
    before = (await server.call("notes", {"as": "nobody"}))["peakBytes"]
    body = b'{"data":"%b"}' % (b"x" * 30_000_000)
    answer = await server.ask("/plain/echo", body, headers={**JSON, **more})
    assert answer.status == (200 if more else 400)
    assert answer.error["status"] == "INVALID_ARGUMENT"
    assert answer.error["message"] == "The request is larger than 12 MB."
    assert answer.error["details"] == {
        "reason": "body_too_large",
        "message": "The request is larger than 12 MB.",
        "retryable": False,
        "traceId": TRACE,
        "limitBytes": 12_000_000,
    }
    after = (await server.call("notes", {"as": "nobody"}))["peakBytes"]
    assert after < before + 25_000_000
    assert await server.is_idle()


async def test_a_body_may_be_as_large_as_the_limit_and_no_larger(server: Server) -> None:
    fits = b'{"data":"%b"}' % (b"x" * 989)
    assert len(fits) == 1_000
    assert (await server.ask("/narrow/null", fits)).status == 200
    assert (await server.ask("/narrow/null", fits + b" ")).error["message"] == (
        "The request is larger than 0.001 MB."
    )


async def test_a_body_without_end_is_refused_before_its_end(server: Server) -> None:
    async with server.connect() as connection:
        await connection.send(
            request("/narrow/echo", b"x" * 9_000, headers={**JSON, "Content-Length": "99999999"})
        )
        assert (await connection.answer()).error["details"]["reason"] == "body_too_large"


async def test_bodies_beyond_what_an_instance_holds_are_refused_until_there_is_room(
    server: Server,
) -> None:
    body = body_of({"as": "held", "padding": "x" * 900})
    async with server.connect() as first:
        await first.send(request("/narrow/hold", body, headers={**JSON, **STREAM}))
        await first.head()
        await first.until(frame(b'{"message":{"n":1}}'))
        answer = await server.ask("/narrow/null", body)
        assert answer.status == 503
        assert answer.error["status"] == "UNAVAILABLE"
        assert answer.error["details"] == {
            "reason": "overloaded",
            "message": "The service is busy. Please try again in a moment.",
            "retryable": True,
            "traceId": TRACE,
            "retryAfterSeconds": 1,
        }
        for n in (1, 2):
            await server.call("release", {"as": f"held-{n}"})
        await first.until(frame(b'{"result":"released"}'))
    assert await server.is_idle()
    assert (await server.ask("/narrow/null", body)).status == 200


async def test_a_body_that_comes_too_much_does_not_push_out_the_one_before_it(
    server: Server,
) -> None:
    body = body_of({"padding": "x" * 900})
    head, tail = (request("/narrow/null", body)[:-1], body[-1:])
    async with server.connect() as first, server.connect() as second:
        await first.send(head)
        await _holds(server, len(body) - 1)
        await second.send(head)
        await second.send(b"")
        await _holds(server, len(body) - 1)  # what is refused is let go of while it comes
        await second.send(tail)
        assert (await second.answer()).error["details"]["reason"] == "overloaded"
        await first.send(tail)
        assert (await first.answer()).body == b'{"result":null}'
    assert await server.is_idle()


async def _holds(server: Server, size: int) -> None:
    while (await server.call("notes", {"as": "x"}))["bodiesBytes"]["narrow"] != size:
        await asyncio.sleep(0.01)


async def test_a_body_in_chunks_is_read_whole(server: Server) -> None:
    headers = {**JSON, "Content-Length": "", "Transfer-Encoding": "chunked"}
    async with server.connect() as connection:
        await connection.send(request("/plain/echo", b"", headers=headers))
        for byte in (b'{"data"', b":", b'"in chunks"}'):
            await connection.send(b"%x\r\n%b\r\n" % (len(byte), byte))
        await connection.send(b"0\r\n\r\n")
        assert (await connection.answer()).body == b'{"result":"in chunks"}'


async def test_a_client_that_asks_first_is_told_to_go_on(server: Server) -> None:
    async with server.connect() as connection:
        head = request("/plain/echo", ONE, headers={**JSON, "Expect": "100-continue"})
        await connection.send(head.removesuffix(ONE))
        assert (await connection.answer()).status == 100
        await connection.send(ONE)
        assert (await connection.answer()).body == b'{"result":1}'


async def test_a_body_longer_than_it_says_is_cut_where_it_says(server: Server) -> None:
    async with server.connect() as connection:
        short = {**JSON, "Content-Length": "7"}
        await connection.send(request("/plain/echo", ONE, headers=short))
        assert (await connection.answer()).body == malformed(NOT_JSON)


async def test_a_body_shorter_than_it_says_never_runs_the_function(server: Server) -> None:
    long = {**JSON, **STREAM, "Content-Length": "500"}
    async with server.connect() as connection:
        await connection.send(request("/plain/hold", body_of({"as": "short"}), headers=long))
        connection.writer.write_eof()
        assert await connection.is_closed()
    assert await server.is_idle()
    assert "began" not in await server.call("notes", {"as": "short"})


# The emulator


@pytest.mark.parametrize(
    ("wire", "body", "ran"),
    [("emulated", b"OK", False), ("plain", b'{"result":"ran"}', True)],
    ids=["emulated", "deployed"],
)
async def test_the_health_question_runs_no_function_in_the_emulator_alone(
    server: Server, wire: str, body: bytes, ran: bool
) -> None:
    headers = {**JSON, "Authorization": f"health-{wire}"}
    answer = await server.ask(f"/{wire}/__/health", ONE, headers=headers)
    assert (answer.status, answer.body) == (200, body)
    assert ("ran" in await server.call("notes", {"as": f"health-{wire}"})) == ran


async def test_the_emulator_asks_with_get(server: Server) -> None:
    answer = await server.ask("/emulated/__/health", b"", method="GET", headers={})
    assert (answer.status, answer.body) == (200, b"OK")


# Silence


async def test_silence_is_filled_with_spaces_before_the_next_frame(server: Server) -> None:
    body = body_of({"as": "silent"})
    async with server.connect() as connection:
        await connection.send(request("/beating/hold", body, headers={**JSON, **STREAM}))
        assert (await connection.head()).headers == STREAM_HEADERS
        assert await connection.until(b"\n\n") == frame(b'{"message":{"n":1}}')
        for n, last in ((1, b'{"message":{"n":2}}'), (2, b'{"result":"released"}')):
            assert await connection.piece() == b"data: "
            assert [await connection.piece() for _ in range(2)] == [b" ", b" "]
            await server.call("release", {"as": f"silent-{n}"})
            assert (await connection.until(b"\n\n")).lstrip(b" ") == last + b"\n\n"


async def test_an_error_after_silence_ends_the_frame_that_the_silence_began(
    server: Server,
) -> None:
    body = body_of({"as": "fails", "fails": True})
    await server.call("release", {"as": "fails-1"})
    async with server.connect() as connection:
        await connection.send(request("/beating/hold", body, headers={**JSON, **STREAM}))
        await connection.head()
        await connection.until(b"data: ")
        await server.call("release", {"as": "fails-2"})
        rest = await connection.until(b"\n\n")
        no_more = "There is no more for now."
        expected = error("RESOURCE_EXHAUSTED", "no_more", no_more, retryable=True)
        assert b"data: " + rest.lstrip(b" ") == frames(expected)


# Clients that leave


@pytest.mark.parametrize("reset", [False, True], ids=["close", "reset"])
@pytest.mark.parametrize("more", [{}, STREAM], ids=["unary", "stream"])
async def test_a_handler_is_told_at_once_that_its_client_left_and_cleans_up(
    server: Server, more: Mapping[str, str], reset: bool
) -> None:
    name = f"leave-{bool(more)}-{reset}"
    async with server.connect() as connection:
        body = body_of({"as": name})
        await connection.send(request("/plain/leave", body, headers={**JSON, **more}))
        await server.noted(name, "began")
        if reset:
            connection.reset()
        left_at = monotonic()  # the same clock in every process of a machine
    notes = await server.noted(name, "left_at", "cleaned_up")
    assert notes["left_at"] - left_at < 1
    assert notes["times_left"] == 1
    assert await server.is_idle()


async def test_a_client_that_leaves_in_the_silence_between_frames_is_noticed(
    server: Server,
) -> None:
    async with server.connect() as connection:
        body = body_of({"as": "silently"})
        await connection.send(request("/beating/leave", body, headers={**JSON, **STREAM}))
        await connection.head()
        await connection.until(b"data:  ")
    assert (await server.noted("silently", "cleaned_up"))["times_left"] == 1


async def test_a_call_that_was_answered_never_hears_that_its_client_left(server: Server) -> None:
    for more in ({}, STREAM):
        name = f"answered-{bool(more)}"
        body = body_of({"as": name, "count": 3, "size": 10})
        await server.ask("/plain/flood", body, headers={**JSON, **more})
        assert await server.is_idle()
        assert "left" not in await server.call("notes", {"as": name})


async def test_others_are_served_while_clients_leave(server: Server) -> None:
    async def visit(n: int) -> None:
        async with server.connect() as connection:
            body = body_of({"as": f"visit-{n}"})
            await connection.send(request("/plain/leave", body, headers={**JSON, **STREAM}))
            await connection.head()
            await connection.piece()
            if n % 2:
                connection.reset()

    answers, _ = await asyncio.gather(
        asyncio.gather(*(server.ask("/plain/echo", ONE) for _ in range(20))),
        asyncio.gather(*(visit(n) for n in range(20))),
    )
    assert {answer.body for answer in answers} == {b'{"result":1}'}
    for n in range(20):
        await server.noted(f"visit-{n}", "cleaned_up")
    assert await server.is_idle()


# Readers that are slow

COUNT, SIZE = 600, 50_000


async def _stuck(server: Server, name: str) -> int:
    """How many messages went out when no more do."""
    sent = -1
    while True:
        await asyncio.sleep(0.2)
        now = (await server.noted(name, "sent"))["sent"]
        if now == sent:
            return int(now)
        sent = now


async def test_a_slow_reader_makes_the_handler_wait_and_misses_nothing(server: Server) -> None:
    body = body_of({"as": "slow", "count": COUNT, "size": SIZE})
    async with server.connect(receive_buffer=65_536) as connection:
        await connection.send(request("/plain/flood", body, headers={**JSON, **STREAM}))
        sent = await _stuck(server, "slow")
        assert sent < COUNT / 2  # the kernel's own buffers are most of it
        assert (await connection.head()).status == 200
        received = await connection.body()
    text = b"x" * SIZE
    frames = [frame(b'{"message":{"n":%d,"text":"%b"}}' % (n, text)) for n in range(COUNT)]
    assert received == b"".join(frames) + frame(b'{"result":{"sent":%d}}' % COUNT)


async def test_a_handler_that_waits_for_a_slow_reader_goes_on_when_that_leaves(
    server: Server,
) -> None:
    body = body_of({"as": "stuck", "count": COUNT, "size": SIZE})
    async with server.connect(receive_buffer=65_536) as connection:
        await connection.send(request("/plain/flood", body, headers={**JSON, **STREAM}))
        assert await _stuck(server, "stuck") < COUNT
        connection.reset()
    assert await server.is_idle()
    notes = await server.noted("stuck", "left")
    assert notes["sent"] == COUNT  # to nobody


# The end


def test_the_server_never_saw_an_exception_of_ours(server: Server) -> None:
    log = server.log.read_text()
    assert {line.split()[0] for line in log.splitlines()} <= {"reported"}, Path(server.log)
