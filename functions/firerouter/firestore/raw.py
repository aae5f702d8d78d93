"""The only module that uses private members of the Firestore client and its gRPC channel.

The async client has no public way to listen to a query: its `on_snapshot` is not implemented. The
generated client underneath has `listen`, which requires the client's metadata.
tests/unit/firestore/test_raw.py fails if the library changes what is used here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import TYPE_CHECKING, Final, Protocol, cast

from google.cloud.firestore import AsyncClient, AsyncDocumentReference
from google.cloud.firestore_v1.services.firestore import FirestoreAsyncClient
from google.cloud.firestore_v1.types import ListenRequest, ListenResponse

if TYPE_CHECKING:
    from google.cloud.firestore_v1.services.firestore.transports import (
        FirestoreGrpcAsyncIOTransport,
    )

DATABASE: Final = "(default)"  # the only one that the functions use


class ListenStream(Protocol):
    """An open stream of a query's changes."""

    def __aiter__(self) -> AsyncIterator[ListenResponse]: ...

    def cancel(self) -> object: ...


def generated_client(firestore: AsyncClient) -> FirestoreAsyncClient:
    """Return the generated client through which the client sends all its calls."""
    return cast("FirestoreAsyncClient", firestore._firestore_api)


def remove_interceptors(firestore: AsyncClient) -> None:
    """Remove the interceptor of the client's channel, which is opened if it is not yet open.

    The interceptor costs three tasks per call, only to log calls at level DEBUG, which is never on.
    """
    transport = cast("FirestoreGrpcAsyncIOTransport", generated_client(firestore).transport)
    transport.grpc_channel._unary_unary_interceptors.clear()


def client_of(reference: AsyncDocumentReference) -> AsyncClient:
    """Return the client that made a reference."""
    return cast("AsyncClient", reference._client)


def metadata(firestore: AsyncClient) -> Sequence[tuple[str, str]]:
    """Return the metadata of each call: the database, and the emulator's token."""
    return cast("Sequence[tuple[str, str]]", firestore._rpc_metadata)


def database_name(firestore: AsyncClient) -> str:
    """Return the database's resource name."""
    return f"projects/{firestore.project}/databases/{DATABASE}"


def listen(
    firestore: AsyncClient, requests: AsyncIterator[ListenRequest]
) -> Awaitable[ListenStream]:
    """Open a stream of changes, without a deadline and without retries.

    The stream stays open until `requests` ends.
    """
    stream = generated_client(firestore).listen(
        requests=requests, retry=None, timeout=None, metadata=metadata(firestore)
    )
    return cast("Awaitable[ListenStream]", stream)
