"""The pages of docs/reference/, as Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from firerouter.callable import HTTP_STATUS, CallableError
from scripts.devtools.reference.callable_table import (
    ADMINS,
    CALLABLES,
    EVERY,
    Callable,
    failures_of,
)
from scripts.devtools.reference.schemas import REF, Schema, leaves

NOTES: Final = Path(__file__).parent / "notes"
EXAMPLES: Final = Path(__file__).parent / "examples.json"
GENERATED: Final = (
    "<!-- Written by ./scripts/contract. Edit functions/firerouter/contract and "
    "scripts/devtools/reference instead. -->\n"
)
FRAMES: Final = (
    "StartFrame",
    "TextFrame",
    "ReasoningFrame",
    "RetryFrame",
    "RepairFrame",
    "JsonFrame",
    "ToolCallFrame",
    "CitationFrame",
    "ImageFrame",
    "FailureFrame",
    "ComparisonStartFrame",
    "ModelTag",
    "ResultFrame",
    "ErrorFrame",
)
ERRORS: Final = ("ErrorBody", "ErrorDetails", "SettingsVersion")
APIS: Final = ("api", "admin_api")  # call any of the others
AUDIENCES: Final = {"user": "any signed-in user", "admin": "admins"}


@dataclass(frozen=True, slots=True)
class Example:
    """An example that is printed, and run by tests/system/test_reference.py.

    Args:
        callable: The callable's name.
        title: What it shows.
        request: The data of the call.
        answer: Its result, as far as it is the same every time: a test compares the keys.
        stream: The frames before the result, if the call is streamed.
        before: Calls that come first, as (callable, data).
        take: Fields of the request that come from the last of these results.
    """

    callable: str
    title: str
    request: Mapping[str, Any]
    answer: Any
    stream: tuple[Mapping[str, Any], ...] = ()
    before: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    take: Mapping[str, str] | None = None


def examples() -> list[Example]:
    """Return all examples, in the order of the pages."""
    return [
        Example(
            **{
                **item,
                "stream": tuple(item.get("stream", ())),
                "before": tuple(tuple(call) for call in item.get("before", ())),
            }
        )
        for item in json.loads(EXAMPLES.read_text("utf-8"))
    ]


def render(schema: Schema) -> dict[str, str]:
    """Return the text of each page by the name of its file."""
    pages = Pages(schema["$defs"], examples())
    return {
        "README.md": pages.index(),
        **{f"{one.name}.md": pages.callable(one) for one in CALLABLES},
        "frames.md": pages.frames(),
        "errors.md": pages.errors(),
        "conversations.md": _page(_note("conversations")),
    }


class Pages:
    """Renders the pages, which link to one another."""

    def __init__(self, defs: Mapping[str, Schema], shown: list[Example]) -> None:
        self._defs = defs
        self._examples = shown
        self._homes = _homes(defs)

    def index(self) -> str:
        rows = [
            (f"[`{one.name}`]({one.name}.md)", AUDIENCES[one.audience], self._summary(one))
            for one in CALLABLES
        ]
        return _page(
            "# API reference",
            "Every callable function: what it takes, returns and streams, and how it can fail. The "
            "protocol that they share is in [wire.md](../wire.md).",
            _table(("Callable", "For", "What it does"), rows),
            "- [frames.md](frames.md): what a stream sends before the result\n"
            "- [errors.md](errors.md): every error\n"
            "- [conversations.md](conversations.md): what clients read in Firestore\n"
            "- [schema.json](schema.json): all of it as one JSON Schema (draft 2020-12)\n"
            "- [firerouter.d.ts](firerouter.d.ts): all of it as TypeScript types",
            _note("README"),
        )

    def callable(self, one: Callable) -> str:
        home = one.name
        if one.name in APIS:
            streams = "as the callable that is called"
        else:
            streams = "no" if one.frame is None else "yes, [these frames](#frames)"
        facts = (
            ("for", AUDIENCES[one.audience]),
            ("streams", streams),
            ("time limit", f"{one.timeout_s} seconds"),
        )
        parts = [f"# {one.name}", self._description(one), _table(("", ""), facts)]
        names = [model.__name__ for model in one.requests]
        parts += ["## Request", *self._request(names, home)]
        if one.results:
            parts += ["## Result", *self._results([kind.__name__ for kind in one.results], home)]
        inner = [name for name, where in self._homes.items() if where == home]
        own = {*names, *(kind.__name__ for kind in one.results)}
        parts += [self._section(name, home, "###") for name in inner if name not in own]
        if one.frame is not None:
            parts += ["## Frames", self._frames_of(one)]
        parts += ["## Errors", self._errors_of(one)]
        if shown := [example for example in self._examples if example.callable == one.name]:
            parts += ["## Examples", *(_example(example) for example in shown)]
        return _page(*parts, _note(one.name))

    def frames(self) -> str:
        return _page(
            "# Frames",
            "What a stream sends before its result, each in a `message` (see "
            "[wire.md](../wire.md#response)). `type` tells them apart.",
            _note("frames"),
            *(self._section(name, "frames", "##") for name in FRAMES),
        )

    def errors(self) -> str:
        return _page(
            "# Errors",
            'An error is `{"status", "message", "details"}`. Programs should go by '
            "`details.reason`, which is stable; `message` is for people, and may change.",
            "## All errors",
            _table(
                ("`reason`", "status", "HTTP", "retry", "default sentence", "meaning"),
                [
                    (
                        f"`{leaf.reason}`",
                        leaf.status,
                        str(HTTP_STATUS[leaf.status]),
                        "yes" if leaf.retryable else "no",
                        leaf.sentence,
                        _first_paragraph(leaf.__doc__) if leaf is not CallableError else "",
                    )
                    for leaf in leaves()
                ],
            ),
            "`retry`: whether the same request may succeed if it is sent again later "
            "(`details.retryable`).",
            "## Errors of every callable",
            _failures(EVERY),
            "## Errors of every callable for admins",
            _failures(ADMINS),
            *(self._section(name, "errors", "##") for name in ERRORS),
            _note("errors"),
        )

    # -- parts of a page -----------------------------------------------------------------------

    def _description(self, one: Callable) -> str:
        return str(self._defs[one.requests[0].__name__]["description"])

    def _summary(self, one: Callable) -> str:
        return self._description(one).split("\n")[0]

    def _request(self, names: list[str], home: str) -> Iterator[str]:
        for at, name in enumerate(names):
            schema = self._defs[name]
            if at:
                yield f"Or, instead: {schema['description']}"
            yield self._request_table(schema, home)

    def _request_table(self, schema: Schema, home: str) -> str:
        if not schema.get("properties"):
            return "`{}`: it takes no fields."
        return _table(
            ("Field", "Type", "Bounds", "Default", "Meaning"),
            [
                (
                    f"`{name}`",
                    self._type(_given(field), home),
                    _bounds(_given(field)),
                    _default(name, field, schema),
                    _cell(field.get("description", "")),
                )
                for name, field in schema["properties"].items()
            ],
        )

    def _results(self, names: list[str], home: str) -> Iterator[str]:
        links = " or ".join(self._link(name, home) for name in names)
        yield f"{links}. A field marked `?` is omitted if it has no value."
        for name in names:
            if self._homes[name] == home:
                yield self._section(name, home, "###")

    def _result_table(self, schema: Schema, home: str) -> str:
        required = schema.get("required", ())
        return _table(
            ("Field", "Type", "Meaning"),
            [
                (
                    f"`{name}`" if name in required else f"`{name}`?",
                    self._type(field, home),
                    _cell(field.get("description", "")),
                )
                for name, field in schema["properties"].items()
            ],
        )

    def _section(self, name: str, home: str, level: str) -> str:
        schema = self._defs[name]
        if "properties" not in schema:
            body = self._type(schema, home)
        elif _is_request(schema):
            body = self._request_table(schema, home)
        else:
            body = self._result_table(schema, home)
        return f"{level} {name}\n\n{schema.get('description', '')}\n\n{body}"

    def _frames_of(self, one: Callable) -> str:
        frames = list(dict.fromkeys(self._alternatives(str(one.frame))))
        rows = [
            (self._link(name, one.name), str(self._defs[name]["description"])) for name in frames
        ]
        return _table(("Frame", "What it says"), rows)

    def _alternatives(self, name: str) -> Iterator[str]:
        schema = self._defs[name]
        parts = [*schema.get("anyOf", ()), *schema.get("allOf", ())]
        if not parts:
            yield name
        for part in parts:
            yield from self._alternatives(part["$ref"].removeprefix(REF))

    def _errors_of(self, one: Callable) -> str:
        own = _failures(failures_of(one))
        common = "[the errors of every callable](errors.md#errors-of-every-callable)"
        if one.name in APIS:
            return f"The errors of the callable that is called, and {common}."
        return f"{own}\n\nSee also {common}."

    def _type(self, schema: Schema, home: str) -> str:  # noqa: PLR0911  # a case for each kind
        match schema:
            case {"$ref": str(ref)}:
                return self._link(ref.removeprefix(REF), home)
            case {"const": value}:
                return f"`{json.dumps(value)}`"
            case {"enum": list(values)}:
                return ", ".join(f"`{value}`" for value in values)
            case {"anyOf": list(parts)}:
                return " or ".join(dict.fromkeys(self._type(part, home) for part in parts))
            case {"type": "array", "items": items}:
                return f"list of {self._type(items, home)}"
            case {"type": "object", "patternProperties": _}:
                return "object of texts"
            case {"type": str(simple)}:
                return _WORDS.get(simple, simple)
        return "any JSON"

    def _link(self, name: str, home: str) -> str:
        if name == "Reason":
            return f"[Reason]({'' if home == 'errors' else 'errors.md'}#all-errors)"
        page = self._homes.get(name)
        if page is None:
            return f"`{name}`"
        target = "" if page == home else f"{page}.md"
        return f"[{name}]({target}#{name.lower()})"


_WORDS: Final = {"string": "text", "integer": "whole number", "null": "`null`"}


def _homes(defs: Mapping[str, Schema]) -> dict[str, str]:
    """Return the page of each type: that of the first callable that uses it."""
    homes: dict[str, str] = dict.fromkeys(ERRORS, "errors") | dict.fromkeys(FRAMES, "frames")
    for one in CALLABLES:
        if one.settings is not None:
            homes[one.settings.__name__] = one.name
    for one in CALLABLES:
        kinds = [*one.requests, *one.results, *([one.settings] if one.settings else [])]
        for name in _reached([kind.__name__ for kind in kinds], defs, one.name, homes):
            homes.setdefault(name, one.name)
    return homes


def _reached(
    names: Iterable[str], defs: Mapping[str, Schema], page: str, homes: Mapping[str, str]
) -> Iterator[str]:
    """Yield these types and all that they are made of, but for what another page explains."""
    ahead, seen = list(names), set[str]()
    while ahead:
        name = ahead.pop(0)
        if name in seen or name == "Reason" or homes.get(name, page) != page:
            continue
        seen.add(name)
        yield name
        ahead += _direct(name, defs)


def _direct(name: str, defs: Mapping[str, Schema]) -> list[str]:
    return re.findall(rf'"\$ref": "{re.escape(REF)}(\w+)"', json.dumps(defs[name]))


def _is_request(schema: Schema) -> bool:
    return schema.get("additionalProperties") is False


# -- cells of the tables ---------------------------------------------------------------------------


def _given(field: Schema) -> Schema:
    """Return the schema of a field that is given: `null` stands for one that is not."""
    parts = field.get("anyOf", ())
    rest = [part for part in parts if part != {"type": "null"}]
    if "default" not in field or len(rest) == len(parts):
        return field
    return dict(rest[0]) if len(rest) == 1 else {"anyOf": rest}


def _default(name: str, field: Schema, schema: Schema) -> str:
    if name in schema.get("required", ()):
        return "**required**"
    value = field.get("default")
    if isinstance(value, dict):
        value = {inner: given for inner, given in value.items() if given is not None}
    if value in (None, [], {}, ""):
        return ""
    return f"`{_number(value) if isinstance(value, float) else json.dumps(value)}`"


def _bounds(schema: Schema) -> str:
    if "anyOf" in schema:
        return " or ".join(filter(None, dict.fromkeys(map(_bounds, schema["anyOf"]))))
    if "exclusiveMaximum" in schema:
        schema = {**schema, "maximum": schema["exclusiveMaximum"] - 1}
    found = []
    if "exclusiveMinimum" in schema:
        found.append(f"above {_number(schema['exclusiveMinimum'])}")
    for name, unit in (("imum", ""), ("Length", " characters"), ("Items", " entries")):
        found += _range(schema.get(f"min{name}"), schema.get(f"max{name}"), unit)
    found += _range(None, schema.get("maxProperties"), " entries")
    found += [schema["$comment"]] if "$comment" in schema else []
    values = [schema.get("items"), *schema.get("patternProperties", {}).values()]
    found += [f"each {inner}" for inner in map(_bounds, filter(None, values)) if inner]
    return ", ".join(found)


def _range(least: float | None, most: float | None, unit: str) -> list[str]:
    if least is not None and (not unit or least > 1):
        end = "" if most is None else f" to {_number(most)}"
        return [f"{'from ' if most is None else ''}{_number(least)}{end}{unit}"]
    return [] if most is None else [f"up to {_number(most)}{unit}"]


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:,}"


def _cell(text: str) -> str:
    return text.replace("\n\n", " ").replace("|", "\\|")


def _first_paragraph(text: str | None) -> str:
    return _cell(" ".join((text or "").split("\n\n")[0].split()))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in lines)


def _failures(kinds: Iterable[Any]) -> str:
    return _table(
        ("`reason`", "status", "retry", "default sentence"),
        [
            (
                f"`{kind.reason}`",
                kind.status,
                "yes" if kind.retryable else "no",
                kind.sentence,
            )
            for kind in kinds
        ],
    )


def _example(example: Example) -> str:
    parts = [f"### {example.title}", "Request:", _json(example.request)]
    if example.stream:
        frames = "\n".join(json.dumps(frame, ensure_ascii=False) for frame in example.stream)
        parts += ["Frames:", f"```json\n{frames}\n```"]
    return "\n\n".join([*parts, "Result:", _json(example.answer)])


def _json(value: Any) -> str:
    return f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```"


def _note(name: str) -> str:
    """Return a page's note, which says what its tables do not."""
    path = NOTES / f"{name}.md"
    return path.read_text("utf-8").strip() if path.exists() else ""


def _page(*parts: str) -> str:
    return "\n\n".join([GENERATED.strip(), *(part for part in parts if part)]) + "\n"
