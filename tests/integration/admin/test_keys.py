"""Storing and removing keys, against a real Firestore and Secret Manager's stand-in.

Each test has a project of its own, and with it a secret of its own. Whatever cuts an operation off,
what is asserted is the same: the state of each version, what another instance serves then, and that
the next operation clears up.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from operator import attrgetter
from typing import Any

import pytest
from google.api_core.exceptions import ServiceUnavailable

from firerouter import limits
from firerouter.app.limits import Limits
from firerouter.errors import (
    InvalidArgument,
    KeyInvalid,
    KeyLimitReached,
    KeyMissing,
    KeyStoreForbidden,
    KeyUnavailable,
    ManagementKey,
    SettingsChanged,
    SettingsUnavailable,
)
from firerouter.firestore.limits import ConfigLimits
from firerouter.keys.limits import KeyLimits
from firerouter.keys.secret import Secret
from scripts.devtools.seed import store_key
from scripts.devtools.suite import Suite
from tests.support.faulty_firestore import Commit, CommitCounter, applied_twice
from tests.support.in_process import UNCACHED, Instance, World, new_world

ONE = "sk-or-v1-canary-key-number-aaa1"
TWO = "sk-or-v1-canary-key-number-bbb2"
THREE = "sk-or-v1-canary-key-number-ccc3"
FOUR = "sk-or-v1-canary-key-number-ddd4"
ON, OFF = "ENABLED", "DISABLED"


class Killed(BaseException):
    """The instance ends here: nothing of it catches this."""


@pytest.fixture
async def world(suite: Suite) -> AsyncIterator[World]:
    """A project without a key, whose instances read the settings anew with each call."""
    async with new_world(suite, key=False) as world:
        world.limits = UNCACHED
        yield world
        for method in ("ListSecretVersions", "AddSecretVersion", "DisableSecretVersion"):
            await world.secrets.fail(method, count=0)


async def orders_of(world: World) -> dict[str, list[str]]:
    """Return every slot's keys in order, the default one's as "": each can be read."""
    room = world.instance().app.keys
    keys, slots = room.pool, await room.slots.get()
    return {
        feature or "": [(await keys.read(v)).reveal() for v in slots.versions_for(feature)]
        for feature in (None, *slots.features)
    }


async def is_tidy(world: World) -> bool:
    """Return whether the versions that are enabled are those that serve somebody."""
    slots = await world.instance().app.keys.slots.get()
    return await world.instance().app.keys.vault.enabled_versions() == slots.all_versions()


async def assert_clean_after_another(world: World, key: str, versions: list[str]) -> None:
    await world.instance().set_key(key)
    assert await world.instance().serving_key() == key
    assert await world.secrets.versions() == versions


# -- set -------------------------------------------------------------------------------------------


async def test_the_first_key_makes_the_secret_and_serves_everywhere(world: World) -> None:
    instance = world.instance()
    with pytest.raises(KeyMissing):
        await instance.serving_key()
    result = await instance.set_key(ONE)
    assert result["version"] == 1
    assert result["lastFour"] == "aaa1"
    assert result["warnings"] == []
    assert await instance.serving_key() == await world.instance().serving_key() == ONE
    assert await world.secrets.versions() == [ON]
    (stored,) = (await world.document("config/app"))["keys"]["default"]
    assert stored.pop("checkedAt").isoformat() == result["checkedAt"]
    assert stored == {
        "version": 1,
        "lastFour": "aaa1",
        "isFreeTier": False,
        "limitUsd": 10.0,
        "limitRemainingUsd": 9.75,
        "setBy": "ann@demo.test",
    }


async def test_another_key_replaces_it_and_both_are_in_the_audit(world: World) -> None:
    await world.instance().set_key(ONE)
    elsewhere = world.instance()
    assert await elsewhere.serving_key() == ONE
    await world.instance().set_key(TWO, "bob")
    assert await elsewhere.serving_key() == TWO
    assert await world.secrets.versions() == [OFF, ON]
    first, second = await world.audit()
    assert (first["before"], first["after"]) == (None, [{"version": 1, "lastFour": "aaa1"}])
    del second["at"]
    assert second == {
        "by": "bob",
        "email": "bob@demo.test",
        "action": "set_openrouter_key",
        "target": "config/app keys.default",
        "before": [{"version": 1, "lastFour": "aaa1"}],
        "after": [{"version": 2, "lastFour": "bbb2"}],
        "note": None,
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
    await world.instance().set_key(ONE)
    with pytest.raises(refusal) as refused:
        await world.instance().set_key(key)
    assert getattr(refused.value, "details", {})["field"] == "key"
    assert "canary" not in str(refused.value)
    assert await world.secrets.versions() == [ON]
    assert await world.instance().serving_key() == ONE
    assert len(await world.audit()) == 1


async def test_an_admin_is_warned_of_a_key_without_credits(world: World) -> None:
    result = await world.instance().set_key("sk-or-v1-free-tier-aaa1")
    assert [warning["reason"] for warning in result["warnings"]] == ["free_tier"]
    assert result["isFreeTier"] is True


async def test_a_key_with_nothing_left_replaces_no_good_one(world: World) -> None:
    await world.instance().set_key(ONE)
    with pytest.raises(KeyLimitReached) as refused:
        await world.instance().set_key("sk-or-v1-no-credit-aaa1")
    assert refused.value.details["field"] == "key"
    assert "Nothing is left of this key's limit" in refused.value.admin_message
    assert await world.secrets.versions() == [ON]
    assert await world.instance().serving_key() == ONE


async def test_a_key_for_a_feature_that_does_not_exist_is_warned_of(world: World) -> None:
    result = await world.instance().set_key(ONE, feature="typo")
    assert [warning["reason"] for warning in result["warnings"]] == ["feature_unknown"]
    assert (await world.instance().set_key(TWO, feature="chat"))["warnings"] == []


async def test_a_key_stored_before_the_first_boot_is_replaced_like_any_other(
    suite: Suite, world: World
) -> None:
    store_key(suite.secret_manager_host, world.project, ONE)
    assert await world.instance().serving_key() == ONE
    await assert_clean_after_another(world, TWO, [OFF, ON])


async def test_what_was_typed_beside_a_key_by_hand_is_not_copied_into_the_audit(
    world: World,
) -> None:
    typed = {"default": [{"version": 1, "lastFour": ONE, "key": ONE}, ONE]}
    await world.firestore.document("config/app").set({"keys": typed})
    await world.instance().set_key(TWO)
    (entry,) = await world.audit()
    assert entry["before"] == [{"version": 1, "lastFour": "aaa1"}]
    assert "canary" not in str(await world.document("config/app"))


# -- several in order, and a feature's own ---------------------------------------------------------


async def test_keys_are_appended_replaced_and_removed_by_their_place(world: World) -> None:
    for position, key in enumerate((ONE, TWO, THREE), 1):
        result = await world.instance().set_key(key, position=position)
        assert (result["position"], result["count"]) == (position, position)
    assert await orders_of(world) == {"": [ONE, TWO, THREE]}
    assert await world.secrets.versions() == [ON, ON, ON]

    result = await world.instance().set_key(FOUR, position=2)
    assert (result["position"], result["count"], result["warnings"]) == (2, 3, [])
    assert await orders_of(world) == {"": [ONE, FOUR, THREE]}
    assert await world.secrets.versions() == [ON, OFF, ON, ON]

    removed = await world.instance().remove_key(position=1)
    assert removed == {
        "removed": True,
        "lastFour": "aaa1",
        "position": 1,
        "count": 2,
        "warnings": [],
    }
    assert await orders_of(world) == {"": [FOUR, THREE]}
    assert await world.secrets.versions() == [OFF, OFF, ON, ON]
    assert (await world.audit())[-1]["after"] == [
        {"version": 4, "lastFour": "ddd4"},
        {"version": 3, "lastFour": "ccc3"},
    ]


@pytest.mark.parametrize("place", [{}, {"feature": "chat"}])
@pytest.mark.parametrize("position", [0, -1, 3, 6, "1", 1.5, True])
async def test_a_place_that_is_none_is_refused(
    world: World, place: dict[str, Any], position: Any
) -> None:
    await world.instance().set_key(ONE, **place)
    before = await orders_of(world)
    for call in (
        world.instance().set_key(TWO, **place, position=position),
        world.instance().remove_key(**place, position=position),
        world.instance().check_key(**place, position=position),
    ):
        with pytest.raises(InvalidArgument) as refused:
            await call
        assert refused.value.details["field"] == "position"
    assert await orders_of(world) == before
    assert len(await world.audit()) == (2 if place else 1)


async def test_a_slot_takes_five_keys(world: World) -> None:
    for position in range(1, limits.KEYS_MAX + 1):
        await world.instance().set_key(ONE, position=position)
    with pytest.raises(InvalidArgument):
        await world.instance().set_key(ONE, position=limits.KEYS_MAX + 1)
    assert len((await orders_of(world))[""]) == limits.KEYS_MAX


@pytest.mark.parametrize("feature", ["", "2nd", "a b", "a.b", "`", 7, "x" * 65])
async def test_a_feature_that_can_be_none_is_refused(world: World, feature: Any) -> None:
    for call in (
        world.instance().set_key(ONE, feature=feature),
        world.instance().remove_key(feature=feature),
        world.instance().check_key(feature=feature),
    ):
        with pytest.raises(InvalidArgument) as refused:
            await call
        assert refused.value.details["field"] == "feature"


async def test_a_features_own_key_serves_it_alone(world: World) -> None:
    await world.instance().set_key(ONE)
    result = await world.instance().set_key(TWO, feature="my-own_1")
    assert (result["feature"], result["position"], result["count"]) == ("my-own_1", 1, 1)
    assert await orders_of(world) == {"": [ONE], "my-own_1": [TWO]}
    assert await world.instance().serving_key("my-own_1") == TWO
    assert await world.instance().serving_key("chat") == await world.instance().serving_key() == ONE
    entry = (await world.audit())[-1]
    assert entry["target"] == "config/app keys.features.my-own_1"
    assert (entry["before"], entry["after"]) == ([], [{"version": 2, "lastFour": "bbb2"}])

    await world.instance().set_key(THREE)
    assert await world.secrets.versions() == [OFF, ON, ON]
    await world.instance().set_key(FOUR, feature="my-own_1")
    assert await world.secrets.versions() == [OFF, OFF, ON, ON]
    assert await orders_of(world) == {"": [THREE], "my-own_1": [FOUR]}


async def test_without_keys_of_its_own_a_feature_is_served_by_the_default_ones(
    world: World,
) -> None:
    await world.instance().set_key(ONE)
    for position in (1, 2):
        await world.instance().set_key(
            (TWO, THREE)[position - 1], feature="chat", position=position
        )
    removed = await world.instance().remove_key(feature="chat")
    assert (removed["removed"], removed["feature"], removed["count"]) == (True, "chat", 0)
    assert await world.instance().serving_key("chat") == ONE
    assert await world.secrets.versions() == [ON, OFF, OFF]
    assert (await world.document("config/app"))["keys"]["features"] == {}
    again = await world.instance().remove_key(feature="chat")
    assert again["removed"] is False
    assert len(await world.audit()) == 4


async def test_the_default_keys_are_removed_and_a_features_own_still_serve_it(
    world: World,
) -> None:
    await world.instance().set_key(ONE)
    await world.instance().set_key(TWO, feature="chat")
    await world.instance().remove_key()
    assert await world.instance().serving_key("chat") == TWO
    with pytest.raises(KeyMissing):
        await world.instance().serving_key("code")
    assert await world.secrets.versions() == [OFF, ON]


async def test_a_stored_key_is_tested_by_its_place(world: World) -> None:
    await world.instance().set_key(ONE)
    await world.instance().set_key(TWO, position=2)
    await world.instance().set_key(THREE, feature="chat")
    tested = [
        (await world.instance().check_key(**place))["lastFour"]
        for place in ({}, {"position": 2}, {"feature": "chat"}, {"feature": "chat", "position": 1})
    ]
    assert tested == ["aaa1", "bbb2", "ccc3", "ccc3"]
    for place in ({"feature": "code"}, {"key": ONE, "position": 1}, {"key": ONE, "feature": "x"}):
        with pytest.raises(InvalidArgument):
            await world.instance().check_key(**place)


async def test_a_stored_key_that_was_disabled_by_hand_is_named(world: World) -> None:
    await world.instance().set_key(ONE)
    await world.instance().set_key(TWO, position=2)
    await world.secrets.client.disable_secret_version(name=world.secrets.version(2))
    with pytest.raises(KeyMissing) as missing:
        await world.instance().check_key(position=2)
    assert "position 2 is version 2" in missing.value.message


async def test_a_key_that_was_disabled_by_hand_is_served_from_memory_no_more(
    world: World,
) -> None:
    await world.instance().set_key(ONE)
    instance = world.instance(limits=replace(UNCACHED, keys=KeyLimits(fresh_s=0.0)))
    assert await instance.serving_key() == ONE
    await world.secrets.fail("AccessSecretVersion")  # an outage it is kept over
    assert await instance.serving_key() == ONE
    await world.secrets.fail("AccessSecretVersion", count=0)
    await world.secrets.client.disable_secret_version(name=world.secrets.version(1))
    assert await instance.serving_key() == ONE  # once more, while it is looked at
    with pytest.raises(KeyMissing):
        await instance.app.keys.pool.read(1, refresh=True)
    with pytest.raises(KeyMissing):
        await instance.serving_key()


async def test_a_version_that_serves_elsewhere_as_well_is_not_disabled(world: World) -> None:
    await world.instance().set_key(ONE)
    by_hand = {"keys.features": {"chat": [{"version": 1}]}}
    await world.firestore.document("config/app").update(by_hand)
    await world.instance().set_key(TWO)
    assert await world.secrets.versions() == [ON, ON]
    assert await orders_of(world) == {"": [TWO], "chat": [ONE]}


# -- the first boot --------------------------------------------------------------------------------


@pytest.fixture
async def first_boot(suite: Suite, world: World) -> World:
    """A key stored without the app, and no document."""
    store_key(suite.secret_manager_host, world.project, ONE)
    return world


async def test_a_features_own_key_at_first_boot_does_not_serve_by_default(
    first_boot: World,
) -> None:
    world = first_boot
    await world.instance().set_key(TWO, feature="chat")
    assert await orders_of(world) == {"": [ONE], "chat": [TWO]}
    assert await world.secrets.versions() == [ON, ON]
    pinned, own = await world.audit()
    assert pinned["target"] == "config/app keys.default"
    assert (pinned["before"], pinned["after"]) == (None, [{"version": 1, "lastFour": "aaa1"}])
    assert own["target"] == "config/app keys.features.chat"


async def test_a_features_own_key_that_is_the_first_of_all_serves_nobody_else(
    world: World,
) -> None:
    await world.instance().set_key(TWO, feature="chat")
    assert await orders_of(world) == {"": [], "chat": [TWO]}
    with pytest.raises(KeyMissing):
        await world.instance().serving_key()
    await world.instance().set_key(ONE)
    assert await orders_of(world) == {"": [ONE], "chat": [TWO]}


async def test_a_second_key_at_first_boot_comes_after_the_one_that_served(
    first_boot: World,
) -> None:
    world = first_boot
    await world.instance().set_key(TWO, position=2)
    assert await orders_of(world) == {"": [ONE, TWO]}
    assert (await world.audit())[-1]["after"] == [
        {"version": 1, "lastFour": "aaa1"},
        {"version": 2, "lastFour": "bbb2"},
    ]


async def test_the_newest_version_that_is_enabled_is_the_one_that_goes_on_serving(
    first_boot: World,
) -> None:
    world = first_boot
    await world.instance().app.keys.vault.add(Secret(TWO))
    await world.secrets.client.disable_secret_version(name=world.secrets.version(2))
    await world.instance().set_key(THREE, feature="chat")
    assert await orders_of(world) == {"": [ONE], "chat": [THREE]}


@pytest.mark.parametrize(
    "typed",
    [
        {"appName": "My App"},
        {"keys": "typed by hand"},
        {"keys": {"default": "typed by hand"}},
        {"keys": {"features": "typed by hand"}},
        {"keys": {"features": {"chat": "typed by hand", "a b": [{"version": 1}]}}},
    ],
    ids=str,
)
async def test_what_was_typed_by_hand_is_no_obstacle(
    first_boot: World, typed: dict[str, Any]
) -> None:
    world = first_boot
    await world.firestore.document("config/app").set(typed)
    assert await world.instance().serving_key() == ONE
    await world.instance().set_key(TWO, feature="chat")
    assert await orders_of(world) == {"": [ONE], "chat": [TWO]}
    await world.instance().set_key(THREE)
    assert await orders_of(world) == {"": [THREE], "chat": [TWO]}
    assert await is_tidy(world)


async def test_nothing_is_pinned_by_a_call_that_is_refused(first_boot: World) -> None:
    world = first_boot
    for place in ({"feature": "chat", "position": 2}, {"position": 3}):
        with pytest.raises(InvalidArgument):
            await world.instance().set_key(TWO, **place)
    assert await world.document("config/app") == {}
    assert (await world.instance().remove_key(feature="chat"))["removed"] is False
    assert await world.document("config/app") == {}
    assert await world.secrets.versions() == [ON]


@pytest.mark.parametrize(
    ("part", "step", "nth", "chat"),
    [
        ("keys.slots", "read", 1, ONE),
        ("keys.vault", "enabled_versions", 1, ONE),
        ("keys.vault", "read", 1, ONE),
        ("keys.slots", "save", 1, ONE),
        ("keys.slots", "read", 2, ONE),
        ("keys.vault", "add", 1, ONE),
        ("keys.slots", "save", 2, ONE),
        ("keys.pool", "put", 1, TWO),
    ],
)
async def test_a_features_own_key_cut_off_at_first_boot_never_serves_by_default(
    first_boot: World, monkeypatch: pytest.MonkeyPatch, part: str, step: str, nth: int, chat: str
) -> None:
    world = first_boot
    _kill_at(monkeypatch, instance := world.instance(), part, step, nth)
    with pytest.raises(Killed):
        await instance.set_key(TWO, feature="chat")
    assert await world.instance().serving_key() == ONE
    assert await world.instance().serving_key("chat") == chat
    await world.instance().set_key(THREE, feature="chat")
    assert await orders_of(world) == {"": [ONE], "chat": [THREE]}
    assert await is_tidy(world)


# -- remove ----------------------------------------------------------------------------------------


async def test_a_key_that_is_removed_serves_nowhere(world: World) -> None:
    await world.instance().set_key(ONE)
    elsewhere = world.instance()
    assert await elsewhere.serving_key() == ONE
    assert await world.instance().remove_key() == {
        "removed": True,
        "lastFour": "aaa1",
        "count": 0,
        "warnings": [],
    }
    for instance in (elsewhere, world.instance()):
        with pytest.raises(KeyMissing):
            await instance.serving_key()
    assert await world.secrets.versions() == [OFF]
    assert (await world.document("config/app"))["keys"] == {"default": []}
    entry = (await world.audit())[-1]
    assert entry["action"] == "remove_openrouter_key"
    assert (entry["before"], entry["after"]) == ([{"version": 1, "lastFour": "aaa1"}], [])


async def test_removing_twice_changes_nothing_the_second_time(world: World) -> None:
    await world.instance().set_key(ONE)
    await world.instance().remove_key()
    again = await world.instance().remove_key()
    assert again == {"removed": False, "lastFour": None, "count": 0, "warnings": []}
    assert len(await world.audit()) == 2


async def test_the_key_of_the_first_boot_does_not_come_back_once_removed(
    suite: Suite, world: World
) -> None:
    store_key(suite.secret_manager_host, world.project, ONE)
    assert (await world.instance().remove_key())["removed"] is True
    # by hand, in Google's console: still no admin has said that it is to serve
    await world.secrets.client.enable_secret_version(name=world.secrets.version(1))
    with pytest.raises(KeyMissing):
        await world.instance().serving_key()


async def test_after_a_removal_another_key_can_be_set(world: World) -> None:
    await world.instance().set_key(ONE)
    await world.instance().remove_key()
    await assert_clean_after_another(world, TWO, [OFF, ON])


# -- cut off ---------------------------------------------------------------------------------------

SET_CUTS = [
    # where, whether there is a new version then, whether it serves
    ("keys.slots", "read", False, False),
    ("keys.vault", "enabled_versions", False, False),
    ("keys.vault", "add", False, False),
    ("keys.slots", "save", True, False),
    ("keys.pool", "put", True, True),
    ("admin.keys", "_disable", True, True),
]
# the place of a new key, and the orders with it where there were ONE, and TWO for chat
PLACES: list[tuple[dict[str, Any], dict[str, list[str]]]] = [
    ({}, {"": [THREE], "chat": [TWO]}),
    ({"position": 2}, {"": [ONE, THREE], "chat": [TWO]}),
    ({"feature": "chat"}, {"": [ONE], "chat": [THREE]}),
    ({"feature": "chat", "position": 2}, {"": [ONE], "chat": [TWO, THREE]}),
    ({"feature": "code"}, {"": [ONE], "chat": [TWO], "code": [THREE]}),
]


@pytest.mark.parametrize(("part", "step", "added", "serves"), SET_CUTS)
@pytest.mark.parametrize(("place", "orders"), PLACES, ids=[str(place) for place, _ in PLACES])
async def test_a_set_cut_off_leaves_keys_that_work(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    part: str,
    step: str,
    added: bool,
    serves: bool,
    place: dict[str, Any],
    orders: dict[str, list[str]],
) -> None:
    await world.instance().set_key(ONE)
    await world.instance().set_key(TWO, feature="chat")
    _kill_at(monkeypatch, instance := world.instance(), part, step)
    with pytest.raises(Killed):
        await instance.set_key(THREE, **place)
    assert await world.secrets.versions() == [ON, ON] + [ON] * added
    assert await orders_of(world) == (orders if serves else {"": [ONE], "chat": [TWO]})
    assert len(await world.audit()) == 2 + serves
    await world.instance().set_key(FOUR, **place)
    assert (await orders_of(world))[place.get("feature", "")][place.get("position", 1) - 1] == FOUR
    assert await is_tidy(world)


@pytest.mark.parametrize("step", ["save", "disable"])
@pytest.mark.parametrize(
    ("place", "orders"),
    [
        ({}, {"": [], "chat": [THREE, FOUR]}),
        ({"position": 1}, {"": [TWO], "chat": [THREE, FOUR]}),
        ({"feature": "chat"}, {"": [ONE, TWO]}),
        ({"feature": "chat", "position": 2}, {"": [ONE, TWO], "chat": [THREE]}),
    ],
    ids=str,
)
async def test_a_removal_cut_off_has_happened_or_not(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    place: dict[str, Any],
    orders: dict[str, list[str]],
) -> None:
    for position, (default, own) in enumerate(((ONE, THREE), (TWO, FOUR)), 1):
        await world.instance().set_key(default, position=position)
        await world.instance().set_key(own, feature="chat", position=position)
    part = "keys.slots" if step == "save" else "keys.vault"
    _kill_at(monkeypatch, instance := world.instance(), part, step)
    with pytest.raises(Killed):
        await instance.remove_key(**place)
    assert await world.secrets.versions() == [ON] * 4
    before = {"": [ONE, TWO], "chat": [THREE, FOUR]}
    assert await orders_of(world) == (before if step == "save" else orders)
    await world.instance().remove_key(feature="nobody")
    assert await is_tidy(world)


def _kill_at(
    monkeypatch: pytest.MonkeyPatch, instance: Instance, part: str, step: str, nth: int = 1
) -> None:
    """The instance ends where it would take that step for the nth time."""
    go_on = getattr(attrgetter(part)(instance.app), step)
    times = iter(range(1, nth))

    def kill(*args: Any, **kwargs: Any) -> Any:
        if next(times, None) is None:
            raise Killed
        return go_on(*args, **kwargs)

    monkeypatch.setattr(attrgetter(part)(instance.app), step, kill)


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
    await world.instance().set_key(ONE)
    await world.secrets.fail(method, code)
    with pytest.raises(failure):
        await world.instance().set_key(TWO)
    assert await world.secrets.versions() == [ON]
    assert await world.instance().serving_key() == ONE
    await assert_clean_after_another(world, THREE, [OFF, ON])


async def test_a_store_that_fails_after_the_change_is_a_warning(world: World) -> None:
    await world.instance().set_key(ONE)
    await world.secrets.fail("DisableSecretVersion")
    result = await world.instance().set_key(TWO)
    assert [warning["reason"] for warning in result["warnings"]] == ["old_key_enabled"]
    assert await world.secrets.versions() == [ON, ON]
    assert await world.instance().serving_key() == TWO
    await assert_clean_after_another(world, THREE, [OFF, OFF, ON])


async def test_one_of_several_that_cannot_be_disabled_is_left_to_the_next_change(
    world: World,
) -> None:
    for position, key in enumerate((ONE, TWO, THREE), 1):
        await world.instance().set_key(key, position=position)
    await world.secrets.fail("DisableSecretVersion", count=1)
    removed = await world.instance().remove_key()
    assert (removed["removed"], removed["count"]) == (True, 0)
    assert [warning["reason"] for warning in removed["warnings"]] == ["old_key_enabled"]
    assert sorted(await world.secrets.versions()) == [OFF, OFF, ON]
    with pytest.raises(KeyMissing):
        await world.instance().serving_key()
    assert (await world.instance().remove_key())["warnings"] == []
    assert await world.secrets.versions() == [OFF, OFF, OFF]


async def test_a_version_that_is_disabled_though_the_answer_is_lost_is_a_warning(
    world: World,
) -> None:
    await world.instance().set_key(ONE)
    await world.secrets.fail("DisableSecretVersion", "DEADLINE_EXCEEDED", applied=True)
    result = await world.instance().set_key(TWO)
    assert [warning["reason"] for warning in result["warnings"]] == ["old_key_enabled"]
    assert await world.secrets.versions() == [OFF, ON]
    assert await world.instance().serving_key() == TWO


async def test_a_version_that_is_added_though_the_answer_is_lost_serves_nobody(
    world: World,
) -> None:
    await world.instance().set_key(ONE)
    config = await world.document("config/app")
    await world.secrets.fail("AddSecretVersion", "DEADLINE_EXCEEDED", applied=True)
    with pytest.raises(KeyUnavailable):
        await world.instance().set_key(TWO)
    assert await world.secrets.versions() == [ON, ON]
    assert await world.document("config/app") == config
    assert await orders_of(world) == {"": [ONE]}
    assert len(await world.audit()) == 1
    await assert_clean_after_another(world, THREE, [OFF, OFF, ON])


@pytest.mark.parametrize(
    ("place", "orders"),
    [
        ({}, {"": [THREE]}),
        ({"position": 2}, {"": [ONE, THREE]}),
        ({"feature": "chat"}, {"": [ONE], "chat": [THREE]}),
    ],
    ids=str,
)
async def test_at_first_boot_what_serves_then_is_a_key_that_was_checked(
    first_boot: World, place: dict[str, Any], orders: dict[str, list[str]]
) -> None:
    """The newest: the new one where it was to serve by default, else the one that served."""
    world = first_boot
    await world.secrets.fail("AddSecretVersion", "DEADLINE_EXCEEDED", applied=True)
    with pytest.raises(KeyUnavailable):
        await world.instance().set_key(TWO, **place)
    assert await world.secrets.versions() == [ON, ON]
    assert await world.instance().serving_key() == (ONE if place else TWO)
    await world.instance().set_key(THREE, **place)
    assert await orders_of(world) == orders
    assert await is_tidy(world)


@pytest.mark.parametrize(
    ("code", "applied", "failure"),
    [
        ("UNAVAILABLE", False, KeyUnavailable),
        ("PERMISSION_DENIED", False, KeyStoreForbidden),
        ("DEADLINE_EXCEEDED", True, KeyUnavailable),
    ],
)
async def test_a_secret_that_cannot_be_made_leaves_nothing_that_serves(
    world: World, code: str, applied: bool, failure: type[Exception]
) -> None:
    await world.secrets.fail("CreateSecret", code, applied=applied)
    with pytest.raises(failure):
        await world.instance().set_key(ONE)
    assert await world.document("config/app") == {}
    assert await world.audit() == []
    with pytest.raises(KeyMissing):
        await world.instance().serving_key()
    await assert_clean_after_another(world, TWO, [ON])


async def test_a_version_that_is_destroyed_meanwhile_needs_no_disabling(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.instance().set_key(ONE)

    async def destroy() -> None:
        await world.secrets.client.destroy_secret_version(name=world.secrets.version(1))

    _before(monkeypatch, instance := world.instance(), "keys.vault", "disable", destroy)
    assert (await instance.set_key(TWO))["warnings"] == []
    assert await world.secrets.versions() == ["DESTROYED", ON]


# -- several admins --------------------------------------------------------------------------------


def _before(
    monkeypatch: pytest.MonkeyPatch,
    instance: Instance,
    part: str,
    step: str,
    first: Callable[[], Awaitable[Any]],
) -> None:
    """Something else happens between the steps of an instance."""
    go_on = getattr(attrgetter(part)(instance.app), step)

    async def both(*args: Any, **kwargs: Any) -> Any:
        await first()
        return await go_on(*args, **kwargs)

    monkeypatch.setattr(attrgetter(part)(instance.app), step, both)


@pytest.mark.parametrize("step", ["add", "save"])
async def test_of_two_admins_who_save_at_once_the_second_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    await world.instance().set_key(ONE)
    ann, bob = world.instance(), world.instance()
    part = "keys.vault" if step == "add" else "keys.slots"
    _before(monkeypatch, ann, part, step, lambda: bob.set_key(TWO, "bob"))
    with pytest.raises(SettingsChanged):
        await ann.set_key(THREE, "ann")
    assert await world.instance().serving_key() == TWO
    assert sorted(await world.secrets.versions()) == [OFF, OFF, ON]
    assert [entry["by"] for entry in await world.audit()] == ["ann", "bob"]


async def test_a_key_removed_while_another_is_set_stays_removed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.instance().set_key(ONE)
    ann, bob = world.instance(), world.instance()
    _before(monkeypatch, ann, "keys.slots", "save", bob.remove_key)
    with pytest.raises(SettingsChanged):
        await ann.set_key(TWO)
    assert await world.secrets.versions() == [OFF, OFF]
    with pytest.raises(KeyMissing):
        await world.instance().serving_key()


@pytest.mark.parametrize("place", [{}, {"feature": "chat"}], ids=str)
async def test_a_removal_of_nothing_disables_no_key_that_is_being_set(
    world: World, monkeypatch: pytest.MonkeyPatch, place: dict[str, Any]
) -> None:
    await world.instance().set_key(ONE)
    ann, bob = world.instance(), world.instance()
    _before(monkeypatch, ann, "keys.slots", "save", lambda: bob.remove_key("bob", feature="no"))
    with pytest.raises(SettingsChanged):
        await ann.set_key(TWO, **place)
    assert await orders_of(world) == {"": [ONE]}
    assert await world.secrets.versions() == [ON, OFF]
    swept = (await world.audit())[-1]
    assert (swept["by"], swept["target"]) == ("bob", "config/app keys.swept")
    assert (swept["before"], swept["after"]) == ([{"version": 2}], [])
    await assert_clean_after_another(world, THREE, [OFF, OFF, ON])


async def test_a_key_that_is_set_first_ends_a_removal_of_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.instance().set_key(ONE)
    ann, bob = world.instance(), world.instance()
    _before(monkeypatch, bob, "keys.slots", "record_cleanup", lambda: ann.set_key(THREE))
    await world.secrets.fail("DisableSecretVersion")
    await world.instance().set_key(TWO)  # and ONE is left over
    with pytest.raises(SettingsChanged):
        await bob.remove_key(feature="no")
    assert await orders_of(world) == {"": [THREE]}


async def test_a_key_set_while_it_is_being_removed_serves(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is added after the removal began is not the removal's to disable."""
    await world.instance().set_key(ONE)
    ann, bob = world.instance(), world.instance()
    _before(monkeypatch, ann, "keys.vault", "disable", lambda: bob.set_key(TWO))
    await ann.remove_key()
    assert await world.instance().serving_key() == TWO
    assert await world.secrets.versions() == [OFF, ON]


