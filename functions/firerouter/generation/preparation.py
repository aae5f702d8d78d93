"""A request becomes what OpenRouter is asked: models, history, files, parameters."""

from __future__ import annotations

from typing import Any

from ..contract import ExecutePrompt, images
from ..conversations import ConversationStore
from ..errors import InvalidArgument, WrongKind
from ..features import (
    EMBEDDING,
    IMAGE,
    AppSettings,
    Feature,
    FeatureSettings,
    FeatureStore,
    ModelChoice,
)
from ..files import Attachments, HistoryMessage
from ..keys import Keys
from ..openrouter import ChatRequest, ImagesRequest
from ..users import Pseudonyms
from . import prompts
from .active import ActiveGeneration
from .image_parameters import api_parameters, chat_parameters
from .tool_turns import check_results


class RequestBuilder:
    """Finds out what to ask. Make one an instance."""

    def __init__(
        self,
        *,
        features: FeatureStore,
        choice: ModelChoice,
        attaching: Attachments,
        conversations: ConversationStore,
        keys: Keys,
        pseudonyms: Pseudonyms,
        default_referer: str,
        limits: prompts.PromptLimits,
    ) -> None:
        self._features = features
        self._choice = choice
        self._attaching = attaching
        self._conversations = conversations
        self._keys = keys
        self._pseudonyms = pseudonyms
        self._default_referer = default_referer
        self._limits = limits

    async def feature(self, request: ExecutePrompt, uid: str, given: Feature | None) -> Feature:
        """As this user gets it, or the one that is given. Raises FeatureUnknown, FeatureDisabled,
        SettingsUnavailable, WrongKind."""
        feature = given or (await self._features.get(request.feature)).for_user(uid)
        if feature.settings.kind == EMBEDDING:
            sentence = f"{feature.id} makes embeddings: please call create_embeddings."
            raise WrongKind(sentence, field="feature", kind=EMBEDDING)
        return feature

    async def ask(
        self, running: ActiveGeneration, request: ExecutePrompt, feature: Feature, app: AppSettings
    ) -> ChatRequest:
        """What to ask; `running` gets its place in a conversation, and its notices.

        Raises what is wrong with the request for this feature and its model.
        """
        settings, uid = feature.settings, running.uid
        models, running.notices = await self._choice.models(request, feature, app, uid)
        request, models = await self._choice.able(request, feature, models, running.notices)
        history: list[HistoryMessage] = []
        asked = await self._attaching.find(request, uid, running.id)
        if request.conversation_id is not None:
            room = prompts.history_max_bytes(
                settings,
                request,
                await self._choice.context_tokens(models[0]),
                sum(ref.file.prompt_bytes for ref in asked),
                limits=self._limits,
            )
            running.thread = await self._conversations.open(
                request,
                uid,
                running.id,
                history_max_bytes=room,
                wants_summary=settings.history == "summarised",
            )
            history = [*running.thread.history] if running.thread else []
        if request.tool_results is not None:
            check_results(request.tool_results, history[-1].message if history else None)
        if settings.through_image_api:  # no more of a conversation is sent
            history = history[-2:] if request.regenerate else history[-1:]
        plan = await self._attaching.plan(request, asked, models, history)
        running.attach(plan)
        if running.thread is not None:
            running.writer = self._conversations.writer(running.thread)
        if settings.through_image_api:
            plan.require_images_or_text()
        parameters = await self._parameters(settings, request, plan.models)
        running.images.inlines = request.inline_images
        return (ImagesRequest if settings.through_image_api else ChatRequest)(
            keys=self._keys.of(feature.id),
            models=plan.models,
            messages=plan.add_to_messages(
                prompts.build_messages(settings, request, plan.history, plan.models[0])
            ),
            parameters=plan.with_free_pdf_parser(parameters, free_only=app.free_models_only),
            app_name=app.app_name,
            referer=app.referer or self._default_referer,
            first_token_s=settings.first_token_s,
            user=await self._pseudonyms.user(uid) if settings.send_user else None,
            session=await self._session(running, settings),
            cache_ttl=None if settings.prompt_caching == "off" else settings.prompt_caching,
        )

    async def _parameters(
        self, settings: FeatureSettings, request: ExecutePrompt, models: list[str]
    ) -> dict[str, Any]:
        """Raises InvalidArgument."""
        given, asked = prompts.build_parameters(settings, request), request.image_options
        if asked is not None and not (settings.kind == IMAGE and settings.allow_image_options):
            sentence = "imageOptions are not for this feature."
            raise InvalidArgument(sentence, field="imageOptions")
        if settings.kind != IMAGE:
            return given
        options = (asked or images.ImageOptions()).over(settings.image_options)
        if settings.through_image_api:
            _only_draws(request)
            return api_parameters(options, prompts.build_image_parameters(settings))
        if asked is not None and (asked.n or 1) > 1:
            sentence = "imageOptions.n: this feature makes one image at a time."
            raise InvalidArgument(sentence, field="imageOptions.n")
        described = [await self._choice.model(model) for model in models]
        known = [model.output_modalities for model in described if model]
        writes = all("text" in outputs for outputs in known if outputs)
        return chat_parameters(options, given, writes=writes)

    async def _session(self, running: ActiveGeneration, settings: FeatureSettings) -> str | None:
        thread = running.thread
        if thread is None or not settings.send_session:
            return None
        return await self._pseudonyms.session(running.uid, thread.place.conversation_id)


def _only_draws(request: ExecutePrompt) -> None:
    """Raises InvalidArgument for what the image API has no place for."""
    given = (
        ("tools", request.tools),
        ("toolResults", request.tool_results),
        ("responseFormat", request.response_format),
        ("temperature", request.temperature),
    )
    for name, value in given:
        if value:
            raise InvalidArgument(f"This feature draws, and takes no {name}.", field=name)
