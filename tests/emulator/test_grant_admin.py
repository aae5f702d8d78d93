"""`./scripts/grant-admin`, against the Auth emulator: claims are merged, sessions ended."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts import admins
from scripts.local import running
from scripts.local.client import CallableClient, CallableFailure, sign_in
from scripts.local.problems import FAILED, NOT_SET_UP
from scripts.local.seed import OWNER, PASSWORD, create_user
from scripts.local.suite import Suite

SCRIPT = Path(__file__).parents[2] / "scripts" / "grant-admin"
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


@pytest.fixture
def dev(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> Iterator[Suite]:
    """The suite, found as a `scripts/dev` that is up; somebody who has signed in to it before."""
    monkeypatch.setenv(admins.EMULATOR, "")  # so that what the script sets does not stay
    state = {"addresses": suite.addresses()}
    monkeypatch.setattr(running, "find", lambda _root: state)
    url = f"http://{suite.auth_host}/identitytoolkit.googleapis.com/v1/projects/{suite.project}"
    with httpx.Client(base_url=url, headers=OWNER, trust_env=False) as auth:
        create_user(auth, UID, EMAIL, '{"team":"red"}')
    yield suite
    ask_auth(suite, "/accounts:delete", {"localId": UID})


def test_an_admin_is_made_and_keeps_the_other_claims(
    dev: Suite, capsys: pytest.CaptureFixture[str]
) -> None:
    assert admins.main([EMAIL]) == 0
    assert claims(dev) == {"team": "red", "admin": True}
    assert f"{EMAIL} is an admin in the ./scripts/dev that is up" in capsys.readouterr().out
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
    assert "is no admin any more" in capsys.readouterr().out
    assert admins.main([EMAIL, "--revoke"]) == 0
    assert "was no admin" in capsys.readouterr().out


async def test_who_is_granted_can_make_admin_calls_until_revoked(
    dev: Suite, app_check: str
) -> None:
    admins.main([EMAIL])
    token = await sign_in(dev.auth_host, EMAIL, PASSWORD)
    async with CallableClient(dev.functions_url, token, app_check) as client:
        assert (await client.call("test_openrouter_connection", {}))["valid"] is True
        admins.main([EMAIL, "--revoke"])
        # another function, whose instance has not looked this account up yet
        with pytest.raises(CallableFailure) as refused:
            await client.call("remove_openrouter_key", {"unknown": "so that it changes nothing"})
    assert refused.value.details["reason"] in {"not_admin", "session_revoked"}


@pytest.mark.parametrize("arguments", [[], ["--revoke"]])
def test_an_unknown_email_is_said_to_be_that(
    dev: Suite, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert admins.main(["nobody@demo.test", *arguments]) == FAILED
    assert "Nobody in the ./scripts/dev that is up has" in capsys.readouterr().err


def test_what_is_no_email_address_is_said_to_be_that(
    dev: Suite, capsys: pytest.CaptureFixture[str]
) -> None:
    assert admins.main(["nobody"]) == FAILED
    assert "is no email address" in capsys.readouterr().err


def test_without_a_dev_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(running, "find", lambda _root: None)
    assert admins.main([EMAIL]) == NOT_SET_UP
    error = capsys.readouterr().err
    assert "No ./scripts/dev is up" in error
    assert "--project" in error


def test_without_credentials_for_a_project_it_says_what_to_do(tmp_path: Path) -> None:
    """And asks Google, whatever emulator the environment names."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "NO_GCE_CHECK": "true",
        admins.EMULATOR: "127.0.0.1:9",
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
