"""A chat answer: its tokens, and how they look as chunks, as one body and as usage."""

from __future__ import annotations

import base64
import json
import re
import secrets
import string
import struct
import time
import zlib
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from typing import Any

from .chat_requests import ChatRequest
from .model_catalog import ServedModel

Json = dict[str, Any]

QUOTED_CHARS = 200
TITLE_WORDS = 6
ID_CHARS = 20
ID_ALPHABET = string.ascii_letters + string.digits
ARGUMENT_PIECE_CHARS = 12
SCHEMA_DEPTH_MAX = 8
ITEMS_MAX = 20
SIGNED_FORMAT = "anthropic-claude-v1"
KEEP_ALIVE = b": OPENROUTER PROCESSING\n\n"
DONE = b"data: [DONE]\n\n"
REASONING = ("The user ", "asks something; ", "a simulated ", "answer ", "is enough.")


@dataclass(frozen=True)
class ToolCall:
    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Answer:
    tokens: tuple[str, ...]
    reasoning: tuple[str, ...] = ()
    tools: tuple[ToolCall, ...] = ()
    annotations: tuple[Json, ...] = ()  # cited pages, and files that OpenRouter read for the model
    image: str | None = None
    finish_reason: str = "stop"
    native_finish_reason: str = "stop"
    hidden_reasoning: bool = False

    @property
    def text(self) -> str:
        return "".join(self.tokens)

    @property
    def spent(self) -> int:
        calls = sum(len(_pieces(tool.arguments)) for tool in self.tools)
        return len(self.tokens) + len(self.reasoning) + calls


@dataclass(frozen=True)
class Head:
    """The fields that every chunk of an answer begins with."""

    id: str
    provider: str
    model: str
    created: int

    def of(self, kind: str) -> Json:
        return {
            "id": self.id,
            "provider": self.provider,
            "model": self.model,
            "object": kind,
            "created": self.created,
        }


def new_head(served: ServedModel) -> Head:
    created = int(time.time())
    unique = "".join(secrets.choice(ID_ALPHABET) for _ in range(ID_CHARS))
    return Head(f"gen-{created}-{unique}", served.provider, served.shown, created)


def ordinary_answer(chat: ChatRequest, served: ServedModel) -> Answer:
    """Return an answer that depends on the request alone, within `max_tokens`."""
    reasoning = REASONING if chat.reasons else ()
    hidden = chat.reasons and not chat.shows_reasoning
    read = () if served.reads_files else chat.unread
    if chat.tools and _calls(chat):
        called = (tool_call(chat.tools[0], chat.last_text),)
        answer = Answer(
            (),
            reasoning,
            called,
            annotations=read,
            finish_reason="tool_calls",
            native_finish_reason="tool_calls",
            hidden_reasoning=hidden,
        )
    else:
        text = _json_text(chat, served) if _wants_json(chat) else _friendly_text(chat, served)
        image = _image(chat.last_text) if served.draws and chat.wants_image else None
        answer = Answer(
            words(text), reasoning, annotations=read, image=image, hidden_reasoning=hidden
        )
    return limited(answer, chat.max_tokens)


def limited(answer: Answer, max_tokens: int | None) -> Answer:
    if max_tokens is None or answer.spent <= max_tokens:
        return answer
    reasoning = answer.reasoning[:max_tokens]
    return replace(
        answer,
        reasoning=reasoning,
        tokens=answer.tokens[: max_tokens - len(reasoning)],
        tools=(),
        finish_reason="length",
        native_finish_reason="length",
    )


def words(text: str) -> tuple[str, ...]:
    """Split a text into words with the spaces after them, so that they join to the same text."""
    return tuple(re.findall(r"\s*\S+\s*", text)) or ((text,) if text else ())


def _calls(chat: ChatRequest) -> bool:
    asked = "tool" in chat.last_text.lower() or chat.must_call
    return asked and chat.last_role != "tool"


def _wants_json(chat: ChatRequest) -> bool:
    return chat.format.get("type") in ("json_object", "json_schema")


