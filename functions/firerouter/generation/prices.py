"""What each attempt costs, and what all of them cost together. Pure.

    free, or never begun (refused by an HTTP error, never connected)   nothing
    reported by OpenRouter                                             what was reported
      but implausibly high                                             an estimate, and suspect
    begun, and nothing reported: stopped, silent, cut, empty           an estimate

An estimate is computed from what was sent and generated, at the catalog's prices when the request
was prepared. It stands until the reconciler has looked up the cost at OpenRouter (`GET
/generation`). Without an id it cannot be looked up, so such an attempt counts at its worst case.
Anything without a price counts as `reserveUsd` of the app's limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final, cast

from .. import limits
from ..contract import NANO_PER_USD, CostDetails, DocumentPart, Usage
from ..ledger import AttemptRecord, Cost, cost_of_all
from ..models import CHARS_PER_TOKEN, TOKENS_PER_PRICE, Resolved, is_free
from ..openrouter import (
    Attempt,
    ChatRequest,
    EmbeddingsRequest,
    nano_usd,
    total,
)
from ..openrouter import Usage as Reported
from .prompts import count_chars

# A reported cost is suspect if it exceeds both of these
SUSPECT_TIMES: Final = 3  # times the worst case of the attempt
SUSPECT_OVER_NANO_USD: Final = NANO_PER_USD // 10  # above that worst case
# If it also exceeds this, it is absurd: the worst case is held until the cost has been looked up
ABSURD_OVER_NANO_USD: Final = NANO_PER_USD  # above the worst case
DOCUMENT_MAX_USD: Final = Decimal(2)  # allowed per PDF as well: 1,000 pages that OpenRouter parses
DEAREST_PRICE: Final = Decimal(1_000)  # US dollars per million tokens, if the price is not known
WORST_PROMPT_TIMES: Final = 4  # times the estimated tokens: one token per character

ANSWERED: Final = (None, "stopped")  # the `reason` of attempts that did not fail


# -- prices ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """What a model charges.

    Attributes:
        prompt: US dollars per million prompt tokens; None if not known.
        completion: US dollars per million completion tokens; None if not known.
        long_tokens: How many prompt tokens it takes for the prices below; None if they never apply.
        long_prompt: US dollars per million tokens of such a long prompt.
        long_completion: US dollars per million completion tokens after it.
        is_free: Whether it is never billed.
        searches: Whether each request is billed for a web search as well.
        context_tokens: The size of its context: prompt and completion.
        completion_tokens: The most tokens that it can generate.
    """

    prompt: Decimal | None = None
    completion: Decimal | None = None
    is_free: bool = False
    searches: bool = False
    context_tokens: int | None = None
    completion_tokens: int | None = None
    long_tokens: int | None = None
    long_prompt: Decimal | None = None
    long_completion: Decimal | None = None

    @classmethod
    def of(cls, resolved: Resolved) -> ModelPrice:
        """Return the price of a model as the catalog has it now."""
        model = resolved.effective_model
        if resolved.free or model is None:
            return cls(is_free=resolved.free)
        prompt, completion = model.prompt_price, model.completion_price
        known = isinstance(prompt, Decimal) and isinstance(completion, Decimal)
        if resolved.preset is not None or (known and not prompt and not completion):
            known = False  # a preset may use any model; what costs nothing by the token may still
        return cls(
            prompt=_decimal(prompt) if known else None,
            completion=_decimal(completion) if known else None,
            searches="online" in resolved.suffixes,
            context_tokens=model.context_length,
            completion_tokens=model.max_completion_tokens,
            long_tokens=model.long_prompt_tokens if known else None,
            long_prompt=_decimal(model.long_prompt_price),
            long_completion=_decimal(model.long_completion_price),
        )

    def at(self, prompt_tokens: int) -> tuple[Decimal | None, Decimal | None]:
        """Return what a million tokens cost that it reads, of so many, and that it writes."""
        if self.long_tokens is not None and prompt_tokens >= self.long_tokens:
            return self.long_prompt, self.long_completion
        return self.prompt, self.completion


def _decimal(price: object) -> Decimal | None:
    return price if isinstance(price, Decimal) else None


@dataclass(frozen=True, slots=True)
class Prices:
    """All prices that one generation may need, as they were when it was prepared.

    Attributes:
        reserve_usd: Stands in for a price that is not known.
        models: The price of each model that may be called.
        extras: How many of OpenRouter's tools and plugins may be billed besides the model.
        parses_documents: Whether OpenRouter may bill for reading PDFs.
    """

    reserve_usd: Decimal
    models: Mapping[str, ModelPrice] = field(default_factory=dict)
    extras: int = 0
    parses_documents: bool = False

    def of(self, model: str) -> ModelPrice:
        return self.models.get(model) or ModelPrice(is_free=is_free(model))

    def for_helper(self) -> Prices:
        """Return the prices of a helper model's calls, which use neither tools nor files."""
        return replace(self, extras=0, parses_documents=False)


