"""The scripts' own client is stricter than any SDK."""

import json
from typing import Any

import pytest

from scripts.devtools import callable_client as client


@pytest.mark.parametrize(
    ("frame", "read"),
    [
        (b'data: {"message": {"type": "text"}}', ("message", {"type": "text"})),
        (b'data:     {"result": {"text": "hi"}}', ("result", {"text": "hi"})),
        (b'data: {"message": null}', ("message", None)),
    ],
)
def test_reads_a_frame_with_and_without_beats(frame: bytes, read: tuple[str, Any]) -> None:
    assert client.read_frame(frame) == read


@pytest.mark.parametrize(
    "frame",
    [
        b": ping",
        b'data:{"message": 1}',
        b'data: {"message": 1}\ndata: {"message": 2}',
        'data: {"message": "\u2028"}'.encode(),
        b'data: {"other": 1}',
        b"",
    ],
)
def test_refuses_a_frame_that_some_sdk_would_drop(frame: bytes) -> None:
    with pytest.raises(client.CallableFailure):
        client.read_frame(frame)


def test_an_error_counts_more_than_the_http_status() -> None:
    body = json.dumps({"error": {"status": "ABORTED", "message": "No.", "details": {"a": 1}}})
    with pytest.raises(client.CallableFailure) as raised:
        client.read_answer(body.encode(), 200)
    assert (raised.value.status, raised.value.message) == ("ABORTED", "No.")
    assert raised.value.details == {"a": 1}


def test_an_answer_that_is_not_json_is_shown() -> None:
    with pytest.raises(client.CallableFailure, match="HTTP 404: Function x does not exist"):
        client.read_answer(b"Function x does not exist", 404)
