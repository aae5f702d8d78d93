"""The list of keys: what each is worth now, who stored it, and when it was last refused."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from firerouter.app.limits import Limits
from firerouter.errors import KeyLimitReached, NoCredit
from firerouter.keys.secret import Secret
from scripts.devtools.suite import Suite
from tests.support.in_process import UNCACHED, Instance, World, new_world

LIST = "list_keys"
ONE = "sk-or-v1-canary-key-number-aaa1"
TWO = "sk-or-v1-canary-key-number-bbb2"


@pytest.fixture
async def world(suite: Suite) -> AsyncIterator[World]:
    async with new_world(suite, key=False) as world:
        world.limits = UNCACHED
        yield world


async def listed(instance: Instance) -> list[dict[str, Any]]:
    found = await instance.call(LIST, None)
    assert "canary" not in str(found)
    return list(found["keys"])


async def become(world: World, version: int, key: str) -> None:
    """Let a stored version hold another key, as if its account had changed meanwhile."""
    await world.instance().app.keys.vault.add(Secret(key))
    config = await world.document("config/app")
    (entry,) = config["keys"]["default"]
    await world.firestore.document("config/app").update(
        {"keys.default": [{**entry, "version": version + 1}]}
    )


async def test_each_key_has_its_place_its_state_and_who_stored_it(world: World) -> None:
    instance = world.instance()
    assert await listed(instance) == []
    await instance.set_key(ONE)
    await instance.set_key(TWO, feature="chat")
    default, own = await listed(instance)
    assert default.pop("setAt").startswith("20")
    assert default == {
        "version": 1,
        "lastFour": "aaa1",
        "position": 1,
        "state": "works",
        "setBy": "ann@demo.test",
        "limitUsd": 10.0,
        "limitRemainingUsd": 9.75,
        "usageTodayUsd": 0.0,
        "expiresAt": None,
    }
    assert (own["lastFour"], own["feature"], own["position"]) == ("bbb2", "chat", 1)


async def test_a_key_from_before_the_first_boot_is_listed(suite: Suite) -> None:
    async with new_world(suite) as seeded:
        (key,) = await listed(seeded.instance())
    assert (key["version"], key["position"], key["state"]) == (1, 1, "works")
    assert "setAt" not in key


@pytest.mark.parametrize(
    ("key", "state"),
    [
        ("sk-or-v1-revoked-canary-aaa1", "refused"),
        ("sk-or-v1-key-limit-canary-aaa1", "spent"),
        ("sk-or-v1-management-canary-aaa1", "management"),
    ],
)
async def test_what_became_of_a_key_is_said(world: World, key: str, state: str) -> None:
    await world.instance().set_key(ONE)
    await become(world, 1, key)
    (shown,) = await listed(world.instance())
    assert shown["state"] == state
    assert shown["message"].endswith(".")


async def test_a_version_that_was_disabled_by_hand_is_named(world: World) -> None:
    await world.instance().set_key(ONE)
    await world.instance().app.keys.vault.disable(1)
    (shown,) = await listed(world.instance())
    assert (shown["state"], shown["limitRemainingUsd"]) == ("disabled", 9.75)
    assert "Version 1 of the secret is disabled" in shown["message"]


async def test_keys_that_nothing_uses_and_features_that_do_not_exist_are_named(
    world: World,
) -> None:
    await world.instance().set_key(ONE)
    await world.instance().set_key(TWO, feature="typo")
    await world.instance().app.keys.vault.add(Secret("sk-or-v1-canary-unused"))
    found = await world.instance().call(LIST, {})
    assert (found["unusedVersions"], found["unknownFeatures"]) == ([3], ["typo"])


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("sk-or-v1-lapsed-canary-aaa1", "key_invalid"),
        ("sk-or-v1-key-limit-canary-aaa1", KeyLimitReached.reason),
        ("sk-or-v1-no-credit-canary-aaa1", NoCredit.reason),
    ],
)
async def test_the_last_refusal_is_remembered(world: World, key: str, reason: str) -> None:
    await world.instance().set_key(ONE)
    await become(world, 1, key)
    instance = world.instance()
    refused = await instance.refusal("execute_prompt", {"feature": "chat", "prompt": "Hi"}, "user")
    assert refused.reason == reason
    await instance.app.background.drain()
    (shown,) = await listed(world.instance())
    assert shown["lastRefusal"]["reason"] == reason
    assert shown["lastRefusal"]["at"].startswith("20")
    assert "canary" not in str(await world.document("config/keyRefusals"))


async def test_refusals_are_not_written_with_each_request(world: World) -> None:
    await world.instance().set_key(ONE)
    await become(world, 1, "sk-or-v1-no-credit-canary-aaa1")
    instance = world.instance()
    commits = []

    async def counting(commit: Any, *args: Any, **kwargs: Any) -> Any:
        commits.append(str(args) + str(kwargs))
        return await commit(*args, **kwargs)

    instance.commits(counting)
    for _ in range(3):
        await instance.refusal("execute_prompt", {"feature": "chat", "prompt": "Hi"}, "user")
    await instance.app.background.drain()
    assert sum("keyRefusals" in commit for commit in commits) == 1


async def test_after_a_refusal_of_the_account_a_new_key_answers_at_once(world: World) -> None:
    """An instance that has cached the old key looks again: nobody gets the old error."""
    await world.instance().set_key(ONE)
    await become(world, 1, "sk-or-v1-no-credit-canary-aaa1")
    cached = world.instance(Limits())
    await cached.app.keys.pool.slot("chat").get()
    await world.instance().set_key(TWO)
    assert (await cached.ask("chat"))["text"]
