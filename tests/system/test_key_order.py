"""Several keys in order, and a feature's own: which one OpenRouter is asked with, through the wire.

Each test has a project and an instance of `execute_prompt` of its own. What the stand-in does with
a key is in the key's words; it remembers the last four characters of each.
"""

import contextlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.cloud.firestore import AsyncClient

from firerouter.app.bootstrap import App
from firerouter.callable import Call, CallableError
from firerouter.openrouter import OpenRouterLimits
from firerouter.users.identity import Caller
from scripts.devtools.callable_client import CallableClient, CallableFailure, id_token
from scripts.devtools.suite import Suite
from tests.support.serve import Serve

CANARY = "canary-4b1f9a"
GOOD = "-good-aaa1"
SPARE = "-spare-bbb2"


def key(words: str) -> str:
    return f"sk-or-v1-{CANARY}-number{words}"


class Project:
    """One project: its admin's calls made in this process, its users' through the wire."""

    def __init__(self, suite: Suite, project: str, client: CallableClient, log: Path) -> None:
        self._suite = suite
        self._client = client
        self._asked = 0
        self._project = project
        self.log = log
        self.app = App({**suite.environment(), "GCLOUD_PROJECT": project})
        self.said: list[str] = []  # to the admin and the user

    async def set(self, words: str, **place: Any) -> None:
        await self.admin(self.app.admin.keys.set_key, key=key(words), **place)

    async def admin(self, handle: Any, **data: Any) -> Any:
        caller = Caller("ann", "ann@demo.test")
        call = Call(data, {}, caller=caller, streaming=False, trace_id="0" * 32)
        try:
            result = await handle(call)
        except CallableError as error:
            self.said.append(f"{error} {error!r} {error.details}")
            raise
        self.said.append(str(result))
        return result

    async def ask(self, feature: str = "chat") -> tuple[str, list[str]]:
        """(the reason of a failure or "", the end of each key that OpenRouter was asked with)."""
        self._asked += 1
        marker = f"marker-{self._project}-{self._asked}-end"
        reason = ""
        try:
            result = await self._client.call("", {"feature": feature, "prompt": marker})
            self.said.append(str(result))
        except CallableFailure as failure:
            self.said.append(f"{failure} {failure.details}")
            reason = failure.details["reason"]
        async with httpx.AsyncClient(trust_env=False) as http:
            requests = (await http.get(f"{self._suite.openrouter_root}/sim/requests")).json()
        return reason, [r["keyLast4"] for r in requests if marker in str(r["body"])]

    async def documents(self, parent: Any = None) -> list[dict[str, Any]]:
        """Every document there is."""
        found = []
        async for collection in (parent or self.app.firestore).collections():
            async for snapshot in collection.stream():
                found += [{"id": snapshot.id, **(snapshot.to_dict() or {})}]
                found += await self.documents(snapshot.reference)
        return found

    async def close(self) -> None:
        await self._client.aclose()
        await self.app.openrouter.close()


@pytest.fixture
async def project(
    suite: Suite,
    serve: Serve,
    firestore: AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Project]:
    name = f"demo-several-{secrets.token_hex(4)}"
    async with httpx.AsyncClient(trust_env=False) as http:
        asked = {"projectId": name, "audience": [f"projects/{name}"]}
        issued = await http.post(f"http://{suite.app_check_host}/token", json=asked)
    served = serve("execute_prompt", env={"GCLOUD_PROJECT": name})
    client = CallableClient(served.url, id_token(name, "somebody"), issued.json()["token"])
    project = Project(suite, name, client, served.log)
    yield project
    await project.close()


@pytest.mark.parametrize(
    "words", ["-lapsed-ccc3", "-later-key-limit-ccc3", "-later-key-spent-ccc3"]
)
async def test_a_key_that_is_refused_or_spent_makes_way_for_the_next_for_a_while(
    project: Project, words: str
) -> None:
    await project.set(words)
    await project.set(GOOD, position=2)
    await project.set(SPARE, position=3)
    assert await project.ask() == ("", ["ccc3", "aaa1"])
    assert await project.ask() == ("", ["aaa1"])
    entries = [entry for entry in await project.documents() if "attempts" in entry]
    versions = [[a["keyVersion"] for a in entry["attempts"]] for entry in entries]
    assert versions == [[2], [2]]


