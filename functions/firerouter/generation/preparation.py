"""Turns a request into what OpenRouter is sent: models, history, files, parameters.

`prepare` returns one frozen value and changes nothing: what becomes of it is up to its caller.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from ..contract import NANO_PER_USD, PDF, ExecutePrompt, ImageOptions, Notice
from ..conversations import ConversationStore, Thread
from ..errors import InvalidArgument, WrongKind
from ..features import (
    EMBEDDING,
    IMAGE,
    AppSettings,
    Feature,
    FeatureSettings,
    FeatureStore,
    ModelChoice,
    paid_extras,
)
from ..files import Attachments, FilePlan
from ..keys import KeyPool
from ..ledger import LaterRequests, Reserve
from ..models import Model, Resolved
from ..openrouter import ChatRequest, ImagesRequest
from ..users import Pseudonyms
from . import estimate, image_parameters, prompts
from .cache import response_id
from .helper_plan import HelperPlan, helper_plan
from .limits import GenerationLimits
from .prices import ModelPrice, Prices
from .tool_turns import check_results


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """Everything that is known about a generation before it is admitted.

    Attributes:
        request: What the caller sent, without the options that the model does not support.
        feature: The feature that answers, as this user gets it.
        app: The settings of the app.
        upstream: The request to OpenRouter.
        thread: The place in a conversation where question and answer belong, if any.
        files: The files that go with it.
        notices: What the caller is told of it.
        reserve: What the answer may cost at most, with all that goes beside it.
        prices: What each model charges, as the catalog had it then.
        cache_id: The id under which the answer to the same request is cached, if it is.
    """

    request: ExecutePrompt
    feature: Feature
    app: AppSettings
    upstream: ChatRequest
    thread: Thread | None
    files: FilePlan
    notices: tuple[Notice, ...]
    reserve: Reserve
    prices: Prices
    cache_id: str | None

    @property
    def may_continue(self) -> bool:
        """Whether the answer may continue without a listener, for which its text is stored."""
        if self.request.temporary or self.feature.test or not self.app.retention.store_texts:
            return False
        return self.feature.settings.on_disconnect == "continue"

    @property
    def stores_images(self) -> bool:
        """Whether images of the answer may be stored in Cloud Storage."""
        return not (self.request.temporary or self.feature.test)

    def shortened(self, max_tokens: int) -> PreparedRequest:
        """Return the same for an answer of at most so many tokens: a budget leaves no more."""
        message = f"Your remaining budget pays for {max_tokens:,} tokens: the answer may end early."
        notice: Notice = {
            "reason": "max_tokens_lowered",
            "field": "maxTokens",
            "message": message,
        }
        parameters = {**self.upstream.parameters, "max_tokens": max_tokens}
        return replace(
            self,
            upstream=replace(self.upstream, parameters=parameters),
            notices=(*self.notices, notice),
            cache_id=None,  # under this id, others would get a shorter answer than they pay for
        )


class RequestBuilder:
    """Prepares requests. One per instance."""

    def __init__(
        self,
        *,
        features: FeatureStore,
        choice: ModelChoice,
        attachments: Attachments,
        conversations: ConversationStore,
        keys: KeyPool,
        pseudonyms: Pseudonyms,
        default_referer: str,
        limits: GenerationLimits,
    ) -> None:
        self._features = features
        self._choice = choice
        self._attachments = attachments
        self._conversations = conversations
        self._keys = keys
        self._pseudonyms = pseudonyms
        self._default_referer = default_referer
        self._limits = limits

    async def feature(self, request: ExecutePrompt, uid: str, override: Feature | None) -> Feature:
        """Return the feature that answers: `override`, or the stored one as this user gets it.

        Raises:
            FeatureUnknown, FeatureDisabled, SettingsUnavailable: See `FeatureStore.get`.
            WrongKind: The feature creates embeddings.
        """
        feature = override or (await self._features.get(request.feature)).for_user(uid)
        if feature.settings.kind == EMBEDDING:
            sentence = f"The feature {feature.id} is for embeddings. Call create_embeddings."
            raise WrongKind(sentence, field="feature", kind=EMBEDDING)
        return feature

    async def prepare(
        self, request: ExecutePrompt, feature: Feature, app: AppSettings, uid: str, generation: str
    ) -> PreparedRequest:
        """Return the request to OpenRouter, with everything that is known about it.

        Raises:
            CallableError: The request is invalid for this feature and its model, or a store that
                it needs is unavailable.
        """
        settings = feature.settings
        selection = await self._choice.choose(request, feature, app, uid)
        supported = await self._choice.drop_unsupported(request, feature, selection.models)
        request, models = supported.request, supported.models
        question_files = await self._attachments.find(request, uid, generation)
        self._attachments.hold_inline(generation, question_files)
        thread = None
        if request.conversation_id is not None:
            room = prompts.history_max_bytes(
                settings,
                request,
                await self._choice.context_tokens(models[0]),
                sum(reference.file.prompt_bytes for reference in question_files),
                limits=self._limits.prompts,
            )
            thread = await self._conversations.open(
                request,
                uid,
                generation,
                history_max_bytes=room,
                wants_summary=settings.history == "summarised",
            )
        history = thread.history if thread else ()
        if request.tool_results is not None:
            check_results(request.tool_results, history[-1].message if history else None)
        if settings.through_image_api:  # nothing more of a conversation is sent
            history = history[-2:] if request.regenerate else history[-1:]
        files = await self._attachments.plan(request, question_files, models, history)
        if settings.through_image_api:
            files.require_images_or_text()
        if thread is not None:
            thread = thread.with_attachments(files.documents())
        upstream = await self._upstream(request, feature, app, thread=thread, files=files, uid=uid)
        helper = helper_plan(settings, thread, self._limits)
        known = await self._known(*files.models, settings.helper_model, helper.model)
        reserve = self._reserve(
            request, feature, app, upstream, files=files, helper=helper, known=known
        )
        return PreparedRequest(
            request=request,
            feature=feature,
            app=app,
            upstream=upstream,
            thread=thread,
            files=files,
            notices=(*selection.notices, *supported.notices, *files.notices),
            reserve=reserve,
            prices=_prices(settings, app, known),
            cache_id=_cache_id(request, feature, app, uid, upstream),
        )

    async def _upstream(
        self,
        request: ExecutePrompt,
        feature: Feature,
        app: AppSettings,
        *,
        thread: Thread | None,
        files: FilePlan,
        uid: str,
    ) -> ChatRequest:
        settings = feature.settings
        parameters = await self._parameters(settings, request, files.models)
        messages = prompts.build_messages(settings, request, files.history, files.models[0])
        session = None
        if thread is not None and settings.send_session:
            session = await self._pseudonyms.session(uid, thread.place.conversation_id)
        return (ImagesRequest if settings.through_image_api else ChatRequest)(
            keys=self._keys.slot(feature.id),
            models=files.models,
            messages=files.add_to_messages(messages),
            parameters=files.with_free_pdf_parser(parameters, free_only=app.free_models_only),
            app_name=app.app_name,
            referer=app.referer or self._default_referer,
            first_token_s=settings.first_token_s,
            user=await self._pseudonyms.user(uid) if settings.send_user else None,
            session=session,
            cache_ttl=None if settings.prompt_caching == "off" else settings.prompt_caching,
        )

    async def _known(self, *ids: str | None) -> Mapping[str, Resolved]:
        """Return what is known of each model that may be asked, or beside it."""
        named = list(dict.fromkeys(id_ for id_ in ids if id_))
        return {one.requested: one for one in await self._choice.resolve(named)}

    def _reserve(
        self,
        request: ExecutePrompt,
        feature: Feature,
        app: AppSettings,
        upstream: ChatRequest,
        *,
        files: FilePlan,
        helper: HelperPlan,
        known: Mapping[str, Resolved],
    ) -> Reserve:
        """Return what the dearest model may cost, with a helper model's calls and parsed PDFs."""
        settings, usd = feature.settings, Decimal(str(app.limits.reserve_usd))
        all_files = [reference.file for reference in files.all_files]
        tokens = estimate.upstream_tokens(upstream, all_files, self._limits.prompts)
        plan = replace(estimate.output_plan(settings, request), images=_images(settings, upstream))
        worst = estimate.dearest(
            [
                estimate.worst_case(
                    _priced(known[id_]), settings, tokens, usd, plan, free=known[id_].free
                )
                for id_ in upstream.models
            ]
        )
        beside, later = Decimal(0), LaterRequests()
        if helper.model is not None:
            model = known[helper.model]
            beside = estimate.helper_usd(helper, _priced(model), usd, free=model.free)
        if beside:
            later = LaterRequests(helper.calls, math.ceil(beside * NANO_PER_USD))
        if not app.free_models_only:  # else they are parsed for nothing
            beside += usd * sum(file.content_type == PDF for file in all_files)
        extra_tokens = helper.prompt_chars + helper.completion_tokens
        return estimate.with_extra(worst, usd=beside, tokens=extra_tokens, later=later)

    async def _parameters(
        self, settings: FeatureSettings, request: ExecutePrompt, models: Sequence[str]
    ) -> dict[str, object]:
        """Raises InvalidArgument."""
        given, requested = prompts.build_parameters(settings, request), request.image_options
        if requested is not None and not (settings.kind == IMAGE and settings.allow_image_options):
            sentence = "This feature does not accept imageOptions."
            raise InvalidArgument(sentence, field="imageOptions")
        if settings.kind != IMAGE:
            return given
        options = (requested or ImageOptions()).over(settings.image_options)
        if settings.through_image_api:
            _refuse_chat_options(request)
            return image_parameters.api_parameters(
                options, prompts.build_image_parameters(settings)
            )
        if requested is not None and (requested.n or 1) > 1:
            sentence = "imageOptions.n must be 1: this feature generates one image at a time."
            raise InvalidArgument(sentence, field="imageOptions.n")
        described = [await self._choice.find_model(model) for model in models]
        known = [model.output_modalities for model in described if model]
        writes = all("text" in outputs for outputs in known if outputs)
        return image_parameters.chat_parameters(options, given, writes=writes)


