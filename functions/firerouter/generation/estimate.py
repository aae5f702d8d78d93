"""Estimates of what an answer may cost at most, before it is requested. Pure.

These are upper bounds as far as prices are known: tokens are estimated from bytes, and an image
counts as the app's `reserveUsd`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from .. import limits
from ..contract import NANO_PER_USD, ExecutePrompt, ImageOptions, Message, TextPart
from ..features import EMBEDDING, IMAGE, FeatureSettings, paid_extras
from ..files import File
from ..ledger import LaterRequests, Reserve
from ..models import TOKENS_PER_PRICE, Model
from ..openrouter import ChatRequest
from . import prompts
from .helper_plan import HelperPlan
from .limits import PromptLimits

NANO_PER_TOKEN_PRICE: Final = NANO_PER_USD // TOKENS_PER_PRICE  # prices are per million tokens

MESSAGE_BYTES: Final = 16  # of a message besides its text: its role and the separators


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


def prompt_tokens(
    settings: FeatureSettings,
    request: ExecutePrompt,
    files: Iterable[File],
    limits_: PromptLimits,
) -> int:
    """Return the most tokens that a model is sent: prompt, variables, tools, schema, files.

    Raises:
        InvalidArgument: A variable is missing.
    """
    size = prompts.prompt_bytes(settings, request)
    size += sum(f.prompt_bytes if f.modality == "image" else f.size for f in files)
    return size // limits_.bytes_per_token_min


def upstream_tokens(upstream: ChatRequest, files: Iterable[File], limits_: PromptLimits) -> int:
    """Return the most tokens that a model is sent with a request, including history and files."""
    size = sum(map(_message_bytes, upstream.messages))
    for name in ("tools", "response_format"):
        if (value := upstream.parameters.get(name)) is not None:
            size += len(json.dumps(value))
    size += sum(f.prompt_bytes if f.modality == "image" else f.size for f in files)
    return size // limits_.bytes_per_token_min


def _message_bytes(message: Message) -> int:
    texts = [message.text, *(reply.content for reply in message.tool_replies)]
    texts += [part.text for part in message.parts if isinstance(part, TextPart)]
    calls = sum(len(call.name) + len(call.arguments) for call in message.tool_requests)
    size = sum(
        len(text) if text.isascii() else len(text.encode("utf-8", "replace")) for text in texts
    )
    if message.reasoning_details:
        size += len(json.dumps(list(message.reasoning_details)))
    return size + calls + MESSAGE_BYTES


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
    """Return what OpenRouter's own tools and plugins may cost, whatever the model."""
    return reserve_usd * len(list(paid_extras(settings)))


def worst_case(
    model: Model | None,
    settings: FeatureSettings,
    tokens: int,
    reserve_usd: Decimal,
    plan: OutputPlan = TEXT_ONLY,
    *,
    free: bool = False,
) -> Reserve:
    """Return the worst case of one answer of a model, tools and plugins included.

    It covers one attempt. docs/architecture.md, "Limits and budgets", says how far retries can
    exceed a cap.

    Args:
        model: The model, if the catalog knows it.
        settings: The feature's settings.
        tokens: How many tokens the model is sent.
        reserve_usd: What the app reserves for anything without a price, such as an image.
        plan: What it generates besides text.
        free: Whether the model is never billed.
    """
    written = max_completion_tokens(model, settings)
    if model is not None and model.context_length:
        tokens = min(tokens, model.context_length)
    surcharge = math.ceil(NANO_PER_USD * tool_surcharge(settings, reserve_usd))
    # a repair sends the first answer back to the model
    times, per_token = (2, 3) if plan.may_repair else (1, 1)
    prices = _token_prices(model, tokens + (times - 1) * written)
    base, by_token, first_by_token = Decimal(0), Decimal(0), Decimal(0)
    if not free and prices is not None:
        prompt, completion = prices
        base = NANO_PER_TOKEN_PRICE * prompt * tokens * times
        first_by_token = NANO_PER_TOKEN_PRICE * completion
        by_token = first_by_token * times + NANO_PER_TOKEN_PRICE * prompt * (times - 1)
        if plan.images:
            images = NANO_PER_USD * reserve_usd * plan.images
            base, by_token = max(base + by_token * written, images), Decimal(0)
    elif not free:
        base = NANO_PER_USD * reserve_usd * max(1, plan.images) * times
    repair = LaterRequests()
    if plan.may_repair and not free:
        second = base / times + (by_token - first_by_token) * written
        repair = LaterRequests(1, math.ceil(second) + surcharge)
    return Reserve(
        base_nano_usd=math.ceil(base) + surcharge,
        nano_usd_per_token=by_token,
        base_tokens=times * tokens,
        tokens_per_token=per_token,
        completion_tokens=written,
        is_lowerable=is_lowerable(settings),
        later=repair,
    )