def _friendly_text(chat: ChatRequest, served: ServedModel) -> str:
    if chat.wants_title:  # otherwise every conversation on this machine would have the same one
        return " ".join(chat.last_text.partition("\n")[0].split()[:TITLE_WORDS])
    asked = " ".join(chat.last_text.split())
    if len(asked) > QUOTED_CHARS:
        asked = asked[:QUOTED_CHARS] + "…"
    said = f"You asked: {asked}" if asked else "You asked nothing in words."
    read = " It read the tool's result." if chat.last_role == "tool" else ""
    if chat.unread and not served.reads_files:  # shows that it is read only once
        read += " The file was read for it."
    return f"This is a simulated answer from {served.id}.{read} {said}"


def _json_text(chat: ChatRequest, served: ServedModel) -> str:
    schema = (chat.format.get("json_schema") or {}).get("schema")
    if isinstance(schema, dict):
        return json.dumps(_filled(schema), ensure_ascii=False)
    plain = {"simulated": True, "model": served.id, "asked": chat.last_text[:QUOTED_CHARS]}
    return json.dumps(plain, ensure_ascii=False)


def _filled(schema: Any, depth: int = 0) -> Any:
    """Return a value that fits a schema, as far as its keywords are common ones."""
    if not isinstance(schema, dict):
        return "simulated"
    fixed = [schema["const"]] if "const" in schema else schema.get("enum")
    if fixed:
        return fixed[0]
    union = schema.get("anyOf") or schema.get("oneOf")
    if union:
        return _filled(union[0], depth)
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "object" or "properties" in schema:
        properties = schema.get("properties", {}) if depth < SCHEMA_DEPTH_MAX else {}
        return {name: _filled(inner, depth + 1) for name, inner in properties.items()}
    if kind == "array":
        many = min(schema.get("minItems", 1), ITEMS_MAX) if depth < SCHEMA_DEPTH_MAX else 0
        return [_filled(schema.get("items", {}), depth + 1) for _ in range(many)]
    number = schema.get("minimum", 1)
    simple = {"integer": int(number), "number": number, "boolean": True, "null": None}
    return simple.get(str(kind), "simulated")


def tool_call(function: Json, text: str) -> ToolCall:
    arguments = json.dumps(_filled(function.get("parameters") or {"type": "object"}))
    seen = zlib.crc32(f"{function.get('name')} {text}".encode())
    return ToolCall(f"call_{seen:08x}", str(function.get("name")), arguments)


def _image(text: str) -> str:
    return f"data:image/png;base64,{simulated_png(text)}"


@lru_cache(maxsize=64)
def simulated_png(text: str) -> str:
    """Return an 8 by 8 PNG, in base64, of a color that depends on the text."""

    def part(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    color = zlib.crc32(text.encode()).to_bytes(4, "big")[:3]
    rows = (b"\0" + color * 8) * 8
    shape = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + part(b"IHDR", shape) + part(b"IDAT", zlib.compress(rows))
    return base64.b64encode(png + part(b"IEND", b"")).decode()


def _pieces(arguments: str) -> list[str]:
    step = ARGUMENT_PIECE_CHARS
    return [arguments[at : at + step] for at in range(0, len(arguments), step)]


def as_number(cost: Decimal) -> float | int:
    """Return a JSON number, as recorded: a free answer costs the integer 0."""
    return float(cost) if cost else 0


def usage_of(prompt_tokens: int, completion: int, reasoning: int, served: ServedModel) -> Json:
    served = served.at(prompt_tokens)
    prompt_cost = prompt_tokens * served.prompt_price
    completion_cost = completion * served.completion_price
    cost = as_number(prompt_cost + completion_cost)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": prompt_tokens + completion,
        "cost": cost,
        "is_byok": False,
        "prompt_tokens_details": {
            "cached_tokens": 0,
            "cache_write_tokens": 0,
            "audio_tokens": 0,
            "video_tokens": 0,
        },
        "cost_details": {
            "upstream_inference_cost": cost,
            "upstream_inference_prompt_cost": as_number(prompt_cost),
            "upstream_inference_completions_cost": as_number(completion_cost),
        },
        "completion_tokens_details": {
            "reasoning_tokens": reasoning,
            "image_tokens": 0,
            "audio_tokens": 0,
        },
    }


