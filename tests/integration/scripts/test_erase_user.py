"""`./scripts/erase-user`: the functions' own erasure, run by the owner until nothing is left."""

import argparse
from typing import Any

import pytest

from scripts.devtools import dev_state, user_eraser
from scripts.devtools.cli_errors import FAILED, NOT_SET_UP, Problem
from tests.support.in_process import World

UID = "ann-of-the-chore"
OPTIONS = {"forget_limits": False, "account": False, "no_bucket": False}


def environ(world: World, **more: str) -> dict[str, str]:
    return {**world.suite.environment(), "GCLOUD_PROJECT": world.project, **more}


async def erase(world: World, *, environment: dict[str, str] | None = None, **options: Any) -> int:
    chosen = argparse.Namespace(**{"uid": UID, **OPTIONS, **options})
    return await user_eraser.erase(chosen, environment or environ(world))


async def test_it_erases_and_prints_what(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    instance = world.instance()
    await instance.save("talk", {"model": "sim/fast"})
    await instance.ask("talk", UID, conversationId="new")
    await instance.call("set_user_limits", {"uid": UID, "blocked": True})
    capsys.readouterr()
    assert await erase(world) == 0
    told = capsys.readouterr().out
    assert "        1  conversations" in told
    assert "        1  generations" in told
    assert '"severity"' not in told
    assert await world.document(f"limits/{UID}")
    assert await erase(world, forget_limits=True, account=True) == 0
    told = capsys.readouterr().out
    assert "        1  limits" in told
    assert "        0  account" in told
    assert not await world.document(f"limits/{UID}")


async def test_what_still_runs_is_said(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    instance = world.instance()
    await instance.save("talk", {"model": "sim/fast"})
    await instance.ask("talk", UID)
    (id_,) = await world.all("generations")
    await world.firestore.document(f"generations/{id_}").update({"status": "running"})
    assert await erase(world) == FAILED
    assert "1 answers have not ended" in capsys.readouterr().err


async def test_an_address_is_no_uid(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert await erase(world, uid="user@demo.test") == FAILED
    assert "list_users" in capsys.readouterr().err


async def test_a_bucket_that_is_not_there_is_no_bucket_without_files(world: World) -> None:
    config = '{"storageBucket": "no-such-bucket"}'
    with pytest.raises(Problem, match="no-such-bucket"):
        await erase(world, environment=environ(world, FIREBASE_CONFIG=config))


def test_a_project_needs_the_name_of_its_bucket(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        user_eraser.parse(["ann", "--project", "my-app"])
    assert "--bucket NAME" in capsys.readouterr().err


def test_without_a_project_there_has_to_be_a_running_dev(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev_state, "find", lambda _: None)
    assert user_eraser.main(["ann"]) == NOT_SET_UP
