"""The table of the deployed functions: what is made from it, and that each row has its handler."""

import asyncio
import inspect
import json
import re
from collections.abc import MutableMapping
from typing import Any

import pytest

from firerouter.app import edge
from firerouter.app.bootstrap import App
from firerouter.app.callables import (
    ADMIN,
    FUNCTIONS,
    QUEUE,
    SCHEDULE,
    USER,
    Audience,
    DeployedFunction,
    Queue,
    Schedule,
    functions_for,
)
from firerouter.callable import Call, CallableError
from firerouter.errors import InvalidArgument
from firerouter.users import Caller
from tests.support.calls import call_of
from tests.support.repository import ROOT

EMULATED = {
    "FUNCTIONS_EMULATOR": "true",
    "GCLOUD_PROJECT": "demo-table",
    "FIRESTORE_EMULATOR_HOST": "127.0.0.1:9",
    "FIREBASE_CONFIG": "{}",
}


@pytest.fixture
async def app(monkeypatch: pytest.MonkeyPatch) -> App:
    """An instance that is built, and connects to nothing."""
    for name, value in EMULATED.items():
        monkeypatch.setenv(name, value)
    return App(EMULATED)


def test_names_are_unique_and_clients_can_call_them() -> None:
    names = [function.name for function in FUNCTIONS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in names)


def test_main_serves_each_row_under_its_name() -> None:
    import main

    for function in FUNCTIONS:
        served = getattr(main, function.name)
        assert served.__name__ == function.name
        assert inspect.iscoroutinefunction(served), "or functions-framework runs it in a thread"


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
async def test_each_row_finds_its_handler_in_an_instance(
    function: DeployedFunction, app: App
) -> None:
    handler = function.handler(app)
    parameters = inspect.signature(handler).parameters
    assert len(parameters) == (0 if function.audience == SCHEDULE else 1)
    assert inspect.iscoroutinefunction(getattr(handler, "func", handler))


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_what_google_calls_says_when(function: DeployedFunction) -> None:
    kinds: dict[str, type] = {SCHEDULE: Schedule, QUEUE: Queue, USER: type(None), ADMIN: type(None)}
    assert isinstance(function.trigger, kinds[function.audience])
    assert 0 < function.timeout_s <= 3_600  # what Cloud Run allows
    if function.audience == SCHEDULE:
        assert function.timeout_s <= 1_800  # what Cloud Scheduler waits for


@pytest.mark.parametrize(("name", "audience"), [("api", USER), ("admin_api", ADMIN)])
async def test_an_api_reaches_every_callable_for_its_callers_and_nothing_else(
    app: App, name: str, audience: Audience
) -> None:
    (api,) = (function for function in FUNCTIONS if function.name == name)
    assert api.audience == audience
    with pytest.raises(InvalidArgument) as refused:
        await api.handler(app)(call_of({"endpoint": name}, "ann"))
    reached = refused.value.message.removeprefix("endpoint must be one of ").rstrip(".")
    assert {*reached.split(", "), name} == {function.name for function in functions_for(audience)}
    assert api.timeout_s == max(function.timeout_s for function in functions_for(audience))


async def test_a_call_through_the_api_is_counted_as_what_it_reaches(app: App) -> None:
    (api,) = (function for function in FUNCTIONS if function.name == "api")
    most = app.limits.calls.stop.at_once
    reasons = []
    for _ in range(most + 1):
        with pytest.raises(CallableError) as refused:
            await api.handler(app)(call_of({"endpoint": "stop_generation"}, "ann"))
        reasons.append(refused.value.reason)
    assert reasons == ["invalid_argument"] * most + ["quota_exceeded"]
    with pytest.raises(InvalidArgument):  # each user by themselves
        await api.handler(app)(call_of({"endpoint": "stop_generation"}, "ben"))


def test_every_callable_counts_as_what_it_costs() -> None:
    kinds = {function.name: function.call_kind for function in functions_for(USER, ADMIN)}
    assert kinds["execute_prompt"] == kinds["create_embeddings"] == "ask"
    assert kinds["export_conversation"] == kinds["export_my_data"] == "export"
    assert {function.call_kind for function in functions_for(ADMIN)} == {"admin"}


async def test_an_entry_point_counts_a_call_before_its_body_is_read(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def authenticate(headers: object) -> Caller:
        return Caller("ann")

    async def off() -> str:
        return "off"

    monkeypatch.setattr(edge, "app", lambda: app)
    monkeypatch.setattr(app.wires.user, "authenticate", authenticate)
    monkeypatch.setattr(app, "_single_use_app_check", off)
    serve = edge.entry_point(next(f for f in FUNCTIONS if f.name == "stop_generation"))
    headers = [(b"content-type", b"application/json")]
    read: list[str] = []
    is_read: list[bool] = []  # this request's body
    told: list[str] = []

    async def receive() -> dict[str, object]:
        if is_read:
            await asyncio.Event().wait()
        is_read.append(True)
        read.append("body")
        return {"type": "http.request", "body": b'{"data":{}}', "more_body": False}

    async def send(event: MutableMapping[str, Any]) -> None:
        if body := event.get("body"):
            told.append(json.loads(body)["error"]["details"]["reason"])

    for _ in range(app.limits.calls.stop.at_once + 5):
        response = await serve(None)  # type: ignore[arg-type]  # a callable reads the ASGI scope
        before, is_read = len(read), list[bool]()
        await response({"method": "POST", "path": "/", "headers": headers}, receive, send)
        assert (len(read) > before) == (told[-1] == "invalid_argument")
    assert told[-5:] == ["quota_exceeded"] * 5


@pytest.mark.parametrize("fails", [False, True])
async def test_an_entry_point_charges_what_a_call_took_also_one_that_failed(
    app: App, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    async def authenticate(headers: object) -> Caller:
        return Caller("ann")

    async def off() -> str:
        return "off"

    async def heavy(call: Call[Caller]) -> object:
        call.weigh(documents=100 * app.limits.calls.look.at_once)
        if fails:
            raise InvalidArgument("no", field="x")
        return {}

    async def receive() -> dict[str, object]:
        if asked:
            await asyncio.Event().wait()
        asked.append(True)
        return {"type": "http.request", "body": b'{"data":{}}', "more_body": False}

    async def send(event: MutableMapping[str, Any]) -> None:
        if body := event.get("body"):
            told.append(body)

    monkeypatch.setattr(edge, "app", lambda: app)
    monkeypatch.setattr(app.wires.user, "authenticate", authenticate)
    monkeypatch.setattr(app, "_single_use_app_check", off)
    serve = edge.entry_point(DeployedFunction("heavy", USER, lambda _: heavy, calls="look"))
    told: list[bytes] = []
    headers = [(b"content-type", b"application/json")]
    for _ in range(2):
        asked: list[bool] = []
        response = await serve(None)  # type: ignore[arg-type]  # a callable reads the ASGI scope
        await response({"method": "POST", "path": "/", "headers": headers}, receive, send)
    assert [b"callsPerMinute" in body for body in told] == [False, True]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_an_entry_point_has_its_functions_name(function: DeployedFunction) -> None:
    assert edge.entry_point(function).__name__ == function.name


def test_every_callable_is_documented() -> None:
    pages = ROOT / "docs" / "reference"
    missing = [r.name for r in functions_for(USER, ADMIN) if not (pages / f"{r.name}.md").exists()]
    assert not missing
