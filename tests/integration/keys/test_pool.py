"""The key: a secret that does not print, and where it comes from."""

import asyncio
import copy
import dataclasses
import json
import logging
import pickle
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import pytest
from google.cloud import secretmanager_v1 as sm
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceGrpcAsyncIOTransport,
)

from firerouter import log
from firerouter.errors import (
    KeyMissing,
    KeyStoreForbidden,
    KeyUnavailable,
    SettingsUnavailable,
)
from firerouter.keys.limits import KeyLimits
from firerouter.keys.pool import KeyPool, KeySlot
from firerouter.keys.secret import Secret
from firerouter.keys.slots import KeyEntry, KeySlots
from firerouter.keys.vault import SECRET_ID, Vault
from scripts.devtools.ports import free_port
from tests.support.repository import ROOT

VALUE = "sk-or-v1-canary-5d1e"
MARGIN_S = 5.0  # a busy machine's
LIMITS = KeyLimits()


# -- a secret --------------------------------------------------------------------------------------


@dataclass
class Holder:
    name: str
    key: Secret


PRINTED: dict[str, Callable[[Secret], str]] = {
    "repr": repr,
    "str": str,
    "an f-string": lambda key: f"{key} {key!r} {key!s} {key:>40}",
    "format": lambda key: "{} {:s}".format(key, key),  # noqa: UP032  # format itself is meant
    "percent": lambda key: "%s %r" % (key, key),  # noqa: UP031  # and so is this
    "a dataclass": lambda key: repr(Holder("x", key)),
    "a list": lambda key: str([key, (key,), {"key": key}]),
    "a record of ours": lambda key: json.dumps({"key": key}, default=str),
    "an exception": lambda key: "".join(traceback.format_exception(ValueError(key))),
    "its attributes": lambda key: str(getattr(key, "__dict__", {})),
    "ascii": ascii,
    "its hash": lambda key: str(hash(key)),
}


@pytest.mark.parametrize("printed", PRINTED.values(), ids=PRINTED)
def test_a_secret_does_not_show_in(printed: Callable[[Secret], str]) -> None:
    shown = printed(Secret(VALUE))
    assert VALUE not in shown
    assert "canary" not in shown