def whole_body(head: Head, answer: Answer, usage: Json | None) -> Json:
    """Return the body of an answer that is not streamed."""
    message: Json = {"role": "assistant", "content": answer.text, "refusal": None}
    shown = "" if answer.hidden_reasoning else "".join(answer.reasoning)
    message["reasoning"] = shown or None
    if shown:
        detail = {"type": "reasoning.text", "text": shown, "signature": "c2ltdWxhdGVk"}
        message["reasoning_details"] = [{**detail, "format": SIGNED_FORMAT, "index": 0}]
    if answer.tools:
        message["tool_calls"] = [
            {"index": index, **_call(tool, tool.arguments)}
            for index, tool in enumerate(answer.tools)
        ]
    if answer.annotations:
        message["annotations"] = list(answer.annotations)
    if answer.image is not None:
        message["images"] = [_image_part(answer.image)]
    choice = {
        "logprobs": None,
        "finish_reason": answer.finish_reason,
        "native_finish_reason": answer.native_finish_reason,
        "index": 0,
        "message": message,
    }
    body = {**head.of("chat.completion"), "system_fingerprint": None, "choices": [choice]}
    return body if usage is None else {**body, "usage": usage}


def _call(tool: ToolCall, arguments: str) -> Json:
    return {
        "id": tool.id,
        "type": "function",
        "function": {"name": tool.name, "arguments": arguments},
    }


def _image_part(url: str) -> Json:
    return {"type": "image_url", "image_url": {"url": url}}


class Chunks:
    """Chunks of an answer, as bytes. The head and the tail of a text chunk are built once."""

    def __init__(self, head: Head) -> None:
        self._head = head.of("chat.completion.chunk")
        before, after = self.delta({"content": 0}).decode().split('"content":0')
        self._before = before.encode() + b'"content":'
        self._after = after.encode()

    def text(self, text: str) -> bytes:
        return self._before + json.dumps(text, ensure_ascii=False).encode() + self._after

    def reasoning(self, text: str, signature: str | None = None) -> bytes:
        detail: Json = {"type": "reasoning.text", "text": text}
        if signature is not None:
            detail["signature"] = signature
        detail.update({"format": SIGNED_FORMAT, "index": 0})
        shown = None if signature is not None else text
        return self.delta({"content": "", "reasoning": shown, "reasoning_details": [detail]})

    def tool(self, tool: ToolCall, index: int = 0) -> list[bytes]:
        """Return the ID and name first, then the arguments in pieces, all with the same `index`."""
        opening = {"index": index, **_call(tool, "")}
        rest = [{"index": index, "function": {"arguments": p}} for p in _pieces(tool.arguments)]
        return [self.delta({"content": "", "tool_calls": [part]}) for part in (opening, *rest)]

    def annotations(self, annotations: tuple[Json, ...]) -> bytes:
        return self.delta({"content": "", "annotations": list(annotations)})

    def image(self, url: str) -> bytes:
        return self.delta({"content": "", "images": [_image_part(url)]})

    def delta(self, delta: Json, finish: str | None = None, native: str | None = None) -> bytes:
        """Return a chunk. As recorded, each one repeats the role and usually has empty content."""
        choice = {
            "index": 0,
            "delta": {"role": "assistant", **delta},
            "finish_reason": finish,
            "native_finish_reason": native,
            "logprobs": None,
        }
        return self.event({"choices": [choice]})

    def event(self, rest: Json) -> bytes:
        chunk = {**self._head, **rest}
        return (
            b"data: "
            + json.dumps(chunk, ensure_ascii=False, separators=(",", ":")).encode()
            + b"\n\n"
        )
