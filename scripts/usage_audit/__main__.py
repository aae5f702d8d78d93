"""The command line: which project and days to read, and what to print for each day."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from scripts.devtools import target_project
from scripts.devtools.cli_errors import FAILED, Problem, exit_status

if TYPE_CHECKING:
    from google.cloud.firestore import AsyncClient

DAYS: Final = 7
DAYS_MAX: Final = 89  # by default, the ledger's entries are kept for 90
DIFFERENCES_MAX: Final = 20  # printed per day
NANO: Final = 1_000_000_000

EPILOG: Final = """\
examples:
  ./scripts/usage                              the totals of each day, in the running ./scripts/dev
  ./scripts/usage --check --project my-app     add up the ledger again, in a Firebase project

--check reads every ledger entry of these days: in a real project, each is a billed read. All is
read as of one moment, so the app may keep running. Entries that ended in the last few minutes may
not be counted yet; that is not a difference.
A project needs Google credentials: gcloud auth application-default login
exit status: 0 equal, or only printed, 1 something differs, 2 wrong arguments, 3 not set up.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(sys.argv[1:] if arguments is None else arguments)
    return exit_status(lambda: asyncio.run(run(options)))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./scripts/usage",
        description="Prints the totals of each day, and compares them with the ledger.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--check", action="store_true", help="add up the ledger again, and name what differs"
    )
    parser.add_argument(
        "--days",
        type=int,
        choices=range(1, DAYS_MAX + 1),
        default=DAYS,
        metavar="N",
        help=f"how many days, today (UTC) included (default: %(default)s, at most {DAYS_MAX})",
    )
    target_project.add_option(parser)
    return parser.parse_args(arguments)


async def run(options: argparse.Namespace) -> int:
    """Read the project, and return the exit status. Raises Problem."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.firestore import AsyncClient

    project = target_project.point_clients_at(options.project)
    try:
        firestore = AsyncClient(project=project)
        return await report(firestore, options.days, check=options.check)
    except GoogleAuthError:
        raise target_project.no_credentials() from None
    except GoogleAPIError as error:
        raise Problem(
            f"Firestore refused: {error}",
            "Your account needs the role Cloud Datastore Viewer in that project.",
        ) from None


async def report(firestore: AsyncClient, days: int, *, check: bool) -> int:
    """Print a line for each day. Return the exit status."""
    from scripts.usage_audit.recount import check_day, read_day
    from scripts.usage_audit.usage_documents import UsageDocuments

    documents = await UsageDocuments.of(firestore)
    entry_days, now, status = await documents.entry_days(), datetime.now(UTC), 0
    for day in days_until(now, days):
        expired = check and day < days_until(now, max(1, entry_days - 1))[0]
        count = await (check_day if check and not expired else read_day)(documents, day)
        line = f"{day}  {count.requests:>9,}  {dollars(count.nano_usd):>16}"
        if expired:
            line += f": not checked, entries are kept for {entry_days} days"
        elif check:
            waiting = f", {count.waiting:,} more wait" if count.waiting else ""
            line += f"{waiting}: {verdict(count.differences)}"
        print(line, flush=True)
        for difference in count.differences[:DIFFERENCES_MAX]:
            print(f"    {difference}")
        status = FAILED if count.differences else status
    return status


def days_until(now: datetime, count: int) -> list[str]:
    """Return the last `count` days, oldest first."""
    return [f"{now - timedelta(days=back):%Y%m%d}" for back in range(count - 1, -1, -1)]


def verdict(differences: Sequence[str]) -> str:
    if not differences:
        return "equal to the ledger"
    return f"{len(differences):,} differ" if len(differences) > 1 else "1 differs"


def dollars(nano_usd: int) -> str:
    """Return an amount to the billionth of a dollar."""
    whole, part = divmod(nano_usd, NANO)
    return f"${whole:,}.{part:09}"


if __name__ == "__main__":
    sys.exit(main())
