"""The one home of the Firestore client's private members.

The async client has no public way to listen to a query: its `on_snapshot` is not implemented. The
generated client below it has one, `listen`, which takes the client's own metadata.
tests/unit/firestore/test_raw.py fails if the library moves what is used here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Final, Protocol, cast

from google.cloud.firestore import AsyncClient
from google.cloud.firestore_v1.services.firestore import FirestoreAsyncClient
from google.cloud.firestore_v1.types import ListenRequest, ListenResponse

DATABASE: Final = "(default)"  # the only one that the functions use


class ListenStream(Protocol):
    """An open stream of a query's changes."""

    def __aiter__(self) -> AsyncIterator[ListenResponse]: ...

    def cancel(self) -> object: ...


def generated_client(firestore: AsyncClient) -> FirestoreAsyncClient:
    """Return the generated client that the client sends all its calls through."""
    return cast("FirestoreAsyncClient", firestore._firestore_api)


def metadata(firestore: AsyncClient) -> Sequence[tuple[str, str]]:
    """Return what the client sends along with each call: the database, the emulator's token."""
    return cast("Sequence[tuple[str, str]]", firestore._rpc_metadata)


def database_name(firestore: AsyncClient) -> str:
    """Return the database's resource name."""
    return f"projects/{firestore.project}/databases/{DATABASE}"


def listen(
    firestore: AsyncClient, requests: AsyncIterator[ListenRequest]
) -> Awaitable[ListenStream]:
    """Open a stream of changes, without a deadline and without retries.

    Firestore answers for as long as `requests` does not end.
    """
    stream = generated_client(firestore).listen(
        requests=requests, retry=None, timeout=None, metadata=metadata(firestore)
    )
    return cast("Awaitable[ListenStream]", stream)
