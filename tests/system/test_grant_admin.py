"""`./scripts/grant-admin`, against the emulators: claims merged, sessions ended, an audit kept."""

import asyncio
import functools
import json
import os
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.cloud.firestore import Client

from firerouter.firestore import Audit, FirestoreLimits
from scripts.devtools import admin_claims as admins
from scripts.devtools import dev_state as running
from scripts.devtools import target_project
from scripts.devtools.callable_client import CallableClient, CallableFailure, sign_in
from scripts.devtools.cli_errors import FAILED, NOT_SET_UP
from scripts.devtools.seed import OWNER, PASSWORD, create_user
from scripts.devtools.suite import Suite
from tests.support.repository import SCRIPTS

SCRIPT = SCRIPTS / "grant-admin"
EMAIL = "granted@demo.test"
UID = "granted"


def ask_auth(suite: Suite, path: str, body: dict[str, Any]) -> dict[str, Any]:
    url = f"http://{suite.auth_host}/identitytoolkit.googleapis.com/v1/projects/{suite.project}"
    response = httpx.post(f"{url}{path}", json=body, headers=OWNER, trust_env=False)
    response.raise_for_status()
    answer: dict[str, Any] = response.json()
    return answer


def account(suite: Suite) -> dict[str, Any]:
    (found,) = ask_auth(suite, "/accounts:lookup", {"localId": [UID]})["users"]
    return dict(found)


def claims(suite: Suite) -> Any:
    return json.loads(account(suite).get("customAttributes", "{}"))


def audit(suite: Suite) -> list[dict[str, Any]]:
    """What the audit says of the account, the oldest first."""
    entries = Client(project=suite.project).collection("audit").stream()
    found = [entry.to_dict() or {} for entry in entries]
    return sorted(
        (entry for entry in found if entry["target"] == f"users/{UID}"),
        key=lambda entry: entry["at"],
    )


