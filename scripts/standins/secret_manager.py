"""A stand-in for Google Secret Manager: its gRPC service on loopback, in memory.

Google's clients reach it over a plaintext channel, because there is neither an emulator nor a
variable that points the clients elsewhere:

    channel = grpc.aio.insecure_channel("127.0.0.1:9182")
    transport = SecretManagerServiceGrpcAsyncIOTransport(channel=channel)
    client = SecretManagerServiceAsyncClient(transport=transport)

Its answers follow Google's `google.cloud.secretmanager.v1` reference and the guides on secret
versions, ETags and quotas. The usual surprises are the same:

  * the API takes a project ID, but answers with names that contain the project's number;
  * `latest` is the highest number whatever its state, so disabling the newest breaks `latest`;
  * a destroyed version stays in the list, without its data, forever;
  * a secret that is deleted and created again starts again at version 1.

It has no IAM, regional secrets, aliases, rotation or quotas. It prints no payload.

With `--control-port`, tests observe and disturb it over HTTP:

    GET  /sim/accesses  -> {"count": 3, "failed": 1, "versions": {"projects/.../versions/1": 2}}
    POST /sim/fail      <- {"code": "UNAVAILABLE", "count": 2, "method": "AccessSecretVersion"}
                           the next calls of that method (the default) fail with that status;
                           with "applied": true they take effect, and then fail
"""

import argparse
import asyncio
import re
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any, TypeVar

import google_crc32c
import grpc
from aiohttp import web
from google.cloud import secretmanager_v1 as sm

from scripts.standins import DEMO_PROJECT, DEMO_PROJECT_NUMBER
from scripts.standins.server import add_address_options, stop_event

SERVICE = "google.cloud.secretmanager.v1.SecretManagerService"
DEFAULT_PORT = 9182
PAYLOAD_MAX_BYTES = 64 * 1024  # "Quotas and limits" of Secret Manager
PAGE_MAX_ITEMS = 25_000  # larger page sizes are capped, according to ListSecretVersionsRequest

_SECRET_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_PROJECT = re.compile(r"projects/([^/]+)")
_SECRET = re.compile(r"(projects/[^/]+)/secrets/([^/]+)")
_VERSION = re.compile(r"(projects/[^/]+/secrets/[^/]+)/versions/([^/]+)")
_STATE_FILTER = re.compile(r"state\s*[:=]\s*(ENABLED|DISABLED|DESTROYED)")

_State = sm.SecretVersion.State
_Item = TypeVar("_Item")


