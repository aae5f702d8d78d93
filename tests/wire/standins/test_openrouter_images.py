"""The stand-in's `POST /images`: what it takes, and what goes wrong by name."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openrouter import components

from scripts.standins.openrouter import image_generation as images
from tests.support.openrouter_standin import Answer, Server, call, serving

WHOLE = ["partial_image", "partial_image", "completed"]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("--token-delay-ms", "0") as running:
        yield running


async def drawn(server: Server, model: str, **more: Any) -> Answer:
    body = {"model": model, "prompt": "a fox", "n": 2, "stream": True, **more}
    asked = await call(server, "POST", "/api/v1/images", json.dumps(body).encode())
    return await asked.finish()


def test_it_takes_what_the_sdk_knows() -> None:
    assert components.ImageGenerationRequest.model_fields.keys() == images.FIELDS
    preferences = components.ImageGenerationProviderPreferences.model_fields
    assert preferences.keys() == images.PROVIDER_FIELDS


@pytest.mark.parametrize(
    "more",
    [
        {"temperature": 0.5},
        {"provider": {"zdr": True}},
        {"size": "1024x1536", "aspect_ratio": "16:9"},
        {"size": "1024x1536", "resolution": "1K"},
    ],
)
async def test_it_takes_nothing_else(server: Server, more: dict[str, Any]) -> None:
    assert (await drawn(server, "sim/images", **more)).status == 400


@pytest.mark.parametrize(
    ("fault", "kinds", "usage", "ended"),
    [
        ("sim/images", WHOLE * 2, [5], "clean"),
        ("sim/images-error", [*WHOLE, "error"], [], "clean"),
        ("sim/images-cut", WHOLE, [], "cut"),
        ("sim/images-usage-first", WHOLE, [2], "cut"),
        ("sim/images-no-usage", WHOLE * 2, [], "clean"),
        ("sim/images-fewer", WHOLE, [2], "clean"),
        ("sim/images-alike", WHOLE * 2, [5], "clean"),
        ("sim/images-partial", [*["partial_image"] * 50, "completed"] * 2, [101], "clean"),
    ],
)
async def test_a_fault_does_what_it_says(
    server: Server, fault: str, kinds: list[str], usage: list[int], ended: str
) -> None:
    answer = await drawn(server, fault)
    assert [event["type"].rpartition(".")[2] for event in answer.chunks] == kinds
    assert [place for place, event in enumerate(answer.chunks) if "usage" in event] == usage
    assert (answer.ended, answer.done) == (ended, ended == "clean" and "error" not in kinds)
    whole = {e["b64_json"] for e in answer.chunks if e["type"].endswith("completed")}
    assert len(whole) == (1 if fault == "sim/images-alike" else kinds.count("completed"))


async def test_most_providers_send_one_json(server: Server) -> None:
    answer = await drawn(server, "sim/images-json")
    assert answer.headers["content-type"].startswith("application/json")
    assert len(answer.json["data"]) == 2


async def test_one_falls_silent(server: Server) -> None:
    body = {"model": "sim/images-silent", "prompt": "a fox", "stream": True}
    asked = await call(server, "POST", "/api/v1/images", json.dumps(body).encode())
    await asked.head()
    assert b"partial_image" in (await asked.pieces(1))[0]
    asked.close()
