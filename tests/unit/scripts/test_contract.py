"""./scripts/contract: what it writes of the contract is fresh, whole and of the types it says."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator

from firerouter.app import FUNCTIONS
from firerouter.callable import HTTP_STATUS
from scripts.devtools.reference import schemas
from scripts.devtools.reference.__main__ import FOLDER, rendered, stale
from scripts.devtools.reference.callable_table import ADMINS, CALLABLES, EVERY
from scripts.devtools.reference.pages import NOTES
from tests.support.repository import ROOT

CHORE: Final = ROOT / "scripts" / "contract"
TSC: Final = ROOT / "node_modules" / ".bin" / "tsc"
NO_CALLABLES: Final = {
    "continuation",
    "refresh_catalog_daily",
    "reconcile_generations",
    "roll_up_usage",
}
BUILT_IN: Final = {"string", "number", "boolean", "unknown", "null", "never", "Record", "true"}


def test_the_pages_are_fresh() -> None:
    assert not stale(), "run ./scripts/contract"


def test_what_is_out_of_date_is_named(tmp_path: Path) -> None:
    files = rendered()
    for name, text in files.items():
        (tmp_path / name).write_text(text, "utf-8")
    assert not stale(tmp_path)
    (tmp_path / "errors.md").write_text("old", "utf-8")
    (tmp_path / "gone.md").write_text("of a callable that is gone", "utf-8")
    (tmp_path / "schema.json").unlink()
    assert stale(tmp_path) == ["errors.md", "gone.md", "schema.json"]


def test_the_chore_says_what_it_does() -> None:
    told = subprocess.run([CHORE, "--help"], capture_output=True, text=True, check=True, timeout=60)
    assert "--check" in told.stdout
    assert "docs/reference/" in told.stdout


def test_every_deployed_callable_has_a_page() -> None:
    names = {one.name for one in CALLABLES}
    assert names == {function.name for function in FUNCTIONS} - NO_CALLABLES
    for one in CALLABLES:
        page = (FOLDER / f"{one.name}.md").read_text("utf-8")
        assert f"| time limit | {one.timeout_s} seconds |" in page
        assert page.startswith("<!-- Written by ./scripts/contract.")


def test_every_note_belongs_to_a_page() -> None:
    assert {f"{note.stem}.md" for note in NOTES.glob("*.md")} <= rendered().keys()


def test_a_field_that_stays_as_it_is_where_it_is_omitted_has_no_default() -> None:
    found = {
        name: {
            field for field, one in given["properties"].items() if one.get("default") is not None
        }
        for name, given in schemas.build()["$defs"].items()
        if "Omitted fields don't change" in given.get("description", "")
    }
    assert found == {"SetUserLimits": {"note"}}
    page = (FOLDER / "set_user_limits.md").read_text("utf-8")
    assert re.search(r"^\| `blocked` \| boolean \| \|\s*\| Whether", page, re.MULTILINE)


def test_every_error_is_one_that_some_callable_can_fail_with() -> None:
    told = {kind.reason for one in CALLABLES for kind in one.failures}
    told |= {kind.reason for kind in (*EVERY, *ADMINS)}
    assert told == {leaf.reason for leaf in schemas.leaves()}


def test_the_table_of_reasons_is_the_tree_of_errors() -> None:
    text = (FOLDER / "errors.md").read_text("utf-8")
    table = dict(re.findall(r"^\| `(\w+)` \| ([A-Z_]+) \| \d+ \|", text, re.MULTILINE))
    assert table == {leaf.reason: leaf.status for leaf in schemas.leaves()}
    assert set(table.values()) <= HTTP_STATUS.keys()


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives a page's headings."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "page", [*FOLDER.glob("*.md"), FOLDER.parent / "wire.md"], ids=lambda page: page.name
)
def test_every_link_leads_to_a_heading(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)]+))?\)", page.read_text("utf-8")):
        linked = page.parent / target if target else page
        assert linked.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(linked), f"{page.name} links to {target}#{anchor}"


# -- the JSON Schema -------------------------------------------------------------------------------

SCHEMA: Final = schemas.build()


def test_the_schema_is_one_and_all_its_references_lead_somewhere() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    text = json.dumps(SCHEMA)
    assert set(re.findall(r'"#/\$defs/(\w+)"', text)) <= SCHEMA["$defs"].keys()
    assert not re.search(r'"title": "(?!Firerouter")', text)


@pytest.mark.parametrize("name", sorted(SCHEMA["$defs"]))
def test_every_field_is_explained(name: str) -> None:
    schema = SCHEMA["$defs"][name]
    assert schema["description"], name
    for field, property_ in schema.get("properties", {}).items():
        assert property_.get("description") or field == "type", f"{name}.{field}"
        assert property_.get("description", ".").rstrip("`").endswith((".", ")")), f"{name}.{field}"


def valid(callable_: str, part: str, value: Any) -> bool:
    schema = {**SCHEMA["properties"][callable_]["properties"][part], "$defs": SCHEMA["$defs"]}
    return Draft202012Validator(schema).is_valid(value)


@pytest.mark.parametrize(
    ("request_", "fits"),
    [
        ({"feature": "chat", "prompt": "Hi"}, True),
        ({"feature": "chat", "prompt": "Hi", "model": None}, True),
        ({"resume": "0" * 32}, True),
        ({"resume": "0"}, False),
        ({"prompt": "Hi"}, False),
        ({"feature": "two words"}, False),
        ({"feature": "chat", "temperature": 3}, False),
        ({"feature": "chat", "prompt": "Hi", "nope": 1}, False),
        ({"feature": "chat", "attachments": [{"path": "x"}] * 11}, False),
        ({"feature": "chat", "imageOptions": {"size": "2K"}}, True),
        ({"feature": "chat", "imageOptions": {"size": "huge"}}, False),
    ],
)
def test_the_schema_takes_what_the_model_takes(request_: Any, fits: bool) -> None:
    assert valid("execute_prompt", "request", request_) is fits


@pytest.mark.parametrize(
    ("input_", "fits"), [("text", True), (["a", "b"], True), (7, False), ([7], False)]
)
def test_an_input_is_one_text_or_several(input_: Any, fits: bool) -> None:
    assert valid("create_embeddings", "request", {"feature": "x", "input": input_}) is fits


# -- the TypeScript types --------------------------------------------------------------------------


def test_the_types_are_declared_once_and_refer_to_one_another() -> None:
    text = rendered()["firerouter.d.ts"]
    code = re.sub(r'/\*\*.*?\*/|//[^\n]*|"[^"\n]*"', "", text, flags=re.DOTALL)
    declared = re.findall(r"export (?:type|interface) (\w+)", code)
    assert len(declared) == len(set(declared))
    assert set(declared) == {*SCHEMA["$defs"], "Callables"}
    for opening, closing in ("{}", "()", "[]"):
        assert code.count(opening) == code.count(closing)
    named = re.findall(r"[:=&|<,(]\s*([A-Z]\w*|[a-z]+)\b(?!\??:)", code)
    assert {name for name in named if name[0].isupper()} <= {*declared, "Record"}
    assert {name for name in named if name[0].islower()} <= BUILT_IN | {"false"}
    if TSC.exists():  # with the client library
        types = FOLDER / "firerouter.d.ts"
        subprocess.run([TSC, "--noEmit", "--strict", types], check=True, timeout=120)
