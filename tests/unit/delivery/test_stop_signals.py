"""The listener: when it is open, what it tells of, what it does when Firestore will not have it.

Against a Firestore that says what a test has it say. tests/integration/delivery/test_stop_faults.py
has a real one. Times are short and every bound is a generous one.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from google.api_core import exceptions
from google.cloud.firestore_v1.types import ListenRequest, ListenResponse

from firerouter.contract.base import parse
from firerouter.contract.prompts import StopGeneration
from firerouter.delivery import DeliveryLimits, StopCallable, StopLimits, StopSignals
from firerouter.delivery.stop_signals import Listener
from firerouter.errors import GenerationUnknown, InvalidArgument
from firerouter.ledger.ids import comparison_ids, generation_id
from tests.support.calls import call_of
from tests.support.eventually import until

SOON_S = 5.0
AT_ONCE = DeliveryLimits(stops=StopLimits(look_pauses_s=(0.0, 0.0, 0.0)))

CURRENT = ListenResponse({"target_change": {"target_change_type": "CURRENT", "target_ids": [1]}})
REFUSED = ListenResponse(
    {"target_change": {"target_change_type": "REMOVE", "target_ids": [1], "cause": {"code": 7}}}
)


def matching(id_: str) -> ListenResponse:
    name = f"projects/p/databases/(default)/documents/generations/{id_}"
    return ListenResponse({"document_change": {"document": {"name": name}, "target_ids": [1]}})


def matching_no_more(id_: str) -> ListenResponse:
    name = f"projects/p/databases/(default)/documents/generations/{id_}"
    change = {"document": {"name": name}, "removed_target_ids": [1]}
    return ListenResponse({"document_change": change})


class Stream:
    """One connection: what it says is put in, an exception breaks it, None ends it."""

    def __init__(self, requests: AsyncIterator[ListenRequest]) -> None:
        self.requests = requests
        self.says: asyncio.Queue[ListenResponse | BaseException | None] = asyncio.Queue()
        self.closed = asyncio.Event()

    def cancel(self) -> None:
        self.closed.set()

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> ListenResponse:
        said = await self.says.get()
        if said is None:
            raise StopAsyncIteration
        if isinstance(said, BaseException):
            raise said
        return said


class Firestore:
    """What the listener needs of a client. refuses: raised by each opening, while it is set."""

    project = "p"
    _rpc_metadata: tuple[Any, ...] = ()

    def __init__(self) -> None:
        self._firestore_api = self
        self.opened: asyncio.Queue[Stream] = asyncio.Queue()
        self.openings = 0
        self.refuses: Exception | None = None
        self.hangs = False

    async def listen(self, requests: AsyncIterator[ListenRequest], **_: Any) -> Stream:
        self.openings += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.refuses is not None:
            raise self.refuses
        stream = Stream(requests)
        self.opened.put_nowait(stream)
        return stream

    async def stream(self) -> Stream:
        return await asyncio.wait_for(self.opened.get(), SOON_S)


@pytest.fixture
def firestore() -> Firestore:
    return Firestore()


@pytest.fixture
def heard() -> asyncio.Queue[str]:
    return asyncio.Queue()


Make = Callable[..., Listener]


@pytest.fixture
async def make(firestore: Firestore, heard: asyncio.Queue[str]) -> AsyncIterator[Make]:
    """Makes a listener with these limits."""
    made: list[Listener] = []

    def hear(id_: str, comparison: str) -> None:
        heard.put_nowait(f"{id_} of {comparison}" if comparison else id_)

    def make(**fields: float) -> Listener:
        limits = replace(StopLimits(), first_pause_s=0.01, max_pause_s=0.04, **fields)  # type: ignore[arg-type]
        listener = Listener(firestore, "here", hear, limits=limits)  # type: ignore[arg-type]  # a stand-in
        made.append(listener)
        return listener

    yield make
    for listener in made:
        await listener.close()


@pytest.fixture
def listener(make: Make) -> Listener:
    return make()


async def next_of(heard: "asyncio.Queue[str]") -> str:
    return await asyncio.wait_for(heard.get(), SOON_S)


def logged(capsys: pytest.CaptureFixture[str]) -> list[Any]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line["type"] for line in lines if line["message"] == "stops_not_heard"]


async def test_it_is_opened_once_and_tells_of_each_match(
    firestore: Firestore, listener: Listener, heard: "asyncio.Queue[str]"
) -> None:
    for _ in range(3):
        listener.open()
    stream = await firestore.stream()
    for said in (matching("a"), CURRENT, matching_no_more("a"), matching("b")):
        stream.says.put_nowait(said)
    assert [await next_of(heard), await next_of(heard)] == ["a", "b"]
    assert firestore.openings == 1


async def test_it_is_opened_again_after_a_break_and_hears_what_was_missed(
    firestore: Firestore,
    listener: Listener,
    heard: "asyncio.Queue[str]",
    capsys: pytest.CaptureFixture[str],
) -> None:
    listener.open()
    for broken in (exceptions.ServiceUnavailable("gone"), None, OSError("gone")):  # type: ignore[no-untyped-call]
        stream = await firestore.stream()
        stream.says.put_nowait(CURRENT)
        stream.says.put_nowait(broken)
    stream = await firestore.stream()
    stream.says.put_nowait(matching("meanwhile"))
    assert await next_of(heard) == "meanwhile"
    assert logged(capsys) == ["ServiceUnavailable", "OSError"]  # to end is no outage


async def test_an_outage_is_logged_once_and_the_next_one_again(
    firestore: Firestore, listener: Listener, capsys: pytest.CaptureFixture[str]
) -> None:
    firestore.refuses = exceptions.PermissionDenied("no")  # type: ignore[no-untyped-call]
    listener.open()
    await until(lambda: firestore.openings >= 5)
    firestore.refuses = None
    (await firestore.stream()).says.put_nowait(REFUSED)
    stream = await firestore.stream()
    assert logged(capsys) == ["PermissionDenied"]
    stream.says.put_nowait(CURRENT)
    stream.says.put_nowait(REFUSED)
    await firestore.stream()
    assert logged(capsys) == ["PermissionDenied"]


async def test_an_opening_that_hangs_is_given_up_and_tried_again(
    firestore: Firestore, make: Make
) -> None:
    listener = make(open_s=0.05)
    firestore.hangs = True
    listener.open()
    await until(lambda: firestore.openings >= 2)
    firestore.hangs = False
    silent = await firestore.stream()  # opened, and never said to be current
    await asyncio.wait_for(silent.closed.wait(), SOON_S)
    stream = await firestore.stream()
    stream.says.put_nowait(CURRENT)
    await asyncio.sleep(0.2)
    assert not stream.closed.is_set()


async def test_at_rest_it_is_closed_and_opened_for_the_next_one(
    firestore: Firestore, make: Make
) -> None:
    listener = make(rest_s=0.1)
    listener.open()
    stream = await firestore.stream()
    stream.says.put_nowait(CURRENT)
    listener.rest()
    listener.open()  # in time: it stays open
    await asyncio.sleep(0.2)
    assert not stream.closed.is_set()
    listener.rest()
    await asyncio.wait_for(stream.closed.wait(), SOON_S)
    listener.open()
    await firestore.stream()
    assert firestore.openings == 2


async def test_answers_too_short_to_open_it_do_not_close_it_upon_the_next_one(
    firestore: Firestore, make: Make
) -> None:
    listener = make(rest_s=0.1)
    listener.open()
    stream = await firestore.stream()
    stream.says.put_nowait(CURRENT)
    listener.rest()
    listener.rest()  # of one that ended before it would have opened
    listener.open()
    await asyncio.sleep(0.3)
    assert not stream.closed.is_set()


async def test_only_what_takes_long_keeps_it_open(firestore: Firestore) -> None:
    limits = DeliveryLimits(stops=StopLimits(listen_after_s=0.05, rest_s=0.1))
    store: Any = None
    client: Any = firestore
    signals = StopSignals(client, "mine", store=store, limits=limits)
    with signals.register("long", "ann", lambda: None):
        stream = await firestore.stream()
    async with asyncio.timeout(30):
        while not stream.closed.is_set():
            with signals.register("short", "ann", lambda: None):
                await asyncio.sleep(0.001)
    await signals.close()


async def test_a_cancellation_from_elsewhere_does_not_end_it_for_good(
    firestore: Firestore, listener: Listener
) -> None:
    listener.open()
    stream = await firestore.stream()
    stream.says.put_nowait(asyncio.CancelledError())  # so gRPC has it that the server cancelled
    await firestore.stream()
    task = listener._task
    assert task is not None
    task.cancel()
    await asyncio.wait({task})
    listener.open()
    await firestore.stream()


class Untouched:
    """Stops that nobody may ask for."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was used")


