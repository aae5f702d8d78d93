"""Who listens to a generation, what a late listener is sent, and when nobody is left."""

from collections.abc import Callable, Mapping

from firerouter.callable import Call
from firerouter.callable import Frame as Shared
from firerouter.generation.active import ActiveGeneration, Listeners
from firerouter.openrouter import Interrupted

Frame = Mapping[str, object]


class Reader:
    """A listener that keeps what it was sent."""

    def __init__(self) -> None:
        self.left = False
        self.is_slow = False
        self.encoded: list[bytes] = []
        self.frames: list[Frame] = []
        self._callbacks: list[Callable[[], None]] = []

    async def send(self, message: Frame) -> None:
        self.frames.append(message)

    def put(self, message: Frame) -> None:
        self.frames.append(message)

    def offer(self, frame: Shared) -> bool:
        if self.is_slow:
            return False
        self.encoded.append(frame.encoded)
        self.frames.append(frame.message)
        return True

    def on_leave(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def leave(self) -> None:
        self.left = True
        for callback in self._callbacks:
            callback()


def listeners() -> tuple[Listeners, list[str]]:
    empty: list[str] = []
    return Listeners(lambda: empty.append("empty")), empty


async def test_a_late_listener_is_sent_all_from_the_beginning_its_text_in_one_frame() -> None:
    all_, _ = listeners()
    first, late = Reader(), Reader()
    all_.add(first)
    await all_.send_start({"type": "start"})
    await all_.send_delta("reasoning", "hm")
    await all_.send_delta("text", "Hel")
    await all_.send_delta("text", "lo")
    await all_.send_indexed("citation", {"url": "u"})
    all_.add(late)
    assert late.frames == [
        {"type": "start"},
        {"type": "reasoning", "delta": "hm"},
        {"type": "text", "delta": "Hello"},
        {"type": "citation", "index": 0, "url": "u"},
    ]
    await all_.send_delta("text", "!")
    assert first.frames[-1] == late.frames[-1] == {"type": "text", "delta": "!"}


async def test_frames_of_a_kind_are_counted_by_themselves() -> None:
    all_, _ = listeners()
    reader = Reader()
    all_.add(reader)
    for kind in ("citation", "tool_call", "citation"):
        await all_.send_indexed(kind, {})
    assert [(frame["type"], frame["index"]) for frame in reader.frames] == [
        ("citation", 0),
        ("tool_call", 0),
        ("citation", 1),
    ]


async def test_after_a_restart_nothing_of_the_answer_before_is_sent_to_late_listeners() -> None:
    all_, _ = listeners()
    all_.add(Reader())
    await all_.send_start({"type": "start"})
    await all_.send_delta("text", "wrong")
    await all_.send_indexed("citation", {})
    all_.restart()
    late = Reader()
    all_.add(late)
    assert late.frames == [{"type": "start"}]


def test_only_the_last_one_who_leaves_leaves_nobody() -> None:
    all_, empty = listeners()
    first, second = Reader(), Reader()
    all_.add(first)
    all_.add(second)
    first.leave()
    assert empty == []
    second.leave()
    assert empty == ["empty"]


def is_stopped(active: ActiveGeneration) -> bool:
    try:
        with active.deadline.guard():
            return False
    except Interrupted:
        return True


async def generation(*, needs_listener: bool) -> ActiveGeneration:
    return ActiveGeneration("g", "ann", "hash", "", total_s=60, needs_listener=needs_listener)


async def test_a_generation_that_nobody_reads_is_stopped_unless_it_needs_no_listener() -> None:
    for needs_listener in (True, False):
        active, reader = await generation(needs_listener=needs_listener), Reader()
        active.listeners.add(reader)
        reader.leave()
        assert is_stopped(active) is needs_listener
        assert not active.stop_requested  # nobody said so


async def test_a_stop_that_somebody_asked_for_is_remembered() -> None:
    active = await generation(needs_listener=False)
    active.stop()
    assert active.stop_requested
    assert is_stopped(active)


async def test_a_frame_for_several_is_encoded_once() -> None:
    all_, _ = listeners()
    readers = [Reader() for _ in range(3)]
    for reader in readers:
        all_.add(reader)
    await all_.send_delta("text", "Hi")
    first, second, third = (reader.encoded[0] for reader in readers)
    assert first is second is third


async def test_of_several_one_that_falls_behind_is_sent_no_more_and_still_listens() -> None:
    all_, empty = listeners()
    quick, slow = Reader(), Reader()
    all_.add(quick)
    all_.add(slow)
    await all_.send_delta("text", "a")
    slow.is_slow = True
    await all_.send_delta("text", "b")
    slow.is_slow = False
    await all_.send_delta("text", "c")
    assert [frame["delta"] for frame in slow.frames] == ["a"]
    assert [frame["delta"] for frame in quick.frames] == ["a", "b", "c"]
    assert len(all_) == 2
    quick.leave()
    await all_.send_delta("text", "d")  # nor once it is alone: it would miss what was between
    assert len(slow.frames) == 1
    assert empty == []
    slow.leave()
    assert empty == ["empty"]


async def test_silent_listeners_hold_a_bounded_backlog_and_slow_nobody_down() -> None:
    all_, _ = listeners()
    calls = [Call(None, {}, "ann", streaming=True, trace_id="0" * 32) for _ in range(4)]
    for call in calls:
        all_.add(call)
    quick = Reader()
    all_.add(quick)
    for _ in range(20_000):
        await all_.send_delta("text", "token")
    late: Call[str] = Call(None, {}, "ann", streaming=True, trace_id="0" * 32)
    all_.add(late)  # it is sent 100 kB at once, and is not behind for that
    await all_.send_delta("text", "end")
    for call in calls:
        held = sum(len(frame or b"") for frame in call.take())
        assert 200_000 < held <= 256 * 1024
    assert len(quick.frames) == 20_001
    assert len(late.take()) == 2
