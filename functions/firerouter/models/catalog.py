"""The catalog: every model that OpenRouter offers, kept where an outage of OpenRouter is no matter.

    memory (minutes) -> catalog/head and its shards (until a day old) -> GET /models, /images/models

    catalog/head      {format, generation, count, fetchedAt, shards: [{id, sha256}]}
    catalog/{shard}   {generation, models: JSON text}

A list is text and not nested maps: one value is read in a twentieth of the time, and does not cost
one of a document's 40,000 index entries for each field. A new list is written to shards of new
names first, and `head` moves to them last, in one commit guarded by its version: whoever reads sees
one whole list or another. Then the shards before it are deleted. The generation grows when a list
differs from the one before it, and only then.

A list that is empty, unreadable or less than half as long as the one before it is refused: the old
one stays in use and its age is told. Where OpenRouter really halved its offer, deleting
`catalog/head` makes the next list the first one.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl, urlsplit

from google.cloud.firestore import AsyncClient, FieldFilter

from .. import limits, log
from ..cache import Cached
from ..callable import CallableError
from ..errors import (
    CatalogIncomplete,
    CatalogUnavailable,
    KeyInvalid,
    KeyMissing,
    KeyUnavailable,
    SettingsUnavailable,
    UpstreamMalformed,
    UpstreamRejected,
    UpstreamTimeout,
)
from ..firestore import AWAY, GUARD_FAILED
from ..keys import Secret
from .model import Model, ModelList, Resolved, read_image_parameters, read_models

FORMAT: Final = 3  # of the documents: what another release wrote is fetched anew
ALL_MODELS: Final = {"output_modalities": "all"}  # without it the list is of text models alone


Shards = tuple[tuple[str, str], ...]  # id and sha256 of each
Models = tuple[Model, ...]


class Upstream(Protocol):
    """OpenRouter, as far as the catalog needs it."""

    async def get(
        self, path: str, key: Secret | None, timeout_s: float, *, query: dict[str, str]
    ) -> Any: ...


class Keys(Protocol):
    """Where the key comes from. The list needs none: one that is missing is no matter."""

    async def get(self) -> Secret: ...


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The list after a look at OpenRouter; added and removed: ids against the list before it."""

    models: ModelList
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Head:
    """`catalog/head` as it was read. version: its update time, None where there is none."""

    version: Any = None
    generation: int = 0
    fetched_at: datetime | None = None
    shards: Shards = ()