@pytest.fixture
def dev(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> Iterator[Suite]:
    """The suite, found as a `scripts/dev` that is up; somebody who has signed in to it before."""
    for variable in target_project.EMULATORS.values():
        monkeypatch.setenv(variable, "")  # so that what the script sets does not stay
    state = {"addresses": suite.addresses()}
    monkeypatch.setattr(running, "find", lambda _root: state)
    url = f"http://{suite.auth_host}/identitytoolkit.googleapis.com/v1/projects/{suite.project}"
    with httpx.Client(base_url=url, headers=OWNER, trust_env=False) as auth:
        create_user(auth, UID, EMAIL, '{"team":"red"}')
    yield suite
    ask_auth(suite, "/accounts:delete", {"localId": UID})
    monkeypatch.setenv(target_project.EMULATORS["firestore"], suite.firestore_host)
    for entry in Client(project=suite.project).collection("audit").stream():
        if (entry.to_dict() or {})["target"] == f"users/{UID}":
            entry.reference.delete()


def test_an_admin_is_made_and_keeps_the_other_claims(
    dev: Suite, capsys: pytest.CaptureFixture[str]
) -> None:
    assert admins.main([EMAIL]) == 0
    assert claims(dev) == {"team": "red", "admin": True}
    assert f"{EMAIL} is now an admin in the running ./scripts/dev" in capsys.readouterr().out
    assert admins.main([EMAIL]) == 0
    assert "already" in capsys.readouterr().out


def test_revoking_takes_the_claim_alone_and_ends_the_sessions(
    dev: Suite, capsys: pytest.CaptureFixture[str]
) -> None:
    admins.main([EMAIL])
    before = int(time.time())
    assert admins.main([EMAIL, "--revoke"]) == 0
    assert claims(dev) == {"team": "red"}
    assert int(account(dev)["validSince"]) >= before
    assert "is no longer an admin" in capsys.readouterr().out
    assert admins.main([EMAIL, "--revoke"]) == 0
    assert "was not an admin" in capsys.readouterr().out


def test_each_change_is_in_the_audit_and_what_changes_nothing_is_not(dev: Suite) -> None:
    for arguments in ([], [], ["--revoke"], ["--revoke"]):
        assert admins.main([EMAIL, *arguments]) == 0
    granted, revoked = audit(dev)
    assert granted.keys() == {"at", "by", "email", "action", "target", "before", "after", "note"}
    assert datetime.now(UTC) - granted.pop("at") < timedelta(minutes=1)
    assert granted == {
        "by": "scripts/grant-admin",
        "email": None,
        "action": "grant_admin",
        "target": f"users/{UID}",
        "before": {"admin": False},
        "after": {"admin": True},
        "note": None,
    }
    assert revoked["action"] == "revoke_admin"
    assert (revoked["before"], revoked["after"]) == ({"admin": True}, {"admin": False})


@pytest.mark.parametrize("arguments", [[], ["--revoke"]])
def test_a_change_that_could_not_be_entered_stands_and_is_said(
    dev: Suite,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
) -> None:
    if arguments:
        admins.main([EMAIL])
        capsys.readouterr()
    soon = functools.partial(Audit, limits=FirestoreLimits(change_s=0.5))
    monkeypatch.setattr("firerouter.firestore.audit.Audit", soon)
    away = {"addresses": {**dev.addresses(), "firestore": "127.0.0.1:9"}}
    monkeypatch.setattr(running, "find", lambda _root: away)
    before = int(time.time())
    assert admins.main([EMAIL, *arguments]) == FAILED
    assert claims(dev) == {"team": "red"} if arguments else {"team": "red", "admin": True}
    if arguments:
        assert int(account(dev)["validSince"]) >= before
    said = capsys.readouterr()
    assert not said.out
    assert ("is no longer an admin" if arguments else "is now an admin in") in said.err
    assert "did not confirm the audit entry" in said.err


async def test_who_is_granted_can_make_admin_calls_until_revoked(
    dev: Suite, app_check: str
) -> None:
    await asyncio.to_thread(admins.main, [EMAIL])
    token = await sign_in(dev.auth_host, EMAIL, PASSWORD)
    async with CallableClient(dev.functions_url, token, app_check) as client:
        assert (await client.call("test_openrouter_connection", {}))["valid"] is True
        await asyncio.to_thread(admins.main, [EMAIL, "--revoke"])
        with pytest.raises(CallableFailure) as refused:
            await client.call("test_openrouter_connection", {})
    assert refused.value.details["reason"] in {"not_admin", "session_revoked"}


@pytest.mark.parametrize(
    ("state", "insisting"), [({"emailVerified": False}, 0), ({"disableUser": True}, FAILED)]
)
def test_whose_address_is_not_verified_is_made_no_admin_unless_one_insists(
    dev: Suite, capsys: pytest.CaptureFixture[str], state: dict[str, Any], insisting: int
) -> None:
    ask_auth(dev, "/accounts:update", {"localId": UID, **state})
    assert admins.main([EMAIL]) == FAILED
    assert claims(dev) == {"team": "red"}
    said = capsys.readouterr().err
    assert UID in said
    assert "password" in said
    assert admins.main([EMAIL, "--unverified"]) == insisting
    assert ("admin" in claims(dev)) == (insisting == 0)
    assert admins.main([EMAIL, "--revoke"]) == 0  # from anybody
    assert claims(dev) == {"team": "red"}


@pytest.mark.parametrize("arguments", [[], ["--revoke"]])
def test_an_unknown_email_is_said_to_be_that(
    dev: Suite, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert admins.main(["nobody@demo.test", *arguments]) == FAILED
    assert "No account in the running ./scripts/dev has" in capsys.readouterr().err


def test_what_is_no_email_address_is_said_to_be_that(
    dev: Suite, capsys: pytest.CaptureFixture[str]
) -> None:
    assert admins.main(["nobody"]) == FAILED
    assert "is not an email address" in capsys.readouterr().err


def test_without_a_dev_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(running, "find", lambda _root: None)
    assert admins.main([EMAIL]) == NOT_SET_UP
    error = capsys.readouterr().err
    assert "No ./scripts/dev is running" in error
    assert "--project" in error


def test_without_credentials_for_a_project_it_says_what_to_do(tmp_path: Path) -> None:
    """And asks Google, whatever emulator the environment names."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "NO_GCE_CHECK": "true",
        **dict.fromkeys(target_project.EMULATORS.values(), "127.0.0.1:9"),
    }
    done = subprocess.run(
        [SCRIPT, EMAIL, "--project", "demo-nowhere"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == NOT_SET_UP, done.stderr
    assert "gcloud auth application-default login" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_explains_itself() -> None:
    done = subprocess.run([SCRIPT, "--help"], capture_output=True, text=True, check=True)
    for option in ("EMAIL", "--revoke", "--project"):
        assert option in done.stdout
