"""The review of settings before they are saved: can the chosen models do what is set? Pure.

What would make every call fail, or do something other than what was set, is an error. What
OpenRouter silently leaves out (a sampling parameter that the model does not support), or what is
only likely to go wrong, is a warning. A model that was chosen earlier and has since left the
catalog is a warning too: it should not keep anyone from changing a prompt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal

from ..contract import FindingInfo
from ..models import CHARS_PER_TOKEN, Model, ModelList, Resolved, is_free, takes_cache_control
from .abilities import DEFAULT_MODELS, paid_extras, unsupported_settings
from .settings import EMBEDDING, IMAGE, FeatureSettings
from .template import PLACEHOLDER

# names for what Firerouter does not make
_CHAT_KINDS: Final = frozenset(
    {"video", "audio", "speech", "music", "images", "embeddings", "transcription", "tts"}
)
_BRACES: Final = re.compile(r"\{\{.{0,80}?\}\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding about one field. `reason` is stable, for programs."""

    field: str
    reason: str
    message: str

    def to_wire(self) -> FindingInfo:
        return {"field": self.field, "reason": self.reason, "message": self.message}


@dataclass(frozen=True, slots=True)
class Check:
    """A finding about a model, with its severity if that is the model of the feature."""

    severity: Literal["error", "warning"]
    finding: Finding


@dataclass(slots=True)
class Review:
    """All findings. Settings with an error are not saved.

    Attributes:
        models: The catalog that the settings were compared with; None if it was unavailable.
    """

    models: ModelList | None = None
    errors: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)

    def error(self, field_: str, reason: str, message: str) -> None:
        self.errors.append(Finding(field_, reason, message))

    def warn(self, field_: str, reason: str, message: str) -> None:
        self.warnings.append(Finding(field_, reason, message))


def review_settings(
    settings: FeatureSettings,
    models: ModelList | None,
    *,
    free_only: bool,
    known: frozenset[str] = frozenset(),
    today: date,
) -> Review:
    """Return what is wrong with settings, or may go wrong.

    Args:
        settings: The settings to review.
        models: The catalog; None if it is unavailable.
        free_only: Whether the app allows only what is free.
        known: The models that were chosen earlier.
        today: The date that expiry dates are compared with.
    """
    review = Review(models)
    if free_only:
        for field_, what in paid_extras(settings):
            message = (
                f"{what} is billed even with a free model, and this app allows only what is free."
            )
            review.error(field_, "paid_model", message)
    review.warnings.extend(_ineffective(settings))
    if models is None:
        message = "The list of models is unavailable, so the models were not checked."
        review.warn("model", "catalog_unavailable", message)
    for field_, id_ in settings.named_models():
        resolved = models.resolve(id_) if models else None
        if resolved is not None and not _check_existence(review, field_, resolved, known, today):
            continue
        if free_only and not (resolved.free if resolved else is_free(id_)):
            what = "isn't free" if models else "can't be looked up, so it may not be free"
            message = f"{id_} {what}, and this app allows only free models."
            review.error(field_, "paid_model", message)
        if resolved is None or resolved.preset is not None or resolved.effective_model is None:
            continue
        if field_ == "helperModel":
            _check_helper(review, resolved.effective_model)
        else:
            _check_abilities(review, field_, settings, resolved.effective_model)
    return review


def _ineffective(settings: FeatureSettings) -> Iterator[Finding]:
    """Yield what has no effect, or little, whichever model is used."""
    for braces in _BRACES.findall(settings.system_prompt):
        if not PLACEHOLDER.search(braces):
            message = f"{braces[:40]} isn't a variable, so the model gets it unchanged."
            yield Finding("systemPrompt", "not_a_variable", message)
            break
    for at, plugin in enumerate(settings.plugins):
        if plugin["id"] == "response-healing" and plugin.get("enabled") is not False:
            message = (
                "OpenRouter heals only answers that aren't streamed, and Firerouter streams all of "
                "them. Set repairJson instead."
            )
            yield Finding(f"plugins[{at}]", "not_used", message)
    yield from _without_effect(settings)
    reasoning = settings.reasoning.max_tokens if settings.reasoning else None
    if reasoning and settings.max_tokens and reasoning >= settings.max_tokens:
        message = (
            f"{reasoning} reasoning tokens leave none of maxTokens, {settings.max_tokens}, for the "
            "answer. Some models refuse that."
        )
        yield Finding("reasoning.maxTokens", "no_room_to_answer", message)


