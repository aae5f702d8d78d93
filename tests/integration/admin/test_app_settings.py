"""The app's own settings: saved in part, shown when outdated, and what `freeModelsOnly` refuses."""

import asyncio
import secrets
import time
from typing import Any

import pytest

from firerouter import limits
from firerouter.callable import CallableError
from firerouter.features.app_settings import AppSettings
from scripts.devtools.callable_client import CallableClient, CallableFailure, id_token
from scripts.devtools.suite import Suite
from tests.support import counters
from tests.support.accounts import create_account
from tests.support.calls import ADMIN
from tests.support.faulty_firestore import Commit, applied_twice
from tests.support.in_process import UNCACHED, Instance, World
from tests.support.serve import Serve

SAVE = "save_app_settings"
DEFAULTS = AppSettings().model_dump(by_alias=True)
EVERYWHERE_WITHIN_S = 10.0
NOBODY = "http://127.0.0.1:9/api/v1"  # the port of `discard`, where nobody listens


async def save(instance: Instance, revision: int = 0, **settings: Any) -> Any:
    return await instance.call(SAVE, {"settings": settings, "revision": revision})


def reasons(findings: list[dict[str, str]]) -> list[str]:
    return [f"{finding['field']}: {finding['reason']}" for finding in findings]


async def asked_models(world: World, marker: str) -> list[str]:
    """Which models OpenRouter was asked."""
    requests = await world.upstream()
    return [r["body"]["model"] for r in requests if marker in str(r["body"])]


# -- saving ----------------------------------------------------------------------------------------


async def test_what_cannot_be_is_refused_through_the_wire(
    suite: Suite, admin: str, app_check: str
) -> None:
    """What is refused: every other test lives in this project."""
    async with CallableClient(suite.functions_url, admin, app_check) as client:
        for settings, field in (
            ({"referer": "javascript:alert(1)"}, "referer"),
            ({"limits": {"concurrent": 0}}, "limits.concurrent"),
            ({"keys": {"default": []}}, "keys"),
        ):
            with pytest.raises(CallableFailure) as refused:
                await client.call(SAVE, {"settings": settings, "revision": 0})
            assert refused.value.status == "INVALID_ARGUMENT"
            assert refused.value.details["reason"] == "settings_refused"
            assert refused.value.details["field"] == field
        with pytest.raises(CallableFailure) as outdated:
            await client.call(SAVE, {"settings": {"appName": "X"}, "revision": 9})
        assert outdated.value.status == "ABORTED"
        assert outdated.value.details["yours"]["settings"]["appName"] == "X"


async def test_what_one_process_allows_the_other_refuses_within_ten_seconds(
    world: World, serve: Serve
) -> None:
    """`freeModelsOnly`, in earnest: through the wire, in a project of its own."""
    await asyncio.to_thread(create_account, world.suite, "ann", '{"admin":true}', world.project)
    settings = {"model": "sim/paid"}
    await world.write("features/chat", {"enabled": True, "revision": 1, "settings": settings})
    env = {"GCLOUD_PROJECT": world.project}
    saves, asks = serve(SAVE, env=env).url, serve("execute_prompt", env=env).url
    admin = id_token(world.project, "ann", admin=True, email="ann@demo.test")
    app_check, asked = await world.app_check(), {"feature": "chat", "prompt": "Hi"}
    async with (
        CallableClient(saves, admin, app_check) as saver,
        CallableClient(asks, id_token(world.project, "user"), app_check) as asker,
    ):
        paid = {"settings": {"freeModelsOnly": False, "appName": "Mine"}, "revision": 0}
        saved = await saver.call("", paid)
        assert (saved["revision"], saved["settings"]["appName"]) == (1, "Mine")
        assert (await asker.call("", asked))["model"] == "sim/paid"
        free = {"settings": {"freeModelsOnly": True}, "revision": 1, "note": "Too dear"}
        saved = await saver.call("", free)
        changed = {"field": "freeModelsOnly", "before": False, "after": True}
        assert (saved["revision"], saved["changes"]) == (2, [changed])
        assert reasons(saved["warnings"]) == ["freeModelsOnly: paid_model"]
        since = time.monotonic()
        began = since
        while (refused := await outcome(asker, asked)) is None:
            assert began - since < EVERYWHERE_WITHIN_S, "asked later than that, and answered"
            await asyncio.sleep(0.5)
            began = time.monotonic()
    assert refused.details["reason"] == "paid_model"
    assert [entry["note"] for entry in await world.audit()] == [None, "Too dear"]