# -- one attempt -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AttemptCost:
    """What one attempt costs.

    Attributes:
        nano_usd: The whole cost.
        byok_nano_usd: The part that a provider billed to the owner's own key.
        is_estimate: Whether OpenRouter has not reported the cost, or what it reported is suspect.
        is_suspect: Whether what OpenRouter reported is implausibly high.
    """

    nano_usd: int = 0
    byok_nano_usd: int = 0
    is_estimate: bool = False
    is_suspect: bool = False


def cost_of(attempt: Attempt, prices: Prices) -> AttemptCost:
    """Return what an attempt that has ended costs."""
    usage = attempt.usage
    if usage is not None and usage.cost_nano_usd is not None:
        return _believed(usage.cost_nano_usd, usage.byok_nano_usd, attempt, prices)
    if not may_be_billed(attempt):
        return AttemptCost()
    price, surcharge = prices.of(attempt.model), _surcharge(attempt, prices)
    if price.is_free:
        return AttemptCost(nano_usd(surcharge), is_estimate=True) if surcharge else AttemptCost()
    if attempt.upstream_id is None:
        return AttemptCost(nano_usd(_worst_usd(attempt, prices)), is_estimate=True)
    images = _images(attempt)
    by_token = _token_usd(price, _spent(attempt, price))
    if by_token is None:
        cost = prices.reserve_usd * max(1, images)
    else:
        cost = max(by_token, prices.reserve_usd * images)
    return AttemptCost(nano_usd(cost + surcharge), is_estimate=True)


def may_be_billed(attempt: Attempt) -> bool:
    """Return whether OpenRouter may charge for an attempt although it has not reported a cost."""
    return attempt.accepted or attempt.sent


def tokens_of(attempt: Attempt) -> Reported:
    """Return the tokens of an attempt: as reported, or else estimated from its texts."""
    usage = attempt.usage
    if not may_be_billed(attempt) and usage is None:
        return Reported()
    sent, written = _sent_tokens(attempt), _written_tokens(attempt)
    if usage is None:
        return Reported(sent, written)
    # a reported 0 is wrong if there was text
    return replace(
        usage,
        prompt_tokens=usage.prompt_tokens or sent,
        completion_tokens=usage.completion_tokens or written,
    )


def _believed(reported: int, byok: int, attempt: Attempt, prices: Prices) -> AttemptCost:
    """Return a reported cost; mark it as suspect if the attempt can hardly have cost that much.

    Until it has been looked up, a suspect cost that may be true counts as reported. An absurd one
    counts as the worst case, because it would exhaust every budget at once.
    """
    if reported <= SUSPECT_OVER_NANO_USD:  # as most are, which saves computing the worst case
        return AttemptCost(reported, byok)
    worst = nano_usd(_worst_usd(attempt, prices, prices_unknown=DEAREST_PRICE))
    if reported <= max(SUSPECT_TIMES * worst, worst + SUSPECT_OVER_NANO_USD):
        return AttemptCost(reported, byok)
    documents = nano_usd(DOCUMENT_MAX_USD) * _documents(attempt, prices)
    held = reported if reported <= worst + ABSURD_OVER_NANO_USD + documents else worst
    return AttemptCost(held, min(byok, held), is_estimate=True, is_suspect=True)


def _worst_usd(
    attempt: Attempt, prices: Prices, *, prices_unknown: Decimal | None = None
) -> Decimal:
    """Return what an attempt may cost at most, in US dollars.

    Args:
        attempt: The attempt.
        prices: All prices.
        prices_unknown: The price per million tokens to assume for a model whose price is not
            known; by default, an attempt with such a model counts as `reserveUsd`.
    """
    price, surcharge = prices.of(attempt.model), _surcharge(attempt, prices)
    if price.is_free:
        return surcharge
    images = prices.reserve_usd * _images(attempt)
    if price.prompt is None and prices_unknown is not None:
        spent = tokens_of(attempt)
        tokens = spent.prompt_tokens + spent.completion_tokens
        by_token = prices_unknown * tokens / TOKENS_PER_PRICE
        return max(by_token, prices.reserve_usd, images) + surcharge
    by_token = _token_usd(price, _most(attempt, price)) or prices.reserve_usd
    return max(by_token, images) + surcharge


def _token_usd(price: ModelPrice, tokens: Reported) -> Decimal | None:
    """Return what tokens cost, in US dollars; None if the price is not known."""
    prompt_price, completion_price = price.at(tokens.prompt_tokens)
    if prompt_price is None or completion_price is None:
        return None
    prompt, completion = tokens.prompt_tokens, tokens.completion_tokens
    return (prompt_price * prompt + completion_price * completion) / TOKENS_PER_PRICE


def _spent(attempt: Attempt, price: ModelPrice) -> Reported:
    """Return the tokens of an attempt, but no more than its model can have processed."""
    spent, most = tokens_of(attempt), _most(attempt, price)
    return Reported(
        min(spent.prompt_tokens, price.context_tokens or spent.prompt_tokens),
        min(spent.completion_tokens, most.completion_tokens),
    )


