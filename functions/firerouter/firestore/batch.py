"""Writes that are committed together, encoded as Firestore's own messages while they are added.

The client's batches build each message out of several wrappers. On the path of every call, that
costs more than the rest of it. This does the same with the generated types alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from google.cloud.firestore import (
    DELETE_FIELD,
    SERVER_TIMESTAMP,
    AsyncDocumentReference,
)
from google.cloud.firestore_v1.field_path import FieldPath
from google.cloud.firestore_v1.types import CommitRequest, DocumentTransform, Value, Write

from .errors import mapped
from .raw import database_name, generated_client, metadata

if TYPE_CHECKING:
    from google.api_core.retry import AsyncRetry
    from google.cloud.firestore import AsyncClient
    from google.cloud.firestore_v1.types import WriteResult

Field = tuple[str, ...]

_Value: Final[Any] = Value.pb()
_Write: Final[Any] = Write.pb()
_Transform: Final[Any] = DocumentTransform.FieldTransform.pb()
_REQUEST_TIME: Final = int(DocumentTransform.FieldTransform.ServerValue.REQUEST_TIME)


class Batch:
    """Writes to commit with `commit`."""

    def __init__(self, firestore: AsyncClient) -> None:
        self._firestore = firestore
        self._root = f"{database_name(firestore)}/documents/"
        self._writes: list[Any] = []

    def create(self, reference: AsyncDocumentReference, document: Mapping[str, object]) -> None:
        """Write a document that must not exist yet."""
        write = self._write(reference, _top(document))
        write.current_document.exists = False

    def set(
        self,
        reference: AsyncDocumentReference,
        document: Mapping[str, object],
        *,
        merge: bool = False,
    ) -> None:
        """Write a document as a whole; with `merge`, these fields of it alone."""
        fields = _top(document)
        self._write(reference, fields, mask=fields if merge else None)

    def update(
        self,
        reference: AsyncDocumentReference,
        fields: Mapping[str, object],
        *,
        version: datetime | None = None,
    ) -> None:
        """Change these fields of a document that exists, or that still has this version.

        The names of fields may be dotted paths.
        """
        paths = {tuple(name.split(".")): value for name, value in fields.items()}
        write = self._write(reference, paths, mask=paths)
        _guard(write, version)

    def delete(self, reference: AsyncDocumentReference, *, version: datetime | None = None) -> None:
        """Delete a document, or one that still has this version."""
        write = _Write(delete=self._root + reference.path)
        if version is not None:
            _guard(write, version)
        self._writes.append(write)

    def increment(
        self,
        reference: AsyncDocumentReference,
        increments: Sequence[tuple[Field, int]],
        *,
        fields: Mapping[Field, object] | None = None,
    ) -> None:
        """Add to numbers in a document, which need not exist, and set other fields of it.

        The write's result has the new values in `transform_results`, in the order of `increments`.
        """
        write = self._write(reference, fields or {}, mask=fields or ())
        for field, by in increments:
            transform = write.update_transforms.add()
            transform.field_path = _path(field)
            transform.increment.integer_value = by

    async def commit(
        self, retry: AsyncRetry | None = None, timeout: float | None = None
    ) -> list[WriteResult]:
        """Send the writes. Called by `commit`, which maps errors."""
        request = CommitRequest.pb()(database=database_name(self._firestore), writes=self._writes)
        response = await generated_client(self._firestore).commit(
            request=request, retry=retry, timeout=timeout, metadata=metadata(self._firestore)
        )
        return list(response.write_results)

    def _write(
        self,
        reference: AsyncDocumentReference,
        fields: Mapping[Field, object],
        *,
        mask: Iterable[Field] | None = None,
    ) -> Any:
        """Add a write. Raises NotStorable for a value that no document holds."""
        write = _Write()
        write.update.name = self._root + reference.path
        with mapped():
            for field, value in fields.items():
                if value is DELETE_FIELD:
                    continue  # it is in the mask and nowhere else
                target = write.update.fields
                for name in field[:-1]:
                    target = target[name].map_value.fields
                _put(target, field[-1], value, write, field)
        if mask is not None:
            own = {one.field_path for one in write.update_transforms}
            write.update_mask.field_paths.extend(p for p in map(_path, mask) if p not in own)
            write.update_mask.SetInParent()
        self._writes.append(write)
        return write


def _guard(write: Any, version: datetime | None) -> None:
    if version is None:
        write.current_document.exists = True
    else:
        _encode_time(write.current_document.update_time, version)


def _top(document: Mapping[str, object]) -> dict[Field, object]:
    return {(name,): value for name, value in document.items()}


def _path(field: Field) -> str:
    if all(name.isidentifier() and name.isascii() for name in field):
        return ".".join(field)
    return str(FieldPath(*field).to_api_repr())


def _put(fields: Any, name: str, value: object, write: Any, field: Field) -> None:
    """Put a value into a map of fields; what only the server knows becomes a transform."""
    if value is SERVER_TIMESTAMP:
        transform = write.update_transforms.add()
        transform.field_path = _path(field)
        transform.set_to_server_value = _REQUEST_TIME
    elif isinstance(value, Mapping):
        inner = fields[name].map_value
        inner.SetInParent()
        for key, one in value.items():
            if not isinstance(key, str):
                raise TypeError("the name of a field is a text")
            _put(inner.fields, key, one, write, (*field, key))
    else:
        _encode(fields[name], value)


_SCALARS: Final[Mapping[type, str]] = {
    bool: "boolean_value",
    int: "integer_value",
    float: "double_value",
    str: "string_value",
    bytes: "bytes_value",
}


def _encode(target: Any, value: object) -> None:
    """Raises TypeError, ValueError for what no document holds."""
    scalar = _SCALARS.get(type(value))
    if scalar is not None:
        setattr(target, scalar, value)
    elif value is None:
        target.null_value = 0
    elif isinstance(value, datetime):
        _encode_time(target.timestamp_value, value)
    elif isinstance(value, Mapping):
        target.map_value.SetInParent()
        for name, inner in value.items():
            if not isinstance(name, str):
                raise TypeError("the name of a field is a text")
            _encode(target.map_value.fields[name], inner)
    elif isinstance(value, (list, tuple)):
        target.array_value.SetInParent()
        for inner in value:
            if isinstance(inner, (list, tuple)):
                raise ValueError("a list holds no list")
            _encode(target.array_value.values.add(), inner)
    else:
        raise TypeError(f"a document holds no {type(value).__name__}")


def _encode_time(target: Any, value: datetime) -> None:
    nanos = getattr(value, "nanosecond", value.microsecond * 1000)
    target.seconds = math.floor(value.replace(tzinfo=value.tzinfo or UTC).timestamp())
    target.nanos = nanos