async def outcome(client: CallableClient, data: Any) -> CallableFailure | None:
    try:
        await client.call("", data)
    except CallableFailure as failure:
        return failure
    return None


async def test_what_is_given_changes_and_the_rest_stays(world: World) -> None:
    instance = world.instance()
    await world.write("config/app", {"keys": {"default": [{"version": 1}]}, "catalog": {"x": 1}})
    first = await save(instance, appName="My App", limits={"concurrent": 2})
    expected = {**DEFAULTS, "appName": "My App", "limits": {**DEFAULTS["limits"], "concurrent": 2}}
    assert first == {
        "revision": 1,
        "settings": expected,
        "changes": [
            {"field": "appName", "before": "Firerouter", "after": "My App"},
            {"field": "limits.concurrent", "before": limits.CONCURRENT, "after": 2},
        ],
        "warnings": [],
    }
    second = await save(instance, 1, referer="https://my.app", limits={"usdPerDay": 2})
    assert second["settings"]["limits"] == {**expected["limits"], "usdPerDay": 2.0}
    assert await world.document("config/app") == {
        **second["settings"],
        "revision": 2,
        "keys": {"default": [{"version": 1}]},
        "catalog": {"x": 1},
    }
    app = await instance.app.features.app_settings.get()  # at once, where they were saved
    assert (app.app_name, app.limits.usd_per_day) == ("My App", 2)
    again = await save(instance, 2, appName="My App")
    assert (again["revision"], again["changes"]) == (2, [])
    entries = await world.audit()
    assert [(e["action"], e["target"], e["by"]) for e in entries] == [
        (SAVE, "config/app", ADMIN)
    ] * 2
    assert (entries[1]["before"], entries[1]["after"]) == (expected, second["settings"])
    assert "keys" not in str(entries)


async def test_the_first_save_makes_the_document_and_the_key_goes_on_serving(
    world: World,
) -> None:
    instance = world.instance()
    assert (await instance.ask("chat"))["text"]
    assert (await save(instance, appName="First"))["revision"] == 1
    assert (await instance.ask("chat"))["text"]
    assert (await world.instance().ask("chat"))["text"]


REFUSED: list[tuple[dict[str, Any], list[str]]] = [
    ({"appName": "x" * 101}, ["appName"]),
    ({"appName": "ünïcode"}, ["appName"]),
    ({"appName": "two\r\nlines"}, ["appName"]),
    ({"referer": "my.app"}, ["referer"]),
    ({"referer": "https://my.app\r\nX: y"}, ["referer"]),
    ({"freeModelsOnly": "no"}, ["freeModelsOnly"]),
    ({"replaceGoneModels": 1}, ["replaceGoneModels"]),
    ({"limits": {"concurrent": 0, "usdPerDay": -1}}, ["limits.concurrent", "limits.usdPerDay"]),
    ({"limits": {"usdPerDay": limits.USD_PER_DAY_MAX + 1}}, ["limits.usdPerDay"]),
    ({"limits": {"reserveUsd": float("nan")}}, ["limits.reserveUsd"]),
    ({"limits": {"requestsPerMinute": 1.5}}, ["limits.requestsPerMinute"]),
    ({"limits": {"tokens": 1}}, ["limits.tokens"]),
    ({"keys": {"default": []}}, ["keys"]),
    ({"revision": 7}, ["revision"]),
    ({"app_name": "x"}, ["app_name"]),
    ({"appName": 7, "nope": 1, "freeModelsOnly": "x"}, ["appName", "freeModelsOnly", "nope"]),
]


