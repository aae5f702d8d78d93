"""What the attacker does: a function for each way to hurt others that was found, or thought of."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from scripts.crowd_test.attacker import Attacker

Play = Callable[[Attacker], Awaitable[str]]
Json = dict[str, Any]

BODY_BYTES: Final = 11_700_000
FILE_BYTES: Final = 7_900_000
TEXT_CHARS: Final = 90_000
SILENT_LISTENERS: Final = 40
SLOW_BODIES: Final = 60
HELD_BODIES: Final = 8
MESSAGES: Final = 12

FEATURES: Final[Mapping[str, Json]] = {
    "crowd": {
        "model": "sim/steady",
        "allowedModels": [
            *("sim/fast", "sim/flood", "sim/long-json", "sim/silent", "sim/u2028"),
            *(f"crowd/like-{number}" for number in range(6)),
        ],
        "maxTokens": 600,  # twelve seconds of sim/steady
        "history": "newest",
    },
    "crowd_long": {"model": "sim/flood", "maxTokens": 100_000},
    "crowd_json": {"model": "sim/long-json", "repairJson": True, "maxTokens": 100_000},
}


@dataclass(frozen=True, slots=True)
class Attack:
    """One way to hurt others. `play` returns what the attacker got, in a few words."""

    name: str
    what: str
    play: Play


def _counted(got: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in got.most_common()) or "nothing"


# -- bodies ----------------------------------------------------------------------------------------


def _filled(before: bytes, unit: bytes, after: bytes, size: int) -> bytes:
    """Return a body of some size, most of which is one unit again and again."""
    return before + unit * ((size - len(before) - len(after)) // len(unit)) + after


def exploding_bodies() -> list[bytes]:
    """Return bodies that take many times their size, or long to measure or to parse."""
    head = b'{"data":{"endpoint":"execute_prompt","feature":"crowd","prompt":"Hi","zzz":'
    text = 1_490_000
    file = b'"' + b"A" * 10_000_000 + b'"'
    return [
        _filled(head + b"[", b"{},", b"{}]}}", BODY_BYTES),
        _filled(head + b"[", b"{},", b"{}]}}", text),
        _filled(head + b"[" + file, b",{}", b"]}}", len(file) + text),
        _filled(head + b"[", b'"",', b"0]}}", text),
        _filled(head + b'{"a":', b'{"a":', b"0", text),
        _filled(head + b"", b"[", b"", text),
        _filled(head + b'"', b"\\n", b'"}}', text),
        _filled(head + b'"', b'\\"', b"", text),
        _filled(head + b'"', b"\\ud800", b'"}}', text),
        _filled(head + b"[", b'"' + b"A" * 4_095 + b'",', b"0]}}", BODY_BYTES),
        _filled(head + b"[", b'"' + b"A" * 4_096 + b'",', b"0]}}", BODY_BYTES),
        _filled(head + b'"', b"A", b"", BODY_BYTES),
        _filled(head + b"", b"9", b"}}", text),
        _filled(head + b'"', b"\\ud800", b'"}}', BODY_BYTES),
    ]


async def bodies(attacker: Attacker) -> str:
    halves = b"\x00\xd8" * (BODY_BYTES // 2)
    sent = [*((body, "utf-8") for body in exploding_bodies()), (halves, "utf-16le")]
    kinds = itertools.cycle(sent)
    await attacker.again_and_again(lambda: attacker.post(*next(kinds)), at_once=4)
    return _counted(attacker.got)


async def slow_bodies(attacker: Attacker) -> str:
    """A byte a second, on as many connections as an instance takes."""
    begun, loop = asyncio.get_running_loop().time(), asyncio.get_running_loop()

    async def one() -> None:
        connection = await attacker.connect(b'{"data":', length=100_000, stream=False)
        await connection.drip(b" ", 1.0)

    await asyncio.gather(*(one() for _ in range(SLOW_BODIES)))
    return f"{SLOW_BODIES} places, for {loop.time() - begun:.0f} s"


async def held_bodies(attacker: Attacker) -> str:
    """Large bodies whose calls then take long."""
    body = json.dumps({"data": _with_file("sim/silent")}).encode()
    calls = [asyncio.ensure_future(attacker.post(body)) for _ in range(HELD_BODIES)]
    await asyncio.wait(calls, timeout=max(0, attacker.until - asyncio.get_running_loop().time()))
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    waiting = HELD_BODIES - attacker.got.total()
    return _counted(attacker.got + Counter({"still waiting": waiting}))


# -- schemas ---------------------------------------------------------------------------------------


def _tool(number: int, parts: int, part: object) -> Json:
    rules = {"type": "object", "title": f"x{number}", "allOf": [part] * parts}
    return {"name": f"tool{number}", "description": "A tool.", "parameters": rules}


async def schemas(attacker: Attacker) -> str:
    nested: Json = {}
    for _ in range(11):
        nested = {"not": nested}
    large: list[Json] = [
        {"tools": [_tool(number, 3_900, {}) for number in range(3)]},
        {"tools": [_tool(number, 13_000, {}) for number in range(3)]},
        {"tools": [_tool(number, 300, nested) for number in range(1)]},
        {"responseFormat": _format({"type": "object", "allOf": [{}] * 4_900})},
        {"responseFormat": _format({"type": "object", "enum": [[0]] * 3_900})},
    ]
    kinds = itertools.cycle(large)
    await attacker.again_and_again(lambda: attacker.ask(model="sim/fast", **next(kinds)), at_once=6)
    return _counted(attacker.got)


def _format(schema: Json) -> Json:
    return {"type": "json_schema", "name": "n", "schema": schema}


async def answers_against_schemas(attacker: Attacker) -> str:
    """An answer of 100 kB, held against a schema that has much to say of each entry, twice."""
    entry = {"anyOf": [*({"required": [f"x{number}"]} for number in range(400)), {}]}
    schema = {"type": "object", "properties": {"items": {"items": entry}}, "required": ["none"]}
    asked = {"feature": "crowd_json", "responseFormat": _format(schema)}
    await attacker.again_and_again(lambda: attacker.ask(**asked), at_once=6)
    return _counted(attacker.got)


# -- listeners and calls ---------------------------------------------------------------------------


async def silent_listeners(attacker: Attacker) -> str:
    """Join a long answer as often as possible, and read nothing of it."""
    data = {"endpoint": "execute_prompt", "feature": "crowd_long", "prompt": "Hi", "requestId": "x"}
    body = json.dumps({"data": data}).encode()
    connections = [
        await attacker.connect(body, length=len(body), stream=True) for _ in range(SILENT_LISTENERS)
    ]
    for connection in connections:
        connection.stop_reading()
    for _ in range(3):
        await attacker.ask(feature="crowd_long", requestId="x")  # a listener that counts
    await asyncio.sleep(max(0, attacker.until - asyncio.get_running_loop().time()))
    for connection in connections:
        connection.close()
    return f"{SILENT_LISTENERS} connections; of three joins more: {_counted(attacker.got)}"


async def unmetered_calls(attacker: Attacker) -> str:
    """Whatever asks no model, and is counted by no limit of requests."""
    started = await attacker.ask(model="sim/fast", conversationId="new")
    conversation = (started or {}).get("result", {}).get("conversationId", "c")
    numbers = itertools.count()
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: attacker.call("stop_generation", requestId=f"none-{next(numbers)}"),
        lambda: attacker.call("export_conversation", conversationId=conversation),
        lambda: attacker.call("execute_prompt", resume="0" * 32),
        lambda: attacker.call("list_features"),
        lambda: attacker.call("get_available_models"),
        lambda: attacker.call("set_preferences", feature="crowd", model="sim/fast"),
        lambda: attacker.call("update_conversation", conversationId=conversation, title="T"),
        lambda: attacker.call("get_allowance", feature="crowd"),
        lambda: attacker.call("export_my_data"),
    ]
    kinds = itertools.cycle(calls)

    async def one() -> None:
        await next(kinds)()

    await attacker.again_and_again(one, at_once=20)
    return _counted(attacker.got)


async def refusals(attacker: Attacker) -> str:
    """Beyond the quota, again and again."""
    await attacker.again_and_again(lambda: attacker.ask(model="sim/fast"), at_once=10)
    return _counted(attacker.got)


# -- files and conversations -----------------------------------------------------------------------


def _with_file(model: str, endpoint: str = "execute_prompt") -> Json:
    content = b"%PDF-1.4\n" + b"x" * FILE_BYTES
    file = {"contentType": "application/pdf", "data": base64.b64encode(content).decode()}
    return {
        "endpoint": endpoint,
        "feature": "crowd",
        "prompt": "Hi",
        "model": model,
        "attachments": [{"name": "a.pdf", **file}],
    }


async def files(attacker: Attacker) -> str:
    """A large file to one model, and to six at once."""
    one = _with_file("sim/fast")
    six = _with_file("", "execute_multi_model_prompt")
    del six["model"]
    six["models"] = ["sim/fast", *(f"crowd/like-{number}" for number in range(5))]
    kinds = itertools.cycle([json.dumps({"data": data}).encode() for data in (one, six)])
    await attacker.again_and_again(lambda: attacker.post(next(kinds)), at_once=2)
    return _counted(attacker.got)


async def odd_texts(attacker: Attacker) -> str:
    """Texts that Firestore may refuse, in everything that is stored of a call."""
    odd = ["a\x00b", "\ud83d", "\uffff", "__x__", "x" * TEXT_CHARS, "\U0010ffff" * 20_000]
    kinds = itertools.cycle(odd)
    numbers = itertools.count()

    async def one() -> None:
        text, number = next(kinds), next(numbers)
        asked = {"model": "sim/u2028", "prompt": text, "conversationId": "new"}
        await attacker.ask(**asked, requestId=f"{text[:3]}{number}", variables={"name": text[:50]})

    await attacker.again_and_again(one, at_once=4)
    return _counted(attacker.got)


async def orphans(attacker: Attacker) -> str:
    """Entries that another instance leaves behind, whose answers nobody can rescue."""
    closed, took_s = await attacker.surroundings.leave_orphans()
    return f"{closed} entries, closed in {took_s:.0f} s"


async def crowded_conversation(attacker: Attacker) -> str:
    """Long messages to one conversation at once, so that their commits collide and are retried."""
    started = await attacker.ask(model="sim/fast", conversationId="new")
    conversation = (started or {}).get("result", {}).get("conversationId", "c")
    asked = {"model": "sim/fast", "conversationId": conversation, "prompt": "x" * TEXT_CHARS}
    await asyncio.gather(*(attacker.ask(**asked) for _ in range(MESSAGES)))
    return f"{_counted(attacker.got)}; {await attacker.surroundings.transcript(conversation)}"


ATTACKS: Final[Mapping[str, Attack]] = {
    attack.name: attack
    for attack in (
        Attack("L1", "bodies that explode", bodies),
        Attack("L2", "schemas of tools and formats", schemas),
        Attack("L3", "answers against schemas", answers_against_schemas),
        Attack("L4", "silent listeners that join", silent_listeners),
        Attack("L5", "calls that ask no model", unmetered_calls),
        Attack("L6", "refusals again and again", refusals),
        Attack("L9", "slow bodies", slow_bodies),
        Attack("L10", "texts that Firestore may refuse", odd_texts),
        Attack("L11", "inline files, and a comparison of six", files),
        Attack("L12", "entries that nobody can rescue", orphans),
        Attack("L15", "large bodies of long calls", held_bodies),
        Attack("L18", "messages that collide", crowded_conversation),
    )
}
