"""The table of what an app can reach of OpenRouter names all of it, and tests that there are."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import openrouter
import pytest
from openrouter import components, operations

from tests.support.repository import ROOT

SDK = Path(openrouter.__file__).parent
BUILT = re.compile(r'_build_request\(\s*method="([A-Z]+)",\s*path="([^"]+)"')
SECTIONS: dict[str, list[list[str]]] = {}
for line in (ROOT / "docs" / "openrouter-coverage.md").read_text().splitlines():
    if line.startswith("## "):
        SECTIONS[line[3:]] = []
    elif line.startswith("| ") and not line.endswith("| shown by |"):
        [*SECTIONS.values()][-1].append(re.split(r"\s*\|\s*", line[2:-2]))
ROWS = [row for rows in SECTIONS.values() for row in rows]
PROVEN = [(what, proof) for what, *_, proof in ROWS if proof != "not yet"]
CHAT, ANSWER = "POST /chat/completions: the request", "POST /chat/completions: the answer"


def names_in(file: Path) -> set[str]:
    found = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.parse(file.read_text()).body if isinstance(node, found)}


def test_every_row_says_what_shows_it() -> None:
    assert len(ROWS) > 90
    assert all(len(row) == 3 for row in ROWS)


@pytest.mark.parametrize(("what", "proof"), PROVEN, ids=[what for what, _ in PROVEN])
def test_what_shows_it_is_a_test(what: str, proof: str) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", proof)
    assert named, f"{what} is shown by nothing"
    for path, name in named:
        assert (ROOT / path).exists(), path
        assert name in names_in(ROOT / path), f"{path} has no {name}"


# -- all of it is named ----------------------------------------------------------------------------


def named(section: str) -> set[str]:
    """What the first cells of a section name; `.zdr` after `provider.order` is `provider.zdr`."""
    found = set[str]()
    for what, *_ in SECTIONS[section]:
        parent = what.split("`")[1].rpartition(".")[0] if "`" in what else ""
        for name in re.findall("`([^`]+)`", what):
            found.add(parent + name if name.startswith(".") else name)
    return found


def shape(path: str) -> str:
    return re.sub(r"\{[^}]+\}", "{}", path)


def covers(name: str, method: str, path: str) -> bool:
    *said, place = name.split(" ")
    below = place.endswith("/*") and shape(path).startswith(shape(place[:-1]))
    return said in ([], [method]) and (below or shape(place.removesuffix("/*")) == shape(path))


ENDPOINTS = sorted(
    {found for file in SDK.glob("*.py") for found in BUILT.findall(file.read_text("utf-8"))}
)


def test_the_sdk_has_endpoints() -> None:
    assert len(ENDPOINTS) > 100
    assert ("POST", "/chat/completions") in ENDPOINTS


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_every_endpoint_is_named(method: str, path: str) -> None:
    assert any(covers(name, method, path) for name in named("Endpoints")), f"{method} {path}"


def fields(model: Any, parent: str = "") -> set[str]:
    return {parent + (field.alias or name) for name, field in model.model_fields.items()}


def kinds(annotation: Any) -> Iterator[str]:
    """The words that tell the members of a union of models apart."""
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif fields_ := getattr(annotation, "model_fields", None):
        for name in fields_.keys() & {"id", "type", "role"}:
            yield from kinds(fields_[name].annotation)
    else:
        for inner in get_args(annotation):
            yield from kinds(inner)


PROVIDER = fields(components.ProviderPreferences, "provider.")
PLUGINS = set(kinds(components.ChatRequest.model_fields["plugins"].annotation))
FORMATS = set(kinds(components.ChatRequest.model_fields["response_format"].annotation))
HEADERS = fields(operations.SendChatCompletionRequestRequest) - {"chat_request"}
REQUESTS = [
    (CHAT, fields(components.ChatRequest) - {"provider"} | PROVIDER | PLUGINS | FORMATS | HEADERS),
    (
        "POST /images",
        fields(components.ImageGenerationRequest) - {"provider"}
        | fields(components.ImageGenerationProviderPreferences, "provider.")
        | fields(components.ImageGenerationResponse),
    ),
    (
        "POST /embeddings",
        fields(operations.CreateEmbeddingsRequestBody)
        | fields(operations.CreateEmbeddingsResponseBody),
    ),
    ("GET /models", fields(operations.GetModelsRequest) - HEADERS),
    (
        ANSWER,
        fields(components.ChatResult) - {"usage"}
        | fields(components.ChatChoice)
        | fields(components.ChatAssistantMessage)
        | fields(components.ChatStreamChunk) - {"usage"}
        | fields(components.ChatStreamChoice)
        | fields(components.ChatStreamDelta)
        | fields(components.ChatUsage, "usage."),
    ),
]


def test_the_sdk_says_what_there_is() -> None:
    assert {"web", "file-parser", "response-healing"} <= PLUGINS
    assert {"text", "json_schema", "python"} <= FORMATS


@pytest.mark.parametrize(("section", "all_of_it"), REQUESTS, ids=[name for name, _ in REQUESTS])
def test_every_parameter_is_named(section: str, all_of_it: set[str]) -> None:
    assert len(all_of_it) > 8
    assert not all_of_it - named(section)
