"""What an answer may cost at most, told before it is asked. Pure.

A ceiling as far as prices are known: tokens are counted by bytes, images by what the app reserves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from .. import limits
from ..contract import ExecutePrompt, ImageOptions
from ..features import IMAGE, FeatureSettings, paid_extras
from ..files import BYTES_PER_TOKEN_MIN, File
from ..models import TOKENS_PER_PRICE, Model
from . import prompts


def prompt_tokens(settings: FeatureSettings, request: ExecutePrompt, files: Iterable[File]) -> int:
    """How much a model is told, by its bytes: with variables, tools, schema and files. Raises
    InvalidArgument."""
    told = prompts.prompt_bytes(settings, request)
    told += sum(f.prompt_bytes if f.modality == "image" else f.size for f in files)
    return told // BYTES_PER_TOKEN_MIN


def max_completion_tokens(model: Model | None, settings: FeatureSettings) -> int:
    """How much it may write."""
    own = (model.max_completion_tokens or model.context_length) if model else None
    return settings.max_tokens or own or limits.ANSWER_MAX_TOKENS


@dataclass(frozen=True, slots=True)
class Made:
    """What is made beside texts, or more than once. images: how many. repaired: whether an answer
    may be asked for once more, and is told then what it wrote."""

    images: int = 0
    repaired: bool = False


def made(settings: FeatureSettings, request: ExecutePrompt) -> Made:
    wants_json = settings.response_format or request.response_format
    options = (request.image_options or ImageOptions()).over(settings.image_options)
    images = (options.n or 1) if settings.through_image_api else 1
    return Made(
        images if settings.kind == IMAGE else 0,
        settings.repair_json and wants_json is not None,
    )


def extras(settings: FeatureSettings, reserve: Decimal) -> Decimal:
    """What OpenRouter's own tools and plugins may cost, whichever model uses them."""
    return reserve * any(paid_extras(settings))


def cost(
    model: Model | None,
    settings: FeatureSettings,
    told: int,
    reserve: Decimal,
    made: Made = Made(),
) -> Decimal:
    """US dollars that one answer of a model that is not free may come to.

    reserve: what the app holds for one answer; it stands where a price is not known, as of images.
    """
    prompt, completion = (model.prompt_price, model.completion_price) if model else (None, None)
    beside = extras(settings, reserve)
    if model is None or not (isinstance(prompt, Decimal) and isinstance(completion, Decimal)):
        return reserve * max(1, made.images) * (1 + made.repaired) + beside
    told = min(told, model.context_length or told)
    written = max_completion_tokens(model, settings)
    if made.repaired:
        told, written = 2 * told + written, 2 * written
    by_token = (prompt * told + completion * written) / TOKENS_PER_PRICE
    return max(by_token, reserve * made.images) + beside
