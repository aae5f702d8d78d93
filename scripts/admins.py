"""`./scripts/grant-admin`: who may change the app's AI settings, by the custom claim `admin: true`.

    find the account -> is it whose it says? -> set the claim, keep the others
      -> enter it in the audit, if it is a change -> revoked: end the account's sessions too

The claim reaches an app with its next ID token, at the next sign-in or within the hour. Losing it
counts at once: admin calls look the account up.

Anybody can register with somebody else's address, and a password; until it is verified the account
may be a stranger's, and it takes `--unverified` to insist.

Auth and Firestore share no commit. The claim comes first: where its entry fails, that is said, and
whoever was to lose the claim has lost it.
"""

import argparse
import asyncio
import contextlib
import io
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from scripts.local import running
from scripts.local.problems import FAILED, NOT_SET_UP, Problem
from scripts.local.suite import PROJECT

ROOT = Path(__file__).resolve().parents[1]
CLAIM = "admin"
EMULATORS = {"auth": "FIREBASE_AUTH_EMULATOR_HOST", "firestore": "FIRESTORE_EMULATOR_HOST"}
BY = "scripts/grant-admin"  # in the audit: nobody has signed in here
TIMEOUT_S = 20

EPILOG = """\
examples:
  ./scripts/grant-admin user@demo.test                     in the ./scripts/dev that is up
  ./scripts/grant-admin ann@example.com --project my-app   in a Firebase project
  ./scripts/grant-admin ann@example.com --project my-app --revoke

A project needs Google credentials: gcloud auth application-default login
What it changes is entered in the audit, in Firestore.
exit status: 0 done, 1 it could not be done or entered, 2 wrong arguments, 3 nothing to do it with.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        print(
            change(
                options.email,
                revoke=options.revoke,
                project=options.project,
                unverified=options.unverified,
            )
        )
    except Refused as refused:
        print(refused, file=sys.stderr)
        return FAILED
    except Problem as problem:
        print(problem, file=sys.stderr)
        return NOT_SET_UP
    return 0


class Refused(Problem):
    """Auth was asked, and would not; or it did, and Firestore would not keep the entry."""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./scripts/grant-admin",
        description="Makes somebody an admin of the app: who may change its AI settings and key.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("email", metavar="EMAIL", help="of an account that exists already")
    parser.add_argument("--revoke", action="store_true", help="make them no admin any more")
    parser.add_argument(
        "--unverified",
        action="store_true",
        help="though nobody has shown yet that the address is theirs",
    )
    parser.add_argument(
        "--project",
        metavar="ID",
        help="a Firebase project instead of a running ./scripts/dev",
    )
    return parser.parse_args(arguments)


def change(email: str, *, revoke: bool, project: str | None, unverified: bool = False) -> str:
    """Answers with what was done, in a sentence. Raises Problem."""
    from firebase_admin import auth, exceptions
    from google.auth.exceptions import GoogleAuthError

    where = project or "the ./scripts/dev that is up"
    try:
        with _app(project) as app:
            account = auth.get_user_by_email(email, app=app)
            if not revoke:
                _check(account, email, unverified=unverified)
            claims = dict(account.custom_claims or {})
            was_admin = claims.pop(CLAIM, None) is True
            is_admin = not revoke
            claims |= {CLAIM: True} if is_admin else {}
            auth.set_custom_user_claims(account.uid, claims, app=app)
            entered = was_admin == is_admin or _enter(
                account.uid, project or PROJECT, before=was_admin, after=is_admin
            )
            if revoke:
                auth.revoke_refresh_tokens(account.uid, app=app)
    except auth.UserNotFoundError:
        raise Refused(
            f"Nobody in {where} has the email address {email}.",
            "Let them sign in to the app once, then run this again.",
        ) from None
    except ValueError as error:  # firebase-admin's word for an address that is none
        raise Refused(f"{email!r} is no email address: {error}", "Check it, please.") from None
    except GoogleAuthError:
        raise Problem(
            "There are no Google credentials here, or they do not work any more.",
            "Run `gcloud auth application-default login`, then this again.",
        ) from None
    except exceptions.FirebaseError as error:
        raise Refused(
            f"Firebase Auth of {where} would not do it: {error}",
            "It takes the role Firebase Authentication Admin in that project.",
        ) from None
    done = _sentence(email, where, revoke=revoke, was_admin=was_admin)
    if not entered:
        raise Refused(
            f"{done} But Firestore did not confirm the entry in the audit: it may be missing.",
            "It takes the role Cloud Datastore User in that project.",
        )
    return done


def _check(account: Any, email: str, *, unverified: bool) -> None:
    """Whether the account may be made an admin's. Raises Refused."""
    providers = ", ".join(one.provider_id for one in account.provider_data) or "no provider"
    whose = f"{email} (uid {account.uid}, by {providers})"
    if account.disabled:
        raise Refused(f"The account of {whose} is disabled.", "Enable it, then run this again.")
    if not (account.email_verified or unverified):
        raise Refused(
            f"The address of {whose} is not verified: it may be a stranger's account.",
            "Let them verify it, or, if you know the account, add --unverified.",
        )


def _enter(uid: str, project: str, *, before: bool, after: bool) -> bool:
    """Write `audit/{id}` as the functions do. False: it may not be there."""
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
        # the functions' log line of a failure is for Cloud Logging
        with contextlib.redirect_stdout(io.StringIO()):
            asyncio.run(commit())
    except Exception:  # whatever it was: the claim stands, and that has to be said
        return False
    return True


def _sentence(email: str, where: str, *, revoke: bool, was_admin: bool) -> str:
    if revoke:
        state = "is no admin any more" if was_admin else "was no admin"
        return f"{email} {state} in {where}; they have to sign in again."
    if was_admin:
        return f"{email} was an admin in {where} already."
    return f"{email} is an admin in {where}, from their next sign-in on (or within the hour)."


@contextlib.contextmanager
def _app(project: str | None) -> Iterator[Any]:
    """The Admin SDK's app, on the emulator or on Google. Raises Problem."""
    import firebase_admin

    if project is None:
        state = running.find(ROOT)
        if state is None:
            raise Problem(
                "No ./scripts/dev is up in this folder.",
                "Start it, or say which Firebase project is meant: --project ID",
            )
        for part, variable in EMULATORS.items():
            os.environ[variable] = state["addresses"][part]
    else:
        for variable in EMULATORS.values():  # a project that is named is never an emulator
            os.environ.pop(variable, None)
        # a person's credentials, unlike a service account's, do not say whose quota is used
        os.environ.setdefault("GOOGLE_CLOUD_QUOTA_PROJECT", project)
    options = {"projectId": project or PROJECT, "httpTimeout": TIMEOUT_S}
    app = firebase_admin.initialize_app(options=options, name="grant-admin")
    try:
        yield app
    finally:
        firebase_admin.delete_app(app)


if __name__ == "__main__":
    sys.exit(main())
