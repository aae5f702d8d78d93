"""Secret Manager's failures: each is told as what it is, and none quotes a key."""

import json
from typing import Any, NoReturn, cast

import pytest
from google.api_core import exceptions
from google.cloud.secretmanager_v1 import SecretManagerServiceAsyncClient
from google.rpc.error_details_pb2 import ErrorInfo  # type: ignore[import-untyped]

from firerouter.callable import CallableError
from firerouter.errors import KeyMissing, KeyStoreDisabled, KeyStoreForbidden, KeyUnavailable
from firerouter.keys.limits import KeyLimits
from firerouter.keys.pool import KeyPool
from firerouter.keys.secret import Secret
from firerouter.keys.slots import KeyEntry, KeySlots
from firerouter.keys.vault import Vault

TEXT = "the request held sk-canary"


def google(kind: type[exceptions.GoogleAPICallError], reason: str = "") -> Exception:
    info = ErrorInfo(reason=reason, domain="googleapis.com")
    return kind(TEXT, error_info=info if reason else None)


class Failing:
    """A client whose calls all fail."""

    def __init__(self, failure: Exception) -> None:
        self.failure = failure
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        async def fail(*args: object, retry: None, timeout: float, **fields: object) -> NoReturn:
            assert timeout > 0
            self.calls.append(name)
            raise self.failure

        return fail


def vault(failure: Exception) -> Vault:
    client = Failing(failure)
    return Vault("demo", client=lambda: cast(SecretManagerServiceAsyncClient, client))


CALLS: dict[str, Any] = {
    "read": lambda vault: vault.read(1),
    "list": lambda vault: vault.enabled_versions(),
    "add": lambda vault: vault.add(Secret("sk-canary")),
    "disable": lambda vault: vault.disable(1),
}
KINDS: list[tuple[Exception, type[CallableError]]] = [
    (google(exceptions.PermissionDenied), KeyStoreForbidden),
    (google(exceptions.PermissionDenied, "IAM_PERMISSION_DENIED"), KeyStoreForbidden),
    (google(exceptions.Forbidden), KeyStoreForbidden),
    (google(exceptions.Unauthenticated), KeyStoreForbidden),
    (google(exceptions.PermissionDenied, "SERVICE_DISABLED"), KeyStoreDisabled),
    (google(exceptions.ServiceUnavailable), KeyUnavailable),
    (google(exceptions.InternalServerError), KeyUnavailable),
    (google(exceptions.DeadlineExceeded), KeyUnavailable),
    (google(exceptions.ResourceExhausted), KeyUnavailable),
    (exceptions.RetryError(TEXT, None), KeyUnavailable),  # type: ignore[no-untyped-call]  # no types
    (TimeoutError(TEXT), KeyUnavailable),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("failure", "expected"), KINDS, ids=[f"{type(failure).__name__}" for failure, _ in KINDS]
)
async def test_a_failure_is_told_as_what_it_is(
    failure: Exception,
    expected: type[CallableError],
    call: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(CallableError) as told:
        await CALLS[call](vault(failure))
    assert type(told.value) is expected
    assert told.value.retryable == (expected is KeyUnavailable)
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    # tasks that earlier tests left may log as well
    (logged,) = (line for line in lines if line.get("type") == type(failure).__name__)
    assert logged["severity"] == "ERROR"
    assert "canary" not in f"{told.value.message} {told.value.details} {logged}"
    assert told.value.__cause__ is None
    assert told.value.__suppress_context__


@pytest.mark.parametrize("call", CALLS)
async def test_our_own_mistake_is_neither_an_outage_nor_an_admins(call: str) -> None:
    with pytest.raises(RuntimeError) as told:
        await CALLS[call](vault(google(exceptions.InvalidArgument)))
    assert "canary" not in str(told.value)


@pytest.mark.parametrize("kind", [exceptions.NotFound, exceptions.FailedPrecondition])
async def test_what_is_not_there_or_not_enabled_is_missing(
    kind: type[exceptions.GoogleAPICallError],
) -> None:
    absent = vault(google(kind))
    with pytest.raises(KeyMissing):
        await absent.read(1)
    assert await absent.enabled_versions() == set()
    await absent.disable(1)
    with pytest.raises(KeyUnavailable):
        await absent.add(Secret("sk-canary"))  # nor is the project


def test_what_users_are_told_names_neither_keys_nor_secret_manager() -> None:
    for kind in (KeyStoreForbidden, KeyStoreDisabled):
        assert not {"key", "Secret Manager", "OpenRouter"} & set(kind.sentence.split())
        assert "console" in kind.admin_sentence


class Slots:
    """Two default keys."""

    async def get(self, *, refresh: bool = False) -> KeySlots:
        return KeySlots((KeyEntry(1), KeyEntry(2)))


@pytest.mark.parametrize(
    ("reason", "expected"), [("", KeyStoreForbidden), ("SERVICE_DISABLED", KeyStoreDisabled)]
)
async def test_a_pool_that_may_not_read_says_so_and_offers_no_other_key(
    reason: str, expected: type[CallableError]
) -> None:
    pool = KeyPool(vault(google(exceptions.PermissionDenied, reason)), Slots(), limits=KeyLimits())
    with pytest.raises(expected):
        await pool.slot("chat").get()
    assert await pool.slot("chat").next_after_refusal([Secret("sk-canary", 1)]) is None
