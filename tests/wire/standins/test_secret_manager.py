"""The Secret Manager stand-in, driven by Google's own clients as the functions use them."""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import google_crc32c
import grpc
import httpx
import pytest
from google.api_core import exceptions
from google.cloud import secretmanager_v1 as sm
from google.cloud.secretmanager_v1 import SecretManagerServiceClient as Client
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceGrpcAsyncIOTransport,
    SecretManagerServiceGrpcTransport,
)

from scripts.devtools.ports import free_port
from tests.support.repository import ROOT

PARENT = "projects/demo-firerouter"
NUMBERED = "projects/123456789012"  # how the service itself names that project
STATE = sm.SecretVersion.State


@dataclass(frozen=True)
class Standin:
    process: subprocess.Popen[str]
    address: str
    line: str  # the one it prints


@contextmanager
def started(*options: str) -> Iterator[Standin]:
    command = [sys.executable, "-m", "scripts.standins.secret_manager", "--port", "0", *options]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert "gRPC on " in line, line + process.stdout.read()
            yield Standin(process, line.split("gRPC on ")[1].split(",")[0].strip(), line)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def control() -> str:
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def standin(control: str) -> Iterator[Standin]:
    with started("--control-port", control.rsplit(":", 1)[1]) as standin:
        yield standin


@pytest.fixture(scope="module")
def client(standin: Standin) -> Iterator[Client]:
    channel = grpc.insecure_channel(standin.address)
    transport = SecretManagerServiceGrpcTransport(channel=channel)
    yield Client(transport=transport)
    channel.close()


@pytest.fixture
def secret(client: Client) -> str:
    """The name of a new secret without versions."""
    return create(client, PARENT).name


def create(client: Client, parent: str, secret_id: str = "") -> sm.Secret:
    record = sm.Secret(replication=sm.Replication(automatic=sm.Replication.Automatic()))
    return client.create_secret(
        parent=parent, secret_id=secret_id or f"KEY-{secrets.token_hex(8)}", secret=record
    )


def add(client: Client, secret: str, data: bytes) -> sm.SecretVersion:
    return client.add_secret_version(parent=secret, payload=sm.SecretPayload(data=data))


def test_numbers_versions_from_one(client: Client, secret: str) -> None:
    names = [add(client, secret, data).name for data in (b"one", b"two")]
    assert names == [f"{secret}/versions/1", f"{secret}/versions/2"]


def test_answers_with_the_number_of_the_project_and_takes_either(
    client: Client, secret: str
) -> None:
    assert secret.startswith(f"{NUMBERED}/secrets/KEY-")
    add(client, secret.replace(NUMBERED, PARENT), b"value")
    by_id = client.access_secret_version(name=f"{secret.replace(NUMBERED, PARENT)}/versions/1")
    by_number = client.access_secret_version(name=f"{secret}/versions/1")
    assert by_id == by_number
    assert by_id.name == f"{secret}/versions/1"


def test_keeps_projects_apart(client: Client) -> None:
    secret_id = f"SHARED-{secrets.token_hex(4)}"
    first, second = (
        create(client, parent, secret_id) for parent in (PARENT, "projects/demo-another")
    )
    assert first.name != second.name
    add(client, first.name, b"of the first")
    with pytest.raises(exceptions.NotFound, match="has no versions"):
        client.access_secret_version(name=f"{second.name}/versions/latest")
    assert [s.name for s in client.list_secrets(parent="projects/demo-another")] == [second.name]


def test_gives_the_payload_back_with_its_checksum(client: Client, secret: str) -> None:
    data = bytes(range(256))
    add(client, secret, data)
    payload = client.access_secret_version(name=f"{secret}/versions/1").payload
    assert payload.data == data
    assert payload.data_crc32c == google_crc32c.value(data)