@pytest.mark.parametrize(
    ("words", "reason", "tries"),
    [
        ("-rate-limited-ccc3", "rate_limited", OpenRouterLimits().tries_per_model),
        ("-later-no-credit-ccc3", "no_credit", 1),
        ("-key-budget-ccc3", "key_limit_reached", 1),
    ],
)
async def test_what_is_not_the_keys_alone_does_not_take_another(
    project: Project, words: str, reason: str, tries: int
) -> None:
    await project.set(words)
    await project.set(GOOD, position=2)
    failed, ends = await project.ask()
    assert failed == reason
    assert set(ends) == {"ccc3"}
    assert len(ends) >= tries


async def test_when_no_key_will_do_the_last_failure_is_told(project: Project) -> None:
    await project.set("-later-key-limit-ccc3")
    await project.set("-lapsed-ddd4", position=2)
    for _ in range(2):  # all are benched the second time, and asked with all the same
        assert await project.ask() == ("key_invalid", ["ccc3", "ddd4"])


async def test_a_key_that_an_admin_has_replaced_is_taken_up_at_once(project: Project) -> None:
    await project.set("-lapsed-ccc3")
    assert await project.ask() == ("key_invalid", ["ccc3"])
    await project.set(GOOD)
    assert await project.ask() == ("", ["ccc3", "aaa1"])


async def test_a_feature_is_asked_with_its_own_key(project: Project) -> None:
    await project.set(GOOD)
    await project.set(SPARE, feature="chat")
    assert await project.ask("chat") == ("", ["bbb2"])
    assert await project.ask("code") == ("", ["aaa1"])


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("-later-key-limit-ccc3", "key_limit_reached"),
        ("-later-key-spent-ccc3", "key_limit_reached"),
        ("-lapsed-ccc3", "key_invalid"),
    ],
)
async def test_a_feature_whose_own_key_is_spent_does_not_touch_the_default_one(
    project: Project, words: str, reason: str
) -> None:
    await project.set(GOOD)
    await project.set(words, feature="chat")
    failed, ends = await project.ask("chat")
    assert (failed, set(ends)) == (reason, {"ccc3"})
    assert await project.ask("code") == ("", ["aaa1"])


async def test_a_key_is_in_no_document_no_log_and_no_answer_whatever_fails(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    keys = {
        **dict.fromkeys(("k401", "k402", "k402l", "k403", "k429", "k500"), ""),
        **{"k401": "-lapsed", "k402": "-later-no-credit", "k402l": "-later-key-spent"},
        **{"k403": "-key-budget", "k429": "-rate-limited"},
    }
    models = {"k500": "sim/500", "kcut": "sim/cut-mid-stream", "kbad": "sim/malformed-json"}
    for feature in {**keys, **models}:
        settings = {"model": models.get(feature, "sim/fast"), "fallbackModels": []}
        document = {"enabled": True, "revision": 7, "settings": settings}
        await project.app.firestore.document(f"features/{feature}").set(document)
        await project.set(f"{keys.get(feature, '')}-ccc3", feature=feature)
    outcomes = {feature: (await project.ask(feature))[0] for feature in {**keys, **models}}
    assert outcomes == {
        **{"k401": "key_invalid", "k402": "no_credit", "k402l": "key_limit_reached"},
        **{"k403": "key_limit_reached", "k429": "rate_limited", "k500": "upstream_busy"},
        **{"kcut": "stream_cut", "kbad": "upstream_malformed"},
    }
    for words in ("-revoked", "-management", "\x07"):
        with contextlib.suppress(CallableError):
            await project.set(words)
    for place in ({}, {"feature": "k401"}, {"feature": "k402", "position": 2}):
        with contextlib.suppress(CallableError):
            await project.admin(project.app.admin.key_check.test, **place)
    await project.admin(project.app.admin.keys.remove_key, feature="k401")

    documents = str(await project.documents())
    out, err = capfd.readouterr()
    assert "set_openrouter_key" in documents
    assert "keyVersion" in documents
    assert "key_refused" in project.log.read_text()
    for written in (documents, project.log.read_text(), out, err, *project.said):
        assert CANARY not in written