async def test_what_cannot_be_is_said_field_by_field_and_keeps_nothing(world: World) -> None:
    instance = world.instance()
    for settings, fields in REFUSED:
        refused = await instance.refusal(SAVE, {"settings": settings, "revision": 0})
        assert (refused.status, refused.reason) == ("INVALID_ARGUMENT", "settings_refused")
        errors = refused.details["errors"]
        assert sorted(error["field"] for error in errors) == fields
        assert {error["reason"] for error in errors} == {"invalid"}
    for data, field in (
        ({"settings": {}}, "revision"),
        ({"revision": 0}, "settings"),
        ({"settings": [], "revision": 0}, "settings"),
        ({"settings": {}, "revision": 0, "admin": True}, "admin"),
    ):
        refused = await instance.refusal(SAVE, data)
        assert (refused.reason, refused.details["field"]) == ("invalid_argument", field)
    assert await world.document("config/app") == {}
    assert await world.audit() == []


async def test_what_is_null_stays_as_it_is_and_what_is_removed_goes(world: World) -> None:
    instance = world.instance()
    given = {"requestsPerDay": 9, "tokensPerDay": 900, "usdPerDay": 3}
    await save(instance, limits=given, appName="One", freeModelsOnly=False)
    undefined = {"limits": dict.fromkeys(given), "appName": None, "freeModelsOnly": None}
    for settings in ({**undefined}, {"limits": None, "tiers": None, "retention": None}):
        saved = await instance.call(SAVE, {"settings": settings, "revision": 1})
        assert (saved["revision"], saved["changes"]) == (1, [])
    remove = {"settings": {"limits": {"usdPerDay": 2}}, "remove": ["limits.requestsPerDay"]}
    saved = await instance.call(SAVE, {**remove, "revision": 1})
    assert saved["settings"]["limits"]["requestsPerDay"] is None
    assert saved["settings"]["limits"]["tokensPerDay"] == 900
    assert (saved["settings"]["limits"]["usdPerDay"], saved["settings"]["appName"]) == (2, "One")
    refused = await instance.refusal(SAVE, {**remove, "remove": ["limits.usdPerDay"]})
    assert refused.reason == "invalid_argument"


async def test_what_was_made_from_older_settings_is_refused_with_both(world: World) -> None:
    await save(world.instance(), appName="One")
    refused = await world.instance().refusal(
        SAVE, {"settings": {"appName": "Two", "freeModelsOnly": False}, "revision": 0}
    )
    assert (refused.status, refused.reason) == ("ABORTED", "settings_changed")
    details = refused.details
    assert details["current"] == {"revision": 1, "settings": {**DEFAULTS, "appName": "One"}}
    assert details["yours"]["revision"] == 0
    assert details["yours"]["settings"]["appName"] == "Two"
    assert details["differences"] == [
        {"field": "appName", "before": "One", "after": "Two"},
        {"field": "freeModelsOnly", "before": True, "after": False},
    ]
    assert (await world.document("config/app"))["appName"] == "One"


async def test_of_many_admins_who_save_at_once_one_does(world: World) -> None:
    for base in (0, 1):
        saves = [save(world.instance(), base, appName=f"App {base}{n}") for n in range(6)]
        outcomes = await asyncio.gather(*saves, return_exceptions=True)
        won = [outcome for outcome in outcomes if isinstance(outcome, dict)]
        lost = [outcome for outcome in outcomes if isinstance(outcome, CallableError)]
        assert (len(won), {outcome.reason for outcome in lost}) == (1, {"settings_changed"})
        kept = await world.document("config/app")
        assert (kept["revision"], kept["appName"]) == (base + 1, won[0]["settings"]["appName"])
        assert len(await world.audit()) == base + 1