async def test_many_admins_at_once_leave_one_key_that_serves(world: World) -> None:
    keys = [f"sk-or-v1-canary-crowd-{n:04}" for n in range(8)]
    outcomes = await asyncio.gather(
        *(world.instance().set_key(key, f"admin-{n}") for n, key in enumerate(keys)),
        return_exceptions=True,
    )
    saved = [outcome for outcome in outcomes if isinstance(outcome, dict)]
    assert saved
    assert {type(o) for o in outcomes if not isinstance(o, dict)} <= {SettingsChanged}
    ((serving,),) = (
        [entry["version"] for entry in slot]
        for slot in (await world.document("config/app"))["keys"].values()
    )
    states = await world.secrets.versions()
    assert [number for number, state in enumerate(states, 1) if state == ON] == [serving]
    assert len(await world.audit()) == len(saved)


async def test_a_features_key_set_while_the_default_one_is_changes_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes second looks again: neither disables what the other has stored."""
    await world.instance().set_key(ONE)
    ann, bob = world.instance(), world.instance()
    _before(monkeypatch, ann, "keys.slots", "save", lambda: bob.set_key(TWO, feature="chat"))
    with pytest.raises(SettingsChanged):
        await ann.set_key(THREE)
    assert await orders_of(world) == {"": [ONE], "chat": [TWO]}
    assert await world.secrets.versions() == [ON, OFF, ON]
    await world.instance().set_key(FOUR, feature="code")
    assert await orders_of(world) == {"": [ONE], "chat": [TWO], "code": [FOUR]}


async def test_of_two_admins_at_first_boot_the_second_is_told(
    first_boot: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = first_boot
    ann, bob = world.instance(), world.instance()
    _before(monkeypatch, ann, "keys.vault", "add", lambda: bob.set_key(TWO))
    with pytest.raises(SettingsChanged):
        await ann.set_key(THREE, feature="chat")
    assert await orders_of(world) == {"": [TWO]}
    assert await is_tidy(world)


async def test_a_change_of_something_else_is_no_reason_to_refuse(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.instance().set_key(ONE)

    async def rename() -> None:
        await world.firestore.document("config/app").update({"appName": "Renamed"})

    _before(monkeypatch, instance := world.instance(), "keys.slots", "save", rename)
    await instance.set_key(TWO)
    config = await world.document("config/app")
    assert config["appName"] == "Renamed"
    assert [entry["version"] for entry in config["keys"]["default"]] == [2]
    assert await world.secrets.versions() == [OFF, ON]


# -- Firestore's answers get lost ------------------------------------------------------------------


async def test_a_commit_that_is_applied_twice_is_one_change(world: World) -> None:
    for key in (ONE, TWO):  # the document created, the document updated
        (instance := world.instance()).commits(applied_twice)
        await instance.set_key(key)
    assert await world.secrets.versions() == [OFF, ON]
    assert len(await world.audit()) == 2
    (instance := world.instance()).commits(applied_twice)
    await instance.set_key(THREE, position=2)
    assert (await instance.remove_key(position=1))["removed"] is True
    assert await orders_of(world) == {"": [THREE]}
    assert (await instance.remove_key())["removed"] is True
    assert len(await world.audit()) == 5


async def test_a_first_commit_of_a_features_key_that_is_applied_twice_is_two_changes(
    world: World,
) -> None:
    """What serves by default is named, then the feature's key: each once."""

    (instance := world.instance()).commits(applied_twice)
    await instance.set_key(ONE, feature="chat")
    assert await orders_of(world) == {"": [], "chat": [ONE]}
    assert len(await world.audit()) == 2


