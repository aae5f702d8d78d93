"""Whatever Firestore holds where settings should be, `execute_prompt` answers.

Documents are generated, from garbage over single wrong fields to settings that are right, and
written to the real Firestore, past every check of ours, as a person in its console does.
"""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from firerouter.callable import CallableError
from firerouter.features.settings import FREE_FALLBACK, FREE_MODEL, FeatureSettings
from scripts.devtools.suite import Suite
from tests.support.in_process import UNCACHED, World
from tests.support.openrouter_standin import serving

EXAMPLES = 40
# what no document may break, and no caller may be told of
OURS = {"internal", "settings_invalid", "settings_unavailable", "ledger_unavailable"}

KEYS = st.text(min_size=1, max_size=6).filter(lambda key: not key.startswith("__"))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(max_size=12)
    | st.binary(max_size=4)
    | st.datetimes(min_value=datetime(1970, 1, 1))
)
ANY = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(SCALARS | st.dictionaries(KEYS, inner, max_size=2), max_size=3)
        | st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=6,
)
MODELS = st.sampled_from(["sim/fast", FREE_MODEL, FREE_FALLBACK, "sim/paid", "no/such", "a b"])
PROMPTS = st.sampled_from(["", "Be kind.", "{{7*7}} {x.__class__} ${x} {{x.y}}", "{{name}}"])
# by field: values that are right, or nearly
TYPICAL: dict[str, st.SearchStrategy[Any]] = {
    "model": MODELS,
    "fallbackModels": st.lists(MODELS, max_size=3),
    "allowedModels": st.lists(MODELS, max_size=3),
    "systemPrompt": PROMPTS,
    "temperature": st.sampled_from([0, 1.5, 2.5, "hot"]),
    "maxTokens": st.sampled_from([0, 20, 2.5]),
    "stop": st.sampled_from([[], ["x"], "x", [""]]),
    "responseFormat": st.sampled_from([{"type": "text"}, {"type": "json_object"}, "json"]),
    "reasoning": st.sampled_from([{}, {"effort": "low"}, {"effort": "low", "maxTokens": 1}]),
    "tools": st.sampled_from([[], [{"type": "openrouter:datetime"}], [{"type": "x"}]]),
    "plugins": st.sampled_from([[], [{"id": "response-healing"}], [{}], [{"id": "web"}]]),
    "provider": st.sampled_from([{}, {"sort": "price"}, {"sort": "luck"}]),
    "parameters": st.sampled_from([{}, {"verbosity": "low"}, {"model": "x"}, "{}"]),
    "limits": st.sampled_from([{}, {"requestsPerDay": 1}, {"requestsPerDay": 0}]),
    "stream": st.sampled_from([True, False, "no"]),
}
SETTINGS = st.fixed_dictionaries(
    {}, optional={name: values | ANY for name, values in TYPICAL.items()}
) | st.fixed_dictionaries({}, optional=TYPICAL)
ONES = st.sampled_from(["sim/fast", FREE_MODEL, FREE_FALLBACK, "sim/paid", "no/such"])
RIGHT = st.fixed_dictionaries(
    {"model": ONES, "systemPrompt": PROMPTS},
    optional={"allowedModels": st.lists(ONES, max_size=3), "temperature": st.floats(0, 2)},
)
NUMBERS = st.sampled_from([0, 1, 7, -3, 2**62, True, "3", 1.5, None])
# what is typed there may leave no key that serves, and nothing worse
APP_KEYS = ANY | st.fixed_dictionaries(
    {}, optional={"swept": NUMBERS, "features": ANY, "other": ANY}
)
DRAFT = st.fixed_dictionaries(
    {},
    optional={"revision": NUMBERS, "percent": NUMBERS | st.just(100), "settings": RIGHT | SETTINGS},
)
FEATURE = st.fixed_dictionaries(
    {"enabled": st.just(True)},
    optional={
        "settings": RIGHT | SETTINGS | ANY,
        "revision": NUMBERS | ANY,
        "draft": DRAFT | ANY,
        "savedAt": ANY,
        "prices": ANY,
        "x": ANY,
    },
)
REVISION = st.fixed_dictionaries(
    {},
    optional={
        "revision": NUMBERS,
        "settings": RIGHT | SETTINGS | ANY,
        "draft": st.sampled_from([True, False, "yes"]),
    },
)
APP = st.fixed_dictionaries(
    {},
    optional={
        "appName": st.sampled_from(["My App", "a\r\nb"]) | ANY,
        "referer": st.sampled_from(["https://my.app", "x"]) | ANY,
        "limits": ANY,
        "freeModelsOnly": st.sampled_from([True, False, "no"]) | ANY,
        "revision": NUMBERS,
        "catalog": ANY,
        "keys": APP_KEYS,
    },
)
USER = st.fixed_dictionaries(
    {}, optional={"models": ANY | st.fixed_dictionaries({}, optional={"chat": MODELS | ANY})}
)


