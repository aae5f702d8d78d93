"""The command line: start what is needed, kill, reconcile, add up, say what was found."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import os
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from google.cloud.firestore import AsyncClient

from firerouter.app.bootstrap import App
from firerouter.generation.reconciler import Reconciler
from firerouter.ledger.store import LedgerStore as Store
from scripts.devtools import ROOT, processes
from scripts.devtools.cli_errors import FAILED, INTERRUPTED, NOT_SET_UP, Problem
from scripts.devtools.suite import Suite
from scripts.kill_test.conversation_audit import doubled, read_talks
from scripts.kill_test.ledger_audit import (
    NANO,
    Books,
    Findings,
    asked_of,
    charged_by,
    files_lost,
)
from scripts.kill_test.plan import plan
from scripts.kill_test.rounds import Killing

TIMES: Final = 20
AHEAD: Final = timedelta(minutes=6)  # past every deadline, by the reconciler's clock
RUNS_MAX: Final = 10
SETTLED_S: Final = 1.0  # OpenRouter's stand-in notices that its clients are gone

EPILOG = """\
Each time an instance of execute_prompt is served, called by several users at once (free and paid
models, streamed and not, some hanging up, some stopped from another device, some sending the same
request again, some asking for an answer again, some with a file) and killed with SIGKILL at a
random moment; where an answer needs no listener, so is one of continuation, before or after it.
Then reconcile_generations runs, twice at once, with its clock moved past every deadline, and
everything is added up.
exit status: 0 all adds up, 1 it does not, 2 wrong arguments, 3 nothing to do it with.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(processes.ending_on_signals())
            logs = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            suite = Suite(ROOT, "kill-test", ports=Suite.free_ports(ROOT), say=_say)
            stack.enter_context(suite)
            stack.enter_context(_environment(FIRESTORE_EMULATOR_HOST=suite.firestore_host))
            return asyncio.run(run(suite, logs, options.times, seed))
    except Problem as problem:
        _say(str(problem))
        return NOT_SET_UP
    except KeyboardInterrupt:
        return INTERRUPTED


async def run(suite: Suite, logs: Path, times: int, seed: int) -> int:
    """All of it against a suite that runs, in a project of its own. The exit status."""
    begun = time.monotonic()

    def said(count: int) -> None:
        if count % 10 == 0:
            _say(f"{time.monotonic() - begun:5.0f} s  {count} rounds")

    killing = Killing(suite, f"demo-kill-{secrets.token_hex(4)}", logs)
    await asyncio.to_thread(killing.prepare)
    rounds = plan(times, seed)
    await killing.run(rounds, said)
    await asyncio.sleep(SETTLED_S)
    app = App({**suite.environment(), "GCLOUD_PROJECT": killing.project})
    before, talked = await Books.read(app.firestore), await read_talks(app.firestore)
    summary = await _reconcile(app)
    after, talks = await Books.read(app.firestore), await read_talks(app.firestore)
    asked = await asked_of(suite, f"https://{killing.project}.web.app")
    charged = await charged_by(suite, after)
    took_s = time.monotonic() - begun
    print(f"{killing.killed} instances killed (seed {seed}), {killing.calls} calls, {took_s:.0f} s")
    _describe(killing, before, after, summary)
    findings = after.findings(asked, charged)
    calls = [call for round_ in rounds for call in round_.calls]
    findings.check("messages lost", talks.lost())
    findings.check("messages doubled", doubled(talks))
    findings.check("questions lost", talks.questions_lost(calls, after.entries))
    findings.check("answers lost", talks.answers_lost(calls, before.entries))
    findings.check("texts lost that were kept", talks.texts_lost(calls, before.written))
    findings.check("paths taken back", talks.paths_lost(talked))
    findings.check("files lost", await files_lost(suite, talks.files()))
    written = sum(len(talk.messages) for talk in talks)
    count = len(list(talks))
    print(f"{'conversations':<22}{count}, with {written} messages, {len(talks.files())} files")
    print(f"{'OpenRouter':<22}asked {len(asked)} times, charged {_usd(sum(charged.values()))}")
    return _judge(findings)


async def _reconcile(app: App) -> Counter[str]:
    """As often as there is something to do; the first time two run at once."""
    ahead = AHEAD
    summary: Counter[str] = Counter()

    def reconciler(firestore: AsyncClient) -> Reconciler:
        return Reconciler(
            books=Store(firestore),
            progress=app.delivery.progress,
            conversations=app.conversations.store,
            keys=app.keys.pool,
            openrouter=app.openrouter,
            look=app.files.storage.look,
            now=lambda: datetime.now(UTC) + ahead,
        )

    for _ in range(RUNS_MAX):
        pair = [reconciler(app.firestore).run() for _ in range(2)]
        with contextlib.redirect_stdout(io.StringIO()):  # its log lines are for Cloud Logging
            done = await asyncio.gather(*pair)
        for one in done:
            summary.update({name: one[name] for name in ("closed", "costed", "givenUp")})
        if not any(one["waiting"] for one in done):
            break
        ahead += AHEAD
    await app.openrouter.close()
    return summary


def _describe(killing: Killing, before: Books, after: Books, summary: Counter[str]) -> None:
    noted = sum(bool(entry["attempts"]) for entry in before.running)
    claimed = sum(bool(e.get("continues") and e["instance"]) for e in after.entries.values())
    ended = Counter(e["status"] for e in before.entries.values() if e["status"] != "running")
    costs: dict[bool, list[int]] = {True: [], False: []}  # by whether they are estimates
    for entry in after.entries.values():
        costs[bool(entry.get("costIsEstimate"))].append(entry.get("costNanoUsd", 0))
    estimates = f"{len(costs[True])} estimates {_usd(sum(costs[True]))}"
    for what, text in (
        ("what callers saw", _counts(killing.ends)),
        ("  from another device", f"{killing.stopped} stopped"),
        ("generations", f"{len(after.entries)} admitted"),
        ("  ended by themselves", _counts(ended)),
        ("  need no listener", f"{killing.queued} queued, {claimed} of them answered"),
        (
            "  left running",
            f"{len(before.running)}, {noted} of them with an attempt noted, "
            f"{len(before.written)} with a text",
        ),
        ("reconciled", _counts(summary)),
        ("the books", f"{_usd(sum(costs[False]))}, and {estimates}"),
    ):
        print(f"{what:<22}{text}")


def _usd(nano_usd: int) -> str:
    return f"${nano_usd / NANO:.6f}"


def _judge(findings: Findings) -> int:
    for name, wrong in findings.wrong.items():
        print(f"{len(wrong):>4}  {name}")
        for line in wrong[:5]:
            print(f"        {line}")
    print("All of it adds up." if not findings.count else "It does not add up.")
    return FAILED if findings.count else 0


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counter.items())) or "none"


@contextlib.contextmanager
def _environment(**values: str) -> Iterator[None]:
    before: dict[str, Any] = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _say(line: str) -> None:
    """Progress goes to stderr: stdout is for what was found."""
    print(line, file=sys.stderr, flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./scripts/kill-test",
        description="Kills instances at random moments, reconciles, and adds everything up.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--times", type=_times, default=TIMES, help="how many rounds (%(default)s)")
    parser.add_argument("--seed", type=int, help="of the plan, to make the same one again")
    return parser.parse_args(arguments)


def _times(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 400:  # what the stand-in remembers, and the places of one user
        raise argparse.ArgumentTypeError("from 1 to 400")
    return number


if __name__ == "__main__":
    sys.exit(main())
