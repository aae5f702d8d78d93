"""The ledger entry: the document of a generation. Only this module knows its fields. Pure.

    generations/{id}
      admitted    uid, requestId, payload, nonce, instance, feature, revision, model, test, status,
                  createdAt, deadlineAt, leaseUntil, expireAt, attempts, place
                  reservedNanoUsd, reservedTokens, shard, countsFeature   its counters (`quotas`)
                  maxTokens?   its limit of completion tokens, if a budget shortened it
                  tier?, anonymous?   who called
                  cached, savedNanoUsd   only if a cached answer was served: what that saved
                  question?    until the generation has ended
                  continues?   true: it needs no listener, and a task has to claim it
                  streams?     false: the text is not sent as it is generated
      stopped     stop {at, by, instance, comparison?}
      freed       true: its place among the answers in progress was given back because its
                  instance died; or it never had one
      waits       true: it is admitted, but its request is sent only after others have ended
      ended       status, model, provider, finishReason, error, usage, timing, attempts, result,
                  endedAt, costNanoUsd, costIsEstimate
                  costDueAt?   only of an estimate: when to ask OpenRouter for the cost
                  cacheId?     the cached answer that was served, or that it was cached as
                  resultExpireAt?   when `result` is removed, if that is before the entry is
      erased      textsErased  true: its conversation was deleted, and so are its texts
      reconciled  reconciledAt, or costGivenUpAt
      reported    rolled       what `reports` has counted of it
                  rollDueAt?   from its end, or a correction, until `reports` has counted that

An `Admission` is the part of an entry that never changes, an `OpenEntry` is an entry for the task
that owns it, an `Outcome` is how it ended, and a `StoredEntry` is an entry that was read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from .malformed import mapping_of, object_of, text_of, time_of, whole_of
from .quotas import Windows
from .reserve import NONE_LATER, NOTHING, LaterRequests, Reserve
from .retention import BY_DEFAULT, Retention
from .stop_request import Stop

if TYPE_CHECKING:
    from ..firestore import Document, Snapshot
    from .limits import LedgerLimits

Status = Literal["done", "stopped", "failed", "interrupted"]
RUNNING: Final = "running"


def epoch() -> datetime:
    """Return a time before all entries, which stands in for an unknown time."""
    return datetime.fromtimestamp(0, UTC)


class EntryField:
    """The names of the document's fields, for queries, masks and partial updates."""

    UID: Final = "uid"
    REQUEST_ID: Final = "requestId"
    PAYLOAD: Final = "payload"
    NONCE: Final = "nonce"
    INSTANCE: Final = "instance"
    FEATURE: Final = "feature"
    REVISION: Final = "revision"
    MODEL: Final = "model"
    IS_TEST: Final = "test"
    STATUS: Final = "status"
    CREATED_AT: Final = "createdAt"
    DEADLINE_AT: Final = "deadlineAt"
    EXPIRE_AT: Final = "expireAt"
    LEASE_UNTIL: Final = "leaseUntil"
    RESERVED: Final = "reservedNanoUsd"
    RESERVED_TOKENS: Final = "reservedTokens"
    LATER: Final = "laterRequests"
    SHARD: Final = "shard"
    COUNTS_FEATURE: Final = "countsFeature"
    MAX_TOKENS: Final = "maxTokens"
    TIER: Final = "tier"
    ANONYMOUS: Final = "anonymous"
    CACHED: Final = "cached"
    SAVED: Final = "savedNanoUsd"
    FREED: Final = "freed"
    WAITS: Final = "waits"
    ATTEMPTS: Final = "attempts"
    PLACE: Final = "place"
    QUESTION: Final = "question"
    CONTINUES: Final = "continues"
    STREAMS: Final = "streams"
    STOP: Final = "stop"
    PROVIDER: Final = "provider"
    FINISH_REASON: Final = "finishReason"
    ERROR: Final = "error"
    USAGE: Final = "usage"
    TIMING: Final = "timing"
    RESULT: Final = "result"
    RESULT_EXPIRE_AT: Final = "resultExpireAt"
    ENDED_AT: Final = "endedAt"
    COST: Final = "costNanoUsd"
    COST_IS_ESTIMATE: Final = "costIsEstimate"
    COST_DUE_AT: Final = "costDueAt"
    COST_GIVEN_UP_AT: Final = "costGivenUpAt"
    RECONCILED_AT: Final = "reconciledAt"
    ROLLED: Final = "rolled"
    ROLL_DUE_AT: Final = "rollDueAt"
    CACHE_ID: Final = "cacheId"
    TEXTS_ERASED: Final = "textsErased"

    # Fields within fields, as queries and updates name them
    CONVERSATION_ID: Final = "place.conversationId"
    STOP_INSTANCE: Final = "stop.instance"
    RESULT_USAGE: Final = "result.usage"
    RESULT_TEXT: Final = "result.text"