def _without_effect(settings: FeatureSettings) -> Iterator[Finding]:
    """Yield settings that do nothing together with the others."""
    if settings.kind != IMAGE:
        for name, value in (
            ("imageApi", settings.image_api != "chat"),
            ("imageOptions", settings.image_options),
        ):
            if value:
                message = "This is used only by features of the kind image."
                yield Finding(name, "not_used", message)
    if settings.kind.lower() in _CHAT_KINDS:
        message = (
            f"The kind {settings.kind} is only a hint to the app: the feature answers like a chat. "
            "Firerouter itself knows image and embedding."
        )
        yield Finding("kind", "not_used", message)
    if settings.cache_shared and not settings.cache_seconds:
        message = "Answers aren't cached, so none is shared. Set cacheSeconds too."
        yield Finding("cacheShared", "not_used", message)
    response_format = settings.response_format
    has_format = response_format is not None and response_format.type != "text"
    if settings.repair_json and not has_format:
        message = (
            "There is no responseFormat, so this applies only to callers that send one."
            if settings.allow_response_format
            else "There is no responseFormat, and callers may not send one: no answer is repaired."
        )
        yield Finding("repairJson", "not_used", message)
    if response_format is not None and response_format.type != "json_schema":
        parts = {"schema": response_format.schema_, "name": response_format.name}
        for part in (part for part, given in parts.items() if given is not None):
            message = f"This is used only with the type json_schema, not {response_format.type}."
            yield Finding(f"responseFormat.{part}", "not_used", message)
    late = [
        f"{name} ({seconds:g})"
        for name, seconds in (("firstTokenS", settings.first_token_s), ("idleS", settings.idle_s))
        if seconds > settings.total_s
    ]
    if late:
        message = (
            f"A call ends after {settings.total_s:g} seconds, before {' and '.join(late)} can end "
            "it."
        )
        yield Finding("totalS", "not_used", message)
    yield from _repeated_fallbacks(settings)


def _repeated_fallbacks(settings: FeatureSettings) -> Iterator[Finding]:
    """Yield fallbacks that have failed already when it is their turn."""
    ids = settings.fallback_models
    for at, id_ in enumerate(ids):
        if id_ in (settings.model, *ids[:at]):
            message = f"{id_} is tried before this already, so naming it again has no effect."
            yield Finding(f"fallbackModels[{at}]", "not_used", message)


def _check_existence(
    review: Review, field_: str, resolved: Resolved, known: frozenset[str], today: date
) -> bool:
    """Check whether there is such a model, and for how long. Return False if there is none."""
    id_, model = resolved.requested, resolved.model
    if resolved.preset is not None:
        message = f"{id_} is a preset of your OpenRouter account, so it can't be checked here."
        review.warn(field_, "preset_unchecked", message)
    elif model is None and resolved.is_router:
        review.warn(field_, "router_unlisted", f"{id_} isn't in the list of models yet.")
    elif model is None and id_ in known | DEFAULT_MODELS:
        message = f"{id_} is no longer in the list of models. Please choose another."
        review.warn(field_, "model_gone", message)
    elif model is None:
        message = f"{id_} isn't in the list of models. Please check its spelling."
        review.error(field_, "model_unknown", message)
        return False
    if model is None:
        return True
    if model.variant == "batch":
        message = f"{id_} answers only in batches, within a day, so it can't be used live."
        review.error(field_, "batch_only", message)
    if expires := model.expires_soon(today):
        message = f"OpenRouter will withdraw {id_} on {expires:%Y-%m-%d}."
        review.warn(field_, "model_expires", message)
    if field_ == "model" and model.prompt_price == "dynamic":
        message = f"The price of {id_} depends on the model that it picks for each prompt."
        review.warn(field_, "dynamic_price", message)
    return True


def _check_abilities(review: Review, field_: str, settings: FeatureSettings, model: Model) -> None:
    """Check what a model can do. For any model but `model` itself, findings are warnings."""
    for check in (
        *_unsupported(settings, model),
        *_reasoning(settings, model),
        *_over_limits(settings, model),
    ):
        finding, is_error = check.finding, check.severity == "error"
        if field_ == "model":
            (review.errors if is_error else review.warnings).append(finding)
        elif is_error or finding.reason == "not_supported":
            review.warn(field_, finding.reason, finding.message)


