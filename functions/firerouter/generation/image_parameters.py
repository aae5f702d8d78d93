"""Image options as the parameters of a chat request, or of the image API. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..contract import ImageOptions


def chat_parameters(
    options: ImageOptions, given: Mapping[str, Any], *, writes: bool
) -> dict[str, Any]:
    """The parameters of a chat that is to draw. writes: the models write text as well."""
    named = {
        "aspect_ratio": options.aspect_ratio,
        "image_size": options.size,
        "quality": options.quality,
    }
    custom = given.get("image_config")
    config = {
        **(custom if isinstance(custom, dict) else {}),  # its names vary by model
        **{name: value for name, value in named.items() if value is not None},
    }
    return {
        **given,
        "modalities": ["image", "text"] if writes else ["image"],
        **({"image_config": config} if config else {}),
        **({} if options.seed is None else {"seed": options.seed}),
    }


def api_parameters(options: ImageOptions, given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of OpenRouter's image API. given: the admin's own, and what else it has of a chat's."""
    return {**given, **options.model_dump(exclude_none=True)}
