"""`stop_generation`: another device of the same user ends an answer, and nobody else can.

Two served processes, one that answers and one that is told to stop: they have only Firestore in
common. How long a stop takes is measured by `./scripts/bench --stops`; here a bound is generous.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from google.cloud.firestore import AsyncClient

from firerouter.ledger.ids import generation_id
from scripts.devtools.callable_client import CallableClient, CallableFailure, id_token
from scripts.devtools.seed import create_documents
from scripts.devtools.suite import Suite
from tests.support.eventually import EVENTUALLY_S, until
from tests.support.serve import Serve, serving

SOON_S = 5.0  # a busy machine's
MODELS = (
    "silent",
    "silent-after-headers",
    "stall",
    "ticks",
    "slow-drip",
    "429-retry-after",
    "fast",
)
NO_IDS = {
    "generationId": ["", "a/b", "..", "__x__", "\0", "F" * 32, "0" * 31, "0" * 33, "0" * 1600, 7],
    "requestId": ["", "a b", "\0", "é", "x" * 129, 7],
}


@dataclass
class Answering:
    """A call that is being answered: what has come of it so far."""

    task: asyncio.Task[Any]
    marker: str
    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def generation_id(self) -> str:
        return str(self.messages[0]["generationId"])

    @property
    def text(self) -> str:
        return "".join(m["delta"] for m in self.messages if m["type"] == "text")

    async def result(self) -> Any:
        return await asyncio.wait_for(self.task, EVENTUALLY_S)


class Device:
    """A device of a user's; `stops` goes to another process than `asks`."""

    def __init__(self, asks: CallableClient, stops: CallableClient, uid: str) -> None:
        self.uid = uid
        self._asks = asks
        self._stops = stops

    def ask(self, model: str, *, stream: bool = True, **data: Any) -> Answering:
        marker = f"marker-{secrets.token_hex(6)}"
        data = {"feature": f"stop-{model}", "prompt": marker, **data}
        answering = Answering(asyncio.create_task(asyncio.sleep(0)), marker)

        async def streamed() -> Any:
            async for kind, value in self._asks.stream("execute_prompt", data):
                if kind == "result":
                    return value
                answering.messages.append(value)
            raise AssertionError("a stream without a result")

        answering.task = asyncio.create_task(
            streamed() if stream else self._asks.call("execute_prompt", data)
        )
        return answering

    async def stop(self, **data: Any) -> Any:
        return await self._stops.call("stop_generation", data)

    async def refusal(self, **data: Any) -> CallableFailure:
        with pytest.raises(CallableFailure) as refused:
            await self.stop(**data)
        return refused.value


DeviceOf = Callable[[str], Device]


