"""The writes of one commit, encoded straight into Firestore's request messages.

User calls write through this class because the client's own batch is slow: it walks each document
four times and wraps every value, which takes more CPU time than sending the commit. Both send the
same messages, as tests/unit/firestore/test_batch.py shows.

A document can hold None, bool, int, float, str, bytes, datetime, and mappings and lists of these.
DELETE_FIELD, SERVER_TIMESTAMP and Increment may stand for a value anywhere except in a list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from types import MappingProxyType, NoneType
from typing import Any, Final, TypeAlias

from google.api_core.retry import AsyncRetry
from google.cloud.firestore import (
    DELETE_FIELD,
    SERVER_TIMESTAMP,
    AsyncClient,
    AsyncDocumentReference,
    Increment,
)
from google.cloud.firestore_v1.field_path import FieldPath
from google.cloud.firestore_v1.types import (
    CommitRequest,
    CommitResponse,
    DocumentTransform,
    WriteResult,
)

from .errors import NotStorable
from .raw import database_name, generated_client, metadata

Fields: TypeAlias = Mapping[str, object]
Path: TypeAlias = tuple[str, ...]  # the names on the way to a field
Message: TypeAlias = Any  # a generated type, whose fields mypy does not know
Encoder: TypeAlias = Callable[[Message, Any], None]

_NOW: Final = DocumentTransform.FieldTransform.ServerValue.REQUEST_TIME
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_S: Final = 86_400
_PARSED_PATHS_MAX: Final = 512


class Batch:
    """Writes that are committed together or not at all: see `commits.commit`.

    Each method raises NotStorable if a document can't hold a value; the batch then stays as it was.
    """

    def __init__(self, firestore: AsyncClient) -> None:
        self._firestore = firestore
        self._request = CommitRequest.pb()(database=database_name(firestore))
        self._root = f"{self._request.database}/documents/"

    def __len__(self) -> int:
        return len(self._request.writes)

    def create(self, reference: AsyncDocumentReference, document: Fields) -> None:
        """Write a document that must not exist yet."""
        with self._write(reference) as write:
            write.current_document.exists = False
            _Content(write).put(document)

    def set(
        self, reference: AsyncDocumentReference, document: Fields, *, merge: bool = False
    ) -> None:
        """Write a document, whether it exists or not.

        Args:
            reference: Where the document is.
            document: Its fields. The results of its increments are in the order of their paths.
            merge: Whether all other fields stay as they are, also those inside mappings.
        """
        with self._write(reference) as write:
            content = _Content(write)
            if merge:
                content.merge(document)
            else:
                content.put(document)

    def update(
        self, reference: AsyncDocumentReference, fields: Fields, *, version: datetime | None = None
    ) -> None:
        """Set some fields of a document that exists.

        Args:
            reference: Where the document is.
            fields: New values by dotted path; names that are not identifiers are in backticks.
            version: The document's update time, if it must not have changed since.
        """
        with self._write(reference) as write:
            _Content(write).update(fields)
            _guard(write, version)

    def increment(
        self,
        reference: AsyncDocumentReference,
        by: Mapping[Path, int],
        fields: Fields = MappingProxyType({}),
    ) -> None:
        """Add to numbers of a document, which need not exist, and merge other fields into it.

        The write's result has the new totals in `transform_results`, in the order of `by`.

        Args:
            reference: Where the document is.
            by: What to add, by the path of the field.
            fields: Other fields to set, as by `set` with `merge`.
        """
        with self._write(reference) as write:
            content = _Content(write)
            content.merge(fields)
            for path, value in by.items():
                content.add(path, value)

    def delete(self, reference: AsyncDocumentReference, *, version: datetime | None = None) -> None:
        """Delete a document. Without a version, it need not exist."""
        write = self._request.writes.add()
        write.delete = self._root + reference.path
        if version is not None:
            _guard(write, version)

    async def commit(
        self, retry: AsyncRetry | None = None, timeout: float | None = None
    ) -> list[WriteResult]:
        """Send the writes. Stores call `commits.commit`, which retries and maps errors."""
        response = await generated_client(self._firestore).commit(
            request=CommitRequest.wrap(self._request),
            retry=retry,
            timeout=timeout,
            metadata=metadata(self._firestore),
        )
        return [WriteResult.wrap(one) for one in CommitResponse.pb(response).write_results]

    @contextmanager
    def _write(self, reference: AsyncDocumentReference) -> Iterator[Message]:
        writes = self._request.writes
        write = writes.add()
        write.update.name = self._root + reference.path
        try:
            yield write
        except (ValueError, TypeError, RecursionError) as error:
            del writes[-1]
            raise NotStorable(type(error).__name__) from None


class _Content:
    """Fills in one write: its fields, the mask that names them, and its transforms."""

    def __init__(self, write: Message) -> None:
        self._write = write
        self._fields = write.update.fields
        self._set: list[Path] = []
        self._deleted: list[Path] = []
        self._transforms: list[tuple[Path, object]] = []

    def put(self, document: Fields) -> None:
        """Set the whole document."""
        self._take((), document)
        if self._deleted:
            raise ValueError("DELETE_FIELD makes no sense in a document that is written whole")
        self._transform()

    def merge(self, document: Fields) -> None:
        """Set these fields, and leave all others as they are."""
        self._take((), document)
        self._mask(self._set + self._deleted)
        self._transform()

    def update(self, fields: Fields) -> None:
        """Replace the values at these dotted paths."""
        if not fields:
            raise ValueError("an update must set at least one field")
        given = {_parsed(path): value for path, value in fields.items()}
        if len(given) < len(fields):
            raise ValueError("an update sets a field twice")
        for path, value in given.items():
            if any(path[:length] in given for length in range(1, len(path))):
                raise ValueError("an update sets a field and another one inside it")
            self._take(path[:-1], {path[-1]: value})
        if any(path not in given for path in self._deleted):
            raise ValueError("an update can't delete a field inside a value; name its path instead")
        computed = {path for path, _ in self._transforms}
        self._mask(path for path in given if path not in computed)
        self._transform()

    def add(self, path: Path, value: float) -> None:
        """Increment a field, after the other transforms."""
        transform = self._write.update_transforms.add()
        transform.field_path = _rendered(path)
        _encode(transform.increment, value)

    def _take(self, above: Path, fields: Fields) -> None:
        """Encode the fields of one mapping, and remember their paths."""
        holder = None  # the mapping in the message, which must not be created if it stays empty
        for name, value in fields.items():
            if not isinstance(name, str) or not name:
                raise ValueError("a field's name must be a nonempty string")
            path = (*above, name)
            if isinstance(value, Mapping) and value:
                self._take(path, value)
            elif value is DELETE_FIELD:
                self._deleted.append(path)
            elif value is SERVER_TIMESTAMP or isinstance(value, Increment):
                self._transforms.append((path, value))
            else:
                if holder is None:
                    holder = self._holder(above)
                _encode(holder[name], value)
                self._set.append(path)

    def _holder(self, path: Path) -> Message:
        fields = self._fields
        for name in path:
            fields = fields[name].map_value.fields
        return fields

    def _mask(self, paths: Iterable[Path]) -> None:
        mask = self._write.update_mask
        mask.SetInParent()  # an empty mask sets nothing; without a mask, the document is replaced
        mask.field_paths.extend(map(_rendered, sorted(paths)))

    def _transform(self) -> None:
        for path, value in sorted(self._transforms, key=itemgetter(0)):
            if isinstance(value, Increment):
                self.add(path, value.value)
            else:
                transform = self._write.update_transforms.add()
                transform.field_path = _rendered(path)
                transform.set_to_server_value = _NOW


def _guard(write: Message, version: datetime | None) -> None:
    if version is None:
        write.current_document.exists = True
    else:
        _stamp(write.current_document.update_time, version)


# -- field paths -----------------------------------------------------------------------------------


@lru_cache(_PARSED_PATHS_MAX)
def _parsed(path: str) -> Path:
    """Return the names in a dotted path."""
    if not isinstance(path, str):
        raise TypeError("a field's path must be a string")
    return tuple(FieldPath.from_string(path).parts)


def _rendered(path: Path) -> str:
    """Return a path as Firestore reads it: names that are not identifiers are quoted."""
    return ".".join(map(_quoted, path))


def _quoted(name: str) -> str:
    if name.isidentifier() and name.isascii():
        return name
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


# -- values ----------------------------------------------------------------------------------------


def _encode(target: Message, value: object) -> None:
    """Encode a value into a `Value` message.

    Raises:
        TypeError, ValueError: A document can't hold it.
    """
    encoder = _ENCODERS.get(type(value)) or _encoder_of(value)
    encoder(target, value)


def _encoder_of(value: object) -> Encoder:
    for base, encoder in _ENCODERS.items():
        if isinstance(value, base):
            return encoder
    if isinstance(value, Mapping):
        return _mapping
    raise TypeError(f"a document can't hold a {type(value).__name__}")


def _none(target: Message, _: None) -> None:
    target.null_value = 0


def _bool(target: Message, value: bool) -> None:
    target.boolean_value = value


def _int(target: Message, value: int) -> None:
    target.integer_value = value


def _float(target: Message, value: float) -> None:
    target.double_value = value


def _str(target: Message, value: str) -> None:
    target.string_value = value


def _bytes(target: Message, value: bytes) -> None:
    target.bytes_value = value


def _datetime(target: Message, value: datetime) -> None:
    _stamp(target.timestamp_value, value)


def _mapping(target: Message, value: Fields) -> None:
    target.map_value.SetInParent()
    fields = target.map_value.fields
    for name, inner in value.items():
        _encode(fields[name], inner)


def _list(target: Message, value: Sequence[object]) -> None:
    target.array_value.SetInParent()
    values = target.array_value.values
    for inner in value:
        _encode(values.add(), inner)


def _stamp(target: Message, value: datetime) -> None:
    """Set a timestamp. A time without a zone counts as UTC, as in the client."""
    since = (value if value.tzinfo else value.replace(tzinfo=UTC)) - _EPOCH
    target.seconds = since.days * _DAY_S + since.seconds
    # times that were read have nanoseconds: values are of one type, documents' times of another
    target.nanos = getattr(value, "nanosecond", 0) or since.microseconds * 1_000


# `_encoder_of` searches in this order for subclasses; bool precedes int because it is one
_ENCODERS: Final[Mapping[type, Encoder]] = {
    str: _str,
    NoneType: _none,
    bool: _bool,
    int: _int,
    float: _float,
    datetime: _datetime,
    dict: _mapping,
    list: _list,
    tuple: _list,
    bytes: _bytes,
}
