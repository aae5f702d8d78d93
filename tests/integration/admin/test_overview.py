"""What a settings dialog is given: on a fresh deployment, and whatever was typed by hand."""

from typing import Any

import pytest

from firerouter.features.defaults import DEFAULTS
from firerouter.features.settings import FeatureSettings
from tests.support.calls import ADMIN
from tests.support.in_process import UNCACHED, Instance, World, new_world

GET = "get_feature_settings"


async def details(instance: Instance, feature: str) -> dict[str, Any]:
    (found,) = (await instance.call(GET, {"feature": feature}))["features"]
    return dict(found)


def reasons(findings: list[dict[str, str]]) -> list[str]:
    return [f"{finding['field']}: {finding['reason']}" for finding in findings]


async def test_a_fresh_deployment_can_be_edited(world: World) -> None:
    """There is no document, and each built-in feature has its settings all the same."""
    assert not await world.all("features")
    found = await world.instance().call(GET, None)
    assert {one["feature"] for one in found["features"]} == DEFAULTS.keys()
    for one in found["features"]:
        assert one["settings"] == one["defaults"] == DEFAULTS[one["feature"]].settings.to_json()
        assert (one["builtIn"], one["revision"], one["draft"]) == (True, 0, None)
        assert "savedAt" not in one
        assert one["canAnswer"] is DEFAULTS[one["feature"]].enabled
    fields = {field["field"]: field for field in found["fields"]}
    assert fields["temperature"] == {
        "field": "temperature",
        "type": "number",
        "minimum": 0,
        "maximum": 2,
        "optional": True,
        "help": "How varied the answers are.",
    }
    assert found["app"]["revision"] == 0
    assert found["app"]["settings"]["freeModelsOnly"] is True
    assert "limits.usdPerDay" in {field["field"] for field in found["app"]["fields"]}


async def test_a_saved_feature_has_its_revision_its_draft_and_who_saved_it(world: World) -> None:
    instance = world.instance()
    await instance.save("poems", {"model": "sim/fast", "temperature": 0.5})
    await instance.save("poems", {"model": "sim/fast", "topP": 0.5}, 1, draftPercent=10)
    found = await details(instance, "poems")
    assert (found["revision"], found["builtIn"], found["savedBy"]) == (1, False, ADMIN)
    assert found["savedAt"].startswith("20")
    assert found["settings"]["temperature"] == 0.5
    assert found["defaults"] == FeatureSettings().to_json()
    assert (found["draft"]["revision"], found["draft"]["percent"]) == (2, 10)
    assert found["key"] == {"source": "default", "count": 1, "lastFour": None}
    assert (found["canAnswer"], found["problems"]) == (True, [])
    assert (await instance.refusal(GET, {"feature": "nosuch"})).reason == "feature_unknown"


@pytest.mark.parametrize(
    ("document", "problems", "answers"),
    [
        ({"enabled": True, "settings": {"model": "sim/fast"}}, [], True),
        ({"enabled": True}, ["settings: invalid"], False),
        ({"enabled": True, "settings": {"model": "sim/paid"}}, ["model: paid_model"], False),
        (
            {"enabled": True, "settings": {"model": "no/such"}},
            ["model: paid_model", "model: model_gone"],
            0,
        ),
        ({"enabled": "true", "settings": {}}, ["enabled: feature_disabled", "enabled: invalid"], 0),
        (
            {"enabled": True, "settings": {"model": "sim/fast"}, "draft": {"percent": "10"}},
            ["draft: invalid"],
            True,
        ),
    ],
)
async def test_it_says_whether_the_feature_can_answer_and_why_not(
    world: World, document: dict[str, Any], problems: list[str], answers: bool
) -> None:
    await world.write("features/own", document)
    instance = world.instance(UNCACHED)
    found = await details(instance, "own")
    assert reasons(found["problems"]) == problems
    assert found["canAnswer"] is bool(answers)
    if answers:
        assert (await instance.ask("own"))["text"]
    else:
        await instance.refusal("execute_prompt", {"feature": "own", "prompt": "Hi"}, "user")


async def test_settings_that_cannot_be_used_are_said_field_by_field(world: World) -> None:
    instance = world.instance(UNCACHED)
    await instance.save("own", {"model": "sim/fast"})
    bad = {"model": "sim/fast", "temperature": 5, "tempurature": 1}
    await world.firestore.document("features/own").update({"settings": bad})
    found = await details(instance, "own")
    assert reasons(found["problems"]) == ["temperature: invalid", "tempurature: invalid"]
    assert "Revision 1 is used instead." in found["problems"][0]["message"]
    assert (found["canAnswer"], found["settings"]["model"]) == (True, "sim/fast")


async def test_without_a_key_nothing_can_answer(world: World) -> None:
    async with new_world(world.suite, key=False) as bare:
        found = await details(bare.instance(), "chat")
    assert reasons(found["problems"]) == ["key: key_missing"]
    assert found["canAnswer"] is False


async def test_what_is_wrong_in_the_settings_of_the_app_is_said(world: World) -> None:
    await world.write("config/app", {"appName": "", "limits": {"concurrent": "lots"}})
    app = (await world.instance().call(GET, None))["app"]
    assert {one["field"] for one in app["problems"]} == {"appName", "limits.concurrent"}
    assert app["settings"]["appName"] == "Firerouter"
