"""Erases all data of one user: `erase_my_data`, and the script `./scripts/erase-user`.

    answers in progress are stopped
    users/{uid}/conversations, deleting       with messages, transcript, files and texts elsewhere
    responses/{hash}                          cached for the user
    generations/{id}, progress, asked         see `anonymous_usage`
    usage/{day}/users/{user}                  likewise: the sums stay, without the user
    quotas/{uid}/windows/{window}             those that no longer count
    users/{uid}/uploads, images               the user's other files in Cloud Storage
    users/{uid}                               the user's preferences

Two things stay, unless the app's owner wants them erased too (`forgets_limits`):

- the counters of this month and day, so that erasing does not restore a spent budget; they hold
  only numbers, and expire
- `limits/{uid}` and its audit entries: what admins set for the user, such as a block

Each step deletes what it finds, page by page, so a run that was cut off or ran out of time is
completed by the next one, and two at once do no harm. The user's account in Firebase Authentication
belongs to the app and is not touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from google.cloud.firestore import AsyncClient, AsyncCollectionReference, AsyncQuery, FieldFilter

from .. import log
from ..conversations import ConversationDeletion
from ..delivery import Progress, StopSignals
from ..errors import ConversationUnknown, LedgerUnavailable
from ..files import FileStorage, folder_of
from ..firestore import Batch, Conflict, Paths, commit, get, pages, query, translated
from ..ledger import LedgerStore, StoredEntry, Windows
from .anonymous_usage import AnonymousUsage, EndedEntry
from .limits import ReportLimits

UPLOADS = "uploads-"
CONCURRENT = "concurrent"
Step = Callable[[str], AsyncIterator[int]]


@dataclass(slots=True)
class Erased:
    """What a run erased.

    Attributes:
        counts: The number of documents or files, by kind.
        running: Answers that were stopped but have not ended: they are not erased.
        is_complete: Whether nothing is left; if not, another run continues.
    """

    counts: dict[str, int] = field(default_factory=dict)
    running: int = 0
    is_complete: bool = True


class Erasure:
    """Erases users. One per instance."""

    def __init__(
        self,
        firestore: AsyncClient,
        *,
        store: LedgerStore,
        usage: AnonymousUsage,
        stops: StopSignals,
        progress: Progress,
        conversations: ConversationDeletion,
        files: FileStorage,
        limits: ReportLimits,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._firestore = firestore
        self._paths = Paths(firestore)
        self._store = store
        self._usage = usage
        self._stops = stops
        self._progress = progress
        self._conversations = conversations
        self._files = files
        self._limits = limits
        self._now = now

    async def erase(self, uid: str, *, forgets_limits: bool = False) -> Erased:
        """Erase a user's data, as far as time allows. It can be called again.

        Args:
            uid: The user.
            forgets_limits: Whether to erase what admins set for the user as well, and all counters.

        Raises:
            LedgerUnavailable, HistoryUnavailable: Firestore did not answer.
            StorageUnavailable: Cloud Storage did not answer.
        """
        now = asyncio.get_running_loop().time
        until = now() + self._limits.erase_s
        erased = Erased()
        with translated(LedgerUnavailable, "not_erased"):
            try:
                async with asyncio.timeout_at(until + self._limits.erase_end_s):
                    await self._stop(uid)
                    for kind, step in self._steps(forgets_limits=forgets_limits).items():
                        erased.counts.setdefault(kind, 0)
                        async for count in step(uid):
                            erased.counts[kind] += count
                            if now() >= until:
                                raise TimeoutError
                    erased.running = len(await self._store.running_of(uid))
            except (TimeoutError, Conflict):  # Conflict: others keep changing the same documents
                erased.is_complete = False
        erased.is_complete = erased.is_complete and not erased.running
        log.info("user_erased", complete=erased.is_complete, **erased.counts)
        return erased

    def _steps(self, *, forgets_limits: bool) -> dict[str, Step]:
        steps: dict[str, Step] = {
            "conversations": self._erase_conversations,
            "cachedAnswers": self._erase_cached_answers,
            "generations": self._erase_generations,
            "usageDays": self._erase_usage,
            "quotaWindows": self._erase_all_windows if forgets_limits else self._erase_windows,
            "files": self._erase_files,
            "preferences": self._erase_preferences,
        }
        return steps | ({"limits": self._erase_limits} if forgets_limits else {})

    async def _stop(self, uid: str) -> None:
        """Stop the user's answers in progress, and wait briefly for them to end."""
        running = await self._store.running_of(uid)
        await asyncio.gather(*(self._stop_one(entry, uid) for entry in running))
        for _ in range(self._limits.erase_stop_looks):
            if not await self._store.running_of(uid):
                return
            await asyncio.sleep(self._limits.erase_stop_pause_s)

    async def _stop_one(self, entry: StoredEntry, uid: str) -> None:
        self._stops.stop_here(entry.id, uid)
        await self._stops.request(entry.id, uid)

    # -- the steps: each yields how many items it has just erased ----------------------------------

    async def _erase_conversations(self, uid: str) -> AsyncIterator[int]:
        for collection in (self._paths.conversations(uid), self._paths.deletions(uid)):
            while found := await query(collection.select([]).limit(self._limits.erase_batch)):
                for snapshot in found:
                    with suppress(ConversationUnknown):  # another run was faster
                        await self._conversations.delete(uid, snapshot.id)
                    yield 1

    def _erase_cached_answers(self, uid: str) -> AsyncIterator[int]:
        return self._delete_all(self._paths.responses().where(filter=FieldFilter("uid", "==", uid)))

    async def _erase_generations(self, uid: str) -> AsyncIterator[int]:
        async for page in self._usage.entries(uid):
            recent = self._now() - timedelta(days=self._limits.erase_progress_days)
            await asyncio.gather(
                *(
                    self._progress.erase(entry.id)
                    for entry in page
                    if entry.admitted_at is None or entry.admitted_at > recent
                )
            )
            yield await self._delete_entries(page)

    async def _delete_entries(self, page: Sequence[EndedEntry]) -> int:
        for _ in range(self._limits.erase_tries):
            if not page:
                return 0
            try:
                await self._usage.delete(page)
            except Conflict:  # an entry was counted or corrected at the same time
                page = await self._usage.reread(page)
            else:
                return len(page)
        raise Conflict("changed again and again")

    async def _erase_usage(self, uid: str) -> AsyncIterator[int]:
        async for rows in self._usage.rows(uid):
            for row in rows:
                await self._usage.fold(row)
            yield len(rows)

    async def _erase_windows(self, uid: str) -> AsyncIterator[int]:
        """Delete the counters that no longer count."""
        now = Windows(at=self._now())
        if count := await self._delete_windows(uid, {now.month, f"{UPLOADS}{now.at:%Y%m%d}"}):
            yield count

    async def _delete_windows(self, uid: str, counting: set[str]) -> int:
        """Delete all windows except these, and except the one that counts running answers."""
        if await self._store.running_of(uid):  # when they end, they move it
            counting |= {CONCURRENT}
        count = 0
        for snapshot in await query(self._paths.quota_windows(uid).select([])):
            if snapshot.id in counting:
                continue
            batch = Batch(self._firestore)
            batch.delete(snapshot.reference, version=snapshot.update_time)
            with suppress(Conflict):  # it has changed since, or another run was faster
                await commit(batch, self._limits.roll_commit_s)
                count += 1
        return count

    async def _erase_all_windows(self, uid: str) -> AsyncIterator[int]:
        if count := await self._delete_windows(uid, set()):
            yield count

    async def _erase_files(self, uid: str) -> AsyncIterator[int]:
        while files := await self._files.list(folder_of(uid), self._limits.erase_batch):
            await self._files.delete([file.path for file in files])
            yield len(files)

    async def _erase_preferences(self, uid: str) -> AsyncIterator[int]:
        if (await get(self._paths.user(uid), fields=[])).exists:
            batch = self._firestore.batch()
            batch.delete(self._paths.user(uid))
            await commit(batch, self._limits.roll_commit_s)
            yield 1

    async def _erase_limits(self, uid: str) -> AsyncIterator[int]:
        """Delete what admins set for the user, and remove the user's id from the audit entries."""
        reference = self._paths.user_limits(uid)
        names = [reference.path, f"users/{uid}"]
        changes = self._paths.audit().where(filter=FieldFilter("target", "in", names))
        async for page in pages(changes.select([]), self._limits.erase_batch):
            batch = self._firestore.batch()
            for snapshot in page:
                batch.update(snapshot.reference, {"target": "users/%erased", "note": None})
            await commit(batch, self._limits.roll_commit_s)
        if (await get(reference, fields=[])).exists:
            batch = self._firestore.batch()
            batch.delete(reference)
            await commit(batch, self._limits.roll_commit_s)
            yield 1

    async def _delete_all(
        self, found_by: AsyncQuery | AsyncCollectionReference
    ) -> AsyncIterator[int]:
        while found := await query(found_by.select([]).limit(self._limits.erase_batch)):
            batch = self._firestore.batch()
            for snapshot in found:
                batch.delete(snapshot.reference)
            await commit(batch, self._limits.roll_commit_s)
            yield len(found)
