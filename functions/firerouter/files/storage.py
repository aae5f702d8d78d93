"""The store of users' files in Cloud Storage. What lies where, `attachments` says.

    open   an address that takes exactly one file: this path, this type, this many bytes
    look   what is known of a file, without its content
    fetch  its content
    keep   for good, and store it first where it came with a call
    put    what a model made
    delete

A client uploads to the address itself, a resumable session of Cloud Storage's: so no bytes pass
through a callable, and no key that signs addresses is needed. Nothing can be written over: a path
that exists takes no second file.

What no conversation keeps is deleted by a rule of the bucket's, a week after the file's custom time
(docs/operations.md). `keep` moves that time beyond all weeks.

The library blocks, so it has threads of its own: the default ones also resolve names.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from google.api_core import exceptions

from .. import limits, log
from ..errors import StorageMissing, StorageUnavailable
from .file import File, is_inline, read

ResultT = TypeVar("ResultT")
KEPT_UNTIL_YEAR: Final = 9000  # beyond all weeks


class FileStorage:
    """Keeps them in one bucket. Make one an instance; it connects when first used."""

    def __init__(self, bucket: str, *, client: Callable[[], Any]) -> None:
        self._name = bucket
        self._client = client
        self._connecting = threading.Lock()
        self._bucket: Any = None
        self._threads = ThreadPoolExecutor(limits.STORAGE_THREADS, thread_name_prefix="storage")

    async def open(self, file: File, origin: str | None) -> str:
        """The address that takes the file. origin: of the web page that is going to upload it.

        Raises StorageMissing, StorageUnavailable.
        """

        def open_() -> str:
            blob = self._blob(file, datetime.now(UTC))
            return str(
                blob.create_resumable_upload_session(
                    content_type=file.content_type,
                    size=file.size,
                    origin=origin,
                    if_generation_match=0,
                    checksum=None,
                    **_within(),
                )
            )

        try:
            return await self._run(open_, limits.STORAGE_S)
        except exceptions.NotFound:
            log.error("storage_missing", bucket=self._name)
            raise StorageMissing from None

    async def look(self, path: str) -> File | None:
        """What lies there, without its content; None where nothing does. Raises
        StorageUnavailable."""

        def look() -> File | None:
            blob = self._connected().get_blob(path, **_within())
            if blob is None:
                return None
            name = (blob.metadata or {}).get("name")
            return File(path, str(blob.content_type), int(blob.size), name)

        try:
            return await self._run(look, limits.STORAGE_S)
        except exceptions.NotFound:
            return None

    async def fetch(self, file: File) -> File | None:
        """The file with its content; None where it is gone, or another than was looked at. Raises
        StorageUnavailable."""

        def fetch() -> File:
            blob = self._connected().blob(file.path)
            return read(file, blob.download_as_bytes(end=file.size, **_within()))

        try:
            found = await self._run(fetch, limits.STORAGE_READ_S)
        except exceptions.NotFound:
            return None
        return found if found.size == file.size else None

    async def keep(self, file: File) -> None:
        """Until somebody deletes it. Raises StorageMissing, StorageUnavailable."""

        def keep() -> None:
            blob = self._blob(file, datetime(KEPT_UNTIL_YEAR, 1, 1, tzinfo=UTC))
            if is_inline(file.path):
                blob.upload_from_string(
                    file.content,
                    content_type=file.content_type,
                    if_generation_match=0,
                    **_within(),
                )
            else:
                blob.patch(**_within())

        try:
            await self._run(keep, limits.STORAGE_S)
        except exceptions.PreconditionFailed:
            pass  # the same call came before
        except exceptions.NotFound:
            raise StorageUnavailable from None

    async def put(self, file: File) -> None:
        """Store it, for a week unless `keep` says more. Raises StorageMissing,
        StorageUnavailable."""

        def put() -> None:
            self._blob(file, datetime.now(UTC)).upload_from_string(
                file.content,
                content_type=file.content_type,
                if_generation_match=0,
                **_within(),
            )

        try:
            await self._run(put, limits.STORAGE_S)
        except exceptions.PreconditionFailed:
            pass  # its own first try, whose answer was lost
        except exceptions.NotFound:
            log.error("storage_missing", bucket=self._name)
            raise StorageMissing from None

    async def delete(self, paths: Iterable[str]) -> None:
        """What is gone already is no matter. Raises StorageUnavailable."""

        room = asyncio.Semaphore(limits.STORAGE_THREADS)  # the time of one that waits does not run

        async def delete(path: str) -> None:
            async with room:
                with suppress(exceptions.NotFound):
                    await self._run(
                        lambda: self._connected().delete_blob(path, **_within()), limits.STORAGE_S
                    )

        await asyncio.gather(*map(delete, paths))

    async def _run(self, work: Callable[[], ResultT], within_s: float) -> ResultT:
        """Raises NotFound, PreconditionFailed, StorageMissing, StorageUnavailable."""
        running = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            async with asyncio.timeout(within_s):
                return await running
        except (exceptions.NotFound, exceptions.PreconditionFailed, StorageMissing):
            raise
        except Exception as error:  # of the library, or of one of the four it is built on
            log.error("storage_unavailable", type=type(error).__name__)
            raise StorageUnavailable from None

    def _blob(self, file: File, custom_time: datetime) -> Any:
        blob = self._connected().blob(file.path)
        blob.custom_time = custom_time
        if file.name:
            blob.metadata = {"name": file.name}
        return blob

    def _connected(self) -> Any:
        with self._connecting:
            if not self._name:
                raise StorageMissing
            if self._bucket is None:
                self._bucket = self._client().bucket(self._name)
            return self._bucket


def _within() -> dict[str, Any]:
    """How often and how long each call is tried: all of ours may be repeated, for they read, or
    are guarded by what is there."""
    from google.cloud.storage.retry import DEFAULT_RETRY

    retry = DEFAULT_RETRY.with_timeout(limits.STORAGE_S).with_delay(initial=0.2, maximum=2.0)
    return {"timeout": limits.STORAGE_S, "retry": retry}
