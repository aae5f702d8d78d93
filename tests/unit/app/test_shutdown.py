"""On SIGTERM, what runs is ended in time, and the server's own handler still runs."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import pytest

from firerouter.app import shutdown


@pytest.fixture(autouse=True)
def from_stored() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


async def test_generations_get_a_grace_and_the_server_is_told_at_once() -> None:
    told: list[str] = []
    interrupted = asyncio.Event()

    def server(_number: int, _frame: FrameType | None) -> None:
        told.append("server")

    signal.signal(signal.SIGTERM, server)
    shutdown.before_shutdown(interrupted.set, grace_s=0.1)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(0)
    assert told == ["server"]
    assert not interrupted.is_set()
    await asyncio.wait_for(interrupted.wait(), 20)


async def test_outside_the_main_thread_there_is_no_hook_and_the_log_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def install() -> None:
        shutdown.before_shutdown(lambda: None)

    thread = threading.Thread(target=lambda: asyncio.run(install()))
    thread.start()
    thread.join()
    assert "no_shutdown_hook" in capsys.readouterr().out
