"""An instance: its rooms are built when they are needed, and nothing connects."""

import dataclasses
from typing import Any

import pytest

from firerouter.app import edge
from firerouter.app.bootstrap import App
from firerouter.app.callables import FUNCTIONS, DeployedFunction
from firerouter.app.environment import EnvironmentRefused
from firerouter.app.limits import Limits
from firerouter.callable import WireLimits
from firerouter.openrouter import OpenRouterLimits

LOCAL = {
    "FUNCTIONS_EMULATOR": "true",
    "GCLOUD_PROJECT": "demo-bootstrap",
    "FIRESTORE_EMULATOR_HOST": "127.0.0.1:9",
}
ROOMS = ("users", "keys", "models", "features", "files", "delivery", "conversations", "admin")


@pytest.fixture
async def app(monkeypatch: pytest.MonkeyPatch) -> App:
    """An instance on the test's own loop."""
    for name, value in LOCAL.items():
        monkeypatch.setenv(name, value)
    return App(LOCAL)


async def test_a_room_is_a_value_with_its_parts(app: App) -> None:
    for name in (*ROOMS, "generation", "wires"):
        room: Any = getattr(app, name)
        assert dataclasses.is_dataclass(room)
        assert getattr(app, name) is room, "built once"
        assert all(getattr(room, field.name) for field in dataclasses.fields(room))


async def test_a_room_is_built_with_the_rooms_that_it_needs_and_no_others(app: App) -> None:
    assert app.features.listing
    built = vars(app).keys()
    assert {"features", "firestore", "users", "config"} <= built
    assert not {"generation", "files", "conversations", "delivery", "admin", "models"} & built


async def test_the_admin_room_is_built_without_what_answers_prompts(app: App) -> None:
    assert app.admin.features
    assert "generation" not in vars(app)
    assert app.preview
    assert "generation" in vars(app)


async def test_each_room_gets_its_limits() -> None:
    limits = Limits(
        callable=WireLimits(heartbeat_s=1.0), openrouter=OpenRouterLimits(connect_s=2.0)
    )
    app = App(LOCAL, limits=limits)
    assert app.wires.user.limits.heartbeat_s == app.wires.admin.limits.heartbeat_s == 1.0
    assert app.openrouter.limits.connect_s == 2.0


async def test_only_admins_are_told_what_an_admin_can_do(app: App) -> None:
    assert (app.wires.user.for_admins, app.wires.admin.for_admins) == (False, True)


async def test_an_interrupt_of_an_instance_that_ran_nothing_builds_nothing(app: App) -> None:
    app.interrupt()
    assert "generation" not in vars(app)
    assert app.generation
    app.interrupt()


async def test_two_instances_have_two_ids() -> None:
    assert App(LOCAL).instance != App(LOCAL).instance


# -- faults of the deployment ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "told", "hidden"),
    [
        (EnvironmentRefused("set GCLOUD_PROJECT"), "set GCLOUD_PROJECT", "nothing"),
        (RuntimeError("sk-or-v1-canary"), "RuntimeError", "canary"),
    ],
)
async def test_a_part_that_cannot_be_built_is_named_in_the_log(
    fault: Exception, told: str, hidden: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_app: App) -> Any:
        raise fault

    function = dataclasses.replace(FUNCTIONS[0], handler=broken)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edge, "app", lambda: None)
        with pytest.raises(type(fault)):
            edge.find_handler(function)
    line = capsys.readouterr().out
    assert '"not_built"' in line
    assert f'"function": "{function.name}"' in line
    assert told in line
    assert hidden not in line


def test_a_function_is_a_value() -> None:
    assert all(isinstance(function, DeployedFunction) for function in FUNCTIONS)
    with pytest.raises(dataclasses.FrozenInstanceError):
        FUNCTIONS[0].name = "x"  # type: ignore[misc]