@pytest.mark.parametrize("base", [0, 1])
async def test_a_key_that_is_saved_meanwhile_is_no_conflict(world: World, base: int) -> None:
    for _ in range(base):
        await save(world.instance(), appName="One")
    instance, other = world.instance(), world.instance()
    keys = iter(["sk-or-v1-canary-aaa1"])

    async def after_a_key(commit: Commit, *args: Any, **kwargs: Any) -> Any:
        if (key := next(keys, None)) is not None:
            await other.call("set_openrouter_key", {"key": key})
        return await commit(*args, **kwargs)

    instance.commits(after_a_key)
    assert (await save(instance, base, appName="Two"))["revision"] == base + 1
    kept = await world.document("config/app")
    assert kept["appName"] == "Two"
    assert [entry["lastFour"] for entry in kept["keys"]["default"]] == ["aaa1"]
    assert (await instance.ask("chat"))["text"]
    assert "canary" not in str(await world.all("audit"))


async def test_a_commit_that_is_applied_twice_is_one_change(world: World) -> None:
    (instance := world.instance()).commits(applied_twice)
    assert (await save(instance, appName="One"))["revision"] == 1
    assert (await save(instance, 1, appName="Two"))["revision"] == 2
    assert len(await world.audit()) == 2


@pytest.mark.parametrize(
    "broken",
    [
        {"appName": 7, "limits": "many", "freeModelsOnly": "no", "revision": "x"},
        {"appName": "x\n", "limits": {"concurrent": 0}, "revision": -5, "unknown": 1},
        {"revision": 2**62, "limits": [], "keys": "typed"},
    ],
)
async def test_what_was_broken_by_hand_can_be_saved_over(
    world: World, broken: dict[str, Any]
) -> None:
    await world.write("config/app", broken)
    instance = world.instance()
    saved = await save(instance, appName="Mended", limits={"concurrent": 5})
    assert saved["revision"] == 1
    assert saved["settings"] == {
        **DEFAULTS,
        "appName": "Mended",
        "limits": {**DEFAULTS["limits"], "concurrent": 5},
    }
    kept = await world.document("config/app")
    assert {name: kept[name] for name in DEFAULTS} == saved["settings"]


# -- free models only ------------------------------------------------------------------------------


async def allow_paid(world: World) -> Instance:
    instance = world.instance()
    await save(instance, freeModelsOnly=False)
    return instance


async def test_what_costs_money_is_refused_when_it_is_saved_and_when_it_is_asked(
    world: World,
) -> None:
    instance = await allow_paid(world)
    paid = {"model": "sim/paid", "plugins": [{"id": "web"}]}
    await instance.save("poems", paid)
    await instance.save("songs", {"model": "sim/fast", "plugins": [{"id": "web"}]})
    await instance.save("tales", {"model": "sim/fast", "fallbackModels": ["sim/paid"]})
    await instance.save("off", {"model": "sim/paid"}, enabled=False)
    assert (await instance.ask("poems"))["usage"]["cost"] > 0

    only = await save(instance, 1, freeModelsOnly=True)
    assert [(w["reason"], w["message"].count("feature")) for w in only["warnings"]] == [
        ("paid_model", 1),
        ("paid_model", 1),
        ("models_left_out", 1),
    ]
    for name, warning in zip(("poems", "songs", "tales"), only["warnings"], strict=True):
        assert name in warning["message"]
    count = len(await world.all("generations"))
    for feature, field in (("poems", "plugins[0]"), ("songs", "plugins[0]")):
        refused = await instance.refusal("execute_prompt", {"feature": feature, "prompt": "x"})
        assert (refused.status, refused.reason) == ("FAILED_PRECONDITION", "paid_model")
        assert refused.details["field"] == field
        assert not refused.retryable
    refused = await instance.refusal(
        "save_feature_settings", {"feature": "poems", "settings": paid, "revision": 1}
    )
    assert reasons(refused.details["errors"]) == ["plugins[0]: paid_model", "model: paid_model"]
    without = {"feature": "poems", "settings": {"plugins": []}, "revision": 1}
    refused = await instance.refusal("save_feature_settings", without)
    assert reasons(refused.details["errors"]) == ["model: paid_model"]
    await world.write(
        "features/poems", {"enabled": True, "revision": 9, "settings": {"model": "sim/paid"}}
    )
    refused = await world.instance().refusal("execute_prompt", {"feature": "poems", "prompt": "x"})
    assert (refused.reason, refused.details["field"]) == ("paid_model", "model")
    # nothing was entered, nothing counted, and a fallback that costs is not asked
    assert len(await world.all("generations")) == count
    assert (await instance.ask("tales"))["model"] == "sim/fast"