@pytest.fixture(scope="module")
def urls(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Where `execute_prompt` and `stop_generation` are served."""
    settings = {model: {"model": f"sim/{model}"} for model in MODELS}
    documents = {
        f"features/stop-{model}": {"enabled": True, "revision": 1, "settings": value}
        for model, value in settings.items()
    }
    create_documents(suite.firestore_host, suite.project, documents)
    with serving(suite, tmp_path_factory.mktemp("stop")) as serve:
        yield serve("execute_prompt").url, serve("stop_generation").url


@pytest.fixture
async def device_of(suite: Suite, urls: tuple[str, str], app_check: str) -> AsyncIterator[DeviceOf]:
    """Devices of users; each user's devices are alike."""
    clients: list[CallableClient] = []

    def device_of(uid: str) -> Device:
        token = id_token(suite.project, uid)
        asks, stops = (CallableClient(url, token, app_check) for url in urls)
        clients.extend((asks, stops))
        return Device(asks, stops, uid)

    yield device_of
    for client in clients:
        await client.aclose()


@pytest.fixture
def uid() -> str:
    return f"stopper-{secrets.token_hex(6)}"


async def upstream(suite: Suite, marker: str) -> list[dict[str, Any]]:
    """What the OpenRouter stand-in saw of one call."""
    async with httpx.AsyncClient(trust_env=False) as http:
        seen = (await http.get(f"{suite.openrouter_root}/sim/requests")).json()
    return [request for request in seen if marker in str(request["body"])]


async def written(answering: Answering) -> None:
    async def some() -> bool:
        assert not answering.task.done()
        return bool(answering.text)

    await until(some)


async def entry_of(firestore: AsyncClient, id_: str) -> dict[str, Any]:
    return (await firestore.document(f"generations/{id_}").get()).to_dict() or {}


async def running_now(firestore: AsyncClient, uid: str) -> int:
    window = await firestore.document("quotas", uid, "windows", "concurrent").get()
    return int((window.to_dict() or {}).get("count", 0))


async def assert_stopped(
    suite: Suite, firestore: AsyncClient, device: Device, answering: Answering, stopped_at: float
) -> dict[str, Any]:
    """Its call has the result, OpenRouter's connection is closed, the ledger has it once."""
    result: dict[str, Any] = await answering.result()
    assert result["finishReason"] == "stopped"
    assert result["text"].startswith(answering.text)
    (request,) = await upstream(suite, answering.marker)
    assert not request["open"]
    assert request["closedByClient"]
    assert request["endedAt"] - stopped_at < SOON_S
    entry = await entry_of(firestore, result["generationId"])
    assert (entry["status"], entry["error"]) == ("stopped", None)
    assert entry["finishReason"] == "stopped"
    assert entry["stop"]["by"] == device.uid
    assert entry["stop"]["instance"] == entry["instance"] != ""
    assert await running_now(firestore, device.uid) == 0
    return result


# -- another device --------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "unary"])
@pytest.mark.parametrize("model", ["silent", "silent-after-headers", "stall", "slow-drip"])
async def test_another_device_stops_it_wherever_the_answer_has_got_to(
    suite: Suite, firestore: AsyncClient, device_of: DeviceOf, uid: str, model: str, stream: bool
) -> None:
    phone, laptop = device_of(uid), device_of(uid)
    answering = phone.ask(model, stream=stream, requestId=f"{model}-{stream}")
    await until(lambda: upstream(suite, answering.marker))
    if stream and model in ("stall", "slow-drip"):
        await written(answering)
    begun = time.time()
    answer = await laptop.stop(requestId=f"{model}-{stream}")
    assert answer == {
        "generationId": generation_id(uid, f"{model}-{stream}"),
        "stopped": True,
        "status": "running",
    }
    result = await assert_stopped(suite, firestore, phone, answering, begun)
    assert result["generationId"] == answer["generationId"]
    if stream:
        assert answering.messages[0]["type"] == "start"
        assert result["text"] == answering.text
    if model == "stall":
        assert result["text"]
        assert result["usage"]["completionTokens"] > 0


async def test_by_the_id_of_the_start_frame(
    suite: Suite, firestore: AsyncClient, device_of: DeviceOf, uid: str
) -> None:
    phone, laptop = device_of(uid), device_of(uid)
    answering = phone.ask("ticks")
    await written(answering)
    begun = time.time()
    answer = await laptop.stop(generationId=answering.generation_id)
    assert answer["stopped"] is True
    result = await assert_stopped(suite, firestore, phone, answering, begun)
    assert result["text"].startswith("tick-1 ")


async def test_of_many_on_one_instance_only_the_one_is_stopped(
    suite: Suite, firestore: AsyncClient, device_of: DeviceOf, uid: str
) -> None:
    devices = [device_of(f"{uid}-{number}") for number in range(12)]
    answering = [device.ask("ticks", requestId="alike") for device in devices]
    for one in answering:
        await written(one)
    begun = time.time()
    answer = await devices[5].stop(requestId="alike")
    assert answer["generationId"] == answering[5].generation_id
    await assert_stopped(suite, firestore, devices[5], answering[5], begun)
    results = [await one.result() for one in answering]
    assert [result["finishReason"] for result in results].count("stop") == 11
    assert {result["text"].count("tick-") for result in results if result is not results[5]} == {
        100
    }


async def test_a_stop_sent_together_with_the_request_ends_it(
    firestore: AsyncClient, device_of: DeviceOf, uid: str
) -> None:
    phone, laptop = device_of(uid), device_of(uid)
    stopping = asyncio.create_task(laptop.stop(requestId="hasty"))
    answering = phone.ask("silent", requestId="hasty")
    assert (await stopping)["stopped"] is True
    result = await answering.result()
    assert (result["finishReason"], result["text"]) == ("stopped", "")
    assert (await entry_of(firestore, result["generationId"]))["status"] == "stopped"
    assert await running_now(firestore, uid) == 0


async def test_a_stop_between_two_tries_ends_it(
    suite: Suite, firestore: AsyncClient, device_of: DeviceOf, uid: str
) -> None:
    phone, laptop = device_of(uid), device_of(uid)
    answering = phone.ask("429-retry-after", requestId="tries")

    async def waits_for_its_second_try() -> bool:
        return [message["type"] for message in answering.messages] == ["start", "retry"]

    await until(waits_for_its_second_try)
    assert (await laptop.stop(requestId="tries"))["stopped"] is True
    assert (await answering.result())["finishReason"] == "stopped"
    entry = await entry_of(firestore, answering.generation_id)
    assert entry["status"] == "stopped"
    assert entry["attempts"][0]["reason"] == "rate_limited"
    assert len(await upstream(suite, answering.marker)) == len(entry["attempts"]) < 3
    assert await running_now(firestore, uid) == 0


async def test_stopping_twice_and_at_once_is_no_harm(
    suite: Suite, firestore: AsyncClient, device_of: DeviceOf, uid: str
) -> None:
    device = device_of(uid)
    answering = device.ask("stall")
    await written(answering)
    begun, id_ = time.time(), answering.generation_id
    answers = await asyncio.gather(*(device.stop(generationId=id_) for _ in range(8)))
    told = {"generationId": id_, "stopped": True, "status": "running"}
    late = {"generationId": id_, "stopped": False, "status": "stopped"}
    assert told in answers
    assert all(answer in (told, late) for answer in answers)
    await assert_stopped(suite, firestore, device, answering, begun)
    assert await device.stop(generationId=id_) == late


async def test_behind_one_instance_it_is_told_directly(
    suite: Suite, serve: Serve, firestore: AsyncClient, urls: Any, app_check: str, uid: str
) -> None:
    url = serve("api").url
    async with CallableClient(url, id_token(suite.project, uid), app_check) as client:
        ask = {"endpoint": "execute_prompt", "feature": "stop-stall", "prompt": uid}
        asking = asyncio.create_task(client.call("api", {**ask, "requestId": "direct"}))
        await until(lambda: upstream(suite, uid))
        stop = {"endpoint": "stop_generation", "requestId": "direct"}
        answer = await client.call("api", stop)
        result = await asyncio.wait_for(asking, EVENTUALLY_S)
    assert answer == {
        "generationId": result["generationId"],
        "stopped": True,
        "status": "running",
    }
    assert result["finishReason"] == "stopped"
    assert (await entry_of(firestore, result["generationId"]))["status"] == "stopped"
    assert await running_now(firestore, uid) == 0


# -- what is not stopped ---------------------------------------------------------------------------


async def test_nobody_else_can_and_learns_nothing(
    suite: Suite, firestore: AsyncClient, device_of: DeviceOf, uid: str
) -> None:
    owner, other = device_of(uid), device_of(f"{uid}-other")
    answering = owner.ask("slow-drip", requestId="mine")
    await written(answering)
    id_ = answering.generation_id
    theirs = await other.refusal(generationId=id_)
    none = await other.refusal(generationId=secrets.token_hex(16))
    by_request = await other.refusal(requestId="mine")
    for refusal in (theirs, none, by_request):
        assert (refusal.status, refusal.details["reason"]) == ("NOT_FOUND", "generation_unknown")
        assert refusal.message == none.message
        assert refusal.details.keys() == none.details.keys()
    assert "stop" not in await entry_of(firestore, id_)
    (request,) = await upstream(suite, answering.marker)
    assert request["open"]
    begun = time.time()
    await owner.stop(generationId=id_)
    await assert_stopped(suite, firestore, owner, answering, begun)


async def test_an_unknown_one_is_not_found_and_nothing_is_written(
    firestore: AsyncClient, device_of: DeviceOf, uid: str
) -> None:
    device, id_ = device_of(uid), secrets.token_hex(16)
    for data in ({"generationId": id_}, {"requestId": "never"}):
        refusal = await device.refusal(**data)
        assert (refusal.status, refusal.details["reason"]) == ("NOT_FOUND", "generation_unknown")
        assert refusal.details["retryable"] is False
    for unknown in (id_, generation_id(uid, "never")):
        assert not (await firestore.document(f"generations/{unknown}").get()).exists


async def test_one_that_has_ended_is_said_to_have_and_is_left_alone(
    firestore: AsyncClient, device_of: DeviceOf, uid: str
) -> None:
    device = device_of(uid)
    result = await device.ask("fast").result()
    id_ = result["generationId"]
    before = await firestore.document(f"generations/{id_}").get()
    answer = await device.stop(generationId=id_)
    assert answer == {"generationId": id_, "stopped": False, "status": "done"}
    after = await firestore.document(f"generations/{id_}").get()
    assert after.update_time == before.update_time


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in NO_IDS.items() for value in values]
)
async def test_what_can_be_no_id_is_refused(device_of: DeviceOf, name: str, value: Any) -> None:
    refusal = await device_of("guesser").refusal(**{name: value})
    assert refusal.status == "INVALID_ARGUMENT"
    assert refusal.details["reason"] == "invalid_argument"
    assert refusal.details["field"] == name


@pytest.mark.parametrize(
    "data", [{}, {"generationId": "0" * 32, "requestId": "r"}, {"id": "0" * 32}]
)
async def test_it_takes_exactly_one_id(device_of: DeviceOf, data: dict[str, Any]) -> None:
    assert (await device_of("guesser").refusal(**data)).status == "INVALID_ARGUMENT"


async def test_a_stranger_cannot(urls: tuple[str, str], app_check: str) -> None:
    async with CallableClient(urls[1], None, app_check) as client:
        with pytest.raises(CallableFailure) as refused:
            await client.call("stop_generation", {"generationId": "0" * 32})
    assert refused.value.details["reason"] == "sign_in_required"
