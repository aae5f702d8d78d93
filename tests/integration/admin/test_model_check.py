"""The daily look at the models: what it flags, what it replaces, when it leaves all as it is."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from google.cloud.firestore import AsyncClient

from firerouter.admin.features import FeatureAdmin
from firerouter.admin.model_check import ModelCheck
from firerouter.errors import KeyMissing, UpstreamUnreachable
from firerouter.features.app_settings_store import AppSettingsStore
from firerouter.features.defaults import DEFAULTS
from firerouter.features.store import FeatureStore
from firerouter.firestore.audit import Audit
from firerouter.firestore.config import ConfigDocument
from firerouter.keys.secret import Secret
from firerouter.models.catalog import Catalog
from scripts.devtools.callable_client import CallableClient
from scripts.devtools.suite import PROJECT, REGION, Suite
from tests.support.calls import ADMIN, call_of
from tests.support.in_process import World

TODAY = datetime(2026, 11, 22, 6, tzinfo=UTC)
ROOM = [f"big/{number}" for number in range(20)]  # a list may not lose half of its models


def listed(id_: str, *, prompt: str = "0", slug: str = "", expires: str = "") -> dict[str, Any]:
    return {
        "id": id_,
        "canonical_slug": slug or id_,
        "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
        "pricing": {"prompt": prompt, "completion": "0"},
        "supported_parameters": [],
        "expiration_date": expires or None,
    }


class NoKey:
    async def get(self) -> Secret:
        raise KeyMissing

    async def next_after_refusal(self, refused: Sequence[Secret], reason: str) -> Secret | None:
        return None


class Daily:
    """The daily check of a project, and the list of models that OpenRouter gives it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.firestore = firestore = world.firestore
        self.models: list[dict[str, Any]] = []
        self.away = False
        audit = Audit(firestore)
        self.config = config = ConfigDocument(firestore, audit)
        app_settings = AppSettingsStore(config)
        self.features = FeatureStore(firestore, audit)
        catalog = Catalog(firestore, openrouter=lambda: self, keys=NoKey(), now=lambda: TODAY)
        configure = FeatureAdmin(
            features=self.features, app_settings=app_settings, catalog=catalog, now=lambda: TODAY
        )
        self.configure = configure
        self.checkup = ModelCheck(
            catalog=catalog,
            features=self.features,
            app_settings=app_settings,
            config=config,
            feature_admin=configure,
            now=lambda: TODAY,
        )

    async def get(
        self, path: str, key: Secret | None, timeout_s: float, *, query: Mapping[str, str]
    ) -> Any:
        if self.away:
            raise UpstreamUnreachable
        return {"data": [*self.models, *map(listed, ROOM)]}

    async def offer(self, *models: dict[str, Any]) -> None:
        """Another list from now on. The built-in features' models are always in it."""
        defaults = {model for one in DEFAULTS.values() for model in one.settings.model_ids()}
        self.models = [*map(listed, sorted(defaults)), *models]

    async def save(self, id_: str, base: int = 0, **settings: Any) -> dict[str, Any]:
        data = {"feature": id_, "revision": base, "settings": settings}
        return await self.configure.save(call_of(data, ADMIN))

    async def app(self, **values: Any) -> None:
        await self.firestore.document("config/app").set(values, merge=True)

    async def state(self) -> dict[str, Any]:
        return dict((await self._world.document("config/app"))["catalog"])

    async def model_of(self, id_: str) -> str:
        feature = (await self.features.read(id_)).feature
        assert feature is not None
        return feature.settings.model


def flagged(answer: Mapping[str, Any]) -> set[tuple[str, str, str]]:
    return {(flag["feature"], flag["field"], flag["flag"]) for flag in answer["flags"]}


@pytest.fixture
async def daily(world: World) -> Daily:
    daily = Daily(world)
    await daily.offer(listed("a/one:free"), listed("b/two:free"), listed("c/three:free"))
    return daily


async def test_nothing_is_flagged_where_nothing_changed(daily: Daily) -> None:
    await daily.save("poems", model="a/one:free", fallbackModels=["b/two:free"])
    answer: Any = await daily.checkup.daily()
    assert answer["flags"] == answer["replaced"] == []
    assert answer["problem"] is None
    state = await daily.state()
    assert state["flags"] == []
    assert state["checkedAt"] == TODAY
    assert state["count"] == answer["count"] == len(daily.models) + len(ROOM)


