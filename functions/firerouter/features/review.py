"""What an admin sets, held against what the chosen models can do. Pure.

What would make each call fail, or do another thing than what was asked for, is an error; what
OpenRouter drops in silence (a sampling parameter that the model does not take), or is only
probable, is a warning. A model that was chosen before and is gone from the list is a warning too:
whoever changes a prompt is not the one to be stopped by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal

from ..models import CHARS_PER_TOKEN, Model, ModelList, Resolved, is_free, takes_cache_control
from .abilities import _DEFAULT_MODELS, paid_extras, settings_not_taken
from .settings import EMBEDDING, FeatureSettings
from .template import PLACE

_BRACES: Final = re.compile(r"\{\{.{0,80}?\}\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to say of one field. reason: stable and for programs."""

    field: str
    reason: str
    message: str

    def to_wire(self) -> dict[str, str]:
        return {"field": self.field, "reason": self.reason, "message": self.message}


@dataclass(slots=True)
class Review:
    """What was found. With an error the settings are not saved.

    models: what they were held against, None where no list could be had.
    """

    models: ModelList | None = None
    errors: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)

    def error(self, field_: str, reason: str, message: str) -> None:
        self.errors.append(Finding(field_, reason, message))

    def warn(self, field_: str, reason: str, message: str) -> None:
        self.warnings.append(Finding(field_, reason, message))

    def add(self, severity: Literal["error", "warning"], *finding: str) -> None:
        (self.error if severity == "error" else self.warn)(*finding)


def review_settings(
    settings: FeatureSettings,
    models: ModelList | None,
    *,
    free_only: bool,
    known: frozenset[str] = frozenset(),
    today: date,
) -> Review:
    """models: None where no list can be had. known: the models that were chosen before."""
    found = Review(models)
    if free_only:
        for field_, what in paid_extras(settings):
            message = f"{what} costs money even with a free model, and this app allows none."
            found.error(field_, "paid_model", message)
    for finding in _useless(settings):
        found.warn(*finding)
    if models is None:
        message = "The list of models could not be read: nothing was checked against it."
        found.warn("model", "catalog_unavailable", message)
    for field_, id_ in settings.named():
        resolved = models.find(id_) if models else None
        if resolved is not None and not _check_choice(found, field_, resolved, known, today):
            continue
        if free_only and not (resolved.free if resolved else is_free(id_)):
            what = "is not free" if models else "can not be looked up, so is not known to be free"
            message = f"{id_} {what}, and this app allows free models only."
            found.error(field_, "paid_model", message)
        if resolved is None or resolved.preset is not None:
            continue
        if model := resolved.answers:
            if field_ == "helperModel":
                _check_helper(found, model)
            else:
                _check_abilities(found, field_, settings, model)
    return found


def _useless(settings: FeatureSettings) -> Iterator[tuple[str, str, str]]:
    """(field, reason, message) of what does nothing, or little, whatever the model."""
    for braces in _BRACES.findall(settings.system_prompt):
        if not PLACE.search(braces):
            message = f"{braces[:40]} is no variable: it is sent to the model as it stands."
            yield "systemPrompt", "not_a_variable", message
            break
    for at, plugin in enumerate(settings.plugins):
        if plugin["id"] == "response-healing" and plugin.get("enabled") is not False:
            message = "OpenRouter heals no answer that is streamed, and all are: set repairJson."
            yield f"plugins[{at}]", "not_used", message
    thought = settings.reasoning.max_tokens if settings.reasoning else None
    if thought and settings.max_tokens and thought >= settings.max_tokens:
        message = (
            f"{thought} tokens of thought leave none of maxTokens, {settings.max_tokens}, for the "
            "answer: some models refuse that."
        )
        yield "reasoning.maxTokens", "no_room_to_answer", message


def _check_choice(
    found: Review, field_: str, resolved: Resolved, known: frozenset[str], today: date
) -> bool:
    """Is there such a model, and for how long? False where there is none."""
    asked, model = resolved.asked, resolved.model
    if resolved.preset is not None:
        message = f"{asked} is a preset of the OpenRouter account: it can not be checked here."
        found.warn(field_, "preset_unchecked", message)
    elif model is None and resolved.router:
        found.warn(field_, "router_unlisted", f"{asked} is not in the list of models by now.")
    elif model is None:
        gone = f"{asked} is not in the list of models"
        if asked in known | _DEFAULT_MODELS:
            found.warn(field_, "model_gone", f"{gone} any more. Please choose another.")
            return True
        found.error(field_, "model_unknown", f"{gone}. Please check how it is written.")
        return False
    if model is None:
        return True
    if model.variant == "batch":
        message = f"{asked} answers in batches only, within a day: it can not be asked live."
        found.error(field_, "batch_only", message)
    if expires := model.expires_soon(today):
        message = f"OpenRouter takes {asked} away on {expires:%Y-%m-%d}."
        found.warn(field_, "model_expires", message)
    if field_ == "model" and model.prompt_price == "dynamic":
        message = f"What {asked} costs depends on the model it picks for each prompt."
        found.warn(field_, "dynamic_price", message)
    return True


