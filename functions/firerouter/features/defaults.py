"""The built-in features, which are active until an admin saves other settings. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .feature import Feature
from .settings import (
    EMBEDDING,
    EMBEDDING_MODEL,
    FREE_CHOICES,
    FREE_MODELS,
    IMAGE,
    IMAGE_MODEL,
    FeatureSettings,
)

_FALLBACKS: Final = [*FREE_MODELS[1:]]


# `image` and `embedding` are off: no model for them is free, and a new app allows no others.
DEFAULTS: Final[Mapping[str, Feature]] = {
    "chat": Feature(
        "chat",
        enabled=True,
        revision=0,
        settings=FeatureSettings(
            display_name="Chat",
            fallback_models=_FALLBACKS,
            allowed_models=[*_FALLBACKS, *FREE_CHOICES],
            system_prompt="You are a friendly assistant inside an app. Answer plainly and briefly; "
            "say so when you do not know.",
            temperature=0.7,
            max_tokens=1024,
        ),
    ),
    "code": Feature(
        "code",
        enabled=True,
        revision=0,
        settings=FeatureSettings(
            display_name="Code",
            kind="code",
            fallback_models=_FALLBACKS,
            system_prompt="You are a careful programming assistant. Prefer working code with a "
            "short explanation, in fenced blocks that name their language.",
            temperature=0.2,
            max_tokens=2048,
        ),
    ),
    "summarize": Feature(
        "summarize",
        enabled=True,
        revision=0,
        settings=FeatureSettings(
            display_name="Summarize",
            kind="summarize",
            fallback_models=_FALLBACKS,
            system_prompt="Summarize the text that you are given. Keep names, numbers and dates; "
            "add nothing that is not in it.",
            temperature=0.3,
            max_tokens=1024,
        ),
    ),
    IMAGE: Feature(
        IMAGE,
        enabled=False,
        revision=0,
        settings=FeatureSettings(
            display_name="Images",
            kind=IMAGE,
            model=IMAGE_MODEL,
            first_token_s=180,  # such models are silent while they make an image
            idle_s=120,
        ),
    ),
    EMBEDDING: Feature(
        EMBEDDING,
        enabled=False,
        revision=0,
        settings=FeatureSettings(display_name="Embeddings", kind=EMBEDDING, model=EMBEDDING_MODEL),
    ),
}
