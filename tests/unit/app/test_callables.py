"""The table of the deployed functions: what is made from it, and that each row has its handler."""

import inspect
import re

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
from firerouter.errors import InvalidArgument
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


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_an_entry_point_has_its_functions_name(function: DeployedFunction) -> None:
    assert edge.entry_point(function).__name__ == function.name


def test_every_callable_is_documented() -> None:
    pages = ROOT / "docs" / "reference"
    missing = [r.name for r in functions_for(USER, ADMIN) if not (pages / f"{r.name}.md").exists()]
    assert not missing
