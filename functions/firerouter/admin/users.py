"""Admins see who uses the app and what it costs, change one user's limits, and stop a user."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from pydantic import ValidationError

from .. import log
from ..callable import Call
from ..contract import (
    NANO_PER_USD,
    ListUsers,
    Record,
    SetUserLimits,
    StopUserGenerations,
    UserInfo,
    UserLimitsSaved,
    UserList,
    UserStopped,
    parse,
)
from ..delivery import StopSignals
from ..errors import LedgerUnavailable, SettingsUnavailable
from ..features import AppSettings, AppSettingsStore, Finding, low_caps_of_user
from ..firestore import Audit, Change, Paths, content, get, get_all, translated
from ..ledger import (
    LedgerStore,
    LimitsOverride,
    OwnLimits,
    OwnLimitsStore,
    Windows,
    count_at,
    read_own_limits,
)
from ..users import Account, Accounts, Caller
from . import revisions

if TYPE_CHECKING:
    from google.cloud.firestore import AsyncClient


class _Given(Record):
    """Limits within the request, so that an error names their path in it: `limits.usdPerDay`."""

    limits: LimitsOverride


class UserAdmin:
    """The callables `list_users`, `set_user_limits` and `stop_user_generations`."""

    def __init__(
        self,
        firestore: AsyncClient,
        audit: Audit,
        *,
        store: LedgerStore,
        own_limits: OwnLimitsStore,
        app_settings: AppSettingsStore,
        stops: StopSignals,
        accounts: Accounts,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._firestore = firestore
        self._audit = audit
        self._paths = Paths(firestore)
        self._store = store
        self._own_limits = own_limits
        self._app_settings = app_settings
        self._stops = stops
        self._accounts = accounts
        self._now = now

    async def set_limits(self, call: Call[Caller]) -> UserLimitsSaved:
        """Change what one user may do: `{uid, limits, tier, blocked, warnings}`.

        The change reaches other instances within 15 seconds.

        Raises:
            SettingsRefused: A limit is out of its bounds.
            SettingsChanged: Another admin changed them first.
            SettingsUnavailable: It is not known whether it was saved.
        """
        request = parse(SetUserLimits, call.data)
        reference = self._paths.user_limits(request.uid)
        with translated(SettingsUnavailable, "limits_not_read"):
            snapshot = await get(reference)
        app = await self._app_settings.get()
        before = read_own_limits(content(snapshot))
        after = _changed(before, request)
        document = to_json(after)
        batch = self._firestore.batch()
        written = {**document, "at": self._now(), "by": call.caller.uid}
        if snapshot.exists:
            guard = self._firestore.write_option(last_update_time=snapshot.update_time)
            batch.update(reference, written, option=guard)
        else:
            batch.create(reference, written)
        change = Change(
            by=call.caller.uid,
            email=call.caller.email,
            action="set_user_limits",
            target=reference.path,
            before=to_json(before),
            after=document,
            note=request.note,
        )
        await self._audit.commit(batch, change)
        self._own_limits.forget(request.uid)
        log.info("set_user_limits", blocked=after.blocked)
        warnings = [finding.to_wire() for finding in _warnings(after, app)]
        return cast(UserLimitsSaved, {"uid": request.uid, **document, "warnings": warnings})

    async def list(self, call: Call[Caller]) -> UserList:
        """Return a page of users with what they have used: `{users, nextPageToken?}`.

        Raises:
            SignInUnavailable: Firebase Authentication did not answer.
            LedgerUnavailable: Firestore did not answer.
        """
        request = parse(ListUsers, call.data)
        found: Sequence[Account]
        token: str | None = None
        if request.search:
            found = await self._accounts.find(request.search)
        else:
            found, token = await self._accounts.page(request.page_size, request.page_token)
        windows = Windows(at=self._now())
        references = [
            reference
            for account in found
            for reference in (
                self._paths.quota_window(account.uid, windows.month),
                self._paths.quota_window(account.uid, "concurrent"),
                self._paths.user_limits(account.uid),
            )
        ]
        with translated(LedgerUnavailable, "users_not_read"):
            documents = [*map(content, await get_all(self._firestore, references))] if found else []
        users = [
            _user(account, windows, *documents[3 * at : 3 * at + 3])
            for at, account in enumerate(found)
        ]
        return {"users": users, "nextPageToken": token} if token else {"users": users}

    async def stop(self, call: Call[Caller]) -> UserStopped:
        """Stop all of a user's answers in progress: `{uid, stopped, status}`.

        Raises:
            LedgerUnavailable: Firestore did not answer.
            SettingsUnavailable: They are stopped, but the audit may lack an entry.
        """
        uid = parse(StopUserGenerations, call.data).uid
        with translated(LedgerUnavailable, "stop_failed"):
            running = await self._store.running_of(uid)
        outcomes = await asyncio.gather(*(self._stop(one.id, uid) for one in running))
        stopped = [one.id for one, was in zip(running, outcomes, strict=True) if was]
        change = Change(
            by=call.caller.uid,
            email=call.caller.email,
            action="stop_user_generations",
            target=f"users/{uid}",
            before=[],
            after=stopped,
        )
        await self._audit.commit(self._firestore.batch(), change)
        log.info("stop_user_generations", count=len(stopped))
        status = "stopping" if stopped else "nothing_running"
        return cast(UserStopped, {"uid": uid, "stopped": stopped, "status": status})

    async def _stop(self, id_: str, uid: str) -> bool:
        here = self._stops.stop_here(id_, uid)
        return await self._stops.request(id_, uid) == "running" or here


def to_json(own: OwnLimits) -> dict[str, object]:
    """Return what an admin set for a user, as stored and as sent."""
    limits = own.limits.model_dump(by_alias=True, exclude_none=True)
    return {"limits": limits, "tier": own.tier, "blocked": own.blocked}


def _changed(before: OwnLimits, request: SetUserLimits) -> OwnLimits:
    """Return a user's limits with the request's changes. Raises SettingsRefused."""
    kept = before.limits.model_dump(by_alias=True, exclude_none=True)
    values = {n: value for n, value in kept.items() if n not in request.remove} | request.limits
    tier = None if "tier" in request.remove else before.tier
    try:
        limits = _Given.model_validate({"limits": values}, by_alias=True, by_name=False).limits
    except ValidationError as error:
        raise revisions.invalid(error) from None
    return OwnLimits(
        tier=request.tier or tier,
        limits=limits,
        blocked=before.blocked if request.blocked is None else request.blocked,
    )


def _warnings(own: OwnLimits, app: AppSettings) -> Iterator[Finding]:
    """Yield what was saved, and will not do what it seems to."""
    yield from low_caps_of_user(own.limits, app.limits.reserve_usd)
    if own.tier is not None and own.tier not in app.tiers:
        sentence = f"The app's settings have no tier {own.tier}, so it changes nothing."
        yield Finding("tier", "tier_unknown", sentence)


def _user(
    account: Account,
    windows: Windows,
    month: Mapping[str, object],
    running: Mapping[str, object],
    limits: Mapping[str, object],
) -> UserInfo:
    own = read_own_limits(limits)
    tier = own.tier or account.tier

    def today(name: str) -> int:
        return max(0, count_at(month, "days", windows.day, name))

    user = {
        "uid": account.uid,
        **({"email": account.email} if account.email else {}),
        "anonymous": account.anonymous,
        "disabled": account.disabled,
        **({"tier": tier} if tier else {}),
        "blocked": own.blocked,
        "limits": to_json(own)["limits"],
        "requestsToday": today("requests"),
        "tokensToday": today("tokens"),
        "usdToday": today("nanoUsd") / NANO_PER_USD,
        "usdThisMonth": max(0, count_at(month, "month", "nanoUsd")) / NANO_PER_USD,
        "running": max(0, count_at(running, "count")),
    }
    return cast(UserInfo, user)
