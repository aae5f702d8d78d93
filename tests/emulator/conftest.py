"""What the tests against the emulators share."""

from collections.abc import AsyncIterator, Iterator

import pytest
from google.cloud.firestore import DELETE_FIELD, AsyncClient

from scripts.devtools.suite import Suite
from tests.conftest import serving
from tests.emulator.wired import Home, Person
from tests.emulator.world import World, new_world


@pytest.fixture
async def firestore(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> AsyncClient:
    """The suite's Firestore, past the rules, as the functions see it."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", suite.firestore_host)
    return AsyncClient(project=suite.project)


@pytest.fixture
async def world(suite: Suite) -> AsyncIterator[World]:
    """A project of the test's own, whose instances run in this process."""
    async with new_world(suite) as world:
        yield world


@pytest.fixture
async def paid_models(firestore: AsyncClient) -> AsyncIterator[None]:
    """The app allows them, until the test is over."""
    app = firestore.document("config/app")
    await app.set({"freeModelsOnly": False}, merge=True)
    yield
    await app.update({"freeModelsOnly": DELETE_FIELD})


@pytest.fixture(scope="module")
def urls(suite: Suite, home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Two instances of `api`, in the `home` of the module that asks."""
    with serving(suite, tmp_path_factory.mktemp("instances")) as serve:
        yield [serve("api", env=home.environment).url for _ in range(2)]


@pytest.fixture
async def person(home: Home, urls: list[str]) -> AsyncIterator[Person]:
    """A user of both."""
    async with home.person(*urls) as person:
        yield person