def _check_helper(review: Review, model: Model) -> None:
    """Check that the model for titles and summaries writes text. Nothing else is required."""
    if model.output_modalities and "text" not in model.output_modalities:
        review.error("helperModel", "no_text_output", f"{model.id} doesn't write text.")


def _error(field_: str, reason: str, message: str) -> Check:
    return Check("error", Finding(field_, reason, message))


def _warning(field_: str, reason: str, message: str) -> Check:
    return Check("warning", Finding(field_, reason, message))


def _unsupported(settings: FeatureSettings, model: Model) -> Iterator[Check]:
    """Yield everything that is set and that the model does not support."""
    id_, capabilities = model.id, model.capabilities
    supported = model.supported_parameters
    yield from _wrong_kind(settings, model)
    if settings.tools and "tools" not in capabilities:
        yield _error("tools", "no_tools", f"{id_} can't use tools.")
    response_format = settings.response_format.type if settings.response_format else "text"
    if response_format == "json_schema" and "structuredOutputs" not in capabilities:
        message = f"{id_} doesn't support JSON schemas."
        yield _error("responseFormat", "no_structured_outputs", message)
    if response_format == "json_object" and "json" not in capabilities:
        yield _error("responseFormat", "no_json", f"{id_} doesn't support JSON output.")
    custom = settings.parameters if supported else ()  # a model that lists none is not checked
    unknown = [f"parameters.{name}" for name in custom if name not in supported]
    for name in (*unsupported_settings(settings, model), *unknown):
        message = f"{id_} doesn't support {name}, so OpenRouter leaves it out."
        yield _warning(name, "not_supported", message)
    if settings.prompt_caching != "off" and not takes_cache_control(id_):
        message = f"{id_} caches prompts automatically or not at all, so this has no effect."
        yield _warning("promptCaching", "not_supported", message)


def _wrong_kind(settings: FeatureSettings, model: Model) -> Iterator[Check]:
    """Yield why a model does not produce what the feature is for."""
    id_, capabilities, outputs = model.id, model.capabilities, model.output_modalities
    if settings.kind == IMAGE:
        if "imageOutput" not in capabilities:
            yield _error("model", "no_image_output", f"{id_} doesn't make images.")
        options = settings.image_options
        if settings.image_api == "chat" and options is not None and (options.n or 1) > 1:
            message = "In a chat, the model decides how many images it makes."
            yield _warning("imageOptions.n", "not_used", message)
    elif settings.kind == EMBEDDING:
        if "embeddings" not in capabilities:
            yield _error("model", "no_embeddings", f"{id_} doesn't make embeddings.")
        if settings.fallback_models:
            message = "Vectors of different models can't be compared, so no fallback is used."
            yield _warning("fallbackModels", "not_used", message)
    elif outputs and "text" not in outputs:
        yield _error("model", "no_text_output", f"{id_} doesn't write text.")


def _reasoning(settings: FeatureSettings, model: Model) -> Iterator[Check]:
    reasoning, efforts = settings.reasoning, model.reasoning_efforts
    if reasoning is not None and reasoning.off and model.reasoning_required:
        message = f"{model.id} always reasons; it can't be turned off."
        yield _error("reasoning", "reasoning_required", message)
    elif reasoning is not None and reasoning.effort and efforts and reasoning.effort not in efforts:
        message = (
            f"{model.id} doesn't support the effort {reasoning.effort}, only {', '.join(efforts)}."
        )
        yield _warning("reasoning.effort", "not_supported", message)


def _over_limits(settings: FeatureSettings, model: Model) -> Iterator[Check]:
    id_, context = model.id, model.context_length
    limit, wanted = model.max_completion_tokens, settings.max_tokens or 0
    if limit and wanted > limit:
        message = f"{id_} answers with at most {limit} tokens."
        yield _error("maxTokens", "max_tokens_too_high", message)
    elif context and wanted >= context:
        message = f"{id_} has a context of {context} tokens, and the prompt needs some of them."
        yield _error("maxTokens", "max_tokens_too_high", message)
    prompt = len(settings.system_prompt) // CHARS_PER_TOKEN
    if context and wanted < context <= prompt + wanted:
        message = (
            f"The prompt has about {prompt} tokens and the answer up to {wanted}, but {id_} has a "
            f"context of {context}."
        )
        yield _error("systemPrompt", "context_too_long", message)
