"""Turns a request into what OpenRouter is sent: models, history, files, parameters.

`prepare` returns one frozen value and changes nothing: what becomes of it is up to its caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..contract import ExecutePrompt, ImageOptions, Notice
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
)
from ..files import Attachments, FilePlan
from ..keys import KeyPool
from ..openrouter import ChatRequest, ImagesRequest
from ..users import Pseudonyms
from . import image_parameters, prompts
from .cache import response_id
from .limits import GenerationLimits
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
        notices: What the caller should know.
        cache_id: The id under which the answer is cached; None if it is not to be cached.
    """

    request: ExecutePrompt
    feature: Feature
    app: AppSettings
    upstream: ChatRequest
    thread: Thread | None
    files: FilePlan
    notices: tuple[Notice, ...]
    cache_id: str | None

    @property
    def may_continue(self) -> bool:
        """Whether the answer may continue without a listener, for which its text is stored."""
        if self.request.temporary or self.feature.test:
            return False
        return self.feature.settings.on_disconnect == "continue"

    @property
    def stores_images(self) -> bool:
        """Whether images of the answer may be stored in Cloud Storage."""
        return not (self.request.temporary or self.feature.test)


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
        return PreparedRequest(
            request=request,
            feature=feature,
            app=app,
            upstream=upstream,
            thread=thread,
            files=files,
            notices=(*selection.notices, *supported.notices, *files.notices),
            cache_id=None if feature.test else response_id(feature, uid, upstream),
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


def _refuse_chat_options(request: ExecutePrompt) -> None:
    """Raise InvalidArgument for fields that the image API does not support."""
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