def test_accepts_a_right_checksum_and_refuses_a_wrong_one(client: Client, secret: str) -> None:
    crc = google_crc32c.value(b"value")
    payload = sm.SecretPayload(data=b"value", data_crc32c=crc)
    version = client.add_secret_version(parent=secret, payload=payload)
    assert version.client_specified_payload_checksum is True
    assert add(client, secret, b"value").client_specified_payload_checksum is False
    payload.data_crc32c = crc ^ 1
    with pytest.raises(exceptions.InvalidArgument, match="data_crc32c"):
        client.add_secret_version(parent=secret, payload=payload)
    payload.data_crc32c = 0  # given, and wrong: not the same as absent
    with pytest.raises(exceptions.InvalidArgument, match="data_crc32c"):
        client.add_secret_version(parent=secret, payload=payload)


def test_limits_a_payload_to_64_kib(client: Client, secret: str) -> None:
    add(client, secret, b"x" * 65_536)
    for refused in (b"x" * 65_537, b""):
        with pytest.raises(exceptions.InvalidArgument, match="65536"):
            add(client, secret, refused)


def test_lists_versions_newest_first_and_in_pages(client: Client, secret: str) -> None:
    for number in range(1, 6):
        add(client, secret, str(number).encode())
    everything = [v.name.rsplit("/", 1)[1] for v in client.list_secret_versions(parent=secret)]
    assert everything == ["5", "4", "3", "2", "1"]
    pages = list(
        client.list_secret_versions(
            request=sm.ListSecretVersionsRequest(parent=secret, page_size=2)
        ).pages
    )
    assert [[v.name.rsplit("/", 1)[1] for v in page.versions] for page in pages] == [
        ["5", "4"],
        ["3", "2"],
        ["1"],
    ]
    assert [bool(page.next_page_token) for page in pages] == [True, True, False]
    assert {page.total_size for page in pages} == {5}


def test_filters_versions_by_state(client: Client, secret: str) -> None:
    for data in (b"one", b"two"):
        add(client, secret, data)
    client.disable_secret_version(name=f"{secret}/versions/2")
    request = sm.ListSecretVersionsRequest(parent=secret, filter="state:ENABLED")
    assert [v.name for v in client.list_secret_versions(request=request)] == [
        f"{secret}/versions/1"
    ]
    request.filter = "create_time>2026-01-01"
    with pytest.raises(exceptions.MethodNotImplemented):
        client.list_secret_versions(request=request)


def test_refuses_to_create_a_secret_twice(client: Client, secret: str) -> None:
    with pytest.raises(exceptions.AlreadyExists) as caught:
        create(client, PARENT, secret.rsplit("/", 1)[1])
    assert caught.value.message == f"Secret [{secret}] already exists."


def test_refuses_a_secret_it_cannot_name_or_place(client: Client) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="secret_id"):
        create(client, PARENT, "has spaces")
    with pytest.raises(exceptions.InvalidArgument, match="replication"):
        client.create_secret(parent=PARENT, secret_id="NOWHERE", secret=sm.Secret())


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda c, s: c.get_secret(name=f"{s}-no"), "Secret [{s}-no] not found."),
        (lambda c, s: add(c, f"{s}-no", b"x"), "Secret [{s}-no] not found."),
        (lambda c, s: c.list_secret_versions(parent=f"{s}-no"), "Secret [{s}-no] not found."),
        (
            lambda c, s: c.get_secret_version(name=f"{s}/versions/7"),
            "Secret Version [{s}/versions/7] not found.",
        ),
        (
            lambda c, s: c.access_secret_version(name=f"{s}/versions/0"),
            "Secret Version [{s}/versions/0] not found.",
        ),
        (
            lambda c, s: c.access_secret_version(name=f"{s}/versions/latest"),
            "Secret [{s}] not found or has no versions.",
        ),
    ],
    ids=["secret", "parent of a payload", "parent of a list", "version", "version 0", "latest"],
)
def test_does_not_find_what_is_missing(
    client: Client, secret: str, call: Callable[[Client, str], Any], text: str
) -> None:
    with pytest.raises(exceptions.NotFound) as caught:
        call(client, secret)
    assert caught.value.message == text.format(s=secret)


