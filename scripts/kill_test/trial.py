"""One trial: rounds of killing, then reconciliation, then the audits."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from pathlib import Path
from typing import Final

from firerouter.app.bootstrap import App
from scripts.devtools.setup import say
from scripts.devtools.suite import Suite
from scripts.kill_test.conversation_audit import duplicates, read_conversations
from scripts.kill_test.ledger_audit import (
    LedgerAudit,
    charges_of,
    missing_files,
    requests_from,
)
from scripts.kill_test.plan import plan
from scripts.kill_test.rounds import KillRounds
from scripts.trials.findings import counts, report, usd
from scripts.trials.reconciliation import reconcile_all

SETTLES_WITHIN_S: Final = 1.0  # until OpenRouter's stand-in notices that its clients are gone
PROGRESS_EVERY: Final = 10  # rounds


async def run(suite: Suite, logs: Path, times: int, seed: int) -> int:
    """Run a trial against a started suite, in a project of its own.

    Returns:
        The exit status.
    """
    began = time.monotonic()

    def report_progress(count: int) -> None:
        if count % PROGRESS_EVERY == 0:
            say(f"{time.monotonic() - began:5.0f} s  {count} rounds")

    killer = KillRounds(suite, f"demo-kill-{secrets.token_hex(4)}", logs)
    await asyncio.to_thread(killer.prepare)
    rounds = plan(times, seed)
    await killer.run(rounds, report_progress)
    await asyncio.sleep(SETTLES_WITHIN_S)
    app = App({**suite.environment(), "GCLOUD_PROJECT": killer.project})
    before = await LedgerAudit.read(app.firestore)
    conversations_before = await read_conversations(app.firestore)
    summary = await reconcile_all(app)
    after = await LedgerAudit.read(app.firestore)
    conversations = await read_conversations(app.firestore)
    requests = await requests_from(suite, f"https://{killer.project}.web.app")
    charges = await charges_of(suite, after)
    took_s = time.monotonic() - began
    print(f"{killer.killed} instances killed (seed {seed}), {killer.calls} calls, {took_s:.0f} s")
    _describe(killer, before, after, summary)
    findings = after.findings(requests, charges)
    calls = [call for round_ in rounds for call in round_.calls]
    paths = conversations.file_paths()
    findings.check("missing messages", conversations.broken_links())
    findings.check("duplicated messages", duplicates(conversations))
    findings.check("missing questions", conversations.missing_questions(calls, after.entries))
    findings.check("missing answers", conversations.missing_answers(calls, before.entries))
    findings.check("saved text missing", conversations.missing_text(calls, before.saved_text))
    findings.check("paths abandoned", conversations.abandoned_paths(conversations_before))
    findings.check("missing files", await missing_files(suite, paths))
    messages = sum(len(conversation.messages) for conversation in conversations)
    count = len(list(conversations))
    print(f"{'conversations':<22}{count}, with {messages} messages, {len(paths)} files")
    print(f"{'OpenRouter':<22}{len(requests)} requests, charged {usd(sum(charges.values()))}")
    return report(findings)


def _describe(
    killer: KillRounds, before: LedgerAudit, after: LedgerAudit, summary: Counter[str]
) -> None:
    with_attempt = sum(bool(entry["attempts"]) for entry in before.running_entries)
    claimed = sum(bool(e.get("continues") and e["instance"]) for e in after.entries.values())
    ended = Counter(e["status"] for e in before.entries.values() if e["status"] != "running")
    costs: dict[bool, list[int]] = {True: [], False: []}  # by whether they are estimates
    for entry in after.entries.values():
        costs[bool(entry.get("costIsEstimate"))].append(entry.get("costNanoUsd", 0))
    estimates = f"{len(costs[True])} estimates {usd(sum(costs[True]))}"
    for what, text in (
        ("calls ended", counts(killer.outcomes)),
        ("  by another device", f"{killer.stopped} stopped"),
        ("generations", f"{len(after.entries)} admitted"),
        ("  ended by themselves", counts(ended)),
        ("  without a listener", f"{killer.queued} queued, {claimed} of them answered"),
        (
            "  left running",
            f"{len(before.running_entries)}, {with_attempt} of them with a recorded attempt, "
            f"{len(before.saved_text)} with saved text",
        ),
        ("reconciled", counts(summary)),
        ("the ledger", f"{usd(sum(costs[False]))}, and {estimates}"),
    ):
        print(f"{what:<22}{text}")
