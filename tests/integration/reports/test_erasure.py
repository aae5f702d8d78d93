"""All that the app has of a user: erased without a trace, exported without a gap."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from firerouter.app.limits import Limits
from firerouter.contract import ExportMyData, page_token
from firerouter.firestore import ERASED_USER
from firerouter.limits import PAGE_TOKEN_MAX_CHARS
from firerouter.reports import ReportLimits
from scripts.devtools.suite import BUCKET
from scripts.usage_audit.recount import check_day
from scripts.usage_audit.usage_documents import UsageDocuments
from tests.support.files import inline
from tests.support.in_process import Instance, World

ANN, BOB = "ann-to-be-erased", "bob-who-stays"
CANARY = "canary-of-ann"
FEATURES: dict[str, dict[str, Any]] = {
    "talk": {"model": "sim/paid"},
    "kept": {"model": "sim/paid", "cacheSeconds": 600},
    "goes_on": {"model": "sim/fast", "onDisconnect": "continue"},
    "fails": {"model": "sim/500"},
    "ticks": {"model": "sim/ticks", "maxTokens": 400},
}
NOTHING = {
    "conversations": 0,
    "cachedAnswers": 0,
    "generations": 0,
    "usageDays": 0,
    "quotaWindows": 0,
    "files": 0,
    "preferences": 0,
}


@pytest.fixture
async def instance(world: World) -> Instance:
    return await started(world)


async def started(world: World, limits: ReportLimits | None = None, **more: str) -> Instance:
    """Return an instance with all features, of which some cost something."""
    await world.write(
        "config/app", {"freeModelsOnly": False, "keys": {"default": [{"version": 1}]}}
    )
    instance = world.instance(Limits(reports=limits) if limits else None)
    for name, settings in FEATURES.items():
        await instance.save(name, {**settings, **more})
    return instance


async def everything(world: World) -> AsyncIterator[tuple[str, str]]:
    """Yield the path and the content of each document, and of each file."""
    ahead = [collection async for collection in world.firestore.collections()]
    while ahead:
        async for reference in ahead.pop().list_documents():
            document = (await reference.get()).to_dict()
            if document is not None:
                yield reference.path, json.dumps(document, default=str)
            ahead += [collection async for collection in reference.collections()]
    bucket = f"{world.suite.storage_url}/storage/v1/b/{BUCKET}/o"
    async with httpx.AsyncClient(trust_env=False) as http:
        for item in (await http.get(bucket)).json().get("items", []):
            yield item["name"], json.dumps(item)


async def naming(world: World, *markers: str) -> list[str]:
    return sorted(
        [
            path
            async for path, text in everything(world)
            if any(marker in path or marker in text for marker in markers)
        ]
    )


async def live(instance: Instance, uid: str, canary: str) -> Any:
    """Use the app as somebody does who leaves something everywhere. Return one answer."""
    talk = {"prompt": canary, "conversationId": "new"}
    file = inline(canary.encode(), "text/plain", name=f"{canary}.txt")
    said = await instance.ask("talk", uid, **talk, attachments=[file])
    more = {"conversationId": said["conversationId"]}
    await instance.call(
        "execute_prompt", {"feature": "talk", "regenerate": said["messageId"], **more}, uid
    )
    await instance.ask("kept", uid, prompt=canary)
    await instance.ask("talk", uid, prompt=canary, requestId="again")
    await instance.ask("talk", uid, prompt=canary)
    await asyncio.gather(instance.ask("fails", uid, prompt=canary), return_exceptions=True)
    await instance.call("create_upload", {"contentType": "text/plain", "bytes": 4}, uid)
    return said


async def sums(world: World) -> Any:
    """Return the sums of each day and cell, and those of all users of a day together."""
    found: dict[str, Any] = {}
    async for day in world.firestore.collection("usage").stream():
        if not day.id.isdecimal():
            continue
        found[day.id] = (day.to_dict() or {}).get("sums")
        found |= {
            f"{day.id}/{cell}": document["sums"]
            for cell, document in (await world.all(f"usage/{day.id}/cells")).items()
        }
        users = (await world.all(f"usage/{day.id}/users")).values()
        found[f"{day.id} users"] = [
            sum(user.get(name, 0) for user in users) for name in ("requests", "nanoUsd")
        ]
    return found


async def differences(world: World) -> list[str]:
    documents = await UsageDocuments.of(world.firestore)
    days = [day for day in await world.all("usage") if day.isdecimal()]
    return [line for day in days for line in (await check_day(documents, day)).differences]


async def erase(instance: Instance, uid: str = ANN) -> Any:
    return await instance.call("erase_my_data", {"confirm": True}, uid)


async def test_nothing_is_left_of_an_erased_user_but_counters_and_what_an_admin_set(
    world: World, instance: Instance, capfd: pytest.CaptureFixture[str]
) -> None:
    await live(instance, ANN, CANARY)
    await live(instance, BOB, "canary-of-bob")
    await instance.app.reports.rollup.run()
    await instance.ask("talk", ANN, prompt=CANARY)  # ended, and not counted yet
    await instance.call("set_user_limits", {"uid": ANN, "blocked": True})
    month = f"quotas/{ANN}/windows/{datetime.now(UTC):%Y%m}"
    today = f"quotas/{ANN}/windows/uploads-{datetime.now(UTC):%Y%m%d}"
    spent, of_bob = await world.document(month), await naming(world, BOB)
    before = await sums(world)
    capfd.readouterr()

    erased = await erase(instance)

    assert erased["isComplete"] is True
    assert erased["running"] == 0
    assert erased["erased"] == {
        **NOTHING,
        "conversations": 1,
        "cachedAnswers": 1,
        "generations": 7,
        "usageDays": 1,
        "quotaWindows": 1,
    }
    stays = [f"limits/{ANN}", month, today]
    audit = [path for path in await naming(world, ANN) if path.startswith("audit/")]
    assert len(audit) == 1
    assert await naming(world, ANN, CANARY) == sorted([*stays, *audit])
    assert await world.document(month) == spent
    assert await naming(world, BOB) == of_bob
    logged = "".join(capfd.readouterr())
    assert ANN not in logged
    assert CANARY not in logged
    await instance.app.reports.rollup.run()
    assert await differences(world) == []
    after = await sums(world)
    assert sum(one[0] for name, one in after.items() if "users" in name) == 13
    assert before.keys() == after.keys()

    again = await erase(instance)
    assert again == {"isComplete": True, "erased": NOTHING, "running": 0}


async def test_the_sums_are_equal_to_the_nano_dollar(world: World, instance: Instance) -> None:
    await live(instance, ANN, CANARY)
    await live(instance, BOB, "canary-of-bob")
    await instance.app.reports.rollup.run()
    # of a day whose entries have expired
    day = f"{datetime.now(UTC) - timedelta(days=200):%Y%m%d}"
    for path in [f"usage/{day}", f"usage/{day}/users/{ANN}", f"usage/{day}/users/{BOB}"]:
        today = path.replace(day, f"{datetime.now(UTC):%Y%m%d}")
        await world.write(path, await world.document(today))
    before = await sums(world)

    await erase(instance)
    await instance.app.reports.rollup.run()

    assert await sums(world) == before
    for each in (day, f"{datetime.now(UTC):%Y%m%d}"):
        rows = await world.all(f"usage/{each}/users")
        assert rows.keys() == {BOB, ERASED_USER}
        assert rows[ERASED_USER]["requests"] == 6
    report = await instance.call("get_usage_report", {"groupBy": ["user"]})
    assert {row["user"] for row in report["rows"]} == {BOB, ERASED_USER}


async def test_two_at_once_erase_all_once(world: World, instance: Instance) -> None:
    await live(instance, ANN, CANARY)
    await instance.app.reports.rollup.run()
    before = await sums(world)
    both = await asyncio.gather(erase(instance), erase(world.instance()))
    if not all(one["isComplete"] for one in both):
        assert (await erase(instance))["isComplete"]
    assert await sums(world) == before
    assert await differences(world) == []
    assert await naming(world, CANARY) == []


@pytest.mark.parametrize("commits", range(1, 12))
async def test_a_run_that_was_killed_is_completed_by_the_next(
    world: World, instance: Instance, commits: int
) -> None:
    await live(instance, ANN, CANARY)
    await instance.app.reports.rollup.run()
    before, killed = await sums(world), world.instance()
    sent = 0

    async def send(commit: Any) -> Any:
        nonlocal sent
        sent += 1
        if sent > commits:
            raise asyncio.CancelledError
        return await commit()

    killed.commits(send)
    await asyncio.gather(erase(killed), return_exceptions=True)
    assert (await erase(instance))["isComplete"]
    assert await sums(world) == before
    assert await differences(world) == []
    assert await naming(world, CANARY) == []
    assert (await erase(instance))["erased"] == NOTHING


async def test_what_runs_is_stopped_first(world: World, instance: Instance) -> None:
    other = world.instance()
    asking = asyncio.create_task(
        other.ask(
            "ticks", ANN, prompt=f"{CANARY} {world.project}", requestId="r", conversationId="new"
        )
    )
    await world.sent_tokens(2)
    erased = await erase(instance)
    assert (await asking)["finishReason"] == "stopped"
    if not erased["isComplete"]:  # it ended after the last look
        assert erased["running"] == 1
        assert (await erase(instance))["isComplete"]
    assert await naming(world, CANARY) == []
    await instance.app.reports.rollup.run()
    assert await differences(world) == []


async def test_what_does_not_end_is_left_to_a_later_call(world: World) -> None:
    limits = replace(ReportLimits(), erase_stop_looks=1)
    instance = await started(world, limits)
    await instance.ask("talk", ANN, requestId="r")
    (id_,) = await world.all("generations")
    entry = world.firestore.document(f"generations/{id_}")
    await entry.update({"status": "running", "instance": "killed"})
    erased = await erase(instance)
    assert erased["isComplete"] is False
    assert erased["running"] == 1
    assert (await world.document(f"generations/{id_}"))["stop"]["by"] == ANN


async def test_what_is_too_much_for_one_call_takes_several(world: World) -> None:
    limits = replace(ReportLimits(), erase_s=0.0, erase_page_entries=2)
    instance = await started(world, limits)
    for _ in range(3):
        await instance.ask("talk", ANN, prompt=CANARY, conversationId="new")
    calls = 0
    while not (await erase(instance))["isComplete"]:
        calls += 1
        assert calls < 30
    assert calls >= 3
    assert await naming(world, CANARY) == []


async def test_erasing_does_not_give_back_a_budget_nor_lift_a_block(
    world: World, instance: Instance
) -> None:
    settings = {"limits": {"requestsPerDay": 1}}
    await instance.call("save_app_settings", {"settings": settings, "revision": 0})
    await instance.ask("talk", ANN)
    await erase(instance)
    refused = await instance.refusal("execute_prompt", {"feature": "talk", "prompt": "Hi"}, ANN)
    assert refused.reason == "quota_exceeded"
    await instance.call("set_user_limits", {"uid": ANN, "blocked": True})
    await erase(instance)
    refused = await instance.refusal("execute_prompt", {"feature": "talk", "prompt": "Hi"}, ANN)
    assert refused.reason == "user_blocked"


async def test_the_owner_may_have_limits_and_counters_forgotten(
    world: World, instance: Instance
) -> None:
    await live(instance, ANN, CANARY)
    await instance.call("set_user_limits", {"uid": ANN, "blocked": True, "note": "a reason"})
    erased = await instance.app.reports.erasure.erase(ANN, forgets_limits=True)
    assert erased.is_complete
    assert erased.counts["limits"] == 1
    assert await naming(world, ANN, CANARY) == []


@pytest.mark.parametrize("data", [None, {}, {"confirm": False}, {"confirm": "yes"}])
async def test_it_has_to_be_confirmed(instance: Instance, data: Any) -> None:
    assert (await instance.refusal("erase_my_data", data, ANN)).reason == "invalid_argument"


# -- the export ------------------------------------------------------------------------------------


async def exported(instance: Instance, uid: str) -> tuple[list[Any], dict[str, Any]]:
    """Return the pages of an export, and the whole of it put together."""
    pages: list[Any] = []
    token: dict[str, Any] = {}
    while not pages or token:
        pages.append(await instance.call("export_my_data", token, uid))
        token = {"pageToken": pages[-1]["nextPageToken"]} if "nextPageToken" in pages[-1] else {}
        assert len(pages) < 100
    whole: dict[str, Any] = {"profile": pages[0]["profile"]}
    for name in ("conversations", "cachedAnswers", "generations", "usage", "files"):
        whole[name] = [item for page in pages for item in page.get(name, [])]
    return pages, whole


@pytest.mark.parametrize("page_bytes", [2_000_000, 1])
async def test_an_export_has_all_that_is_the_users_and_nothing_of_others(
    world: World, page_bytes: int
) -> None:
    limits = replace(ReportLimits(), export_page_bytes=page_bytes, export_read_max=2)
    instance = await started(world, limits, systemPrompt="secret-of-an-admin")
    said = await live(instance, ANN, CANARY)
    await live(instance, BOB, "canary-of-bob")
    await instance.call(
        "set_user_limits", {"uid": ANN, "note": "secret-of-an-admin", "blocked": False}
    )
    await instance.app.reports.rollup.run()

    pages, whole = await exported(instance, ANN)

    assert (len(pages) > 10) is (page_bytes == 1)
    own = {"conversationId": said["conversationId"]}
    alone = (await instance.call("export_conversation", own, ANN))["conversation"]
    messages = [message for one in whole["conversations"] for message in one["messages"]]
    assert {one["id"] for one in whole["conversations"]} == {said["conversationId"]}
    assert sorted(messages, key=lambda message: message["createdAt"]) == alone["messages"]
    assert {one["id"] for one in whole["generations"]} == {
        id_ for id_, entry in (await world.all("generations")).items() if entry["uid"] == ANN
    }
    assert len(whole["generations"]) == 6
    assert len(whole["cachedAnswers"]) == 1
    assert {file["path"] for file in whole["files"]} == (await world.files(ANN)).keys()
    assert [day["requests"] for day in whole["usage"]] == [6]
    text = json.dumps(pages)
    for hidden in ("secret-of-an-admin", "canary-of-bob", BOB, "nonce", "payload", "keyVersion"):
        assert hidden not in text


async def test_a_long_message_is_exported_whole(world: World, instance: Instance) -> None:
    long = CANARY * 20_000
    said = await instance.ask("talk", ANN, prompt=long[:199_000], conversationId="new")
    _, whole = await exported(instance, ANN)
    (conversation,) = whole["conversations"]
    assert conversation["id"] == said["conversationId"]
    assert {len(message["text"]) for message in conversation["messages"]} >= {199_000}


async def test_an_export_goes_on_where_the_last_item_has_been_deleted_since(
    instance: Instance,
) -> None:
    await live(instance, ANN, CANARY)
    for section, *after in (["conversations", "0"], ["cachedAnswers", "0"], ["generations", "0"]):
        token = page_token(ExportMyData(), section, *after)
        rest = await instance.call("export_my_data", {"pageToken": token}, ANN)
        assert rest[section]
    said = (await instance.call("export_my_data", {}, ANN))["conversations"][0]
    token = page_token(ExportMyData(), "conversations", said["id"], "0")
    rest = await instance.call("export_my_data", {"pageToken": token}, ANN)
    assert rest["conversations"][0]["messages"] == said["messages"]


async def test_a_token_that_was_tampered_with_is_refused(world: World) -> None:
    odd = ["", "a/b", "a/b/c", "..", "__x__", "\x00", "x" * 1_501, 5, None, {}]
    tampered: list[list[Any]] = [
        ["nothing"],
        [5],
        *(["conversations", one] for one in odd),
        *(["conversations", "a", one] for one in odd),
        *(["generations", one] for one in odd),
        ["files", 5],
    ]
    instance = world.instance()
    for position in tampered:
        token = page_token(ExportMyData(), *position)
        if len(token) <= PAGE_TOKEN_MAX_CHARS:
            refused = await instance.refusal("export_my_data", {"pageToken": token}, ANN)
            assert refused.details["field"] == "pageToken"


async def test_a_token_of_another_kind_is_refused(instance: Instance) -> None:
    refused = await instance.refusal("export_my_data", {"pageToken": "abc"}, ANN)
    assert refused.details["field"] == "pageToken"


async def test_a_user_without_anything_has_an_empty_export(instance: Instance) -> None:
    _, whole = await exported(instance, "nobody")
    assert whole["profile"]["preferences"] == {}
    assert not any(whole[name] for name in ("conversations", "generations", "files"))
