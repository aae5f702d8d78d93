"""Answers of every shape as apps get them: over HTTP, streamed and in one piece."""

import base64
import re
from typing import Any

import httpx
import pytest

from firerouter.ledger.ids import generation_id
from scripts.devtools.suite import BUCKET, Suite
from scripts.standins.openrouter.completions import simulated_png as drawn
from tests.support.calls import ASK
from tests.support.eventually import until
from tests.support.over_http import Home, Person, Streamed, new_home

COMPARE = "execute_multi_model_prompt"
TOOLS = [
    {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {}}}},
    {"name": "get_time"},
]
FIELDS = {f"field{n}": {"type": "string"} for n in range(30)}
WANTED = {"type": "json_schema", "name": "many", "schema": {"properties": FIELDS}}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
ROUTED = {
    "provider": {
        "order": ["anthropic"],
        "allowFallbacks": False,
        "zdr": True,
        "dataCollection": "deny",
        "sort": "price",
        "maxPrice": {"prompt": 5},
    },
    "serviceTier": "flex",
    "promptCaching": "1h",
}
FEATURES: dict[str, dict[str, Any]] = {
    "draws": {"kind": "image", "model": "google/gemini-2.5-flash-image"},
    "tools": {"model": "sim/parallel-tools"},
    "shaped": {"model": "z-ai/glm-4.5-air:free"},
    "thinks": {"model": "sim/fast", "reasoning": {"effort": "low"}},
    "sees": {"model": "google/gemini-3.7-flash"},
    "routed": {"model": "anthropic/claude-haiku-4.5", **ROUTED},
    "compared": {"model": "sim/slow-drip", "allowedModels": ["sim/stall"]},
}
HASH = re.compile(r"[0-9a-f]{32}")


@pytest.fixture(scope="module")
def home(suite: Suite) -> Home:
    features = {id_: {**settings, "titles": "beginning"} for id_, settings in FEATURES.items()}
    return new_home(suite, features)


both = pytest.mark.parametrize("streams", [True, False], ids=["streamed", "unary"])


async def ask(person: Person, streams: bool, **data: Any) -> tuple[Streamed, dict[str, Any]]:
    """What came of it before its end, nothing of a unary call, and its result."""
    return await person.stream(ASK, streams=streams, **data)


@both
async def test_images_of_a_chat(person: Person, home: Home, streams: bool) -> None:
    png = base64.b64decode(drawn(person.uid))
    streamed, result = await ask(
        person, streams, feature="draws", prompt=person.uid, inlineImages=True, requestId="r"
    )
    path = f"users/{person.uid}/images/{result['generationId']}-0.png"
    image = {"index": 0, "contentType": "image/png", "bytes": len(png), "path": path}
    whole = {**image, "data": base64.b64encode(png).decode()}
    assert result["images"] == [whole]
    assert [message["image"] for message in streamed.of("image")] == [whole] * streams
    assert streamed.text == result["text"] * streams
    (body,) = await person.bodies()
    assert body["modalities"] == ["image", "text"]
    bucket = f"{home.suite.storage_url}/storage/v1/b/{BUCKET}/o"
    async with httpx.AsyncClient(trust_env=False) as http:
        found = await http.get(f"{bucket}/{path.replace('/', '%2F')}", params={"alt": "media"})
    assert found.content == png
    entry = await person.document(f"generations/{result['generationId']}")
    assert entry["result"]["images"] == [image]
    _, again = await ask(person, streams, resume=result["generationId"])
    assert again["images"] == [image]


@both
async def test_two_rounds_of_tools(person: Person, streams: bool) -> None:
    here: dict[str, Any] = {"feature": "tools", "tools": TOOLS, "conversationId": "new"}
    for number in (1, 2):
        prompt = f"round {number} of {person.uid}"
        streamed, called = await ask(person, streams, **here, prompt=prompt)
        calls = called["toolCalls"]
        assert called["finishReason"] == "tool_calls"
        assert [call["name"] for call in calls] == ["get_weather", "get_time"]
        told = [{"type": "tool_call", "index": at, **call} for at, call in enumerate(calls)]
        assert streamed.of("tool_call") == told * streams
        here["conversationId"] = called["conversationId"]
        results = [{"toolCallId": c["id"], "content": f"{c['name']} {number}"} for c in calls]
        streamed, answer = await ask(person, streams, **here, toolResults=results)
        assert "It read the tool's result" in answer["text"]
        assert streamed.text == answer["text"] * streams
    round_ = ["user", "assistant", "tool", "tool"]
    *_, last = await person.bodies()
    assert [message["role"] for message in last["messages"]] == [*round_, "assistant", *round_]
    assert [m["content"] for m in last["messages"] if m["role"] == "tool"] == [
        *("get_weather 1", "get_time 1"),
        *("get_weather 2", "get_time 2"),
    ]