async def test_models_that_are_gone_renamed_repriced_or_expire_are_flagged(daily: Daily) -> None:
    await daily.offer(
        listed("a/one:free", slug="a/one-2601:free"),
        listed("b/two:free"),
        listed("c/three:free"),
        listed("d/four", prompt="0.000001"),
    )
    await daily.app(freeModelsOnly=False)
    await daily.save(
        "poems",
        model="a/one:free",
        fallbackModels=["b/two:free", "d/four:nitro"],
        allowedModels=["c/three:free"],
    )
    await daily.offer(
        listed("a/uno:free", slug="a/one-2601:free"),
        listed("c/three:free", expires="2026-11-30"),
        listed("d/four", prompt="0.000002"),
    )
    answer: Any = await daily.checkup.daily()
    assert flagged(answer) == {
        ("poems", "model", "renamed"),
        ("poems", "fallbackModels[0]", "gone"),
        ("poems", "fallbackModels[1]", "repriced"),
        ("poems", "allowedModels[0]", "expires"),
    }
    by = {flag["flag"]: flag for flag in answer["flags"]}
    assert by["renamed"]["to"] == "a/uno:free"
    assert by["repriced"]["before"]["promptPrice"] == "1"
    assert by["repriced"]["after"]["promptPrice"] == "2"
    assert by["expires"]["on"] == "2026-11-30"
    assert await daily.model_of("poems") == "a/one:free", "the admin did not ask for it"
    assert (await daily.state())["flags"] == answer["flags"]


async def test_a_save_accepts_the_new_price(daily: Daily) -> None:
    await daily.app(freeModelsOnly=False)
    await daily.offer(listed("d/four", prompt="0.000001"))
    await daily.save("poems", model="d/four")
    await daily.offer(listed("d/four", prompt="0.000002"))
    assert flagged(await daily.checkup.daily()) == {("poems", "model", "repriced")}
    await daily.save("poems", 1, model="d/four", systemPrompt="Rhyme.")
    assert flagged(await daily.checkup.daily()) == set()
    await daily.offer(listed("d/four", prompt="0.000003"))
    assert flagged(await daily.checkup.daily()) == {("poems", "model", "repriced")}
    saved = await daily.save("poems", 2, model="d/four", systemPrompt="Rhyme.")
    assert (saved["revision"], saved["changes"]) == (2, [])
    assert flagged(await daily.checkup.daily()) == set()
    # one that accepts nothing is none
    entries = [e.id async for e in daily.firestore.collection("audit").stream()]
    await daily.save("poems", 2, model="d/four", systemPrompt="Rhyme.")
    assert [e.id async for e in daily.firestore.collection("audit").stream()] == entries


async def test_a_draft_is_looked_at_as_well(daily: Daily) -> None:
    await daily.save("poems", model="a/one:free")
    draft = {"feature": "poems", "revision": 1, "settings": {"model": "b/two:free"}}
    await daily.configure.save(call_of({**draft, "draftPercent": 10}, ADMIN))
    await daily.offer(listed("a/one:free"))
    assert flagged(await daily.checkup.daily()) == {("poems", "draft.model", "gone")}


async def test_a_feature_broken_by_hand_is_reported(daily: Daily) -> None:
    await daily.save("poems", model="a/one:free")
    await daily.firestore.document("features/poems").update({"settings": {"model": 7}})
    answer: Any = await daily.checkup.daily()
    assert flagged(answer) == {("poems", "model", "broken")}
    message = "model must be text, not a number. Revision 1 is used instead."
    assert answer["flags"][0]["message"] == message


