"""One prompt through several models side by side, each a generation of its own.

    feature -> is each model allowed? -> cost estimate -> all at once, each failing independently
        -> a judge reads the answers, if the request names one -> result

Each is an `execute_prompt` of one model without fallbacks, with its own deadlines, entry, usage and
cost. All of them are admitted together, or none is. Their request ids are derived from the
comparison's, so that a repeated comparison calls no model twice, and stopping the comparison finds
them all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import cast

from ..callable import Call, CallableError, Frame
from ..contract import (
    NANO_PER_USD,
    CompareModels,
    ComparisonResult,
    ErrorBody,
    ExecutePrompt,
    FailedAnswer,
    FailedJudgement,
    Judge,
    Judgement,
    PromptResult,
    Usage,
    parse,
)
from ..delivery import StopSignals
from ..errors import CostTooHigh, InvalidArgument, QuotaExceeded
from ..features import IMAGE, AppSettings, AppSettingsStore, Feature, ModelChoice
from ..files import Attachments
from ..ledger import (
    Admission,
    Ledger,
    RequestKey,
    Reserve,
    comparison_ids,
    comparison_request,
    generation_id,
    payload_hash,
)
from ..users import Caller
from . import estimate, judge
from .active import Origin
from .execution import PromptExecution
from .exits import unforeseen
from .joint_admission import FollowingPart, JointAdmission, JointPart
from .limits import GenerationLimits
from .preparation import RequestBuilder


class ModelListener:
    """Sends the frames of one model's answer to the comparison's call, tagged with the model."""

    def __init__(self, call: Call[Caller], index: int, model: str) -> None:
        self.index = index
        self.model = model
        self.left = False
        self._call = call
        self._on_leave: list[Callable[[], None]] = []
        call.on_leave(self.leave)

    async def send(self, message: Mapping[str, object]) -> None:
        await self._call.send(self._placed(message))

    def put(self, message: Mapping[str, object]) -> None:
        self._call.put(self._placed(message))

    def offer(self, frame: Frame) -> bool:
        return self._call.offer(Frame(self._placed(frame.message)))

    def on_leave(self, callback: Callable[[], None]) -> None:
        """Call back once when the client leaves, or immediately if it has left."""
        if self.left:
            callback()
        else:
            self._on_leave.append(callback)

    def leave(self) -> None:
        """Stop listening."""
        if self.left:
            return
        self.left = True
        for callback in self._on_leave:
            callback()

    def _placed(self, message: Mapping[str, object]) -> dict[str, object]:
        return {"index": self.index, "model": self.model, **message}


@dataclass(frozen=True, slots=True)
class ComparisonPart:
    """What one model of a comparison is asked.

    Attributes:
        payload: Tells the same request from another one.
        admission: Its part of the joint admission.
    """

    model: str
    payload: str
    request: ExecutePrompt
    admission: JointPart | FollowingPart | None = None


class ActiveComparison:
    """A comparison where a stop finds it, with all of its generations on this instance."""

    def __init__(self, id_: str, uid: str, stops: StopSignals) -> None:
        self.id = id_
        self.stopped = False
        self._uid = uid
        self._stops = stops

    def stop(self) -> None:
        self.stopped = True
        for generation in comparison_ids(self.id, self._uid):
            self._stops.stop_here(generation, self._uid)

    async def was_stopped(self) -> bool:
        """Return whether it was stopped, even if its answers ended before the stop arrived."""
        if self.stopped:
            return True
        return await self._stops.comparison_was_stopped(comparison_ids(self.id, self._uid))


class ModelComparison:
    """The use case `execute_multi_model_prompt`. One per instance."""

    def __init__(
        self,
        *,
        builder: RequestBuilder,
        attachments: Attachments,
        app_settings: AppSettingsStore,
        choice: ModelChoice,
        execution: PromptExecution,
        ledger: Ledger,
        stops: StopSignals,
        limits: GenerationLimits,
    ) -> None:
        self._builder = builder
        self._attachments = attachments
        self._app_settings = app_settings
        self._choice = choice
        self._execution = execution
        self._ledger = ledger
        self._stops = stops
        self._limits = limits
        self._judges: dict[str, FollowingPart] = {}  # by comparison

    async def execute_multi_model_prompt(self, call: Call[Caller]) -> ComparisonResult:
        """Return an answer or an error for each model, in the order of the request.

        Raises:
            CallableError: The comparison as a whole fails: an argument is invalid, a model is not
                allowed, the cost may exceed `maxCost`, or the models do not fit into the quota.
        """
        request = parse(CompareModels, call.data)
        uid = call.caller.uid
        id_ = generation_id(uid, request.request_id)
        shared = await self._ledger.background.compute(payload_hash, request.shared())
        parts = _parts(request, id_, shared)
        first = parts[0].request
        feature, app = await asyncio.gather(
            self._builder.feature(first, uid, None), self._app_settings.get()
        )
        feature = _without_fallbacks(feature)
        await self._check_models(parts, request.judge, feature, app, uid)
        cost, judge_reserve = await self._estimate(request, first, feature, app, uid)
        judge_payload = _judge_payload(request, shared)
        call.release_data()
        start = {"comparisonId": id_, "models": request.models, "estimate": cost}
        await call.send({"type": "start", **start})
        comparison = ActiveComparison(id_, uid, self._stops)
        with (
            self._stops.register(id_, uid, comparison.stop),
            self._following(request, id_, uid, judge_reserve, judge_payload) as (following, is_new),
        ):
            joint = JointAdmission(self._ledger, len(parts), following if is_new else None)
            outcomes = await asyncio.gather(
                *(
                    self._answer(
                        call, comparison, index, replace(part, admission=joint.part()), feature
                    )
                    for index, part in enumerate(parts)
                )
            )
            refused = [outcome for outcome in outcomes if isinstance(outcome, QuotaExceeded)]
            if len(refused) == len(outcomes):
                raise refused[0]
            answers = [
                _error_or_result(outcome, part.model, call.trace_id)
                for outcome, part in zip(outcomes, parts, strict=True)
            ]
            judgement = None
            if request.judge is not None:
                asked = ComparisonPart(request.judge.model, judge_payload, first, following)
                judgement = await self._judge(
                    call, comparison, request, asked, feature, answers=answers
                )
        return build_result(id_, cost, answers, judgement)

    @contextmanager
    def _following(
        self, request: CompareModels, id_: str, uid: str, reserve: Reserve | None, payload: str
    ) -> Iterator[tuple[FollowingPart | None, bool]]:
        """While entered, the judge can be admitted with the answers.

        On exit, its admission is undone if its request was not sent.

        Yields:
            The judge's part of the admission, if there is a judge, and whether it is new: if the
            same comparison is running already, its part is shared.
        """
        if request.judge is None or reserve is None:
            yield None, False
            return
        if id_ in self._judges:
            yield self._judges[id_], False
            return
        judge_request = comparison_request(id_, len(request.models))
        key = RequestKey(payload=payload, request_id=judge_request)
        model = request.judge.model

        def build(part: Admission) -> Admission:
            return replace(
                part,
                id=generation_id(uid, judge_request),
                request=key,
                feature=replace(part.feature, model=model),
                reserve=reserve,
                saved_nano_usd=None,
                conversation=None,
                continues=False,
                follows=True,
            )

        following = self._judges[id_] = FollowingPart(self._ledger, build)
        try:
            yield following, True
        finally:
            del self._judges[id_]
            following.release()

    async def _check_models(
        self,
        parts: Sequence[ComparisonPart],
        judge_: Judge | None,
        feature: Feature,
        app: AppSettings,
        uid: str,
    ) -> None:
        """Check that all models are allowed; otherwise the whole request is invalid.

        Raises:
            InvalidArgument, ModelNotAllowed, PaidModel: They name the model's field.
        """
        if judge_ is not None and feature.settings.kind == IMAGE:
            sentence = "This feature generates images, but a judge can only compare text."
            raise InvalidArgument(sentence, field="judge")
        named = [(f"models[{index}]", part.request) for index, part in enumerate(parts)]
        if judge_ is not None:
            named.append(("judge.model", named[0][1].model_copy(update={"model": judge_.model})))
        for field, request in named:
            try:
                await self._choice.choose(request, feature, app, uid)
            except CallableError as error:
                if error.details.get("field") == "model":
                    error.details["field"] = field
                raise

    async def _estimate(
        self,
        request: CompareModels,
        prompt: ExecutePrompt,
        feature: Feature,
        app: AppSettings,
        uid: str,
    ) -> tuple[float, Reserve | None]:
        """Return what the comparison may cost in total, in US dollars, and its judge's worst case.

        Raises:
            CallableError: The prompt or one of its files is invalid.
            CostTooHigh: It may cost more than `maxCost`.
        """
        settings, reserve = feature.settings, Decimal(str(app.limits.reserve_usd))
        files = await self._attachments.find(prompt, uid, prompt.request_id or "")
        tokens = estimate.prompt_tokens(
            settings, prompt, [reference.file for reference in files], self._limits.prompts
        )
        judge_ = request.judge.model if request.judge else None
        ids = [*request.models, *([judge_] if judge_ else [])]
        free = await self._choice.filter_free(ids)
        models = {id_: await self._choice.find_model(id_) for id_ in ids if id_ not in free}
        plan = estimate.output_plan(settings, prompt)
        costs = [
            estimate.cost(models[id_], settings, tokens, reserve, plan)
            if id_ in models
            else estimate.tool_surcharge(settings, reserve)
            for id_ in request.models
        ]
        judge_reserve = None
        if request.judge is not None and judge_ is not None:
            written = [
                estimate.max_completion_tokens(models.get(model), settings)
                for model in request.models
            ]
            # a token has at least one character
            read = min(tokens + sum(written), self._limits.judge_reads_max_chars)
            read += len(
                judge.judge_prompt(request.judge, "", dict.fromkeys(range(len(written)), ""), 0)
            )
            plain = judge.judge_feature(feature).settings
            judge_reserve = estimate.worst_case(
                models.get(judge_), plain, read, reserve, free=judge_ in free
            )
            costs.append(Decimal(judge_reserve.nano_usd) / NANO_PER_USD)
        total, most = float(sum(costs)), request.max_cost
        if most is not None and total > most:
            sentence = (
                f"These answers may cost up to ${total:.4f}, more than the ${most:g} "
                "that maxCost allows. Choose fewer or cheaper models, or raise maxCost."
            )
            raise CostTooHigh(sentence, field="maxCost", estimate=total, max=most)
        return total, judge_reserve

    async def _answer(
        self,
        call: Call[Caller],
        comparison: ActiveComparison,
        index: int,
        part: ComparisonPart,
        feature: Feature,
    ) -> PromptResult | CallableError:
        """Return one model's result or failure, after sending it to the client."""
        listener = ModelListener(call, index, part.model)
        if comparison.stopped:
            listener.leave()  # stopped before this generation existed
        origin = Origin(call.caller, part.payload, call.trace_id, listener)
        try:
            with part.admission or nullcontext():
                result = await self._execution.run(
                    origin, part.request, feature, admission=part.admission
                )
        except Exception as error:
            failure = error if isinstance(error, CallableError) else None
            failure = failure or unforeseen(error, call.trace_id)
            await listener.send({"type": "error", "error": failure.to_wire(call.trace_id)})
            return failure
        await listener.send({"type": "result", "result": result})
        return result

    async def _judge(
        self,
        call: Call[Caller],
        comparison: ActiveComparison,
        compared: CompareModels,
        part: ComparisonPart,
        feature: Feature,
        *,
        answers: Sequence[PromptResult | FailedAnswer],
    ) -> Judgement | FailedJudgement | None:
        """Return the judge's verdict on the answers; None if there are no answers to judge.

        `part` is the judge's, with the request that the answers are to.
        """
        judge_, texts = compared.judge, judge.judgeable_answers(answers)
        first = part.request
        if judge_ is None or not texts or call.left or await comparison.was_stopped():
            return None
        prompt = judge.judge_prompt(
            judge_, first.question, texts, self._limits.judge_reads_max_chars
        )
        data = {
            "feature": first.feature,
            "prompt": prompt,
            "model": judge_.model,
            "temporary": first.temporary,
            "requestId": comparison_request(comparison.id, len(answers)),
        }
        part = replace(part, request=parse(ExecutePrompt, data))
        outcome = await self._answer(
            call, comparison, len(answers), part, judge.judge_feature(feature)
        )
        judged = _error_or_result(outcome, judge_.model, call.trace_id)
        ranking = None
        if judge_.mode == "rank" and not isinstance(outcome, CallableError):
            ranking = judge.parse_ranking(outcome["text"], texts)
        judgement = {"mode": judge_.mode, **judged, **({"ranking": ranking} if ranking else {})}
        return cast(Judgement | FailedJudgement, judgement)


