"""Budgets that leave no room for a single call: an admin is warned of them. Pure.

A budget of 0 is not one of them: it still allows free models.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from ..ledger import USEFUL_TOKENS, Ceiling, FeatureLimits, LimitsOverride, UserLimits
from ..models import TOKENS_PER_PRICE, ModelList, Resolved
from .app_settings import AppSettings
from .review import Finding
from .settings import IMAGE, FeatureSettings

REASON: Final = "cap_below_reserve"
UNPRICED: Final = "An answer, an image or a tool whose price isn't known"


def low_caps_of_app(settings: AppSettings) -> Iterator[Finding]:
    """Yield the budgets that are below what is reserved for what has no price."""
    least = Decimal(str(settings.limits.reserve_usd))
    parts: list[tuple[str, UserLimits | LimitsOverride | Ceiling]] = [
        ("limits", settings.limits),
        ("anonymousLimits", settings.anonymous_limits),
        *((f"tiers.{tier}", limits) for tier, limits in settings.tiers.items()),
        ("ceiling", settings.ceiling),
    ]
    for name, part in parts:
        yield from _low(name, part, least, UNPRICED)


def low_caps_of_user(limits: LimitsOverride, reserve_usd: float) -> Iterator[Finding]:
    """Yield the budgets of one user that are below what is reserved for what has no price."""
    yield from _low("limits", limits, Decimal(str(reserve_usd)), UNPRICED)


def low_caps_of_feature(
    settings: FeatureSettings, models: ModelList | None, reserve_usd: float
) -> Iterator[Finding]:
    """Yield the feature's budgets that are below what its model's shortest answer reserves.

    Args:
        settings: The feature's settings.
        models: The catalog; None if it is unavailable: then nothing is known of the model.
        reserve_usd: What is reserved for what has no price, in US dollars.
    """
    resolved = models.resolve(settings.model) if models else None
    if resolved is None or resolved.free:
        return
    least = _least_usd(settings, resolved, Decimal(str(reserve_usd)))
    yield from _low("limits", settings.caps, least, f"An answer of {settings.model}")


def features_over_caps(
    name: str, settings: FeatureSettings, resolved: Resolved, app: AppSettings
) -> Iterator[Finding]:
    """Yield the app's budgets that are below what a feature's shortest answer reserves.

    A budget of 0 is one of them: every call of a feature that may be billed is refused.

    Args:
        name: The feature's name in a sentence.
        settings: Its settings.
        resolved: What is known of its model.
        app: The settings of the app.
    """
    if resolved.free:
        return
    least = _least_usd(settings, resolved, Decimal(str(app.limits.reserve_usd)))
    for field, caps in (("limits", app.limits), ("ceiling", app.ceiling)):
        for cap, usd in (("usdPerDay", caps.usd_per_day), ("usdPerMonth", caps.usd_per_month)):
            if usd < least:
                message = (
                    f"An answer of {settings.model} reserves at least ${least.normalize():f}, more "
                    f"than {field}.{cap} allows, so calls to {name} are refused."
                )
                yield Finding(f"{field}.{cap}", REASON, message)


def _least_usd(settings: FeatureSettings, resolved: Resolved, reserve_usd: Decimal) -> Decimal:
    """Return what any call of a feature reserves, in US dollars: without its prompt."""
    model = resolved.effective_model
    price = None if model is None or resolved.preset is not None else model.completion_price
    if settings.kind == IMAGE or not isinstance(price, Decimal):
        return reserve_usd
    tokens = min(settings.max_tokens or USEFUL_TOKENS, USEFUL_TOKENS)
    return price * tokens / TOKENS_PER_PRICE


def _low(
    field: str,
    caps: UserLimits | LimitsOverride | FeatureLimits | Ceiling,
    least_usd: Decimal,
    what: str,
) -> Iterator[Finding]:
    for name, cap in (("usdPerDay", caps.usd_per_day), ("usdPerMonth", caps.usd_per_month)):
        if cap is not None and 0 < cap < least_usd:
            message = (
                f"{what} reserves ${least_usd.normalize():f}, more than {field}.{name} allows, so "
                "it is refused."
            )
            yield Finding(f"{field}.{name}", REASON, message)
