"""Estimates of what an answer may cost at most, before it is requested. Pure.

This is an upper bound as far as prices are known: tokens are estimated from bytes, and an image
counts as the amount that the app reserves for one answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from .. import limits
from ..contract import ExecutePrompt, ImageOptions
from ..features import IMAGE, AppSettings, FeatureSettings, paid_extras
from ..files import File
from ..models import TOKENS_PER_PRICE, Model, is_free
from ..openrouter import nano_usd
from . import prompts
from .limits import PromptLimits


@dataclass(frozen=True, slots=True)
class OutputPlan:
    """What is generated besides text, or more than once.

    Attributes:
        images: How many images are requested.
        may_repair: Whether a repair may follow, which sends the first answer back to the model.
    """

    images: int = 0
    may_repair: bool = False


TEXT_ONLY: Final = OutputPlan()


def reserve(models: Iterable[str], app: AppSettings) -> int:
    """Return how much of the user's budget to reserve for one answer, in nano dollars.

    This is 0 if the answer is free.
    """
    free = app.free_models_only or all(map(is_free, models))  # ModelChoice lets no others through
    return 0 if free else nano_usd(app.limits.reserve_usd)


def prompt_tokens(
    settings: FeatureSettings,
    request: ExecutePrompt,
    files: Iterable[File],
    limits_: PromptLimits,
) -> int:
    """Return how many tokens a model is sent at most: prompt, variables, tools, schema, files.

    Raises:
        InvalidArgument: A variable is missing.
    """
    size = prompts.prompt_bytes(settings, request)
    size += sum(f.prompt_bytes if f.modality == "image" else f.size for f in files)
    return size // limits_.bytes_per_token_min


def max_completion_tokens(model: Model | None, settings: FeatureSettings) -> int:
    """Return how many tokens a model may generate."""
    own = (model.max_completion_tokens or model.context_length) if model else None
    return settings.max_tokens or own or limits.ANSWER_MAX_TOKENS


def output_plan(settings: FeatureSettings, request: ExecutePrompt) -> OutputPlan:
    """Return what the feature generates for this request."""
    wants_json = settings.response_format or request.response_format
    options = (request.image_options or ImageOptions()).over(settings.image_options)
    images = (options.n or 1) if settings.through_image_api else 1
    return OutputPlan(
        images if settings.kind == IMAGE else 0,
        settings.repair_json and wants_json is not None,
    )


def tool_surcharge(settings: FeatureSettings, reserve_usd: Decimal) -> Decimal:
    """Return what OpenRouter's own tools and plugins may cost, whichever model uses them."""
    return reserve_usd * any(paid_extras(settings))


def cost(
    model: Model | None,
    settings: FeatureSettings,
    tokens: int,
    reserve_usd: Decimal,
    plan: OutputPlan = TEXT_ONLY,
) -> Decimal:
    """Return what one answer of a paid model may cost, in US dollars.

    Args:
        model: The model, if the catalog knows it.
        settings: The feature's settings.
        tokens: How many tokens the model is sent.
        reserve_usd: What the app reserves for one answer. It stands in for unknown prices, which
            include those of images.
        plan: What is generated besides text, or more than once.
    """
    prompt, completion = (model.prompt_price, model.completion_price) if model else (None, None)
    surcharge = tool_surcharge(settings, reserve_usd)
    if model is None or not (isinstance(prompt, Decimal) and isinstance(completion, Decimal)):
        return reserve_usd * max(1, plan.images) * (1 + plan.may_repair) + surcharge
    tokens = min(tokens, model.context_length or tokens)
    written = max_completion_tokens(model, settings)
    if plan.may_repair:
        tokens, written = 2 * tokens + written, 2 * written
    by_token = (prompt * tokens + completion * written) / TOKENS_PER_PRICE
    return max(by_token, reserve_usd * plan.images) + surcharge
