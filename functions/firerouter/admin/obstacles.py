"""What keeps a feature from answering, and which parts of its document are invalid. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..errors import FeatureDisabled
from ..features import Finding, Review, StoredFeature
from ..models import Resolved

# other models than the feature's own: one that may not be used is left out of a call
_OTHER_MODELS: Final = ("fallbackModels", "allowedModels", "helperModel")


def malformed_parts(stored: StoredFeature) -> Iterator[Finding]:
    """Yield what is invalid in a feature's document, field by field, and what follows from it."""
    feature = stored.feature
    consequences = {
        "id": "No call can name it.",
        "settings": f"Revision {feature.revision} is used instead."
        if feature
        else "There is nothing to use instead, so calls are refused.",
        "enabled": "The feature is off.",
        "draft": "Nobody gets the draft.",
    }
    for part, problems in stored.unreadable.items():
        prefix = "draft." if part == "draft" else ""
        for field, sentence in problems or [(part, "This can't be read.")]:
            path = field if field == part else f"{prefix}{field}"
            yield Finding(path or part, "invalid", f"{sentence} {consequences[part]}")


def obstacles(stored: StoredFeature, review: Review) -> Iterator[Finding]:
    """Yield why no call of a feature is sent to a model, as far as its settings are concerned.

    Args:
        stored: The feature. If nothing of it can be used, its document says why.
        review: The review of its active settings.
    """
    feature = stored.feature
    if feature is None:
        return
    if not feature.enabled:
        yield Finding("enabled", FeatureDisabled.reason, "The feature is switched off.")
    for error in review.errors:
        if error.reason != "paid_model" or not error.field.startswith(_OTHER_MODELS):
            yield error
    names = [feature.settings.model, *feature.settings.fallback_models]
    if review.models and not any(_is_listed(review.models.resolve(id_)) for id_ in names):
        yield Finding("model", "model_gone", "None of its models is in OpenRouter's list.")


def _is_listed(resolved: Resolved) -> bool:
    return resolved.model is not None or resolved.preset is not None or resolved.is_router
