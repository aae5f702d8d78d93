"""One prompt through several models side by side, each a generation of its own.

    the feature, each model allowed? -> what it may cost -> all at once, each failing alone
        -> a judge reads the answers, where one is asked for -> result

Each is an `execute_prompt` of one model without fallbacks: its own deadlines, entry, counters,
usage and cost. Their requests' ids follow from the comparison's, so that the same request again
asks nobody twice, and a stop of the comparison finds them all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from .. import limits, log
from ..callable import Call, CallableError
from ..contract import CompareModels, ExecutePrompt, Judge, parse
from ..delivery import StopSignals
from ..errors import CostTooHigh, InvalidArgument, QuotaExceeded
from ..features import IMAGE, AppSettings, AppSettingsStore, Feature, ModelChoice
from ..files import Attachments
from ..ledger import comparison_ids, comparison_request, generation_id
from ..users import Caller
from . import estimate as estimates
from . import judge as judging
from .execution import PromptExecution
from .preparation import RequestBuilder


class ComparisonCall(Call[Caller]):
    """One model's part of a comparison: its messages go to the client with its index."""

    def __init__(self, whole: Call[Caller], index: int, data: dict[str, Any]) -> None:
        super().__init__(
            data, whole.headers, whole.caller, streaming=whole.streaming, trace_id=whole.trace_id
        )
        self.index = index
        self._whole = whole
        whole.on_leave(self.leave)

    async def send(self, message: Mapping[str, Any]) -> None:
        await self._whole.send(self._tagged(message))

    def put(self, message: Mapping[str, Any]) -> None:
        self._whole.put(self._tagged(message))

    def _tagged(self, message: Mapping[str, Any]) -> dict[str, Any]:
        return {"index": self.index, "model": self.data["model"], **message}


class ActiveComparison:
    """A comparison, as a stop finds it: with all of its generations that run on this instance."""

    def __init__(self, id_: str, uid: str, stops: StopSignals) -> None:
        self.id = id_
        self.stopped = False
        self._uid = uid
        self._stops = stops

    def stop(self) -> None:
        self.stopped = True
        for one in comparison_ids(self.id, self._uid):
            self._stops.stop_here(one, self._uid)

    async def stop_requested(self) -> bool:
        """Whether it was stopped, even if its answers had ended before they heard of it."""
        return self.stopped or await self._stops.comparison_was_stopped(
            comparison_ids(self.id, self._uid)
        )


