"""The admins' calls through the wire: who may make them, and what becomes of a key."""

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from firerouter.app.callables import ADMIN, USER, Audience, functions_for
from firerouter.firestore.limits import ConfigLimits
from scripts.devtools.callable_client import CallableClient, CallableFailure, id_token, sign_in
from scripts.devtools.seed import OWNER, PASSWORD
from scripts.devtools.suite import Suite
from tests.support.accounts import auth_url, create_account
from tests.support.eventually import until
from tests.support.serve import Serve

TEST = "test_openrouter_connection"
DATA = {"set_openrouter_key": {"key": "sk-or-v1-canary-of-nobody-1a2b"}}  # {} elsewhere


def names(*audiences: Audience) -> list[str]:
    return [function.name for function in functions_for(*audiences)]


ADMINS = names(ADMIN)
MARGIN_S = 10.0  # a busy machine's
ASKED = {"feature": "chat", "prompt": "Hello"}


async def update_account(suite: Suite, uid: str, **fields: Any) -> None:
    async with httpx.AsyncClient(headers=OWNER, trust_env=False) as http:
        url = f"{auth_url(suite, suite.project)}/accounts:update"
        (await http.post(url, json={"localId": uid, **fields})).raise_for_status()


async def refusal(client: CallableClient, name: str, data: Any) -> CallableFailure:
    with pytest.raises(CallableFailure) as refused:
        await client.call(name, data)
    return refused.value


# -- who may ---------------------------------------------------------------------------------------


def test_the_calls_for_admins_are_known_for_it() -> None:
    assert {TEST, "set_openrouter_key", "remove_openrouter_key"} <= set(ADMINS)


async def test_what_is_not_for_admins_alone_is_what_the_api_callable_reaches(
    client: CallableClient,
) -> None:
    refused = await refusal(client, "api", {"endpoint": "nope"})
    reached = refused.message.removeprefix("endpoint must be one of ").rstrip(".").split(", ")
    assert {*reached, "api"} == set(names(USER))


@pytest.mark.parametrize("name", ADMINS)
async def test_a_plain_user_is_refused(client: CallableClient, name: str) -> None:
    good = DATA.get(name, {})
    claimed = {**good, "admin": True, "claims": {"admin": True}}
    for data in (good, claimed, None, "garbage"):
        refused = await refusal(client, name, data)
        assert (refused.status, refused.details["reason"]) == ("PERMISSION_DENIED", "not_admin")


@pytest.mark.parametrize("name", names(ADMIN, USER))
async def test_without_an_app_check_token_not_even_an_admin_gets_in(
    suite: Suite, admin: str, name: str
) -> None:
    async with CallableClient(suite.functions_url, admin) as client:
        refused = await refusal(client, name, DATA.get(name, {}))
    assert (refused.status, refused.details["reason"]) == ("UNAUTHENTICATED", "app_check_failed")


@pytest.mark.parametrize("name", ADMINS)
async def test_the_api_callable_does_not_reach_it(
    suite: Suite, admin: str, app_check: str, name: str
) -> None:
    async with CallableClient(suite.functions_url, admin, app_check) as client:
        refused = await refusal(client, "api", {"endpoint": name, **DATA.get(name, {})})
    assert refused.details["field"] == "endpoint"


@pytest.mark.parametrize("name", ADMINS)
async def test_a_token_that_is_not_an_admins_by_now_is_refused(
    suite: Suite, app_check: str, name: str
) -> None:
    """Forged by the emulator's rules: signed by nobody, which it takes for good."""
    tokens = {
        "not_admin": id_token(suite.project, "demo-user", admin=True),  # the account has no claim
        "session_revoked": id_token(suite.project, "nobody-there", admin=True),
        "session_expired": id_token(suite.project, "demo-admin", admin=True, expires_in_s=-10),
    }
    for reason, token in tokens.items():
        async with CallableClient(suite.functions_url, token, app_check) as client:
            refused = await refusal(client, name, DATA.get(name, {}))
        assert refused.details["reason"] == reason
        assert refused.details["retryable"] is False


async def test_an_admin_who_is_none_any_more_is_out_at_the_next_call(
    suite: Suite, serve: Serve, app_check: str
) -> None:
    """Disabled, signed out everywhere, or without the claim: the token still says otherwise."""
    url = serve(TEST).url
    ends: dict[str, tuple[dict[str, Any], str]] = {
        "disabled-admin": ({"disableUser": True}, "session_revoked"),
        "revoked-admin": ({"validSince": str(int(time.time()) + 60)}, "session_revoked"),
        "former-admin": ({"customAttributes": "{}"}, "not_admin"),
    }
    clients: dict[str, CallableClient] = {}
    for uid in ends:
        create_account(suite, uid, '{"admin":true}', suite.project)
        token = await sign_in(suite.auth_host, f"{uid}@demo.test", PASSWORD)
        clients[uid] = CallableClient(url, token, app_check)
        assert (await clients[uid].call("", {}))["valid"] is True
    for uid, (fields, _) in ends.items():
        await update_account(suite, uid, **fields)
    for uid, (_, reason) in ends.items():
        refused = await refusal(clients[uid], "", {})
        assert refused.details["reason"] == reason, uid
        await clients[uid].aclose()


async def test_while_accounts_cannot_be_looked_up_no_admin_gets_in(
    suite: Suite, serve: Serve, admin: str, user: str, app_check: str
) -> None:
    env = {"FIREBASE_AUTH_EMULATOR_HOST": "127.0.0.1:9"}
    url = serve(TEST, env=env).url
    async with CallableClient(url, admin, app_check) as client:
        refused = await refusal(client, "", {})
        assert (refused.status, refused.details["reason"]) == ("UNAVAILABLE", "sign_in_unavailable")
        assert refused.details["retryable"] is True