@pytest.mark.parametrize("name", ["generationId", "requestId"])
@pytest.mark.parametrize("value", ["", "a b", "..\n", "__x__\0", "é", "x" * 1600, 7, [], None])
async def test_for_what_can_be_no_id_nothing_is_read_or_written(name: str, value: Any) -> None:
    stopping = StopCallable(Untouched())  # type: ignore[arg-type]  # a stand-in
    with pytest.raises(InvalidArgument) as refused:
        await stopping.stop_generation(call_of({name: value}, "ann"))
    assert refused.value.details["field"] == ("" if value is None else name)


@pytest.mark.parametrize(
    "value", ["a/b", "..", "__x__", "F" * 32, "0" * 31, "0" * 33, "0" * 32 + "\n"]
)
async def test_only_what_we_made_is_a_generation_id(value: str) -> None:
    with pytest.raises(InvalidArgument):
        parse(StopGeneration, {"generationId": value})


async def test_a_request_on_its_way_is_looked_for_and_a_generation_is_not() -> None:
    class Late:
        looks = 0
        requests: ClassVar[list[str]] = []

        def stop_here(self, *_: str) -> bool:
            return False

        async def known(self, ids: Sequence[str], uid: str) -> set[str]:
            assert [*ids] == [asked, *comparison_ids(asked, "ann")]
            self.looks += 1
            return {asked} if self.looks == 3 else set()

        async def request(self, id_: str, *_: str | None) -> str | None:
            self.requests.append(id_)
            return "running" if id_ == asked else None

    asked = generation_id("ann", "r")
    stops = Late()
    stopping = StopCallable(stops, limits=AT_ONCE)  # type: ignore[arg-type]  # a stand-in
    answer = await stopping.stop_generation(call_of({"requestId": "r"}, "ann"))
    assert (answer["stopped"], stops.looks, stops.requests) == (True, 3, [asked])
    stops.looks = 0
    with pytest.raises(GenerationUnknown):
        await stopping.stop_generation(call_of({"generationId": "0" * 32}, "ann"))
    assert (stops.looks, stops.requests) == (0, [asked, "0" * 32])


