"""No key comes back, whatever fails: not in an answer, a document, a log or the name of a version.

Beside the faults of a prompt (`test_faults`): vectors, images, comparisons, live tests, all that
admins do with keys, the list of models and the reconciler. The stand-in quotes the key in
each error.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest

from scripts.devtools.callable_client import CallableClient, CallableFailure, id_token
from scripts.devtools.seed import store_key
from scripts.devtools.suite import Suite
from scripts.standins.openrouter.vectors import FAULTS as VECTORS
from tests.support.accounts import create_account
from tests.support.in_process import World, new_world
from tests.support.serve import Serve

CANARY = "canary-91c4d7"
SERVED = f"sk-or-v1-{CANARY}-echo-0001"
SET, REMOVE, TEST = "set_openrouter_key", "remove_openrouter_key", "test_openrouter_connection"
REFRESH, TRY = "refresh_catalog", "test_feature_settings"


def key(words: str) -> str:
    return f"sk-or-v1-{CANARY}-echo-{words}-9999"


class Wire:
    """The functions of a project of their own, and all they have said."""

    def __init__(self, world: World, serve: Serve, app_check: str) -> None:
        self.world = world
        env = {"GCLOUD_PROJECT": world.project}
        self.served = {name: serve(name, env=env) for name in (SET, REMOVE, TEST, REFRESH, TRY)}
        self.served["api"] = serve("api", env=env)
        admin = id_token(world.project, "ann", admin=True, email="ann@demo.test")
        tokens = {"api": id_token(world.project, "user")}
        self.clients = {
            name: CallableClient(served.url, tokens.get(name, admin), app_check)
            for name, served in self.served.items()
        }
        self.said: list[str] = []

    async def call(self, name: str, data: Mapping[str, Any]) -> str | None:
        """The reason of its failure."""
        try:
            self.said.append(str(await self.clients[name].call("", data)))
        except CallableFailure as failure:
            self.said.append(f"{failure} {failure.details}")
            return str(failure.details["reason"])
        return None

    async def user(self, endpoint: str, feature: str, **data: Any) -> str | None:
        return await self.call("api", {"endpoint": endpoint, "feature": feature, **data})

    async def fail(self, method: str, code: str, *, applied: bool = False) -> None:
        order = {"method": method, "code": code, "count": 1, "applied": applied}
        async with httpx.AsyncClient(trust_env=False) as http:
            url = f"{self.world.suite.secret_manager_control}/sim/fail"
            (await http.post(url, json=order)).raise_for_status()

    async def stored(self) -> tuple[int, dict[str, Any]]:
        """(how many versions are enabled, config/app): what a refused change leaves alone."""
        enabled = await self.world.instance().app.keys.vault.enabled_versions()
        return len(enabled), await self.world.document("config/app")

    async def close(self) -> None:
        for client in self.clients.values():
            await client.aclose()


@pytest.fixture
async def wire(suite: Suite, serve: Serve) -> AsyncIterator[Wire]:
    async with new_world(suite, key=False) as world:
        create_account(suite, "ann", '{"admin":true}', world.project)
        await asyncio.to_thread(store_key, suite.secret_manager_host, world.project, SERVED)
        await world.write(
            "config/app", {"freeModelsOnly": False, "limits": {"requestsPerMinute": 1000}}
        )
        wire = Wire(world, serve, await world.app_check())
        yield wire
        await wire.close()


async def feature(world: World, name: str, **settings: Any) -> str:
    settings = {"firstTokenS": 2, "idleS": 2, "totalS": 20, **settings}
    document = {"enabled": True, "revision": 1, "settings": settings}
    await world.write(f"features/{name}", document)
    return name


async def test_a_key_is_never_seen_again_whatever_fails(wire: Wire) -> None:
    await everything_a_user_asks(wire)
    reconciled = await wire.world.instance().app.generation.reconciler.run()
    assert reconciled["costed"] + reconciled["waiting"] > 0
    await everything_an_admin_does(wire)

    documents = await wire.world.documents()
    assert any("keys" in document for document in documents)
    assert any(document.get("action") == SET for document in documents)
    assert {d["status"] for d in documents if "attempts" in d} == {"done", "failed"}
    logs = {name: served.log.read_text() for name, served in wire.served.items()}
    for place in (str(documents), *wire.said, *logs.values()):
        assert CANARY not in place
    assert "key_store_failed" in logs[SET]
    assert "key_refused" in logs["api"]


async def everything_a_user_asks(wire: Wire) -> None:
    world = wire.world
    for number, model in enumerate(VECTORS):
        name = await feature(world, f"vectors-{number}", kind="embedding", model=model)
        reason = await wire.user("create_embeddings", name, input="x")
        assert reason != "internal"
        assert (reason is None) or model not in {"sim/vectors", "sim/vectors-paid"}
    for api in ("chat", "images"):
        for model in ("sim/402", "sim/500", "sim/error-in-200", "sim/malformed-json"):
            name = f"{api}-{model[4:]}"
            await feature(world, name, kind="image", model=model, imageApi=api)
            assert await wire.user("execute_prompt", name, prompt="A cat") not in {None, "internal"}
    models = ["sim/fast", "sim/401", "sim/error-first"]
    name = await feature(world, "several", model="sim/fast", allowedModels=models)
    compared = {"prompt": "x", "models": models}
    assert await wire.user("execute_multi_model_prompt", name, **compared) is None
    # what was cut has no cost yet: the reconciler asks for it, with the key
    for model in (
        "sim/401",
        "sim/403-moderation",
        "sim/error-after-text",
        "sim/paid-cut-mid-stream",
    ):
        tried = {"feature": "several", "prompt": "x", "settings": {"model": model}}
        assert await wire.call(TRY, tried) not in {None, "internal"}


async def everything_an_admin_does(wire: Wire) -> None:
    looks = {
        "revoked": "key_invalid",
        "management": "management_key",
        "look-down": "upstream_busy",
        "look-limited": "rate_limited",
        "look-garbled": "upstream_malformed",
        "look-silent": "upstream_timeout",
    }
    before = await wire.stored()
    for words, reason in looks.items():
        assert await wire.call(SET, {"key": key(words)}) == reason
        assert await wire.stored() == before
        tested = await wire.call(TEST, {"key": key(words)})
        assert tested == (None if words in {"revoked", "management"} else reason)
    # the name of a field is repeated to whoever sent it, but a key
    assert await wire.call(SET, {key("name"): 1}) == "invalid_argument"
    for code in ("UNAVAILABLE", "INTERNAL", "PERMISSION_DENIED"):
        for method in ("ListSecretVersions", "AddSecretVersion"):
            await wire.fail(method, code)
            assert await wire.call(SET, {"key": key("fails")}) in {
                "key_unavailable",
                "key_store_forbidden",
            }
        assert await wire.stored() == before
    await wire.fail("AddSecretVersion", "DEADLINE_EXCEEDED", applied=True)
    assert await wire.call(SET, {"key": key("lost"), "position": 2}) == "key_unavailable"
    await wire.fail("DisableSecretVersion", "INTERNAL")
    assert await wire.call(SET, {"key": key("list-garbled")}) is None
    await wire.fail("AccessSecretVersion", "INTERNAL")
    assert await wire.call(TEST, {}) in {None, "key_unavailable"}
    for words in ("list-garbled", "list-down", "list-limited"):
        assert await wire.call(SET, {"key": key(words)}) is None
        await asyncio.sleep(0)
        await wire.call(REFRESH, {})
    for feature in ("code", None, None):
        await wire.call(REMOVE, {} if feature is None else {"feature": feature})


async def test_a_secret_that_cannot_be_made_is_not_seen_either(suite: Suite, serve: Serve) -> None:
    async with new_world(suite, key=False) as world:
        create_account(suite, "ann", '{"admin":true}', world.project)
        served = serve(SET, env={"GCLOUD_PROJECT": world.project})
        admin = id_token(world.project, "ann", admin=True, email="ann@demo.test")
        order = {"method": "CreateSecret", "code": "INTERNAL", "count": 1}
        async with httpx.AsyncClient(trust_env=False) as http:
            url = f"{suite.secret_manager_control}/sim/fail"
            (await http.post(url, json=order)).raise_for_status()
        async with CallableClient(served.url, admin, await world.app_check()) as client:
            with pytest.raises(CallableFailure) as refused:
                await client.call("", {"key": key("first")})
        assert refused.value.details["reason"] == "key_unavailable"
        for place in (refused.value.details, await world.documents(), served.log.read_text()):
            assert CANARY not in str(place)
