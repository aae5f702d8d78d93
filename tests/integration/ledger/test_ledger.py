"""The ledger against a real Firestore: counters that nothing moves twice, entries that always end.

Faults are real where they can be: a proxy stands between the client and the emulator, and holds
everything back or breaks the connection.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from google.api_core.exceptions import PermissionDenied
from google.cloud.firestore import AsyncClient

from firerouter.background import BackgroundTasks
from firerouter.errors import (
    AlreadyRunning,
    LedgerUnavailable,
    QuotaExceeded,
    RequestIdReused,
    ResultNotKept,
)
from firerouter.firestore.paths import key_of
from firerouter.ledger import (
    Admission,
    Admitted,
    Answered,
    AttemptRecord,
    Caps,
    Ceiling,
    FeatureLimits,
    FeatureUse,
    Ledger,
    LedgerLimits,
    LedgerStore,
    OpenEntry,
    Outcome,
    RequestKey,
    Reserve,
    UserLimits,
    generation_id,
    payload_hash,
)
from scripts.devtools.suite import Suite
from tests.support.faulty_firestore import (
    Commit,
    CommitCounter,
    applied_twice,
    at_commit,
    firestore_at,
    firestore_proxy,
    send_commits,
)

ROOMY = UserLimits(requests_per_minute=1000, concurrent=100, usd_per_day=1.0)
CENT = 10_000_000  # in nano dollars
RESERVED = Reserve(base_nano_usd=CENT)
MARGIN_S = 5.0  # a busy machine's

Client = Callable[[str], AsyncClient]


@pytest.fixture(scope="module")
def client(suite: Suite) -> Client:
    """Makes a client of the Firestore at an address, as FIRESTORE_EMULATOR_HOST does."""

    return lambda host: firestore_at(host, suite.project)


@pytest.fixture(scope="module")
async def firestore(suite: Suite, client: Client) -> AsyncClient:
    # made inside the loop it is used on, which it belongs to from then on
    return client(suite.firestore_host)


@pytest.fixture
async def background() -> AsyncIterator[BackgroundTasks]:
    background = BackgroundTasks()
    yield background
    await background.drain()


Make = Callable[..., Ledger]


@pytest.fixture
def make(background: BackgroundTasks) -> Make:
    """Makes a ledger on a client of Firestore, with these limits."""

    def make(
        firestore: AsyncClient, now: Callable[[], datetime] = utc_now, **fields: Any
    ) -> Ledger:
        limits = replace(LedgerLimits(), **fields)
        store = LedgerStore(firestore, limits=limits)
        return Ledger(store, background=background, limits=limits, now=now)

    return make


def utc_now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def ledger(make: Make, firestore: AsyncClient) -> Ledger:
    return make(firestore)


@pytest.fixture
def uid() -> str:
    return f"user-{secrets.token_hex(6)}"


@pytest.fixture
async def twice(make: Make, suite: Suite, client: Client) -> Ledger:
    """A ledger each commit of which is applied twice; it sees the answer to the second."""
    return make(send_commits(client(suite.firestore_host), applied_twice))


def asked(
    uid: str,
    request_id: str | None = None,
    payload: str = payload_hash({"prompt": "hello"}),
    **fields: Any,
) -> Admission:
    return Admission(
        id=generation_id(uid, request_id),
        uid=uid,
        request=RequestKey(payload=payload, request_id=request_id),
        feature=FeatureUse(id="chat", revision=1, model="sim/fast"),
        **fields,
    )


def capped(user: UserLimits = ROOMY, **feature: int) -> Caps:
    return Caps(user, FeatureLimits(**feature))


async def admitted(ledger: Ledger, admission: Admission, caps: Caps | None = None) -> OpenEntry:
    admitted = await ledger.admit(admission, caps or capped())
    assert isinstance(admitted, Admitted)
    return admitted.entry


def done(**fields: Any) -> Outcome:
    return Outcome(status="done", model="sim/fast", **{"cost_nano_usd": 0, **fields})


async def counters(firestore: AsyncClient, uid: str) -> dict[str, int]:
    """Every counter of a user by its path: {"concurrent.count": 0, "202611.days.28.nanoUsd": 5}."""
    windows = firestore.document("quotas", key_of(uid)).collection("windows")
    found: dict[str, int] = {}
    async for snapshot in windows.stream():
        flatten(snapshot.id, snapshot.to_dict() or {}, found)
    return found


def flatten(path: str, value: Any, into: dict[str, int]) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            flatten(f"{path}.{name}", inner, into)
    elif isinstance(value, int):
        into[path] = value


async def totals(firestore: AsyncClient, uid: str) -> tuple[int, int, int]:
    """(concurrent, requests, nano dollars), each summed over its windows."""
    found = await counters(firestore, uid)
    return (
        found.get("concurrent.count", 0),
        sum(value for name, value in found.items() if name.endswith(".requests")),
        sum(v for name, v in found.items() if ".days." in name and name.endswith(".nanoUsd")),
    )


async def document(firestore: AsyncClient, admission: Admission) -> dict[str, Any] | None:
    snapshot = await firestore.collection("generations").document(admission.id).get()
    found: dict[str, Any] | None = snapshot.to_dict()
    return found


# -- from admission to the end ---------------------------------------------------------------------


async def test_an_admission_is_a_running_entry_and_counts(
    ledger: Ledger, firestore: AsyncClient, uid: str
) -> None:
    admission = asked(uid, "one", reserve=RESERVED)
    entry = await admitted(ledger, admission)

    stored = await document(firestore, admission)
    assert stored is not None
    assert stored["status"] == "running"
    assert (stored["uid"], stored["requestId"], stored["feature"]) == (uid, "one", "chat")
    assert stored["nonce"] == entry.nonce
    assert stored["deadlineAt"] > stored["createdAt"]
    assert stored["expireAt"] > stored["deadlineAt"]
    assert await totals(firestore, uid) == (1, 1, CENT)


async def test_settling_ends_the_entry_and_frees_what_was_held(
    ledger: Ledger, firestore: AsyncClient, uid: str
) -> None:
    admission = asked(uid, reserve=RESERVED)
    entry = await admitted(ledger, admission)
    attempts = [AttemptRecord("sim/fast", "gen-1", None, 7)]

    await ledger.settle(
        entry,
        done(
            provider="Simulated",
            finish_reason="stop",
            usage={"totalTokens": 3},
            cost_nano_usd=1234,
            timing={"totalMs": 5},
            attempts=attempts,
            result={"text": "hi"},
        ),
    )

    stored = await document(firestore, admission)
    assert stored is not None
    assert stored["status"] == "done"
    assert stored["endedAt"] >= stored["createdAt"]
    assert (stored["costNanoUsd"], stored["costIsEstimate"]) == (1234, False)
    assert (stored["provider"], stored["finishReason"]) == ("Simulated", "stop")
    assert (stored["usage"], stored["timing"]) == ({"totalTokens": 3}, {"totalMs": 5})
    assert (stored["attempts"], stored["result"]) == (
        [{"model": "sim/fast", "upstreamId": "gen-1", "reason": None, "keyVersion": 7}],
        {"text": "hi"},
    )
    assert await totals(firestore, uid) == (0, 1, 1234)


async def test_without_a_word_of_the_cost_the_reservation_is_what_was_spent(
    ledger: Ledger, firestore: AsyncClient, uid: str
) -> None:
    admission = asked(uid, reserve=RESERVED)
    await ledger.settle(await admitted(ledger, admission), done(cost_nano_usd=None))

    stored = await document(firestore, admission)
    assert stored is not None
    assert (stored["costNanoUsd"], stored["costIsEstimate"]) == (CENT, True)
    assert await totals(firestore, uid) == (0, 1, CENT)


async def test_a_cost_above_the_reservation_is_charged_whole(
    ledger: Ledger, firestore: AsyncClient, uid: str
) -> None:
    entry = await admitted(ledger, asked(uid, reserve=RESERVED))
    await ledger.settle(entry, done(cost_nano_usd=CENT + 1))
    assert await totals(firestore, uid) == (0, 1, CENT + 1)


async def test_a_free_generation_that_cost_something_after_all_is_charged(
    ledger: Ledger, firestore: AsyncClient, uid: str
) -> None:
    await ledger.settle(await admitted(ledger, asked(uid)), done(cost_nano_usd=7))
    assert await totals(firestore, uid) == (0, 1, 7)


@pytest.mark.parametrize("status", ["stopped", "failed", "interrupted"])
async def test_however_it_ends_the_place_is_free_again(
    ledger: Ledger, firestore: AsyncClient, uid: str, status: Any
) -> None:
    admission = asked(uid)
    outcome = Outcome(status=status, model="sim/fast", error="upstream_busy")
    await ledger.settle(await admitted(ledger, admission), outcome)

    stored = await document(firestore, admission)
    assert stored is not None
    assert (stored["status"], stored["error"]) == (status, "upstream_busy")
    assert (await totals(firestore, uid))[0] == 0


async def test_settling_twice_moves_nothing_the_second_time(
    ledger: Ledger, firestore: AsyncClient, uid: str
) -> None:
    admission = asked(uid, reserve=RESERVED)
    entry = await admitted(ledger, admission)
    await ledger.settle(entry, done(cost_nano_usd=1))
    await ledger.settle(entry, Outcome(status="failed", model="sim/fast"))

    stored = await document(firestore, admission)
    assert stored is not None
    assert stored["status"] == "done"
    assert await totals(firestore, uid) == (0, 1, 1)


async def until_noted(background: BackgroundTasks) -> None:
    await asyncio.sleep(LedgerLimits().note_after_s + 0.1)
    await background.drain()


async def test_a_generation_that_ends_soon_takes_two_commits_in_all(
    make: Make,
    suite: Suite,
    client: Client,
    firestore: AsyncClient,
    uid: str,
    background: BackgroundTasks,
) -> None:
    commits = CommitCounter()

    ledger = make(send_commits(client(suite.firestore_host), commits))
    entry = await admitted(ledger, asked(uid))
    ledger.note(entry, [AttemptRecord("sim/fast", "gen-1")])
    await ledger.settle(entry, done())
    await until_noted(background)
    assert commits.sent == 2


async def test_attempts_are_noted_while_it_runs_in_the_order_they_were_made(
    ledger: Ledger, firestore: AsyncClient, uid: str, background: BackgroundTasks
) -> None:
    admission = asked(uid)
    entry = await admitted(ledger, admission)
    for count in (1, 2, 3):
        ledger.note(entry, [AttemptRecord("sim/fast", f"gen-{count}")] * count)
    await until_noted(background)

    stored = await document(firestore, admission)
    assert stored is not None
    assert stored["status"] == "running"
    assert [attempt["upstreamId"] for attempt in stored["attempts"]] == ["gen-3"] * 3
    await ledger.settle(entry, done())
    assert await totals(firestore, uid) == (0, 1, 0)


async def test_a_uid_with_a_slash_has_counters_of_its_own(
    ledger: Ledger, firestore: AsyncClient, uid: str
) -> None:
    slashed = f"{uid}/windows/concurrent"
    admission = asked(slashed)
    entry = await admitted(ledger, admission)
    assert await totals(firestore, slashed) == (1, 1, 0)
    assert await totals(firestore, uid) == (0, 0, 0)

    await ledger.settle(entry, done())
    stored = await document(firestore, admission)
    assert stored is not None
    assert stored["uid"] == slashed
    assert await totals(firestore, slashed) == (0, 1, 0)


async def test_over_midnight_it_is_settled_in_the_windows_it_was_admitted_in(
    make: Make, firestore: AsyncClient, uid: str
) -> None:
    times = [datetime(2026, 11, 22, 23, 59, 59, 900_000, UTC), datetime(2026, 11, 23, tzinfo=UTC)]
    ledger = make(firestore, now=lambda: times.pop(0) if len(times) > 1 else times[0])
    entry = await admitted(ledger, asked(uid, reserve=RESERVED))
    await ledger.settle(entry, done(cost_nano_usd=3))

    assert await counters(firestore, uid) == {
        "concurrent.count": 0,
        "202611.minutes.222359": 1,
        "202611.days.22.requests": 1,
        "202611.days.22.tokens": 0,
        "202611.days.22.nanoUsd": 3,
        "202611.month.nanoUsd": 3,
    }


async def test_a_refusal_over_midnight_gives_back_where_it_took(
    make: Make, firestore: AsyncClient, uid: str
) -> None:
    times = [datetime(2026, 11, 22, 23, 59, 59, 900_000, UTC), datetime(2026, 11, 23, tzinfo=UTC)]
    ledger = make(firestore, now=lambda: times.pop(0) if len(times) > 1 else times[0])
    caps = UserLimits(requests_per_minute=1000, concurrent=100, usd_per_day=0)
    with pytest.raises(QuotaExceeded):
        await ledger.admit(asked(uid, reserve=RESERVED), capped(caps))
    assert await counters(firestore, uid) == {
        "concurrent.count": 0,
        "202611.minutes.222359": 0,
        "202611.days.22.requests": 0,
        "202611.days.22.tokens": 0,
        "202611.days.22.nanoUsd": 0,
        "202611.month.nanoUsd": 0,
    }


# -- caps ------------------------------------------------------------------------------------------


async def test_fifty_calls_at_once_on_a_cap_of_three_are_three(
    ledger: Ledger, firestore: AsyncClient, uid: str, background: BackgroundTasks
) -> None:
    caps = UserLimits(requests_per_minute=1000, concurrent=3)
    results = await asyncio.gather(
        *(ledger.admit(asked(uid), capped(caps)) for _ in range(50)), return_exceptions=True
    )
    entries = [result.entry for result in results if isinstance(result, Admitted)]
    refusals = [result for result in results if isinstance(result, QuotaExceeded)]
    assert (len(entries), len(refusals)) == (3, 47)
    assert {refusal.details["limit"] for refusal in refusals} == {"concurrent"}
    assert await totals(firestore, uid) == (3, 3, 0)

    await asyncio.gather(*(ledger.settle(entry, done()) for entry in entries))
    await background.drain()
    assert await totals(firestore, uid) == (0, 3, 0)


async def test_a_refused_call_leaves_nothing_behind(
    ledger: Ledger, firestore: AsyncClient, uid: str
) -> None:
    caps = UserLimits(requests_per_day=1)
    await admitted(ledger, asked(uid, reserve=RESERVED), capped(caps))
    second = asked(uid, "second", reserve=RESERVED)
    with pytest.raises(QuotaExceeded) as refused:
        await ledger.admit(second, capped(caps))

    assert refused.value.details == {
        "limit": "requestsPerDay",
        "max": 1,
        "used": 1,
        "resetsAt": refused.value.details["resetsAt"],
    }
    assert 0 < (refused.value.retry_after_seconds or 0) <= 86_400
    assert await document(firestore, second) is None
    assert await totals(firestore, uid) == (1, 1, CENT)


async def test_the_budget_of_a_day_holds_reservations_too(
    ledger: Ledger, firestore: AsyncClient, uid: str
) -> None:
    caps = UserLimits(requests_per_minute=1000, concurrent=100, usd_per_day=0.02)
    results = await asyncio.gather(
        *(ledger.admit(asked(uid, reserve=RESERVED), capped(caps)) for _ in range(5)),
        return_exceptions=True,
    )
    assert sum(isinstance(result, Admitted) for result in results) == 2
    refused = next(result for result in results if isinstance(result, QuotaExceeded))
    assert refused.details["limit"] == "usdPerDay"
    assert 0 < (refused.retry_after_seconds or 0) <= 86_400
    assert await totals(firestore, uid) == (2, 2, 2 * CENT)


async def test_the_budget_of_a_day_never_refuses_a_free_generation(
    ledger: Ledger, uid: str
) -> None:
    caps = UserLimits(requests_per_minute=1000, usd_per_day=0)
    await admitted(ledger, asked(uid), capped(caps))
    with pytest.raises(QuotaExceeded):
        await ledger.admit(asked(uid, reserve=Reserve(base_nano_usd=1)), capped(caps))


async def test_one_users_calls_do_not_count_as_anothers(ledger: Ledger, uid: str) -> None:
    caps = UserLimits(concurrent=1)
    await admitted(ledger, asked(uid, "same"), capped(caps))
    await admitted(ledger, asked(f"{uid}-2", "same"), capped(caps))


# -- the same request again ------------------------------------------------------------------------


async def test_a_request_that_runs_elsewhere_is_said_to(ledger: Ledger, uid: str) -> None:
    await admitted(ledger, asked(uid, "again"))
    with pytest.raises(AlreadyRunning) as refused:
        await ledger.admit(asked(uid, "again"), capped())
    assert refused.value.retry_after_seconds


async def test_a_request_answered_before_gets_the_same_answer_and_counts_nothing(
    ledger: Ledger, firestore: AsyncClient, uid: str
) -> None:
    entry = await admitted(ledger, asked(uid, "again"))
    await ledger.settle(entry, done(result={"text": "hi", "usage": {"totalTokens": 3}}))
    assert await ledger.admit(asked(uid, "again"), capped()) == Answered(
        {"text": "hi", "usage": {"totalTokens": 3}}
    )
    assert await totals(firestore, uid) == (0, 1, 0)


@pytest.mark.parametrize("status", ["done", "failed"])
async def test_a_request_whose_answer_was_not_kept_is_not_answered_again(
    ledger: Ledger, uid: str, status: Any
) -> None:
    entry = await admitted(ledger, asked(uid, "again"))
    await ledger.settle(entry, Outcome(status=status, model="sim/fast", cost_nano_usd=0))
    with pytest.raises(ResultNotKept) as refused:
        await ledger.admit(asked(uid, "again"), capped())
    assert refused.value.details["previousStatus"] == status


@pytest.mark.parametrize("ended", [True, False])
async def test_another_request_under_the_same_id_is_refused(
    ledger: Ledger, uid: str, ended: bool
) -> None:
    entry = await admitted(ledger, asked(uid, "again"))
    if ended:
        await ledger.settle(entry, done(result={"text": "hi"}))
    with pytest.raises(RequestIdReused):
        await ledger.admit(asked(uid, "again", payload=payload_hash({"prompt": "other"})), capped())


async def test_of_the_same_request_many_times_at_once_one_is_admitted(
    ledger: Ledger, firestore: AsyncClient, uid: str
) -> None:
    results = await asyncio.gather(
        *(ledger.admit(asked(uid, "again"), capped()) for _ in range(10)), return_exceptions=True
    )
    assert sum(isinstance(result, Admitted) for result in results) == 1
    assert sum(isinstance(result, AlreadyRunning) for result in results) == 9
    assert await totals(firestore, uid) == (1, 1, 0)


async def test_a_repetition_of_a_refused_request_is_not_said_to_reuse_its_id(
    make: Make, suite: Suite, client: Client, firestore: AsyncClient, uid: str
) -> None:
    """Between the failed create and the look at what is there, the first call gives back."""
    caps = UserLimits(requests_per_minute=1000, concurrent=1)
    first = asked(uid, "again")
    await make(firestore).admit(first, capped(caps))

    async def meanwhile_given_back(commit: Commit, *args: Any, **kwargs: Any) -> Any:
        try:
            return await commit(*args, **kwargs)
        finally:
            await firestore.collection("generations").document(first.id).delete()

    second = make(send_commits(client(suite.firestore_host), meanwhile_given_back))
    with pytest.raises(AlreadyRunning):
        await second.admit(first, capped(caps))


async def test_without_a_request_id_every_call_is_a_generation_of_its_own(uid: str) -> None:
    assert generation_id(uid, None) != generation_id(uid, None)
    assert generation_id(uid, "r") == generation_id(uid, "r")
    assert generation_id(uid, "r") != generation_id(f"{uid}x", "r")
    # the separator is none that either part may hold
    assert generation_id("a", "b") != generation_id("ab", "")


def test_the_payload_is_everything_but_the_request_id() -> None:
    one = payload_hash({"prompt": "a", "feature": "chat", "requestId": "1"})
    assert one == payload_hash({"feature": "chat", "prompt": "a", "requestId": "2"})
    assert one != payload_hash({"feature": "chat", "prompt": "b", "requestId": "1"})


# -- each commit applied twice ---------------------------------------------------------------------


async def test_an_admission_applied_twice_counts_once_and_knows_its_own(
    twice: Ledger, firestore: AsyncClient, uid: str
) -> None:
    admission = asked(uid, "own", reserve=RESERVED)
    await admitted(twice, admission)
    assert await totals(firestore, uid) == (1, 1, CENT)
    with pytest.raises(AlreadyRunning):
        await twice.admit(admission, capped())


async def test_an_admission_applied_twice_is_still_held_to_the_caps(
    twice: Ledger, firestore: AsyncClient, uid: str
) -> None:
    caps = UserLimits(requests_per_minute=1000, concurrent=1, usd_per_day=1)
    await admitted(twice, asked(uid, reserve=RESERVED), capped(caps))
    over = asked(uid, "over", reserve=RESERVED)
    with pytest.raises(QuotaExceeded):
        await twice.admit(over, capped(caps))
    # given back, twice, and still only once
    assert await document(firestore, over) is None
    assert await totals(firestore, uid) == (1, 1, CENT)


async def test_a_settlement_applied_twice_counts_once(
    twice: Ledger, firestore: AsyncClient, uid: str
) -> None:
    admission = asked(uid, reserve=RESERVED)
    await twice.settle(await admitted(twice, admission), done(cost_nano_usd=1))
    stored = await document(firestore, admission)
    assert stored is not None
    assert stored["status"] == "done"
    assert await totals(firestore, uid) == (0, 1, 1)


async def test_a_settlement_after_notes_applied_twice_counts_once(
    twice: Ledger, firestore: AsyncClient, uid: str, background: BackgroundTasks
) -> None:
    admission = asked(uid, reserve=RESERVED)
    entry = await admitted(twice, admission)
    for id_ in ("gen-1", "gen-2"):
        twice.note(entry, [AttemptRecord("sim/fast", id_)])
        await until_noted(background)
    await twice.settle(entry, done(cost_nano_usd=None))
    stored = await document(firestore, admission)
    assert stored is not None
    assert stored["status"] == "done"
    assert await totals(firestore, uid) == (0, 1, CENT)


async def test_ten_calls_at_once_applied_twice_never_pass_the_cap(
    twice: Ledger, firestore: AsyncClient, uid: str
) -> None:
    caps = UserLimits(requests_per_minute=1000, concurrent=3)
    results = await asyncio.gather(
        *(twice.admit(asked(uid), capped(caps)) for _ in range(10)), return_exceptions=True
    )
    entries = [result.entry for result in results if isinstance(result, Admitted)]
    # a second application reads totals that count calls about to be refused: fewer may pass
    assert len(entries) <= 3
    assert all(isinstance(result, (Admitted, QuotaExceeded)) for result in results)
    assert (await totals(firestore, uid))[0] == len(entries)
    await asyncio.gather(*(twice.settle(entry, done()) for entry in entries))
    assert (await totals(firestore, uid))[0] == 0


# -- Firestore in trouble --------------------------------------------------------------------------


async def test_an_admission_whose_answer_is_lost_is_undone(
    make: Make,
    suite: Suite,
    client: Client,
    firestore: AsyncClient,
    uid: str,
    background: BackgroundTasks,
) -> None:
    commits = CommitCounter(loses={1})

    ledger = make(send_commits(client(suite.firestore_host), commits))
    admission = asked(uid, "lost", reserve=RESERVED)
    with pytest.raises(LedgerUnavailable):
        await ledger.admit(admission, capped())
    await background.drain()
    assert await document(firestore, admission) is None
    assert await totals(firestore, uid) == (0, 0, 0)
    # and the same request may be made again
    await admitted(ledger, admission)


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("after", [False, True])
async def test_an_admission_whose_task_is_cancelled_is_undone(
    make: Make,
    suite: Suite,
    client: Client,
    firestore: AsyncClient,
    uid: str,
    background: BackgroundTasks,
    number: int,
    after: bool,
) -> None:
    """While it is admitted, or while it is given back."""
    tasks: list[asyncio.Task[Any]] = []

    async def cancel() -> None:
        tasks[0].cancel()
        await asyncio.sleep(0)

    commits = at_commit(number, cancel, after=after)
    ledger = make(send_commits(client(suite.firestore_host), commits), undo_pauses_s=(0.1, 0.1))
    caps = capped(UserLimits(usd_per_day=0)) if number == 2 else capped()
    admission = asked(uid, "cancelled", reserve=RESERVED)
    tasks.append(asyncio.create_task(ledger.admit(admission, caps)))
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    await background.drain()
    assert await document(firestore, admission) is None
    assert await totals(firestore, uid) == (0, 0, 0)


async def test_a_give_back_whose_answer_is_lost_is_made_once(
    make: Make,
    suite: Suite,
    client: Client,
    firestore: AsyncClient,
    uid: str,
    background: BackgroundTasks,
) -> None:
    commits = CommitCounter(loses={2})

    ledger = make(send_commits(client(suite.firestore_host), commits))
    with pytest.raises(QuotaExceeded):
        await ledger.admit(asked(uid, reserve=RESERVED), capped(UserLimits(usd_per_day=0)))
    await background.drain()
    assert commits.sent == 2
    assert await totals(firestore, uid) == (0, 0, 0)


async def test_a_give_back_that_firestore_forbids_hides_no_refusal(
    make: Make, suite: Suite, client: Client, uid: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = 0

    async def forbid_second(commit: Commit, *args: Any, **kwargs: Any) -> Any:
        nonlocal sent
        sent += 1
        if sent == 2:
            raise PermissionDenied("no role")  # type: ignore[no-untyped-call]
        return await commit(*args, **kwargs)

    ledger = make(send_commits(client(suite.firestore_host), forbid_second))
    with pytest.raises(QuotaExceeded):
        await ledger.admit(asked(uid, reserve=RESERVED), capped(UserLimits(usd_per_day=0)))
    assert sent == 2
    assert "give_back_failed" in capsys.readouterr().out


async def test_a_settlement_whose_answer_is_lost_is_made_once(
    make: Make,
    suite: Suite,
    client: Client,
    firestore: AsyncClient,
    uid: str,
    background: BackgroundTasks,
) -> None:
    commits = CommitCounter(loses={2})

    ledger = make(send_commits(client(suite.firestore_host), commits))
    admission = asked(uid, reserve=RESERVED)
    await ledger.settle(await admitted(ledger, admission), done(cost_nano_usd=5))
    await background.drain()
    stored = await document(firestore, admission)
    assert stored is not None
    assert stored["status"] == "done"
    assert await totals(firestore, uid) == (0, 1, 5)


async def test_a_note_whose_answer_is_lost_does_not_keep_it_from_being_settled(
    make: Make,
    suite: Suite,
    client: Client,
    firestore: AsyncClient,
    uid: str,
    background: BackgroundTasks,
) -> None:
    commits = CommitCounter(loses={2})

    ledger = make(send_commits(client(suite.firestore_host), commits))
    admission = asked(uid)
    entry = await admitted(ledger, admission)
    ledger.note(entry, [AttemptRecord("sim/fast", "gen-1")])
    await until_noted(background)
    assert commits.sent == 2
    await ledger.settle(entry, done())
    await background.drain()
    stored = await document(firestore, admission)
    assert stored is not None
    assert stored["status"] == "done"
    assert await totals(firestore, uid) == (0, 1, 0)


async def test_a_note_after_a_stop_was_written_does_not_keep_it_from_being_settled(
    ledger: Ledger, firestore: AsyncClient, uid: str, background: BackgroundTasks
) -> None:
    admission = asked(uid)
    entry = await admitted(ledger, admission)
    await firestore.collection("generations").document(admission.id).update({"stop": {"by": uid}})
    ledger.note(entry, [AttemptRecord("sim/fast", "gen-1")])
    await until_noted(background)
    await ledger.settle(entry, done(attempts=entry.state.attempts))
    stored = await document(firestore, admission)
    assert stored is not None
    assert (stored["status"], len(stored["attempts"])) == ("done", 1)
    assert await totals(firestore, uid) == (0, 1, 0)


async def test_with_firestore_down_nothing_is_admitted_and_soon(
    make: Make,
    suite: Suite,
    client: Client,
    firestore: AsyncClient,
    uid: str,
    background: BackgroundTasks,
) -> None:
    async with firestore_proxy(suite.firestore_host) as proxy:
        ledger = make(client(proxy.host), admit_s=1.0)
        await proxy.stop()
        async with asyncio.timeout(2 * 1.0 + MARGIN_S):
            with pytest.raises(LedgerUnavailable):
                await ledger.admit(asked(uid), capped())
        await proxy.start()
        await background.drain()
    assert await totals(firestore, uid) == (0, 0, 0)


async def test_with_firestore_silent_nothing_is_admitted_and_soon(
    make: Make,
    suite: Suite,
    client: Client,
    firestore: AsyncClient,
    uid: str,
    background: BackgroundTasks,
) -> None:
    async with firestore_proxy(suite.firestore_host) as proxy:
        ledger = make(client(proxy.host), admit_s=1.0)
        proxy.hold()
        async with asyncio.timeout(2 * 1.0 + MARGIN_S):
            with pytest.raises(LedgerUnavailable):
                await ledger.admit(asked(uid), capped())
        proxy.release()
        await background.drain()
    assert await totals(firestore, uid) == (0, 0, 0)


async def test_a_slow_firestore_does_not_hold_the_result_back_and_gets_the_end_later(
    make: Make,
    suite: Suite,
    client: Client,
    firestore: AsyncClient,
    uid: str,
    background: BackgroundTasks,
) -> None:
    async with firestore_proxy(suite.firestore_host) as proxy:
        ledger = make(client(proxy.host), settle_before_result_s=0.3)
        admission = asked(uid, reserve=RESERVED)
        entry = await admitted(ledger, admission)
        proxy.hold()
        async with asyncio.timeout(0.3 + MARGIN_S):
            await ledger.settle(entry, done(cost_nano_usd=2))
        stored = await document(firestore, admission)
        assert stored is not None
        assert stored["status"] == "running"
        proxy.release()
        await background.drain()
    stored = await document(firestore, admission)
    assert stored is not None
    assert stored["status"] == "done"
    assert await totals(firestore, uid) == (0, 1, 2)


async def test_a_connection_lost_while_settling_is_made_up_for(
    make: Make,
    suite: Suite,
    client: Client,
    firestore: AsyncClient,
    uid: str,
    background: BackgroundTasks,
) -> None:
    async with firestore_proxy(suite.firestore_host) as proxy:
        ledger = make(client(proxy.host), settle_before_result_s=0.3)
        admission = asked(uid, reserve=RESERVED)
        entry = await admitted(ledger, admission)
        await proxy.stop()
        await ledger.settle(entry, done(cost_nano_usd=2))
        await proxy.start()
        await background.drain()
    stored = await document(firestore, admission)
    assert stored is not None
    assert stored["status"] == "done"
    assert await totals(firestore, uid) == (0, 1, 2)


async def test_a_settlement_that_never_comes_through_is_left_to_the_reconciler(
    make: Make,
    suite: Suite,
    client: Client,
    firestore: AsyncClient,
    uid: str,
    background: BackgroundTasks,
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with firestore_proxy(suite.firestore_host) as proxy:
        ledger = make(client(proxy.host), settle_before_result_s=0.2, settle_s=1.0)
        admission = asked(uid)
        entry = await admitted(ledger, admission)
        await proxy.stop()
        await ledger.settle(entry, done())
        async with asyncio.timeout(3 * 1.0 + MARGIN_S):
            await background.drain()  # and the task that tried it ends
    stored = await document(firestore, admission)
    assert stored is not None
    assert stored["status"] == "running"
    logged = capfd.readouterr().out
    assert "settle_delayed" in logged
    assert "settle_failed" in logged


# -- what a document will not hold -----------------------------------------------------------------


@pytest.mark.parametrize(
    "result",
    [
        {"text": "x" * 1_100_000},
        {"text": "x", "parts": [[1, 2], [3]]},
        {"text": "x", "number": 2**70},
        {"text": "a lone \ud800"},
        {"text": "x", "what": object()},
    ],
    ids=["too large", "a list in a list", "too large a number", "a lone surrogate", "no such type"],
)
async def test_a_result_that_cannot_be_kept_is_dropped_and_the_entry_settled(
    ledger: Ledger,
    firestore: AsyncClient,
    uid: str,
    result: dict[str, Any],
    background: BackgroundTasks,
) -> None:
    admission = asked(uid, "large", reserve=RESERVED)
    await ledger.settle(await admitted(ledger, admission), done(cost_nano_usd=9, result=result))
    await background.drain()
    stored = await document(firestore, admission)
    assert stored is not None
    assert (stored["status"], stored["result"]) == ("done", None)
    assert await totals(firestore, uid) == (0, 1, 9)
    with pytest.raises(ResultNotKept):
        await ledger.admit(admission, capped())


# -- what is left of a budget ----------------------------------------------------------------------


def long_answer(tokens: int, nano_usd_per_token: int, *, base: int = 0) -> Reserve:
    return Reserve(
        base_nano_usd=base,
        nano_usd_per_token=Decimal(nano_usd_per_token),
        completion_tokens=tokens,
        is_lowerable=True,
    )


async def test_a_dear_answer_is_shortened_to_what_is_left_of_the_day(
    ledger: Ledger, firestore: AsyncClient, uid: str
) -> None:
    caps = capped(UserLimits(requests_per_minute=1000, concurrent=100, usd_per_day=0.02))
    await admitted(ledger, asked(uid, reserve=RESERVED), caps)
    entry = await admitted(ledger, asked(uid, reserve=long_answer(100_000, 10_000)), caps)
    assert entry.admission.is_shortened
    assert entry.admission.reserve.completion_tokens == 1_000
    assert (await totals(firestore, uid))[2] == 2 * CENT
    stored = await document(firestore, entry.admission)
    assert stored is not None
    assert stored["maxTokens"] == 1_000


async def test_an_answer_that_would_be_too_short_is_refused_and_not_shortened(
    ledger: Ledger, firestore: AsyncClient, uid: str
) -> None:
    caps = capped(UserLimits(requests_per_minute=1000, concurrent=100, usd_per_day=0.01))
    with pytest.raises(QuotaExceeded):
        await ledger.admit(asked(uid, reserve=long_answer(255, 100_000)), caps)
    assert await totals(firestore, uid) == (0, 0, 0)


async def test_tokens_of_a_day_shorten_an_answer_too(ledger: Ledger, uid: str) -> None:
    caps = capped(UserLimits(requests_per_minute=1000, concurrent=100, tokens_per_day=1_000))
    entry = await admitted(ledger, asked(uid, reserve=long_answer(9_000, 0)), caps)
    assert entry.admission.reserve.completion_tokens == 1_000


async def test_those_that_do_not_fit_keep_none_out_that_does(
    ledger: Ledger, firestore: AsyncClient, uid: str
) -> None:
    """Twenty that are too dear for the budget, beside five that fit into it."""
    caps = capped(UserLimits(requests_per_minute=1000, concurrent=100, usd_per_day=0.05))
    dear = Reserve(base_nano_usd=6 * CENT)
    results = await asyncio.gather(
        *(ledger.admit(asked(uid, reserve=dear), caps) for _ in range(20)),
        *(ledger.admit(asked(uid, reserve=RESERVED), caps) for _ in range(5)),
        return_exceptions=True,
    )
    assert [isinstance(result, Admitted) for result in results] == [False] * 20 + [True] * 5
    assert await totals(firestore, uid) == (5, 5, 5 * CENT)


async def test_a_budget_that_a_free_model_has_exceeded_refuses_free_models_too(
    ledger: Ledger, uid: str
) -> None:
    caps = capped(UserLimits(requests_per_minute=1000, usd_per_day=1))
    entry = await admitted(ledger, asked(uid), caps)
    await ledger.settle(entry, done(cost_nano_usd=2_000_000_000))
    with pytest.raises(QuotaExceeded) as refused:
        await ledger.admit(asked(uid), caps)
    assert refused.value.details["limit"] == "usdPerDay"
    assert refused.value.details["used"] == 2.0


@pytest.mark.parametrize("typed", [1.5e9, float("nan"), float("inf"), 1e30])
async def test_a_counter_that_was_typed_by_hand_holds_all_the_same(
    ledger: Ledger, firestore: AsyncClient, uid: str, typed: float
) -> None:
    day = {f"{utc_now():%d}": {"nanoUsd": typed}}
    month = firestore.document(f"quotas/{uid}/windows/{utc_now():%Y%m}")
    await month.set({"days": day})
    caps = capped(UserLimits(requests_per_minute=1000, usd_per_day=1))
    with pytest.raises(QuotaExceeded) as refused:
        await ledger.admit(asked(uid, reserve=RESERVED), caps)
    assert refused.value.details["limit"] == "usdPerDay"


async def test_a_month_holds_what_its_days_do_not(ledger: Ledger, uid: str) -> None:
    caps = capped(UserLimits(requests_per_minute=1000, usd_per_day=1, usd_per_month=0.01))
    await admitted(ledger, asked(uid, reserve=RESERVED), caps)
    with pytest.raises(QuotaExceeded) as refused:
        await ledger.admit(asked(uid, reserve=RESERVED), caps)
    assert refused.value.details["limit"] == "usdPerMonth"


@pytest.mark.parametrize(
    ("own", "name"),
    [
        ({"concurrent": 1}, "feature.concurrent"),
        ({"usd_per_day": 0.01}, "feature.usdPerDay"),
        ({"usd_per_month": 0.01}, "feature.usdPerMonth"),
        ({"requests_per_day": 1}, "feature.requestsPerDay"),
        ({"tokens_per_day": 10}, "feature.tokensPerDay"),
    ],
)
async def test_a_feature_has_caps_of_its_own(
    ledger: Ledger, uid: str, own: dict[str, Any], name: str
) -> None:
    caps = Caps(ROOMY, FeatureLimits(**own))
    reserve = Reserve(base_nano_usd=CENT, base_tokens=10)
    entry = await admitted(ledger, asked(uid, reserve=reserve), caps)
    with pytest.raises(QuotaExceeded) as refused:
        await ledger.admit(asked(uid, reserve=reserve), caps)
    assert refused.value.details["limit"] == name
    await ledger.settle(entry, done(cost_nano_usd=0))
    if name in {"feature.concurrent", "feature.usdPerDay", "feature.usdPerMonth"}:
        await admitted(ledger, asked(uid, reserve=reserve), caps)


async def test_counters_of_passed_minutes_do_not_pile_up(
    make: Make, firestore: AsyncClient, uid: str
) -> None:
    """A month of them would be more than a document holds."""
    clock = [datetime(2026, 11, 3, 12, tzinfo=UTC)]
    ledger, caps = make(firestore, now=lambda: clock[0]), capped(requests_per_day=100)
    for _ in range(8):
        await admitted(ledger, asked(uid), caps)
        clock[0] += timedelta(minutes=1)
    month = (await firestore.document(f"quotas/{uid}/windows/202611").get()).to_dict() or {}
    assert len(month["minutes"]) == len(month["features"]["chat"]["minutes"]) == 2
    assert (
        month["days"]["03"]["requests"] == month["features"]["chat"]["days"]["03"]["requests"] == 8
    )


async def test_a_comparison_is_admitted_whole_or_not_at_all(
    ledger: Ledger, firestore: AsyncClient, uid: str
) -> None:
    caps = capped(UserLimits(requests_per_minute=1000, concurrent=100, usd_per_day=0.03))
    six = [asked(uid, f"six.{index}", reserve=RESERVED) for index in range(6)]
    with pytest.raises(QuotaExceeded):
        await ledger.admit_all(six, caps)
    assert await totals(firestore, uid) == (0, 0, 0)
    three = await ledger.admit_all(six[:3], caps)
    assert all(isinstance(one, Admitted) for one in three)
    assert await totals(firestore, uid) == (3, 3, 3 * CENT)


async def test_a_comparison_sent_again_is_told_of_each_answer(ledger: Ledger, uid: str) -> None:
    both = [asked(uid, f"again.{index}") for index in range(2)]
    first = (await ledger.admit_all(both[:1], capped()))[0]
    assert isinstance(first, Admitted)
    await ledger.settle(first.entry, done(result={"text": "one"}))
    again = await ledger.admit_all(both, capped())
    assert isinstance(again[0], Answered)
    assert again[0].result == {"text": "one"}
    assert isinstance(again[1], Admitted)


# -- the ceiling of the app ------------------------------------------------------------------------


async def test_two_instances_do_not_exceed_the_ceiling_together(
    make: Make, firestore: AsyncClient
) -> None:
    """Each in its own shard; the clock is one that no other test lives in."""
    year = 2100 + secrets.randbelow(5_000)
    now = datetime(year, 3, 5, 12, tzinfo=UTC)
    ledgers = [make(firestore, now=lambda: now) for _ in range(2)]
    caps = Caps(ROOMY, FeatureLimits(), Ceiling(usd_per_day=0.1, usd_per_month=1))
    results = await asyncio.gather(
        *(
            ledger.admit(asked(f"user-{secrets.token_hex(4)}", reserve=RESERVED), caps)
            for ledger in ledgers
            for _ in range(25)
        ),
        return_exceptions=True,
    )
    entries = [result.entry for result in results if isinstance(result, Admitted)]
    refusals = [result for result in results if isinstance(result, QuotaExceeded)]
    assert len(entries) <= 10
    assert len(entries) + len(refusals) == 50
    assert {refusal.details["limit"] for refusal in refusals} == {"app.usdPerDay"}
    assert len(entries) + await admit_one_by_one(ledgers[0], caps) == 10


async def test_those_that_exceed_the_ceiling_keep_none_out_that_does_not(
    make: Make, firestore: AsyncClient
) -> None:
    """Twenty that are too dear for it, at two instances, beside five that fit."""
    now = datetime(2100 + secrets.randbelow(5_000), 4, 5, 12, tzinfo=UTC)
    ledgers = [make(firestore, now=lambda: now) for _ in range(2)]
    caps = Caps(ROOMY, FeatureLimits(), Ceiling(usd_per_day=0.05, usd_per_month=1))
    dear = Reserve(base_nano_usd=6 * CENT)
    results = await asyncio.gather(
        *(
            ledgers[number % 2].admit(
                asked(f"user-{secrets.token_hex(4)}", reserve=dear if number < 20 else RESERVED),
                caps,
            )
            for number in range(25)
        ),
        return_exceptions=True,
    )
    assert [isinstance(result, Admitted) for result in results] == [False] * 20 + [True] * 5


async def admit_one_by_one(ledger: Ledger, caps: Caps) -> int:
    """Return how many more fit."""
    for count in range(50):
        try:
            await ledger.admit(asked(f"user-{secrets.token_hex(4)}", reserve=RESERVED), caps)
        except QuotaExceeded:
            return count
    return 50


# -- places that a dead instance holds -------------------------------------------------------------


async def test_the_place_of_a_dead_instance_is_free_once_its_lease_has_ended(
    make: Make, firestore: AsyncClient, uid: str, capfd: pytest.CaptureFixture[str]
) -> None:
    clock = [utc_now()]
    dead = make(firestore, now=lambda: clock[0])
    caps = capped(UserLimits(requests_per_minute=1000, concurrent=1))
    entry = await admitted(dead, asked(uid, reserve=RESERVED), caps)
    other = make(firestore, now=lambda: clock[0])
    with pytest.raises(QuotaExceeded) as refused:
        await other.admit(asked(uid), caps)
    assert refused.value.details["running"] == [entry.admission.id]

    clock[0] += timedelta(seconds=LedgerLimits().lease_s + 1)
    await admitted(other, asked(uid), caps)
    assert (await totals(firestore, uid))[0] == 1
    # it was alive after all: what it held otherwise is still its own, and its place is not
    await dead.settle(entry, done(cost_nano_usd=3))
    assert await totals(firestore, uid) == (1, 2, 3)
    assert "place_freed" in capfd.readouterr().out


async def test_before_a_retry_the_attempts_are_recorded_at_once(
    make: Make, firestore: AsyncClient, uid: str
) -> None:
    ledger = make(firestore, note_after_s=60)
    entry = await admitted(ledger, asked(uid, reserve=RESERVED))
    failed = AttemptRecord(model="sim/fast", upstream_id="gen-1", reason="upstream_busy")
    ledger.note(entry, [replace(failed, reason=None)])
    await ledger.note_now(entry, [failed])
    stored = await document(firestore, entry.admission)
    assert stored is not None
    assert [attempt["reason"] for attempt in stored["attempts"]] == ["upstream_busy"]
    await ledger.settle(entry, done(cost_nano_usd=3, attempts=[failed]))
    assert await totals(firestore, uid) == (0, 1, 3)