async def test_a_fallback_that_costs_money_is_dropped_where_none_may(world: World) -> None:
    instance = await allow_paid(world)
    settings = {"model": "sim/402", "fallbackModels": ["sim/paid", "sim/fast"]}
    await instance.save("chat", settings)
    marker = f"marker-{secrets.token_hex(4)}"
    result = await instance.ask("chat", context=marker)
    assert result["model"] == "sim/paid"
    await save(instance, 1, freeModelsOnly=True)
    result = await instance.ask("chat", "another", context=marker)
    assert [attempt["model"] for attempt in result["attempts"]] == ["sim/402", "sim/fast"]
    assert await asked_models(world, marker) == ["sim/402", "sim/paid", "sim/402", "sim/fast"]


async def test_a_paid_model_that_users_may_choose_is_refused_to_them(world: World) -> None:
    instance = await allow_paid(world)
    await instance.save("chat", {"model": "sim/fast", "allowedModels": ["sim/paid"]})
    assert (await instance.ask("chat", model="sim/paid"))["model"] == "sim/paid"
    await save(instance, 1, freeModelsOnly=True)
    asked = {"feature": "chat", "prompt": "x", "model": "sim/paid"}
    refused = await instance.refusal("execute_prompt", asked, "user")
    assert (refused.reason, refused.details["field"]) == ("paid_model", "model")
    assert (await instance.ask("chat"))["model"] == "sim/fast"


async def test_while_there_is_no_list_of_models_a_name_alone_says_what_is_free(
    world: World,
) -> None:
    """sim/fast costs nothing by the list, which nobody can read now: it is not taken for free."""
    settings = {"model": "sim/fast", "fallbackModels": []}
    await world.write("features/chat", {"enabled": True, "revision": 1, "settings": settings})
    settings = {"model": "sim/paid", "fallbackModels": ["z-ai/glm-4.5-air:free"]}
    await world.write("features/code", {"enabled": True, "revision": 1, "settings": settings})
    instance = world.instance(OPENROUTER_BASE_URL=NOBODY)
    for feature in ("chat", "code"):
        refused = await instance.refusal("execute_prompt", {"feature": feature, "prompt": "x"})
        assert (refused.reason, refused.details["field"]) == ("paid_model", "model")
    # named :free it is asked, though here of an OpenRouter that is not there
    refused = await instance.refusal("execute_prompt", {"feature": "summarize", "prompt": "x"})
    assert refused.reason == "upstream_unreachable"


# -- what one user may do --------------------------------------------------------------------------


async def test_a_features_own_cap_refuses_and_gives_the_counters_back(world: World) -> None:
    instance = world.instance()
    capped = {"model": "sim/fast", "limits": {"requestsPerDay": 2, "requestsPerMinute": 5}}
    await instance.save("poems", capped)
    await instance.save("songs", {"model": "sim/fast"})
    for _ in range(2):
        await instance.ask("poems")
    refused = await instance.refusal("execute_prompt", {"feature": "poems", "prompt": "x"}, "user")
    assert (refused.status, refused.reason) == ("RESOURCE_EXHAUSTED", "quota_exceeded")
    told = {"limit": "feature.requestsPerDay", "max": 2, "used": 2}
    assert refused.details == {**told, "resetsAt": refused.details["resetsAt"]}
    assert 0 < (refused.retry_after_seconds or 0) <= 86_400
    await instance.app.background.drain()
    windows = await world.all("quotas/user/windows")
    assert counters.running(windows) == 0
    assert counters.requests(windows) == counters.requests(windows, "poems") == 2
    assert len(await world.all("generations")) == 2
    # others, and other features, are not held to it
    assert (await instance.ask("poems", "another"))["text"]
    assert (await instance.ask("songs"))["text"]