@pytest.mark.parametrize(
    ("field", "typed", "state"),
    [("enabled", "true", "is off"), ("draft", {"percent": 5}, "Nobody gets the draft")],
)
async def test_a_switch_or_a_draft_broken_by_hand_is_reported(
    daily: Daily, field: str, typed: Any, state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await daily.save("poems", model="a/one:free")
    await daily.firestore.document("features/poems").update({field: typed})
    answer: Any = await daily.checkup.daily()
    assert flagged(answer) == {("poems", field, "broken")}
    assert state in answer["flags"][0]["message"]
    assert f"{field}_invalid" in capsys.readouterr().out
    # saving what serves makes it whole
    await daily.save("poems", 1, model="a/one:free")
    assert flagged(await daily.checkup.daily()) == set()


async def test_the_models_of_a_feature_that_is_off_are_nobodys_concern(daily: Daily) -> None:
    await daily.app(replaceGoneModels=True)
    await daily.save("poems", model="a/one:free", fallbackModels=["b/two:free"])
    await daily.configure.save(call_of({"feature": "poems", "enabled": False}, ADMIN))
    await daily.offer(listed("b/two:free"))
    answer: Any = await daily.checkup.daily()
    assert answer["flags"] == answer["replaced"] == []


async def test_a_gone_model_gives_way_where_the_admin_wants_it(daily: Daily) -> None:
    await daily.app(replaceGoneModels=True)
    await daily.offer(*map(listed, ("a/one:free", "x/y:free", "b/two:free")))
    await daily.save("poems", model="a/one:free", fallbackModels=["x/y:free", "b/two:free"])
    await daily.offer(listed("b/two:free"))
    answer: Any = await daily.checkup.daily()
    change = {"feature": "poems", "before": "a/one:free", "after": "b/two:free"}
    assert answer["replaced"] == [change]
    assert await daily.model_of("poems") == "b/two:free"
    revision = await daily.firestore.document("features/poems/revisions/2").get()
    kept = revision.to_dict() or {}
    assert kept["action"] == "refresh_catalog_daily"
    assert "a/one:free" in kept["note"]
    entries = [e async for e in daily.firestore.collection("audit").stream()]
    assert [e.get("action") for e in entries].count("refresh_catalog_daily") == 1
    again = await daily.checkup.daily()
    assert again["replaced"] == [], "running twice is no harm"


async def test_a_model_that_makes_vectors_gives_way_to_no_other(daily: Daily) -> None:
    await daily.app(replaceGoneModels=True)
    vectors = listed("a/one:free")
    vectors["architecture"]["output_modalities"] = ["embeddings"]
    await daily.offer(vectors, listed("b/two:free"))
    await daily.save("search", kind="embedding", model="a/one:free", fallbackModels=["b/two:free"])
    await daily.offer(listed("b/two:free"))
    answer: Any = await daily.checkup.daily()
    assert answer["replaced"] == []
    assert flagged(answer) == {("search", "model", "gone")}


async def test_a_renamed_model_gives_way_to_itself(daily: Daily) -> None:
    await daily.app(replaceGoneModels=True)
    await daily.offer(listed("a/one:free", slug="s:free"), listed("b/two:free"))
    await daily.save("poems", model="a/one:free", fallbackModels=["b/two:free"])
    await daily.offer(listed("a/uno:free", slug="s:free"), listed("b/two:free"))
    await daily.checkup.daily()
    assert await daily.model_of("poems") == "a/uno:free"


async def test_a_renamed_model_keeps_the_suffixes_that_are_in_no_list(daily: Daily) -> None:
    await daily.app(replaceGoneModels=True, freeModelsOnly=False)
    await daily.offer(listed("a/one:free", slug="s:free"), listed("d/four", slug="t"))
    await daily.save("poems", model="d/four:nitro", fallbackModels=["a/one:free:nitro"])
    await daily.offer(listed("a/uno:free", slug="s:free"), listed("d/vier", slug="t"))
    answer: Any = await daily.checkup.refresh(call_of({}, ADMIN))
    assert {(flag["flag"], flag["to"]) for flag in answer["flags"]} == {
        ("renamed", "d/vier:nitro"),
        ("renamed", "a/uno:free:nitro"),
    }
    await daily.checkup.daily()
    assert await daily.model_of("poems") == "d/vier:nitro"


@pytest.mark.parametrize("fallbacks", [[], ["d/four"]])
async def test_nothing_takes_the_place_that_is_gone_too_or_would_cost(
    daily: Daily, fallbacks: list[str]
) -> None:
    await daily.app(replaceGoneModels=True, freeModelsOnly=False)
    await daily.offer(listed("a/one:free"), listed("d/four", prompt="0.000001"))
    await daily.save("poems", model="a/one:free", fallbackModels=fallbacks)
    await daily.app(freeModelsOnly=True)
    await daily.config.get(refresh=True)
    await daily.offer(listed("d/four", prompt="0.000001"))
    answer: Any = await daily.checkup.daily()
    assert answer["replaced"] == []
    assert ("poems", "model", "gone") in flagged(answer)
    assert await daily.model_of("poems") == "a/one:free"


async def test_an_outage_of_openrouter_replaces_nothing(daily: Daily) -> None:
    await daily.app(replaceGoneModels=True)
    await daily.save("poems", model="a/one:free", fallbackModels=["b/two:free"])
    daily.away = True
    answer: Any = await daily.checkup.daily()
    assert answer["problem"] == (await daily.state())["problem"] == "upstream_unreachable"
    assert answer["replaced"] == answer["flags"] == []


async def test_the_admins_refresh_flags_and_replaces_nothing(daily: Daily) -> None:
    await daily.app(replaceGoneModels=True)
    await daily.save("poems", model="a/one:free", fallbackModels=["b/two:free"])
    await daily.offer(listed("b/two:free"), listed("n/new:free"))
    answer: Any = await daily.checkup.refresh(call_of({}, ADMIN))
    assert answer["removed"] == ["a/one:free", "c/three:free"]
    assert answer["added"] == ["n/new:free"]
    assert flagged(answer) == {("poems", "model", "gone")}
    assert await daily.model_of("poems") == "a/one:free"


async def test_a_key_saved_beside_it_stays(daily: Daily) -> None:
    await daily.app(keys={"default": [{"version": 3}]}, catalog={"flags": [1, 2], "problem": "x"})
    await daily.checkup.daily()
    document = (await daily.firestore.document("config/app").get()).to_dict() or {}
    assert document["keys"] == {"default": [{"version": 3}]}
    assert document["catalog"]["flags"] == []
    assert document["catalog"]["problem"] is None


async def test_the_emulator_runs_it_as_cloud_scheduler_would(
    suite: Suite, firestore: AsyncClient, client: CallableClient
) -> None:
    name = "refresh_catalog_daily-0"  # the emulator's own name of a scheduled function
    url = f"{httpx.URL(suite.functions_url).join('/')}{PROJECT}/{REGION}/{name}"
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        answer = await http.post(url, headers={"X-CloudScheduler-JobName": "daily"})
        assert answer.status_code == 200, answer.text
        assert answer.json()["count"] > 20
    document = (await firestore.document("config/app").get()).to_dict() or {}
    assert document["catalog"]["count"] == answer.json()["count"]