async def test_a_stop_of_what_is_unknown_looks_three_times_and_asks_for_nothing_else() -> None:
    class Empty(Untouched):
        looks = 0

        async def known(self, ids: Sequence[str], uid: str) -> set[str]:
            self.looks += 1
            return set()

    stops, looks = Empty(), 1 + len(StopLimits().look_pauses_s)
    quick = DeliveryLimits(stops=StopLimits(look_pauses_s=(0.0,) * (looks - 1)))
    stopping = StopCallable(stops, limits=quick)  # type: ignore[arg-type]  # a stand-in
    for name in ("requestId", "comparisonId"):
        with pytest.raises(GenerationUnknown):
            await stopping.stop_generation(call_of({name: "0" * 32}, "ann"))
    assert (looks, stops.looks) == (3, 6)


async def test_a_comparison_whose_answers_have_ended_is_looked_at_for_its_judge() -> None:
    whole = "a" * 32
    first, second, judge, *_ = comparison_ids(whole, "ann")

    class Compared:
        looks = 0
        told: ClassVar[list[str | None]] = []

        def stop_here(self, *_: str) -> bool:
            return False

        async def known(self, ids: Sequence[str], uid: str) -> set[str]:
            self.looks += 1
            return {first, second, *([judge] if self.looks == 3 else [])}

        async def request(self, id_: str, _: str, comparison: str | None) -> str | None:
            self.told.append(comparison)
            return "running" if id_ == judge else "done"

    stops = Compared()
    stopping = StopCallable(stops, limits=AT_ONCE)  # type: ignore[arg-type]  # a stand-in
    answer = await stopping.stop_generation(call_of({"comparisonId": whole}, "ann"))
    assert answer == {"comparisonId": whole, "stopped": True, "status": "running"}
    assert stops.looks == 3
    assert set(stops.told) == {whole}