# -- a key's life ----------------------------------------------------------------------------------

PROJECT = "demo-admin-keys"
CANARY = "sk-or-v1-canary-7d30e1"


class Keys:
    """Three functions of a project of their own, as its admin and one of its users call them."""

    def __init__(self, suite: Suite, serve: Serve, app_check: str) -> None:
        self.served = {
            name: serve(name, env={"GCLOUD_PROJECT": PROJECT})
            for name in ("set_openrouter_key", "remove_openrouter_key", "execute_prompt")
        }
        admin = id_token(PROJECT, "ann", admin=True, email="ann@demo.test")
        tokens = {"execute_prompt": id_token(PROJECT, "somebody")}
        self.clients = {
            name: CallableClient(served.url, tokens.get(name, admin), app_check)
            for name, served in self.served.items()
        }
        self.answers: list[str] = []
        self._suite = suite

    async def call(self, name: str, data: Any) -> Any:
        """The result, or the failure's details."""
        try:
            result = await self.clients[name].call("", data)
        except CallableFailure as failure:
            self.answers.append(f"{failure} {failure.details}")
            return failure.details
        self.answers.append(str(result))
        return result

    async def eventually(self, reason: str | None) -> None:
        """execute_prompt answers with that reason, or with text, as soon as it has to."""

        async def does() -> bool:
            details = await self.call("execute_prompt", ASKED)
            return details.get("reason") == reason and bool(reason or details.get("text"))

        await until(does, within_s=ConfigLimits().stale_s + MARGIN_S, every_s=0.5)

    async def documents(self) -> str:
        """Every document of the project's that could hold something of a key."""
        found = ""
        async with httpx.AsyncClient(headers=OWNER, trust_env=False) as http:
            for name in ("config", "audit", "generations", "features", "quotas"):
                root = f"http://{self._suite.firestore_host}/v1/projects/{PROJECT}"
                url = f"{root}/databases/(default)/documents/{name}"
                found += (await http.get(url, params={"pageSize": 300})).text
        return found

    async def fail(self, method: str) -> None:
        """The next call of that method of Secret Manager fails."""
        order = {"method": method, "code": "INTERNAL", "count": 1}
        async with httpx.AsyncClient(trust_env=False) as http:
            url = f"{self._suite.secret_manager_control}/sim/fail"
            (await http.post(url, json=order)).raise_for_status()

    def logs(self) -> str:
        return "".join(served.log.read_text() for served in self.served.values())


@pytest.fixture
async def keys(suite: Suite, serve: Serve) -> AsyncIterator[Keys]:
    create_account(suite, "ann", '{"admin":true}', PROJECT)
    async with httpx.AsyncClient(trust_env=False) as http:
        asked = {"projectId": PROJECT, "audience": [f"projects/{PROJECT}"]}
        issued = await http.post(f"http://{suite.app_check_host}/token", json=asked)
    keys = Keys(suite, serve, issued.json()["token"])
    yield keys
    for client in keys.clients.values():
        await client.aclose()


async def test_a_key_is_set_rotated_and_removed_and_never_seen_again(keys: Keys) -> None:
    assert (await keys.call("execute_prompt", ASKED))["reason"] == "key_missing"
    first = await keys.call("set_openrouter_key", {"key": f" {CANARY}-one-aaa1\n"})
    assert (first["version"], first["lastFour"], first["warnings"]) == (1, "aaa1", [])
    await keys.eventually(None)

    second = await keys.call("set_openrouter_key", {"key": f"{CANARY}-free-tier-bbb2"})
    assert (second["version"], second["isFreeTier"]) == (2, True)
    await keys.eventually(None)

    for data, reason in (
        ({"key": f"{CANARY}-revoked"}, "key_invalid"),
        ({"key": f"{CANARY}-management"}, "management_key"),
        ({"key": f"{CANARY} \x07"}, "invalid_argument"),
        ({"key": [CANARY]}, "invalid_argument"),
        ({"key": CANARY, "lastFour": "0000"}, "invalid_argument"),
        ({CANARY: CANARY}, "invalid_argument"),
        (CANARY, "invalid_argument"),
        (None, "invalid_argument"),
    ):
        assert (await keys.call("set_openrouter_key", data))["reason"] == reason

    own = {"key": f"{CANARY}-own-ddd4", "feature": "code"}
    third = await keys.call("set_openrouter_key", own)
    assert (third["feature"], third["position"], third["count"]) == ("code", 1, 1)
    refused = await keys.call("set_openrouter_key", {**own, "position": 3})
    assert (refused["reason"], refused["field"]) == ("invalid_argument", "position")

    for method, failure in (
        ("ListSecretVersions", "key_unavailable"),
        ("AddSecretVersion", "key_unavailable"),
        ("DisableSecretVersion", None),
    ):
        await keys.fail(method)
        outcome = await keys.call("set_openrouter_key", {"key": f"{CANARY}-three-ccc3"})
        assert outcome.get("reason") == failure
    assert [warning["reason"] for warning in outcome["warnings"]] == ["old_key_enabled"]

    removed = await keys.call("remove_openrouter_key", None)
    assert removed == {"removed": True, "lastFour": "ccc3", "count": 0, "warnings": []}
    await keys.eventually("key_missing")
    own_serves = await keys.call("execute_prompt", {**ASKED, "feature": "code"})
    assert own_serves["text"]

    documents = await keys.documents()
    assert "set_openrouter_key" in documents
    assert "remove_openrouter_key" in documents
    assert "ann@demo.test" in documents
    for written in (documents, keys.logs(), *keys.answers):
        assert "7d30e1" not in written