@pytest.mark.parametrize("name", ["", "KEY", "projects/p/secrets/KEY/versions/1/more"])
def test_refuses_a_malformed_name(client: Client, name: str) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        client.access_secret_version(name=name)


def test_latest_is_the_highest_number_even_when_disabled(client: Client, secret: str) -> None:
    for data in (b"one", b"two"):
        add(client, secret, data)
    latest = f"{secret}/versions/latest"
    answer = client.access_secret_version(name=latest)
    assert (answer.name, answer.payload.data) == (f"{secret}/versions/2", b"two")
    assert client.disable_secret_version(name=f"{secret}/versions/2").state == STATE.DISABLED
    with pytest.raises(exceptions.FailedPrecondition) as caught:
        client.access_secret_version(name=latest)
    assert caught.value.message == f"Secret Version [{secret}/versions/2] is in DISABLED state."
    assert client.access_secret_version(name=f"{secret}/versions/1").payload.data == b"one"
    assert client.get_secret_version(name=latest).state == STATE.DISABLED


def test_an_enabled_version_serves_its_payload_again(client: Client, secret: str) -> None:
    name = add(client, secret, b"value").name
    client.disable_secret_version(name=name)
    client.disable_secret_version(name=name)  # to the state it is in: allowed
    assert client.enable_secret_version(name=name).state == STATE.ENABLED
    assert client.access_secret_version(name=name).payload.data == b"value"


def test_a_destroyed_version_stays_listed_and_never_comes_back(client: Client, secret: str) -> None:
    name = add(client, secret, b"value").name
    destroyed = client.destroy_secret_version(name=name)
    assert destroyed.state == STATE.DESTROYED
    assert destroyed.destroy_time >= destroyed.create_time
    assert [v.state for v in client.list_secret_versions(parent=secret)] == [STATE.DESTROYED]
    for call in (
        client.access_secret_version,
        client.enable_secret_version,
        client.disable_secret_version,
        client.destroy_secret_version,
    ):
        with pytest.raises(exceptions.FailedPrecondition) as caught:
            call(name=name)
        assert caught.value.message == f"Secret Version [{name}] is in DESTROYED state."
    assert add(client, secret, b"next").name == f"{secret}/versions/2"


def test_a_deleted_secret_is_gone_and_begins_again_at_one(client: Client, secret: str) -> None:
    add(client, secret, b"value")
    client.delete_secret(name=secret)
    with pytest.raises(exceptions.NotFound):
        client.get_secret(name=secret)
    create(client, PARENT, secret.rsplit("/", 1)[1])
    assert add(client, secret, b"new").name == f"{secret}/versions/1"


def test_an_outdated_etag_is_refused(client: Client, secret: str) -> None:
    version = add(client, secret, b"value")
    request = sm.EnableSecretVersionRequest(name=version.name, etag=version.etag)
    renewed = client.enable_secret_version(request=request)  # changes nothing but the ETag
    assert renewed.etag != version.etag
    with pytest.raises(exceptions.FailedPrecondition, match="ETag"):
        client.destroy_secret_version(
            request=sm.DestroySecretVersionRequest(name=version.name, etag=version.etag)
        )
    with pytest.raises(exceptions.FailedPrecondition, match="ETag"):
        client.delete_secret(request=sm.DeleteSecretRequest(name=secret, etag='"0"'))
    current = client.get_secret(name=secret).etag  # that of a secret is not its versions'
    client.delete_secret(request=sm.DeleteSecretRequest(name=secret, etag=current))


async def test_the_async_client_speaks_to_it_too(standin: Standin, secret: str) -> None:
    channel = grpc.aio.insecure_channel(standin.address)
    transport = SecretManagerServiceGrpcAsyncIOTransport(channel=channel)
    client = sm.SecretManagerServiceAsyncClient(transport=transport)
    payload = sm.SecretPayload(data=b"value")
    version = await client.add_secret_version(parent=secret, payload=payload)
    answer = await client.access_secret_version(name=version.name)
    assert answer.payload.data == b"value"
    assert [v.name async for v in await client.list_secret_versions(parent=secret)] == [
        version.name
    ]
    await client.delete_secret(name=secret)
    with pytest.raises(exceptions.NotFound):
        await client.get_secret(name=secret)
    await channel.close()