def test_a_secret_does_not_show_in_a_log(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    key = Secret(VALUE)
    logging.getLogger("test").error("%s %r", key, [key], extra={"key": key})
    log.error("test", key=key, keys=[key], nested={"key": key})
    try:
        raise ValueError(key)
    except ValueError as error:
        logging.getLogger("test").exception("it broke")
        log.unexpected(error, "0" * 32)
    captured = capsys.readouterr()
    assert "canary" not in caplog.text + captured.out + captured.err
    assert captured.out


@pytest.mark.parametrize(
    "copied",
    [
        pickle.dumps,
        copy.copy,
        copy.deepcopy,
        lambda key: pickle.dumps(Holder("x", key)),
        lambda key: dataclasses.asdict(Holder("x", key)),
        json.dumps,
        vars,
    ],
    ids=["pickle", "copy", "deepcopy", "pickle within", "asdict", "json", "vars"],
)
def test_a_secret_is_not_serialised(copied: Callable[[Secret], Any]) -> None:
    with pytest.raises(TypeError) as refused:
        copied(Secret(VALUE))
    assert "canary" not in str(refused.value)


def test_a_secret_can_be_revealed_compared_and_told_apart_by_its_end() -> None:
    assert Secret(VALUE).reveal() == VALUE
    assert Secret(VALUE) == Secret(VALUE)
    assert Secret(VALUE) != Secret("other")
    assert Secret(VALUE) != VALUE
    assert Secret(VALUE).last_four == "5d1e"


def test_the_last_four_of_a_short_secret_are_not_the_whole_of_it() -> None:
    assert Secret("abcd").last_four != "abcd"


# -- the store, against the stand-in ---------------------------------------------------------------


@dataclass
class Standin:
    """Secret Manager, and the port that disturbs it."""

    address: str
    control: str
    project: str = ""

    async def fail(self, code: str, count: int = 1) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            order = {"code": code, "count": count}
            (await client.post(f"{self.control}/sim/fail", json=order)).raise_for_status()

    async def accesses(self) -> int:
        async with httpx.AsyncClient(trust_env=False) as client:
            return int((await client.get(f"{self.control}/sim/accesses")).json()["count"])


@pytest.fixture(scope="module")
def process() -> Iterator[Standin]:
    control = free_port()
    command = [sys.executable, "-m", "scripts.standins.secret_manager", "--port", "0"]
    with subprocess.Popen(
        [*command, "--control-port", str(control)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert "gRPC on " in line, line + process.stdout.read()
            address = line.split("gRPC on ")[1].split(",")[0].strip()
            yield Standin(address, f"http://127.0.0.1:{control}")
        finally:
            process.kill()


@pytest.fixture
async def standin(process: Standin, request: pytest.FixtureRequest) -> AsyncIterator[Standin]:
    """With a project that no other test has."""
    process.project = f"p-{abs(hash(request.node.name))}"
    yield process
    await process.fail("UNAVAILABLE", 0)


def client_of(address: str) -> Any:
    channel = grpc.aio.insecure_channel(address)
    return sm.SecretManagerServiceAsyncClient(
        transport=SecretManagerServiceGrpcAsyncIOTransport(channel=channel)
    )


@pytest.fixture
async def client(standin: Standin) -> Any:
    # made inside the loop that it belongs to from then on
    return client_of(standin.address)


async def store(client: Any, project: str, *values: str) -> None:
    """Each value a version, from 1."""
    record = sm.Secret(replication=sm.Replication(automatic=sm.Replication.Automatic()))
    secret = await client.create_secret(
        parent=f"projects/{project}", secret_id=SECRET_ID, secret=record
    )
    for value in values:
        await client.add_secret_version(
            parent=secret.name, payload=sm.SecretPayload(data=value.encode())
        )


class Config:
    """What `config/app` says of the keys, and how often it was asked."""

    def __init__(self, *default: int | None, **features: list[int]) -> None:
        self.down = False
        self.asked = 0
        self.slots = KeySlots()
        self.say(*default, **features)

    def say(self, *default: int | None, **features: list[int]) -> None:
        """None is the first boot."""
        own = {id_: tuple(map(KeyEntry, versions)) for id_, versions in features.items()}
        named = tuple(KeyEntry(version) for version in default if version)
        self.slots = KeySlots(None if None in default else named, own)

    async def get(self, *, refresh: bool = False) -> KeySlots:
        self.asked += 1
        if self.down:
            raise SettingsUnavailable
        return self.slots


def keys(
    standin: Standin, client: Any, config: Config, limits: KeyLimits = LIMITS, **options: Any
) -> KeySlot:
    """The default ones."""
    return every(standin, client, config, limits, **options).slot(None)


def every(
    standin: Standin, client: Any, config: Config, limits: KeyLimits = LIMITS, **options: Any
) -> KeyPool:
    vault_ = Vault(standin.project, client=lambda: client, limits=limits)
    return KeyPool(vault_, config, limits=limits, **options)


async def test_the_version_that_serves_is_the_one_that_the_config_names(
    standin: Standin, client: Any
) -> None:
    await store(client, standin.project, "sk-one", "sk-two", "sk-three")
    served = await keys(standin, client, Config(2)).get()
    assert served == Secret("sk-two")


async def test_the_latest_serves_at_first_boot_only(standin: Standin, client: Any) -> None:
    await store(client, standin.project, "sk-one", "sk-two")
    config = Config(None)
    store_ = keys(standin, client, config)
    assert await store_.get() == Secret("sk-two")
    config.say(1)
    assert await store_.next_after_refusal([Secret("sk-two")]) == Secret("sk-one")


async def test_white_space_around_a_stored_key_is_no_part_of_it(
    standin: Standin, client: Any
) -> None:
    await store(client, standin.project, "  sk-one\r\n")
    assert await keys(standin, client, Config(1)).get() == Secret("sk-one")


@pytest.mark.parametrize("data", [b"  \n", b"\xff\xfe", b"sk-one\nsk-two", "sk-ü".encode()])
async def test_a_stored_key_that_cannot_be_one_is_as_good_as_missing(
    standin: Standin, client: Any, data: bytes
) -> None:
    """None of these can go into a header."""
    await store(client, standin.project)
    parent = f"projects/{standin.project}/secrets/{SECRET_ID}"
    await client.add_secret_version(parent=parent, payload=sm.SecretPayload(data=data))
    with pytest.raises(KeyMissing):
        await keys(standin, client, Config(1)).get()


async def test_many_callers_at_once_fetch_the_key_once(standin: Standin, client: Any) -> None:
    await store(client, standin.project, "sk-one")
    before = await standin.accesses()
    store_ = keys(standin, client, Config(1))
    served = await asyncio.gather(*(store_.get() for _ in range(50)))
    assert set(served) == {Secret("sk-one")}
    await store_.get()
    assert await standin.accesses() == before + 1


async def test_without_a_secret_the_key_is_missing(standin: Standin, client: Any) -> None:
    with pytest.raises(KeyMissing):
        await keys(standin, client, Config(None)).get()


async def test_without_that_version_the_key_is_missing(standin: Standin, client: Any) -> None:
    await store(client, standin.project, "sk-one")
    with pytest.raises(KeyMissing):
        await keys(standin, client, Config(7)).get()


@pytest.mark.parametrize("change", ["disable_secret_version", "destroy_secret_version"])
async def test_a_version_that_is_disabled_or_destroyed_is_missing(
    standin: Standin, client: Any, change: str
) -> None:
    await store(client, standin.project, "sk-one", "sk-two")
    name = f"projects/{standin.project}/secrets/{SECRET_ID}/versions/2"
    await getattr(client, change)(request={"name": name})
    for version in (2, None):
        with pytest.raises(KeyMissing):
            await keys(standin, client, Config(version)).get()


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "INTERNAL"])
async def test_a_store_that_fails_is_unavailable_and_recovers(
    standin: Standin, client: Any, code: str, capfd: pytest.CaptureFixture[str]
) -> None:
    await store(client, standin.project, "sk-one")
    await standin.fail(code)
    store_ = keys(standin, client, Config(1))
    with pytest.raises(KeyUnavailable):
        await store_.get()
    assert await store_.get() == Secret("sk-one")
    assert "key_unavailable" in capfd.readouterr().out


async def test_a_store_that_is_not_there_is_unavailable_and_soon(standin: Standin) -> None:
    async with asyncio.timeout(LIMITS.read_s + MARGIN_S):
        with pytest.raises(KeyUnavailable):
            await keys(standin, client_of("127.0.0.1:9"), Config(1)).get()


async def test_a_store_that_does_not_answer_is_unavailable_and_soon(standin: Standin) -> None:
    limits = KeyLimits(read_s=0.3)
    mute = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    address = f"127.0.0.1:{mute.sockets[0].getsockname()[1]}"
    async with asyncio.timeout(limits.read_s + MARGIN_S):
        with pytest.raises(KeyUnavailable):
            await keys(standin, client_of(address), Config(1), limits).get()
    mute.close()


async def test_a_config_that_cannot_be_read_is_said_to_be_that(
    standin: Standin, client: Any
) -> None:
    config = Config(1)
    config.down = True
    with pytest.raises(SettingsUnavailable):
        await keys(standin, client, config).get()


async def test_while_the_store_is_away_the_key_that_is_known_serves(
    standin: Standin, client: Any
) -> None:
    await store(client, standin.project, "sk-one")
    store_ = keys(standin, client, Config(1), KeyLimits(fresh_s=0.0))
    assert await store_.get() == Secret("sk-one")
    await standin.fail("UNAVAILABLE", 100)
    for _ in range(3):
        assert await store_.get() == Secret("sk-one")
        await asyncio.sleep(0.02)


async def test_a_new_version_serves_after_a_look_that_a_refusal_causes(
    standin: Standin, client: Any
) -> None:
    await store(client, standin.project, "sk-one", "sk-two")
    config = Config(1)
    store_ = keys(standin, client, config)
    refused = await store_.get()
    config.say(2)
    assert await store_.next_after_refusal([refused]) == Secret("sk-two")
    assert await store_.get() == Secret("sk-two")


async def test_another_version_serves_as_soon_as_the_config_names_it(
    standin: Standin, client: Any
) -> None:
    await store(client, standin.project, "sk-one", "sk-two")
    config = Config(1)
    store_ = keys(standin, client, config)
    assert await store_.get() == Secret("sk-one")
    config.say(2)
    assert await store_.get() == Secret("sk-two")


async def test_while_the_config_is_away_the_key_that_is_known_serves(
    standin: Standin, client: Any
) -> None:
    await store(client, standin.project, "sk-one")
    config = Config(1)
    store_ = keys(standin, client, config)
    await store_.get()
    config.down = True
    assert await store_.get() == Secret("sk-one")


async def test_a_key_that_was_put_is_not_fetched(standin: Standin, client: Any) -> None:
    store_ = every(standin, client, Config(7))
    store_.put(7, Secret("sk-seven"))
    assert await store_.slot(None).get() == Secret("sk-seven")
    assert (await store_.slot(None).get()).version == 7


async def test_there_is_no_other_key_when_the_same_one_is_still_stored(
    standin: Standin, client: Any
) -> None:
    await store(client, standin.project, "sk-one")
    store_ = keys(standin, client, Config(1))
    assert await store_.next_after_refusal([await store_.get()]) is None


# -- several keys, and a feature's own -------------------------------------------------------------


async def test_the_first_of_several_keys_serves_and_then_the_next(
    standin: Standin, client: Any
) -> None:
    await store(client, standin.project, "sk-one", "sk-two", "sk-three")
    slot = keys(standin, client, Config(3, 1, 2))
    tried = [await slot.get()]
    while (key := await slot.next_after_refusal(tried)) is not None:
        tried.append(key)
    assert [(key.reveal(), key.version) for key in tried] == [
        ("sk-three", 3),
        ("sk-one", 1),
        ("sk-two", 2),
    ]


async def test_a_refused_key_is_deprioritized_for_a_while_here(
    standin: Standin, client: Any
) -> None:
    await store(client, standin.project, "sk-one", "sk-two")
    now = 0.0
    all_keys = every(standin, client, Config(1, 2), clock=lambda: now)
    slot = all_keys.slot(None)
    await slot.next_after_refusal([await slot.get()])
    assert await slot.get() == await all_keys.slot("chat").get() == Secret("sk-two")
    now += LIMITS.deprioritized_s - 0.1
    assert await slot.get() == Secret("sk-two")
    now += 0.1
    assert await slot.get() == Secret("sk-one")


async def test_when_all_are_deprioritized_they_are_tried_in_order(
    standin: Standin, client: Any
) -> None:
    await store(client, standin.project, "sk-one", "sk-two")
    slot = keys(standin, client, Config(1, 2))
    for _ in range(2):
        first = await slot.get()
        assert first == Secret("sk-one")
        second = await slot.next_after_refusal([first])
        assert second == Secret("sk-two")
        assert await slot.next_after_refusal([first, second]) is None


async def test_a_key_that_replaced_the_refused_one_comes_before_the_next(
    standin: Standin, client: Any
) -> None:
    await store(client, standin.project, "sk-one", "sk-two", "sk-new")
    config = Config(1, 2)
    slot = keys(standin, client, config)
    refused = await slot.get()
    config.say(3, 2)
    assert await slot.next_after_refusal([refused]) == Secret("sk-new")
    assert await slot.get() == Secret("sk-new")


async def test_the_same_key_stored_twice_is_asked_with_once(standin: Standin, client: Any) -> None:
    await store(client, standin.project, "sk-one", "sk-one", "sk-two")
    slot = keys(standin, client, Config(1, 2, 3))
    assert await slot.next_after_refusal([await slot.get()]) == Secret("sk-two")


@pytest.mark.parametrize("change", ["disable_secret_version", "destroy_secret_version"])
async def test_a_key_that_is_gone_lets_the_next_one_serve(
    standin: Standin, client: Any, change: str
) -> None:
    await store(client, standin.project, "sk-one", "sk-two")
    name = f"projects/{standin.project}/secrets/{SECRET_ID}/versions/1"
    await getattr(client, change)(request={"name": name})
    before = await standin.accesses()
    slot = keys(standin, client, Config(1, 2))
    for _ in range(3):
        assert await slot.get() == Secret("sk-two")
    assert await standin.accesses() == before + 2  # nobody asks for it again and again


async def test_a_key_that_the_store_does_not_give_just_now_lets_the_next_one_serve(
    standin: Standin, client: Any
) -> None:
    await store(client, standin.project, "sk-one", "sk-two")
    slot = keys(standin, client, Config(1, 2))
    await standin.fail("INTERNAL")
    assert await slot.get() == Secret("sk-two")
    assert await slot.get() == Secret("sk-one")  # not deprioritized: it was no fault of its own
    await standin.fail("UNAVAILABLE", 2)
    with pytest.raises(KeyUnavailable):
        await keys(standin, client, Config(1, 2)).get()


async def test_a_features_own_keys_serve_it_and_nobody_else(standin: Standin, client: Any) -> None:
    await store(client, standin.project, "sk-one", "sk-two", "sk-three")
    all_keys = every(standin, client, Config(1, chat=[3, 2]))
    assert await all_keys.slot(None).get() == Secret("sk-one")
    assert await all_keys.slot("code").get() == Secret("sk-one")
    own = all_keys.slot("chat")
    tried = [await own.get()]
    assert tried == [Secret("sk-three")]
    while (key := await own.next_after_refusal(tried)) is not None:
        tried.append(key)
    assert tried == [Secret("sk-three"), Secret("sk-two")]


async def test_a_feature_whose_own_keys_are_gone_does_not_take_the_default_one(
    standin: Standin, client: Any
) -> None:
    await store(client, standin.project, "sk-one")
    with pytest.raises(KeyMissing):
        await every(standin, client, Config(1, chat=[7])).slot("chat").get()


async def test_no_key_is_looked_for_twice_where_there_is_none(
    standin: Standin, client: Any
) -> None:
    config = Config()
    with pytest.raises(KeyMissing):
        await keys(standin, client, config).get()
    assert config.asked == 1


async def test_there_is_no_other_key_when_it_cannot_be_looked_up(
    standin: Standin, client: Any
) -> None:
    await store(client, standin.project, "sk-one", "sk-two")
    slot = keys(standin, client, Config(1, 2))
    refused = await slot.get()
    await standin.fail("UNAVAILABLE")
    assert await slot.next_after_refusal([refused]) is None
    assert await slot.next_after_refusal([refused]) == Secret("sk-two")


async def test_while_the_config_is_away_the_next_key_that_is_known_of_serves(
    standin: Standin, client: Any
) -> None:
    await store(client, standin.project, "sk-one", "sk-two")
    config = Config(1, 2)
    slot = keys(standin, client, config)
    refused = await slot.get()
    config.down = True
    assert await slot.next_after_refusal([refused]) == Secret("sk-two")


async def test_a_version_that_serves_nobody_any_more_is_not_kept(
    standin: Standin, client: Any
) -> None:
    await store(client, standin.project, "sk-one", "sk-two")
    config = Config(1)
    all_keys = every(standin, client, config)
    await all_keys.slot(None).get()
    config.say(2)
    await all_keys.slot(None).get()
    assert set(all_keys._cache) == {2}


# -- what is written -------------------------------------------------------------------------------


def vault(standin: Standin, client: Any) -> Vault:
    return Vault(standin.project, client=lambda: client)


async def test_versions_are_numbered_listed_and_disabled(standin: Standin, client: Any) -> None:
    versions = vault(standin, client)
    assert await versions.enabled_versions() == set()
    assert [await versions.add(Secret(f"sk-{n}")) for n in (1, 2, 3)] == [1, 2, 3]
    await versions.disable(2)
    await versions.disable(2)
    await versions.disable(9)  # there is no such version
    assert await versions.enabled_versions() == {1, 3}
    assert await versions.read(3) == Secret("sk-3")


async def test_a_version_is_sent_with_its_checksum(standin: Standin, client: Any) -> None:
    number = await vault(standin, client).add(Secret(VALUE))
    name = f"projects/{standin.project}/secrets/{SECRET_ID}/versions/{number}"
    version = await client.get_secret_version(name=name)
    assert version.client_specified_payload_checksum is True


async def test_first_keys_stored_at_once_make_one_secret(standin: Standin, client: Any) -> None:
    versions = vault(standin, client)
    numbers = await asyncio.gather(*(versions.add(Secret(f"sk-{n}")) for n in range(5)))
    assert sorted(numbers) == [1, 2, 3, 4, 5]


async def test_a_store_that_may_not_be_written_to_is_said_to_be_that(
    standin: Standin, client: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    await store(client, standin.project, "sk-one")
    async with httpx.AsyncClient(trust_env=False) as http:
        for method in ("AddSecretVersion", "DisableSecretVersion", "ListSecretVersions"):
            order = {"code": "PERMISSION_DENIED", "count": 1, "method": method}
            await http.post(f"{standin.control}/sim/fail", json=order)
    versions = vault(standin, client)
    for call in (versions.add(Secret(VALUE)), versions.disable(1), versions.enabled_versions()):
        with pytest.raises(KeyStoreForbidden):
            await call
    out, err = capfd.readouterr()
    assert out.count("key_store_failed") == 3
    assert "canary" not in out + err


async def test_nothing_of_the_key_is_logged(
    standin: Standin, client: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    await store(client, standin.project, VALUE)
    store_ = keys(standin, client, Config(None))
    await store_.get()
    await standin.fail("UNAVAILABLE")
    await store_.next_after_refusal([Secret(VALUE)])
    with pytest.raises(KeyMissing):
        await keys(standin, client, Config(9)).get()
    out, err = capfd.readouterr()
    assert "key_unavailable" in out
    assert "key_missing" in out
    assert "canary" not in out + err