async def test_who_may_spend_nothing_may_still_ask_what_costs_nothing(world: World) -> None:
    """sim/fast is free by the list of models, not by its name."""
    instance = world.instance()
    await save(instance, limits={"usdPerDay": 0})
    await instance.save("chat", {"model": "sim/fast", "allowedModels": ["sim/u2028"]})
    assert (await instance.ask("chat"))["usage"]["cost"] == 0
    await save(instance, 1, freeModelsOnly=False)
    await instance.save("chat", {"model": "sim/paid"}, 1)
    refused = await instance.refusal("execute_prompt", {"feature": "chat", "prompt": "x"}, "user")
    assert refused.details["limit"] == "usdPerDay"


async def test_counters_are_given_back_once_though_the_commit_is_applied_twice(
    world: World,
) -> None:
    await world.instance().save("poems", {"model": "sim/fast", "limits": {"requestsPerDay": 2}})
    (instance := world.instance()).commits(applied_twice)
    for _ in range(2):
        await instance.ask("poems")
    for _ in range(2):
        asked = {"feature": "poems", "prompt": "x"}
        refused = await instance.refusal("execute_prompt", asked, "user")
        assert refused.details["limit"] == "feature.requestsPerDay"
    await instance.app.background.drain()
    windows = await world.all("quotas/user/windows")
    assert (counters.requests(windows, "poems"), counters.running(windows)) == (2, 0)


async def test_of_many_calls_at_once_a_cap_lets_through_what_it_says(world: World) -> None:
    instance = world.instance()
    await save(instance, limits={"concurrent": 100, "requestsPerMinute": 1_000})
    await instance.save("poems", {"model": "sim/fast", "limits": {"requestsPerDay": 4}})
    calls = [instance.ask("poems") for _ in range(12)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, CallableError)]
    assert {outcome.details["limit"] for outcome in refused} == {"feature.requestsPerDay"}
    assert len(refused) == 8
    await instance.app.background.drain()
    windows = await world.all("quotas/user/windows")
    assert counters.requests(windows, "poems") == len(outcomes) - len(refused)
    assert counters.running(windows) == 0


# -- a dry run -------------------------------------------------------------------------------------


async def test_a_dry_run_lists_what_would_go_and_saves_nothing(world: World) -> None:
    instance = await allow_paid(world)
    await instance.save("poems", {"model": "sim/paid"})
    await instance.save("tales", {"model": "sim/fast", "fallbackModels": ["sim/paid"]})
    await instance.save(
        "choice",
        {
            "model": "sim/fast",
            "allowedModels": ["sim/paid", "sim/u2028", "anthropic/claude-haiku-4.5"],
        },
    )
    audited = len(await world.audit())
    dry = {"settings": {"freeModelsOnly": True}, "revision": 1, "validateOnly": True}
    found = await instance.call(SAVE, dry)
    assert (found["valid"], found["changes"]) == (
        True,
        [{"field": "freeModelsOnly", "before": False, "after": True}],
    )
    assert reasons(found["warnings"]) == [
        "freeModelsOnly: models_left_out",
        "freeModelsOnly: paid_model",
        "freeModelsOnly: models_left_out",
    ]
    choice, poems, tales = (warning["message"] for warning in found["warnings"])
    assert "users can't choose sim/paid, anthropic/claude-haiku-4.5, because" in choice
    assert "poems" in poems
    assert "no fallback to sim/paid" in tales
    assert len(await world.audit()) == audited
    assert (await instance.ask("poems"))["usage"]["cost"] > 0

    assert "poems" in {one["feature"] for one in await features(instance)}
    await save(instance, 1, freeModelsOnly=True)
    assert "poems" not in {one["feature"] for one in await features(instance)}


async def features(instance: Instance) -> list[dict[str, Any]]:
    return list((await instance.call("list_features", None, "user"))["features"])