def _cache_id(
    request: ExecutePrompt, feature: Feature, app: AppSettings, uid: str, upstream: ChatRequest
) -> str | None:
    """Return what the answer is cached under: never one that is to be another one."""
    if feature.test or request.regenerate or not app.retention.store_texts:
        return None
    return response_id(feature, uid, upstream)


def _priced(resolved: Resolved) -> Model | None:
    """Return the model whose prices and lengths count; a free one may write as much as any."""
    return None if resolved.free else resolved.effective_model


def _prices(settings: FeatureSettings, app: AppSettings, known: Mapping[str, Resolved]) -> Prices:
    """Return the prices of the models, and of the helper model, as they are now."""
    return Prices(
        reserve_usd=Decimal(str(app.limits.reserve_usd)),
        models={id_: ModelPrice.of(resolved) for id_, resolved in known.items()},
        extras=len(list(paid_extras(settings))),
        parses_documents=not app.free_models_only,  # else they are parsed for nothing
    )


def _images(settings: FeatureSettings, upstream: ChatRequest) -> int:
    return upstream.image_count if settings.kind == IMAGE else 0


def _refuse_chat_options(request: ExecutePrompt) -> None:
    """Raise InvalidArgument for fields that the image API does not support, or lacks."""
    if request.prompt is not None and not request.question.strip():
        sentence = "prompt is required. It describes the image that is generated."
        raise InvalidArgument(sentence, field="prompt")
    given = (
        ("tools", request.tools),
        ("toolResults", request.tool_results),
        ("responseFormat", request.response_format),
        ("temperature", request.temperature),
    )
    for name, value in given:
        if value:
            sentence = f"This feature generates images and does not accept {name}."
            raise InvalidArgument(sentence, field=name)
