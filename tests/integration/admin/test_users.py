"""Admins see users, change their limits and stop them; users see what is left."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest

from firerouter.callable import CallableError
from firerouter.errors import InvalidArgument, QuotaExceeded, SettingsRefused, UserBlocked
from tests.support.in_process import Instance, World


@pytest.fixture
def uid() -> str:
    return f"user-{secrets.token_hex(6)}"


async def ask(instance: Instance, uid: str, **more: Any) -> Any:
    return await instance.call(
        "execute_prompt", {"feature": "chat", "prompt": "Hi", **more}, uid=uid
    )


def by_name(allowance: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["limit"]: one for one in allowance["limits"]}


async def test_a_user_sees_what_is_left(world: World, uid: str) -> None:
    instance = world.instance()
    await instance.call("set_user_limits", {"uid": uid, "limits": {"requestsPerDay": 5}})
    result = await ask(instance, uid)
    assert result["remaining"]["requestsPerMinute"] == 19
    allowance = await instance.call("get_allowance", {}, uid=uid)
    limits = by_name(allowance)
    assert limits["requestsPerMinute"]["max"] == 20
    assert limits["requestsPerDay"] == {
        "limit": "requestsPerDay",
        "max": 5,
        "used": 1,
        "left": 4,
        "resetsAt": limits["requestsPerDay"]["resetsAt"],
    }
    assert limits["concurrent"] == {"limit": "concurrent", "max": 6, "used": 0, "left": 6}
    assert limits["usdPerDay"]["left"] == 1.0
    assert allowance["running"] == []


async def test_limits_of_ones_own_hold_at_once_on_the_instance_that_saved_them(
    world: World, uid: str
) -> None:
    instance = world.instance()
    saved = await instance.call(
        "set_user_limits", {"uid": uid, "limits": {"requestsPerDay": 1}, "tier": "pro"}
    )
    assert saved == {
        "uid": uid,
        "limits": {"requestsPerDay": 1},
        "tier": "pro",
        "blocked": False,
        "warnings": saved["warnings"],
    }
    await ask(instance, uid)
    with pytest.raises(QuotaExceeded) as refused:
        await ask(instance, uid)
    assert refused.value.details["max"] == 1


async def test_what_is_not_given_or_null_stays(world: World, uid: str) -> None:
    instance = world.instance()
    await instance.call(
        "set_user_limits", {"uid": uid, "limits": {"usdPerDay": 3, "concurrent": 2}, "tier": "pro"}
    )
    undefined = {"limits": {"usdPerDay": None}, "tier": None, "blocked": None, "remove": None}
    for nothing in ({}, undefined, {"limits": None}):
        saved = await instance.call("set_user_limits", {"uid": uid, **nothing})
        assert saved["limits"] == {"usdPerDay": 3, "concurrent": 2}
        assert (saved["tier"], saved["blocked"]) == ("pro", False)


async def test_what_is_removed_is_gone_and_the_rest_stays(world: World, uid: str) -> None:
    instance = world.instance()
    await instance.call(
        "set_user_limits",
        {"uid": uid, "limits": {"usdPerDay": 3, "concurrent": 2}, "tier": "pro", "blocked": True},
    )
    changed = {"uid": uid, "remove": ["usdPerDay", "tier"], "limits": {"requestsPerDay": 7}}
    saved = await instance.call("set_user_limits", changed)
    assert saved["limits"] == {"concurrent": 2, "requestsPerDay": 7}
    assert (saved["tier"], saved["blocked"]) == (None, True)
    refused = await instance.refusal("set_user_limits", {"uid": uid, "remove": ["usdPerYear"]})
    assert refused.details["field"] == "remove[0]"


async def test_limits_that_will_not_do_what_they_seem_to_are_warned_of(
    world: World, uid: str
) -> None:
    tiers = {"pro": {"usdPerDay": 5}}
    await world.write("config/app", {"limits": {"reserveUsd": 0.05}, "tiers": tiers})
    instance = world.instance()

    async def warned(**given: Any) -> list[tuple[str, str]]:
        saved = await instance.call("set_user_limits", {"uid": uid, **given})
        return [(one["field"], one["reason"]) for one in saved["warnings"]]

    assert await warned(limits={"usdPerDay": 0.04, "usdPerMonth": 1}, tier="pro") == [
        ("limits.usdPerDay", "cap_below_reserve")
    ]
    assert await warned(limits={"usdPerDay": 0}, tier="gold") == [("tier", "tier_unknown")]
    assert await warned(limits={"usdPerDay": 0.05}, remove=["tier"]) == []


@pytest.mark.parametrize(
    "limits",
    [{"usdPerDay": -1}, {"usdPerDay": 1e9}, {"concurrent": 0}, {"reserveUsd": 1}, {"more": 1}],
)
async def test_a_limit_out_of_its_bounds_is_refused_by_name(
    world: World, uid: str, limits: dict[str, Any]
) -> None:
    with pytest.raises(SettingsRefused) as refused:
        await world.instance().call("set_user_limits", {"uid": uid, "limits": limits})
    path = f"limits.{next(iter(limits))}"
    assert refused.value.details["field"] == path
    assert refused.value.message.startswith(path)


async def test_a_blocked_user_is_refused_until_unblocked(world: World, uid: str) -> None:
    instance = world.instance()
    await instance.call("set_user_limits", {"uid": uid, "blocked": True})
    with pytest.raises(UserBlocked):
        await ask(instance, uid)
    for change in ({}, {"blocked": None}, {"limits": {"requestsPerDay": 5}}, {"tier": "pro"}):
        saved = await instance.call("set_user_limits", {"uid": uid, **change})
        assert saved["blocked"]  # only `false` ends a block
    with pytest.raises(UserBlocked):
        await ask(instance, uid)
    await instance.call("set_user_limits", {"uid": uid, "blocked": False})
    await ask(instance, uid)


async def test_every_change_is_in_the_audit(world: World, uid: str) -> None:
    instance = world.instance()
    await instance.call("set_user_limits", {"uid": uid, "blocked": True, "note": "Spam"})
    entries = [
        snapshot.to_dict() or {}
        async for snapshot in world.firestore.collection("audit")
        .where("target", "==", f"limits/{uid}")
        .stream()
    ]
    assert [(one["action"], one["note"]) for one in entries] == [("set_user_limits", "Spam")]


async def test_a_users_answers_are_stopped(world: World, uid: str) -> None:
    instance = world.instance()
    await instance.call(
        "save_feature_settings", {"feature": "slow", "settings": {"model": "sim/slow"}}
    )
    running = asyncio.create_task(
        instance.call("execute_prompt", {"feature": "slow", "prompt": "Hi"}, uid=uid)
    )
    stopped: dict[str, Any] = {"stopped": []}
    while not stopped["stopped"]:
        await asyncio.sleep(0.05)
        allowance = await instance.call("get_allowance", {}, uid=uid)
        if allowance["running"]:
            stopped = await instance.call("stop_user_generations", {"uid": uid})
    assert stopped["status"] == "stopping"
    result = await running
    assert result["finishReason"] == "stopped"
    again = await instance.call("stop_user_generations", {"uid": uid})
    assert again == {"uid": uid, "stopped": [], "status": "nothing_running"}


async def test_a_page_that_is_none_is_refused(world: World) -> None:
    with pytest.raises((InvalidArgument, CallableError)):
        await world.instance().call("list_users", {"pageSize": 0})
