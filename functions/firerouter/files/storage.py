"""Stores users' files in Cloud Storage. `file` documents the paths.

    open    returns a URL that accepts exactly one file: this path, this type, this many bytes
    look    returns a file's metadata, without its content
    fetch   returns its content
    keep    keeps it until it is deleted; a file that was sent with a call is stored first
    put     stores an image that a model generated
    delete  deletes files
    list    returns the files whose paths begin alike

A client uploads to that URL directly. It is a resumable upload session of Cloud Storage, so no
bytes pass through a callable, and no key for signing URLs is needed. Nothing can be overwritten: a
path that exists accepts no second file.

Files that belong to no conversation are deleted by a lifecycle rule of the bucket, a week after
their custom time (docs/operations.md). `keep` moves that time into the far future.

The library blocks, so it has its own threads: the default ones also resolve host names.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Final, Protocol, TypedDict, TypeVar, Unpack

from google.api_core import exceptions

from .. import log
from ..errors import StorageMissing, StorageUnavailable
from .file import File, is_inline
from .limits import FileLimits

ResultT = TypeVar("ResultT")
KEPT_UNTIL: Final = (9000, 1, 1)  # far beyond any lifecycle rule


class Deadlines(TypedDict):
    """The timeout of each call, and how the library retries it."""

    timeout: float
    retry: object


class Blob(Protocol):
    """The used part of the library's Blob: the library has no types."""

    custom_time: datetime
    name: str
    metadata: Mapping[str, str] | None
    content_type: str
    size: int

    def create_resumable_upload_session(
        self,
        *,
        content_type: str,
        size: int,
        origin: str | None,
        if_generation_match: int,
        checksum: None,
        **within: Unpack[Deadlines],
    ) -> str: ...
    def upload_from_string(
        self,
        data: bytes,
        *,
        content_type: str,
        if_generation_match: int,
        **within: Unpack[Deadlines],
    ) -> None: ...
    def download_as_bytes(self, *, end: int, **within: Unpack[Deadlines]) -> bytes: ...
    def patch(self, **within: Unpack[Deadlines]) -> None: ...


class Bucket(Protocol):
    """The used part of the library's Bucket."""

    def blob(self, path: str) -> Blob: ...
    def get_blob(self, path: str, **within: Unpack[Deadlines]) -> Blob | None: ...
    def delete_blob(self, path: str, **within: Unpack[Deadlines]) -> None: ...
    def list_blobs(
        self,
        *,
        prefix: str,
        start_offset: str | None,
        max_results: int,
        **within: Unpack[Deadlines],
    ) -> Iterable[Blob]: ...


class StorageClient(Protocol):
    """The used part of the library's Client."""

    def bucket(self, name: str) -> Bucket: ...