def is_right(values: Any) -> bool:
    try:
        FeatureSettings.model_validate(values, by_alias=True, by_name=False)
    except ValidationError:
        return False
    return True


@given(feature=FEATURE | st.none(), revisions=st.lists(REVISION, max_size=2), app=APP, user=USER)
@settings(
    max_examples=EXAMPLES,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_whatever_the_documents_hold_a_feature_that_is_on_answers(
    prepared: "Prepared",
    feature: dict[str, Any] | None,
    revisions: list[dict[str, Any]],
    app: dict[str, Any],
    user: dict[str, Any],
) -> None:
    """feature: None where its document was deleted."""
    await prepared.write(feature, revisions, app, user)
    feature = feature or {}
    draft = feature.get("draft")
    typed = [feature, *revisions, *([draft] if isinstance(draft, dict) else [])]
    answer, reason = await prepared.ask()
    event("answered" if answer else str(reason))
    assert answer or reason not in OURS
    # settings that are right may ask for what cannot be had; what is not right is not to blame
    right = any(is_right(values.get("settings")) for values in typed)
    assert answer or right or (reason == "key_missing" and "keys" in app), reason
    # a feature whose calls would be billed is not listed where nothing may be
    assert "chat" in await prepared.listed() or reason == "paid_model"
    overview = await prepared.instance.call("get_feature_settings", {"feature": "chat"})
    (seen,) = (feature["revision"] for feature in overview["features"])
    saved = await prepared.instance.save("chat", {"model": FREE_MODEL, "seed": 5}, seen)
    assert saved["settings"]["seed"] == 5


class Prepared:
    """An instance that looks at its settings each time, as if it had just begun."""

    def __init__(self, world: World, openrouter: str) -> None:
        self.world = world
        self.instance = world.instance(OPENROUTER_BASE_URL=openrouter)
        self._round = 0

    async def write(
        self,
        feature: dict[str, Any] | None,
        revisions: list[dict[str, Any]],
        app: dict[str, Any],
        user: dict[str, Any],
    ) -> None:
        self._round += 1
        for name in await self.world.all("features/chat/revisions"):
            await self.world.firestore.document(f"features/chat/revisions/{name}").delete()
        for number, revision in enumerate(revisions):
            await self.world.write(f"features/chat/revisions/{number}", revision)
        await self.world.firestore.document("features/chat").delete()
        if feature is not None:
            await self.world.write("features/chat", feature)
        await self.world.write("config/app", app)
        await self.world.write(f"users/user-{self._round}", user)

    async def ask(self) -> tuple[str | None, str | None]:
        """The answer's text, or the reason why there is none."""
        try:
            return (await self.instance.ask("chat", f"user-{self._round}"))["text"], None
        except CallableError as error:
            return None, error.reason

    async def listed(self) -> set[str]:
        found = await self.instance.call("list_features", {}, f"user-{self._round}")
        return {one["feature"] for one in found["features"]}


@pytest.fixture
def prepared(suite: Suite, world: World) -> Any:
    world.limits = UNCACHED
    with serving("--token-delay-ms", "0") as openrouter:
        yield Prepared(world, openrouter.api)
