"""Accounts of Firebase Authentication, as admins look them up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import log
from ..errors import InvalidArgument, SignInUnavailable

if TYPE_CHECKING:
    import firebase_admin


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account.

    Attributes:
        uid: The user's id.
        email: The address; empty if it has none.
        anonymous: It was made without an address, a number or a provider.
        disabled: Nobody can sign in with it.
        tier: The custom claim `tier`.
    """

    uid: str
    email: str = ""
    anonymous: bool = False
    disabled: bool = False
    tier: str | None = None


class Accounts:
    """Looks accounts up. One per instance. The Admin SDK blocks, so each lookup has a thread."""

    def __init__(self, firebase_app: Callable[[], firebase_admin.App]) -> None:
        self._firebase_app = firebase_app

    async def find(self, search: str) -> Sequence[Account]:
        """Return the account of a whole email address or uid, if there is one.

        Raises:
            InvalidArgument: It is neither.
            SignInUnavailable: Firebase Authentication did not answer.
        """
        return await asyncio.to_thread(self._find, search)

    async def page(
        self, size: int, token: str | None = None
    ) -> tuple[Sequence[Account], str | None]:
        """Return a page of all accounts, and the token of the next page. Raises as `find`."""
        return await asyncio.to_thread(self._page, size, token)

    def _find(self, search: str) -> Sequence[Account]:
        from firebase_admin import auth

        find = auth.get_user_by_email if "@" in search else auth.get_user
        try:
            return [_account(self._ask(find, "search", search))]
        except auth.UserNotFoundError:
            return []

    def _page(self, size: int, token: str | None) -> tuple[Sequence[Account], str | None]:
        from firebase_admin import auth

        page = self._ask(auth.list_users, "pageToken", page_token=token, max_results=size)
        return [*map(_account, page.users)], page.next_page_token or None

    def _ask(self, call: Callable[..., Any], field: str, *arguments: Any, **named: Any) -> Any:
        from firebase_admin import auth, exceptions
        from google.auth.exceptions import GoogleAuthError

        try:
            return call(*arguments, **named, app=self._firebase_app())
        except auth.UserNotFoundError:
            raise
        except (ValueError, exceptions.InvalidArgumentError):
            raise InvalidArgument(f"{field} has not the right form.", field=field) from None
        except (exceptions.FirebaseError, GoogleAuthError) as error:
            log.error("account_lookup_failed", type=type(error).__name__)
            raise SignInUnavailable from None


def _account(user: Any) -> Account:
    tier = (user.custom_claims or {}).get("tier")
    return Account(
        uid=user.uid,
        email=user.email or "",
        anonymous=not (user.provider_data or user.email or user.phone_number),
        disabled=bool(user.disabled),
        tier=tier if isinstance(tier, str) and tier else None,
    )
