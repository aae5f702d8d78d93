"""The tries it takes to get a first token, against a server that does as each test says."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import openai  # noqa: F401  # now, for its import would count among the deadlines below
import pytest
from aiohttp import web

from firerouter.contract import Message
from firerouter.errors import (
    AnswerTooLong,
    EmptyAnswer,
    FreeDailyLimit,
    KeyInvalid,
    KeyLimitReached,
    KeyMissing,
    ModelNotFound,
    NoCredit,
    OutOfTime,
    RateLimited,
    StreamCut,
    SystemRoleRejected,
    UpstreamBusy,
    UpstreamError,
    UpstreamMalformed,
    UpstreamSilent,
    UpstreamUnreachable,
)
from firerouter.keys.secret import Secret
from firerouter.openrouter import (
    AttemptLog,
    ChatRequest,
    Deadline,
    Interrupted,
    OnId,
    OnRetry,
    OpenRouter,
    OpenRouterLimits,
)

MARGIN_S = 20.0  # a busy machine's
Act = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Asked:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: Any
    peer: tuple[str, int]
    at: float
    left: asyncio.Event = field(default_factory=asyncio.Event)  # its client has gone

    @property
    def model(self) -> str:
        return str(self.body["model"])


class Upstream:
    """Plays the acts of each model in turn, the last one for ever; remembers what was asked."""

    def __init__(self) -> None:
        self.acts: dict[str, list[Act]] = {}
        self.asked: list[Asked] = []
        self._runner: web.AppRunner | None = None
        self.url = ""

    @property
    def models(self) -> list[str]:
        return [asked.model for asked in self.asked]

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/api/v1"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else {"model": request.path}
        assert request.transport is not None
        asked = Asked(
            request.path,
            {name.lower(): value for name, value in request.headers.items()},
            body,
            request.transport.get_extra_info("peername"),
            asyncio.get_running_loop().time(),
        )
        self.asked.append(asked)
        acts = self.acts[asked.model]
        act = acts.pop(0) if len(acts) > 1 else acts[0]
        try:
            return await act(request)
        except (asyncio.CancelledError, ConnectionResetError):
            asked.left.set()
            raise


def chunk(text: str | None = None, finish: str | None = None, **fields: Any) -> bytes:
    delta = {} if text is None else {"content": text}
    body = {
        "id": "gen-1",
        "model": "answered/by",
        "provider": "Test",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        **fields,
    }
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def says(*pieces: bytes | float, cut: bool = False, headers: dict[str, str] | None = None) -> Act:
    """Streams pieces; a number is a pause, `cut` breaks the connection at the end."""

    async def act(request: web.Request) -> web.StreamResponse:
        kind = {"Content-Type": "text/event-stream", "X-Generation-Id": "gen-header"}
        response = web.StreamResponse(headers={**kind, **(headers or {})})
        await response.prepare(request)
        for piece in pieces:
            if isinstance(piece, bytes):
                await response.write(piece)
            else:
                await asyncio.sleep(piece)
        if cut:
            assert request.transport is not None
            request.transport.close()
        return response

    return act


def drip(piece: bytes) -> list[bytes | float]:
    """The same piece again and again, for longer than a test should take."""
    return [piece, 0.02] * 500


def fails(
    status: int, message: str = "no", headers: dict[str, str] | None = None, **metadata: Any
) -> Act:
    async def act(_request: web.Request) -> web.StreamResponse:
        error = {"code": status, "message": message, "metadata": metadata}
        return web.json_response({"error": error}, status=status, headers=headers)

    return act


async def silent(_request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3600)
    raise AssertionError


async def hangs_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    await asyncio.sleep(3600)
    raise AssertionError


COMMENT = b": OPENROUTER PROCESSING\n\n"
HELLO = says(chunk("Hel"), chunk("lo"), chunk(finish="stop"), b"data: [DONE]\n\n")
DAILY = fails(429, "Rate limit exceeded: free-models-per-day", headers={"Retry-After": "1"})


class Keys:
    """Keys in order, versions 1, 2, ...; those that OpenRouter refused go last."""

    def __init__(self, *keys: str) -> None:
        self.keys = [Secret(key, n) for n, key in enumerate(keys or ("sk-first",), 1)]
        self.refused: list[Secret] = []

    async def get(self) -> Secret:
        return min(self.keys, key=self.refused.__contains__)

    async def next_after_refusal(self, tried: Sequence[Secret], reason: str) -> Secret | None:
        if reason == NoCredit.reason:
            return None  # as the pool says: the others mostly share the account
        self.refused.append(tried[-1])
        return next((key for key in self.keys if key not in tried), None)


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    upstream = Upstream()
    await upstream.start()
    yield upstream
    await upstream.stop()


@pytest.fixture
async def openrouter(upstream: Upstream) -> AsyncIterator[OpenRouter]:
    openrouter = OpenRouter(base_url=upstream.url)
    yield openrouter
    await openrouter.close()


@pytest.fixture
def jitter(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """The ranges that pauses are drawn from; what is drawn is hardly a pause."""
    ranges: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        ranges.append((low, high))
        return 0.001

    monkeypatch.setattr(random, "uniform", uniform)
    return ranges


def request(*models: str, **fields: Any) -> ChatRequest:
    values: dict[str, Any] = {
        "keys": Keys(),
        "messages": [Message("user", "Hi")],
        "parameters": {},
        "app_name": "App",
        "referer": "https://app.example",
        **fields,
    }
    return ChatRequest(models=list(models), **values)


async def ask(
    openrouter: OpenRouter,
    *models: str,
    tries: AttemptLog | None = None,
    on_id: OnId = lambda: None,
    on_retry: OnRetry | None = None,
    total_s: float = 30.0,
    **fields: Any,
) -> str:
    """The text of the answer."""
    watch = Deadline(total_s)
    tries = AttemptLog() if tries is None else tries
    async with openrouter.answer(
        request(*models, **fields), watch, tries, on_id=on_id, on_retry=on_retry
    ) as stream:
        with watch.guard():
            return "".join([delta.text async for deltas in stream for delta in deltas])


def reasons(tries: AttemptLog) -> list[tuple[str, str | None]]:
    return [(attempt.model, attempt.reason) for attempt in tries.attempts]


# -- how often -------------------------------------------------------------------------------------


async def test_an_answer_takes_one_try(openrouter: OpenRouter, upstream: Upstream) -> None:
    upstream.acts["a/a"] = [HELLO]
    tries = AttemptLog()
    assert await ask(openrouter, "a/a", tries=tries) == "Hello"
    assert upstream.models == ["a/a"]
    assert reasons(tries) == [("a/a", None)]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 524, 529, 599])
async def test_a_model_is_asked_three_times_at_most(
    openrouter: OpenRouter,
    upstream: Upstream,
    jitter: list[tuple[float, float]],
    status: int,
) -> None:
    upstream.acts["a/a"] = [fails(status)]
    tries = AttemptLog()
    with pytest.raises(UpstreamError) as failed:
        await ask(openrouter, "a/a", tries=tries)
    assert upstream.models == ["a/a"] * 3
    assert reasons(tries) == [("a/a", failed.value.reason)] * 3


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 410, 412, 413, 422, 418])
async def test_what_will_not_pass_is_not_tried_again(
    openrouter: OpenRouter, upstream: Upstream, status: int
) -> None:
    upstream.acts["a/a"] = [fails(status)]
    with pytest.raises(UpstreamError):
        await ask(openrouter, "a/a")
    assert upstream.models == ["a/a"]


async def test_pauses_are_drawn_from_zero_to_a_doubling_bound(
    openrouter: OpenRouter, upstream: Upstream, jitter: list[tuple[float, float]]
) -> None:
    upstream.acts["a/a"] = [fails(503)]
    with pytest.raises(UpstreamBusy):
        await ask(openrouter, "a/a")
    assert jitter[:2] == [
        (0, OpenRouterLimits().backoff_first_s),
        (0, 2 * OpenRouterLimits().backoff_first_s),
    ]


async def test_a_failure_that_passes_is_not_seen(
    openrouter: OpenRouter, upstream: Upstream, jitter: list[tuple[float, float]]
) -> None:
    upstream.acts["a/a"] = [fails(503), fails(429), HELLO]
    tries = AttemptLog()
    assert await ask(openrouter, "a/a", tries=tries) == "Hello"
    assert reasons(tries) == [("a/a", "upstream_busy"), ("a/a", "rate_limited"), ("a/a", None)]


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (says(COMMENT, cut=True), "stream_cut"),
        (says(chunk("")), "stream_cut"),
        (hangs_up, "upstream_unreachable"),
        (says(chunk(""), chunk(finish="stop"), b"data: [DONE]\n\n"), "empty_answer"),
        (says(b"data: {broken\n\n"), "upstream_malformed"),
        (says(chunk(error={"code": 502, "message": "x"})), "upstream_busy"),
        (says(chunk(finish="error")), "upstream_busy"),
    ],
    ids=["cut", "no end", "hung up", "empty", "malformed", "error first", "finish error"],
)
async def test_what_goes_wrong_before_the_first_token_is_tried_again(
    openrouter: OpenRouter,
    upstream: Upstream,
    jitter: list[tuple[float, float]],
    act: Act,
    reason: str,
) -> None:
    upstream.acts["a/a"] = [act, HELLO]
    tries = AttemptLog()
    assert await ask(openrouter, "a/a", tries=tries) == "Hello"
    assert reasons(tries) == [("a/a", reason), ("a/a", None)]


REASONS = chunk(choices=[{"index": 0, "delta": {"reasoning": "Hm"}, "finish_reason": None}])


@pytest.mark.parametrize("first", [chunk("Hel"), REASONS], ids=["text", "reasoning"])
@pytest.mark.parametrize(
    ("rest", "cut", "failure"),
    [
        (b": comment\n\n", True, StreamCut),
        (b": comment\n\n", False, StreamCut),
        (b"data: {broken\n\n", False, UpstreamMalformed),
        (chunk(error={"code": 503, "message": "x"}), False, UpstreamBusy),
        (chunk(error={"code": "429", "message": "x"}), False, RateLimited),
    ],
    ids=["cut", "no end", "malformed", "error", "string code"],
)
async def test_after_the_first_token_nothing_is_tried_again(
    openrouter: OpenRouter,
    upstream: Upstream,
    first: bytes,
    rest: bytes,
    cut: bool,
    failure: type[UpstreamError],
) -> None:
    # the pause: by then the first token is read
    upstream.acts = {"a/a": [says(first, 0.1, rest, cut=cut)], "b/b": [HELLO]}
    tries = AttemptLog()
    with pytest.raises(failure):
        await ask(openrouter, "a/a", "b/b", tries=tries)
    assert upstream.models == ["a/a"]
    assert len(tries.attempts) == 1


@pytest.mark.parametrize(
    ("rest", "failure"),
    [
        (b"data: {broken\n\n", UpstreamMalformed),
        (chunk(error={"code": 503, "message": "x"}), UpstreamBusy),
    ],
    ids=["malformed", "error"],
)
async def test_a_failure_in_the_packet_of_the_first_token_comes_after_it(
    openrouter: OpenRouter, upstream: Upstream, rest: bytes, failure: type[UpstreamError]
) -> None:
    upstream.acts = {"a/a": [says(chunk("Hel") + chunk("lo") + rest)], "b/b": [HELLO]}
    tries = AttemptLog()
    with pytest.raises(failure):
        await ask(openrouter, "a/a", "b/b", tries=tries)
    assert upstream.models == ["a/a"]
    (attempt,) = tries.attempts
    assert attempt.answer is not None
    assert attempt.answer.text == "Hello"


async def test_an_empty_answer_is_asked_for_once_more_and_not_a_third_time(
    openrouter: OpenRouter, upstream: Upstream, jitter: list[tuple[float, float]]
) -> None:
    used = {"prompt_tokens": 9, "completion_tokens": 0, "cost": 0.05}
    empty = says(chunk(""), chunk(finish="stop", usage=used), b"data: [DONE]\n\n")
    upstream.acts = {"a/a": [empty], "b/b": [fails(503), empty], "c/c": [HELLO]}
    tries = AttemptLog()
    assert await ask(openrouter, "a/a", "b/b", "c/c", tries=tries) == "Hello"
    assert upstream.models == ["a/a", "a/a", "b/b", "b/b", "b/b", "c/c"]
    paid = [attempt.usage for attempt in tries.attempts if attempt.reason == "empty_answer"]
    assert [usage.cost_nano_usd for usage in paid if usage] == [50_000_000] * 4


async def test_an_answer_ends_with_done_though_the_connection_stays_open(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    held = says(chunk("Hello"), chunk(finish="stop"), b"data: [DONE]\n\n", 3600.0)
    upstream.acts["a/a"] = [held]
    async with asyncio.timeout(MARGIN_S):
        assert await ask(openrouter, "a/a") == "Hello"
        await upstream.asked[0].left.wait()


async def test_a_connection_whose_answer_ended_is_used_again(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    late_end = says(chunk("Hello"), chunk(finish="stop"), b"data: [DONE]\n\n", 0.01)
    upstream.acts["a/a"] = [HELLO, late_end, HELLO]
    for _ in range(3):
        assert await ask(openrouter, "a/a") == "Hello"
    assert len({asked.peer for asked in upstream.asked}) == 1


async def test_a_server_that_is_not_there_is_tried_three_times(
    upstream: Upstream, jitter: list[tuple[float, float]]
) -> None:
    await upstream.stop()
    tries = AttemptLog()
    with pytest.raises(UpstreamUnreachable):
        await ask(OpenRouter(base_url=upstream.url), "a/a", tries=tries)
    assert reasons(tries) == [("a/a", "upstream_unreachable")] * 3


# -- Retry-After -----------------------------------------------------------------------------------


async def test_retry_after_is_obeyed(
    openrouter: OpenRouter, upstream: Upstream, jitter: list[tuple[float, float]]
) -> None:
    upstream.acts["a/a"] = [fails(429, headers={"Retry-After": "0.3"}), HELLO]
    assert await ask(openrouter, "a/a") == "Hello"
    first, second = upstream.asked
    assert second.at - first.at >= 0.3
    assert jitter == []


async def test_credit_that_is_busy_is_waited_for_too(
    openrouter: OpenRouter, upstream: Upstream, jitter: list[tuple[float, float]]
) -> None:
    busy = fails(402, headers={"Retry-After": "0.1"}, reason="in_flight_budget_exhausted")
    upstream.acts["a/a"] = [busy, HELLO]
    assert await ask(openrouter, "a/a") == "Hello"


@pytest.mark.parametrize("status", [429, 503])
async def test_a_long_retry_after_means_the_next_model_at_once(
    openrouter: OpenRouter, upstream: Upstream, status: int
) -> None:
    too_long = str(OpenRouterLimits().retry_after_max_s + 1)
    upstream.acts = {"a/a": [fails(status, headers={"Retry-After": too_long})], "b/b": [HELLO]}
    async with asyncio.timeout(MARGIN_S):
        assert await ask(openrouter, "a/a", "b/b") == "Hello"
    assert upstream.models == ["a/a", "b/b"]


async def test_a_long_retry_after_is_told_the_caller_where_there_is_no_other_model(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    upstream.acts["a/a"] = [fails(429, headers={"Retry-After": "40"})]
    with pytest.raises(RateLimited) as failed:
        await ask(openrouter, "a/a")
    assert upstream.models == ["a/a"]
    assert failed.value.retry_after_seconds == 40


async def test_a_date_to_wait_for_is_obeyed_or_told(
    openrouter: OpenRouter, upstream: Upstream, jitter: list[tuple[float, float]]
) -> None:
    soon, late = (formatdate(time.time() + after_s, usegmt=True) for after_s in (2, 365 * 86_400))
    upstream.acts["a/a"] = [fails(503, headers={"Retry-After": soon}), HELLO]
    assert await ask(openrouter, "a/a") == "Hello"
    first, second = upstream.asked
    assert second.at - first.at >= 0.9  # a date has whole seconds
    upstream.acts["a/a"] = [fails(503, headers={"Retry-After": late})]
    with pytest.raises(UpstreamBusy) as failed:
        await ask(openrouter, "a/a")
    assert len(upstream.asked) == 3
    assert failed.value.retry_after_seconds == 86_400


async def test_a_pause_ends_with_the_whole_calls_time(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    upstream.acts = {"a/a": [fails(429, headers={"Retry-After": "9"})], "b/b": [HELLO]}
    async with asyncio.timeout(MARGIN_S):
        with pytest.raises(OutOfTime):
            await ask(openrouter, "a/a", "b/b", total_s=3.0)
    assert upstream.models == ["a/a"]


# -- the daily cap of free requests ----------------------------------------------------------------


async def test_the_daily_cap_is_not_tried_again_whatever_it_says(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    upstream.acts["a/a:free"] = [DAILY]
    with pytest.raises(FreeDailyLimit):
        await ask(openrouter, "a/a:free")
    assert upstream.models == ["a/a:free"]


async def test_free_fallbacks_are_skipped_when_the_daily_cap_is_reached(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    upstream.acts = {"a/a:free": [DAILY], "b/b": [HELLO]}
    models = ("a/a:free", "openrouter/free", "c/c:free", "b/b")
    assert await ask(openrouter, *models) == "Hello"
    assert upstream.models == ["a/a:free", "b/b"]


async def test_free_fallbacks_stay_skipped_after_a_paid_one_failed(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    upstream.acts = {"a/a:free": [DAILY], "b/b": [fails(402)]}
    with pytest.raises(NoCredit):
        await ask(openrouter, "a/a:free", "b/b", "c/c:free")
    assert upstream.models == ["a/a:free", "b/b"]


async def test_with_free_models_only_the_daily_cap_is_what_the_caller_hears(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    upstream.acts["a/a:free"] = [DAILY]
    with pytest.raises(FreeDailyLimit):
        await ask(openrouter, "a/a:free", "openrouter/free")
    assert upstream.models == ["a/a:free"]


# -- fallbacks -------------------------------------------------------------------------------------


async def test_fallbacks_are_tried_in_their_order_and_announced(
    openrouter: OpenRouter, upstream: Upstream, jitter: list[tuple[float, float]]
) -> None:
    upstream.acts = {"a/a": [fails(503)], "b/b": [fails(404)], "c/c": [HELLO]}
    told: list[tuple[str, str]] = []

    async def on_retry(model: str, reason: str) -> None:
        told.append((model, reason))

    assert await ask(openrouter, "a/a", "b/b", "c/c", on_retry=on_retry) == "Hello"
    assert upstream.models == ["a/a", "a/a", "a/a", "b/b", "c/c"]
    assert told == [
        ("a/a", "upstream_busy"),
        ("a/a", "upstream_busy"),
        ("b/b", "upstream_busy"),
        ("c/c", "model_not_found"),
    ]


async def test_when_every_model_fails_the_last_failure_is_the_callers(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    upstream.acts = {"a/a": [fails(402)], "b/b": [fails(404)]}
    with pytest.raises(ModelNotFound):
        await ask(openrouter, "a/a", "b/b")
    assert upstream.models == ["a/a", "b/b"]


# -- what a model says of how it may be asked ------------------------------------------------------

AFFORD = (
    "This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, "
)


def affords(tokens: int) -> Act:
    return fails(402, f"{AFFORD}but can only afford {tokens}. To increase, visit the settings")


async def test_with_credit_for_fewer_tokens_it_is_asked_once_more_with_what_is_affordable(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    upstream.acts["a/a"] = [affords(30_104), HELLO]
    tries, told = AttemptLog(), []

    async def on_retry(model: str, reason: str) -> None:
        told.append((model, reason))

    assert await ask(openrouter, "a/a", tries=tries, on_retry=on_retry) == "Hello"
    assert [asked.body.get("max_tokens") for asked in upstream.asked] == [None, 30_104]
    assert reasons(tries) == [("a/a", "no_credit"), ("a/a", None)]
    assert told == [("a/a", "no_credit")]
    assert tries.affordable_tokens == 30_104


@pytest.mark.parametrize(
    ("acts", "max_tokens", "asked"),
    [
        ([affords(30_104), affords(20_000), HELLO], None, [None, 30_104]),
        ([affords(30_104), HELLO], 5_000, [5_000]),
        ([affords(OpenRouterLimits().affordable_tokens_min - 1), HELLO], None, [None]),
    ],
    ids=["not twice", "not for more than was wanted", "not for what is of no use"],
)
async def test_with_no_credit_for_a_useful_answer_that_is_said(
    openrouter: OpenRouter,
    upstream: Upstream,
    acts: list[Act],
    max_tokens: int | None,
    asked: list[int | None],
) -> None:
    upstream.acts["a/a"] = acts
    parameters = {} if max_tokens is None else {"max_tokens": max_tokens}
    with pytest.raises(NoCredit):
        await ask(openrouter, "a/a", parameters=parameters)
    assert [request.body.get("max_tokens") for request in upstream.asked] == asked


async def test_a_fallback_is_asked_for_the_whole_answer(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    upstream.acts = {"a/a": [affords(30_104), affords(20_000)], "b/b": [HELLO]}
    tries = AttemptLog()
    assert await ask(openrouter, "a/a", "b/b", tries=tries) == "Hello"
    assert [asked.body.get("max_tokens") for asked in upstream.asked] == [None, 30_104, None]
    assert tries.affordable_tokens is None


NO_SYSTEM = fails(400, "Provider returned error", raw="Developer instruction is not enabled for x")


async def test_a_model_without_a_system_role_gets_the_prompt_in_the_first_question(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    said = [
        Message("system", "Be brief."),
        Message("user", "Hi"),
        Message("assistant", "Hello"),
        Message("user", "Who are you?"),
    ]
    upstream.acts = {"a/a": [NO_SYSTEM, HELLO], "b/b": [HELLO]}
    tries = AttemptLog()
    assert await ask(openrouter, "a/a", tries=tries, messages=said) == "Hello"
    assert reasons(tries) == [("a/a", "upstream_rejected"), ("a/a", None)]
    first, second = ([m["content"] for m in asked.body["messages"]] for asked in upstream.asked)
    assert first == ["Be brief.", "Hi", "Hello", "Who are you?"]
    assert second == ["Be brief.\n\nHi", "Hello", "Who are you?"]
    # it is learnt: the next call says it so at once, and other models are not concerned
    await ask(openrouter, "a/a", messages=said)
    await ask(openrouter, "b/b", messages=said)
    last = [asked.body["messages"][0]["role"] for asked in upstream.asked[2:]]
    assert last == ["user", "system"]


async def test_a_model_that_refuses_the_role_of_nobody_is_not_asked_again(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    upstream.acts["a/a"] = [NO_SYSTEM]
    with pytest.raises(SystemRoleRejected):
        await ask(openrouter, "a/a")
    with pytest.raises(SystemRoleRejected):
        await ask(openrouter, "a/a", messages=[Message("system", "x"), Message("user", "Hi")])
    assert len(upstream.asked) == 3


# -- what OpenRouter said --------------------------------------------------------------------------

QUOTES = "Bad value: canary-prompt-7261 of Bearer sk-first"


@pytest.mark.parametrize(
    "act",
    [
        fails(400, QUOTES),
        fails(400, "Provider returned error", raw=json.dumps({"error": {"message": QUOTES}})),
        says(chunk(error={"code": 400, "message": QUOTES})),
        says(chunk("Hel"), 0.1, chunk(error={"code": 400, "message": QUOTES})),
    ],
    ids=["message", "raw", "first event", "after text"],
)
async def test_its_reason_is_kept_for_admins_without_keys_and_prompts(
    openrouter: OpenRouter, upstream: Upstream, act: Act
) -> None:
    upstream.acts["a/a"] = [act]
    tries = AttemptLog()
    with pytest.raises(UpstreamError) as failed:
        await ask(openrouter, "a/a", tries=tries, messages=[Message("user", "canary-prompt-7261?")])
    assert failed.value.upstream_reason is not None
    assert failed.value.upstream_reason.endswith("Bad value: [...] of [...]")
    assert failed.value.unredacted == ""
    assert tries.attempts[-1].upstream_reason == failed.value.upstream_reason
    assert "Bad value" not in json.dumps(failed.value.to_wire("0" * 32))


@pytest.mark.parametrize("rest", [b"data: [DONE]\n\n", b""])
@pytest.mark.parametrize("first", [[chunk("Hel"), 0.1], [chunk("Hel")], []])
async def test_a_stream_that_says_it_is_cut_at_its_length_is_an_answer(
    openrouter: OpenRouter, upstream: Upstream, first: list[bytes | float], rest: bytes
) -> None:
    error = {"code": 400, "message": "x", "metadata": {"error_type": "max_tokens_exceeded"}}
    choices = [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]
    upstream.acts["a/a"] = [says(*first, chunk(error=error, choices=choices), rest)]
    watch = Deadline(30.0)
    async with openrouter.answer(request("a/a"), watch, AttemptLog()) as stream:
        with watch.guard():
            assert "".join([d.text async for ds in stream for d in ds]) == ("Hel" if first else "")
    assert stream.answer.finish_reason == "length"
    assert len(upstream.asked) == 1


# -- bodies that are not what they are labelled, and what is no HTTP -------------------------------

EVENTS = chunk("Hel") + chunk("lo") + chunk(finish="stop") + b"data: [DONE]\n\n"
WHOLE = json.dumps(
    {
        "id": "gen-1",
        "model": "answered/by",
        "choices": [{"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}],
    }
).encode()


@pytest.mark.parametrize("label", ["application/json", "text/plain", "text/event-stream", ""])
@pytest.mark.parametrize(
    "pieces",
    [
        [EVENTS],
        [b"\n", b": comment\n\n", EVENTS],
        [b"d", EVENTS[1:]],
        [b"\xef\xbb\xbf", EVENTS],
        [WHOLE],
        [b" \n", 0.05, b" ", WHOLE[:1], WHOLE[1:]],
    ],
    ids=["events", "a comment first", "in pieces", "a mark first", "whole", "blanks first"],
)
async def test_a_body_is_told_by_its_first_bytes_whatever_its_label(
    openrouter: OpenRouter, upstream: Upstream, label: str, pieces: list[bytes | float]
) -> None:
    upstream.acts["a/a"] = [says(*pieces, headers={"Content-Type": label})]
    assert await ask(openrouter, "a/a") == "Hello"
    assert len(upstream.asked) == 1


@pytest.mark.parametrize("label", ["application/json", "text/event-stream"])
async def test_an_error_is_told_by_its_first_bytes_too(
    openrouter: OpenRouter, upstream: Upstream, label: str
) -> None:
    error = json.dumps({"error": {"code": "rate_limit_exceeded", "message": "Slow down"}}).encode()
    upstream.acts["a/a"] = [says(error, headers={"Content-Type": label})]
    with pytest.raises(RateLimited):
        await ask(openrouter, "a/a")


async def test_a_line_of_nine_megabytes_is_too_long_at_once(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    upstream.acts = {"a/a": [says(b'data: {"x": "', *[b"x" * 1_000_000] * 9)], "b/b": [HELLO]}
    with pytest.raises(AnswerTooLong):
        await ask(openrouter, "a/a", "b/b")
    assert upstream.models == ["a/a"]


NO_HTTP = {
    "garbage": b"\x00\xff\x07\r\n\r\n" * 100,
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "a status that is no number": b"HTTP/1.1 OK OK\r\n\r\n",
    "a header of 4 MB": b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 4_000_000 + b"\r\n\r\n",
    "40,000 headers": b"HTTP/1.1 200 OK\r\n" + b"X-Many: x\r\n" * 40_000 + b"\r\n",
    "a length that is no number": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
}


@pytest.mark.parametrize("sent", NO_HTTP.values(), ids=NO_HTTP)
async def test_what_is_no_http_is_a_failure_like_any_other(
    upstream: Upstream, jitter: list[tuple[float, float]], sent: bytes
) -> None:
    async def act(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(sent)
        await asyncio.sleep(0.1)
        request.transport.close()
        await asyncio.sleep(3600)
        raise AssertionError

    upstream.acts = {"a/a": [act], "b/b": [HELLO], "/api/v1/key": [act]}
    openrouter = OpenRouter(base_url=upstream.url)
    tries = AttemptLog()
    assert await ask(openrouter, "a/a", "b/b", tries=tries) == "Hello"
    assert reasons(tries) == [("a/a", "upstream_malformed")] * 3 + [("b/b", None)]
    with pytest.raises(UpstreamMalformed):
        await openrouter.get("/key", Secret("sk-candidate"), 5.0)
    await openrouter.close()


# -- the key ---------------------------------------------------------------------------------------


MANAGE = "Manage it using https://openrouter.ai/settings/keys"
MORE = "This request requires more credits, or fewer max_tokens. To increase, visit https://"
SPENT_KEYS = {
    **{
        f"a key's own {period} limit is a 403": fails(
            403, f"Key limit exceeded ({period} limit). {MANAGE}"
        )
        for period in ("daily", "weekly", "monthly", "total")
    },
    "a key's own limit, typed, is a 403": fails(403, limit_source="openrouter_key_limit"),
    "a key's limit told as 402": fails(402, f"{MORE}openrouter.ai/settings/keys and create a key"),
    "a key's limit, typed, is a 402": fails(402, limit_source="openrouter_key_limit"),
}


def spent() -> Act:
    return fails(402, "Key limit exceeded", limit_source="openrouter_key_limit")


def given(upstream: Upstream) -> list[str]:
    """The key of each request."""
    return [asked.headers["authorization"].removeprefix("Bearer ") for asked in upstream.asked]


@pytest.mark.parametrize(
    "refusal", [fails(401), *SPENT_KEYS.values()], ids=["a key that is gone", *SPENT_KEYS]
)
async def test_where_a_key_is_refused_the_next_one_is_asked_with_at_once(
    openrouter: OpenRouter, upstream: Upstream, refusal: Act
) -> None:
    keys = Keys("sk-first", "sk-second", "sk-third")
    upstream.acts["a/a"] = [refusal, refusal, HELLO]
    tries = AttemptLog()
    assert await ask(openrouter, "a/a", keys=keys, tries=tries) == "Hello"
    assert given(upstream) == ["sk-first", "sk-second", "sk-third"]
    assert reasons(tries) == [("a/a", None)]
    assert tries.attempts[0].key_version == 3
    await ask(openrouter, "a/a", keys=keys)
    assert given(upstream)[3:] == ["sk-third"]


async def test_where_every_key_has_reached_its_limit_that_is_said(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    for act in SPENT_KEYS.values():
        upstream.asked.clear()
        upstream.acts["a/a"] = [act]
        with pytest.raises(KeyLimitReached):
            await ask(openrouter, "a/a", keys=Keys("sk-first", "sk-second"))
        assert given(upstream) == ["sk-first", "sk-second"]


async def test_each_key_is_asked_with_once_and_the_last_refusal_ends_it(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    upstream.acts["a/a"] = [spent(), fails(401)]
    tries = AttemptLog()
    with pytest.raises(KeyInvalid):
        await ask(openrouter, "a/a", "b/b", keys=Keys("sk-first", "sk-second"), tries=tries)
    assert given(upstream) == ["sk-first", "sk-second"]
    assert [attempt.key_version for attempt in tries.attempts] == [2]


async def test_without_another_key_a_refused_one_ends_it(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    upstream.acts["a/a"] = [fails(401)]
    with pytest.raises(KeyInvalid):
        await ask(openrouter, "a/a", "b/b")
    assert upstream.models == ["a/a"]


NOT_THE_KEYS = {
    "no credit": fails(402, "Insufficient credits"),
    "no credit for so many tokens": fails(402, f"{MORE}openrouter.ai/settings/credits"),
    "credit in flight": fails(402, reason="in_flight_budget_exhausted"),
    "a budget of the key and more": fails(403, limit_source="openrouter_guardrail_budget"),
    "forbidden": fails(403),
    "the account's free requests": DAILY,
    "too many": fails(429),
    "busy": fails(503),
    "silent": fails(504),
}


@pytest.mark.parametrize("act", NOT_THE_KEYS.values(), ids=NOT_THE_KEYS)
async def test_what_is_not_the_keys_alone_leaves_the_others_alone(
    openrouter: OpenRouter, upstream: Upstream, jitter: list[tuple[float, float]], act: Act
) -> None:
    keys = Keys("sk-first", "sk-second")
    upstream.acts["a/a"] = [act]
    with pytest.raises(UpstreamError):
        await ask(openrouter, "a/a", keys=keys)
    assert set(given(upstream)) == {"sk-first"}
    assert keys.refused == []


async def test_a_key_that_is_missing_is_said_and_nothing_sent(upstream: Upstream) -> None:
    class NoKeys(Keys):
        async def get(self) -> Secret:
            raise KeyMissing

    tries = AttemptLog()
    openrouter = OpenRouter(base_url=upstream.url)
    with pytest.raises(KeyMissing):
        await ask(openrouter, "a/a", "b/b", keys=NoKeys(), tries=tries)
    assert upstream.asked == []


async def test_the_environments_of_openai_neither_redirect_nor_replace_the_key(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Upstream()
    await other.start()
    other.acts["a/a"] = [HELLO]
    for name, value in {
        "OPENAI_BASE_URL": other.url,
        "OPENAI_API_BASE": other.url,
        "OPENAI_API_KEY": "sk-openai",
        "OPENAI_ADMIN_KEY": "sk-admin",
        "OPENAI_ORG_ID": "org-1",
        "OPENAI_PROJECT_ID": "proj-1",
        "OPENAI_API_TYPE": "azure",
        "AZURE_OPENAI_ENDPOINT": other.url,
    }.items():
        monkeypatch.setenv(name, value)
    upstream.acts["a/a"] = [fails(401), HELLO]
    keys = Keys("sk-first", "sk-second")
    assert await ask(OpenRouter(base_url=upstream.url), "a/a", keys=keys) == "Hello"
    await other.stop()

    assert other.asked == []
    assert len(upstream.asked) == 2
    for asked, key in zip(upstream.asked, ["sk-first", "sk-second"], strict=True):
        assert asked.headers["authorization"] == f"Bearer {key}"
        assert not [name for name in asked.headers if name.startswith("openai-")]


async def test_the_key_does_not_follow_a_redirect(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    other = Upstream()
    await other.start()
    other.acts = {"a/a": [HELLO], "/stolen": [HELLO]}

    async def redirects(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": f"{other.url[:-7]}/stolen"})

    upstream.acts = {"a/a": [redirects], "/api/v1/key": [redirects]}
    with pytest.raises(UpstreamError):
        await ask(openrouter, "a/a")
    with pytest.raises(UpstreamError):
        await openrouter.get("/key", Secret("sk-candidate"), 5.0)
    await other.stop()
    assert other.asked == []


# -- the request -----------------------------------------------------------------------------------


async def test_a_request_says_who_asks_and_what(openrouter: OpenRouter, upstream: Upstream) -> None:
    upstream.acts["a/a"] = [HELLO]
    messages = [{"role": "system", "content": "S"}, {"role": "user", "content": "Grüße 🙂"}]
    sent = {"temperature": 0.5, "max_tokens": 7, "provider": {"sort": "price"}}
    said = [Message("system", "S"), Message("user", "Grüße 🙂")]
    await ask(openrouter, "a/a", messages=said, parameters=sent)
    (asked,) = upstream.asked
    assert asked.path == "/api/v1/chat/completions"
    assert asked.body == {"model": "a/a", "messages": messages, "stream": True, **sent}
    assert asked.headers["authorization"] == "Bearer sk-first"
    assert asked.headers["http-referer"] == "https://app.example"
    assert asked.headers["x-openrouter-title"] == "App"
    assert asked.headers["x-title"] == "App"
    assert asked.headers["content-type"] == "application/json"


async def test_custom_parameters_do_not_replace_what_is_ours(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    upstream.acts["a/a"] = [HELLO]
    await ask(openrouter, "a/a", parameters={"model": "x/x", "stream": False, "messages": []})
    assert upstream.asked[0].model == "a/a"
    assert upstream.asked[0].body["stream"] is True
    assert upstream.asked[0].body["messages"]


async def test_all_requests_share_one_pool_of_connections(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    upstream.acts["a/a"] = [HELLO]
    for key in ("sk-1", "sk-1", "sk-2", "sk-3"):
        await ask(openrouter, "a/a", keys=Keys(key))
    assert len({asked.peer for asked in upstream.asked}) == 1
    assert [a.headers["authorization"][-1] for a in upstream.asked] == ["1", "1", "2", "3"]


async def test_the_upstream_id_is_known_as_soon_as_there_are_headers(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    upstream.acts["a/a"] = [says(0.2, chunk("x"), chunk(finish="stop"))]
    tries = AttemptLog()
    ids: list[str | None] = []

    def on_id() -> None:
        ids.append(tries.attempts[-1].upstream_id)

    await ask(openrouter, "a/a", tries=tries, on_id=on_id)
    assert ids == ["gen-header"]


async def test_a_compressed_answer_is_read_too(openrouter: OpenRouter, upstream: Upstream) -> None:
    async def compressed(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        response.enable_compression(web.ContentCoding.gzip)
        await response.prepare(request)
        await response.write(chunk("Hello") + chunk(finish="stop"))
        return response

    async def compressed_json(_request: web.Request) -> web.StreamResponse:
        message = {"role": "assistant", "content": "Hello"}
        body = {"id": "gen", "choices": [{"message": message, "finish_reason": "stop"}]}
        response = web.json_response(body)
        response.enable_compression(web.ContentCoding.gzip)
        return response

    upstream.acts = {"a/a": [compressed], "b/b": [compressed_json]}
    assert await ask(openrouter, "a/a") == "Hello"
    assert await ask(openrouter, "b/b") == "Hello"


# -- deadlines and stops ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "act",
    [silent, says(30.0), says(*drip(COMMENT)), says(*drip(chunk("")))],
    ids=["no headers", "headers only", "comments only", "empty chunks only"],
)
async def test_a_model_silent_for_too_long_is_left_for_the_next(
    openrouter: OpenRouter, upstream: Upstream, act: Act
) -> None:
    upstream.acts = {"a/a": [act], "b/b": [HELLO]}
    tries = AttemptLog()
    async with asyncio.timeout(MARGIN_S):
        assert await ask(openrouter, "a/a", "b/b", tries=tries, first_token_s=3.0) == "Hello"
    assert reasons(tries) == [("a/a", "upstream_timeout"), ("b/b", None)]
    await asyncio.wait_for(upstream.asked[0].left.wait(), MARGIN_S)


async def test_a_silence_says_which_deadline_it_passed(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    upstream.acts["a/a"] = [silent]
    with pytest.raises(UpstreamSilent) as failed:
        await ask(openrouter, "a/a", first_token_s=3.0)
    assert failed.value.details["phase"] == "first_token"
    assert upstream.models == ["a/a"]


async def test_the_whole_calls_deadline_is_not_followed_by_another_model(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    upstream.acts = {"a/a": [silent], "b/b": [HELLO]}
    async with asyncio.timeout(MARGIN_S):
        with pytest.raises(OutOfTime):
            await ask(openrouter, "a/a", "b/b", total_s=3.0)
    assert upstream.models == ["a/a"]


async def test_a_stop_before_the_first_token_ends_the_call_upstream(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    upstream.acts = {"a/a": [says(COMMENT, 30.0)], "b/b": [HELLO]}
    watch, tries = Deadline(30.0), AttemptLog()

    def stop() -> None:  # there are headers, and no token yet
        watch.stop("stopped")

    with pytest.raises(Interrupted):
        async with openrouter.answer(request("a/a", "b/b"), watch, tries, on_id=stop):
            pytest.fail("there is no first token")
    await asyncio.wait_for(upstream.asked[0].left.wait(), MARGIN_S)
    assert upstream.models == ["a/a"]
    assert reasons(tries) == [("a/a", "stopped")]


async def test_a_stop_between_two_tries_is_no_longer_pause(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    upstream.acts["a/a"] = [fails(429, headers={"Retry-After": "9"})]
    watch = Deadline(30.0)

    async def on_retry(_model: str, _reason: str) -> None:
        asyncio.get_running_loop().call_later(0.05, watch.stop, "stopped")

    async with asyncio.timeout(MARGIN_S):
        with pytest.raises(Interrupted):
            async with openrouter.answer(request("a/a"), watch, AttemptLog(), on_retry=on_retry):
                pytest.fail("there is no first token")
    assert upstream.models == ["a/a"]


async def test_leaving_an_answer_midway_ends_the_call_upstream(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    upstream.acts["a/a"] = [says(*drip(chunk("x")))]
    async with openrouter.answer(request("a/a"), Deadline(30.0), AttemptLog()) as answer:
        async for _ in answer:
            break
    await asyncio.wait_for(upstream.asked[0].left.wait(), MARGIN_S)


async def test_an_empty_answer_from_every_try_is_said_to_be_one(
    openrouter: OpenRouter, upstream: Upstream, jitter: list[tuple[float, float]]
) -> None:
    upstream.acts["a/a"] = [says(chunk(finish="stop"), b"data: [DONE]\n\n")]
    with pytest.raises(EmptyAnswer):
        await ask(openrouter, "a/a")
    assert upstream.models == ["a/a"] * 2


# -- GET -------------------------------------------------------------------------------------------


async def test_a_document_is_got_with_the_key_given(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    async def document(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"data": {"label": "x"}})

    upstream.acts["/api/v1/key"] = [document]
    key = Secret("sk-candidate")
    assert await openrouter.get("/key", key, 5.0) == {"data": {"label": "x"}}
    assert upstream.asked[0].headers["authorization"] == "Bearer sk-candidate"


async def test_a_public_document_is_got_without_any_key(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    async def document(request: web.Request) -> web.StreamResponse:
        return web.json_response(dict(request.query))

    upstream.acts["/api/v1/models"] = [document]
    asked = {"output_modalities": "all", "offset": "500"}
    for _ in range(2):
        assert await openrouter.get("/models", None, 5.0, query=asked) == asked
        await openrouter.get("/models", Secret("sk-candidate"), 5.0)
    keys = [request.headers.get("authorization") for request in upstream.asked]
    assert keys == [None, "Bearer sk-candidate"] * 2


@pytest.mark.parametrize(
    ("act", "failure"),
    [
        (fails(401), KeyInvalid),
        (fails(503), UpstreamBusy),
        (says(b"<html>"), UpstreamMalformed),
        (says(b'{"data": ', cut=True), UpstreamMalformed),
        (says(b"[" * 100_000), UpstreamMalformed),
        (says(*[b" " * 1_000_000] * 9), UpstreamMalformed),
    ],
    ids=["refused", "busy", "a web page", "cut", "nested", "huge"],
)
async def test_a_document_is_asked_for_once(
    openrouter: OpenRouter, upstream: Upstream, act: Act, failure: type[UpstreamError]
) -> None:
    upstream.acts["/api/v1/key"] = [act]
    with pytest.raises(failure):
        await openrouter.get("/key", Secret("sk-candidate"), 5.0)
    assert len(upstream.asked) == 1


async def test_a_document_that_no_one_sends_is_unreachable(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    upstream.acts["/api/v1/key"] = [hangs_up]
    with pytest.raises(UpstreamUnreachable):
        await openrouter.get("/key", Secret("sk-candidate"), 5.0)


async def test_a_document_is_waited_for_as_long_as_was_said(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    upstream.acts["/api/v1/key"] = [silent]
    async with asyncio.timeout(MARGIN_S):
        with pytest.raises(UpstreamError) as failed:
            await openrouter.get("/key", Secret("sk-candidate"), 0.3)
    assert failed.value.reason == "upstream_timeout"


async def test_a_document_got_with_a_candidate_leaves_the_answers_key_alone(
    openrouter: OpenRouter, upstream: Upstream
) -> None:
    async def document(_request: web.Request) -> web.StreamResponse:
        return web.json_response({})

    upstream.acts = {"/api/v1/key": [document], "a/a": [HELLO]}
    await ask(openrouter, "a/a")
    await openrouter.get("/key", Secret("sk-candidate"), 5.0)
    await ask(openrouter, "a/a")
    assert upstream.asked[-1].headers["authorization"] == "Bearer sk-first"