async def test_a_commit_whose_answer_is_lost_is_found_to_be_made(world: World) -> None:
    await world.instance().set_key(ONE)
    (instance := world.instance()).commits(CommitCounter(loses={1}))
    await instance.set_key(TWO)
    assert await world.secrets.versions() == [OFF, ON]
    assert await world.instance().serving_key() == TWO


async def test_a_commit_that_may_yet_be_made_leaves_both_keys_enabled(world: World) -> None:
    async def away(commit: Commit, *args: Any, **kwargs: Any) -> Any:
        raise ServiceUnavailable("x")  # type: ignore[no-untyped-call]  # it ships no types

    await world.instance().set_key(ONE)
    (instance := world.instance()).commits(away)
    with pytest.raises(SettingsUnavailable):
        await instance.set_key(TWO)
    assert await world.secrets.versions() == [ON, ON]
    assert await world.instance().serving_key() == ONE
    await assert_clean_after_another(world, THREE, [OFF, OFF, ON])


# -- other instances -------------------------------------------------------------------------------


async def test_an_instance_that_has_not_heard_of_a_rotation_looks_again(world: World) -> None:
    """It knows which version was in use, and finds it disabled."""
    await world.instance().set_key(ONE)
    late = world.instance(limits=Limits(config=ConfigLimits(fresh_s=60.0)))
    assert (await late.app.keys.slots.get()).versions_for(None) == (1,)
    await world.instance().set_key(TWO)
    assert await late.serving_key() == TWO


async def test_an_instance_that_knows_a_key_needs_no_store(world: World) -> None:
    await world.instance().set_key(ONE)
    instance = world.instance()
    await instance.serving_key()
    await world.secrets.fail("AccessSecretVersion", count=100)
    try:
        assert await instance.serving_key() == ONE
    finally:
        await world.secrets.fail("AccessSecretVersion", count=0)