class FileStorage:
    """Stores files in one bucket. One per instance; it connects when first used."""

    def __init__(
        self,
        bucket: str,
        *,
        client: Callable[[], StorageClient],
        limits: FileLimits,
    ) -> None:
        self._name = bucket
        self._client = client
        self._limits = limits
        self._connecting = threading.Lock()
        self._bucket: Bucket | None = None
        self._threads = ThreadPoolExecutor(limits.storage_threads, thread_name_prefix="storage")

    async def open(self, file: File, origin: str | None) -> str:
        """Return the URL that accepts the file.

        Args:
            file: The file that will be uploaded.
            origin: The origin of the web page that uploads it, if any.

        Raises:
            StorageMissing: The app has no bucket.
            StorageUnavailable: Cloud Storage did not answer.
        """

        def open_() -> str:
            return self._blob(file, datetime.now(UTC)).create_resumable_upload_session(
                content_type=file.content_type,
                size=file.size,
                origin=origin,
                if_generation_match=0,
                checksum=None,
                **self._within(),
            )

        with self._bucket_must_exist():
            return str(await self._run(open_, self._limits.storage_s))

    async def look(self, path: str) -> File | None:
        """Return a file without its content; None if there is no such file.

        Raises:
            StorageUnavailable: Cloud Storage did not answer.
        """

        def look() -> File | None:
            blob = self._connected().get_blob(path, **self._within())
            if blob is None:
                return None
            return _file(blob)

        try:
            return await self._run(look, self._limits.storage_s)
        except exceptions.NotFound:
            return None

    async def fetch(self, file: File) -> File | None:
        """Return the file with its content; None if it is gone or its size has changed.

        Raises:
            StorageUnavailable: Cloud Storage did not answer.
        """

        def fetch() -> File:
            blob = self._connected().blob(file.path)
            return file.with_content(blob.download_as_bytes(end=file.size, **self._within()))

        try:
            found = await self._run(fetch, self._limits.storage_read_s)
        except exceptions.NotFound:
            return None
        return found if found.size == file.size else None

    async def keep(self, file: File) -> None:
        """Keep a file until it is deleted explicitly.

        Raises:
            StorageMissing: The app has no bucket.
            StorageUnavailable: Cloud Storage did not answer, or the file is gone.
        """

        def keep() -> None:
            blob = self._blob(file, datetime(*KEPT_UNTIL, tzinfo=UTC))
            if is_inline(file.path):
                self._upload(blob, file)
            else:
                blob.patch(**self._within())

        try:
            with suppress(exceptions.PreconditionFailed):  # a repeated call has stored it already
                await self._run(keep, self._limits.storage_s)
        except exceptions.NotFound:
            raise StorageUnavailable from None

    async def put(self, file: File) -> None:
        """Store a file for a week, unless `keep` extends that.

        Raises:
            StorageMissing: The app has no bucket.
            StorageUnavailable: Cloud Storage did not answer.
        """

        def put() -> None:
            self._upload(self._blob(file, datetime.now(UTC)), file)

        # the path exists if the first attempt was applied but its response was lost
        with self._bucket_must_exist(), suppress(exceptions.PreconditionFailed):
            await self._run(put, self._limits.storage_s)

    async def delete(self, paths: Iterable[str]) -> None:
        """Delete files. It doesn't matter if some are gone already.

        Raises:
            StorageUnavailable: Cloud Storage did not answer.
        """
        # so that the timeout does not run while a deletion waits for a thread
        at_once = asyncio.Semaphore(self._limits.storage_threads)

        async def delete(path: str) -> None:
            async with at_once:
                with suppress(exceptions.NotFound):
                    await self._run(
                        lambda: self._connected().delete_blob(path, **self._within()),
                        self._limits.storage_s,
                    )

        await asyncio.gather(*map(delete, paths))

    async def list(self, prefix: str, limit: int, after: str = "") -> Sequence[File]:
        """Return files without their content, in the order of their paths; none without a bucket.

        Args:
            prefix: What their paths begin with.
            limit: How many to return at most.
            after: The path behind which to begin.

        Raises:
            StorageUnavailable: Cloud Storage did not answer.
        """

        def list_() -> Sequence[File]:
            found = self._connected().list_blobs(
                prefix=prefix, start_offset=after or None, max_results=limit + 1, **self._within()
            )
            blobs = sorted(found, key=lambda blob: blob.name)
            return [_file(blob) for blob in blobs if blob.name > after][:limit]

        try:
            return await self._run(list_, self._limits.storage_read_s)
        except (exceptions.NotFound, StorageMissing):
            return ()

    def _upload(self, blob: Blob, file: File) -> None:
        blob.upload_from_string(
            file.content,
            content_type=file.content_type,
            if_generation_match=0,
            **self._within(),
        )

    @contextmanager
    def _bucket_must_exist(self) -> Iterator[None]:
        try:
            yield
        except exceptions.NotFound:
            log.error("storage_missing", bucket=self._name)
            raise StorageMissing from None

    async def _run(self, work: Callable[[], ResultT], within_s: float) -> ResultT:
        """Run `work` in one of our threads.

        Raises:
            NotFound, PreconditionFailed, StorageMissing: If `work` raises them.
            StorageUnavailable: `work` raised anything else, or took longer than `within_s`.
        """
        running = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            async with asyncio.timeout(within_s):
                return await running
        except (exceptions.NotFound, exceptions.PreconditionFailed, StorageMissing):
            raise
        except Exception as error:  # of the library, or of a library below it
            log.error("storage_unavailable", type=type(error).__name__)
            raise StorageUnavailable from None

    def _blob(self, file: File, custom_time: datetime) -> Blob:
        blob = self._connected().blob(file.path)
        blob.custom_time = custom_time
        if file.name:
            blob.metadata = {"name": file.name}
        return blob

    def _connected(self) -> Bucket:
        with self._connecting:
            if not self._name:
                raise StorageMissing
            if self._bucket is None:
                self._bucket = self._client().bucket(self._name)
            return self._bucket

    def _within(self) -> Deadlines:
        """Let the library retry all of our calls: they read, or are idempotent."""
        from google.cloud.storage.retry import DEFAULT_RETRY

        timeout_s = self._limits.storage_s
        retry = DEFAULT_RETRY.with_timeout(timeout_s).with_delay(initial=0.2, maximum=2.0)
        return {"timeout": timeout_s, "retry": retry}


def _file(blob: Blob) -> File:
    """Return a file as Cloud Storage describes it, without its content."""
    name = (blob.metadata or {}).get("name")
    return File(blob.name, str(blob.content_type), int(blob.size), name)
