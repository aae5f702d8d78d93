"""`./scripts/erase-user`: what `erase_my_data` does for its caller, done by the app's owner.

    stop running answers -> erase, run by run, until nothing is left -> the account, with --account

It runs the functions' own code in this process, with the owner's credentials. It writes no audit
entry, because that would name the user again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from scripts.devtools import target_project
from scripts.devtools.cli_errors import FAILED, Problem, exit_status
from scripts.devtools.suite import BUCKET

RUNS_MAX: Final = 100  # each takes minutes, and erases tens of thousands of documents

EPILOG: Final = """\
examples:
  ./scripts/erase-user UID                     in the running ./scripts/dev
  ./scripts/erase-user UID --project my-app --bucket my-app.firebasestorage.app
  ./scripts/erase-user UID --project my-app --no-bucket --account

This cannot be undone. Conversations, files, ledger entries, cached answers and preferences are
deleted; what was spent stays in the sums of reports, without the user. You can run it again at any
time, also after an interruption. If nothing is left, it prints zeros.
A project needs Google credentials: gcloud auth application-default login
exit status: 0 erased, 1 something is left, 2 wrong arguments, 3 not set up.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(sys.argv[1:] if arguments is None else arguments)
    return exit_status(lambda: asyncio.run(run(options)))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./scripts/erase-user",
        description="Erases all data of one user.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("uid", metavar="UID", help="the user's id in Firebase Authentication")
    parser.add_argument(
        "--forget-limits",
        action="store_true",
        help="also erase what admins set for the user, such as a block, and this month's counters",
    )
    parser.add_argument(
        "--account", action="store_true", help="also delete the account in Firebase Authentication"
    )
    target_project.add_option(parser)
    bucket = parser.add_mutually_exclusive_group()
    bucket.add_argument(
        "--bucket", metavar="NAME", help="the project's default bucket in Cloud Storage"
    )
    bucket.add_argument(
        "--no-bucket", action="store_true", help="the project has no files in Cloud Storage"
    )
    options = parser.parse_args(arguments)
    if options.project and not (options.bucket or options.no_bucket):
        parser.error("--project needs --bucket NAME, where the user's files are, or --no-bucket")
    return options


async def run(options: argparse.Namespace) -> int:
    """Erase the user, print what was erased, and return the exit status. Raises Problem."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    from firerouter.callable import CallableError

    environ = environment(options)
    try:
        return await erase(options, environ)
    except GoogleAuthError:
        raise target_project.no_credentials() from None
    except (GoogleAPIError, CallableError) as error:
        raise Problem(
            f"Not everything was erased: {error}",
            "Your account needs the roles Cloud Datastore User and Storage Object Admin in that "
            "project. Then run this again: it continues where it stopped.",
        ) from None


async def erase(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Erase the user with the functions' own code, in as many runs as it takes."""
    from firerouter.app.bootstrap import App

    app = App(environ)
    if not options.no_bucket:
        await asyncio.to_thread(check_bucket, app)
    counts: Counter[str] = Counter()
    for _ in range(RUNS_MAX):
        with contextlib.redirect_stdout(io.StringIO()):  # the functions log for Cloud Logging
            erased = await app.reports.erasure.erase(
                options.uid, forgets_limits=options.forget_limits
            )
        counts.update(erased.counts)
        if erased.is_complete or erased.running:
            break
    await app.delivery.stops.close()
    for kind, count in counts.items():
        print(f"{count:>9,}  {kind}")
    if erased.running:
        print(
            f"{erased.running} answers have not ended. The reconciler closes them within ten "
            "minutes: then run this again.",
            file=sys.stderr,
        )
    if not counts.total() and "@" in options.uid:
        print(
            f"Nothing is stored for the UID {options.uid}, which looks like an email address. The "
            "callable list_users, with the address as search, finds the UID.",
            file=sys.stderr,
        )
        return FAILED
    if not erased.is_complete:
        return FAILED
    if options.account:
        print(f"{await asyncio.to_thread(delete_account, app, options.uid):>9,}  account")
    return 0


def check_bucket(app: Any) -> None:
    """Raise Problem if the bucket does not exist, because the user's files would be left."""
    from google.api_core.exceptions import NotFound

    from firerouter.app import clients

    name = app.environment.storage_bucket
    try:
        next(iter(clients.storage(app.environment).list_blobs(name, max_results=1)), None)
    except NotFound:
        raise Problem(
            f"There is no bucket {name}.",
            "Find its name in the Firebase console, under Storage. If there is none: --no-bucket",
        ) from None


def delete_account(app: Any, uid: str) -> int:
    """Delete the account. Return how many were deleted: 1, or 0 if there was none."""
    from firebase_admin import auth

    from firerouter.app import clients

    try:
        auth.delete_user(uid, app=clients.firebase_app(app.environment))
    except auth.UserNotFoundError:
        return 0
    return 1


def environment(options: argparse.Namespace) -> dict[str, str]:
    """Return the environment of the functions, in the emulators or at Google. Raises Problem."""
    project = target_project.point_clients_at(options.project)
    local = options.project is None
    config = json.dumps({"storageBucket": BUCKET if local else options.bucket or ""})
    environ = {"GCLOUD_PROJECT": project, "FIREBASE_CONFIG": config}
    if local:
        environ["FUNCTIONS_EMULATOR"] = "true"
        environ |= {name: os.environ[name] for name in target_project.EMULATORS.values()}
    return environ


if __name__ == "__main__":
    sys.exit(main())
