"""The clients of Google's services are made without a connection, and look nothing up."""

import subprocess
import sys
import threading

import pytest

from firerouter.app import clients
from firerouter.app.environment import Environment
from tests.support.repository import FUNCTIONS

LOCAL = {
    "FUNCTIONS_EMULATOR": "true",
    "GCLOUD_PROJECT": "demo-clients",
    "STORAGE_EMULATOR_HOST": "http://127.0.0.1:9",
}
VARIABLE = "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA"


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> Environment:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv(VARIABLE, "false")  # restored afterwards, whatever is set meanwhile
    return Environment(LOCAL)


def test_cloud_storage_does_not_look_its_bucket_up_for_traces(
    local: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when the library no longer heeds the variable, or did not look anything up without."""
    from google.cloud.storage import Client, _helpers

    looked_up: list[str] = []

    class Metadata:
        def get_or_queue_fetch(self, bucket: str) -> None:
            looked_up.append(bucket)

    def trace(client: Client) -> None:
        monkeypatch.setattr(client, "_bucket_metadata_cache", Metadata())
        with _helpers.create_trace_span_helper(client, "a-bucket", "Storage.Blob.download"):
            pass

    client = clients.storage(local)
    trace(client)
    assert looked_up == []
    monkeypatch.setenv(VARIABLE, "false")
    trace(client)
    assert looked_up == ["a-bucket"]


def test_a_client_starts_no_thread_of_its_own(local: Environment) -> None:
    before = threading.active_count()
    clients.storage(local)
    assert threading.active_count() == before


def test_the_admin_sdk_has_one_app_in_a_process() -> None:
    """In a process of its own: here, another test may have made the app already."""
    code = (
        "from firerouter.app import clients\n"
        "from firerouter.app.environment import Environment\n"
        f"local = Environment({LOCAL!r})\n"
        "app = clients.firebase_app(local)\n"
        "print(app.project_id, clients.firebase_app(local) is app)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=FUNCTIONS, capture_output=True, text=True, check=False
    )
    assert (run.stdout, run.stderr) == ("demo-clients True\n", "")


def test_nothing_is_imported_before_it_is_needed() -> None:
    assert "firerouter.app.clients" in sys.modules
    assert not hasattr(clients, "firebase_admin")
