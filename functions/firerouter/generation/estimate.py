"""What an answer may cost at most, before it is asked for. Pure.

A ceiling as far as prices are known: tokens are estimated by bytes, images by what the app
reserves for each.
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
        images: How many images are asked for.
        may_repair: Whether the answer may be asked for once more, with what it was the first time.
    """

    images: int = 0
    may_repair: bool = False


TEXT_ONLY: Final = OutputPlan()


def reserve(models: Iterable[str], app: AppSettings) -> int:
    """Return what to hold of the user's budget for one answer, in nano dollars: 0 if it is free."""
    free = app.free_models_only or all(map(is_free, models))  # ModelChoice let no other through
    return 0 if free else nano_usd(app.limits.reserve_usd)


def prompt_tokens(
    settings: FeatureSettings,
    request: ExecutePrompt,
    files: Iterable[File],
    limits_: PromptLimits,
) -> int:
    """Return how many tokens a model may be sent, with variables, tools, schema and files.

    Raises:
        InvalidArgument: A variable is missing.
    """
    size = prompts.prompt_bytes(settings, request)
    size += sum(f.prompt_bytes if f.modality == "image" else f.size for f in files)
    return size // limits_.bytes_per_token_min


def max_completion_tokens(model: Model | None, settings: FeatureSettings) -> int:
    """Return how many tokens a model may write."""
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
    """Return what one answer of a model that is not free may cost, in US dollars.

    Args:
        model: The model, if the catalog knows it.
        settings: The feature's.
        tokens: How many tokens it is sent.
        reserve_usd: What the app holds for one answer. It stands in for an unknown price, as
            images have one.
        plan: What it generates besides text.
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
