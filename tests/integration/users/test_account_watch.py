"""Accounts of the Auth emulator, looked up beside calls by the Admin SDK as it is deployed."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator

import firebase_admin
import httpx
import pytest

from firerouter.errors import SessionRevoked
from firerouter.users.account_watch import AccountWatch
from firerouter.users.limits import IdentityLimits
from scripts.devtools.seed import OWNER
from scripts.devtools.suite import Suite
from tests.support.accounts import auth_url

LIMITS = IdentityLimits()
OLD_S = LIMITS.account_fresh_s + 60  # of a token that says nothing of its account as it is now
LOOKED_UP_WITHIN_S = 20.0


class Accounts:
    """Makes accounts, and does to them what an admin does in the Firebase console."""

    def __init__(self, suite: Suite) -> None:
        self._url = f"{auth_url(suite, suite.project)}/accounts"

    async def create(self) -> str:
        return str((await self._post("", {"email": f"{uuid.uuid4().hex}@demo.test"}))["localId"])

    async def disable(self, uid: str, *, disabled: bool = True) -> None:
        await self._post(":update", {"localId": uid, "disableUser": disabled})

    async def delete(self, uid: str) -> None:
        await self._post(":delete", {"localId": uid})

    async def end_sessions(self, uid: str) -> None:
        await self._post(":update", {"localId": uid, "validSince": str(int(time.time()))})

    async def _post(self, path: str, body: dict[str, object]) -> dict[str, object]:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
            response = await http.post(f"{self._url}{path}", json=body, headers=OWNER)
        found: dict[str, object] = response.raise_for_status().json()
        return found


@pytest.fixture
async def watch(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AccountWatch]:
    """One of an instance for which no lookup is recent."""
    monkeypatch.setenv("FIREBASE_AUTH_EMULATOR_HOST", suite.auth_host)
    app = firebase_admin.initialize_app(options={"projectId": suite.project}, name=uuid.uuid4().hex)
    watch = AccountWatch(lambda: app, LIMITS, time.time)
    yield watch
    if watch._thread is not None:
        await asyncio.to_thread(watch._thread.shutdown)
    firebase_admin.delete_app(app)


async def looked_up(watch: AccountWatch) -> None:
    assert watch._lookup is not None
    await asyncio.wait_for(asyncio.shield(watch._lookup), LOOKED_UP_WITHIN_S)


async def test_accounts_that_are_disabled_or_gone_are_refused_and_others_are_not(
    suite: Suite, watch: AccountWatch
) -> None:
    accounts = Accounts(suite)
    good, disabled, deleted = [await accounts.create() for _ in range(3)]
    await accounts.disable(disabled)
    await accounts.delete(deleted)
    issued_at = time.time() - OLD_S
    for uid in (good, disabled, deleted):
        watch.check(uid, issued_at)  # what is not known yet holds no call up
    await looked_up(watch)
    for uid in (disabled, deleted):
        with pytest.raises(SessionRevoked):
            watch.check(uid, issued_at)
    watch.check(good, time.time())
    await accounts.disable(disabled, disabled=False)
    watch.check(disabled, time.time() + 1)  # by its next token


async def test_a_user_whose_sessions_were_ended_is_refused_until_the_next_sign_in(
    suite: Suite, watch: AccountWatch
) -> None:
    accounts = Accounts(suite)
    uid, issued_at = await accounts.create(), time.time() - OLD_S
    await accounts.end_sessions(uid)
    watch.check(uid, issued_at)
    await looked_up(watch)
    with pytest.raises(SessionRevoked):
        watch.check(uid, issued_at)
    watch.check(uid, time.time() + 1)
