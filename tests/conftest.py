"""What tests share: one suite for the whole run, started by the first test that asks for it."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from google.cloud.firestore import DELETE_FIELD, AsyncClient

from scripts.devtools import processes
from scripts.devtools.callable_client import CallableClient, app_check_token, sign_in
from scripts.devtools.check import FAILED_CHECKS
from scripts.devtools.seed import ADMIN, PASSWORD, USER, seed
from scripts.devtools.suite import Suite
from tests.support.in_process import World, new_world
from tests.support.over_http import Home, Person
from tests.support.recordings import LEFT_OUT
from tests.support.repository import ROOT
from tests.support.serve import Serve, serving
from tests.support.skips import left_out_of, skips_of, unexplained

IN_CI = os.environ.get("CI") == "true"
_tails = pytest.StashKey[str]()
hypothesis.settings.register_profile("firerouter", deadline=None)  # machines are busy
hypothesis.settings.load_profile("firerouter")


@pytest.fixture(scope="session")
def suite(request: pytest.FixtureRequest) -> Iterator[Suite]:
    """Every part, on ports of its own, seeded. Runs beside a `scripts/dev` that is up."""
    suite = Suite(ROOT, "tests", ports=Suite.free_ports(ROOT))
    with processes.ending_on_signals():
        try:
            suite.start(meanwhile=seed)
            yield suite
        finally:
            # read now: stopping writes a page of its own
            request.config.stash[_tails] = suite.tails()
            suite.stop()


@pytest.fixture(scope="session")
async def user(suite: Suite) -> str:
    """The ID token of somebody who is no admin."""
    return await sign_in(suite.auth_host, USER, PASSWORD)


@pytest.fixture(scope="session")
async def admin(suite: Suite) -> str:
    """The ID token of an admin."""
    return await sign_in(suite.auth_host, ADMIN, PASSWORD)


@pytest.fixture(scope="session")
async def app_check(suite: Suite) -> str:
    """An App Check token."""
    return await app_check_token(suite.app_check_host)


@pytest.fixture
async def client(suite: Suite, user: str, app_check: str) -> AsyncIterator[CallableClient]:
    """Calls the functions in the emulator, as the user."""
    async with CallableClient(suite.functions_url, user, app_check) as client:
        yield client


@pytest.fixture
def serve(suite: Suite, tmp_path: Path) -> Iterator[Serve]:
    """Serve functions in processes of their own, until the test is over."""
    with serving(suite, tmp_path) as serve:
        yield serve


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


@pytest.fixture
async def world(suite: Suite) -> AsyncIterator[World]:
    """A project of the test's own, whose instances run in this process."""
    async with new_world(suite) as world:
        yield world


@pytest.fixture
async def firestore(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> AsyncClient:
    """The suite's Firestore, past the rules, as the functions see it."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", suite.firestore_host)
    return AsyncClient(project=suite.project)


@pytest.fixture
async def paid_models(firestore: AsyncClient) -> AsyncIterator[None]:
    """The app allows them, until the test is over."""
    app = firestore.document("config/app")
    await app.set({"freeModelsOnly": False}, merge=True)
    yield
    await app.update({"freeModelsOnly": DELETE_FIELD})


# What the end of a run says


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """One of several processes has ended: what its suite said last is told at the end."""
    tails = getattr(node, "workeroutput", {}).get("tails", "")
    node.config.stash[_tails] = f"{node.config.stash.get(_tails, '')}{tails}\n"


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["tails"] = session.config.stash.get(_tails, "")
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or session.exitstatus != pytest.ExitCode.OK:
        return
    if os.environ.get(FAILED_CHECKS) or (IN_CI and unexplained(skips_of(reporter))):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    stats = terminalreporter.stats
    tails = config.stash.get(_tails, "")
    if tails and (stats.get("failed") or stats.get("error")):
        terminalreporter.section("the end of the suite's logs")
        terminalreporter.write_line(tails)
    skipped = skips_of(terminalreporter)
    if left_out := left_out_of(skipped):
        terminalreporter.section(f"left out: {LEFT_OUT}")
        terminalreporter.write_line("\n".join(left_out))
    if IN_CI and (wrong := unexplained(skipped)):
        terminalreporter.section("skipped, which fails a run in CI")
        terminalreporter.write_line("\n".join(wrong))
    if failed := os.environ.get(FAILED_CHECKS):
        terminalreporter.section(f"failed before the tests, see above: {failed}", red=True)