def embeddings_reserve(
    model: Model | None, tokens: int, reserve_usd: Decimal, *, free: bool
) -> Reserve:
    """Return the worst case of a request for vectors."""
    prices = _token_prices(model, tokens)
    base = Decimal(0)
    if not free:
        base = NANO_PER_USD * reserve_usd
        if prices is not None:
            base = NANO_PER_TOKEN_PRICE * prices[0] * tokens
    return Reserve(base_nano_usd=math.ceil(base), base_tokens=tokens)


def dearest(reserves: Sequence[Reserve]) -> Reserve:
    """Return a worst case that covers each of these, because only one of the models answers."""
    return Reserve(
        base_nano_usd=max(one.base_nano_usd for one in reserves),
        nano_usd_per_token=max(one.nano_usd_per_token for one in reserves),
        base_tokens=max(one.base_tokens for one in reserves),
        tokens_per_token=max(one.tokens_per_token for one in reserves),
        completion_tokens=max(one.completion_tokens for one in reserves),
        is_lowerable=all(one.is_lowerable for one in reserves),
        later=LaterRequests(
            max(one.later.count for one in reserves), max(one.later.nano_usd for one in reserves)
        ),
    )


def with_extra(
    reserve: Reserve, *, usd: Decimal, tokens: int = 0, later: LaterRequests | None = None
) -> Reserve:
    """Return a worst case that includes extras besides the answer.

    Args:
        reserve: The worst case of the answer.
        usd: What the extras may cost, in US dollars.
        tokens: How many tokens the extras may take.
        later: The extras that are requests of their own, such as a helper model's.
    """
    return replace(
        reserve,
        base_nano_usd=reserve.base_nano_usd + math.ceil(usd * NANO_PER_USD),
        base_tokens=reserve.base_tokens + tokens,
        later=reserve.later + (later or LaterRequests()),
    )


def is_lowerable(settings: FeatureSettings) -> bool:
    """Return whether answers of this feature may be limited to fewer tokens.

    Images cannot be shortened. Neither can an answer with a reasoning budget: OpenRouter refuses a
    token limit below it.
    """
    reasons = settings.reasoning is not None and settings.reasoning.max_tokens is not None
    return settings.kind not in (IMAGE, EMBEDDING) and not reasons


def helper_usd(
    plan: HelperPlan, model: Model | None, reserve_usd: Decimal, *, free: bool
) -> Decimal:
    """Return what a helper model's calls for an answer may cost, in US dollars."""
    if plan.model is None or free:
        return Decimal(0)
    read = plan.prompt_chars  # a token has one character at least
    prices = _token_prices(model, read)
    if prices is None:
        return reserve_usd
    prompt, completion = prices
    return (prompt * read + completion * plan.completion_tokens) / TOKENS_PER_PRICE


def _token_prices(model: Model | None, prompt_tokens: int) -> tuple[Decimal, Decimal] | None:
    """Return the prices of a prompt token, of so many, and of a completion token.

    None if they are not known, or both are 0: a model that is not free is then billed by something
    else, such as requests or images.
    """
    prompt, completion = model.prices_at(prompt_tokens) if model else (None, None)
    if isinstance(prompt, Decimal) and isinstance(completion, Decimal) and (prompt or completion):
        return prompt, completion
    return None


def cost(
    model: Model | None,
    settings: FeatureSettings,
    tokens: int,
    reserve_usd: Decimal,
    plan: OutputPlan = TEXT_ONLY,
) -> Decimal:
    """Return what an answer of a paid model may cost, in US dollars: see `worst_case`."""
    return Decimal(worst_case(model, settings, tokens, reserve_usd, plan).nano_usd) / NANO_PER_USD