class Catalog:
    """Serves the list. Make one an instance; nothing is read before the first call."""

    def __init__(
        self,
        firestore: AsyncClient,
        *,
        openrouter: Callable[[], Upstream],
        keys: Keys,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        shard_max_bytes: int = limits.CATALOG_SHARD_MAX_BYTES,
    ) -> None:
        """openrouter: makes the client, whose import alone takes longer than to read the list."""
        self._firestore = firestore
        self._documents = firestore.collection("catalog")
        self._openrouter = openrouter
        self._keys = keys
        self._now = now
        self._shard_max_bytes = shard_max_bytes
        self._served: Cached[ModelList] = Cached(
            self._load, fresh_s=limits.CATALOG_FRESH_S, stale_s=limits.CATALOG_KEPT_S
        )
        # never kept: it is there so that whoever asks meanwhile waits for the same fetch
        self._fetched: Cached[Refreshed] = Cached(self._renew, fresh_s=0, stale_s=0)
        self._last: ModelList | None = None
        self._read: tuple[Shards, tuple[Model, ...]] = ((), ())  # what `_last` was read from

    async def get(self) -> ModelList:
        """The list. Raises CatalogUnavailable; UpstreamError when there never was one."""
        return await self._served.get()

    async def find(self, id_: str) -> Resolved:
        """What an id stands for: suffixes, presets, aliases and routers understood. As `get`."""
        return (await self.get()).find(id_)

    def age_seconds(self, models: ModelList) -> int:
        """Since OpenRouter said so."""
        return max(0, round((self._now() - models.fetched_at).total_seconds()))

    def is_stale(self, models: ModelList) -> bool:
        """Whether it is older than it should be: OpenRouter was away, or sent what was refused."""
        return self.age_seconds(models) > limits.CATALOG_OLD_S

    async def refresh(self) -> Refreshed:
        """Ask OpenRouter now; one fetch for all who ask at once.

        Raises UpstreamError, CatalogIncomplete, CatalogUnavailable: then the old list stays.
        """
        return await self._fetched.renew()

    # -- reading -------------------------------------------------------------------------------

    async def _load(self) -> ModelList:
        try:
            stored = await self._stored(await self._head())
        except AWAY as error:
            log.warning("catalog_unavailable", type=type(error).__name__)
            if self._last is None:
                raise CatalogUnavailable from None
            return self._last
        if stored is not None:
            self._last = stored
            if not self.is_stale(stored):
                return stored
        try:
            return (await self.refresh()).models
        except CallableError as error:
            if self._last is None:
                raise
            log.warning("catalog_stale", age_s=self.age_seconds(self._last), reason=error.reason)
            return self._last

    async def _head(self) -> _Head:
        snapshot = await self._documents.document("head").get(retry=None, timeout=limits.READ_S)
        if not snapshot.exists:
            return _Head()
        match snapshot.to_dict():
            case {
                "format": int(format_),
                "generation": int(generation),
                "fetchedAt": datetime() as fetched_at,
                "shards": [*shards],
            } if format_ == FORMAT and all(map(_is_shard, shards)):
                named = tuple((shard["id"], shard["sha256"]) for shard in shards)
                return _Head(snapshot.update_time, generation, fetched_at, named)
        log.error("catalog_unreadable", document="head")
        return _Head(snapshot.update_time)

    async def _stored(self, head: _Head) -> ModelList | None:
        """The list that a head speaks of; None where there is none, or none that can be read."""
        if head.fetched_at is None:
            return None
        if head.shards and head.shards == self._read[0]:
            return ModelList(head.generation, head.fetched_at, self._read[1])
        references = [self._documents.document(id_) for id_, _ in head.shards]
        texts: dict[str, Any] = {}
        async for snapshot in self._firestore.get_all(
            references, retry=None, timeout=limits.READ_S
        ):
            texts[snapshot.id] = (snapshot.to_dict() or {}).get("models")
        try:
            models = tuple(
                Model.from_document(document)
                for id_, digest in head.shards
                for document in _opened(texts[id_], digest)
            )
        except (KeyError, TypeError, ValueError, ArithmeticError):
            # typed by hand, or just deleted: the list after it is there then
            newer = await self._head()
            if newer.shards != head.shards:
                return await self._stored(newer)
            log.error("catalog_unreadable", generation=head.generation)
            return None
        self._read = (head.shards, models)
        return ModelList(head.generation, head.fetched_at, models)

    # -- fetching and writing ------------------------------------------------------------------

    async def _renew(self) -> Refreshed:
        models, expected = await self._fetch()
        try:
            head = await self._head()
            before = await self._stored(head) or ModelList(head.generation, self._now(), ())
            expected = max(expected, len(before.models))
            if not models or 2 * len(models) < expected:
                log.error("catalog_refused", count=len(models), expected=expected)
                raise CatalogIncomplete(count=len(models), expected=expected)
            after = await self._store(models, head, before)
        except AWAY as error:
            log.error("catalog_not_stored", type=type(error).__name__)
            raise CatalogUnavailable from None
        self._last = after
        self._served.put(after)
        old, new = ({model.id for model in list_.models} for list_ in (before, after))
        log.info("catalog_refreshed", generation=after.generation, count=len(after.models))
        return Refreshed(after, tuple(sorted(new - old)), tuple(sorted(old - new)))

    async def _fetch(self) -> tuple[tuple[Model, ...], int]:
        """(the models, how many OpenRouter spoke of). Raises UpstreamError."""
        try:
            key = await self._keys.get()
        except (KeyMissing, KeyUnavailable, SettingsUnavailable):
            key = None
        try:
            async with asyncio.timeout(limits.CATALOG_FETCH_S):
                try:
                    entries, total = await self._pages(key, ALL_MODELS)
                except UpstreamRejected:
                    log.warning("catalog_of_text_models_alone")
                    entries, total = await self._pages(key, {})
        except TimeoutError:
            raise UpstreamTimeout from None
        models, skipped = read_models(entries)
        if skipped:
            log.warning("catalog_entries_skipped", count=skipped, of=len(entries))
        return await self._with_images(models, key), max(total, len(entries))

    async def _with_images(self, models: Models, key: Secret | None) -> Models:
        """With what the image API takes, as it was known before where that can not be had."""
        try:
            listed = await self._document("/images/models", key, {})
        except CallableError as error:
            log.warning("image_parameters_unknown", reason=error.reason)
            before = self._last.models if self._last else ()
            takes = {model.id: model.image_parameters for model in before}
        else:
            takes = read_image_parameters(listed)
        return tuple(replace(m, image_parameters=takes.get(m.id, ())) for m in models)

    async def _pages(self, key: Secret | None, query: dict[str, str]) -> tuple[list[object], int]:
        """(every page's entries, the total that OpenRouter names)."""
        entries: list[object] = []
        for _ in range(limits.CATALOG_PAGES_MAX):
            page = await self._document("/models", key, query)
            data = page.get("data") if isinstance(page, dict) else None
            if not isinstance(data, list):
                raise UpstreamMalformed
            entries += data
            if len(entries) > limits.CATALOG_MODELS_MAX:
                break
            links, total = page.get("links"), page.get("total_count")
            following = links.get("next") if isinstance(links, dict) else None
            if not isinstance(following, str):
                return entries, total if type(total) is int else 0
            # its query alone: no answer may send us, and the key, to another address
            query = dict(parse_qsl(urlsplit(following).query))
        log.error("catalog_too_long", count=len(entries))
        raise UpstreamMalformed

    async def _document(self, path: str, key: Secret | None, query: dict[str, str]) -> Any:
        within_s = limits.CATALOG_FETCH_S
        if key is not None:
            try:
                return await self._openrouter().get(path, key, within_s, query=query)
            except KeyInvalid:
                pass  # the list is public
        return await self._openrouter().get(path, None, within_s, query=query)

    async def _store(self, models: tuple[Model, ...], head: _Head, before: ModelList) -> ModelList:
        """Write the list, if it is another one, and say when it was seen.

        Where another instance stored one meanwhile, that one is the result.
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
            "shards": [{"id": id_, "sha256": digest} for id_, digest in shards],
        }
        batch = self._firestore.batch()
        reference = self._documents.document("head")
        if head.version is None:
            batch.create(reference, document)
        else:
            guard = self._firestore.write_option(last_update_time=head.version)
            batch.update(reference, document, option=guard)
        try:
            await batch.commit(retry=None, timeout=limits.READ_S)
        except GUARD_FAILED:
            stored = await self._stored(await self._head())
            if stored is None:
                raise CatalogUnavailable from None
            return stored  # our shards are swept when that list's time is over
        self._read = (shards, models)
        if shards != head.shards:
            await self._sweep(generation)
        return ModelList(generation, fetched_at, models)

    async def _write_shards(self, models: Sequence[Model], generation: int) -> Shards:
        """Under names that no other instance writes to."""
        nonce = secrets.token_hex(4)
        texts = list(_shards(models, self._shard_max_bytes))
        ids = [f"{generation}-{nonce}-{number}" for number in range(len(texts))]
        await asyncio.gather(
            *(
                self._documents.document(id_).set(
                    {"generation": generation, "models": text}, retry=None, timeout=limits.READ_S
                )
                for id_, text in zip(ids, texts, strict=True)
            )
        )
        return tuple(zip(ids, map(_digest, texts), strict=True))

    async def _sweep(self, generation: int) -> None:
        """Delete the shards of earlier lists; one that is being written now is no earlier one."""
        try:
            query = self._documents.where(filter=FieldFilter("generation", "<", generation))
            old = await query.select(["generation"]).get(retry=None, timeout=limits.READ_S)
            for snapshot in old:
                await snapshot.reference.delete(retry=None, timeout=limits.READ_S)
        except AWAY as error:
            log.warning("catalog_not_swept", type=type(error).__name__)  # the next one will be


def _is_shard(shard: object) -> bool:
    match shard:
        case {"id": str(id_), "sha256": str()}:
            return bool(id_) and "/" not in id_
    return False


def _opened(text: object, digest: str) -> list[Any]:
    """The models of a shard's text. Raises ValueError when it is not the text that was written."""
    if not isinstance(text, str) or _digest(text) != digest:
        raise ValueError
    models: list[Any] = json.loads(text)
    return models


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _shards(models: Sequence[Model], max_bytes: int) -> list[str]:
    """The models as texts of ASCII JSON, none longer than asked unless one model alone is."""
    shards: list[list[str]] = [[]]
    size = 0
    for model in models:
        text = json.dumps(model.to_document(), separators=(",", ":"))
        if shards[-1] and size + len(text) + 2 > max_bytes:
            shards.append([])
            size = 0
        shards[-1].append(text)
        size += len(text) + 1
    return [f"[{','.join(shard)}]" for shard in shards]
