"""Vectors for texts, through one feature. Read `_embed` first, top to bottom.

    settings -> what to ask -> ledger.admit -> OpenRouter, one batch after the other
        -> ledger.settle -> result

The exits are those of `generate`: whatever happens after `admit` leaves through the same lines,
with the connection closed and the entry settled once. A part of the vectors is of no use, so
whoever stops this gets none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .. import limits, log
from ..callable import Call, CallableError, encode
from ..contract import CreateEmbeddings, parse
from ..delivery import StopSignals
from ..errors import (
    ContextTooLong,
    InvalidArgument,
    Restarting,
    Stopped,
    StreamCut,
    UpstreamError,
    UpstreamMalformed,
    UpstreamTimeout,
    WrongKind,
)
from ..features import (
    EMBEDDING,
    AppSettings,
    AppSettingsStore,
    Feature,
    FeatureStore,
    ModelChoice,
    left_out,
)
from ..keys import Keys
from ..ledger import (
    Admission,
    Answered,
    Caps,
    FeatureUse,
    Ledger,
    OpenEntry,
    Outcome,
    RequestKey,
    Status,
    generation_id,
    payload_hash,
)
from ..models import CHARS_PER_TOKEN
from ..openrouter import (
    AttemptLog,
    Deadline,
    EmbeddingsRequest,
    Form,
    Interrupted,
    OpenRouter,
    Usage,
    Vector,
    convert_vector,
    dimensions_of,
    total,
)
from ..users import Caller, Pseudonyms
from .result import attempt_records, reserve


@dataclass(slots=True)
class EmbeddingRun:
    """What has been made so far."""

    feature: Feature
    asks: list[EmbeddingsRequest]
    watch: Deadline
    started: float
    tries: AttemptLog = field(default_factory=AttemptLog)
    vectors: list[Vector] = field(default_factory=list)
    usages: list[Usage | None] = field(default_factory=list)
    model: str | None = None
    provider: str | None = None
    notices: list[dict[str, str]] = field(default_factory=list)


class EmbeddingExecution:
    """The use case `create_embeddings`. One an instance."""

    def __init__(
        self,
        *,
        features: FeatureStore,
        app_settings: AppSettingsStore,
        keys: Keys,
        choice: ModelChoice,
        ledger: Ledger,
        stops: StopSignals,
        openrouter: OpenRouter,
        pseudonyms: Pseudonyms,
        default_referer: str,
    ) -> None:
        self._features = features
        self._app_settings = app_settings
        self._keys = keys
        self._choice = choice
        self._ledger = ledger
        self._stops = stops
        self._openrouter = openrouter
        self._pseudonyms = pseudonyms
        self._default_referer = default_referer
        self._watches: set[Deadline] = set()

    async def create_embeddings(self, call: Call[Caller]) -> dict[str, Any]:
        """The vectors (docs/wire.md), or those of the same request before. Raises CallableError."""
        return await self.run(call, parse(CreateEmbeddings, call.data))

    async def run(
        self, call: Call[Caller], request: CreateEmbeddings, given: Feature | None = None
    ) -> dict[str, Any]:
        """The same for a request that was read before. given: the feature, where it is not to
        answer as it is stored."""
        watch = Deadline(limits.TOTAL_S)
        call.on_leave(lambda: watch.stop("stopped"))
        self._watches.add(watch)
        try:
            return await self._embed(call, request, given, watch)
        finally:
            self._watches.remove(watch)

    def interrupt(self) -> None:
        """The instance is going down: end what runs, while there is time to settle it."""
        for watch in self._watches:
            watch.stop("interrupted")

    async def _embed(
        self, call: Call[Caller], request: CreateEmbeddings, given: Feature | None, watch: Deadline
    ) -> dict[str, Any]:
        uid, id_ = call.caller.uid, generation_id(call.caller.uid, request.request_id)
        feature, app = await asyncio.gather(
            self._feature(request, uid, given), self._app_settings.get()
        )
        watch.cap_total(feature.settings.total_s)
        asks = await self._asks(request, feature, app, uid)
        await asks[0].keys.get()  # a key that is missing is said before anything is counted
        admission = Admission(
            id=id_,
            uid=uid,
            request=RequestKey(payload=payload_hash(call.data), request_id=request.request_id),
            feature=FeatureUse(
                id=feature.id,
                revision=feature.revision,
                model=asks[0].model,
                is_test=feature.test,
            ),
            reserve_nano_usd=reserve([asks[0].model], app),
        )
        admitted = await self._ledger.admit(admission, Caps(app.limits, feature.settings.caps))
        if isinstance(admitted, Answered):
            return _unpacked(admitted.result, request)  # the same request was answered before
        entry = admitted.entry

        making = EmbeddingRun(feature, asks, watch, asyncio.get_running_loop().time())
        # what holds unless something below says otherwise: a cancelled task has no time to say
        status: Status = "interrupted"
        failure: CallableError | None = Restarting()
        try:
            with self._stops.register(id_, uid, lambda: watch.stop("stopped")):
                await self._make(making, entry)
            status, failure = "done", None
        except Interrupted as interrupted:
            if interrupted.cause == "stopped":
                status, failure = "stopped", Stopped()
        except CallableError as error:
            status, failure = "failed", error
        except Exception as error:
            log.unexpected(error, call.trace_id)
            status, failure = "failed", CallableError()
        finally:
            result = _result(making, entry, failure)
            await self._ledger.settle(entry, _outcome(making, entry, status, failure, result))
        if failure is not None:
            failure.details["generationId"] = id_
            raise failure
        return result

    async def _feature(self, request: CreateEmbeddings, uid: str, given: Feature | None) -> Feature:
        return given or (await self._features.get(request.feature)).for_user(uid)

    async def _make(self, making: EmbeddingRun, entry: OpenEntry) -> None:
        def note() -> None:
            self._ledger.note(entry, attempt_records(making.tries))

        for ask in making.asks:
            try:
                made = await self._openrouter.embed(ask, making.watch, making.tries, on_id=note)
            except ContextTooLong as error:
                longest = max(range(len(ask.inputs)), key=lambda at: len(ask.inputs[at]))
                error.details["field"] = f"input[{len(making.vectors) + longest}]"
                raise
            making.usages.append(made.usage)
            making.model, making.provider = made.model or ask.model, made.provider
            making.vectors += made.vectors
            if dimensions_of(made.vectors[0]) != dimensions_of(making.vectors[0]):
                raise UpstreamMalformed  # vectors that can not be compared with one another
            if ask is making.asks[0]:
                _check_dimensions(making, ask)

    async def _asks(
        self, request: CreateEmbeddings, feature: Feature, app: AppSettings, uid: str
    ) -> list[EmbeddingsRequest]:
        """One request for each batch. Raises WrongKind, InvalidArgument, PaidModel, ..."""
        settings = feature.settings
        if settings.kind != EMBEDDING:
            sentence = f"{feature.id} makes no embeddings: please call execute_prompt."
            raise WrongKind(sentence, field="feature", kind=settings.kind)
        model = await self._choice.one(request.model, feature, app)
        _check_lengths(request.input, model, await self._choice.context_tokens(model))
        parameters = dict(settings.parameters)
        for field_, name, value in (
            ("dimensions", "dimensions", request.dimensions),
            ("inputType", "input_type", request.input_type),
        ):
            if value is not None and parameters.setdefault(name, value) != value:
                raise InvalidArgument(f"{field_} is fixed by this feature.", field=field_)
        if settings.provider is not None:
            parameters["provider"] = settings.provider.upstream()
        user = await self._pseudonyms.user(uid) if settings.send_user else None
        return [
            EmbeddingsRequest(
                keys=self._keys.of(feature.id),
                model=model,
                inputs=inputs,
                form=request.encoding_format,
                parameters=parameters,
                app_name=app.app_name,
                referer=app.referer or self._default_referer,
                silence_s=settings.first_token_s,
                user=user,
            )
            for inputs in batches(request.input)
        ]


def _check_lengths(inputs: list[str], model: str, context_tokens: int | None) -> None:
    """Raises ContextTooLong for what can not fit, before anything is paid; OpenRouter counts."""
    for at, text in enumerate(inputs):
        if context_tokens and len(text) > context_tokens * limits.TOKEN_MAX_CHARS:
            sentence = f"input[{at}] is too long: {model} reads {context_tokens} tokens of a text."
            raise ContextTooLong(sentence, field=f"input[{at}]")


def _check_dimensions(making: EmbeddingRun, ask: EmbeddingsRequest) -> None:
    """A model of one length only leaves `dimensions` out in silence. Raises InvalidArgument."""
    made, wanted = dimensions_of(making.vectors[0]), ask.parameters.get("dimensions")
    if wanted in (None, made):
        return
    if making.feature.settings.unsupported == "refuse":
        sentence = f"{ask.model} does not take dimensions: its vectors have {made} numbers."
        raise InvalidArgument(sentence, field="dimensions")
    making.notices.append(left_out(ask.model, "dimensions"))


def batches(inputs: list[str]) -> Iterator[list[str]]:
    """The inputs in order, as many at a time as one request may hold; at least one."""
    batch: list[str] = []
    size = 0
    for text in inputs:
        full = len(batch) == limits.EMBED_BATCH_INPUTS
        if batch and (full or size + len(text) > limits.EMBED_BATCH_CHARS):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    yield batch


def _result(
    making: EmbeddingRun, entry: OpenEntry, failure: CallableError | None
) -> dict[str, Any]:
    """What the caller gets (docs/wire.md)."""
    cost = _cost(making, failure)
    known = [usage for usage in making.usages if usage is not None]
    if len(known) < len(making.asks) and len(making.tries.attempts) > len(known):
        asked = sum(len(text) for ask in making.asks[len(known) :] for text in ask.inputs)
        known.append(Usage(asked // CHARS_PER_TOKEN))  # what was sent is what we know
    usage = total(known)
    usage = Usage(usage.prompt_tokens, usage.completion_tokens, cost_nano_usd=cost)
    elapsed_s = asyncio.get_running_loop().time() - making.started
    result = {
        "generationId": entry.admission.id,
        "feature": making.feature.id,
        "revision": making.feature.revision,
        "model": making.model or making.asks[0].model,
        "provider": making.provider,
        "dimensions": dimensions_of(making.vectors[0]) if making.vectors else None,
        "embeddings": [
            {"index": index, "embedding": vector} for index, vector in enumerate(making.vectors)
        ],
        "usage": usage.to_wire(estimate_nano_usd=entry.admission.reserve_nano_usd),
        "timing": {"totalMs": round(elapsed_s * 1000)},
        "attempts": [
            {name: value for name, value in (("model", a.model), ("reason", a.reason)) if value}
            for a in making.tries.attempts
        ],
        "notices": making.notices or None,
    }
    return {name: value for name, value in result.items() if value is not None}


def _cost(making: EmbeddingRun, failure: CallableError | None) -> int | None:
    """In nano dollars; None where OpenRouter has been asked for more than it said the price of."""
    costs = [usage.cost_nano_usd if usage else None for usage in making.usages]
    unsaid = isinstance(failure, StreamCut | UpstreamTimeout | UpstreamMalformed)
    refused = isinstance(failure, UpstreamError) and not unsaid
    if failure is not None and not refused and len(making.tries.attempts) > len(costs):
        return None  # it may have been read, and charged, to its end
    return None if None in costs else sum(cost or 0 for cost in costs)


def _outcome(
    making: EmbeddingRun,
    entry: OpenEntry,
    status: Status,
    failure: CallableError | None,
    result: dict[str, Any],
) -> Outcome:
    """How the ledger's entry ends."""
    asked_again = failure is None and entry.admission.request.request_id is not None
    kept = _packed(result) if asked_again else None
    if kept is not None and len(encode(kept)) > limits.RESULT_MAX_BYTES:
        kept = None
    cost = _cost(making, failure)
    free = cost is None and not entry.admission.reserve_nano_usd
    return Outcome(
        status=status,
        model=result["model"],
        provider=result.get("provider"),
        error=failure.reason if failure else None,
        usage=result["usage"],
        cost_nano_usd=0 if free else cost,
        timing=result["timing"],
        attempts=attempt_records(making.tries),
        result=kept,
    )


def _packed(result: dict[str, Any]) -> dict[str, Any]:
    """As the ledger keeps it: numbers would be four times as large."""
    return _with_vectors(result, "base64")


def _unpacked(kept: dict[str, Any], request: CreateEmbeddings) -> dict[str, Any]:
    return _with_vectors(kept, request.encoding_format)


def _with_vectors(result: dict[str, Any], form: Form) -> dict[str, Any]:
    embeddings = result["embeddings"]
    made = [{**one, "embedding": convert_vector(one["embedding"], form)} for one in embeddings]
    return {**result, "embeddings": made}
