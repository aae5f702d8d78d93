"""`./scripts/usage`: what it says of each day, and that --check finds whatever does not add up."""

import os
import subprocess
from datetime import UTC, datetime
from typing import Any

import pytest
from google.cloud.firestore import DELETE_FIELD, Increment

from scripts.devtools import dev_state, target_project
from scripts.devtools.cli_errors import FAILED, NOT_SET_UP, USAGE
from scripts.usage_audit import __main__ as cli
from scripts.usage_audit.recount import check_day
from scripts.usage_audit.usage_documents import UsageDocuments
from tests.support.ended_entries import write_ended
from tests.support.in_process import World
from tests.support.repository import ROOT

SCRIPT = ROOT / "scripts" / "usage"
DAY = "20260714"
NOON = datetime(2026, 7, 14, 12, tzinfo=UTC)


async def counted(world: World, count: int = 40) -> list[str]:
    """Entries of one day, all counted."""
    ids = await write_ended(world, count, createdAt=NOON, uid="ann")
    await world.instance().app.reports.rollup.run()
    return ids


async def differences(world: World) -> list[str]:
    return (await check_day(await UsageDocuments.of(world.firestore), DAY)).differences


async def test_what_was_counted_equals_the_ledger(world: World) -> None:
    ids = await counted(world)
    entries = await world.all("generations")
    day = await check_day(await UsageDocuments.of(world.firestore), DAY)
    assert (day.requests, day.ledger_requests, day.waiting) == (len(ids), len(ids), 0)
    assert day.nano_usd == day.ledger_nano_usd == sum(e["costNanoUsd"] for e in entries.values())
    assert day.differences == []


async def test_what_waits_or_runs_is_no_difference(world: World) -> None:
    ids = await counted(world)
    await write_ended(world, 3, createdAt=NOON, costNanoUsd=5)
    await write_ended(world, 2, createdAt=NOON, status="running", rollDueAt=DELETE_FIELD)
    corrected = world.firestore.document(f"generations/{ids[0]}")
    before = (await corrected.get()).get("costNanoUsd")
    await corrected.update({"costNanoUsd": before + 7, "rollDueAt": NOON})
    day = await check_day(await UsageDocuments.of(world.firestore), DAY)
    assert (day.waiting, day.waiting_nano_usd, day.running) == (4, 22, 2)
    assert day.nano_usd + 22 == day.ledger_nano_usd
    assert day.differences == []


async def test_it_reads_as_of_one_moment(world: World) -> None:
    await counted(world)
    documents = await UsageDocuments.of(world.firestore)
    await world.firestore.document(f"usage/{DAY}").update({"sums.nanoUsd": Increment(1)})
    await write_ended(world, 3, createdAt=NOON)
    assert (await check_day(documents, DAY)).differences == []


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("", f"usage/{DAY} nanoUsd: "),
        ("/cells", f"usage/{DAY}/cells/"),
        ("/users", f"usage/{DAY}/users/ann "),
    ],
)
async def test_one_nano_dollar_more_anywhere_is_found(world: World, place: str, found: str) -> None:
    await counted(world)
    id_, document = DAY, f"usage/{DAY}"
    field = "sums.nanoUsd"
    if place:
        (id_, content), *_ = (await world.all(f"usage/{DAY}{place}")).items()
        document = f"usage/{DAY}{place}/{id_}"
        if place == "/users":
            field = f"cells.{next(iter(content['cells']))}.{field}"
    await world.firestore.document(document).update({field: Increment(1)})
    (line,) = await differences(world)
    assert line.startswith(found)


async def test_an_entry_that_was_never_counted_is_named(world: World) -> None:
    await counted(world)
    (id_,) = await write_ended(world, 1, createdAt=NOON, rollDueAt=DELETE_FIELD)
    lines = await differences(world)
    assert lines == [f"not counted: generations/{id_}"]


async def test_an_entry_that_changed_without_a_word_is_named(world: World) -> None:
    ids = await counted(world)
    await world.firestore.document(f"generations/{ids[3]}").update({"costNanoUsd": Increment(1)})
    assert await differences(world) == [f"changed since it was counted: generations/{ids[3]}"]


async def test_sums_of_entries_that_are_not_there_are_found(world: World) -> None:
    ids = await counted(world)
    await world.firestore.document(f"generations/{ids[0]}").delete()
    assert any("requests: 40, the ledger 39" in line for line in await differences(world))


async def test_the_lines_of_a_week(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    now = datetime.now(UTC)
    await write_ended(world, 2, createdAt=now, costNanoUsd=1_500_000_001)
    await world.instance().app.reports.rollup.run()
    capsys.readouterr()
    assert await cli.report(world.firestore, 7, check=False) == 0
    assert await cli.report(world.firestore, 2, check=True) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 9
    today = f"{now:%Y%m%d}          2      $3.000000002"
    assert (lines[6], lines[8]) == (today, f"{today}: equal to the ledger")
    await world.firestore.document(f"usage/{now:%Y%m%d}").update({"sums.nanoUsd": Increment(-1)})
    assert await cli.report(world.firestore, 1, check=True) == FAILED
    told = capsys.readouterr().out.splitlines()
    assert told[0].endswith(": 1 differs")
    assert told[1].endswith("nanoUsd: 3000000001, the ledger 3000000002")


def test_without_a_project_there_has_to_be_a_running_dev(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev_state, "find", lambda _: None)
    assert cli.main(["--check"]) == NOT_SET_UP


@pytest.mark.parametrize("wrong", ["--days=0", "--days=90", "--days=x", "--all"])
def test_wrong_arguments_are_refused(wrong: str) -> None:
    done = subprocess.run([SCRIPT, wrong], capture_output=True, text=True, check=False)
    assert done.returncode == USAGE


def test_the_environment_of_a_project_is_never_an_emulators(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environ: dict[str, Any] = dict.fromkeys(target_project.EMULATORS.values(), "127.0.0.1:1")
    monkeypatch.setattr(os, "environ", environ)
    assert target_project.point_clients_at("my-app") == "my-app"
    assert environ == {"GOOGLE_CLOUD_QUOTA_PROJECT": "my-app"}