# -- values ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestKey:
    """Identifies a request among those of its caller.

    Attributes:
        payload: The hash of everything that the caller sent, except the request id.
        request_id: The caller's idempotency key, if the request has one.
    """

    payload: str
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureUse:
    """The feature that a generation runs, as it was when it was admitted.

    Attributes:
        id: The feature's id.
        revision: The revision of its settings; None if an admin tests settings that are not saved.
        model: The first model to be called.
        is_test: Whether an admin is testing settings.
    """

    id: str
    revision: int | None
    model: str
    is_test: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the answer belongs in a conversation.

    Attributes:
        conversation_id: The conversation.
        message_id: The answer's message; None if the answer is not stored.
        parent: The message that the answer follows.
        parent_page: The page of the transcript that the parent is on.
        regenerates: Whether the question already had an answer.
    """

    conversation_id: str
    message_id: str | None = None
    parent: str | None = None
    parent_page: int | None = None
    regenerates: bool = False

    @classmethod
    def from_document(cls, document: object) -> Place | None:
        """Read a stored place; None if it names no conversation."""
        fields = mapping_of(document)
        conversation_id = text_of(fields.get("conversationId"))
        if conversation_id is None:
            return None
        return cls(
            conversation_id=conversation_id,
            message_id=text_of(fields.get("messageId")),
            parent=text_of(fields.get("parent")),
            parent_page=whole_of(fields.get("parentPage")),
            regenerates=fields.get("regenerates") is True,
        )

    def ids(self) -> dict[str, str]:
        """Return the ids by which clients find the answer, as in frames and results."""
        message = {} if self.message_id is None else {"messageId": self.message_id}
        return {"conversationId": self.conversation_id, **message}

    def to_document(self) -> Document:
        return {
            **self.ids(),
            "parent": self.parent,
            "parentPage": self.parent_page,
            "regenerates": self.regenerates,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationLink:
    """What the reconciler, or a task of the queue, needs to write into the conversation.

    Attributes:
        place: Where the answer belongs.
        question: The question's message, if it may not be stored yet. Only `conversations` knows
            its fields; the entry has it until the generation has ended.
    """

    place: Place
    question: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One attempt to get an answer from a model.

    Attributes:
        model: The model that was called.
        upstream_id: OpenRouter's id of the generation, once it is known.
        reason: Why the attempt failed; None for the one that answered.
        key_version: The version of the OpenRouter key that paid for it.
        purpose: What a request beside the answer was for: a title or a summary.
        cost_nano_usd: What it cost; None until it has ended.
        byok_nano_usd: The part of the cost that a provider billed to the owner's own key.
        is_estimate: OpenRouter has not said what it cost.
        is_suspect: The cost that OpenRouter reported at first was implausible.
        prompt_tokens: The prompt tokens of an estimate, which its correction needs.
        completion_tokens: The completion tokens of an estimate, likewise.
        upstream_reason: What OpenRouter said of its failure, for admins.
    """

    model: str | None
    upstream_id: str | None = None
    reason: str | None = None
    key_version: int | None = None
    purpose: str | None = None
    cost_nano_usd: int | None = None
    byok_nano_usd: int = 0
    is_estimate: bool = False
    is_suspect: bool = False
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    upstream_reason: str | None = None

    @classmethod
    def from_document(cls, document: object) -> AttemptRecord:
        fields = mapping_of(document)
        return cls(
            model=text_of(fields.get("model")),
            upstream_id=text_of(fields.get("upstreamId")),
            reason=text_of(fields.get("reason")),
            upstream_reason=text_of(fields.get("upstreamReason")),
            key_version=whole_of(fields.get("keyVersion")),
            purpose=text_of(fields.get("purpose")),
            cost_nano_usd=whole_of(fields.get("costNanoUsd")),
            byok_nano_usd=whole_of(fields.get("byokNanoUsd")) or 0,
            is_estimate=fields.get("costIsEstimate") is True,
            is_suspect=fields.get("suspect") is True,
            prompt_tokens=whole_of(fields.get("promptTokens")),
            completion_tokens=whole_of(fields.get("completionTokens")),
        )

    def to_document(self) -> Document:
        document: Document = {
            "model": self.model,
            "upstreamId": self.upstream_id,
            "reason": self.reason,
            "keyVersion": self.key_version,
        }
        more = {
            "upstreamReason": self.upstream_reason,
            "purpose": self.purpose,
            "costNanoUsd": self.cost_nano_usd,
            "byokNanoUsd": self.byok_nano_usd or None,
            "costIsEstimate": self.is_estimate or None,
            "suspect": self.is_suspect or None,
            "promptTokens": self.prompt_tokens,
            "completionTokens": self.completion_tokens,
        }
        return {**document, **{name: value for name, value in more.items() if value is not None}}


