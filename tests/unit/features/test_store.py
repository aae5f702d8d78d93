"""Features: whatever a document holds, something valid serves, and off is off."""

import asyncio
import json
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from google.api_core.exceptions import ServiceUnavailable
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from firerouter import limits
from firerouter.errors import FeatureDisabled, FeatureUnknown, SettingsInvalid, SettingsUnavailable
from firerouter.features.app_settings import AppSettings, AppSettingsStore
from firerouter.features.defaults import DEFAULTS
from firerouter.features.settings import FREE_MODEL, OWNED_PARAMETERS, Feature, FeatureSettings
from firerouter.features.store import FeatureStore
from firerouter.firestore.audit import Audit
from firerouter.keys.slots import FIRST_BOOT, KeyEntry, KeySlots
from firerouter.ledger.caps import UserLimits
from tests.support.repository import ROOT

T = TypeVar("T")
INDEXES = ROOT / "firestore.indexes.json"
GOOD = {"model": "a/a", "systemPrompt": "S", "temperature": 0.5}


def run(work: Coroutine[Any, Any, T]) -> T:
    """For hypothesis, whose examples are no coroutines. asyncio.run would end pytest's own loop."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


class Snapshot:
    def __init__(self, value: Any, path: str = "") -> None:
        self._value = value
        self.id = path.rpartition("/")[2]
        self.exists = value is not None
        self.update_time = 1

    def to_dict(self) -> Any:
        return self._value


class Reference:
    """A document or a collection of `Documents`."""

    def __init__(self, documents: "Documents", path: str) -> None:
        self._documents = documents
        self._path = path

    def collection(self, name: str) -> "Reference":
        return Reference(self._documents, f"{self._path}/{name}")

    document = collection

    def order_by(self, field: str, direction: str) -> "Reference":
        assert (field, direction) == ("revision", "DESCENDING")
        return self

    def limit(self, count: int) -> "Reference":
        self._documents.limit = count
        return self

    async def get(self, *, retry: Any, timeout: float) -> Any:
        assert retry is None
        assert timeout == limits.READ_S
        self._documents.reads.append(self._path)
        if self._documents.fails is not None:
            raise self._documents.fails
        if not self._path.endswith("/revisions"):
            return Snapshot(self._documents.get(self._path), self._path)
        found = [value for path, value in self._documents.items() if self._path in path]
        # Firestore leaves out what lacks the field, and orders types before values
        found = [value for value in found if isinstance(value, dict) and "revision" in value]
        found.sort(key=lambda value: (isinstance(value["revision"], str), str(value["revision"])))
        return [Snapshot(value) for value in found[::-1][: self._documents.limit]]


class Documents(dict[str, Any]):
    """As much of Firestore as a store reads: path -> fields. Can fail."""

    def __init__(self) -> None:
        super().__init__()
        self.fails: Exception | None = None
        self.reads: list[str] = []
        self.limit = 0

    def collection(self, name: str) -> Reference:
        return Reference(self, name)


@pytest.fixture
def documents() -> Documents:
    return Documents()


def features(documents: Any) -> FeatureStore:
    return FeatureStore(documents, Audit(documents))


def app_settings(documents: Any) -> AppSettingsStore:
    return AppSettingsStore(documents, Audit(documents))


def away() -> Exception:
    return ServiceUnavailable("x")  # type: ignore[no-untyped-call]  # it ships no types


def broken(**fields: Any) -> dict[str, Any]:
    return {"enabled": True, "revision": 9, "settings": {"model": 7}, **fields}


def test_settings_are_in_no_index() -> None:
    """Whose entries count towards a document's 40,000; the emulator does not count."""
    overrides = json.loads(INDEXES.read_text())["fieldOverrides"]
    exempted = {(one["collectionGroup"], one["fieldPath"]) for one in overrides}
    assert exempted >= {
        ("features", "settings"),
        ("features", "draft"),
        ("revisions", "settings"),
        ("revisions", "changes"),
        ("audit", "before"),
        ("audit", "after"),
    }