async def test_a_limit_below_what_a_features_answer_reserves_is_listed(world: World) -> None:
    instance = await allow_paid(world)
    await instance.save("poems", {"model": "sim/paid", "maxTokens": 256})
    for low, fields in (
        ({"usdPerDay": 0.001}, {"limits.usdPerDay"}),
        ({"usdPerDay": 0}, {"limits.usdPerDay"}),
        ({"usdPerMonth": 0.001}, {"limits.usdPerMonth"}),
        ({"usdPerDay": 0.5}, set()),
    ):
        dry = {"settings": {"limits": low}, "revision": 1, "validateOnly": True}
        found = (await instance.call(SAVE, dry))["warnings"]
        assert {one["field"] for one in found if "poems" in one["message"]} == fields


async def test_an_app_has_a_name(world: World) -> None:
    refused = await world.instance().refusal(SAVE, {"settings": {"appName": ""}, "revision": 0})
    assert refused.details["errors"][0]["message"] == "appName must not be empty."


# -- revisions -------------------------------------------------------------------------------------

RESTORE = "restore_app_settings"


async def test_every_change_is_a_revision_that_can_be_restored(world: World) -> None:
    instance = world.instance()
    await save(instance, appName="One", limits={"concurrent": 3})
    await save(instance, 1, appName="Two")
    kept = await world.all("config/app/revisions")
    assert {*kept} == {"1", "2"}
    assert (kept["2"]["base"], kept["2"]["by"], kept["2"]["action"]) == (1, ADMIN, SAVE)
    assert kept["2"]["changes"] == [{"field": "appName", "before": "One", "after": "Two"}]
    back = await instance.call(RESTORE, {"revision": 2, "restore": 1, "note": "Too early"})
    assert (back["revision"], back["settings"]["appName"]) == (3, "One")
    assert back["settings"]["limits"]["concurrent"] == 3
    entry = (await world.audit())[-1]
    assert (entry["action"], entry["note"]) == (RESTORE, "Too early")
    first = await instance.call(RESTORE, {"revision": 3, "restore": 0})
    assert first["settings"] == DEFAULTS
    for data, reason in (
        ({"revision": 3, "restore": 1}, "settings_changed"),
        ({"revision": 4, "restore": 9}, "revision_unknown"),
    ):
        assert (await instance.refusal(RESTORE, data)).reason == reason


async def test_an_edit_by_hand_is_a_revision_and_collides_with_pages_loaded_before(
    world: World,
) -> None:
    instance = world.instance(UNCACHED)
    await save(instance, appName="One")
    await world.firestore.document("config/app").update({"limits.concurrent": 2, "x": 1})
    stale = {"settings": {"appName": "Two"}, "revision": 1}
    refused = await instance.refusal(SAVE, stale)
    assert refused.reason == "settings_changed"
    assert refused.details["current"]["settings"]["limits"]["concurrent"] == 2
    edited = (await world.all("config/app/revisions"))["2"]
    assert (edited["action"], edited["by"]) == ("edited_by_hand", "")
    saved = await instance.call(SAVE, {**stale, "revision": 2})
    assert (saved["revision"], saved["settings"]["limits"]["concurrent"]) == (3, 2)
    actions = [entry["action"] for entry in await world.audit()]
    assert actions == [SAVE, "edited_by_hand", SAVE]


async def test_what_cannot_be_read_is_flagged_and_said_when_it_is_replaced(world: World) -> None:
    instance = world.instance(UNCACHED)
    await save(instance, appName="One")
    await world.firestore.document("config/app").update({"limits.concurrent": "lots"})
    flags = (await instance.call("refresh_catalog", None))["flags"]
    assert [(flag["feature"], flag["field"]) for flag in flags] == [("", "limits.concurrent")]
    revision = (await instance.call("get_feature_settings", None))["app"]["revision"]
    saved = await save(instance, revision, appName="Two")
    assert reasons(saved["warnings"]) == ["limits.concurrent: invalid"]
    assert (await world.document("config/app"))["limits"]["concurrent"] == 6
    assert (await instance.call("refresh_catalog", None))["flags"] == []
