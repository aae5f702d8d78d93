"""What tests share: one suite for the whole run, started by the first test that asks for it."""

import contextlib
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import hypothesis
import pytest

from scripts.devtools import processes
from scripts.devtools.callable_client import CallableClient, app_check_token, sign_in
from scripts.devtools.check import FAILED_CHECKS
from scripts.devtools.function_server import FUNCTIONS, FunctionServer
from scripts.devtools.seed import ADMIN, PASSWORD, USER, seed
from scripts.devtools.suite import Suite

ROOT = Path(__file__).parents[1]
RECORDINGS = ROOT.parent / "shared" / "data"
IN_CI = os.environ.get("CI") == "true"
NO_RECORDINGS = "recordings not present"
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


class Serve(Protocol):
    def __call__(self, target: str, *, env: Mapping[str, str] | None = None) -> FunctionServer: ...


@pytest.fixture
def serve(suite: Suite, tmp_path: Path) -> Iterator[Serve]:
    """Serves a function without the emulator, which tells no function that its client left.

    serve("execute_prompt").url takes what the emulator's URL of that function takes. `env` is laid
    over the suite's environment.
    """
    with serving(suite, tmp_path) as serve:
        yield serve


@contextlib.contextmanager
def serving(suite: Suite, logs: Path) -> Iterator[Serve]:
    """The same, for as long as it is wanted."""
    started: list[FunctionServer] = []

    def start(target: str, *, env: Mapping[str, str] | None = None) -> FunctionServer:
        environment = {**suite.environment(), **(env or {})}
        log = logs / f"{target}-{time.monotonic_ns()}.log"
        server = FunctionServer(target, FUNCTIONS, log=log, environment=environment)
        started.append(server)
        return server.wait_until_healthy()

    try:
        yield start
    finally:
        # not by the suite's mark: that would end the suite as well
        for server in started:
            server.stop()


# What the end of a run says


def unexplained_skips(skipped: list[Any], *, recordings: bool) -> list[str]:
    """In CI nothing may be skipped, except for want of recordings, which only we have."""
    reasons = [str(report.longrepr[2]) for report in skipped if isinstance(report.longrepr, tuple)]
    return [reason for reason in reasons if NO_RECORDINGS not in reason or recordings]


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
    skips = unexplained_skips(reporter.stats.get("skipped", []), recordings=RECORDINGS.exists())
    if os.environ.get(FAILED_CHECKS) or (IN_CI and skips):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    stats = terminalreporter.stats
    tails = config.stash.get(_tails, "")
    if tails and (stats.get("failed") or stats.get("error")):
        terminalreporter.section("the end of the suite's logs")
        terminalreporter.write_line(tails)
    if IN_CI:
        skips = unexplained_skips(stats.get("skipped", []), recordings=RECORDINGS.exists())
        if skips:
            terminalreporter.section("skipped, which fails a run in CI")
            terminalreporter.write_line("\n".join(skips))
    if failed := os.environ.get(FAILED_CHECKS):
        terminalreporter.section(f"failed before the tests, see above: {failed}", red=True)
