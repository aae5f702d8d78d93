"""What is typed in Firestore's console is noticed by admins' calls, and never on a user's path."""

from typing import Any

import pytest

from tests.support.in_process import UNCACHED, Instance, World

SAVE, GET, REFRESH = "save_feature_settings", "get_feature_settings", "refresh_catalog"
EDITED = "edited_by_hand"
PLAIN = {"model": "sim/fast"}


async def edit(world: World, **fields: Any) -> None:
    await world.firestore.document("features/poems").update(fields)


async def details(instance: Instance) -> dict[str, Any]:
    return dict((await instance.call(GET, {"feature": "poems"}))["features"][0])


@pytest.fixture
async def poems(world: World) -> Instance:
    instance = world.instance(UNCACHED)
    await instance.save("poems", {**PLAIN, "temperature": 0.5})
    return instance


async def test_an_edit_is_a_revision_and_an_audit_entry_of_its_own(
    world: World, poems: Instance
) -> None:
    await edit(world, settings={**PLAIN, "temperature": 0.9, "systemPrompt": "By hand."})
    assert (await poems.ask("poems"))["revision"] == 1
    assert [*await world.revisions("poems")] == [1], "a user's call changes nothing"
    assert len(await world.audit()) == 1

    found = await details(poems)
    assert (found["revision"], found["settings"]["systemPrompt"]) == (2, "By hand.")
    assert "savedBy" not in found
    revision = (await world.revisions("poems"))[2]
    assert (revision["action"], revision["base"], revision["settings"]["temperature"]) == (
        EDITED,
        1,
        0.9,
    )
    assert {change["field"] for change in revision["changes"]} == {"systemPrompt", "temperature"}
    entry = (await world.audit())[-1]
    assert (entry["action"], entry["by"], entry["before"]["settings"]["temperature"]) == (
        EDITED,
        "",
        0.5,
    )
    assert (await poems.ask("poems"))["revision"] == 2
    await details(poems)
    assert len(await world.audit()) == 2, "it is recorded once"


async def test_a_page_that_was_loaded_before_collides_with_the_edit(
    world: World, poems: Instance
) -> None:
    await edit(world, **{"settings.temperature": 0.9})
    data = {"feature": "poems", "settings": {"topP": 0.5}, "revision": 1}
    refused = await poems.refusal(SAVE, data)
    assert refused.reason == "settings_changed"
    assert refused.details["current"]["revision"] == 2
    assert refused.details["current"]["settings"]["temperature"] == 0.9
    saved = await poems.call(SAVE, {**data, "revision": 2})
    assert (saved["revision"], saved["settings"]["temperature"]) == (3, 0.9)


async def test_a_switch_and_a_percentage_are_audited_without_a_revision(
    world: World, poems: Instance
) -> None:
    await poems.save("poems", PLAIN, 1, draftPercent=10)
    await edit(world, enabled=False, **{"draft.percent": 100})
    found = await details(poems)
    assert (found["enabled"], found["draft"]["percent"], found["revision"]) == (False, 100, 1)
    assert [*await world.revisions("poems")] == [1, 2]
    entry = (await world.audit())[-1]
    assert (entry["action"], entry["after"]["enabled"]) == (EDITED, False)


async def test_a_draft_that_was_typed_gets_a_number_and_can_be_promoted(
    world: World, poems: Instance
) -> None:
    draft = {"revision": 5, "percent": 50, "settings": {**PLAIN, "seed": 7}}
    await edit(world, draft=draft)
    found = await details(poems)
    assert found["draft"]["revision"] == 6
    promoted = await poems.call("promote_draft", {"feature": "poems", "revision": 6})
    assert (promoted["revision"], promoted["settings"]["seed"]) == (6, 7)
    assert all(revision["settings"] for revision in (await world.revisions("poems")).values())
    saved = await poems.call(SAVE, {"feature": "poems", "settings": {"seed": 8}, "revision": 6})
    assert saved["revision"] == 7


async def test_a_feature_that_was_typed_is_its_first_revision(world: World) -> None:
    await world.write("features/poems", {"enabled": True, "settings": {"systemPrompt": "Hi."}})
    instance = world.instance(UNCACHED)
    assert (await details(instance))["revision"] == 1
    assert (await world.revisions("poems"))[1]["settings"]["systemPrompt"] == "Hi."
    assert [entry["action"] for entry in await world.audit()] == [EDITED]


async def test_what_cannot_be_used_stays_and_is_flagged_with_field_and_reason(
    world: World, poems: Instance
) -> None:
    typed = {**PLAIN, "temperature": 5, "max_tokens": 7}
    await edit(world, settings=typed)
    flags = (await poems.call(REFRESH, None))["flags"]
    assert [(flag["feature"], flag["field"], flag["flag"]) for flag in flags] == [
        ("poems", "temperature", "broken"),
        ("poems", "max_tokens", "broken"),
    ]
    assert flags[0]["message"] == (
        "temperature may be at most 2, not 5. Revision 1 is used instead."
    )
    assert (await world.document("features/poems"))["settings"] == typed
    assert [*await world.revisions("poems")] == [1]
    entry = (await world.audit())[-1]
    assert (entry["action"], entry["after"]["settings"]) == (EDITED, typed)
    await poems.call(REFRESH, None)
    assert len(await world.audit()) == 2
    saved = await poems.call(SAVE, {"feature": "poems", "settings": {"seed": 1}, "revision": 1})
    assert saved["revision"] == 2
    assert (await poems.call(REFRESH, None))["flags"] == []


@pytest.mark.parametrize(
    ("path", "document", "field"),
    [
        ("features/poems", {"enabled": True}, "settings"),
        ("features/two words", {"enabled": True, "settings": PLAIN}, "id"),
    ],
)
async def test_a_document_that_can_be_no_feature_is_flagged(
    world: World, path: str, document: dict[str, Any], field: str
) -> None:
    await world.write(path, document)
    flags = (await world.instance().call(REFRESH, None))["flags"]
    assert [(flag["field"], flag["flag"]) for flag in flags] == [(field, "broken")]
    assert path.endswith(flags[0]["feature"])


async def test_what_the_console_makes_of_a_number_is_no_edit(world: World, poems: Instance) -> None:
    await poems.save("poems", {**PLAIN, "temperature": 1.0, "topP": 1.0}, 1)
    await edit(world, **{"settings.temperature": 1})
    assert (await details(poems))["revision"] == 2
    assert len(await world.audit()) == 2


async def test_documents_from_before_checksums_are_no_edits(world: World, poems: Instance) -> None:
    from google.cloud.firestore import DELETE_FIELD

    await edit(world, checksum=DELETE_FIELD)
    assert (await details(poems))["revision"] == 1
    assert len(await world.audit()) == 1
    await edit(world, **{"settings.temperature": 0.9})
    assert (await details(poems))["revision"] == 2


async def test_the_daily_check_notices_edits(world: World, poems: Instance) -> None:
    await edit(world, **{"settings.temperature": 0.9})
    await poems.app.admin.model_check.daily()
    assert [*await world.revisions("poems")] == [1, 2]


async def test_an_edit_that_holds_no_json_is_noticed_all_the_same(
    world: World, poems: Instance
) -> None:
    await edit(world, settings={"model": b"bytes", "x": float("nan")})
    assert (await details(poems))["revision"] == 1
    entry = (await world.audit())[-1]
    assert (entry["action"], entry["after"]) == (EDITED, None)
