"""Vectors for texts, through one feature. Read `_embed` first, top to bottom.

    settings -> requests -> ledger.admit -> OpenRouter, one batch after another
        -> ledger.settle -> result

It ends as every generation does (`exits`). An incomplete set of vectors is useless, so a stopped
call gets none. A repeated request on the same instance waits for the first one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, cast

from ..callable import Call, CallableError, encode
from ..contract import CreateEmbeddings, EmbeddingsResult, Notice, Usage, parse
from ..delivery import StopSignals
from ..errors import (
    AlreadyRunning,
    ContextTooLong,
    InvalidArgument,
    RequestIdReused,
    Restarting,
    Stopped,
    UpstreamMalformed,
    WrongKind,
)
from ..features import (
    EMBEDDING,
    AppSettings,
    AppSettingsStore,
    Feature,
    FeatureStore,
    ModelChoice,
    unsupported_notice,
)
from ..keys import KeyPool
from ..ledger import (
    Admission,
    Admitted,
    AttemptRecord,
    FeatureUse,
    Ledger,
    OpenEntry,
    Outcome,
    RequestKey,
    Reserve,
    cost_of_all,
    generation_id,
)
from ..openrouter import (
    AttemptLog,
    Deadline,
    EmbeddingsRequest,
    Form,
    OpenRouter,
    Vector,
    convert_vector,
    dimensions_of,
)
from ..users import Caller, Pseudonyms
from . import estimate
from .active import Origin, origin_of
from .attempts import infos_of
from .exits import Ending, failed_outcome, settled, unforeseen
from .limits import GenerationLimits
from .prices import ModelPrice, Prices, records_of, tokens_of_all, usage_of
from .user_caps import UserCaps

_NUMBER_BYTES: Final[Mapping[Form, int]] = {"float": 20, "base64": 6}  # of a vector, as JSON


class ActiveEmbedding:
    """Embeddings in progress on this instance, where stops and repeated requests find them."""

    def __init__(self, payload: str, total_s: float) -> None:
        self.payload = payload
        self.deadline = Deadline(total_s)
        self.result: asyncio.Future[EmbeddingsResult] = asyncio.get_running_loop().create_future()
        self.waiting = 0

    def add(self, origin: Origin) -> None:
        """Add a caller who waits for the result. When the last one leaves, the work is stopped."""
        self.waiting += 1
        origin.listener.on_leave(self._leave)

    def stop(self) -> None:
        self.deadline.stop("stopped")

    def _leave(self) -> None:
        self.waiting -= 1
        if not self.waiting:
            self.stop()


@dataclass(slots=True)
class EmbeddingRun:
    """The vectors of one admitted request so far, and what they cost."""

    feature: Feature
    requests: Sequence[EmbeddingsRequest]
    prices: Prices
    entry: OpenEntry
    started_at: float
    attempts: AttemptLog = field(default_factory=AttemptLog)
    vectors: list[Vector] = field(default_factory=list)
    model: str | None = None
    provider: str | None = None
    notices: list[Notice] = field(default_factory=list)


class EmbeddingExecution:
    """The use case `create_embeddings`. One per instance."""

    def __init__(
        self,
        *,
        features: FeatureStore,
        app_settings: AppSettingsStore,
        keys: KeyPool,
        choice: ModelChoice,
        ledger: Ledger,
        stops: StopSignals,
        openrouter: OpenRouter,
        pseudonyms: Pseudonyms,
        user_caps: UserCaps,
        default_referer: str,
        limits: GenerationLimits,
    ) -> None:
        self._features = features
        self._app_settings = app_settings
        self._keys = keys
        self._choice = choice
        self._ledger = ledger
        self._stops = stops
        self._openrouter = openrouter
        self._pseudonyms = pseudonyms
        self._user_caps = user_caps
        self._default_referer = default_referer
        self._limits = limits
        self._active: dict[str, ActiveEmbedding] = {}
        self._goes_down = False

    async def create_embeddings(self, call: Call[Caller]) -> EmbeddingsResult:
        """Return the vectors, which a repeated request does not compute again.

        Raises:
            CallableError: See docs/reference/create_embeddings.md.
        """
        request = parse(CreateEmbeddings, call.data)
        result = await self.run(await self.origin_of(call), request)
        numbers = len(result["embeddings"]) * (result.get("dimensions") or 0)
        call.weigh(size_bytes=numbers * _NUMBER_BYTES[request.encoding_format])
        return result

    async def origin_of(self, call: Call[Caller]) -> Origin:
        """Return where a call comes from whose data were parsed."""
        return await origin_of(call, self._ledger.background)

    async def run(
        self, origin: Origin, request: CreateEmbeddings, override: Feature | None = None
    ) -> EmbeddingsResult:
        """Run a request that has been parsed, or wait for the same one if it is running.

        Args:
            origin: Where it comes from.
            request: What to run.
            override: The feature that answers in place of the stored one.

        Raises:
            CallableError: As `create_embeddings`.
        """
        id_ = generation_id(origin.uid, request.request_id)
        if (active := self._active.get(id_)) is not None:
            if active.payload != origin.payload:
                raise RequestIdReused
            if active.waiting >= self._limits.listeners_max:  # each gets all of the vectors
                raise AlreadyRunning(retry_after_seconds=2, generationId=id_)
            active.add(origin)
            result = await asyncio.shield(active.result)
            return _in_form(result, request.encoding_format)
        if self._goes_down:
            raise Restarting
        active = self._active[id_] = ActiveEmbedding(origin.payload, self._limits.total_s)
        active.add(origin)
        try:
            with self._stops.register(id_, origin.uid, active.stop):
                result = await self._embed(id_, origin, active, request, override)
        except BaseException as error:
            failure = error if isinstance(error, CallableError) else Restarting()
            active.result.set_exception(failure)
            active.result.exception()  # mark it as retrieved: there may be no other waiter
            raise
        else:
            active.result.set_result(result)
            return result
        finally:
            del self._active[id_]

    def interrupt(self) -> None:
        """End what is running, while there is time to settle it, and start nothing more."""
        self._goes_down = True
        for active in self._active.values():
            active.deadline.stop("interrupted")

    # -- from the request to the settled entry -----------------------------------------------------

    async def _embed(
        self,
        id_: str,
        origin: Origin,
        active: ActiveEmbedding,
        request: CreateEmbeddings,
        override: Feature | None,
    ) -> EmbeddingsResult:
        feature, app = await asyncio.gather(
            self._feature(request, origin.uid, override), self._app_settings.get()
        )
        active.deadline.cap_total(feature.settings.total_s)
        caps, payer = await self._user_caps.of(origin.caller, app, feature)
        if request.request_id is None:  # else it may have been answered before
            self._ledger.check(origin.uid, feature.id, caps)
        requests = await self._requests(request, feature, app, origin.uid)
        prices = await self._prices(requests[0].model, app)
        await requests[0].keys.get()  # so that a missing key fails before anything is counted
        admitted = await self._ledger.admit(
            Admission(
                id=id_,
                uid=origin.uid,
                request=RequestKey(payload=origin.payload, request_id=request.request_id),
                feature=FeatureUse(
                    id=feature.id,
                    revision=feature.saved_revision,
                    model=requests[0].model,
                    is_test=feature.test,
                ),
                reserve=await self._reserve(requests, feature, app),
                payer=payer,
                retention=app.retention,
            ),
            caps,
        )
        if not isinstance(admitted, Admitted):  # the same request was answered before
            stored = cast(EmbeddingsResult, admitted.result)
            return _in_form(stored, request.encoding_format)
        started_at = asyncio.get_running_loop().time()
        run = EmbeddingRun(feature, requests, prices, admitted.entry, started_at)
        return await settled(
            self._embed_batches(run, active.deadline),
            lambda ending: self._settle(run, ending, origin.trace_id),
            trace_id=origin.trace_id,
        )

    async def _embed_batches(self, run: EmbeddingRun, deadline: Deadline) -> None:
        def note() -> None:
            records = records_of(run.attempts.attempts, run.prices, ended=False)
            self._ledger.note(run.entry, records)

        for request in run.requests:
            try:
                made = await self._openrouter.embed(request, deadline, run.attempts, on_id=note)
            except ContextTooLong as error:
                longest = max(range(len(request.inputs)), key=lambda at: len(request.inputs[at]))
                error.details["field"] = f"input[{len(run.vectors) + longest}]"
                raise
            run.model, run.provider = made.model or request.model, made.provider
            run.vectors += made.vectors
            if dimensions_of(made.vectors[0]) != dimensions_of(run.vectors[0]):
                raise UpstreamMalformed  # vectors of different lengths cannot be compared
            if request is run.requests[0]:
                run.notices += _check_dimensions(run, request)

    async def _settle(
        self, run: EmbeddingRun, ending: Ending, trace_id: str
    ) -> EmbeddingsResult | CallableError:
        """Settle the ledger entry, and return what the caller gets."""
        if ending.status == "stopped":
            ending = Ending("stopped", Stopped())
        failure = ending.failure
        try:
            result = build_result(run)
            outcome = build_outcome(run, ending, result, self._limits)
        except Exception as error:  # the entry has to be settled nevertheless
            failure = unforeseen(error, trace_id)
            outcome = failed_outcome(run.entry, failure, lambda: _price(run), trace_id=trace_id)
        await self._ledger.settle(run.entry, outcome)
        if failure is None:
            return result
        failure.details["generationId"] = run.entry.admission.id
        if outcome.cost_nano_usd:
            failure.details["usage"] = outcome.usage
        return failure

    # -- the requests ------------------------------------------------------------------------------

    async def _feature(
        self, request: CreateEmbeddings, uid: str, override: Feature | None
    ) -> Feature:
        return override or (await self._features.get(request.feature)).for_user(uid)

    async def _requests(
        self, request: CreateEmbeddings, feature: Feature, app: AppSettings, uid: str
    ) -> list[EmbeddingsRequest]:
        """Return one request for each batch. Raises WrongKind, InvalidArgument, PaidModel, ..."""
        settings = feature.settings
        if settings.kind != EMBEDDING:
            sentence = f"The feature {feature.id} is not for embeddings. Call execute_prompt."
            raise WrongKind(sentence, field="feature", kind=settings.kind)
        model = await self._choice.single_model(request.model, feature, app)
        self._check_lengths(request.input, model, await self._choice.context_tokens(model))
        parameters: dict[str, object] = dict(settings.parameters)
        for field_, name, value in (
            ("dimensions", "dimensions", request.dimensions),
            ("inputType", "input_type", request.input_type),
        ):
            if value is not None and parameters.setdefault(name, value) != value:
                sentence = f"{field_} is set by this feature and cannot be changed."
                raise InvalidArgument(sentence, field=field_)
        if settings.provider is not None:
            parameters["provider"] = settings.provider.upstream()
        user = await self._pseudonyms.user(uid) if settings.send_user else None
        return [
            EmbeddingsRequest(
                keys=self._keys.slot(feature.id),
                model=model,
                inputs=inputs,
                form=request.encoding_format,
                parameters=parameters,
                app_name=app.app_name,
                referer=app.referer or self._default_referer,
                silence_s=settings.first_token_s,
                user=user,
            )
            for inputs in batches(request.input, self._limits)
        ]

    async def _reserve(
        self, requests: Sequence[EmbeddingsRequest], feature: Feature, app: AppSettings
    ) -> Reserve:
        """Return what all vectors may cost."""
        model = requests[0].model
        sizes = [len(text.encode("utf-8", "replace")) for one in requests for text in one.inputs]
        tokens = sum(size // self._limits.prompts.bytes_per_token_min + 1 for size in sizes)
        free = bool(await self._choice.filter_free([model]))
        known = None if free else await self._choice.find_model(model)
        usd = Decimal(str(app.limits.reserve_usd))
        return estimate.embeddings_reserve(known, tokens, usd, free=free)

    async def _prices(self, model: str, app: AppSettings) -> Prices:
        """Return what the model charges now."""
        (resolved,) = await self._choice.resolve([model])
        usd = Decimal(str(app.limits.reserve_usd))
        return Prices(usd, {model: ModelPrice.of(resolved)})

    def _check_lengths(self, inputs: Sequence[str], model: str, context_tokens: int | None) -> None:
        """Raise ContextTooLong for a text that can't possibly fit, before anything is billed.

        OpenRouter counts the tokens exactly.
        """
        for at, text in enumerate(inputs):
            if context_tokens and len(text) > context_tokens * self._limits.token_max_chars:
                sentence = (
                    f"input[{at}] is too long: {model} accepts at most {context_tokens} tokens "
                    "per text."
                )
                raise ContextTooLong(sentence, field=f"input[{at}]")


def _check_dimensions(run: EmbeddingRun, request: EmbeddingsRequest) -> list[Notice]:
    """Return a notice if the model ignored `dimensions`, as models with a fixed length do.

    Raises:
        InvalidArgument: It did, and the feature refuses unsupported parameters.
    """
    made, wanted = dimensions_of(run.vectors[0]), request.parameters.get("dimensions")
    if wanted in (None, made):
        return []
    if run.feature.settings.unsupported == "refuse":
        sentence = (
            f"{request.model} does not support dimensions: its vectors always have {made} numbers."
        )
        raise InvalidArgument(sentence, field="dimensions")
    return [unsupported_notice(request.model, "dimensions")]


def batches(inputs: Sequence[str], limits: GenerationLimits) -> Iterator[list[str]]:
    """Yield the inputs in order, as many at a time as fit into one request, but at least one."""
    batch: list[str] = []
    size = 0
    for text in inputs:
        full = len(batch) == limits.batch_inputs
        if batch and (full or size + len(text) > limits.batch_chars):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    yield batch


# -- what the caller and the ledger get ------------------------------------------------------------


def build_result(run: EmbeddingRun) -> EmbeddingsResult:
    """Return what the caller gets unless there is a failure, including the usage and cost."""
    elapsed_s = asyncio.get_running_loop().time() - run.started_at
    usage, _ = _price(run)
    result = {
        "generationId": run.entry.admission.id,
        "feature": run.feature.id,
        "revision": run.feature.saved_revision,
        "model": run.model or run.requests[0].model,
        "provider": run.provider,
        "dimensions": dimensions_of(run.vectors[0]) if run.vectors else None,
        "embeddings": [
            {"index": index, "embedding": vector} for index, vector in enumerate(run.vectors)
        ],
        "usage": usage,
        "timing": {"totalMs": round(elapsed_s * 1000)},
        "attempts": infos_of(run.attempts.attempts),
        "notices": run.notices or None,
    }
    return cast(
        EmbeddingsResult, {name: value for name, value in result.items() if value is not None}
    )


def _price(run: EmbeddingRun) -> tuple[Usage, list[AttemptRecord]]:
    """Return what all vectors cost together, and the attempts with their costs."""
    records = records_of(run.attempts.attempts, run.prices)
    return usage_of(tokens_of_all(run.attempts.attempts).to_wire(), records), records


def build_outcome(
    run: EmbeddingRun, ending: Ending, result: EmbeddingsResult, limits: GenerationLimits
) -> Outcome:
    """Return how the ledger entry ends."""
    admission = run.entry.admission
    stored = None
    keeps = admission.retention.store_texts and admission.request.request_id is not None
    if ending.failure is None and keeps:
        packed = _in_form(result, "base64")  # a quarter of the size of numbers
        stored = packed if len(encode(packed)) <= limits.result_max_bytes else None
    records = records_of(run.attempts.attempts, run.prices)
    cost = cost_of_all(records)
    return Outcome(
        status=ending.status,
        model=result["model"],
        provider=result.get("provider"),
        error=ending.failure.reason if ending.failure else None,
        usage=result["usage"],
        cost_nano_usd=cost.nano_usd,
        cost_is_estimate=cost.is_estimate,
        timing=result["timing"],
        attempts=tuple(records),
        result=stored,
        retention=admission.retention,
    )


def _in_form(result: EmbeddingsResult, form: Form) -> EmbeddingsResult:
    """Return the result with its vectors in this form."""
    vectors = [
        {**one, "embedding": convert_vector(one["embedding"], form)} for one in result["embeddings"]
    ]
    return cast(EmbeddingsResult, {**result, "embeddings": vectors})