@dataclass(frozen=True, slots=True)
class Cost:
    """What a generation cost: the sum of its attempts."""

    nano_usd: int
    is_estimate: bool


def cost_of_all(attempts: Iterable[AttemptRecord]) -> Cost:
    """Return what attempts cost together. An attempt that has no cost yet counts as 0."""
    known = list(attempts)
    return Cost(
        sum(attempt.cost_nano_usd or 0 for attempt in known),
        any(attempt.is_estimate or attempt.cost_nano_usd is None for attempt in known),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """What an entry reserves in its user's counters until it ends.

    Attributes:
        id: The entry's.
        uid: The user; None if the document is damaged, and there is nothing to give back.
        windows: Where it is counted.
        nano_usd: How much of each budget is reserved.
        tokens: How many of a day's tokens are reserved.
        counts_tokens: Whether its tokens count: those of a cached answer were counted before.
        holds_place: Whether it counts among the user's answers in progress.
        version: The document's update time, the guard of the commit that frees it.
    """

    id: str
    uid: str | None
    windows: Windows
    nano_usd: int
    tokens: int
    counts_tokens: bool
    holds_place: bool
    version: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """Who called: the tier whose limits apply, if any, and whether the user has no account."""

    tier: str | None = None
    anonymous: bool = False

    @classmethod
    def from_document(cls, entry: Mapping[str, object]) -> Payer:
        """Return who called, as an entry says."""
        return cls(
            tier=text_of(entry.get(EntryField.TIER)),
            anonymous=entry.get(EntryField.ANONYMOUS) is True,
        )


# -- an entry from its admission to its end --------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What is recorded about a generation before OpenRouter is called. It never changes.

    Attributes:
        id: The generation's id.
        uid: Its user.
        request: Identifies the request among those of the user.
        feature: The feature that it runs.
        reserve: What it may cost, and how many tokens it may take.
        payer: Who called.
        is_shortened: Whether a budget limits its answer to the tokens in `reserve`.
        saved_nano_usd: If a cached answer is served, what that cost when it was generated.
        conversation: Where its answer belongs, if anywhere.
        continues: Whether it needs no listener; a task of the queue has to claim it first.
        streams: Whether its text is sent as it is generated.
        follows: Whether its request is sent only after the others that it is admitted with have
            ended. It takes no place among the answers in progress: theirs are free by then.
        retention: How long the entry is kept, and whether it may hold any text.
    """

    id: str
    uid: str
    request: RequestKey
    feature: FeatureUse
    reserve: Reserve = NOTHING
    payer: Payer = Payer()
    is_shortened: bool = False
    saved_nano_usd: int | None = None
    conversation: ConversationLink | None = None
    continues: bool = False
    streams: bool = True
    follows: bool = False
    retention: Retention = BY_DEFAULT

    @property
    def is_cached(self) -> bool:
        """Whether a cached answer is served: it costs nothing and takes no place."""
        return self.saved_nano_usd is not None

    @property
    def takes_place(self) -> bool:
        """Whether it counts among its user's answers in progress."""
        return not (self.is_cached or self.follows)

    def to_document(
        self, *, nonce: str, instance: str, windows: Windows, limits: LedgerLimits
    ) -> Document:
        """Return the document of an entry that begins now.

        Args:
            nonce: Identifies the entry's owner.
            instance: The instance that runs it, unless a task has to claim it first.
            windows: Where it is counted, and when it is admitted.
            limits: How long it may run, or wait for its task.
        """
        now = windows.at
        late = now + timedelta(seconds=limits.queued_max_s)
        link = self.conversation
        document: Document = {
            EntryField.UID: self.uid,
            EntryField.REQUEST_ID: self.request.request_id,
            EntryField.PAYLOAD: self.request.payload,
            EntryField.NONCE: nonce,
            EntryField.INSTANCE: "" if self.continues else instance,
            EntryField.FEATURE: self.feature.id,
            EntryField.REVISION: self.feature.revision,
            EntryField.MODEL: self.feature.model,
            EntryField.STATUS: RUNNING,
            EntryField.CREATED_AT: now,
            EntryField.DEADLINE_AT: late if self.continues else run_deadline(now, limits),
            EntryField.EXPIRE_AT: self.retention.entry_ends(now),
            EntryField.LEASE_UNTIL: now + timedelta(seconds=limits.lease_s),
            EntryField.RESERVED: self.reserve.nano_usd,
            EntryField.RESERVED_TOKENS: self.reserve.tokens,
            EntryField.SHARD: windows.shard,
            EntryField.ATTEMPTS: [],
            EntryField.IS_TEST: self.feature.is_test,
            EntryField.PLACE: link.place.to_document() if link else None,
        }
        if windows.feature is not None:
            document[EntryField.COUNTS_FEATURE] = True
        if self.reserve.later.count:
            document[EntryField.LATER] = self.reserve.later.to_document()
        if self.is_shortened:
            document[EntryField.MAX_TOKENS] = self.reserve.completion_tokens
        if self.payer.tier is not None:
            document[EntryField.TIER] = self.payer.tier
        if self.payer.anonymous:
            document[EntryField.ANONYMOUS] = True
        if self.saved_nano_usd is not None:
            document[EntryField.CACHED] = True
            document[EntryField.SAVED] = self.saved_nano_usd
        if link is not None and link.question and self.retention.store_texts:
            document[EntryField.QUESTION] = dict(link.question)
        if self.continues:
            document[EntryField.CONTINUES] = True
        if not self.streams:
            document[EntryField.STREAMS] = False
        if self.follows:
            document[EntryField.FREED] = document[EntryField.WAITS] = True
        return document


@dataclass(slots=True, eq=False)
class EntryState:
    """The mutable state of an open entry.

    Attributes:
        version: The document's update time as last seen: the guard of the next commit.
        attempts: What the next note writes.
        freed: It holds no place: another instance took this one for dead and gave the place back,
            or the entry never had one.
        note_timer: Starts that note.
        noting: The last note that was started.
        texts_erased: Its texts were deleted while it ran, so none of them may be stored.
    """

    version: datetime
    attempts: tuple[AttemptRecord, ...] = ()
    freed: bool = False
    note_timer: asyncio.TimerHandle | None = None
    noting: asyncio.Task[None] | None = None
    texts_erased: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class OpenEntry:
    """The entry of an admitted generation, for the task that owns it."""

    admission: Admission
    nonce: str
    windows: Windows
    state: EntryState

    @property
    def reservation(self) -> Reservation:
        """What the entry reserves in the user's counters."""
        admission = self.admission
        return Reservation(
            id=admission.id,
            uid=admission.uid,
            windows=self.windows,
            nano_usd=admission.reserve.nano_usd,
            tokens=admission.reserve.tokens,
            counts_tokens=not admission.is_cached,
            holds_place=admission.takes_place and not self.state.freed,
            version=self.state.version,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a generation ended.

    Attributes:
        status: Its status at the end.
        model: The model that answered, or the first one that was called.
        provider: The provider that answered, if OpenRouter named it.
        finish_reason: Why the answer ended.
        error: The reason for the failure, if it failed.
        usage: As in a result.
        cost_nano_usd: What it cost; None if nothing is known: the reservation is then the
            estimate.
        cost_is_estimate: Whether any part of the cost is an estimate.
        timing: As in a result.
        attempts: All attempts.
        result: The result, if it is stored for the same request sent again.
        cache_id: The cached answer that has its text, if one does.
        retention: How long the result is kept.
    """

    status: Status
    model: str
    provider: str | None = None
    finish_reason: str | None = None
    error: str | None = None
    usage: Mapping[str, object] = field(default_factory=dict)
    cost_nano_usd: int | None = None
    cost_is_estimate: bool = False
    timing: Mapping[str, object] = field(default_factory=dict)
    attempts: Sequence[AttemptRecord] = ()
    result: Mapping[str, object] | None = None
    cache_id: str | None = None
    retention: Retention = BY_DEFAULT

    def without_texts(self) -> Outcome:
        return replace(self, result=None, cache_id=None)

    def to_fields(self) -> Document:
        """Return the fields that the end of an entry sets, but for time and cost."""
        cache_id = {} if self.cache_id is None else {EntryField.CACHE_ID: self.cache_id}
        return {
            **cache_id,
            EntryField.STATUS: self.status,
            EntryField.MODEL: self.model,
            EntryField.PROVIDER: self.provider,
            EntryField.FINISH_REASON: self.finish_reason,
            EntryField.ERROR: self.error,
            EntryField.USAGE: dict(self.usage),
            EntryField.TIMING: dict(self.timing),
            EntryField.ATTEMPTS: attempt_documents(self.attempts),
            EntryField.RESULT: None if self.result is None else dict(self.result),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What OpenRouter said later about an entry that had ended with an estimate.

    Attributes:
        attempts: All attempts, with what is known of them now.
        usage: As in a result.
        cost: What the generation cost, as far as that is known now.
        due_at: When to ask OpenRouter again; None if it need not be asked.
    """

    attempts: Sequence[AttemptRecord]
    usage: Mapping[str, object]
    cost: Cost
    due_at: datetime | None = None


# -- an entry that was read ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """An entry as it was read.

    Malformed fields count as absent, so that a damaged entry can still be closed. So do fields
    that the read did not include.

    Attributes:
        version: The document's update time, the guard of the next commit.
        is_test: An admin tried settings that were not saved.
        max_tokens: Its limit of completion tokens, if a budget shortened it.
        ended_at: When it ended, or when it was admitted if it has not.
        question: The question's message, which may not be stored in its conversation yet.
        result: The stored result.
        error: The reason for its failure.
        stop: The stop that was written to it.
        cache_id: The cached answer that has its text.
        texts_erased: Its texts were deleted.
    """

    id: str
    version: datetime = field(default_factory=epoch)
    uid: str | None = None
    request_id: str | None = None
    payload: str | None = None
    nonce: str | None = None
    instance: str | None = None
    feature: str | None = None
    revision: int | None = None
    model: str | None = None
    is_test: bool = False
    status: str | None = None
    admitted_at: datetime = field(default_factory=epoch)
    deadline_at: datetime | None = None
    cost_due_at: datetime | None = None
    ended_at: datetime = field(default_factory=epoch)
    lease_until: datetime | None = None
    reserved_nano_usd: int = 0
    reserved_tokens: int = 0
    later: LaterRequests = NONE_LATER
    shard: int = 0
    counts_feature: bool = False
    max_tokens: int | None = None
    payer: Payer = Payer()
    saved_nano_usd: int | None = None
    freed: bool = False
    waits: bool = False
    cost_nano_usd: int = 0
    usage: Document | None = None
    attempts: tuple[AttemptRecord, ...] = ()
    place: Place | None = None
    question: Document | None = None
    continues: bool = False
    streams: bool = True
    error: str | None = None
    result: Document | None = None
    stop: Stop | None = None
    cache_id: str | None = None
    texts_erased: bool = False

    @classmethod
    def from_snapshot(cls, snapshot: Snapshot) -> StoredEntry:
        return cls.from_document(
            snapshot.id,
            snapshot.to_dict() or {},
            created_at=time_of(snapshot.create_time),
            version=time_of(snapshot.update_time),
        )

    @classmethod
    def from_document(
        cls,
        id_: str,
        document: Mapping[str, object],
        *,
        created_at: datetime | None = None,
        version: datetime | None = None,
    ) -> StoredEntry:
        """Return the entry that a document holds.

        Args:
            id_: The document's id.
            document: Its fields.
            created_at: When the document was created, in case `createdAt` is malformed.
            version: The document's update time.
        """
        get = document.get
        admitted_at = time_of(get(EntryField.CREATED_AT)) or created_at or epoch()
        return cls(
            id=id_,
            version=version or epoch(),
            uid=text_of(get(EntryField.UID)),
            request_id=text_of(get(EntryField.REQUEST_ID)),
            payload=text_of(get(EntryField.PAYLOAD)),
            nonce=text_of(get(EntryField.NONCE)),
            instance=text_of(get(EntryField.INSTANCE)),
            feature=text_of(get(EntryField.FEATURE)),
            revision=whole_of(get(EntryField.REVISION)),
            model=text_of(get(EntryField.MODEL)),
            is_test=get(EntryField.IS_TEST) is True,
            status=text_of(get(EntryField.STATUS)),
            admitted_at=admitted_at,
            deadline_at=time_of(get(EntryField.DEADLINE_AT)),
            cost_due_at=time_of(get(EntryField.COST_DUE_AT)),
            ended_at=time_of(get(EntryField.ENDED_AT)) or admitted_at,
            lease_until=time_of(get(EntryField.LEASE_UNTIL)),
            reserved_nano_usd=whole_of(get(EntryField.RESERVED)) or 0,
            reserved_tokens=whole_of(get(EntryField.RESERVED_TOKENS)) or 0,
            later=LaterRequests.from_document(get(EntryField.LATER)),
            shard=whole_of(get(EntryField.SHARD)) or 0,
            counts_feature=get(EntryField.COUNTS_FEATURE) is True,
            max_tokens=whole_of(get(EntryField.MAX_TOKENS)),
            payer=Payer.from_document(document),
            saved_nano_usd=whole_of(get(EntryField.SAVED)),
            freed=get(EntryField.FREED) is True,
            waits=get(EntryField.WAITS) is True,
            cost_nano_usd=whole_of(get(EntryField.COST)) or 0,
            usage=object_of(get(EntryField.USAGE)),
            attempts=_attempts(get(EntryField.ATTEMPTS)),
            place=Place.from_document(get(EntryField.PLACE)),
            question=object_of(get(EntryField.QUESTION)),
            continues=get(EntryField.CONTINUES) is True,
            streams=get(EntryField.STREAMS) is not False,
            error=text_of(get(EntryField.ERROR)),
            result=object_of(get(EntryField.RESULT)),
            stop=Stop.from_document(get(EntryField.STOP)) if EntryField.STOP in document else None,
            cache_id=text_of(get(EntryField.CACHE_ID)),
            texts_erased=get(EntryField.TEXTS_ERASED) is True,
        )

    @property
    def is_running(self) -> bool:
        return self.status == RUNNING

    @property
    def is_unclaimed(self) -> bool:
        """Whether it still waits for a task to claim it: nothing was sent to OpenRouter."""
        return self.continues and not self.instance

    @property
    def reservation(self) -> Reservation:
        """What the entry reserves in the user's counters."""
        return Reservation(
            id=self.id,
            uid=self.uid,
            windows=self.windows,
            nano_usd=self.reserved_nano_usd,
            tokens=self.reserved_tokens,
            counts_tokens=self.saved_nano_usd is None,
            holds_place=self.saved_nano_usd is None and not self.freed,
            version=self.version,
        )

    @property
    def windows(self) -> Windows:
        """The windows that it is counted in."""
        feature = self.feature if self.counts_feature else None
        return Windows(at=self.admitted_at, shard=self.shard, feature=feature)

    def is_alive(self, now: datetime, instance_alive_until: datetime | None) -> bool:
        """Return whether an instance may still be at work on it, or a task may yet claim it.

        Args:
            now: The time.
            instance_alive_until: When its instance's own lease ends, if it has one.
        """
        if self.is_unclaimed:
            return self.deadline_at is not None and self.deadline_at > now
        leases = (self.lease_until, instance_alive_until)
        return any(until is not None and until > now for until in leases)

    def is_claimable(self, now: datetime) -> bool:
        """Return whether no instance is running it, and it is not too late to start."""
        waits = self.deadline_at is not None and self.deadline_at > now
        return self.is_running and self.is_unclaimed and waits

    def admission(self) -> Admission | None:
        """Return its admission; None if the document is damaged."""
        if self.uid is None or self.payload is None or self.feature is None or self.model is None:
            return None
        link = None
        if self.place is not None:
            link = ConversationLink(place=self.place, question=self.question)
        return Admission(
            id=self.id,
            uid=self.uid,
            request=RequestKey(payload=self.payload, request_id=self.request_id),
            feature=FeatureUse(
                id=self.feature,
                revision=self.revision,
                model=self.model,
                is_test=self.is_test,
            ),
            reserve=Reserve(
                base_nano_usd=self.reserved_nano_usd,
                base_tokens=self.reserved_tokens - (self.max_tokens or 0),
                completion_tokens=self.max_tokens or 0,
                later=self.later,
            ),
            payer=self.payer,
            is_shortened=self.max_tokens is not None,
            saved_nano_usd=self.saved_nano_usd,
            conversation=link,
            continues=self.continues,
            streams=self.streams,
        )


def run_deadline(begins: datetime, limits: LedgerLimits) -> datetime:
    """Return the time after which an instance can no longer be running a generation."""
    return begins + timedelta(seconds=limits.run_s + limits.settle_s)


def attempt_documents(attempts: Sequence[AttemptRecord]) -> list[Document]:
    """Return the attempts as an entry stores them."""
    return [attempt.to_document() for attempt in attempts]


def _attempts(value: object) -> tuple[AttemptRecord, ...]:
    known = value if isinstance(value, list) else []
    return tuple(map(AttemptRecord.from_document, known))
