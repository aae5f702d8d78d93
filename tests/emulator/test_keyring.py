"""Storing and removing keys, against a real Firestore and Secret Manager's stand-in.

Each test has a project of its own, and with it a secret of its own. Whatever cuts an operation off,
what is asserted is the same: the state of each version, what another instance serves then, and that
the next operation clears up.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import httpx
import pytest
from google.api_core.exceptions import DeadlineExceeded, ServiceUnavailable
from google.cloud import secretmanager_v1 as sm
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceGrpcAsyncIOTransport,
)

from firerouter import limits
from firerouter.bootstrap import App
from firerouter.callable import Call
from firerouter.errors import (
    InvalidArgument,
    KeyInvalid,
    KeyMissing,
    KeyStoreForbidden,
    KeyUnavailable,
    ManagementKey,
    SettingsChanged,
    SettingsUnavailable,
)
from firerouter.identity import Caller
from firerouter.keys import SECRET_ID
from scripts.local.suite import Suite

ONE = "sk-or-v1-canary-key-number-aaa1"
TWO = "sk-or-v1-canary-key-number-bbb2"
THREE = "sk-or-v1-canary-key-number-ccc3"
ON, OFF = "ENABLED", "DISABLED"


class Killed(BaseException):
    """The instance ends here: nothing of it catches this."""


class Instance:
    """The functions' own parts, as one instance has them, called as an admin."""

    def __init__(self, suite: Suite, project: str) -> None:
        self.app = App({**suite.environment(), "GCLOUD_PROJECT": project})

    async def set(self, key: str, uid: str = "ann") -> dict[str, Any]:
        return await self.app.keyring.set_key(_call({"key": key}, uid))

    async def remove(self, uid: str = "ann") -> dict[str, Any]:
        return await self.app.keyring.remove_key(_call(None, uid))

    async def serves(self) -> str:
        return (await self.app.keys.get()).reveal()


def _call(data: Any, uid: str) -> Call[Caller]:
    caller = Caller(uid, "app", admin=True, email=f"{uid}@demo.test")
    return Call(data, {}, caller=caller, streaming=False, trace_id="0" * 32)


class World:
    """One project: its instances, its versions, its documents."""

    def __init__(self, suite: Suite, project: str) -> None:
        self._suite = suite
        self._project = project
        self._instances: list[Instance] = []
        channel = grpc.aio.insecure_channel(suite.secret_manager_host)
        self.secrets = sm.SecretManagerServiceAsyncClient(
            transport=SecretManagerServiceGrpcAsyncIOTransport(channel=channel)
        )
        self.secret = f"projects/{project}/secrets/{SECRET_ID}"
        self.firestore = self.instance().app.firestore

    def instance(self) -> Instance:
        self._instances.append(Instance(self._suite, self._project))
        return self._instances[-1]

    async def close(self) -> None:
        for instance in self._instances:
            if (client := instance.app.openrouter._client) is not None:
                await client.close()

    async def versions(self) -> list[str]:
        """The state of each version, from the first."""
        pages = await self.secrets.list_secret_versions(parent=self.secret)
        return [version.state.name async for version in pages][::-1]

    async def config(self) -> dict[str, Any]:
        snapshot = await self.firestore.document("config/app").get()
        return snapshot.to_dict() or {}

    async def audit(self) -> list[dict[str, Any]]:
        entries = [e.to_dict() or {} async for e in self.firestore.collection("audit").stream()]
        return sorted(entries, key=lambda entry: entry["at"])

    async def fail(self, method: str, code: str = "UNAVAILABLE", count: int = 1) -> None:
        """The next calls of that method of Secret Manager fail."""
        order = {"method": method, "code": code, "count": count}
        async with httpx.AsyncClient(trust_env=False) as http:
            url = f"{self._suite.secret_manager_control}/sim/fail"
            (await http.post(url, json=order)).raise_for_status()

    async def is_clean_after_another(self, key: str, versions: list[str]) -> None:
        await self.instance().set(key)
        assert await self.instance().serves() == key
        assert await self.versions() == versions


