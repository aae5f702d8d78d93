"""What was said is kept, whoever is killed, whatever Firestore refuses; what is deleted is gone."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.api_core.exceptions import InvalidArgument, PermissionDenied, ServiceUnavailable

from firerouter.app.limits import Limits
from firerouter.conversations.limits import ConversationLimits
from firerouter.generation.limits import GenerationLimits
from tests.support.conversations import (
    FEATURE,
    chosen,
    messages,
    never,
    said,
    sent,
    talk,
    writing_never,
)
from tests.support.eventually import until
from tests.support.files import inline
from tests.support.in_process import OVERDUE_S, Instance, World

Commit = Callable[..., Awaitable[Any]]
TICKS = {**FEATURE, "model": "sim/ticks", "maxTokens": 200}


@pytest.fixture
async def instance(world: World) -> Instance:
    instance = world.instance()
    await instance.save("talk", FEATURE)
    return instance


async def reconcile(world: World, later_s: float = OVERDUE_S) -> Any:
    tidy = world.instance().app.generation.reconciler
    tidy._now = lambda: datetime.now(UTC) + timedelta(seconds=later_s)
    return await tidy.run()


async def kill(running: asyncio.Task[Any]) -> None:
    """Whatever it would still wait for."""
    while not running.done():
        running.cancel()
        await asyncio.wait({running}, timeout=0.1)


async def killed(world: World, **data: Any) -> dict[str, Any]:
    """The entry of an answer whose instance was killed when some of it was kept."""
    instance = world.instance()
    await instance.save("ticks", TICKS)
    writing_never(instance, "write_answer")
    running = asyncio.create_task(instance.ask("ticks", **data))

    async def kept() -> Any:
        for id_, entry in (await world.all("generations")).items():
            if entry["status"] == "running" and await world.all(f"generations/{id_}/progress"):
                return {**entry, "id": id_}
        return None

    entry: dict[str, Any] = await until(kept)
    instance.app.ledger.settle = never  # type: ignore[method-assign]
    await kill(running)
    return entry


def writes(*args: Any, **kwargs: Any) -> list[str]:
    """The paths that a commit writes."""
    request = kwargs.get("request") or args[0]
    found = []
    for write in request["writes"] if isinstance(request, dict) else request.writes:
        pb = write._pb if hasattr(write, "_pb") else write
        found.append(pb.update.name or pb.delete)
    return found


def without_messages(world: World, **limits: Any) -> Instance:
    """An instance for which Firestore takes no change of a message."""

    async def away(commit: Commit, *args: Any, **kwargs: Any) -> Any:
        if any("/messages/" in path for path in writes(*args, **kwargs)):
            raise ServiceUnavailable("x")  # type: ignore[no-untyped-call]
        return await commit(*args, **kwargs)

    broken = world.instance(limits=Limits(conversations=ConversationLimits(**limits)))
    broken.commits(away)
    return broken


# -- killed ----------------------------------------------------------------------------------------


async def test_who_has_gone_on_meanwhile_keeps_the_path(world: World, instance: Instance) -> None:
    first = await talk(instance, "One", conversationId="new")
    id_ = first["conversationId"]
    entry = await killed(world, prompt="Lost", conversationId=id_)
    await talk(instance, "Two", conversationId=id_)
    before = await chosen(world, id_)
    assert before[-2:] == ["Two", said("Lost Two")]  # the answer to "Lost" is still missing
    assert (await reconcile(world))["closed"] == 1
    assert await chosen(world, id_) == before
    rescued = (await messages(world, id_))[entry["place"]["messageId"]]
    assert rescued["status"] == "interrupted"
    assert rescued["text"].startswith("tick-1 tick-2 ")
    assert rescued["parent"] == entry["place"]["parent"]


async def test_what_could_not_be_rescued_is_at_the_next_run(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    entry = await killed(world, conversationId="new")
    conversation = f"users/user/conversations/{entry['place']['conversationId']}"
    later = datetime.now(UTC) + timedelta(seconds=OVERDUE_S)

    broken = without_messages(world, answer_s=0.3)
    broken.app.generation.reconciler._now = lambda: later
    assert (await broken.app.generation.reconciler.run())["closed"] == 0
    assert (await world.document(f"generations/{entry['id']}"))["status"] == "running"
    assert (await reconcile(world))["closed"] == 1
    answer = await world.document(f"{conversation}/messages/{entry['place']['messageId']}")
    assert answer["text"].startswith("tick-1 ")
    for name in ("progress", "asked"):
        assert await world.all(f"generations/{entry['id']}/{name}") == {}
    assert "answer_not_rescued" in capfd.readouterr().out


async def test_the_ledger_does_not_wait_for_ever(world: World) -> None:
    entry = await killed(world, conversationId="new")

    broken = without_messages(world, answer_s=0.3)
    broken.app.generation.reconciler._now = lambda: (
        datetime.now(UTC) + timedelta(seconds=GenerationLimits().rescue_s + 1)
    )
    assert (await broken.app.generation.reconciler.run())["closed"] == 1
    assert (await world.document(f"generations/{entry['id']}"))["status"] == "interrupted"


async def killed_before_its_question(world: World, **data: Any) -> dict[str, Any]:
    """The entry of what was admitted, and not written down."""
    instance = world.instance()

    writing_never(instance, "write_question", "write_answer")
    instance.app.ledger.settle = never  # type: ignore[method-assign]
    running = asyncio.create_task(instance.ask("talk", **data))

    async def admitted() -> Any:
        for id_, entry in (await world.all("generations")).items():
            if entry["status"] == "running":
                return {**entry, "id": id_}
        return None

    entry: dict[str, Any] = await until(admitted)
    await kill(running)
    return entry


async def test_a_question_that_was_only_admitted_begins_its_conversation(
    world: World, instance: Instance
) -> None:
    file = inline(b"a text", "text/plain", name="a.txt")
    entry = await killed_before_its_question(
        world, prompt="One", context="About", conversationId="new", attachments=[file]
    )
    id_ = entry["place"]["conversationId"]
    for path in [*await world.files("user")]:
        await world.remove(path)  # killed before it came there
    assert (await reconcile(world))["closed"] == 1
    assert await chosen(world, id_) == ["One"]
    ((question_id, question),) = (await messages(world, id_)).items()
    assert question["context"] == "About"
    assert "attachments" not in question
    assert (await world.document(f"users/user/conversations/{id_}"))["title"] == "One"
    assert "question" not in await world.document(f"generations/{entry['id']}")
    data = {"feature": "talk", "conversationId": id_, "regenerate": question_id}
    await instance.call("execute_prompt", data, "user")
    assert (await chosen(world, id_))[0] == "One"
    assert (await reconcile(world))["closed"] == 0


async def test_a_question_that_was_only_admitted_is_beside_what_followed(
    world: World, instance: Instance
) -> None:
    first = await talk(instance, "One", conversationId="new")
    id_ = first["conversationId"]
    await killed_before_its_question(world, prompt="Lost", conversationId=id_)
    await talk(instance, "Two", conversationId=id_)
    before = await chosen(world, id_)
    assert (await reconcile(world))["closed"] == 1
    assert await chosen(world, id_) == before
    (lost,) = [m for m in (await messages(world, id_)).values() if m["text"] == "Lost"]
    assert lost["parent"] == first["messageId"]


async def test_a_question_that_was_only_admitted_stays_deleted(
    world: World, instance: Instance
) -> None:
    first = await talk(instance, "One", conversationId="new")
    id_ = first["conversationId"]
    entry = await killed_before_its_question(world, prompt="Lost", conversationId=id_)
    await instance.call("delete_conversation", {"conversationId": id_}, "user")
    assert "question" not in await world.document(f"generations/{entry['id']}")
    assert (await reconcile(world))["closed"] == 1
    assert await messages(world, id_) == {}
    assert await world.all("users/user/conversations") == {}


async def test_an_entry_holds_its_question_no_longer_than_it_runs(
    world: World, instance: Instance
) -> None:
    await talk(instance, "One", conversationId="new")
    await talk(instance, "Two", conversationId="new", temporary=True)
    await talk(instance, "Three")
    for entry in (await world.all("generations")).values():
        assert "question" not in entry


# -- refused ---------------------------------------------------------------------------------------


async def test_an_answer_that_firestore_does_not_take_at_once_is_written_later(
    world: World, instance: Instance, capfd: pytest.CaptureFixture[str]
) -> None:
    refused = 0

    async def away(commit: Commit, *args: Any, **kwargs: Any) -> Any:
        nonlocal refused
        if any("/messages/a" in path for path in writes(*args, **kwargs)) and refused < 3:
            refused += 1
            raise TimeoutError
        return await commit(*args, **kwargs)

    hurried = world.instance(limits=Limits(conversations=ConversationLimits(answer_s=0.2)))
    hurried.commits(away)
    result = await talk(hurried, "One", conversationId="new")
    assert result["text"] == said("One")
    await hurried.app.background.drain()
    assert refused == 3
    assert await chosen(world, result["conversationId"]) == ["One", said("One")]
    assert "message_not_kept" in capfd.readouterr().out


async def test_a_message_whose_commit_was_lost_is_written_to_the_same_page(
    world: World, instance: Instance
) -> None:
    """Counted twice, it would not fit on its page any more, and be there and on the next one."""
    first = await talk(instance, "One", conversationId="new")
    id_ = first["conversationId"]
    head = await world.document(f"users/user/conversations/{id_}")
    size = ConversationLimits().page_item_bytes + len(said("Two")) + 100
    tight = ConversationLimits(page_max_bytes=head["pageBytes"] + 3 * size, answer_pause_s=0.05)
    other = world.instance(limits=Limits(conversations=tight))
    lost = 0

    async def losing(commit: Commit, *args: Any, **kwargs: Any) -> Any:
        nonlocal lost
        answer = await commit(*args, **kwargs)
        if any("/messages/" in path for path in writes(*args, **kwargs)) and lost < 6:
            lost += 1
            raise TimeoutError
        return answer

    other.commits(losing)
    await talk(other, "Two", conversationId=id_)
    await other.app.background.drain()
    assert lost == 6
    pages = await world.all(f"users/user/conversations/{id_}/transcript")
    assert [*pages] == ["0"]
    assert len(pages["0"]["messages"]) == 4
    after = await world.document(f"users/user/conversations/{id_}")
    assert (after["page"], after["leafPage"]) == (0, 0)
    items = [*pages["0"]["messages"].values()]
    used = sum(len(item["text"]) + tight.page_item_bytes for item in items)
    assert after["pageBytes"] == used, "each message counts once"
    assert await chosen(world, id_) == ["One", said("One"), "Two", said("Two")]


async def test_a_permanent_refusal_is_no_outage(world: World, instance: Instance) -> None:
    first = await talk(instance, "One", conversationId="new")
    data = {"conversationId": first["conversationId"], "title": "Two"}
    for error, reason in ((PermissionDenied, "firestore_forbidden"), (TimeoutError, None)):

        async def refuse(_: Commit, *__: Any, kind: type[Exception] = error, **___: Any) -> Any:
            raise kind("x")

        broken = world.instance()
        broken.commits(refuse)
        refused = await broken.refusal("update_conversation", data, "user")
        assert refused.reason == (reason or "history_unavailable")
        assert refused.retryable == (reason is None)


async def test_a_page_that_is_full_is_followed_by_another(world: World, instance: Instance) -> None:
    """Several turns at once may fill one beyond what each of them knew of it."""
    first = await talk(instance, "One", conversationId="new")
    id_ = first["conversationId"]

    async def full(commit: Commit, *args: Any, **kwargs: Any) -> Any:
        if any(path.endswith("/transcript/0") for path in writes(*args, **kwargs)):
            raise InvalidArgument("too large")  # type: ignore[no-untyped-call]
        return await commit(*args, **kwargs)

    other = world.instance()
    other.commits(full)
    await talk(other, "Two", conversationId=id_)
    await talk(instance, f"Three {world.project}", conversationId=id_)
    assert await chosen(world, id_) == [
        *("One", said("One"), "Two", said("Two")),
        *(f"Three {world.project}", said(f"Three {world.project}")),
    ]
    ((_, *told),) = await sent(world, world.project)
    assert [text for _, text in told][:4] == ["One", said("One"), "Two", said("Two")]


# -- stopped with nothing said ---------------------------------------------------------------------


async def stopped_before_a_word(world: World, instance: Instance, **data: Any) -> dict[str, Any]:
    await instance.save("silent", {**FEATURE, "model": "sim/silent-after-headers"})
    data = {"feature": "silent", "requestId": "silent", **data}
    running = asyncio.create_task(instance.call("execute_prompt", data, "user"))

    async def asked() -> bool:
        found = (await world.all("generations")).values()
        return any(e["status"] == "running" and e["attempts"] for e in found)

    await until(asked)
    await instance.call("stop_generation", {"requestId": "silent"}, "user")
    result: dict[str, Any] = await running
    assert (result["finishReason"], result["text"]) == ("stopped", "")
    return result


async def test_a_regenerate_stopped_before_a_word_leaves_the_old_answer(
    world: World, instance: Instance
) -> None:
    first = await talk(instance, "One", conversationId="new")
    id_ = first["conversationId"]
    place = {"conversationId": id_, "regenerate": first["messageId"]}
    await stopped_before_a_word(world, instance, **place)
    assert await chosen(world, id_) == ["One", said("One")]


async def test_no_model_is_told_that_it_said_nothing(world: World, instance: Instance) -> None:
    result = await stopped_before_a_word(world, instance, prompt="One", conversationId="new")
    id_ = result["conversationId"]
    assert await chosen(world, id_) == ["One", ""]
    await talk(instance, f"Two {world.project}", conversationId=id_)
    ((_, *told),) = await sent(world, world.project)
    assert told == [("user", f"One\n\nTwo {world.project}")]


# -- deleted meanwhile -----------------------------------------------------------------------------


async def answering(world: World, instance: Instance) -> tuple[str, asyncio.Task[Any]]:
    """A conversation whose second question, `r`, is being answered; and its call."""
    await instance.save("ticks", TICKS)
    first = await talk(instance, "One", conversationId="new")
    id_ = first["conversationId"]
    running = asyncio.create_task(instance.ask("ticks", requestId="r", conversationId=id_))

    async def asked() -> bool:
        return len(await messages(world, id_)) == 3

    await until(asked)
    return id_, running


async def test_an_answer_that_comes_between_the_steps_of_a_deletion_leaves_nothing(
    world: World, instance: Instance
) -> None:
    id_, running = await answering(world, instance)
    deleting, ended = world.instance(), False

    async def between(commit: Commit, *args: Any, **kwargs: Any) -> Any:
        nonlocal ended
        if not ended and any("/transcript/" in path for path in writes(*args, **kwargs)):
            ended = True  # the messages are gone, the rest is not
            await instance.call("stop_generation", {"requestId": "r"}, "user")
            await running
        return await commit(*args, **kwargs)

    deleting.commits(between)
    await deleting.call("delete_conversation", {"conversationId": id_}, "user")
    assert ended
    for name in ("conversations", "deleting", f"conversations/{id_}/messages"):
        assert await world.all(f"users/user/{name}") == {}
    assert await world.all(f"users/user/conversations/{id_}/transcript") == {}
    assert all(entry["result"] is None for entry in (await world.all("generations")).values())


async def test_a_deletion_cut_off_while_an_answer_runs_is_finished_by_the_next(
    world: World, instance: Instance
) -> None:
    id_, running = await answering(world, instance)

    broken = without_messages(world, change_s=0.5)
    data = {"conversationId": id_}
    assert (await broken.refusal("delete_conversation", data, "user")).retryable
    await instance.call("stop_generation", {"requestId": "r"}, "user")
    assert (await running)["finishReason"] == "stopped"
    assert len(await messages(world, id_)) == 3, "the answer did not come back to it"
    assert (await instance.call("delete_conversation", data, "user"))["deleted"]
    assert await messages(world, id_) == {}