class Refusal(Exception):
    """The call ends with a gRPC status other than OK."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass
class _Version:
    record: sm.SecretVersion
    data: bytes = field(repr=False)


@dataclass
class _Secret:
    record: sm.Secret
    versions: list[_Version] = field(default_factory=list)  # version n is at n - 1


class SecretStore:
    """The secrets of one process, with a method for each RPC, from its request to its reply."""

    def __init__(self) -> None:
        self._secrets: dict[str, _Secret] = {}
        self._etags = count(1)

    def create_secret(self, request: sm.CreateSecretRequest) -> sm.Secret:
        project = _project_name(request.parent)
        if not _SECRET_ID.fullmatch(request.secret_id):
            raise _invalid("secret_id must be 1 to 255 of the characters A-Z a-z 0-9 _ -")
        if "replication" not in request.secret:
            raise _invalid("secret.replication is required")
        name = f"{project}/secrets/{request.secret_id}"
        if name in self._secrets:
            raise Refusal(grpc.StatusCode.ALREADY_EXISTS, f"Secret [{name}] already exists.")
        record = sm.Secret(request.secret)
        record.name = name
        record.create_time = datetime.now(UTC)
        record.etag = self._etag()
        self._secrets[name] = _Secret(record)
        return record

    def get_secret(self, request: sm.GetSecretRequest) -> sm.Secret:
        return self._find_secret(request.name).record

    def list_secrets(self, request: sm.ListSecretsRequest) -> sm.ListSecretsResponse:
        if request.filter:
            raise Refusal(grpc.StatusCode.UNIMPLEMENTED, "The stand-in filters no secrets.")
        prefix = _project_name(request.parent) + "/secrets/"
        found = [s.record for name, s in self._secrets.items() if name.startswith(prefix)]
        page, token = _page(found[::-1], request.page_size, request.page_token)
        return sm.ListSecretsResponse(secrets=page, next_page_token=token, total_size=len(found))

    def delete_secret(self, request: sm.DeleteSecretRequest) -> None:
        record = self._find_secret(request.name).record
        _check_etag(request.etag, record.etag)
        del self._secrets[record.name]

    def add_secret_version(self, request: sm.AddSecretVersionRequest) -> sm.SecretVersion:
        secret = self._find_secret(request.parent)
        data = request.payload.data
        if not 0 < len(data) <= PAYLOAD_MAX_BYTES:
            raise _invalid(f"payload.data must be 1 to {PAYLOAD_MAX_BYTES} bytes, not {len(data)}")
        checked = "data_crc32c" in request.payload
        if checked and request.payload.data_crc32c != google_crc32c.value(data):
            raise _invalid("payload.data_crc32c is not the CRC32C of payload.data")
        record = sm.SecretVersion(
            name=f"{secret.record.name}/versions/{len(secret.versions) + 1}",
            create_time=datetime.now(UTC),
            state=_State.ENABLED,
            etag=self._etag(),
            client_specified_payload_checksum=checked,
        )
        secret.versions.append(_Version(record, data))
        return record

    def access_secret_version(
        self, request: sm.AccessSecretVersionRequest
    ) -> sm.AccessSecretVersionResponse:
        version = self._find_version(request.name)
        record = version.record
        if record.state != _State.ENABLED:
            raise _wrong_state(record)
        payload = sm.SecretPayload(data=version.data, data_crc32c=google_crc32c.value(version.data))
        return sm.AccessSecretVersionResponse(name=record.name, payload=payload)

    def get_secret_version(self, request: sm.GetSecretVersionRequest) -> sm.SecretVersion:
        return self._find_version(request.name).record

    def list_secret_versions(
        self, request: sm.ListSecretVersionsRequest
    ) -> sm.ListSecretVersionsResponse:
        found = [v.record for v in reversed(self._find_secret(request.parent).versions)]
        total = len(found)
        if request.filter:
            match = _STATE_FILTER.fullmatch(request.filter.strip())
            if not match:
                raise Refusal(
                    grpc.StatusCode.UNIMPLEMENTED, "The stand-in filters by `state:NAME` alone."
                )
            found = [record for record in found if _State(record.state).name == match[1]]
            total = 0  # the real service does not count filtered versions
        page, token = _page(found, request.page_size, request.page_token)
        return sm.ListSecretVersionsResponse(versions=page, next_page_token=token, total_size=total)

    def disable_secret_version(self, request: sm.DisableSecretVersionRequest) -> sm.SecretVersion:
        return self._change(request.name, request.etag, _State.DISABLED).record

    def enable_secret_version(self, request: sm.EnableSecretVersionRequest) -> sm.SecretVersion:
        return self._change(request.name, request.etag, _State.ENABLED).record

    def destroy_secret_version(self, request: sm.DestroySecretVersionRequest) -> sm.SecretVersion:
        version = self._change(request.name, request.etag, _State.DESTROYED)
        version.data = b""
        version.record.destroy_time = datetime.now(UTC)
        return version.record

    def _change(self, name: str, etag: str, state: int) -> _Version:
        """Set a version's state, which may be its present one; the ETag changes either way."""
        version = self._find_version(name)
        if version.record.state == _State.DESTROYED:
            raise _wrong_state(version.record)
        _check_etag(etag, version.record.etag)
        version.record.state = _State(state)
        version.record.etag = self._etag()
        return version

    def _find_secret(self, name: str) -> _Secret:
        match = _SECRET.fullmatch(name)
        if not match:
            raise _invalid("The resource name must be projects/*/secrets/*")
        known = f"{_project_name(match[1])}/secrets/{match[2]}"
        if known not in self._secrets:
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"Secret [{known}] not found.")
        return self._secrets[known]

    def _find_version(self, name: str) -> _Version:
        match = _VERSION.fullmatch(name)
        if not match:
            raise _invalid("The resource name must be projects/*/secrets/*/versions/*")
        secret = self._find_secret(match[1])
        number = match[2]
        if number == "latest":
            if not secret.versions:
                text = f"Secret [{secret.record.name}] not found or has no versions."
                raise Refusal(grpc.StatusCode.NOT_FOUND, text)
            return secret.versions[-1]
        for version in secret.versions:
            if version.record.name.endswith(f"/versions/{number}"):
                return version
        text = f"Secret Version [{secret.record.name}/versions/{number}] not found."
        raise Refusal(grpc.StatusCode.NOT_FOUND, text)

    def _etag(self) -> str:
        return f'"{next(self._etags):x}"'  # the quotation marks are part of an ETag


def _project_name(parent: str) -> str:
    """Return `projects/<number>` for either spelling of a project."""
    match = _PROJECT.fullmatch(parent)
    if not match:
        raise _invalid("The parent must be projects/*")
    project = match[1]
    if project.isdecimal():
        return parent
    if project == DEMO_PROJECT:
        return f"projects/{DEMO_PROJECT_NUMBER}"
    # any other ID gets a number of its own, which is the same after a restart
    return f"projects/{100_000_000_000 + zlib.crc32(project.encode())}"


def _page(items: Sequence[_Item], size: int, token: str) -> tuple[Sequence[_Item], str]:
    """Return a page of a list, and the token of the next one ("" after the last)."""
    if size < 0:
        raise _invalid("page_size must not be negative")
    if token and not (token.isascii() and token.isdecimal()):
        raise _invalid("page_token is not one of ours")
    start = int(token or 0)
    end = start + min(size or PAGE_MAX_ITEMS, PAGE_MAX_ITEMS)
    return items[start:end], str(end) if end < len(items) else ""


def _check_etag(given: str, current: str) -> None:
    if given and given != current:
        text = "The ETag given does not match that of the resource."
        raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, text)


