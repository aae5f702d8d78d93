"""Files as people name them and as browsers and phones describe them; and files without words."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from firerouter.contract import CompareModels, CreateUpload, ExecutePrompt, parse
from firerouter.errors import InvalidArgument

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


def refusal(shape: Any, data: Any) -> InvalidArgument:
    with pytest.raises(InvalidArgument) as refused:
        parse(shape, data)
    return refused.value


def with_file(**file: Any) -> dict[str, Any]:
    given = {"data": PNG, "contentType": "image/png", **file}
    return {"feature": "chat", "prompt": "What is it?", "attachments": [given]}


NAMES = [
    "Screenshot 2026-01-05 at 3.04.05\u202fPM.png",  # as macOS names them
    "a\u00a0b.png",
    "\u5199\u771f\u3000\u4e00.png",
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645.png",  # Persian
    "\U0001f468\u200d\U0001f469\u200d\U0001f467.png",  # one emoji out of three
    "\u202aC.png",  # as Windows copies a path
    "...",
    'a "b" <c>: d?*|.png',
    "x" * 200,
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_file_has_whatever_name_people_give_it(name: str) -> None:
    assert parse(ExecutePrompt, with_file(name=name)).attachments[0].name == name
    upload = {"contentType": "image/png", "bytes": 1, "name": name}
    assert parse(CreateUpload, upload).name == name


@pytest.mark.parametrize(
    "name",
    ["", " ", "\u00a0", "a/b.png", "a\\b.png", "a\nb.png", "a\x00b", "a\x7f", "a\x85b"],
    ids=ascii,
)
def test_a_file_name_is_one_line_without_a_folder(name: str) -> None:
    for shape, data, field in (
        (ExecutePrompt, with_file(name=name), "attachments[0].name"),
        (CreateUpload, {"contentType": "image/png", "bytes": 1, "name": name}, "name"),
    ):
        refused = refusal(shape, data)
        assert refused.details["field"] == field
        assert refused.message == f"{field} must be a file name without a folder."


@pytest.mark.parametrize(
    ("given", "usual"),
    [
        ("image/jpg", "image/jpeg"),
        ("IMAGE/JPEG", "image/jpeg"),
        ("image/pjpeg", "image/jpeg"),
        ("image/x-png", "image/png"),
        ("audio/mp3", "audio/mpeg"),
        ("audio/x-mp3", "audio/mpeg"),
        ("audio/x-wav", "audio/wav"),
        ("audio/wave", "audio/wav"),
        ("audio/vnd.wave", "audio/wav"),
        ("audio/x-m4a", "audio/mp4"),
        ("audio/m4a", "audio/mp4"),
        ("audio/mp4; codecs=mp4a.40.2", "audio/mp4"),
        ("audio/x-flac", "audio/flac"),
        ("audio/ogg;codecs=opus", "audio/ogg"),
        ("video/x-m4v", "video/mp4"),
        ("application/x-pdf", "application/pdf"),
        ("text/plain; charset=utf-8", "text/plain"),
        ("text/x-markdown", "text/markdown"),
        ("application/vnd.ms-excel", "text/csv"),  # a CSV file, on Windows with Excel
        ("text/json", "application/json"),
        (" image/png ", "image/png"),
    ],
)
def test_a_type_may_have_the_name_that_a_browser_or_phone_has_for_it(
    given: str, usual: str
) -> None:
    assert parse(CreateUpload, {"contentType": given, "bytes": 1}).content_type == usual
    request = parse(ExecutePrompt, with_file(contentType=given))
    assert request.attachments[0].content_type == usual


@pytest.mark.parametrize(
    ("name", "type_", "sentence"),
    [
        (
            "IMG_0001.HEIC",
            "image/heic",
            "IMG_0001.HEIC is a HEIC picture, which models can't read. Please convert it to JPEG "
            "first.",
        ),
        (
            None,
            "image/heif",
            "This file is a HEIC picture, which models can't read. Please convert it to JPEG "
            "first.",
        ),
        (
            "memo.webm",
            "audio/webm;codecs=opus",
            "memo.webm is a recording that models can't read. Please record WAV, MP3, M4A or Ogg "
            "instead.",
        ),
        (
            "plan.docx",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "plan.docx is a document that models can't read. Please save it as PDF first.",
        ),
        (
            "tool.exe",
            "application/octet-stream",
            "tool.exe can't be attached. Please attach a picture, a PDF, text, a recording or a "
            "video.",
        ),
        (
            "a\nb",
            "",
            "This file can't be attached. Please attach a picture, a PDF, text, a recording or a "
            "video.",
        ),
    ],
)
def test_a_file_that_no_model_reads_is_named_and_what_to_do_instead(
    name: str | None, type_: str, sentence: str
) -> None:
    file = {"contentType": type_, "name": name}
    for shape, data, field in (
        (ExecutePrompt, with_file(**file), "attachments[0].contentType"),
        (CreateUpload, {**file, "bytes": 1}, "contentType"),
    ):
        refused = refusal(shape, data)
        assert refused.details["field"] == field
        assert refused.message == sentence


@pytest.mark.parametrize("prompt", [{"prompt": ""}, {"prompt": " \n"}, {"prompt": None}, {}])
def test_a_picture_needs_no_words(prompt: dict[str, Any]) -> None:
    request = parse(ExecutePrompt, {**with_file(), "prompt": None, **prompt})
    assert (request.prompt or "").strip() == ""
    assert len(request.attachments) == 1
    both = {**with_file(), "prompt": None, **prompt, "models": ["a/b", "a/c"]}
    assert parse(ExecutePrompt, parse(CompareModels, both).shared()) == request.model_copy(
        update={"temporary": True}
    )


@pytest.mark.parametrize("nothing", ["", " ", "\n\t", "\u3000"])
def test_a_question_without_words_or_files_is_refused(nothing: str) -> None:
    refused = refusal(ExecutePrompt, {"feature": "chat", "prompt": nothing, "attachments": []})
    assert (refused.details["field"], refused.message) == ("prompt", "prompt must not be empty.")


@pytest.mark.parametrize(
    "asked",
    [
        {"messages": [{"role": "user", "content": "Hi"}]},
        {"conversationId": "c", "regenerate": "m"},
        {"conversationId": "c", "toolResults": [{"toolCallId": "a", "content": "x"}]},
    ],
)
def test_files_go_with_a_prompt_and_with_nothing_else(asked: dict[str, Any]) -> None:
    refused = refusal(ExecutePrompt, {**with_file(), "prompt": None, **asked})
    assert refused.message == "attachments are only allowed with prompt."
