"""The private members of the Firestore client that are used: if one moves, this fails."""

from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore import AsyncClient, FieldFilter
from google.cloud.firestore_v1.services.firestore import FirestoreAsyncClient

from firerouter.delivery.stop_signals import stops_of
from firerouter.firestore import Paths, raw
from tests.support.repository import ROOT


@pytest.fixture
async def firestore() -> AsyncClient:
    return AsyncClient(project="demo-raw", credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    "member", ["_firestore_api", "_rpc_metadata", "_database_string", "_unary_unary_interceptors"]
)
def test_a_private_member_of_the_clients_has_one_home(member: str) -> None:
    sources = [*(ROOT / "functions" / "firerouter").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    users = {path.name for path in sources if f".{member}" in path.read_text("utf-8")}
    assert users <= {"raw.py", "test_raw.py", "test_stop_signals.py"}


async def test_the_generated_client_is_where_it_was(firestore: AsyncClient) -> None:
    client = raw.generated_client(firestore)
    assert isinstance(client, FirestoreAsyncClient)
    for call in ("listen", "commit", "batch_get_documents", "run_query"):
        assert callable(getattr(client, call))


async def test_calls_pass_through_no_interceptor(firestore: AsyncClient) -> None:
    channel: Any = firestore._firestore_api.transport.grpc_channel
    (logging,) = channel._unary_unary_interceptors
    assert "Logging" in type(logging).__name__
    raw.remove_interceptors(firestore)
    assert channel._unary_unary_interceptors == []


async def test_a_reference_knows_its_client(firestore: AsyncClient) -> None:
    assert raw.client_of(Paths(firestore).generation("a")) is firestore


async def test_calls_are_routed_by_the_database(firestore: AsyncClient) -> None:
    metadata = dict(raw.metadata(firestore))
    assert metadata["google-cloud-resource-prefix"] == raw.database_name(firestore)


async def test_the_emulator_gets_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:9")
    firestore = AsyncClient(project="demo-raw")
    assert dict(raw.metadata(firestore))["authorization"] == "Bearer owner"


async def test_a_stream_is_opened_without_a_deadline_and_with_the_metadata(
    firestore: AsyncClient,
) -> None:
    asked: dict[str, Any] = {}

    async def listen(**kwargs: Any) -> str:
        asked.update(kwargs)
        return "the stream"

    raw.generated_client(firestore).listen = listen  # type: ignore[method-assign, assignment]
    requests: Any = object()
    assert await raw.listen(firestore, requests) == "the stream"  # type: ignore[comparison-overlap]
    assert asked == {
        "requests": requests,
        "retry": None,
        "timeout": None,
        "metadata": raw.metadata(firestore),
    }


async def test_our_query_for_stops_is_the_one_that_the_client_would_send(
    firestore: AsyncClient,
) -> None:
    entries = Paths(firestore).generations()
    query: Any = entries.where(filter=FieldFilter("stop.instance", "==", "mine")).where(
        filter=FieldFilter("status", "==", "running")
    )
    assert stops_of("mine") == query._to_protobuf()