@both
async def test_json_that_fits_a_schema(person: Person, streams: bool) -> None:
    asked = {"feature": "shaped", "prompt": person.uid, "responseFormat": WANTED}
    streamed, result = await ask(person, streams, **asked, partialJson=True)
    assert result["json"] == dict.fromkeys(FIELDS, "simulated")
    assert "notices" not in result
    grown = [message["json"] for message in streamed.of("json")]
    assert (len(grown) > 1) is streams
    assert [len(json) for json in grown] == sorted(len(json) for json in grown)
    assert streamed.text == result["text"] * streams
    (body,) = await person.bodies()
    assert body["response_format"]["json_schema"]["schema"] == WANTED["schema"]


@both
async def test_thoughts_come_apart_and_go_back(person: Person, streams: bool) -> None:
    here = {"feature": "thinks", "prompt": person.uid}
    streamed, first = await ask(person, streams, **here, conversationId="new")
    assert first["reasoning"]
    assert streamed.told("reasoning") == first["reasoning"] * streams
    assert streamed.text == first["text"] * streams
    assert first["reasoning"] not in first["text"]
    await ask(person, streams, **here, conversationId=first["conversationId"])
    _, body = await person.bodies()
    assert body["reasoning"] == {"effort": "low"}
    _, answer, _ = body["messages"]
    assert answer["reasoning_details"] == first["reasoningDetails"] != []


@both
async def test_a_file_in_the_call_itself(person: Person, streams: bool) -> None:
    data = base64.b64encode(PNG).decode()
    file = {"data": data, "contentType": "image/png", "name": "a.png"}
    asked = {"feature": "sees", "prompt": person.uid, "attachments": [file]}
    _, result = await ask(person, streams, **asked)
    assert result["text"]
    (body,) = await person.bodies()
    url = f"data:image/png;base64,{data}"
    assert body["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": person.uid},
                {"type": "image_url", "image_url": {"url": url}},
            ],
        }
    ]


@both
async def test_where_a_prompt_may_go(person: Person, streams: bool) -> None:
    asked = {"feature": "routed", "prompt": person.uid}
    _, first = await ask(person, streams, **asked, conversationId="new")
    await ask(person, streams, **asked, conversationId=first["conversationId"])
    one, two = await person.bodies()
    assert one["provider"] == {
        "order": ["anthropic"],
        "allow_fallbacks": False,
        "zdr": True,
        "data_collection": "deny",
        "sort": "price",
        "max_price": {"prompt": 5},
    }
    assert one["service_tier"] == "flex"
    assert one["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    for name in ("user", "session_id"):
        assert HASH.fullmatch(one[name])
        assert one[name] == two[name]


@both
async def test_a_comparison_is_stopped_by_its_id(person: Person, streams: bool) -> None:
    asked: dict[str, Any] = {"feature": "compared", "prompt": person.uid, "requestId": "both"}
    asked["models"] = ["sim/slow-drip", "sim/stall"]
    id_ = generation_id(person.uid, "both")
    comparing = person.begin(COMPARE, streams=streams, **asked)

    async def both_write() -> bool:
        if not streams:
            return len(await person.upstream()) == 2
        return {message["index"] for message in comparing.of("text")} == {0, 1}

    await until(both_write)
    stopped = await person.call("stop_generation", at=1, comparisonId=id_)
    assert stopped == {"comparisonId": id_, "stopped": True, "status": "running"}
    result = await comparing.result()
    assert result["comparisonId"] == id_
    assert [one["finishReason"] for one in result["results"]] == ["stopped", "stopped"]
    if streams:
        assert comparing.messages[0]["comparisonId"] == id_
        for at, one in enumerate(result["results"]):
            deltas = [m["delta"] for m in comparing.of("text") if m["index"] == at]
            assert "".join(deltas) == one["text"] != ""
    assert not any(request["open"] for request in await person.upstream())
