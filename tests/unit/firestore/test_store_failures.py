"""What callers are told when Firestore refuses: an outage is retryable, a refusal never is."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud.firestore import AsyncClient

from firerouter.background import BackgroundTasks
from firerouter.callable import CallableError
from firerouter.contract import ExecutePrompt
from firerouter.delivery import (
    DeliveryLimits,
    Handover,
    Progress,
    QueuedRequest,
    QueueLimits,
    StopSignals,
)
from firerouter.errors import FirestoreForbidden, SettingsRefused, Unavailable
from firerouter.features import DEFAULTS
from firerouter.firestore import Audit, Change, NotStorable
from firerouter.ledger import (
    Admission,
    AttemptRecord,
    Caps,
    EntryState,
    FeatureLimits,
    FeatureUse,
    Ledger,
    LedgerLimits,
    LedgerStore,
    OpenEntry,
    Outcome,
    RequestKey,
    UserLimits,
    Windows,
)
from firerouter.users import PreferenceStore, Pseudonyms
from tests.support.failing_firestore import failing_firestore

NOW = datetime(2026, 11, 28, tzinfo=UTC)
QUICK = replace(LedgerLimits(), undo_pauses_s=(), settle_s=0.2, settle_pause_s=0.05)
ADMISSION = Admission(
    id="0" * 32,
    uid="ann",
    request=RequestKey(payload="hash"),
    feature=FeatureUse(id="chat", revision=1, model="sim/fast"),
)
CAPS = Caps(UserLimits(), FeatureLimits())

Work = Callable[[AsyncClient], Awaitable[Any]]


def ledger(firestore: AsyncClient) -> Ledger:
    store = LedgerStore(firestore, limits=QUICK)
    return Ledger(store, background=BackgroundTasks(), limits=QUICK)


def store(firestore: AsyncClient) -> LedgerStore:
    return LedgerStore(firestore, limits=QUICK)


def progress(firestore: AsyncClient) -> Progress:
    return Progress(firestore, store=store(firestore), background=BackgroundTasks())


def handover(firestore: AsyncClient) -> Handover:
    at_once = DeliveryLimits(queue=replace(QueueLimits(), claim_pauses_s=(0.0,)))
    queue: Any = None  # nothing gets that far
    return Handover(firestore, queue, store=store(firestore), instance="here", limits=at_once)


def queued() -> QueuedRequest:
    request = ExecutePrompt.model_validate({"feature": "chat", "prompt": "Hi"}, by_alias=True)
    return QueuedRequest(request, DEFAULTS["chat"], "0" * 32)


def change(firestore: AsyncClient) -> Awaitable[Any]:
    batch = firestore.batch()
    batch.set(firestore.document("config", "app"), {"appName": "x"})
    what = Change("ann", "", "save_app_settings", "config/app", None, {})
    return Audit(firestore).commit(batch, what)


READS: dict[str, Work] = {
    "preferences are read": lambda f: PreferenceStore(f).models("ann"),
    "progress is read": lambda f: progress(f).read("0" * 32),
    "an entry is followed": lambda f: progress(f).entry("0" * 32, "ann"),
    "a generation is stopped": lambda f: StopSignals(f, "here", store=store(f)).request(
        "0" * 32, "ann"
    ),
    "a generation is claimed": lambda f: handover(f).claim("0" * 32),
    "a queued request is taken": lambda f: handover(f).take_request("0" * 32),
    "late entries are looked for": lambda f: store(f).overdue(NOW, 9),
    "costs that are due are counted": lambda f: store(f).count_cost_due(),
}
WRITES: dict[str, Work] = {
    "a generation is admitted": lambda f: ledger(f).admit(ADMISSION, CAPS),
    "a preference is stored": lambda f: PreferenceStore(f).set_model("ann", "chat", "sim/fast"),
    "a request is queued": lambda f: handover(f).enqueue("0" * 32, queued()),
}


def given(works: dict[str, Work]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("work", works.values(), ids=works.keys())


@given({**READS, **WRITES, "a change is audited": change})
@pytest.mark.parametrize("class_", [exceptions.DeadlineExceeded, exceptions.ResourceExhausted])
async def test_an_outage_is_retryable(work: Work, class_: type[Exception]) -> None:
    with pytest.raises(Unavailable) as told:
        await work(failing_firestore(class_("canary")))
    assert told.value.retryable
    assert "canary" not in str(told.value.to_wire("0" * 32))


@given({**READS, **WRITES, "a change is audited": change})
@pytest.mark.parametrize("class_", [exceptions.PermissionDenied, exceptions.Unauthenticated])
async def test_a_missing_role_is_for_an_admin_and_no_outage(
    work: Work, class_: type[Exception]
) -> None:
    with pytest.raises(FirestoreForbidden) as told:
        await work(failing_firestore(class_("canary")))
    assert not told.value.retryable
    assert "canary" not in str(told.value.to_wire("0" * 32))


@given(READS)
@pytest.mark.parametrize("class_", [exceptions.NotFound, exceptions.FailedPrecondition])
async def test_a_missing_database_or_index_is_for_an_admin_and_no_outage(
    work: Work, class_: type[Exception]
) -> None:
    with pytest.raises(FirestoreForbidden):
        await work(failing_firestore(class_("canary")))


@given({**READS, **WRITES})
async def test_what_firestore_will_never_take_is_our_mistake_and_no_outage(work: Work) -> None:
    with pytest.raises(NotStorable) as raised:
        await work(failing_firestore(exceptions.InvalidArgument("canary")))  # type: ignore[no-untyped-call]
    assert not isinstance(raised.value, CallableError), "reported as an internal error, and logged"


async def test_a_change_that_firestore_will_never_take_is_refused() -> None:
    with pytest.raises(SettingsRefused) as refused:
        await change(failing_firestore(exceptions.InvalidArgument("canary")))  # type: ignore[no-untyped-call]
    assert not refused.value.retryable


async def test_a_change_that_no_document_holds_is_refused_as_well() -> None:
    what = Change("ann", "", "save_app_settings", "config/app", None, {"x": object()})
    firestore = failing_firestore(AssertionError("nothing is sent"))
    with pytest.raises(SettingsRefused):
        await Audit(firestore).commit(firestore.batch(), what)


# -- what is optional never fails a call -----------------------------------------------------------

OUTCOMES = [exceptions.PermissionDenied, exceptions.InvalidArgument, exceptions.DeadlineExceeded]


@pytest.mark.parametrize("class_", OUTCOMES)
async def test_without_pseudonyms_no_hash_is_sent(class_: type[Exception]) -> None:
    pseudonyms = Pseudonyms(failing_firestore(class_("x")))
    assert await pseudonyms.user("ann") is None
    assert await pseudonyms.session("ann", "c") is None


@pytest.mark.parametrize("class_", OUTCOMES)
async def test_a_comparison_is_not_failed_by_a_look_for_its_stop(class_: type[Exception]) -> None:
    firestore = failing_firestore(class_("x"))
    stops = StopSignals(firestore, "here", store=store(firestore))
    assert await stops.comparison_was_stopped(["0" * 32]) is False


@pytest.mark.parametrize("class_", OUTCOMES)
async def test_a_settlement_and_a_note_never_raise(
    class_: type[Exception], capsys: pytest.CaptureFixture[str]
) -> None:
    background = BackgroundTasks()
    failing = LedgerStore(failing_firestore(class_("canary")), limits=QUICK)
    ledger = Ledger(failing, background=background, limits=replace(QUICK, note_after_s=0.0))
    entry = OpenEntry(ADMISSION, "nonce", Windows(at=NOW), EntryState(NOW))
    ledger.note(entry, [AttemptRecord("sim/fast", "gen-1")])
    await ledger.settle(entry, Outcome(status="done", model="sim/fast", result={"text": "x"}))
    await background.drain()
    said = capsys.readouterr().out
    assert "settle_failed" in said
    assert "unexpected" not in said
    assert "canary" not in said


@pytest.mark.parametrize("class_", OUTCOMES)
async def test_progress_that_cannot_be_stored_does_not_fail_the_answer(
    class_: type[Exception],
) -> None:
    background = BackgroundTasks()
    firestore = failing_firestore(class_("x"))
    limits = DeliveryLimits(progress=replace(DeliveryLimits().progress, after_s=0.0, every_s=0.01))
    progress = Progress(firestore, store=store(firestore), background=background, limits=limits)
    begun: list[None] = []

    def written() -> tuple[str, str]:
        begun.append(None)
        return "text", ""

    async with progress.record("0" * 32, written, continues=False, elapsed_s=0.0):
        while len(begun) < 3:
            await asyncio.sleep(0.01)
    await progress.forget("0" * 32)
