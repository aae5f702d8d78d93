"""Messages on their whole way to OpenRouter's JSON, and the bodies of requests.

tests/fixtures/upstream_messages.json holds conversations, requests, and the exact JSON that
OpenRouter gets for them: the order of its fields too, for caches of prompts go by bytes.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import pytest

from firerouter.contract.base import parse
from firerouter.contract.messages import FilePlaceholder, ImagePart, Message, TextPart
from firerouter.contract.prompts import ExecutePrompt
from firerouter.contract.result import Json
from firerouter.conversations.history import Path, walk
from firerouter.conversations.limits import ConversationLimits
from firerouter.conversations.tree import Summary, TreePosition
from firerouter.features.settings import FeatureSettings
from firerouter.files.annotations import stored_annotations_of
from firerouter.files.file import files_of
from firerouter.files.file_plan import FilePlan, FileRef, plan_files
from firerouter.files.limits import FileLimits
from firerouter.files.placeholders import FetchedFiles, HistoryMessage
from firerouter.generation import prompts
from firerouter.keys.secret import Secret
from firerouter.openrouter import OpenRouterLimits
from firerouter.openrouter.file_annotations import FileAnnotations
from firerouter.openrouter.requests import ChatRequest, ImagesRequest, upstream_messages
from tests.support.repository import ROOT

CASES: Final[dict[str, dict[str, Any]]] = json.loads(
    (ROOT / "tests" / "fixtures" / "upstream_messages.json").read_text("utf-8")
)
PNG: Final = b"\x89PNG\r\n\x1a\n"
UPLOADS: Final = {
    "a": PNG + b"a",
    "b": b"%PDF-b",
    "c": b"some text",
    "d": b"RIFF....WAVE",
    "e": b"\x1a\x45\xdf\xa3video",
}
STORED_FILES: Final = {
    **{f"users/u/uploads/{letter * 32}": content for letter, content in UPLOADS.items()},
    f"users/u/images/{'f' * 32}-0.png": PNG + b"f",
}


class NoKeys:
    async def get(self) -> Secret:
        raise AssertionError

    async def next_after_refusal(self, tried: Sequence[Secret], reason: str) -> Secret | None:
        raise AssertionError


def chat(messages: Sequence[Message], **fields: Any) -> ChatRequest:
    return ChatRequest(NoKeys(), ["m"], messages, **{**REQUEST, **fields})


def images(messages: Sequence[Message], **fields: Any) -> ImagesRequest:
    return ImagesRequest(NoKeys(), ["m"], messages, **{**REQUEST, **fields})


REQUEST: Final[dict[str, Any]] = {"parameters": {}, "app_name": "", "referer": ""}


class Pages:
    """A transcript of one page."""

    def __init__(self, items: list[dict[str, Any]]) -> None:
        self.items: dict[str, object] = {
            f"m{n}": {**item, "parent": f"m{n - 1}" if n else None, "parentPage": 0}
            for n, item in enumerate(items)
        }

    @property
    def end(self) -> TreePosition:
        return TreePosition([*self.items][-1]) if self.items else TreePosition()

    async def page(self, number: int) -> Mapping[str, object]:
        return self.items

    async def whole(self, message_id: str, item: Json) -> Json:
        raise AssertionError


def history_of(case: dict[str, Any], request: ExecutePrompt) -> tuple[HistoryMessage, ...]:
    summarized = [{"role": "assistant", "text": "gone"}] if "summary" in case else []
    pages = Pages([*summarized, *case["transcript"]])
    path = Path(
        "u",
        pages.end,
        10**6,
        summary=Summary(case["summary"], "m0") if "summary" in case else None,
        is_regeneration=request.regenerate is not None,
        question_annotations=stored_annotations_of(case.get("questionAnnotations")),
    )
    return asyncio.run(walk(pages, path, ConversationLimits())).messages


def plan_of(case: dict[str, Any], request: ExecutePrompt) -> FilePlan:
    history = history_of(case, request)
    refs = [FileRef("attachments[0]", f, f.path) for f in files_of("u", case.get("files"))]
    if not refs and not any(entry.attachments or entry.images for entry in history):
        return FilePlan.without_files(["m"], history)
    return plan_files(request, refs, {"m": ()}, history, FileLimits())


def prepared(case: dict[str, Any]) -> tuple[FeatureSettings, ExecutePrompt, list[Message]]:
    place = {} if "messages" in case["request"] else {"conversationId": "c"}
    request = parse(ExecutePrompt, {"feature": "f", **place, **case["request"]})
    settings = FeatureSettings(model="m", system_prompt=case.get("systemPrompt", ""))
    plan = plan_of(case, request)
    messages = prompts.build_messages(settings, request, plan.history, "m")
    messages = plan.add_to_messages(messages)
    parts = {
        ref.key: ref.file.with_content(STORED_FILES[ref.key]).to_part()
        for ref in plan.all_files
        if ref.key in STORED_FILES
    }
    stored = {m.stored_annotations for m in messages if m.role == "assistant"} - {None}
    annotations = {at: tuple(case.get("stored", ())) for at in stored if at is not None}
    return settings, request, FetchedFiles(parts, annotations).fill(messages)


@pytest.mark.parametrize("name", CASES)
def test_a_chat_gets_these_messages_to_the_byte(name: str) -> None:
    case = CASES[name]
    _, _, messages = prepared(case)
    earlier = FileAnnotations(OpenRouterLimits().file_annotations_max_bytes)
    earlier.add(case.get("earlierTry"))
    body = chat(messages).with_annotations(earlier).body("m")
    assert json.dumps(body["messages"]) == json.dumps(case["messages"])


@pytest.mark.parametrize("name", CASES)
def test_the_image_api_gets_this_prompt_to_the_byte(name: str) -> None:
    case = CASES[name]
    _, _, messages = prepared(case)
    earlier = FileAnnotations(OpenRouterLimits().file_annotations_max_bytes)
    earlier.add(case.get("earlierTry"))
    body = images(messages).with_annotations(earlier).body("m")
    assert json.dumps(body) == json.dumps(
        {
            "model": "m",
            "prompt": case["images"]["prompt"],
            "stream": True,
            **{k: v for k, v in case["images"].items() if k != "prompt"},
        }
    )


@pytest.mark.parametrize("name", CASES)
def test_estimates_count_what_is_sent(name: str) -> None:
    case = CASES[name]
    settings, request, messages = prepared(case)
    assert prompts.prompt_bytes(settings, request) == case["promptBytes"]
    assert [prompts.count_chars(message) for message in messages] == case["chars"]


def test_a_body_has_its_parameters_first_and_says_who_asks() -> None:
    request = chat(
        [Message("user", "x")],
        parameters={"temperature": 0, "max_tokens": 5},
        user="u",
        session="s",
        cache_ttl="1h",
    )
    assert json.dumps(request.body("m")) == json.dumps(
        {
            "temperature": 0,
            "max_tokens": 5,
            "user": "u",
            "session_id": "s",
            "model": "m",
            "messages": [{"role": "user", "content": "x"}],
            "stream": True,
        }
    )
    cached = request.body("anthropic/claude")["cache_control"]
    assert cached == {"type": "ephemeral", "ttl": "1h"}
    assert "cache_control" not in replace(request, cache_ttl=None).body("anthropic/claude")


def test_a_request_says_what_answer_it_wants() -> None:
    tool = {"type": "function", "function": {"name": "look"}}
    wanted = {"type": "json_object"}
    parameters = {"tools": [{"type": "openrouter:datetime"}, tool], "response_format": wanted}
    request = chat([], parameters=parameters)
    assert request.tool_names == {"look"}
    assert (request.response_format, request.wants_json) == (wanted, True)
    assert (request.wants_images, request.image_count) == (False, 1)
    assert not chat([], parameters={"response_format": {"type": "text"}}).wants_json
    assert chat([], parameters={"modalities": ["image", "text"]}).wants_images
    assert (chat([]).tool_names, chat([]).response_format) == (frozenset(), None)
    assert images([], parameters={"n": 3}).image_count == 3
    assert (images([]).wants_images, images([]).image_count) == (True, 1)


def test_a_fingerprint_has_a_files_key_and_a_body_never_has() -> None:
    placeholder, image = FilePlaceholder("key"), ImagePart("data:,x")
    request = chat([Message("user", "x", (placeholder,))], parameters={"seed": 1})
    content = [{"type": "text", "text": "x"}, {"attachment": "key"}]
    assert request.fingerprint() == [["m"], [{"role": "user", "content": content}], {"seed": 1}]
    with pytest.raises(ValueError, match="never fetched"):
        request.body("m")
    other = chat([Message("user", "x", (FilePlaceholder("other"),))], parameters={"seed": 1})
    assert other.fingerprint() != request.fingerprint()
    assert chat([Message("user", "x", (image,))]).body("m")["messages"] == [
        {
            "role": "user",
            "content": [content[0], {"type": "image_url", "image_url": {"url": "data:,x"}}],
        }
    ]


def test_text_beside_a_message_is_a_part_of_its_own() -> None:
    message = Message("user", "x", (TextPart("y"),))
    parts = [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]
    assert upstream_messages([message]) == [{"role": "user", "content": parts}]
    assert images([message]).body("m")["prompt"] == "x\n\ny"
