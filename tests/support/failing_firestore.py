"""A Firestore client whose every call fails, without a connection: for what a failure means."""

from typing import Any

from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore import AsyncClient

from tests.support.faulty_firestore import firestore_api

CALLS = ("batch_get_documents", "commit", "run_query", "run_aggregation_query", "listen")


def failing_firestore(error: Exception) -> AsyncClient:
    """Return a client every call of which raises this error."""
    firestore = AsyncClient(project="demo-failing", credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]
    api = firestore_api(firestore)

    async def fail(*_: Any, **__: Any) -> Any:
        raise error

    for call in CALLS:
        setattr(api, call, fail)
    return firestore