def test_control_counts_accesses_by_version(client: Client, secret: str, control: str) -> None:
    before = httpx.get(f"{control}/sim/accesses").json()
    name = add(client, secret, b"value").name
    for asked in (name, f"{secret}/versions/latest"):
        client.access_secret_version(name=asked)
    with pytest.raises(exceptions.NotFound):
        client.access_secret_version(name=f"{secret}/versions/9")
    after = httpx.get(f"{control}/sim/accesses").json()
    assert after["count"] - before["count"] == 3
    assert after["failed"] - before["failed"] == 1
    assert after["versions"][name] == 2


def test_control_makes_the_next_accesses_fail(client: Client, secret: str, control: str) -> None:
    name = add(client, secret, b"value").name
    httpx.post(f"{control}/sim/fail", json={"code": "UNAVAILABLE", "count": 2}).raise_for_status()
    for _ in range(2):
        with pytest.raises(exceptions.ServiceUnavailable):
            client.access_secret_version(name=name, retry=None)
    assert client.access_secret_version(name=name, retry=None).payload.data == b"value"


def test_control_makes_another_method_fail(client: Client, secret: str, control: str) -> None:
    order = {"code": "PERMISSION_DENIED", "count": 1, "method": "AddSecretVersion"}
    httpx.post(f"{control}/sim/fail", json=order).raise_for_status()
    with pytest.raises(exceptions.PermissionDenied):
        add(client, secret, b"value")
    assert add(client, secret, b"value").name == f"{secret}/versions/1"


def test_control_loses_the_answer_of_a_call_that_is_applied(
    client: Client, secret: str, control: str
) -> None:
    order = {"code": "DEADLINE_EXCEEDED", "count": 1, "method": "AddSecretVersion"}
    httpx.post(f"{control}/sim/fail", json={**order, "applied": True}).raise_for_status()
    with pytest.raises(exceptions.DeadlineExceeded):
        add(client, secret, b"value")
    assert add(client, secret, b"value").name == f"{secret}/versions/2"


@pytest.mark.parametrize(
    "order",
    [
        {},
        [],
        {"code": "NO_SUCH", "count": 1},
        {"code": "OK", "count": 1},
        {"code": "UNAVAILABLE", "count": -1},
        {"code": "UNAVAILABLE", "count": 1, "method": "NoSuch"},
    ],
)
def test_control_refuses_an_order_it_does_not_understand(control: str, order: object) -> None:
    assert httpx.post(f"{control}/sim/fail", json=order).status_code == 400


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_with_one_line_printed(number: signal.Signals) -> None:
    with started() as standin:
        channel = grpc.insecure_channel(standin.address)
        client = Client(transport=SecretManagerServiceGrpcTransport(channel=channel))
        name = add(client, create(client, PARENT).name, b"sk-or-v1-not-to-be-seen").name
        client.access_secret_version(name=name)
        channel.close()
        os.kill(standin.process.pid, number)
        rest, _ = standin.process.communicate(timeout=10)
        assert standin.process.returncode == 0
        assert rest == ""
        assert standin.line.startswith("Secret Manager stand-in")
        assert "control" not in standin.line  # off unless asked for


def test_says_so_when_its_port_is_taken(standin: Standin) -> None:
    port = standin.address.rsplit(":", 1)[1]
    second = subprocess.run(
        [sys.executable, "-m", "scripts.standins.secret_manager", "--port", port],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert second.returncode == 1
    assert port in second.stderr
    assert "Traceback" not in second.stderr


def test_is_not_to_be_reached_from_another_machine() -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "scripts.standins.secret_manager", "--host", "0.0.0.0"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert refused.returncode == 2
    assert "0.0.0.0" in refused.stderr
