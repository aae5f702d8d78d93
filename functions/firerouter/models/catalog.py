"""The catalog: every model that OpenRouter offers, stored to survive outages of OpenRouter.

    memory (minutes) -> catalog/head and its shards (for a day) -> GET /models, /images/models

    catalog/head      {format, generation, count, fetchedAt, shards: [{id, sha256}]}
    catalog/{shard}   {generation, models: a piece of the list's JSON text}

The list is stored as text and not as nested maps: reading one value takes a twentieth of the time,
and uses none of a document's 40,000 index entries. A new list is first written to shards with new
names; then `head` is pointed at them, in a commit guarded by its version, so every reader sees one
complete list or the other. Then the older shards are deleted. The generation grows only when a list
differs from the one before it.

A list that is empty, unreadable or less than half as long as the one before it is refused: the old
one stays in use, and its age is reported. If OpenRouter really halves what it offers, delete
`catalog/head`: then the next list is accepted as the first one.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol
from urllib.parse import parse_qsl, urlsplit

from google.cloud.firestore import AsyncClient, AsyncDocumentReference, FieldFilter

from .. import log
from ..cache import Cached
from ..callable import CallableError
from ..errors import (
    CatalogIncomplete,
    CatalogUnavailable,
    KeyInvalid,
    UpstreamMalformed,
    UpstreamRejected,
    UpstreamTimeout,
)
from ..firestore import (
    Conflict,
    FirestoreError,
    Paths,
    commit,
    content,
    cut,
    get,
    get_all,
    put,
    query,
    translated,
)
from ..keys import KeySource, Secret
from .limits import CatalogLimits
from .model import (
    Model,
    ModelList,
    Resolved,
    dump_models,
    load_models,
    read_image_parameters,
    read_models,
)

FORMAT: Final = 6  # of the documents; a list in another format is fetched again
ALL_MODELS: Final = {"output_modalities": "all"}  # without it, only text models are listed


Models = tuple[Model, ...]


class Upstream(Protocol):
    """OpenRouter, as far as the catalog needs it."""

    async def get(
        self, path: str, key: Secret | None, timeout_s: float, *, query: dict[str, str]
    ) -> object: ...


@dataclass(frozen=True, slots=True)
class Shard:
    """A piece of the stored list: its document's ID, and the hash of its text."""

    id: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Head:
    """`catalog/head` as it was read.

    Attributes:
        version: Its update time; None if there is no document.
        fetched_at: When OpenRouter sent the list; None if there is no list that can be read.
    """

    version: datetime | None = None
    generation: int = 0
    fetched_at: datetime | None = None
    shards: tuple[Shard, ...] = ()


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The list after a refresh, and the IDs that were added to it or removed from it."""

    models: ModelList
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class Catalog:
    """Serves the list. One per instance; nothing is read before the first call.

    Args:
        firestore: Where the list is stored.
        openrouter: Creates the client, whose import alone takes longer than reading the list.
        keys: OpenRouter lists more models with a key, but requires none.
        now: The clock.
        limits: Deadlines, ages and sizes.
    """

    def __init__(
        self,
        firestore: AsyncClient,
        *,
        openrouter: Callable[[], Upstream],
        keys: KeySource,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        limits: CatalogLimits = CatalogLimits(),
    ) -> None:
        self._firestore = firestore
        self._documents = Paths(firestore).catalog()
        self._openrouter = openrouter
        self._keys = keys
        self._now = now
        self._limits = limits
        self._served: Cached[ModelList] = Cached(
            self._load, fresh_s=limits.fresh_s, stale_s=limits.stale_s
        )
        # caches nothing: it only lets concurrent refreshes share one fetch
        self._fetched: Cached[Refreshed] = Cached(self._renew, fresh_s=0, stale_s=0)
        self._looked_again_at: datetime | None = None
        self._fetch_again_at = datetime.min.replace(tzinfo=UTC)  # for callers
        self._last: ModelList | None = None
        self._last_shards: tuple[Shard, ...] = ()  # what `_last_models` were read from
        self._last_models: Models = ()

    async def get(self, *ids: str) -> ModelList:
        """Return the list.

        Where there is none, or only one that is too old, it is fetched. Callers wait for that for a
        few seconds, and once a minute at most: they can do with an old list, or without one.

        Args:
            ids: Models that it is needed for. If it lacks one of them, another instance may have
                fetched a newer list a moment ago: it is looked for, once in a while.

        Raises:
            CatalogUnavailable, UpstreamError: There never was one.
        """
        models, now = await self._served.get(), self._now()
        if not any(models.resolve(id_).is_unknown for id_ in ids):
            return models
        last = self._looked_again_at
        if last is not None and (now - last).total_seconds() < self._limits.look_again_s:
            return models
        self._looked_again_at = now
        return await self._served.renew()

    async def resolve(self, id_: str) -> Resolved:
        """Return what an ID means, like `ModelList.resolve`. Raises what `get` raises."""
        return (await self.get(id_)).resolve(id_)

    def age_seconds(self, models: ModelList) -> int:
        """Return how many seconds ago OpenRouter sent a list."""
        return max(0, round((self._now() - models.fetched_at).total_seconds()))

    def is_stale(self, models: ModelList) -> bool:
        """Return whether a list is too old: OpenRouter was unavailable, or its list was refused."""
        return self.age_seconds(models) > self._limits.old_s

    async def refresh(self) -> Refreshed:
        """Fetch OpenRouter's list now; concurrent callers share one fetch.

        Raises UpstreamError, CatalogIncomplete, CatalogUnavailable: the old list stays in use.
        """
        return await self._fetched.renew()

    # -- reading -------------------------------------------------------------------------------

    async def _load(self) -> ModelList:
        with translated(CatalogUnavailable, "catalog_unavailable"):
            try:
                stored = await self._read_list(await self._read_head())
            except FirestoreError as error:
                if self._last is None:
                    raise
                log.warning("catalog_unavailable", type=error.cause)
                return self._last
        if stored is not None:
            self._last = stored
            if not self.is_stale(stored):
                return stored
        try:
            return await self._fetch_for_callers()
        except CallableError as error:
            if self._last is None:
                raise
            log.warning("catalog_stale", age_s=self.age_seconds(self._last), reason=error.reason)
            return self._last

    async def _fetch_for_callers(self) -> ModelList:
        """Fetch the list, which goes on after its callers have stopped waiting.

        Raises:
            CatalogUnavailable: It takes too long, or could not be fetched a short while ago.
            UpstreamError, CatalogIncomplete: It can't be fetched.
        """
        if self._now() < self._fetch_again_at:
            raise CatalogUnavailable
        self._fetch_again_at = self._now() + timedelta(seconds=self._limits.fetch_again_s)
        try:
            async with asyncio.timeout(self._limits.callers_wait_s):
                models = (await self.refresh()).models
        except TimeoutError:
            log.warning("catalog_slow", wait_s=self._limits.callers_wait_s)
            raise CatalogUnavailable from None
        self._fetch_again_at = self._now()
        return models

    async def _read_head(self) -> Head:
        snapshot = await get(self._head(), within_s=self._limits.read_s)
        if not snapshot.exists:
            return Head()
        head = read_head(content(snapshot), snapshot.update_time)
        if head.fetched_at is None:
            log.error("catalog_unreadable", document="head")
        return head

    async def _read_list(self, head: Head) -> ModelList | None:
        """Return the list that a head refers to; None if there is none, or it can't be read."""
        if head.fetched_at is None:
            return None
        if not head.shards or head.shards != self._last_shards:
            try:
                models = await self._read_shards(head.shards)
            except ValueError:
                # edited in the console, or just deleted because there is a newer list
                newer = await self._read_head()
                if newer.shards != head.shards:
                    return await self._read_list(newer)
                log.error("catalog_unreadable", generation=head.generation)
                return None
            self._last_shards, self._last_models = head.shards, models
        return ModelList(head.generation, head.fetched_at, self._last_models)

    async def _read_shards(self, shards: Sequence[Shard]) -> Models:
        """Return the models in these shards. Raises ValueError if a text is not what was stored."""
        snapshots = await get_all(
            self._firestore,
            [self._documents.document(shard.id) for shard in shards],
            within_s=self._limits.read_s,
        )
        texts = []
        for shard, snapshot in zip(shards, snapshots, strict=True):
            text = content(snapshot).get("models")
            if not isinstance(text, str) or _digest(text) != shard.sha256:
                raise ValueError(shard.id)
            texts.append(text)
        return load_models("".join(texts))

    # -- fetching ------------------------------------------------------------------------------

    async def _renew(self) -> Refreshed:
        models, expected = await self._fetch()
        with translated(CatalogUnavailable, "catalog_not_stored"):
            head = await self._read_head()
            before = await self._read_list(head) or ModelList(head.generation, self._now(), ())
            expected = max(expected, len(before.models))
            if not models or 2 * len(models) < expected:
                log.error("catalog_refused", count=len(models), expected=expected)
                raise CatalogIncomplete(count=len(models), expected=expected)
            after = await self._store(models, head, before)
        self._last = after
        self._served.put(after)
        old, new = ({model.id for model in list_.models} for list_ in (before, after))
        log.info("catalog_refreshed", generation=after.generation, count=len(after.models))
        return Refreshed(after, tuple(sorted(new - old)), tuple(sorted(old - new)))

    async def _fetch(self) -> tuple[Models, int]:
        """Return the models, and how many OpenRouter says exist. Raises UpstreamError."""
        try:
            key = await self._keys.get()
        except CallableError:
            key = None  # the list is public
        try:
            async with asyncio.timeout(self._limits.fetch_s):
                try:
                    entries, total = await self._fetch_pages(key, ALL_MODELS)
                except UpstreamRejected:
                    log.warning("catalog_of_text_models_alone")
                    entries, total = await self._fetch_pages(key, {})
        except TimeoutError:
            raise UpstreamTimeout from None
        models, skipped = read_models(entries, self._limits)
        if skipped:
            log.warning("catalog_entries_skipped", count=skipped, of=len(entries))
        return await self._with_image_parameters(models, key), max(total, len(entries))

    async def _with_image_parameters(self, models: Models, key: Secret | None) -> Models:
        """Add the parameters of the image API; if they can't be fetched, those of the last list."""
        try:
            document = await self._fetch_document("/images/models", key, {})
        except CallableError as error:
            log.warning("image_parameters_unknown", reason=error.reason)
            before = self._last.models if self._last else ()
            parameters = {model.id: model.image_parameters for model in before}
        else:
            parameters = read_image_parameters(document, self._limits)
        return tuple(
            replace(model, image_parameters=parameters.get(model.id, ())) for model in models
        )

    async def _fetch_pages(
        self, key: Secret | None, query_: dict[str, str]
    ) -> tuple[list[object], int]:
        """Return the entries of all pages, and the total that OpenRouter reports."""
        entries: list[object] = []
        for _ in range(self._limits.pages_max):
            page = await self._fetch_document("/models", key, query_)
            data = page.get("data") if isinstance(page, dict) else None
            if not isinstance(page, dict) or not isinstance(data, list):
                raise UpstreamMalformed
            entries += data
            if len(entries) > self._limits.models_max:
                break
            links, total = page.get("links"), page.get("total_count")
            next_url = links.get("next") if isinstance(links, dict) else None
            if not isinstance(next_url, str):
                return entries, total if type(total) is int else 0
            # only its query: no response may direct us, and the key, to another host
            query_ = dict(parse_qsl(urlsplit(next_url).query))
        log.error("catalog_too_long", count=len(entries))
        raise UpstreamMalformed

    async def _fetch_document(
        self, path: str, key: Secret | None, query_: dict[str, str]
    ) -> object:
        openrouter, within_s = self._openrouter(), self._limits.fetch_s
        if key is not None:
            try:
                return await openrouter.get(path, key, within_s, query=query_)
            except KeyInvalid:
                pass  # the list is public
        return await openrouter.get(path, None, within_s, query=query_)

    # -- storing -------------------------------------------------------------------------------

    async def _store(self, models: Models, head: Head, before: ModelList) -> ModelList:
        """Store the list if it has changed, and the time of the fetch in any case.

        If another instance has stored a list in the meantime, return that list.
        """
        fetched_at = self._now()
        if models == before.models:
            generation, shards = head.generation, head.shards
        else:
            seen = self._last.generation if self._last else 0
            generation = max(head.generation, seen) + 1
            shards = await self._write_shards(models, generation)
        document = {
            "format": FORMAT,
            "generation": generation,
            "count": len(models),
            "fetchedAt": fetched_at,
            "shards": [{"id": shard.id, "sha256": shard.sha256} for shard in shards],
        }
        try:
            await self._write_head(document, head)
        except Conflict:
            stored = await self._read_list(await self._read_head())
            if stored is None:
                raise CatalogUnavailable from None
            return stored  # our shards are deleted once that list is replaced
        self._last_shards, self._last_models = shards, models
        if shards != head.shards:
            await self._delete_shards_before(generation)
        return ModelList(generation, fetched_at, models)

    async def _write_head(self, document: Mapping[str, object], head: Head) -> None:
        """Write the head. Raises FirestoreError; Conflict if another instance was first."""
        batch = self._firestore.batch()
        if head.version is None:
            batch.create(self._head(), dict(document))
        else:
            guard = self._firestore.write_option(last_update_time=head.version)
            batch.update(self._head(), dict(document), option=guard)
        await commit(batch, self._limits.write_s)

    async def _write_shards(self, models: Models, generation: int) -> tuple[Shard, ...]:
        """Write the list to documents that no other instance writes to."""
        nonce = secrets.token_hex(4)
        texts = cut(dump_models(models), self._limits.shard_max_chars)
        shards = tuple(
            Shard(f"{generation}-{nonce}-{number}", _digest(text))
            for number, text in enumerate(texts)
        )
        await asyncio.gather(
            *(
                put(
                    self._documents.document(shard.id),
                    {"generation": generation, "models": text},
                    within_s=self._limits.write_s,
                )
                for shard, text in zip(shards, texts, strict=True)
            )
        )
        return shards

    async def _delete_shards_before(self, generation: int) -> None:
        """Delete the shards of earlier lists; a list that is being written is not one of them."""
        older = self._documents.where(filter=FieldFilter("generation", "<", generation))
        try:
            snapshots = await query(older.select(["generation"]), within_s=self._limits.read_s)
            batch = self._firestore.batch()
            for snapshot in snapshots:
                batch.delete(snapshot.reference)
            await commit(batch, self._limits.write_s)
        except FirestoreError as error:
            log.warning("catalog_not_swept", type=error.cause)  # the next new list retries it

    def _head(self) -> AsyncDocumentReference:
        return self._documents.document("head")


def read_head(document: Mapping[str, object], version: datetime | None) -> Head:
    """Read `catalog/head`; the result has no list if it is malformed or in another format."""
    match document:
        case {
            "format": int(format_),
            "generation": int(generation),
            "fetchedAt": datetime() as fetched_at,
            "shards": [*items],
        } if format_ == FORMAT:
            shards = [shard for item in items if (shard := _read_shard(item)) is not None]
            if len(shards) == len(items):
                return Head(version, generation, fetched_at, tuple(shards))
    return Head(version)


def _read_shard(value: object) -> Shard | None:
    match value:
        case {"id": str(id_), "sha256": str(sha256)} if id_ and "/" not in id_:
            return Shard(id_, sha256)
    return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