@pytest.fixture
async def world(
    suite: Suite, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", suite.firestore_host)
    # every look at the settings is a fresh one: what takes seconds is tested by itself
    monkeypatch.setattr(limits, "SETTINGS_FRESH_S", 0.0)
    monkeypatch.setattr(limits, "SETTINGS_STALE_S", 0.0)
    world = World(suite, f"demo-keyring-{abs(hash(request.node.name)) % 10**9}")
    yield world
    for method in ("ListSecretVersions", "AddSecretVersion", "DisableSecretVersion"):
        await world.fail(method, count=0)
    await world.close()


# -- set -------------------------------------------------------------------------------------------


async def test_the_first_key_makes_the_secret_and_serves_everywhere(world: World) -> None:
    instance = world.instance()
    with pytest.raises(KeyMissing):
        await instance.serves()
    result = await instance.set(ONE)
    assert result["version"] == 1
    assert result["lastFour"] == "aaa1"
    assert result["warnings"] == []
    assert await instance.serves() == await world.instance().serves() == ONE
    assert await world.versions() == [ON]
    stored = (await world.config())["keys"]["default"]
    assert stored.pop("checkedAt").isoformat() == result["checkedAt"]
    assert stored == {
        "version": 1,
        "lastFour": "aaa1",
        "isFreeTier": False,
        "limitUsd": 10.0,
        "limitRemainingUsd": 9.75,
    }


async def test_another_key_replaces_it_and_both_are_in_the_audit(world: World) -> None:
    await world.instance().set(ONE)
    elsewhere = world.instance()
    assert await elsewhere.serves() == ONE
    await world.instance().set(TWO, "bob")
    assert await elsewhere.serves() == TWO
    assert await world.versions() == [OFF, ON]
    first, second = await world.audit()
    assert (first["before"], first["after"]) == (None, {"version": 1, "lastFour": "aaa1"})
    del second["at"]
    assert second == {
        "by": "bob",
        "email": "bob@demo.test",
        "action": "set_openrouter_key",
        "target": "config/app keys.default",
        "before": {"version": 1, "lastFour": "aaa1"},
        "after": {"version": 2, "lastFour": "bbb2"},
    }


@pytest.mark.parametrize(
    ("key", "refusal"),
    [
        ("sk-or-v1-revoked-canary", KeyInvalid),
        ("not-even-one-canary", KeyInvalid),
        ("sk-or-v1-management-canary", ManagementKey),
        ("sk-or-v1 canary with spaces", InvalidArgument),
        ("sk-or-v1-canary\x00", InvalidArgument),
        ("sk", InvalidArgument),
        ("sk-or-v1-canary-" + "x" * 600, InvalidArgument),
    ],
)
async def test_a_key_that_is_no_good_is_not_stored(
    world: World, key: str, refusal: type[Exception]
) -> None:
    await world.instance().set(ONE)
    with pytest.raises(refusal) as refused:
        await world.instance().set(key)
    assert getattr(refused.value, "details", {})["field"] == "key"
    assert "canary" not in str(refused.value)
    assert await world.versions() == [ON]
    assert await world.instance().serves() == ONE
    assert len(await world.audit()) == 1


async def test_an_admin_is_warned_of_a_key_without_credits(world: World) -> None:
    result = await world.instance().set("sk-or-v1-free-tier-aaa1")
    assert [warning["reason"] for warning in result["warnings"]] == ["free_tier"]
    assert result["isFreeTier"] is True


async def test_an_admin_is_warned_of_a_key_that_is_nearly_spent(world: World) -> None:
    result = await world.instance().set("sk-or-v1-no-credit-aaa1")
    assert [warning["reason"] for warning in result["warnings"]] == ["low_limit"]


async def test_a_key_stored_before_the_first_boot_is_replaced_like_any_other(
    suite: Suite, world: World
) -> None:
    from scripts.local.seed import store_key  # imports grpc

    store_key(suite.secret_manager_host, world.secret.split("/")[1], ONE)
    assert await world.instance().serves() == ONE
    await world.is_clean_after_another(TWO, [OFF, ON])


async def test_the_versions_of_other_keys_are_left_alone(world: World) -> None:
    await world.instance().set(ONE)
    await world.instance().app.vault.add(await world.instance().app.keys.get())
    await world.firestore.document("config/app").update({"keys.chat": {"version": 2}})
    await world.is_clean_after_another(TWO, [OFF, ON, ON])
    await world.instance().remove()
    assert await world.versions() == [OFF, ON, OFF]
    assert (await world.config())["keys"] == {"default": None, "chat": {"version": 2}}


async def test_what_was_typed_beside_a_key_by_hand_is_not_copied_into_the_audit(
    world: World,
) -> None:
    typed = {"default": {"version": "1", "lastFour": ONE, "key": ONE}}
    await world.firestore.document("config/app").set({"keys": typed})
    await world.instance().set(TWO)
    (entry,) = await world.audit()
    assert entry["before"] == {"version": None, "lastFour": "aaa1"}


# -- remove ----------------------------------------------------------------------------------------


async def test_a_key_that_is_removed_serves_nowhere(world: World) -> None:
    await world.instance().set(ONE)
    elsewhere = world.instance()
    assert await elsewhere.serves() == ONE
    assert await world.instance().remove() == {
        "removed": True,
        "lastFour": "aaa1",
        "warnings": [],
    }
    for instance in (elsewhere, world.instance()):
        with pytest.raises(KeyMissing):
            await instance.serves()
    assert await world.versions() == [OFF]
    assert (await world.config())["keys"] == {"default": None}
    entry = (await world.audit())[-1]
    assert entry["action"] == "remove_openrouter_key"
    assert (entry["before"], entry["after"]) == ({"version": 1, "lastFour": "aaa1"}, None)


async def test_removing_twice_changes_nothing_the_second_time(world: World) -> None:
    await world.instance().set(ONE)
    await world.instance().remove()
    again = await world.instance().remove()
    assert again == {"removed": False, "lastFour": None, "warnings": []}
    assert len(await world.audit()) == 2


async def test_the_key_of_the_first_boot_does_not_come_back_once_removed(
    suite: Suite, world: World
) -> None:
    from scripts.local.seed import store_key  # imports grpc

    store_key(suite.secret_manager_host, world.secret.split("/")[1], ONE)
    assert (await world.instance().remove())["removed"] is True
    # by hand, in Google's console: still no admin has said that it is to serve
    await world.secrets.enable_secret_version(name=f"{world.secret}/versions/1")
    with pytest.raises(KeyMissing):
        await world.instance().serves()


async def test_after_a_removal_another_key_can_be_set(world: World) -> None:
    await world.instance().set(ONE)
    await world.instance().remove()
    await world.is_clean_after_another(TWO, [OFF, ON])


# -- cut off ---------------------------------------------------------------------------------------

SET_CUTS: list[tuple[str, str, str, list[str]]] = [
    # where, what serves then, the versions then
    ("app_settings", "read", ONE, [ON]),
    ("vault", "enabled", ONE, [ON]),
    ("vault", "add", ONE, [ON]),
    ("app_settings", "save_key", ONE, [ON, ON]),
    ("keys", "put", TWO, [ON, ON]),
    ("vault", "disable", TWO, [ON, ON]),
]


@pytest.mark.parametrize(("part", "step", "serves", "versions"), SET_CUTS)
async def test_a_set_cut_off_leaves_a_key_that_works(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    part: str,
    step: str,
    serves: str,
    versions: list[str],
) -> None:
    await world.instance().set(ONE)
    _kill_at(monkeypatch, instance := world.instance(), part, step)
    with pytest.raises(Killed):
        await instance.set(TWO)
    assert await world.versions() == versions
    assert await world.instance().serves() == serves
    assert len(await world.audit()) == (2 if serves == TWO else 1)
    await world.is_clean_after_another(THREE, [OFF] * len(versions) + [ON])


@pytest.mark.parametrize(("part", "step"), [("app_settings", "save_key"), ("vault", "disable")])
async def test_a_removal_cut_off_has_happened_or_not(
    world: World, monkeypatch: pytest.MonkeyPatch, part: str, step: str
) -> None:
    await world.instance().set(ONE)
    _kill_at(monkeypatch, instance := world.instance(), part, step)
    with pytest.raises(Killed):
        await instance.remove()
    assert await world.versions() == [ON]
    if step == "save_key":
        assert await world.instance().serves() == ONE
    else:
        with pytest.raises(KeyMissing):
            await world.instance().serves()
    assert (await world.instance().remove())["removed"] is (step == "save_key")
    assert await world.versions() == [OFF]


def _kill_at(monkeypatch: pytest.MonkeyPatch, instance: Instance, part: str, step: str) -> None:
    def kill(*_: Any, **__: Any) -> None:
        raise Killed

    monkeypatch.setattr(getattr(instance.app, part), step, kill)


# -- Secret Manager fails --------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["ListSecretVersions", "AddSecretVersion"])
@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("UNAVAILABLE", KeyUnavailable),
        ("INTERNAL", KeyUnavailable),
        ("RESOURCE_EXHAUSTED", KeyUnavailable),
        ("PERMISSION_DENIED", KeyStoreForbidden),
    ],
)
async def test_a_store_that_fails_before_the_change_changes_nothing(
    world: World, method: str, code: str, failure: type[Exception]
) -> None:
    await world.instance().set(ONE)
    await world.fail(method, code)
    with pytest.raises(failure):
        await world.instance().set(TWO)
    assert await world.versions() == [ON]
    assert await world.instance().serves() == ONE
    await world.is_clean_after_another(THREE, [OFF, ON])