# -- the settings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": ""},
        {"model": "two words"},
        {"kind": "two words"},
        {"temperature": 2.1},
        {"temperature": float("nan")},
        {"temperature": "0.5"},
        {"topP": 0},
        {"presencePenalty": -2.1},
        {"maxTokens": 0},
        {"maxTokens": 1.5},
        {"maxTokens": True},
        {"maxTokens": limits.ANSWER_MAX_TOKENS + 1},
        {"firstTokenS": limits.FIRST_TOKEN_MAX_S + 1},
        {"idleS": 0.5},
        {"systemPrompt": "x" * (limits.SYSTEM_PROMPT_MAX_CHARS + 1)},
        {"fallbackModels": ["a/a"] * (limits.FALLBACK_MODELS_MAX + 1)},
        {"allowTemperature": 1},
        {"system_prompt": "by its Python name"},
        {"unknown": 1},
        {"parameters": {"x": "x" * limits.PARAMETERS_MAX_BYTES}},
        {"parameters": {"x": float("nan")}},
        {"parameters": {"x": object()}},
        {"parameters": []},
        *({"parameters": {name: 1}} for name in sorted(OWNED_PARAMETERS)),
    ],
)
def test_settings_that_are_not_right_are_not_settings(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FeatureSettings.model_validate({**GOOD, **wrong}, by_alias=True, by_name=False)


def test_what_is_ours_cannot_be_set_as_a_parameter() -> None:
    assert {"model", "models", "messages", "stream", "user", "stream_options"} <= OWNED_PARAMETERS


@pytest.mark.parametrize("feature", DEFAULTS.values(), ids=DEFAULTS)
def test_a_default_survives_the_way_to_firestore_and_back(feature: Feature) -> None:
    document = feature.to_document()
    read = FeatureSettings.model_validate(document["settings"], by_alias=True, by_name=False)
    assert read == feature.settings
    assert (document["enabled"], document["revision"]) == (feature.enabled, 0)


def test_the_defaults_that_are_on_ask_free_models_only() -> None:
    for feature in DEFAULTS.values():
        models = [feature.settings.model, *feature.settings.fallback_models]
        free = all(model.endswith(":free") or model == "openrouter/free" for model in models)
        assert free or not feature.enabled
        assert feature.revision == 0
    assert DEFAULTS["chat"].settings.model == FREE_MODEL


# -- what serves -----------------------------------------------------------------------------------


async def test_a_stored_feature_serves(documents: Documents) -> None:
    documents["features/chat"] = {"enabled": True, "revision": 3, "settings": GOOD}
    feature = await features(documents).get("chat")
    assert (feature.id, feature.enabled, feature.revision) == ("chat", True, 3)
    assert (feature.settings.model, feature.settings.temperature) == ("a/a", 0.5)


async def test_without_a_document_the_default_serves(documents: Documents) -> None:
    assert await features(documents).get("chat") == DEFAULTS["chat"]


async def test_a_feature_that_is_neither_stored_nor_built_in_is_unknown(
    documents: Documents,
) -> None:
    store = features(documents)
    for n in range(20):
        with pytest.raises(FeatureUnknown):
            await store.get(f"made-up-{n}")
    assert not store._caches  # names that callers invent do not pile up


async def test_a_feature_that_is_not_built_in_may_be_stored(documents: Documents) -> None:
    documents["features/poems"] = {"enabled": True, "revision": 1, "settings": GOOD}
    assert (await features(documents).get("poems")).settings.model == "a/a"


async def test_a_default_that_is_off_is_off(documents: Documents) -> None:
    with pytest.raises(FeatureDisabled):
        await features(documents).get("image")


@pytest.mark.parametrize(
    "enabled", [False, None, 0, 1, "true", "True", "yes", [], [True], {"a": 1}, 1.0, b"true"]
)
async def test_anything_but_true_is_off(documents: Documents, enabled: Any) -> None:
    documents["features/chat"] = {"enabled": enabled, "revision": 1, "settings": GOOD}
    with pytest.raises(FeatureDisabled):
        await features(documents).get("chat")


async def test_not_saying_is_off(documents: Documents) -> None:
    documents["features/chat"] = {"revision": 1, "settings": GOOD}
    with pytest.raises(FeatureDisabled):
        await features(documents).get("chat")


async def test_off_is_off_though_the_settings_are_broken(documents: Documents) -> None:
    documents["features/chat"] = broken(enabled=False)
    with pytest.raises(FeatureDisabled):
        await features(documents).get("chat")


async def test_broken_settings_leave_the_revision_they_name_serving(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SETTINGS_FRESH_S", 0.0)
    monkeypatch.setattr(limits, "SETTINGS_STALE_S", 0.0)
    documents["features/chat"] = {"enabled": True, "revision": 2, "settings": {"model": "c/c"}}
    documents["features/chat/revisions/3"] = {"revision": 3, "settings": GOOD}
    documents["features/chat/revisions/4"] = {"revision": 4, "settings": {"model": "b/b"}}
    store = features(documents)
    await store.get("chat")
    documents["features/chat"] = broken(revision=3)
    # whatever each has seen before: all instances serve the same
    for instance in (store, features(documents)):
        feature = await instance.get("chat")
        assert (feature.revision, feature.settings.model) == (3, "a/a")
    # and they can be switched off all the same
    documents["features/chat"] = broken(enabled=False)
    with pytest.raises(FeatureDisabled):
        await store.get("chat")


async def test_broken_settings_at_the_start_leave_the_newest_valid_revision_serving(
    documents: Documents,
) -> None:
    documents["features/chat"] = broken()
    for number, value in {1: GOOD, 2: {"model": "b/b"}, 3: {"model": 7}, 4: "text"}.items():
        documents[f"features/chat/revisions/{number}"] = {"revision": number, "settings": value}
    feature = await features(documents).get("chat")
    assert (feature.enabled, feature.revision, feature.settings.model) == (True, 2, "b/b")


async def test_a_draft_is_no_revision_that_served(documents: Documents) -> None:
    documents["features/chat"] = broken(revision=2)
    documents["features/chat/revisions/1"] = {"revision": 1, "settings": GOOD}
    for number in (2, 3):
        kept = {"revision": number, "settings": {"model": "b/b"}, "draft": True}
        documents[f"features/chat/revisions/{number}"] = kept
    feature = await features(documents).get("chat")
    assert (feature.revision, feature.settings.model) == (1, "a/a")


async def test_a_revision_without_a_number_does_not_serve(documents: Documents) -> None:
    documents["features/chat"] = broken()
    documents["features/chat/revisions/1"] = {"revision": 1, "settings": GOOD}
    documents["features/chat/revisions/x"] = {"revision": "2", "settings": {"model": "b/b"}}
    documents["features/chat/revisions/y"] = {"revision": True, "settings": {"model": "b/b"}}
    documents["features/chat/revisions/z"] = {"settings": {"model": "c/c"}}
    feature = await features(documents).get("chat")
    assert (feature.revision, feature.settings.model) == (1, "a/a")


async def test_with_nothing_valid_the_default_serves(documents: Documents) -> None:
    documents["features/chat"] = broken()
    documents["features/chat/revisions/1"] = {"revision": 1, "settings": None}
    feature = await features(documents).get("chat")
    assert (feature.revision, feature.settings) == (0, DEFAULTS["chat"].settings)


async def test_a_feature_of_the_admins_with_nothing_valid_says_so(documents: Documents) -> None:
    documents["features/poems"] = broken()
    with pytest.raises(SettingsInvalid):
        await features(documents).get("poems")


async def test_a_problem_is_reported_without_what_the_document_holds(
    documents: Documents, capsys: pytest.CaptureFixture[str]
) -> None:
    documents["features/chat"] = broken(settings={"systemPrompt": 7, "model": "a canary"})
    await features(documents).get("chat")
    logged = capsys.readouterr().out
    assert "settings_invalid" in logged
    assert "systemPrompt" in logged
    assert "canary" not in logged


@pytest.mark.parametrize("revision", [None, "3", 3.5, [], True])
async def test_an_odd_number_of_a_revision_is_none(documents: Documents, revision: Any) -> None:
    documents["features/chat"] = {"enabled": True, "revision": revision, "settings": GOOD}
    feature = await features(documents).get("chat")
    assert feature.settings.model == "a/a"
    assert feature.revision == 0
    assert type(feature.revision) is int


@pytest.mark.parametrize("failure", [away(), TimeoutError()])
async def test_a_store_that_cannot_be_read_is_said_to_be_that(
    documents: Documents, failure: Exception
) -> None:
    documents.fails = failure
    with pytest.raises(SettingsUnavailable):
        await features(documents).get("chat")
    documents.fails = None
    documents["features/chat"] = {"enabled": True, "revision": 3, "settings": GOOD}
    store = features(documents)
    assert (await store.get("chat")).revision == 3


async def test_many_calls_at_once_read_once(documents: Documents) -> None:
    documents["features/chat"] = {"enabled": True, "revision": 3, "settings": GOOD}
    store = features(documents)
    await asyncio.gather(*(store.get("chat") for _ in range(20)))
    await asyncio.gather(*(store.get("chat") for _ in range(20)))
    assert documents.reads == ["features/chat"]


ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=5)
    | st.datetimes(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = [field.alias or name for name, field in FeatureSettings.model_fields.items()]
SETTINGS = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, ANY))
DOCUMENT = st.fixed_dictionaries(
    {"enabled": st.just(True)}, optional={"settings": SETTINGS | ANY, "revision": ANY, "x": ANY}
)