def _most(attempt: Attempt, price: ModelPrice) -> Reported:
    """Return the most tokens that an attempt can have used."""
    spent = tokens_of(attempt)
    prompt = max(spent.prompt_tokens, WORST_PROMPT_TIMES * _sent_tokens(attempt))
    request = attempt.request
    if isinstance(request, EmbeddingsRequest):
        completion = 0
    else:
        wanted = request.parameters.get("max_tokens") if request else None
        own = price.completion_tokens or price.context_tokens or limits.ANSWER_MAX_TOKENS
        completion = wanted if isinstance(wanted, int) and wanted > 0 else own
    return Reported(min(prompt, price.context_tokens or prompt), completion)


def _sent_tokens(attempt: Attempt) -> int:
    request = attempt.request
    if isinstance(request, EmbeddingsRequest):
        return sum(map(len, request.inputs)) // CHARS_PER_TOKEN
    return sum(map(count_chars, request.messages)) // CHARS_PER_TOKEN if request else 0


def _written_tokens(attempt: Attempt) -> int:
    return attempt.answer.chars // CHARS_PER_TOKEN if attempt.answer else 0


def _images(attempt: Attempt) -> int:
    """Return how many images may be billed."""
    request, answer = attempt.request, attempt.answer
    made = answer.images.count if answer else 0
    wanted = request.image_count if isinstance(request, ChatRequest) and request.wants_images else 0
    return max(made, wanted)


def _documents(attempt: Attempt, prices: Prices) -> int:
    """Return how many PDFs OpenRouter may bill for reading."""
    request = attempt.request
    if not prices.parses_documents or not isinstance(request, ChatRequest):
        return 0
    return sum(
        isinstance(part, DocumentPart) for message in request.messages for part in message.parts
    )


def _surcharge(attempt: Attempt, prices: Prices) -> Decimal:
    """Return what may be billed besides the model, in US dollars."""
    searches = prices.of(attempt.model).searches
    return prices.reserve_usd * (prices.extras + searches + _documents(attempt, prices))


# -- all attempts ----------------------------------------------------------------------------------


def records_of(
    attempts: Iterable[Attempt],
    prices: Prices,
    *,
    purpose: str | None = None,
    ended: bool = True,
) -> list[AttemptRecord]:
    """Return attempts as the ledger stores them.

    Args:
        attempts: The attempts.
        prices: What they are priced at.
        purpose: What a helper model's calls were for: "title" or "summary".
        ended: Whether all of them have ended. If not, only failed ones have a cost yet.
    """
    return [
        _record(attempt, prices, purpose, ended=ended or attempt.reason is not None)
        for attempt in attempts
    ]


def _record(attempt: Attempt, prices: Prices, purpose: str | None, *, ended: bool) -> AttemptRecord:
    record = AttemptRecord(
        model=attempt.model,
        upstream_id=attempt.upstream_id,
        reason=attempt.reason,
        upstream_reason=attempt.upstream_reason,
        key_version=attempt.key_version,
        purpose=purpose,
    )
    if not ended:
        return record
    cost = cost_of(attempt, prices)
    record = replace(
        record,
        cost_nano_usd=cost.nano_usd,
        byok_nano_usd=cost.byok_nano_usd,
        is_estimate=cost.is_estimate,
        is_suspect=cost.is_suspect,
    )
    if not cost.is_estimate:
        return record
    tokens = tokens_of(attempt)
    return replace(
        record, prompt_tokens=tokens.prompt_tokens, completion_tokens=tokens.completion_tokens
    )


def tokens_of_all(attempts: Iterable[Attempt]) -> Reported:
    """Return the tokens of all attempts together."""
    return total(map(tokens_of, attempts))


def usage_of(
    tokens: Mapping[str, object], records: Sequence[AttemptRecord], cost: Cost | None = None
) -> Usage:
    """Return the `usage` of a result.

    Args:
        tokens: Its tokens, as a result has them.
        records: All attempts, a helper model's included.
        cost: The whole cost, if that is more than the sum of the attempts.
    """
    cost, details = cost or cost_of_all(records), _cost_details(records)
    fields: dict[str, object] = {"cost": cost.nano_usd / NANO_PER_USD}
    if cost.is_estimate:
        fields["costIsEstimate"] = True
    if details.keys() != {"answer"}:
        fields["costDetails"] = details
    return cast(Usage, {**tokens, **fields})


def _cost_details(records: Sequence[AttemptRecord]) -> CostDetails:
    """Return the cost of each part of a generation; parts that cost nothing are left out."""
    parts = dict.fromkeys(("answer", "failedAttempts", "helper", "byok"), 0)
    for record in records:
        part = "answer" if record.reason in ANSWERED else "failedAttempts"
        parts["helper" if record.purpose else part] += record.cost_nano_usd or 0
        parts["byok"] += record.byok_nano_usd
    shown = {name: cost / NANO_PER_USD for name, cost in parts.items() if cost or name == "answer"}
    return cast(CostDetails, shown)
