"""Admins change what features do: whole or not at all, said field by field, and undone."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from google.api_core.exceptions import DeadlineExceeded, ServiceUnavailable
from google.api_core.exceptions import InvalidArgument as FirestoreRefused

from firerouter import limits
from firerouter.admin.limits import AdminLimits
from firerouter.app.limits import Limits
from firerouter.callable import CallableError
from firerouter.features.defaults import DEFAULTS
from firerouter.features.feature import Draft
from firerouter.features.limits import SettingsLimits
from firerouter.features.settings import FeatureSettings
from firerouter.firestore import FirestoreLimits
from scripts.devtools.callable_client import CallableClient, CallableFailure, id_token
from scripts.devtools.suite import Suite
from tests.support.accounts import create_account
from tests.support.calls import ADMIN
from tests.support.faulty_firestore import Commit, applied_twice
from tests.support.in_process import UNCACHED, Instance, World
from tests.support.serve import Serve

SAVE = "save_feature_settings"
RESET = "reset_feature_settings"
RESTORE = "restore_feature_settings"
PROMOTE, DROP = "promote_draft", "drop_draft"
DELETE = "delete_feature"
PROMPT = "You are a pirate. Speak of {{topic}} — in full: “ünïcode” \U0001f600"
PIRATE = {"model": "sim/fast", "systemPrompt": PROMPT, "temperature": 0.5}
PLAIN = {"model": "sim/fast"}


def whole(**settings: Any) -> dict[str, Any]:
    """All settings as they are kept, those that are not given at their defaults."""
    return FeatureSettings.model_validate(settings, by_alias=True, by_name=False).to_json()


def reasons(findings: list[dict[str, str]]) -> list[str]:
    return [f"{finding['field']}: {finding['reason']}" for finding in findings]


async def is_untouched(world: World, feature: str) -> bool:
    """Whether nothing at all is kept of it."""
    kept = await world.document(f"features/{feature}"), await world.revisions(feature)
    return not any(kept) and not await world.audit()


# -- through the wire ------------------------------------------------------------------------------


async def test_what_cannot_be_set_is_refused_through_the_wire_field_by_field(
    suite: Suite, admin: str, app_check: str
) -> None:
    feature = f"wire-{secrets.token_hex(4)}"
    async with CallableClient(suite.functions_url, admin, app_check) as as_admin:
        for settings, field in (
            ({"temperature": 3}, "temperature"),
            ({"model": "a/b\x00"}, "model"),
            ({"systemPrompt": "canary" * 170_000}, "systemPrompt"),
            ({"parameters": {"x": 2**64 - 1}}, "parameters"),
            ({"nope": 1}, "nope"),
            ({"model": "no/such-model"}, "model"),
        ):
            with pytest.raises(CallableFailure) as refused:
                await as_admin.call(SAVE, {"feature": feature, "settings": settings, "revision": 0})
            assert refused.value.status == "INVALID_ARGUMENT"
            assert refused.value.details["reason"] == "settings_refused"
            assert [error["field"] for error in refused.value.details["errors"]] == [field]
            assert "canary" not in str(refused.value.details)


async def test_an_admin_saves_and_goes_back_and_a_user_gets_it(
    suite: Suite, admin: str, app_check: str, client: CallableClient
) -> None:
    feature = f"wire-{secrets.token_hex(4)}"
    async with CallableClient(suite.functions_url, admin, app_check) as as_admin:
        first = {"feature": feature, "settings": PIRATE, "revision": 0, "note": "Arr"}
        saved = await as_admin.call(SAVE, first)
        assert (saved["revision"], saved["enabled"], saved["draft"]) == (1, True, None)
        assert saved["settings"] == whole(**PIRATE)
        second = {"feature": feature, "settings": {**PIRATE, "temperature": 1}, "revision": 1}
        saved = await as_admin.call(SAVE, second)
        assert saved["changes"] == [{"field": "temperature", "before": 0.5, "after": 1.0}]
        with pytest.raises(CallableFailure) as outdated:
            await as_admin.call(SAVE, {**second, "settings": {**PIRATE, "seed": 7}})
        assert outdated.value.status == "ABORTED"
        details = outdated.value.details
        assert (details["reason"], details["retryable"]) == ("settings_changed", False)
        assert (details["yours"]["revision"], details["current"]["revision"]) == (1, 2)
        assert details["current"]["savedBy"] == "demo-admin"
        assert details["yours"]["settings"] == whole(**PIRATE, seed=7)
        assert details["current"]["settings"] == saved["settings"]
        assert {one["field"] for one in details["differences"]} == {"seed", "temperature"}

        back = {"feature": feature, "revision": 2, "restore": 1}
        restored = await as_admin.call(RESTORE, back)
        assert (restored["revision"], restored["settings"]) == (3, whole(**PIRATE))
        with pytest.raises(CallableFailure) as unknown:
            await as_admin.call(RESTORE, {**back, "revision": 3, "restore": 9})
        assert unknown.value.status == "NOT_FOUND"
        assert unknown.value.details["reason"] == "revision_unknown"
        with pytest.raises(CallableFailure) as no_default:
            await as_admin.call(RESET, {"feature": feature, "revision": 3})
        assert no_default.value.details["field"] == "feature"

        trial = {"feature": feature, "settings": PLAIN, "revision": 3, "draftPercent": 100}
        trial["replace"] = True
        assert (await as_admin.call(SAVE, trial))["draft"]["revision"] == 4
        result = await client.call("execute_prompt", {"feature": feature, "prompt": "Hi"})
        assert (result["revision"], result["model"]) == (4, "sim/fast")
        promoted = await as_admin.call(PROMOTE, {"feature": feature, "revision": 4})
        assert (promoted["revision"], promoted["settings"]) == (4, whole(**PLAIN))
        with pytest.raises(CallableFailure) as none:
            await as_admin.call(DROP, {"feature": feature, "revision": 4})
        assert none.value.details["reason"] == "no_draft"

        assert (await as_admin.call(SAVE, {**trial, "settings": PIRATE, "revision": 4}))["draft"]
        dropped = await as_admin.call(DROP, {"feature": feature, "revision": 5, "note": "Too wild"})
        assert (dropped["revision"], dropped["draft"]) == (4, None)
        result = await client.call("execute_prompt", {"feature": feature, "prompt": "Hi"})
        assert result["revision"] == 4


async def test_a_built_in_feature_is_reset_through_the_wire(world: World, serve: Serve) -> None:
    await asyncio.to_thread(create_account, world.suite, "ann", '{"admin":true}', world.project)
    await world.instance().save("code", PLAIN)
    url = serve(RESET, env={"GCLOUD_PROJECT": world.project}).url
    token = id_token(world.project, "ann", admin=True, email="ann@demo.test")
    async with CallableClient(url, token, await world.app_check()) as as_admin:
        reset = await as_admin.call("", {"feature": "code", "revision": 1, "note": "As it was"})
    assert (reset["revision"], reset["enabled"]) == (2, True)
    assert reset["settings"] == DEFAULTS["code"].settings.to_json()
    assert (await world.document("features/code"))["settings"] == reset["settings"]
    kept = (await world.revisions("code"))[2]
    assert (kept["action"], kept["base"], kept["note"]) == (RESET, 1, "As it was")


async def test_a_change_is_everywhere_within_ten_seconds(
    suite: Suite, serve: Serve, user: str, admin: str, app_check: str
) -> None:
    """Two processes: what one saves is not said to the other, which has looked just before."""
    feature, one, other = f"far-{secrets.token_hex(4)}", serve(SAVE), serve("execute_prompt")
    async with (
        CallableClient(one.url, admin, app_check) as saver,
        CallableClient(other.url, user, app_check) as asker,
    ):
        asked = {"feature": feature, "prompt": "Hi"}
        await saver.call("", {"feature": feature, "settings": PLAIN, "revision": 0})
        assert (await asker.call("", asked))["revision"] == 1
        changed = {"feature": feature, "settings": {**PLAIN, "topP": 0.5}, "revision": 1}
        await saver.call("", changed)
        since = time.monotonic()
        while (await asker.call("", asked))["revision"] == 1:
            assert time.monotonic() - since < 10
            await asyncio.sleep(0.5)
        assert time.monotonic() - since < 10


# -- saving ----------------------------------------------------------------------------------------


async def test_a_new_feature_is_a_document_a_revision_and_an_audit_entry(world: World) -> None:
    instance = world.instance()
    saved = await instance.save("poems", PIRATE, note="For the sea")
    assert saved == {
        "feature": "poems",
        "enabled": True,
        "revision": 1,
        "settings": whole(**PIRATE),
        "draft": None,
        "changes": [
            {"field": "model", "before": FeatureSettings().model, "after": "sim/fast"},
            {"field": "systemPrompt", "before": "", "after": PROMPT},
            {"field": "temperature", "after": 0.5},
        ],
        "warnings": [],
    }
    document = await world.document("features/poems")
    at = document.pop("savedAt")
    assert document.pop("checksum")
    assert document == {
        "enabled": True,
        "revision": 1,
        "settings": whole(**PIRATE),
        "draft": None,
        "savedBy": ADMIN,
        "prices": [
            {
                "model": "sim/fast",
                "promptPrice": "0",
                "completionPrice": "0",
                "canonicalSlug": "sim/fast",
            }
        ],
    }
    assert await world.revisions("poems") == {
        1: {
            "revision": 1,
            "settings": whole(**PIRATE),
            "action": SAVE,
            "base": 0,
            "changes": saved["changes"],
            "at": at,
            "by": ADMIN,
            "email": "ann@demo.test",
            "note": "For the sea",
        }
    }
    (entry,) = await world.audit()
    del entry["at"]
    assert entry == {
        "by": ADMIN,
        "email": "ann@demo.test",
        "action": SAVE,
        "target": "features/poems",
        "before": None,
        "after": {"enabled": True, "revision": 1, "settings": whole(**PIRATE)},
        "note": "For the sea",
    }
    assert (await instance.ask("poems", variables={"topic": "x"}))["revision"] == 1


async def test_saving_again_keeps_both_and_shows_what_changed(world: World) -> None:
    instance = world.instance()
    await instance.save("chat", PIRATE)
    assert (await instance.ask("chat", variables={"topic": "x"}))["revision"] == 1
    saved = await instance.save("chat", PLAIN, 1)
    assert saved["changes"] == [
        {"field": "systemPrompt", "before": PROMPT, "after": ""},
        {"field": "temperature", "before": 0.5},
    ]
    assert (await instance.ask("chat"))["revision"] == 2  # at once, where it was saved
    assert [*await world.revisions("chat")] == [1, 2]
    _, entry = await world.audit()
    assert entry["before"] == {"enabled": True, "revision": 1, "settings": whole(**PIRATE)}
    assert entry["after"] == {"enabled": True, "revision": 2, "settings": whole(**PLAIN)}


async def test_what_was_made_from_an_older_revision_is_refused_with_both(world: World) -> None:
    await world.instance().save("chat", PIRATE)
    for base in (0, 2, 7):
        refused = await world.instance().refusal(
            SAVE,
            {
                "feature": "chat",
                "settings": {**PLAIN, "seed": 3},
                "replace": True,
                "revision": base,
            },
        )
        assert (refused.status, refused.reason) == ("ABORTED", "settings_changed")
        assert refused.details["field"] == "revision"
        mine = whole(**PLAIN, seed=3)
        assert refused.details["yours"] == {"revision": base, "settings": mine}
        current = refused.details["current"]
        assert current.pop("savedAt").startswith("20")
        assert current == {
            "revision": 1,
            "enabled": True,
            "settings": whole(**PIRATE),
            "savedBy": ADMIN,
        }
        assert refused.details["differences"] == [
            {"field": "seed", "after": 3},
            {"field": "systemPrompt", "before": PROMPT, "after": ""},
            {"field": "temperature", "before": 0.5},
        ]
    # without a number nothing was looked at
    without = await world.instance().refusal(SAVE, {"feature": "chat", "settings": PLAIN})
    assert without.reason == "settings_changed"
    assert len(await world.audit()) == len(await world.revisions("chat")) == 1


# settings: errors, warnings
REFUSED: list[tuple[dict[str, Any], list[str], list[str]]] = [
    (
        {"temperature": 3, "nope": 1, "model": "a b", "stop": [""]},
        ["model: invalid", "temperature: invalid", "stop[0]: invalid", "nope: invalid"],
        [],
    ),
    ({"system_prompt": "x"}, ["system_prompt: invalid"], []),
    ({"parameters": {"model": "x/y"}}, ["parameters.model: invalid"], []),
    ({"parameters": {"__name__": 1}}, ["parameters: invalid"], []),
    ({"parameters": {"x": [[1]]}}, ["parameters: invalid"], []),
    ({"parameters": {"x": 2**63}}, ["parameters: invalid"], []),
    (
        {
            "model": "no/such",
            "fallbackModels": ["meta-llama/llama-3.3-70b-instruct:free"],
            "responseFormat": {"type": "json_object"},
            "systemPrompt": "{{7*7}}",
        },
        ["model: model_unknown"],
        ["systemPrompt: not_a_variable", "fallbackModels[0]: no_json"],
    ),
    ({"model": "sim/paid"}, ["model: paid_model"], []),
    (
        {"model": "z-ai/glm-4.5-air:free", "maxTokens": 100_000, "plugins": [{"id": "web"}]},
        ["plugins[0]: paid_model", "maxTokens: max_tokens_too_high"],
        [],
    ),
]


@pytest.mark.parametrize("only", [False, True])
async def test_what_cannot_be_is_said_field_by_field_and_keeps_nothing(
    world: World, only: bool
) -> None:
    instance = world.instance()
    for settings, errors, warnings in REFUSED:
        data = {"feature": "x", "settings": settings, "revision": 0, "validateOnly": only}
        refused = await instance.refusal(SAVE, data)
        assert (refused.status, refused.reason) == ("INVALID_ARGUMENT", "settings_refused")
        assert sorted(reasons(refused.details["errors"])) == sorted(errors)
        assert reasons(refused.details["warnings"]) == warnings
        first = refused.details["errors"][0]
        assert (refused.message, refused.details["field"]) == (first["message"], first["field"])
    nones: list[Any] = [None, [], "{}", 7]
    for none in nones:
        data = {"feature": "x", "settings": none, "revision": 0, "validateOnly": only}
        assert (await instance.refusal(SAVE, data)).reason == "invalid_argument"
    assert await is_untouched(world, "x")


async def test_of_very_many_errors_an_answer_lists_the_first(world: World) -> None:
    many = [f"no/such-{number}" for number in range(limits.ALLOWED_MODELS_MAX)]
    settings = {"model": "no/such", "allowedModels": many}
    data = {"feature": "x", "settings": settings, "revision": 0}
    refused = await world.instance().refusal(SAVE, data)
    assert len(refused.details["errors"]) == AdminLimits().findings_max
    assert refused.details["errors"][0]["field"] == "model"


BAD_CALLS: list[tuple[dict[str, Any], str]] = [
    ({}, "feature"),
    ({"feature": "two words", "enabled": True}, "feature"),
    ({"feature": "../../config/app", "enabled": True}, "feature"),
    ({"feature": "chat"}, "settings"),
    ({"feature": "chat", "settings": None}, "settings"),
    ({"feature": "chat", "enabled": "yes"}, "enabled"),
    ({"feature": "chat", "enabled": True, "draftPercent": 5}, "settings"),
    ({"feature": "chat", "enabled": True, "validateOnly": True}, "settings"),
    (
        {"feature": "chat", "settings": PLAIN, "enabled": True, "draftPercent": 5},
        "enabled",
    ),
    ({"feature": "chat", "settings": PLAIN, "revision": -1}, "revision"),
    ({"feature": "chat", "settings": PLAIN, "revision": "1"}, "revision"),
    ({"feature": "chat", "settings": PLAIN, "revision": 2**53}, "revision"),
    ({"feature": "chat", "settings": PLAIN, "draftPercent": 101}, "draftPercent"),
    ({"feature": "chat", "settings": PLAIN, "draftPercent": -1}, "draftPercent"),
    ({"feature": "chat", "settings": PLAIN, "draftPercent": float("nan")}, "draftPercent"),
    ({"feature": "chat", "settings": PLAIN, "note": "x" * 501}, "note"),
    ({"feature": "chat", "settings": PLAIN, "admin": True}, "admin"),
]


async def test_a_call_that_is_not_right_is_refused(world: World) -> None:
    instance = world.instance()
    for data, field in BAD_CALLS:
        refused = await instance.refusal(SAVE, data)
        assert refused.reason == "invalid_argument"
        assert refused.details["field"] == field, data
    assert await is_untouched(world, "chat")


async def test_to_look_only_saves_nothing_and_says_the_warnings(world: World) -> None:
    looked = await world.instance().save(
        "new", {**PLAIN, "topK": 3, "systemPrompt": "{{x y}}"}, validateOnly=True
    )
    assert (looked["feature"], looked["valid"]) == ("new", True)
    assert reasons(looked["warnings"]) == ["systemPrompt: not_a_variable", "topK: not_supported"]
    assert await is_untouched(world, "new")


async def test_on_and_off_needs_no_revision_and_makes_none(world: World) -> None:
    instance = world.instance()
    await instance.save("chat", PIRATE)
    off = await instance.call(SAVE, {"feature": "chat", "enabled": False})
    assert (off["enabled"], off["revision"], off["changes"]) == (False, 1, [])
    assert (
        await instance.refusal("execute_prompt", {"feature": "chat", "prompt": "x"})
    ).reason == ("feature_disabled")
    again = await instance.call(SAVE, {"feature": "chat", "enabled": False})  # as it was
    assert again["enabled"] is False
    outdated = {"feature": "chat", "enabled": True, "revision": 0}
    assert (await instance.refusal(SAVE, outdated)).reason == "settings_changed"
    await instance.call(SAVE, {**outdated, "revision": 1, "note": "Back"})
    _, first, second = await world.audit()
    assert second["note"] == "Back"
    assert [(e["before"]["enabled"], e["after"]["enabled"]) for e in (first, second)] == [
        (True, False),
        (False, True),
    ]
    assert [*await world.revisions("chat")] == [1]
    kept = await world.document("features/chat")
    assert kept["settings"] == whole(**PIRATE)
    assert kept["prices"]
    # saving settings leaves it as it is, unless it says
    await instance.call(SAVE, {"feature": "chat", "enabled": False})
    assert (await instance.save("chat", PLAIN, 1))["enabled"] is False
    assert (await instance.save("chat", PIRATE, 2, enabled=True))["enabled"] is True


async def test_a_built_in_feature_is_switched_before_anybody_saved_it(world: World) -> None:
    instance = world.instance()
    off = await instance.call(SAVE, {"feature": "chat", "enabled": False})
    assert (off["revision"], off["settings"]) == (0, DEFAULTS["chat"].settings.to_json())
    saved = await instance.save("chat", PLAIN, 0, enabled=True)
    assert (saved["revision"], saved["enabled"]) == (1, True)
    refused = await instance.refusal(SAVE, {"feature": "nobodys", "enabled": True})
    assert (refused.reason, refused.details["field"]) == ("feature_unknown", "feature")


async def test_saving_what_is_there_makes_no_revision(world: World) -> None:
    settings = {**PIRATE, "plugins": [{"id": "web", "enabled": False, "a": {"z": 1, "b": 2}}]}
    await world.instance().save("chat", settings)
    again = await world.instance().save("chat", settings, 1)
    assert (again["revision"], again["changes"]) == (1, [])
    assert (await world.instance().save("code", DEFAULTS["code"].settings.to_json()))[
        "revision"
    ] == 0
    assert len(await world.audit()) == len(await world.revisions("chat")) == 1
    # 1 and true are the same to Python, not to OpenRouter
    settings["plugins"] = [{"id": "web", "enabled": False, "a": {"z": True, "b": 2}}]
    assert (await world.instance().save("chat", settings, 1))["revision"] == 2


async def test_odd_names_and_large_settings_come_back_as_they_went(world: World) -> None:
    odd = {"a.b": 1, "x y": {"`": [1, {"é": None}], "0": -(2**63)}, "*": 1.5, "\\": True}
    settings = {**PLAIN, "parameters": odd, "systemPrompt": "\U0001f600" * 50_000}
    large = {**PLAIN, "systemPrompt": "\u4e2d" * 50_000}
    await world.instance().save("chat", settings)
    await world.instance().save("chat", large, 1, draftPercent=50)
    await world.instance().save("chat", settings, 2, draftPercent=50)
    stored = await world.instance().app.features.store.read("chat")
    assert stored.feature
    assert stored.feature.draft
    for kept in (stored.feature.settings, stored.feature.draft.settings):
        assert (kept.parameters, kept.system_prompt) == (odd, settings["systemPrompt"])
    assert [*await world.revisions("chat")] == [1, 2, 3]


async def test_settings_as_large_as_they_may_be_can_be_kept_beside_each_other(
    world: World,
) -> None:
    """An audit entry holds four of them: what served and a draft, before and after."""
    tool = {"type": "openrouter:datetime", "parameters": {"x": "x" * 19_000}}
    large = {**PLAIN, "tools": [tool] * 8, "systemPrompt": "\U0001f600" * 21_000}
    instance = world.instance()
    await instance.save("chat", large)
    for base in (1, 2, 3):
        draft = {**large, "seed": base, "systemPrompt": "\U0001f601" * 21_000}
        await instance.save("chat", draft, base, draftPercent=1)
    assert (await instance.call(PROMOTE, {"feature": "chat", "revision": 4}))["revision"] == 4
    sizes = [len(str(entry).encode()) for entry in await world.audit()]
    assert max(sizes) > 900_000


async def test_an_app_has_only_so_many_features(world: World) -> None:
    limits = Limits(features=SettingsLimits(features_max=len(DEFAULTS) + 1))
    instance = world.instance(limits=limits)
    await instance.save("one", PLAIN)
    refused = await instance.refusal(SAVE, {"feature": "two", "settings": PLAIN, "revision": 0})
    assert (refused.reason, refused.details["field"]) == ("invalid_argument", "feature")
    assert (await instance.save("one", PIRATE, 1))["revision"] == 2
    assert (await instance.save("chat", PIRATE))["revision"] == 1


async def test_without_a_list_of_models_what_is_free_by_name_can_be_saved(world: World) -> None:
    alone = world.instance(OPENROUTER_BASE_URL="http://127.0.0.1:9/api/v1")
    saved = await alone.save("chat", {"model": "any/model:free", "maxTokens": 200_000})
    assert reasons(saved["warnings"]) == ["model: catalog_unavailable"]
    assert "prices" not in await world.document("features/chat")
    refused = await alone.refusal(SAVE, {"feature": "chat", "settings": PLAIN, "revision": 1})
    assert reasons(refused.details["errors"]) == ["model: paid_model"]


# -- going back ------------------------------------------------------------------------------------


async def test_reset_and_restore_are_revisions_of_their_own(world: World) -> None:
    instance = world.instance()
    await instance.save("chat", PIRATE)
    reset = await instance.call(RESET, {"feature": "chat", "revision": 1, "note": "Enough"})
    assert (reset["revision"], reset["settings"]) == (2, DEFAULTS["chat"].settings.to_json())
    restored = await instance.call(RESTORE, {"feature": "chat", "revision": 2, "restore": 1})
    assert (restored["revision"], restored["settings"]) == (3, whole(**PIRATE))
    default = await instance.call(RESTORE, {"feature": "chat", "revision": 3, "restore": 0})
    assert (default["revision"], default["settings"]) == (4, reset["settings"])
    kept = await world.revisions("chat")
    assert [(r["action"], r["base"], r["note"]) for r in kept.values()] == [
        (SAVE, 0, None),
        (RESET, 1, "Enough"),
        (RESTORE, 2, None),
        (RESTORE, 3, None),
    ]
    assert {"field": "systemPrompt", "before": kept[2]["settings"]["systemPrompt"], "after": PROMPT}
    audit = await world.audit()
    assert [entry["action"] for entry in audit] == [SAVE, RESET, RESTORE, RESTORE]
    assert audit[2]["after"]["settings"]["systemPrompt"] == PROMPT
    # where it is already
    assert (await instance.call(RESET, {"feature": "chat", "revision": 4}))["revision"] == 4
    # who has not seen that is told so only if anything would change
    assert (await instance.call(RESET, {"feature": "chat", "revision": 1}))["revision"] == 4
    outdated = {"feature": "chat", "revision": 1, "restore": 1}
    assert (await instance.refusal(RESTORE, outdated)).reason == "settings_changed"
    assert len(await world.audit()) == 4


async def test_an_old_revision_serves_again_though_its_model_is_gone(world: World) -> None:
    await world.write(
        "features/chat/revisions/3", {"revision": 3, "settings": {"model": "x/gone:free"}}
    )
    await world.write(
        "features/chat/revisions/4", {"revision": 4, "settings": {"model": "sim/paid"}}
    )
    await world.write("features/chat/revisions/5", {"revision": 5, "settings": {"model": 7}})
    instance = world.instance()
    restored = await instance.call(RESTORE, {"feature": "chat", "revision": 0, "restore": 3})
    assert (restored["revision"], restored["settings"]["model"]) == (6, "x/gone:free")
    assert reasons(restored["warnings"]) == ["model: model_gone"]
    paid = {"feature": "chat", "revision": 6, "restore": 4}
    refused = await instance.refusal(RESTORE, paid)
    assert reasons(refused.details["errors"]) == ["model: paid_model"]
    invalid = await instance.refusal(RESTORE, {**paid, "restore": 5})
    assert (invalid.reason, invalid.details["revision"]) == ("settings_invalid", 5)
    assert "Revision 5" in invalid.message
    unknown = await instance.refusal(RESTORE, {**paid, "restore": 9})
    assert (unknown.reason, unknown.details["field"]) == ("revision_unknown", "restore")
    assert len(await world.audit()) == 1
    # and whoever changes its prompt is not stopped by the model
    saved = await instance.save("chat", {"model": "x/gone:free", "systemPrompt": "New"}, 6)
    assert reasons(saved["warnings"]) == ["model: model_gone"]


BROKEN: dict[str, dict[str, Any]] = {
    "no settings": {"enabled": True, "revision": 3},
    "settings that are text": {"enabled": True, "revision": 3, "settings": "{}"},
    "a model that is a number": {"enabled": True, "revision": 3, "settings": {"model": 7}},
    "a field of nobody's": {"enabled": True, "revision": 3, "settings": {**PLAIN, "x": 1}},
    "a negative number": {"enabled": True, "revision": -3, "settings": PLAIN},
    "a huge number": {"enabled": True, "revision": 2**62, "settings": PLAIN},
    "a number as text": {"enabled": True, "revision": "3", "settings": PLAIN},
    "a draft of nothing": {"enabled": True, "revision": 3, "settings": PLAIN, "draft": "x"},
    "a broken draft": {
        "enabled": True,
        "revision": 3,
        "settings": PLAIN,
        "draft": {"revision": -4, "percent": 100, "settings": PLAIN},
    },
    "nothing but on": {"enabled": True},
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
async def test_what_was_broken_by_hand_serves_and_can_be_saved_over(
    world: World, broken: dict[str, Any]
) -> None:
    await world.write("features/chat", {**broken, "own": "field"})
    revisions = {"1": {"revision": 1, "settings": PIRATE}, "2": {"revision": "x", "settings": 7}}
    for number, revision in revisions.items():
        await world.write(f"features/chat/revisions/{number}", revision)
    instance = world.instance()
    assert (await instance.ask("chat", variables={"topic": "x"}))["text"]
    refused = await instance.refusal(SAVE, {"feature": "chat", "settings": PLAIN, "revision": 999})
    seen = refused.details["current"]["revision"]
    saved = await instance.save("chat", {**PLAIN, "seed": 1}, seen)
    assert saved["revision"] > max(seen, 1)
    document = await world.document("features/chat")
    assert (document["settings"], document["draft"]) == (whole(**PLAIN, seed=1), None)
    assert document["own"] == "field"
    number = str(saved["revision"])
    assert (await world.document(f"features/chat/revisions/{number}"))["base"] == seen
    back = {"feature": "chat", "revision": saved["revision"], "restore": 1}
    restored = await instance.call(RESTORE, back)
    assert restored["settings"] == whole(**PIRATE)
    assert (await world.instance().ask("chat", variables={"topic": "x"}))["revision"] == (
        restored["revision"]
    )


async def test_a_broken_document_is_made_whole_by_saving_what_serves(world: World) -> None:
    await world.write("features/chat/revisions/1", {"revision": 1, "settings": PIRATE})
    await world.write("features/chat", {"enabled": True, "revision": 2, "settings": None})
    saved = await world.instance().save("chat", PIRATE, 1)
    assert saved["revision"] == 2
    assert (await world.document("features/chat"))["settings"] == whole(**PIRATE)


async def test_a_feature_of_the_admins_that_nothing_is_left_of_is_saved_as_new(
    world: World,
) -> None:
    await world.write("features/poems", {"enabled": True, "revision": 2, "settings": None})
    instance = world.instance()
    refused = await instance.refusal("execute_prompt", {"feature": "poems", "prompt": "x"})
    assert refused.reason == "settings_invalid"
    assert (await instance.save("poems", PLAIN))["revision"] == 1
    assert (await instance.ask("poems"))["revision"] == 1


# -- at once ---------------------------------------------------------------------------------------


async def test_of_many_admins_who_save_at_once_one_does(world: World) -> None:
    instances = [world.instance() for _ in range(3)]
    await instances[0].save("chat", PLAIN)
    wins = 1
    for base in (1, 2, 3):
        saves = [
            instances[number % 3].save("chat", {**PLAIN, "seed": 10 * base + number}, base)
            for number in range(9)
        ]
        outcomes = await asyncio.gather(*saves, return_exceptions=True)
        lost = [outcome for outcome in outcomes if isinstance(outcome, CallableError)]
        won = [outcome for outcome in outcomes if isinstance(outcome, dict)]
        assert (len(won), len(lost)) == (1, 8)
        assert {outcome.reason for outcome in lost} == {"settings_changed"}
        assert all(outcome.details["current"]["revision"] == base + 1 for outcome in lost)
        wins += 1
        kept = await world.revisions("chat")
        assert [*kept] == [*range(1, wins + 1)]
        assert kept[wins]["settings"] == won[0]["settings"]
        assert (await world.document("features/chat"))["settings"] == won[0]["settings"]
    assert len(await world.audit()) == wins


async def test_a_new_feature_is_made_once(world: World) -> None:
    saves = [world.instance().save("new", {**PLAIN, "seed": number}) for number in range(6)]
    outcomes = await asyncio.gather(*saves, return_exceptions=True)
    assert len([outcome for outcome in outcomes if isinstance(outcome, dict)]) == 1
    assert len(await world.revisions("new")) == len(await world.audit()) == 1


async def test_what_is_changed_beside_it_is_no_reason_to_refuse(world: World) -> None:
    """Somebody switches it off, and starts a draft, while another saves."""
    await world.instance().save("chat", PLAIN)
    instance, others = world.instance(), world.instance()
    changes: Iterator[Callable[[], Awaitable[Any]]] = iter(
        [
            lambda: others.call(SAVE, {"feature": "chat", "enabled": False}),
            lambda: others.save("chat", {**PLAIN, "seed": 1}, 1, draftPercent=5),
        ]
    )

    async def after_another(commit: Commit, *args: Any, **kwargs: Any) -> Any:
        if (change := next(changes, None)) is not None:
            await change()
        return await commit(*args, **kwargs)

    instance.commits(after_another)
    saved = await instance.save("chat", {**PLAIN, "seed": 2}, 1)
    assert (saved["enabled"], saved["draft"]["revision"]) == (False, 2)
    kept, revisions = await world.document("features/chat"), await world.revisions("chat")
    assert (kept["settings"]["seed"], kept["draft"]["settings"]["seed"]) == (2, 1)
    assert revisions[saved["revision"]]["settings"]["seed"] == 2
    assert len(revisions) == 3
    assert len(await world.audit()) == 4


async def test_a_commit_that_is_applied_twice_is_one_change(world: World) -> None:
    (instance := world.instance()).commits(applied_twice)
    for base, settings in enumerate((PLAIN, PIRATE)):  # the document created, and updated
        assert (await instance.save("chat", settings, base))["revision"] == base + 1
    await instance.save("chat", PLAIN, 2, draftPercent=5)
    await instance.call(PROMOTE, {"feature": "chat", "revision": 3})
    await instance.call(SAVE, {"feature": "chat", "enabled": False})
    assert [*await world.revisions("chat")] == [1, 2, 3]
    assert len(await world.audit()) == 5


async def test_a_commit_whose_answer_is_lost_is_found_to_be_made(world: World) -> None:
    async def lost(commit: Commit, *args: Any, **kwargs: Any) -> Any:
        await commit(*args, **kwargs)
        raise DeadlineExceeded("x")  # type: ignore[no-untyped-call]  # it ships no types

    await world.instance().app.models.catalog.get()  # kept in Firestore too
    (instance := world.instance()).commits(lost)
    assert (await instance.save("chat", PLAIN))["revision"] == 1
    assert len(await world.revisions("chat")) == len(await world.audit()) == 1


async def test_a_commit_that_is_not_made_leaves_nothing(world: World) -> None:
    async def away(commit: Commit, *args: Any, **kwargs: Any) -> Any:
        raise ServiceUnavailable("x")  # type: ignore[no-untyped-call]  # it ships no types

    await world.instance().app.models.catalog.get()
    hurried = replace(UNCACHED, firestore=FirestoreLimits(change_s=0.2))
    (instance := world.instance(hurried)).commits(away)
    data = {"feature": "chat", "settings": PLAIN, "revision": 0}
    refused = await instance.refusal(SAVE, data)
    assert (refused.reason, refused.retryable) == ("settings_unavailable", True)
    assert await is_untouched(world, "chat")


async def test_what_firestore_will_not_hold_is_refused_and_is_no_outage(world: World) -> None:
    async def too_large(commit: Commit, *args: Any, **kwargs: Any) -> Any:
        raise FirestoreRefused("canary")  # type: ignore[no-untyped-call]  # it ships no types

    await world.instance().app.models.catalog.get()
    (instance := world.instance()).commits(too_large)
    data = {"feature": "chat", "settings": PLAIN, "revision": 0}
    refused = await instance.refusal(SAVE, data)
    assert (refused.reason, refused.retryable) == ("settings_refused", False)
    assert reasons(refused.details["errors"]) == ["settings: not_storable"]
    assert "canary" not in str(refused.details)
    assert await is_untouched(world, "chat")


# -- drafts ----------------------------------------------------------------------------------------

DRAFT = {**PLAIN, "systemPrompt": "Be brief."}


async def served(instance: Instance, uids: list[str]) -> list[int]:
    answers = await asyncio.gather(*(instance.ask("chat", uid) for uid in uids))
    return [answer["revision"] for answer in answers]


async def test_a_draft_serves_some_of_the_users_until_it_is_promoted(world: World) -> None:
    instance = world.instance()
    await instance.save("chat", PLAIN)
    trial = await instance.save("chat", DRAFT, 1, draftPercent=40)
    assert (trial["revision"], trial["settings"]) == (1, whole(**PLAIN))
    assert trial["draft"] == {"revision": 2, "percent": 40.0, "settings": whole(**DRAFT)}
    assert trial["changes"] == [{"field": "systemPrompt", "before": "", "after": "Be brief."}]
    uids = [f"user-{number}" for number in range(12)]
    draft = Draft(2, FeatureSettings(), 40)
    expected = [2 if draft.includes("chat", uid) else 1 for uid in uids]
    assert set(expected) == {1, 2}
    assert await served(instance, uids) == expected
    recorded = {e["uid"]: e["revision"] for e in (await world.all("generations")).values()}
    assert recorded == dict(zip(uids, expected, strict=True))

    # another share of the users is no other draft, and keeps those it has
    more = await instance.save("chat", DRAFT, 2, draftPercent=80)
    assert (more["draft"]["revision"], more["draft"]["percent"], more["changes"]) == (2, 80.0, [])
    wider = await served(instance, uids)
    assert all(now == 2 for now, before in zip(wider, expected, strict=True) if before == 2)
    assert sum(wider) > sum(expected)

    assert (await instance.refusal(PROMOTE, {"feature": "chat", "revision": 1})).reason == (
        "settings_changed"
    )
    promoted = await instance.call(PROMOTE, {"feature": "chat", "revision": 2})
    assert (promoted["revision"], promoted["draft"]) == (2, None)
    assert promoted["settings"] == whole(**DRAFT)
    assert set(await served(instance, uids)) == {2}
    assert [*await world.revisions("chat")] == [1, 2]
    actions = [(e["action"], e["after"].get("draft") is None) for e in await world.audit()]
    assert actions == [(SAVE, True), (SAVE, False), (SAVE, False), (PROMOTE, True)]
    assert (await world.audit())[3]["before"]["draft"]["settings"] == whole(**DRAFT)


async def test_a_draft_that_is_dropped_serves_nobody(world: World) -> None:
    instance = world.instance()
    await instance.save("chat", PLAIN)
    await instance.save("chat", DRAFT, 1, draftPercent=100)
    assert await served(instance, ["one"]) == [2]
    dropped = await instance.call(DROP, {"feature": "chat", "revision": 2})
    assert (dropped["revision"], dropped["draft"]) == (1, None)
    assert await served(instance, ["one"]) == [1]
    for name in (DROP, PROMOTE):
        refused = await instance.refusal(name, {"feature": "chat", "revision": 2})
        assert (refused.status, refused.reason) == ("FAILED_PRECONDITION", "no_draft")
    # its number is not given to another
    assert (await instance.save("chat", PIRATE, 1))["revision"] == 3
    nobody = await instance.refusal(DROP, {"feature": "nobodys", "revision": 0})
    assert nobody.reason == "feature_unknown"


async def test_others_are_saved_while_a_draft_is_on_trial(world: World) -> None:
    instance = world.instance()
    await instance.save("chat", PLAIN)
    await instance.save("chat", DRAFT, 1, draftPercent=50)
    saved = await instance.save("chat", PIRATE, 1)
    assert (saved["revision"], saved["draft"]["revision"]) == (3, 2)
    # promoted after that, it gets a number that says so
    promoted = await instance.call(PROMOTE, {"feature": "chat", "revision": 2})
    assert (promoted["revision"], promoted["settings"]) == (4, whole(**DRAFT))
    assert promoted["changes"][0]["before"] == PROMPT
    assert (await world.revisions("chat"))[4]["action"] == PROMOTE


async def test_another_draft_takes_the_place_of_the_first(world: World) -> None:
    instance = world.instance()
    await instance.save("chat", PLAIN)
    await instance.save("chat", DRAFT, 1, draftPercent=50)
    outdated = {"feature": "chat", "settings": PIRATE, "revision": 1, "draftPercent": 50}
    refused = await instance.refusal(SAVE, outdated)
    assert refused.details["current"]["settings"] == whole(**DRAFT)
    second = await instance.call(SAVE, {**outdated, "revision": 2})
    assert second["draft"]["revision"] == 3
    nothing_yet = {**outdated, "feature": "nobodys", "revision": 0}
    assert (await instance.refusal(SAVE, nothing_yet)).reason == "feature_unknown"
    assert [*await world.revisions("chat")] == [1, 2, 3]


async def test_a_draft_of_a_built_in_feature_needs_no_saved_one(world: World) -> None:
    instance = world.instance()
    trial = await instance.save("chat", PLAIN, 0, draftPercent=100)
    assert (trial["revision"], trial["draft"]["revision"]) == (0, 1)
    assert await served(instance, ["one"]) == [1]


async def test_a_draft_does_not_serve_everybody_when_the_document_is_broken(
    world: World,
) -> None:
    instance = world.instance()
    await instance.save("chat", PLAIN)
    await instance.save("chat", DRAFT, 1, draftPercent=0)

    async def serving() -> int:
        """By an instance that has never seen the feature whole."""
        document = await world.document("features/chat")
        await world.write("features/chat", {**document, "settings": {"model": 7}})
        answer = await world.instance().ask("chat")
        await world.write("features/chat", document)
        return int(answer["revision"])

    assert await serving() == 1
    await instance.call(DROP, {"feature": "chat", "revision": 2})
    assert await serving() == 1
    await instance.save("chat", DRAFT, 1, draftPercent=0)
    assert (await world.revisions("chat"))[3]["draft"] is True
    await instance.call(PROMOTE, {"feature": "chat", "revision": 3})
    assert "draft" not in (await world.revisions("chat"))[3]
    assert await serving() == 3
    # the number is broken as well
    await world.write("features/chat", {"enabled": True, "settings": 7})
    assert (await world.instance().ask("chat"))["revision"] == 3


async def test_of_a_broken_document_all_instances_serve_the_revision_it_names(
    world: World,
) -> None:
    first, second = world.instance(), world.instance()
    await first.save("chat", PLAIN)
    assert (await first.ask("chat"))["revision"] == 1
    await second.save("chat", DRAFT, 1)
    await second.save("chat", PIRATE, 2)
    broken = {**await world.document("features/chat"), "revision": 2, "settings": None}
    await world.write("features/chat", broken)
    for instance in (first, second, world.instance()):
        outdated = {"feature": "chat", "settings": PLAIN, "revision": 9}
        refused = await instance.refusal(SAVE, outdated)
        assert refused.details["current"]["revision"] == 2
    assert (await first.save("chat", PLAIN, 2))["revision"] == 4


async def test_a_draft_that_would_cost_money_now_is_not_promoted(world: World) -> None:
    instance = world.instance()
    await instance.call("save_app_settings", {"settings": {"freeModelsOnly": False}, "revision": 0})
    await instance.save("chat", PLAIN)
    await instance.save("chat", {"model": "sim/paid"}, 1, draftPercent=0)
    allowed = {"settings": {"freeModelsOnly": True}, "revision": 1}
    saved = await instance.call("save_app_settings", allowed)
    assert ["draft" in warning["message"] for warning in saved["warnings"]] == [True]
    refused = await instance.refusal(PROMOTE, {"feature": "chat", "revision": 2})
    assert reasons(refused.details["errors"]) == ["model: paid_model"]
    assert (await instance.ask("chat"))["revision"] == 1


async def test_of_a_promoted_draft_whose_model_is_gone_one_is_warned(world: World) -> None:
    instance = world.instance()
    gone = {"revision": 2, "percent": 5, "settings": {"model": "x/gone:free"}}
    await world.write(
        "features/chat", {"enabled": True, "revision": 1, "settings": PLAIN, "draft": gone}
    )
    # both were typed: the settings are recorded as revision 2, the draft as 3
    promoted = await instance.call(PROMOTE, {"feature": "chat", "revision": 3})
    assert reasons(promoted["warnings"]) == ["model: model_gone"]


# -- a patch ---------------------------------------------------------------------------------------


async def test_a_partial_save_on_a_fresh_deployment_keeps_the_built_in(world: World) -> None:
    instance = world.instance()
    data = {"feature": "code", "settings": {"temperature": 0.5}, "revision": 0}
    saved = await instance.call(SAVE, data)
    assert saved["settings"] == {**DEFAULTS["code"].settings.to_json(), "temperature": 0.5}
    assert saved["changes"] == [{"field": "temperature", "before": 0.2, "after": 0.5}]
    saved = await instance.call(
        SAVE, {"feature": "code", "settings": {}, "remove": ["systemPrompt"], "revision": 1}
    )
    assert (saved["settings"]["systemPrompt"], saved["settings"]["temperature"]) == ("", 0.5)
    replaced = {"feature": "code", "settings": PLAIN, "revision": 2, "replace": True}
    assert (await instance.call(SAVE, replaced))["settings"] == whole(**PLAIN)


async def test_a_patch_of_a_draft_is_made_from_the_draft(world: World) -> None:
    instance = world.instance()
    await instance.save("chat", {**PLAIN, "temperature": 0.5})
    draft = {"feature": "chat", "settings": {"topP": 0.5}, "revision": 1, "draftPercent": 10}
    saved = await instance.call(SAVE, draft)
    assert saved["draft"]["settings"] == whole(**PLAIN, temperature=0.5, topP=0.5)
    again = {**draft, "settings": {"seed": 7}, "revision": 2}
    saved = await instance.call(SAVE, again)
    assert saved["draft"]["settings"] == whole(**PLAIN, temperature=0.5, topP=0.5, seed=7)
    more = {**draft, "settings": {}, "revision": 3, "draftPercent": 50}
    assert (await instance.call(SAVE, more))["draft"]["revision"] == 3


async def test_a_patch_of_an_older_revision_shows_what_it_would_have_made_of_that(
    world: World,
) -> None:
    instance = world.instance()
    await instance.save("chat", {**PLAIN, "temperature": 0.5})
    await instance.save("chat", {**PLAIN, "temperature": 0.9}, 1)
    data = {"feature": "chat", "settings": {"topP": 0.5}, "revision": 1}
    refused = await instance.refusal(SAVE, data)
    assert refused.details["yours"]["settings"] == whole(**PLAIN, temperature=0.5, topP=0.5)
    assert refused.details["current"]["settings"] == whole(**PLAIN, temperature=0.9)


# -- deleting, and names ---------------------------------------------------------------------------


async def test_a_feature_of_an_admins_own_is_deleted_and_can_be_restored(world: World) -> None:
    instance = world.instance(UNCACHED)
    await instance.save("poems", PLAIN)
    await instance.save("poems", {**PLAIN, "seed": 3}, 1)
    for revision in (0, 1, 3):
        refused = await instance.refusal(DELETE, {"feature": "poems", "revision": revision})
        assert refused.reason == "settings_changed"
    gone = await instance.call(DELETE, {"feature": "poems", "revision": 2, "note": "A typo"})
    assert gone == {"feature": "poems", "deleted": True, "revision": 2, "warnings": []}
    for each in (instance, world.instance()):
        refused = await each.refusal("execute_prompt", {"feature": "poems", "prompt": "x"}, "user")
        assert refused.reason == "feature_unknown"
    assert not await world.document("features/poems")
    entry = (await world.audit())[-1]
    assert (entry["action"], entry["note"], entry["after"]) == (DELETE, "A typo", None)
    assert entry["before"]["settings"] == whole(**PLAIN, seed=3)
    again = await instance.refusal(DELETE, {"feature": "poems", "revision": 2})
    assert again.reason == "feature_unknown"

    back = await instance.call(RESTORE, {"feature": "poems", "revision": 0, "restore": 2})
    assert (back["revision"], back["settings"]) == (3, whole(**PLAIN, seed=3))
    assert (await instance.ask("poems"))["revision"] == 3


async def test_a_built_in_feature_is_not_deleted(world: World) -> None:
    refused = await world.instance().refusal(DELETE, {"feature": "chat", "revision": 0})
    assert (refused.reason, refused.details["field"]) == ("invalid_argument", "feature")


async def test_who_deletes_a_feature_is_told_of_its_keys(world: World) -> None:
    instance = world.instance()
    await instance.save("poems", PLAIN)
    await instance.set_key("sk-or-v1-canary-aaa1", feature="poems")
    gone = await instance.call(DELETE, {"feature": "poems", "revision": 1})
    assert reasons(gone["warnings"]) == ["feature: keys_left"]


async def test_names_that_differ_by_case_alone_are_refused(world: World) -> None:
    instance = world.instance()
    await instance.save("poet", PLAIN)
    for name in ("Poet", "POET", "Chat"):
        refused = await instance.refusal(SAVE, {"feature": name, "settings": PLAIN})
        assert (refused.reason, refused.details["field"]) == ("invalid_argument", "feature")
        assert not await world.document(f"features/{name}")
    await instance.call(DELETE, {"feature": "poet", "revision": 1})
    await instance.save("Poet", PLAIN)
    refused = await instance.refusal(RESTORE, {"feature": "poet", "revision": 0, "restore": 1})
    assert refused.details["field"] == "feature"