@given(document=DOCUMENT, revision=SETTINGS | ANY)
def test_whatever_the_documents_hold_something_valid_serves(document: Any, revision: Any) -> None:
    documents = Documents()
    documents["features/chat"] = document
    documents["features/chat/revisions/1"] = {"revision": 1, "settings": revision}
    feature = run(features(documents).get("chat"))
    assert feature.enabled is True
    stored = feature.to_document()["settings"]
    assert FeatureSettings.model_validate(stored, by_alias=True, by_name=False) == feature.settings


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"x": value}
    return value


async def test_settings_nested_too_deeply_take_nothing_down(documents: Documents) -> None:
    documents["features/chat"] = broken(settings={**GOOD, "parameters": _deep(5000)})
    assert (await features(documents).get("chat")).settings == DEFAULTS["chat"].settings


# -- the app's own settings ------------------------------------------------------------------------


async def test_without_a_document_the_apps_settings_are_the_defaults(documents: Documents) -> None:
    store = app_settings(documents)
    assert await store.get() == AppSettings()
    assert (await store.key_slots()).serving("chat") == FIRST_BOOT


async def test_the_apps_settings_are_read(documents: Documents) -> None:
    documents["config/app"] = {
        "appName": "My App",
        "referer": "https://my.app",
        "limits": {"requestsPerMinute": 5, "concurrent": 2, "usdPerDay": 0, "reserveUsd": 0.5},
        "keys": {"default": [{"version": 4, "lastFour": "abcd"}]},
        "catalog": {"generation": 3},
    }
    app = await app_settings(documents).get()
    assert (app.app_name, app.referer) == ("My App", "https://my.app")
    assert app.limits == UserLimits(
        requests_per_minute=5, concurrent=2, usd_per_day=0, reserve_usd=0.5
    )
    assert app.keys == KeySlots((KeyEntry(4, "abcd"),))


