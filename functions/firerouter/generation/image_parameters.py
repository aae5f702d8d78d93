"""Image options as the parameters of a chat request, or of the image API. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ..contract import ImageOptions


def chat_parameters(
    options: ImageOptions, given: Mapping[str, object], *, writes: bool
) -> dict[str, object]:
    """Return the parameters of a chat request that asks for an image.

    Args:
        options: What the image should be like.
        given: The request's other parameters.
        writes: Whether the models generate text as well.
    """
    named = {
        "aspect_ratio": options.aspect_ratio,
        "image_size": options.size,
        "quality": options.quality,
    }
    custom = given.get("image_config")
    config = {
        **(custom if isinstance(custom, dict) else {}),  # the names in it vary by model
        **{name: value for name, value in named.items() if value is not None},
    }
    return {
        **given,
        "modalities": ["image", "text"] if writes else ["image"],
        **({"image_config": config} if config else {}),
        **({} if options.seed is None else {"seed": options.seed}),
    }


def api_parameters(options: ImageOptions, given: Mapping[str, object]) -> dict[str, object]:
    """Return the parameters of a request to the image API: those given, then the options."""
    return {**given, **options.model_dump(exclude_none=True)}
