"""Reconciles a project, with the clock moved past every deadline."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Final

from google.cloud.firestore import AsyncClient

from firerouter.app.bootstrap import App
from firerouter.errors import LedgerUnavailable
from firerouter.generation.limits import GenerationLimits
from firerouter.generation.reconciler import Reconciler
from firerouter.ledger import LedgerStore

STEP: Final = timedelta(minutes=6)  # past every deadline, by the reconciler's clock
RECONCILIATIONS_MAX: Final = 10


async def reconcile_all(app: App, *, runs_max: int = RECONCILIATIONS_MAX) -> Counter[str]:
    """Reconcile until nothing is left to do, with two reconcilers at once each time.

    Returns:
        How many entries were `closed`, `costed` and `givenUp`.
    """
    ahead = STEP
    summary: Counter[str] = Counter()
    for _ in range(runs_max):
        try:
            done = await reconcile_twice(app, ahead)
        except LedgerUnavailable:  # a busy emulator: as deployed, the schedule comes again
            continue
        summary.update(done)
        if not done["waiting"]:
            break
        ahead += STEP
    del summary["waiting"]
    await app.openrouter.close()
    return summary


async def reconcile_twice(app: App, ahead: timedelta = timedelta()) -> Counter[str]:
    """Run two reconcilers at once, their clocks moved ahead. Return what they did together."""

    def reconciler(firestore: AsyncClient) -> Reconciler:
        return Reconciler(
            store=LedgerStore(firestore),
            progress=app.delivery.progress,
            conversations=app.conversations.store,
            keys=app.keys.pool,
            openrouter=app.openrouter,
            find_file=app.files.storage.look,
            limits=GenerationLimits(),
            now=lambda: datetime.now(UTC) + ahead,
        )

    pair = [reconciler(app.firestore).run() for _ in range(2)]
    with contextlib.redirect_stdout(io.StringIO()):  # its log lines are for Cloud Logging
        done = await asyncio.gather(*pair)
    return sum((Counter(one) for one in done), Counter())