class ModelComparison:
    """The use case `execute_multi_model_prompt`."""

    def __init__(
        self,
        *,
        asking: RequestBuilder,
        attaching: Attachments,
        app_settings: AppSettingsStore,
        choice: ModelChoice,
        generate: PromptExecution,
        stops: StopSignals,
    ) -> None:
        self._asking = asking
        self._attaching = attaching
        self._app_settings = app_settings
        self._choice = choice
        self._generate = generate
        self._stops = stops

    async def execute_multi_model_prompt(self, call: Call[Caller]) -> dict[str, Any]:
        """`{comparisonId, results: [a result, or {model, error}], totalCost, ...}` (docs/wire.md).

        Raises what concerns all of it: an argument, a model that is not allowed, a cost over
        maxCost, a quota that leaves room for none.
        """
        request = parse(CompareModels, call.data)
        uid = call.caller.uid
        id_ = generation_id(uid, request.request_id)
        asked = _requests(request, id_)
        feature, app = await asyncio.gather(
            self._asking.feature(asked[0][1], uid, None), self._app_settings.get()
        )
        feature = _without_fallbacks(feature)
        await self._check(asked, request.judge, feature, app, uid)
        estimate = await self._estimate(request, asked[0][1], feature, app, call)
        start = {"comparisonId": id_, "models": request.models, "estimate": estimate}
        await call.send({"type": "start", **start})
        whole = ActiveComparison(id_, uid, self._stops)
        branches = [ComparisonCall(call, at, data) for at, (data, _) in enumerate(asked)]
        with self._stops.register(id_, uid, whole.stop):
            results = await asyncio.gather(
                *(
                    self._one(whole, branch, prompt, feature)
                    for branch, (_, prompt) in zip(branches, asked, strict=True)
                )
            )
            if isinstance(results[0], QuotaExceeded) and all(
                isinstance(result, QuotaExceeded) for result in results
            ):
                raise results[0]
            shown = [_shown(result, at) for result, at in zip(results, branches, strict=True)]
            judgement = None
            if request.judge is not None:
                judgement = await self._judge(
                    call, request.judge, feature, (asked[0][1], whole), shown
                )
        return _summed(id_, estimate, shown, judgement)

    async def _check(
        self,
        asked: list[tuple[dict[str, Any], ExecutePrompt]],
        judge: Judge | None,
        feature: Feature,
        app: AppSettings,
        uid: str,
    ) -> None:
        """Whether each model may be asked: one that may not is no failure of its own, but a
        mistake in the request. Raises InvalidArgument, ModelNotAllowed, PaidModel."""
        if judge is not None and feature.settings.kind == IMAGE:
            raise InvalidArgument("This feature draws, and a judge reads texts.", field="judge")
        named = [(f"models[{at}]", prompt) for at, (_, prompt) in enumerate(asked)]
        if judge is not None:
            named.append(("judge.model", asked[0][1].model_copy(update={"model": judge.model})))
        for field, prompt in named:
            try:
                await self._choice.models(prompt, feature, app, uid)
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
        call: Call[Caller],
    ) -> float:
        """US dollars that all of it may cost. Raises what is wrong with the prompt or its files,
        CostTooHigh."""
        settings, reserve = feature.settings, Decimal(str(app.limits.reserve_usd))
        looked_at = await self._attaching.look(prompt, call.caller.uid, prompt.request_id or "")
        told = estimates.prompt_tokens(settings, prompt, [placed.file for placed in looked_at])
        ids = [*request.models, *([request.judge.model] if request.judge else [])]
        free = await self._choice.free(ids)
        models = {id_: await self._choice.model(id_) for id_ in ids if id_ not in free}
        costs = [
            estimates.cost(models[id_], settings, told, reserve, estimates.made(settings, prompt))
            if id_ in models
            else estimates.extras(settings, reserve)
            for id_ in request.models
        ]
        if request.judge is not None and (judge := request.judge.model) in models:
            written = (
                estimates.max_completion_tokens(models.get(m), settings) for m in request.models
            )
            read = min(told + sum(written), limits.JUDGE_READS_MAX_CHARS)
            plain = judging.judge_feature(feature).settings
            costs.append(estimates.cost(models[judge], plain, read, reserve))
        estimate, most = float(sum(costs)), request.max_cost
        if most is not None and estimate > most:
            sentence = (
                f"These answers may cost up to ${estimate:.4f}, more than the ${most:g} "
                "that maxCost allows. Choose cheaper models, fewer, or a higher limit."
            )
            raise CostTooHigh(sentence, field="maxCost", estimate=estimate, max=most)
        return estimate

    async def _one(
        self,
        whole: ActiveComparison,
        branch: ComparisonCall,
        prompt: ExecutePrompt,
        feature: Feature,
    ) -> dict[str, Any] | CallableError:
        """What came of one model, told to the client as soon as it is known."""
        if whole.stopped:
            branch.leave()  # before it could be reached: nobody waits for what it would write
        try:
            result = await self._generate.run(branch, prompt, feature)
        except CallableError as error:
            await branch.send({"type": "error", "error": error.to_wire(branch.trace_id)})
            return error
        except Exception as error:
            log.unexpected(error, branch.trace_id)
            failure = CallableError()
            await branch.send({"type": "error", "error": failure.to_wire(branch.trace_id)})
            return failure
        await branch.send({"type": "result", "result": result})
        return result

    async def _judge(
        self,
        call: Call[Caller],
        judge: Judge,
        feature: Feature,
        asked: tuple[ExecutePrompt, ActiveComparison],
        shown: list[dict[str, Any]],
    ) -> dict[str, Any] | None:
        """What another model makes of the answers; None where there are none to compare."""
        first, whole = asked
        answers = judging.readable(shown)
        if not answers or call.left or await whole.stop_requested():
            return None
        data = {
            "feature": first.feature,
            "prompt": judging.judge_prompt(judge, first.question, answers),
            "model": judge.model,
            "temporary": first.temporary,
            "requestId": comparison_request(whole.id, len(shown)),
        }
        branch = ComparisonCall(call, len(shown), data)
        plain = judging.judge_feature(feature)
        judged = _shown(await self._one(whole, branch, parse(ExecutePrompt, data), plain), branch)
        ranks = judge.mode == "rank" and "error" not in judged
        ranking = judging.parse_ranking(judged["text"], answers) if ranks else None
        return {"mode": judge.mode, **judged, **({"ranking": ranking} if ranking else {})}


def _requests(request: CompareModels, id_: str) -> list[tuple[dict[str, Any], ExecutePrompt]]:
    """One `execute_prompt` for each model: its data and what that says. Raises InvalidArgument."""
    asked = []
    for at, model in enumerate(request.models):
        own = {"model": model, "requestId": comparison_request(id_, at)}
        data = {**request.shared(), **own}
        asked.append((data, parse(ExecutePrompt, data)))
    return asked


def _without_fallbacks(feature: Feature) -> Feature:
    """Another model's answer would be taken for that of the one that was asked."""
    return replace(feature, settings=feature.settings.model_copy(update={"fallback_models": []}))


def _shown(result: dict[str, Any] | CallableError, branch: ComparisonCall) -> dict[str, Any]:
    if isinstance(result, CallableError):
        return {"model": branch.data["model"], "error": result.to_wire(branch.trace_id)}
    return result


def _summed(
    id_: str, estimate: float, shown: list[dict[str, Any]], judgement: dict[str, Any] | None
) -> dict[str, Any]:
    parts = [*shown, *([judgement] if judgement else [])]
    # what failed may have cost something as well, of which its error tells
    told = [one["error"].get("details", {}) if "error" in one else one for one in parts]
    usages = [one.get("usage", {}) for one in told]
    estimated = any(usage.get("costIsEstimate") for usage in usages)
    return {
        "comparisonId": id_,
        "results": shown,
        "estimate": estimate,
        "totalCost": sum(usage.get("cost", 0) for usage in usages),
        **({"totalCostIsEstimate": True} if estimated else {}),
        **({"judgement": judgement} if judgement else {}),
    }
