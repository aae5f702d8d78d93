"""The built-in features, which answer until an admin saves settings of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .settings import (
    EMBEDDING,
    EMBEDDING_MODEL,
    FREE_FALLBACK,
    IMAGE,
    IMAGE_MODEL,
    Feature,
    FeatureSettings,
)


def _default(id_: str, system_prompt: str, *, enabled: bool = True, **settings: Any) -> Feature:
    values = FeatureSettings(
        fallback_models=[FREE_FALLBACK] if enabled else [], system_prompt=system_prompt, **settings
    )
    return Feature(id_, enabled, 0, values)


DEFAULTS: Final[Mapping[str, Feature]] = {
    feature.id: feature
    for feature in (
        _default(
            "chat",
            "You are a friendly assistant inside an app. Answer plainly and briefly; "
            "say so when you do not know.",
            display_name="Chat",
            temperature=0.7,
            max_tokens=1024,
        ),
        _default(
            "code",
            "You are a careful programming assistant. Prefer working code with a short "
            "explanation, in fenced blocks that name their language.",
            display_name="Code",
            kind="code",
            temperature=0.2,
            max_tokens=2048,
        ),
        _default(
            "summarize",
            "Summarize the text that you are given. Keep names, numbers and dates; "
            "add nothing that is not in it.",
            display_name="Summarize",
            kind="summarize",
            temperature=0.3,
            max_tokens=1024,
        ),
        # off, for no model that draws is free, and a fresh app allows no others
        _default(
            IMAGE,
            "",
            enabled=False,
            display_name="Images",
            kind=IMAGE,
            model=IMAGE_MODEL,
            first_token_s=180,  # such models say nothing while they draw
            idle_s=120,
        ),
        # off, for no model that makes vectors is free, and a fresh app allows no others
        _default(
            EMBEDDING,
            "",
            enabled=False,
            display_name="Embeddings",
            kind=EMBEDDING,
            model=EMBEDDING_MODEL,
        ),
    )
}