async def test_a_store_that_fails_after_the_change_is_a_warning(world: World) -> None:
    await world.instance().set(ONE)
    await world.fail("DisableSecretVersion")
    result = await world.instance().set(TWO)
    assert [warning["reason"] for warning in result["warnings"]] == ["old_key_enabled"]
    assert await world.versions() == [ON, ON]
    assert await world.instance().serves() == TWO
    await world.is_clean_after_another(THREE, [OFF, OFF, ON])


async def test_a_version_that_is_destroyed_meanwhile_needs_no_disabling(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.instance().set(ONE)

    async def destroy() -> None:
        await world.secrets.destroy_secret_version(name=f"{world.secret}/versions/1")

    _before(monkeypatch, instance := world.instance(), "vault", "disable", destroy)
    assert (await instance.set(TWO))["warnings"] == []
    assert await world.versions() == ["DESTROYED", ON]


# -- several admins --------------------------------------------------------------------------------


def _before(
    monkeypatch: pytest.MonkeyPatch,
    instance: Instance,
    part: str,
    step: str,
    first: Callable[[], Awaitable[Any]],
) -> None:
    """Something else happens between the steps of an instance."""
    go_on = getattr(getattr(instance.app, part), step)

    async def both(*args: Any, **kwargs: Any) -> Any:
        await first()
        return await go_on(*args, **kwargs)

    monkeypatch.setattr(getattr(instance.app, part), step, both)


@pytest.mark.parametrize("step", ["add", "save_key"])
async def test_of_two_admins_who_save_at_once_the_second_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    await world.instance().set(ONE)
    ann, bob = world.instance(), world.instance()
    part = "vault" if step == "add" else "app_settings"
    _before(monkeypatch, ann, part, step, lambda: bob.set(TWO, "bob"))
    with pytest.raises(SettingsChanged):
        await ann.set(THREE, "ann")
    assert await world.instance().serves() == TWO
    assert sorted(await world.versions()) == [OFF, OFF, ON]
    assert [entry["by"] for entry in await world.audit()] == ["ann", "bob"]


async def test_a_key_removed_while_another_is_set_stays_removed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.instance().set(ONE)
    ann, bob = world.instance(), world.instance()
    _before(monkeypatch, ann, "app_settings", "save_key", bob.remove)
    with pytest.raises(SettingsChanged):
        await ann.set(TWO)
    assert await world.versions() == [OFF, OFF]
    with pytest.raises(KeyMissing):
        await world.instance().serves()


async def test_a_key_set_while_it_is_being_removed_serves(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is added after the removal began is not the removal's to disable."""
    await world.instance().set(ONE)
    ann, bob = world.instance(), world.instance()
    _before(monkeypatch, ann, "vault", "disable", lambda: bob.set(TWO))
    await ann.remove()
    assert await world.instance().serves() == TWO
    assert await world.versions() == [OFF, ON]


async def test_many_admins_at_once_leave_one_key_that_serves(world: World) -> None:
    keys = [f"sk-or-v1-canary-crowd-{n:04}" for n in range(8)]
    outcomes = await asyncio.gather(
        *(world.instance().set(key, f"admin-{n}") for n, key in enumerate(keys)),
        return_exceptions=True,
    )
    saved = [outcome for outcome in outcomes if isinstance(outcome, dict)]
    assert saved
    assert {type(o) for o in outcomes if not isinstance(o, dict)} <= {SettingsChanged}
    serving = (await world.config())["keys"]["default"]["version"]
    states = await world.versions()
    assert [number for number, state in enumerate(states, 1) if state == ON] == [serving]
    assert len(await world.audit()) == len(saved)


async def test_a_change_of_something_else_is_no_reason_to_refuse(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.instance().set(ONE)

    async def rename() -> None:
        await world.firestore.document("config/app").update({"appName": "Renamed"})

    _before(monkeypatch, instance := world.instance(), "app_settings", "save_key", rename)
    await instance.set(TWO)
    config = await world.config()
    assert config["appName"] == "Renamed"
    assert config["keys"]["default"]["version"] == 2
    assert await world.versions() == [OFF, ON]


# -- Firestore's answers get lost ------------------------------------------------------------------

Commit = Callable[..., Awaitable[Any]]


def _commits(instance: Instance, send: Callable[..., Awaitable[Any]]) -> None:
    """Sends every commit of an instance through `send(commit, ...)`."""
    api = instance.app.firestore._firestore_api
    commit = api.commit
    api.commit = lambda *args, **kwargs: send(commit, *args, **kwargs)


async def test_a_commit_that_is_applied_twice_is_one_change(world: World) -> None:
    async def twice(commit: Commit, *args: Any, **kwargs: Any) -> Any:
        await commit(*args, **kwargs)
        return await commit(*args, **kwargs)

    for key in (ONE, TWO):  # the document created, the document updated
        _commits(instance := world.instance(), twice)
        await instance.set(key)
    assert await world.versions() == [OFF, ON]
    assert len(await world.audit()) == 2
    _commits(instance := world.instance(), twice)
    assert (await instance.remove())["removed"] is True
    assert len(await world.audit()) == 3


async def test_a_commit_whose_answer_is_lost_is_found_to_be_made(world: World) -> None:
    async def lost(commit: Commit, *args: Any, **kwargs: Any) -> Any:
        await commit(*args, **kwargs)
        raise DeadlineExceeded("x")  # type: ignore[no-untyped-call]  # it ships no types

    await world.instance().set(ONE)
    _commits(instance := world.instance(), lost)
    await instance.set(TWO)
    assert await world.versions() == [OFF, ON]
    assert await world.instance().serves() == TWO


async def test_a_commit_that_may_yet_be_made_leaves_both_keys_enabled(world: World) -> None:
    async def away(commit: Commit, *args: Any, **kwargs: Any) -> Any:
        raise ServiceUnavailable("x")  # type: ignore[no-untyped-call]  # it ships no types

    await world.instance().set(ONE)
    _commits(instance := world.instance(), away)
    with pytest.raises(SettingsUnavailable):
        await instance.set(TWO)
    assert await world.versions() == [ON, ON]
    assert await world.instance().serves() == ONE
    await world.is_clean_after_another(THREE, [OFF, OFF, ON])


# -- other instances -------------------------------------------------------------------------------


async def test_an_instance_that_has_not_heard_of_a_rotation_looks_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It knows which version served, and finds it disabled."""
    monkeypatch.setattr(limits, "SETTINGS_FRESH_S", 60.0)
    await world.instance().set(ONE)
    late = world.instance()
    assert await late.app.app_settings.key_version() == 1
    await world.instance().set(TWO)
    assert await late.serves() == TWO


async def test_an_instance_that_knows_a_key_needs_no_store(world: World) -> None:
    await world.instance().set(ONE)
    instance = world.instance()
    await instance.serves()
    await world.fail("AccessSecretVersion", count=100)
    try:
        assert await instance.serves() == ONE
    finally:
        await world.fail("AccessSecretVersion", count=0)