@pytest.mark.parametrize(
    "referer", ["javascript:alert(1)", "my.app", "https://a b", "https://a\r\nX: y", "https://ü"]
)
async def test_what_cannot_be_a_header_is_left_out(documents: Documents, referer: str) -> None:
    documents["config/app"] = {
        "referer": referer,
        "appName": "Name\r\nX: y",
        "limits": {"concurrent": 2},
    }
    app = await app_settings(documents).get()
    assert (app.referer, app.app_name) == ("", "Firerouter")
    assert app.limits.concurrent == 2


async def test_one_odd_limit_leaves_the_others(documents: Documents) -> None:
    documents["config/app"] = {"limits": {"concurrent": "many", "requestsPerMinute": 7}}
    app = await app_settings(documents).get()
    assert (app.limits.concurrent, app.limits.requests_per_minute) == (limits.CONCURRENT, 7)


async def test_which_keys_serve_is_read_anew_when_asked_for(documents: Documents) -> None:
    documents["config/app"] = {"keys": {"default": [{"version": 1}]}}
    store = app_settings(documents)
    assert (await store.key_slots()).serving(None) == (1,)
    documents["config/app"] = {"keys": {"default": [{"version": 2}]}}
    assert (await store.key_slots()).serving(None) == (1,)
    assert (await store.key_slots(anew=True)).serving(None) == (2,)


async def test_the_apps_settings_may_be_unavailable(documents: Documents) -> None:
    documents.fails = away()
    store = app_settings(documents)
    for ask in (store.get, store.key_slots):
        with pytest.raises(SettingsUnavailable):
            await ask()


APP_NAMES = ("appName", "referer", "limits", "keys", "unknown")
LIMITS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("requestsPerMinute", "concurrent", "usdPerDay", "x"), ANY)
)
APP = st.fixed_dictionaries({}, optional={**dict.fromkeys(APP_NAMES, ANY), "limits": LIMITS | ANY})


@given(APP)
def test_whatever_the_config_holds_valid_settings_serve(document: Any) -> None:
    documents = Documents()
    documents["config/app"] = document
    app = run(app_settings(documents).get())
    assert AppSettings(**{name: getattr(app, name) for name in AppSettings.model_fields}) == app