def _parts(request: CompareModels, id_: str, shared: str) -> list[ComparisonPart]:
    """Return one `execute_prompt` for each model; their files are the same values.

    `shared` is the hash of what they have in common. Raises InvalidArgument.
    """
    first = parse(ExecutePrompt, {**request.shared(), "model": request.models[0]})
    parts = []
    for index, model in enumerate(request.models):
        own = {"model": model, "request_id": comparison_request(id_, index)}
        payload = payload_hash({"shared": shared, "model": model})
        parts.append(ComparisonPart(model, payload, first.model_copy(update=own)))
    return parts


def _judge_payload(request: CompareModels, shared: str) -> str:
    """Return what identifies a judge's request before there are answers to judge."""
    asked = request.judge.model_dump(mode="json") if request.judge else None
    return payload_hash({"shared": shared, "models": list(request.models), "judge": asked})


def _without_fallbacks(feature: Feature) -> Feature:
    """Remove the fallbacks: their answers would pass for those of the chosen models."""
    return replace(feature, settings=feature.settings.model_copy(update={"fallback_models": []}))


def _error_or_result(
    outcome: PromptResult | CallableError, model: str, trace_id: str
) -> PromptResult | FailedAnswer:
    if isinstance(outcome, CallableError):
        return {"model": model, "error": cast(ErrorBody, outcome.to_wire(trace_id))}
    return outcome


def build_result(
    id_: str,
    cost: float,
    answers: list[PromptResult | FailedAnswer],
    judgement: Judgement | FailedJudgement | None,
) -> ComparisonResult:
    """Return what the caller gets. An answer without a known cost adds nothing to the total."""
    usages = [_usage(answer) for answer in (*answers, *([judgement] if judgement else []))]
    result: ComparisonResult = {
        "comparisonId": id_,
        "results": answers,
        "estimate": cost,
        "totalCost": sum(usage.get("cost") or 0 for usage in usages if usage),
    }
    if any(usage.get("costIsEstimate") for usage in usages if usage):
        result["totalCostIsEstimate"] = True
    if judgement is not None:
        result["judgement"] = judgement
    return result


def _usage(answer: PromptResult | FailedAnswer | Judgement | FailedJudgement) -> Usage | None:
    """Return an answer's usage. If the answer failed, its error may have one."""
    match answer:
        case {"error": {"details": {"usage": dict() as usage}}} | {"usage": dict() as usage}:
            return cast(Usage, usage)
    return None
