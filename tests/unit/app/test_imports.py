"""The imports of a first call: once, in a thread, and without a search for garbage among them."""

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from firerouter.app.callables import FUNCTIONS
from firerouter.app.imports import Imports
from tests.support.repository import ROOT


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


async def test_it_loads_once_in_a_thread_and_all_callers_wait_for_it() -> None:
    threads: list[str] = []
    release = threading.Event()

    def load() -> None:
        release.wait(20)
        threads.append(threading.current_thread().name)

    imports = Imports(load)
    imports.begin()
    waiting = [asyncio.create_task(imports.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    release.set()
    await asyncio.gather(*waiting)
    await imports.wait()
    assert len(threads) == 1
    assert threads[0] != threading.current_thread().name


async def test_a_caller_who_leaves_does_not_end_it_for_the_others() -> None:
    release = threading.Event()
    imports = Imports(lambda: assert_set(release))
    left, stays = (asyncio.create_task(imports.wait()) for _ in range(2))
    await asyncio.sleep(0)
    left.cancel()
    release.set()
    await stays
    assert left.cancelled()


def assert_set(event: threading.Event) -> None:
    assert event.wait(20)


async def test_the_collector_rests_meanwhile_and_leaves_what_was_loaded_alone() -> None:
    seen: list[bool] = []
    frozen = gc.get_freeze_count()
    await Imports(lambda: seen.append(gc.isenabled())).wait()
    assert seen == [False]
    assert gc.isenabled()
    assert gc.get_freeze_count() > frozen


async def test_a_fault_is_left_to_whoever_builds_the_parts() -> None:
    def load() -> None:
        raise ImportError("no such module")

    await Imports(load).wait()
    assert gc.isenabled()


# What is imported by building a handler and by its first request, after its `load`
LOOK = """
import asyncio, os, sys
import main
from firerouter.app.bootstrap import App
from firerouter.app.callables import FUNCTIONS

row = next(row for row in FUNCTIONS if row.name == sys.argv[1])
row.load()
loaded = set(sys.modules)
environ = {"FUNCTIONS_EMULATOR": "true", "GCLOUD_PROJECT": "demo-load", "FIREBASE_CONFIG": "{}",
           "FIRESTORE_EMULATOR_HOST": "127.0.0.1:9"}
os.environ.update(environ)

async def build():
    app = App(environ)
    row.handler(app)
    app.openrouter._transport

asyncio.run(build())
print("late:", sorted(name for name in set(sys.modules) - loaded if "firerouter." not in name))
"""


@pytest.mark.parametrize("name", [row.name for row in FUNCTIONS if row.load])
def test_nothing_of_others_is_left_to_import_while_the_event_loop_waits(name: str) -> None:
    look = subprocess.run(
        [sys.executable, "-c", LOOK, name],
        cwd=ROOT / "functions",
        env={"PATH": "", "GCLOUD_PROJECT": "demo-load"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert look.returncode == 0, look.stderr
    assert "late: []" in look.stdout
