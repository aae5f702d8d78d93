"""Requests of Google's own: what they are answered, and when they are sent again."""

import asyncio
from typing import Any

import pytest
from starlette.requests import Request

from firerouter.app.triggers import SingleRun, run_scheduled, run_task
from firerouter.errors import LedgerUnavailable

ID = "0123456789abcdef0123456789abcdef"


def request(body: bytes, path: str = "/") -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {"type": "http", "method": "POST", "path": path, "headers": [], "query_string": b""}
    return Request({**scope, "server": ("localhost", 80), "scheme": "http"}, receive)


class Work:
    """What is to be done; remembers what it was asked. fails: instead of an answer."""

    def __init__(self, fails: Exception | None = None) -> None:
        self.asked: list[Any] = []
        self._fails = fails

    async def __call__(self, *asked: str) -> dict[str, Any]:
        self.asked.append(asked)
        if self._fails is not None:
            raise self._fails
        return {"done": True}


async def test_a_task_names_one_generation() -> None:
    work = Work()
    body = b'{"data": {"generationId": "%b"}}' % ID.encode()
    assert await run_task(request(body), lambda: work) == ({"done": True}, 200)
    assert work.asked == [(ID,)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"{",
        b"[]",
        b"7",
        b"{}",
        b'{"data": null}',
        b'{"data": {}}',
        b'{"data": {"generationId": "a/b"}}',
        b'{"data": {"generationId": 7}}',
        b'{"data": {"generationId": "%b", "uid": "ann"}}' % ID.encode(),
    ],
)
async def test_what_is_no_task_does_nothing_and_does_not_come_again(body: bytes) -> None:
    work = Work()
    assert await run_task(request(body), lambda: work) == ({}, 200)
    assert work.asked == []


@pytest.mark.parametrize("failure", [LedgerUnavailable(), RuntimeError("secret")])
async def test_what_fails_is_sent_again(
    failure: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    body = b'{"data": {"generationId": "%b"}}' % ID.encode()
    assert await run_task(request(body), lambda: Work(failure)) == ({}, 500)
    assert await run_scheduled(request(b""), lambda: Work(failure)) == ({}, 500)
    assert "secret" not in capsys.readouterr().out


async def test_a_question_of_health_does_nothing() -> None:
    work = Work()
    for ask in (run_task, run_scheduled):
        assert await ask(request(b"", "/x/__/health"), lambda: work) == ({}, 200)
    assert work.asked == []
    assert await run_scheduled(request(b""), lambda: work) == ({"done": True}, 200)


async def test_a_schedules_work_runs_once_at_a_time_whoever_asks_for_it() -> None:
    begun, may_end = 0, asyncio.Event()

    async def work() -> dict[str, int]:
        nonlocal begun
        begun += 1
        await may_end.wait()
        return {"run": begun}

    once = SingleRun(lambda: work)
    asked = [asyncio.create_task(run_scheduled(request(b""), lambda: once)) for _ in range(50)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asked[0].cancel()  # who leaves ends nothing for the others
    may_end.set()
    assert await asyncio.gather(*asked[1:]) == [({"run": 1}, 200)] * 49
    assert await run_scheduled(request(b""), lambda: once) == ({"run": 2}, 200)


async def test_a_run_that_failed_is_begun_anew() -> None:
    works = iter([Work(RuntimeError()), Work()])
    once = SingleRun(lambda: next(works))
    assert await run_scheduled(request(b""), lambda: once) == ({}, 500)
    assert await run_scheduled(request(b""), lambda: once) == ({"done": True}, 200)
