"""What the app of each client SDK learns of a stream, and above all of one that fails."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.callables import JSON, STREAM, TRACE, Server, serving
from tests.support.repository import ROOT
from tests.support.sdk_parsers import PARSERS, Failure

SENTENCE = "There is no more for now."
DETAILS = {
    "limit": "perDay",
    "reason": "no_more",
    "message": SENTENCE,
    "retryable": True,
    "traceId": TRACE,
    "retryAfterSeconds": 2.5,
}
ERROR = {
    "status": "RESOURCE_EXHAUSTED",
    "message": SENTENCE,
    "reason": "no_more",
    "details": DETAILS,
}
SHOWN: dict[str, Failure | None] = {
    "JavaScript": Failure("functions/resource-exhausted", f"{SENTENCE} [0]", DETAILS),
    "Flutter on the web": Failure("functions/resource-exhausted", f"{SENTENCE} [0]", DETAILS),
    "Android": Failure("internal", None, ERROR),
    "Flutter on Android": None,
    "iOS": Failure("resource_exhausted", SENTENCE, DETAILS),
    "Flutter on iOS": Failure("unknown", SENTENCE),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("callables") / "log") as server:
        yield server


async def streamed(server: Server, path: str, data: Any) -> bytes:
    body = json.dumps({"data": data}).encode()
    return (await server.ask(path, body, headers={**JSON, **STREAM})).body


@pytest.mark.parametrize("sdk", PARSERS)
async def test_every_sdk_gives_the_messages_and_the_result(server: Server, sdk: str) -> None:
    said = [{"type": "text", "delta": f"{n}\n\n\u2028data: "} for n in range(3)]
    body = await streamed(server, "/plain/say", {"messages": said, "result": {"text": "x"}})
    seen = PARSERS[sdk](body)
    assert (seen.messages, seen.result, seen.failure) == (said, {"text": "x"}, None)


@pytest.mark.parametrize("sdk", PARSERS)
async def test_every_sdk_tells_an_app_why_a_stream_failed(server: Server, sdk: str) -> None:
    """In a message: what else each of them shows is as different as the table in wire.md."""
    seen = PARSERS[sdk](await streamed(server, "/plain/fail", None))
    assert seen.messages == [{"n": 1}, {"type": "error", "error": ERROR}]
    assert seen.result is None
    assert seen.failure == SHOWN[sdk]


@pytest.mark.parametrize("sdk", PARSERS)
async def test_every_sdk_tells_why_a_stream_never_began(server: Server, sdk: str) -> None:
    body = (
        await server.ask(
            "/plain/echo", b'{"data":1}', headers={**JSON, **STREAM, "Authorization": "Bearer bad"}
        )
    ).body
    (told,) = PARSERS[sdk](body).messages
    assert (told["type"], told["error"]["reason"]) == ("error", "session_invalid")
    assert told["error"]["details"]["message"] == told["error"]["message"]


@pytest.mark.parametrize("sdk", PARSERS)
async def test_every_sdk_tells_of_an_internal_failure(server: Server, sdk: str) -> None:
    """iOS drops the sentence and the details of this status."""
    (told,) = PARSERS[sdk](await streamed(server, "/plain/crash", None)).messages
    assert told["error"]["details"]["reason"] == "internal"
    assert told["error"]["message"].startswith("Something went wrong on our side.")


async def test_a_reason_is_where_an_android_app_looks_streamed_or_not(server: Server) -> None:
    seen = PARSERS["Android"](await streamed(server, "/plain/fail", None))
    assert seen.failure is not None
    unary = await server.ask("/plain/fail", b'{"data":null}')
    for details in (seen.failure.details, unary.error["details"]):
        assert (details["reason"], details["message"]) == ("no_more", SENTENCE)


def test_the_table_in_the_docs_has_every_sdk() -> None:
    wire = (ROOT / "docs" / "wire.md").read_text("utf-8")
    for sdk in PARSERS:
        assert f"\n| {sdk} |" in wire
