"""`./scripts/grant-admin`: the custom claim `admin: true`, which opens the AI settings to a user.

    find the account -> check that its address is verified -> set the claim, keep the others
      -> write an audit entry, if anything changed -> when revoking, end the account's sessions

The claim reaches an app with the next ID token, at the next sign-in or within the hour. Losing it
takes effect at once, because admin calls look the account up.

Anyone can register with another person's address and a password. Until the address is verified, the
account may be a stranger's, and only `--unverified` makes it an admin's.

Auth and Firestore share no commit. The claim is set first: if the audit entry then fails, the
script says so, and a claim that was to be revoked is revoked.
"""

import argparse
import asyncio
import contextlib
import io
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from scripts.devtools import target_project
from scripts.devtools.cli_errors import FAILED, Problem, exit_status
from scripts.devtools.suite import PROJECT

CLAIM = "admin"
BY = "scripts/grant-admin"  # who the audit names, because no user has signed in
TIMEOUT_S = 20

EPILOG = """\
examples:
  ./scripts/grant-admin user@demo.test                     in the running ./scripts/dev
  ./scripts/grant-admin ann@example.com --project my-app   in a Firebase project
  ./scripts/grant-admin ann@example.com --project my-app --revoke

A project needs Google credentials: gcloud auth application-default login
Every change is recorded in the audit, in Firestore.
exit status: 0 done, 1 not done or not recorded, 2 wrong arguments, 3 not set up.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(sys.argv[1:] if arguments is None else arguments)

    def chore() -> int:
        print(
            change(
                options.email,
                revoke=options.revoke,
                project=options.project,
                unverified=options.unverified,
            )
        )
        return 0

    return exit_status(chore)


class Refused(Problem):
    """Auth refused the change, or made it and Firestore did not confirm the audit entry."""

    status = FAILED


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./scripts/grant-admin",
        description="Makes a user an admin of the app, who can change its AI settings and key.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("email", metavar="EMAIL", help="the address of an existing account")
    parser.add_argument("--revoke", action="store_true", help="remove the admin claim")
    parser.add_argument(
        "--unverified",
        action="store_true",
        help="accept an account whose address is not verified",
    )
    target_project.add_option(parser)
    return parser.parse_args(arguments)


def change(email: str, *, revoke: bool, project: str | None, unverified: bool = False) -> str:
    """Set or remove the claim, and return what was done, in a sentence. Raises Problem."""
    from firebase_admin import auth, exceptions
    from google.auth.exceptions import GoogleAuthError

    where = project or "the running ./scripts/dev"
    try:
        with _app(project) as app:
            account = auth.get_user_by_email(email, app=app)
            if not revoke:
                _check_account(account, email, unverified=unverified)
            claims = dict(account.custom_claims or {})
            was_admin = claims.pop(CLAIM, None) is True
            is_admin = not revoke
            claims |= {CLAIM: True} if is_admin else {}
            auth.set_custom_user_claims(account.uid, claims, app=app)
            recorded = was_admin == is_admin or _record(
                account.uid, project or PROJECT, before=was_admin, after=is_admin
            )
            if revoke:
                auth.revoke_refresh_tokens(account.uid, app=app)
    except auth.UserNotFoundError:
        raise Refused(
            f"No account in {where} has the address {email}.",
            "Have the user sign in to the app once, then run this again.",
        ) from None
    except ValueError as error:  # what firebase-admin raises for a malformed address
        raise Refused(
            f"{email!r} is not an email address: {error}", "Correct the address."
        ) from None
    except GoogleAuthError:
        raise target_project.no_credentials() from None
    except exceptions.FirebaseError as error:
        raise Refused(
            f"Firebase Auth in {where} refused: {error}",
            "Your account needs the role Firebase Authentication Admin in that project.",
        ) from None
    done = _sentence(email, where, revoke=revoke, was_admin=was_admin)
    if not recorded:
        raise Refused(
            f"{done} But Firestore did not confirm the audit entry, which may be missing.",
            "Your account needs the role Cloud Datastore User in that project.",
        )
    return done


def _check_account(account: Any, email: str, *, unverified: bool) -> None:
    """Check that the account may become an admin's. Raises Refused."""
    providers = ", ".join(one.provider_id for one in account.provider_data) or "no provider"
    named = f"{email} (uid {account.uid}, signed in with {providers})"
    if account.disabled:
        raise Refused(f"The account {named} is disabled.", "Enable it, then run this again.")
    if not (account.email_verified or unverified):
        raise Refused(
            f"The address of the account {named} is not verified. It may be a stranger's account.",
            "Have the user verify the address or, if you know the account, add --unverified.",
        )


def _record(uid: str, project: str, *, before: bool, after: bool) -> bool:
    """Write `audit/{id}` as the functions do. Returns False if it may be missing."""
    from google.cloud.firestore import AsyncClient

    from firerouter.firestore.audit import Audit, Change

    change = Change(
        by=BY,
        email="",
        action="grant_admin" if after else "revoke_admin",
        target=f"users/{uid}",
        before={CLAIM: before},
        after={CLAIM: after},
    )

    async def commit() -> None:
        firestore = AsyncClient(project=project)
        await Audit(firestore).commit(firestore.batch(), change)

    try:
        # the functions log a failure for Cloud Logging
        with contextlib.redirect_stdout(io.StringIO()):
            asyncio.run(commit())
    except Exception:  # whatever the cause, the claim is set, and the user must learn that
        return False
    return True


def _sentence(email: str, where: str, *, revoke: bool, was_admin: bool) -> str:
    if revoke:
        state = "is no longer an admin" if was_admin else "was not an admin"
        return f"{email} {state} in {where}, and has been signed out."
    if was_admin:
        return f"{email} is already an admin in {where}."
    return (
        f"{email} is now an admin in {where}. It takes effect at the next sign-in, or in an hour."
    )


@contextlib.contextmanager
def _app(project: str | None) -> Iterator[Any]:
    """Open the Admin SDK's app, on the emulator or on Google. Raises Problem."""
    import firebase_admin

    options = {"projectId": target_project.point_clients_at(project), "httpTimeout": TIMEOUT_S}
    app = firebase_admin.initialize_app(options=options, name="grant-admin")
    try:
        yield app
    finally:
        firebase_admin.delete_app(app)


if __name__ == "__main__":
    sys.exit(main())