def _invalid(text: str) -> Refusal:
    return Refusal(grpc.StatusCode.INVALID_ARGUMENT, text)


def _wrong_state(record: sm.SecretVersion) -> Refusal:
    text = f"Secret Version [{record.name}] is in {_State(record.state).name} state."
    return Refusal(grpc.StatusCode.FAILED_PRECONDITION, text)


RPCS: dict[str, Callable[[SecretStore, Any], Any]] = {
    "CreateSecret": SecretStore.create_secret,
    "GetSecret": SecretStore.get_secret,
    "ListSecrets": SecretStore.list_secrets,
    "DeleteSecret": SecretStore.delete_secret,
    "AddSecretVersion": SecretStore.add_secret_version,
    "AccessSecretVersion": SecretStore.access_secret_version,
    "GetSecretVersion": SecretStore.get_secret_version,
    "ListSecretVersions": SecretStore.list_secret_versions,
    "DisableSecretVersion": SecretStore.disable_secret_version,
    "EnableSecretVersion": SecretStore.enable_secret_version,
    "DestroySecretVersion": SecretStore.destroy_secret_version,
}


@dataclass
class Control:
    """The accesses that tests observe, and the failures that they order."""

    accesses: Counter[str] = field(default_factory=Counter)  # by the version served
    failed: int = 0  # accesses answered with an error, ordered or not
    failures: dict[tuple[str, bool], list[grpc.StatusCode]] = field(default_factory=dict)

    def fail_if_ordered(self, method: str, *, applied: bool) -> None:
        if codes := self.failures.get((method, applied)):
            code = codes.pop()
            raise Refusal(code, "The stand-in was told to fail this call.")

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/sim/accesses", self._show)
        app.router.add_post("/sim/fail", self._order)
        return app

    async def _show(self, _request: web.Request) -> web.Response:
        total = self.accesses.total() + self.failed
        return web.json_response(
            {"count": total, "failed": self.failed, "versions": dict(self.accesses)}
        )

    async def _order(self, request: web.Request) -> web.Response:
        """Order failures of a method, in place of earlier orders; a count of 0 ends them."""
        try:
            order = await request.json()
            code = grpc.StatusCode[order["code"]]
            times = int(order["count"])
            method = order.get("method", "AccessSecretVersion")
            applied = order.get("applied") is True
        except (ValueError, KeyError, TypeError, AttributeError):
            text = 'want {"code": a gRPC status name, "count": number, "method"?: an RPC name}'
            return web.json_response({"error": text}, status=400)
        if method not in RPCS or code is grpc.StatusCode.OK or times < 0:
            return web.json_response({"error": "no such method, code or count"}, status=400)
        self.failures[method, applied] = [code] * times
        return web.json_response({"method": method, "code": code.name, "count": times})


def _handler(method: str, store: SecretStore, control: Control) -> Any:
    """Return the gRPC handler of a method, the only place that turns a Refusal into a status."""
    call = RPCS[method]
    request_type: Any = getattr(sm, f"{method}Request")  # it deserializes itself
    is_access = method == "AccessSecretVersion"

    async def handle(request: Any, context: Any) -> bytes:
        try:
            control.fail_if_ordered(method, applied=False)
            reply = call(store, request)
            control.fail_if_ordered(method, applied=True)
        except Refusal as refusal:
            control.failed += is_access
            await context.abort(refusal.code, refusal.text)
        if is_access:
            control.accesses[reply.name] += 1
        # protobuf writes an Empty as nothing at all
        return b"" if reply is None else bytes(type(reply).serialize(reply))

    return grpc.unary_unary_rpc_method_handler(
        handle, request_deserializer=request_type.deserialize
    )


async def serve(host: str, port: int, control_port: int) -> None:
    """Serve until SIGINT or SIGTERM. A `port` of 0 picks a free one; no control port if it is 0."""
    stop = stop_event()
    store, control = SecretStore(), Control()
    handlers = {method: _handler(method, store, control) for method in RPCS}
    # otherwise a second process on the same port would silently share its calls
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
    runner = web.AppRunner(control.app(), access_log=None)
    where = f"[{host}]" if ":" in host else host
    try:
        bound = server.add_insecure_port(f"{where}:{port}")
        await server.start()
        line = f"Secret Manager stand-in (in memory, not Google's): gRPC on {where}:{bound}"
        if control_port:
            await runner.setup()
            await web.TCPSite(runner, host, control_port).start()
            line += f", control on http://{where}:{control_port}"
        print(line, flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()
        await server.stop(grace=1)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.standins.secret_manager",
        description="A stand-in for Google Secret Manager: gRPC on loopback, in memory.",
    )
    add_address_options(parser, default_port=DEFAULT_PORT)
    parser.add_argument(
        "--control-port",
        type=int,
        default=0,
        help="an HTTP port for tests, see the module (default: none)",
    )
    options = parser.parse_args()
    try:
        asyncio.run(serve(options.host, options.port, options.control_port))
    except (OSError, RuntimeError) as error:  # grpc raises RuntimeError if the port is taken
        sys.exit(f"Secret Manager stand-in: {error}")


if __name__ == "__main__":
    main()