def _check_abilities(found: Review, field_: str, settings: FeatureSettings, model: Model) -> None:
    """Can the model do what is set? Of the others than `model` itself it is only said."""
    chosen = field_ == "model"
    for severity, at, reason, message in (
        *_inabilities(settings, model),
        *_thoughts(settings, model),
        *_over_limits(settings, model),
    ):
        if chosen:
            found.add(severity, at, reason, message)
        elif severity == "error" or reason == "not_supported":
            found.warn(field_, reason, message)


def _check_helper(found: Review, model: Model) -> None:
    """Of what writes titles and summaries only that is asked."""
    if model.output_modalities and "text" not in model.output_modalities:
        found.error("helperModel", "no_text_output", f"{model.id} writes no text.")


_Said = tuple[Literal["error", "warning"], str, str, str]  # severity, field, reason, message


def _inabilities(settings: FeatureSettings, model: Model) -> Iterator[_Said]:
    """Each thing that is set and that the model can not do."""
    id_, can = model.id, model.capabilities
    takes = model.supported_parameters
    yield from _kinds_inabilities(settings, model)
    if settings.tools and "tools" not in can:
        yield "error", "tools", "no_tools", f"{id_} can not use tools."
    shape = settings.response_format.type if settings.response_format else "text"
    if shape == "json_schema" and "structuredOutputs" not in can:
        message = f"{id_} can not keep to a JSON schema."
        yield "error", "responseFormat", "no_structured_outputs", message
    if shape == "json_object" and "json" not in can:
        yield "error", "responseFormat", "no_json", f"{id_} can not be held to JSON."
    custom = settings.parameters if takes else ()  # what says nothing is not accused of anything
    unknown = [f"parameters.{name}" for name in custom if name not in takes]
    for name in (*settings_not_taken(settings, model), *unknown):
        message = f"{id_} does not take {name}: OpenRouter leaves it out."
        yield "warning", name, "not_supported", message
    if settings.prompt_caching != "off" and not takes_cache_control(id_):
        message = f"{id_} is not asked to cache prompts: it does so by itself, or not at all."
        yield "warning", "promptCaching", "not_supported", message


def _kinds_inabilities(settings: FeatureSettings, model: Model) -> Iterator[_Said]:
    """Does it make what the feature is for?"""
    id_, can, outputs = model.id, model.capabilities, model.output_modalities
    if settings.kind == "image":
        if "imageOutput" not in can:
            yield "error", "model", "no_image_output", f"{id_} makes no images."
        wanted = settings.image_options
        if settings.image_api == "chat" and wanted is not None and (wanted.n or 1) > 1:
            message = "In a chat a model makes as many images as it likes."
            yield "warning", "imageOptions.n", "not_used", message
    elif settings.kind == EMBEDDING:
        if "embeddings" not in can:
            yield "error", "model", "no_embeddings", f"{id_} makes no embeddings."
        if settings.fallback_models:
            message = "Vectors of another model mean something else: no fallback is asked for them."
            yield "warning", "fallbackModels", "not_used", message
    elif outputs and "text" not in outputs:
        yield "error", "model", "no_text_output", f"{id_} writes no text."


def _thoughts(settings: FeatureSettings, model: Model) -> Iterator[_Said]:
    set_, efforts = settings.reasoning, model.reasoning_efforts
    if set_ is not None and set_.off and model.reasoning_required:
        yield "error", "reasoning", "reasoning_required", f"{model.id} always thinks first."
    elif set_ is not None and set_.effort and efforts and set_.effort not in efforts:
        message = f"{model.id} does not know the effort {set_.effort}, but {', '.join(efforts)}."
        yield "warning", "reasoning.effort", "not_supported", message


def _over_limits(settings: FeatureSettings, model: Model) -> Iterator[_Said]:
    id_ = model.id
    most, context = model.max_completion_tokens, model.context_length
    wanted = settings.max_tokens or 0
    if most and wanted > most:
        message = f"{id_} answers with {most} tokens at most."
        yield "error", "maxTokens", "max_tokens_too_high", message
    elif context and wanted >= context:
        message = f"{id_} has room for {context} tokens, the question included."
        yield "error", "maxTokens", "max_tokens_too_high", message
    prompt = len(settings.system_prompt) // CHARS_PER_TOKEN
    if context and prompt + wanted >= context:
        message = (
            f"About {prompt} tokens, and {wanted} for the answer: {id_} has room for {context}."
        )
        yield "error", "systemPrompt", "context_too_long", message
