"""What each attempt costs, and what all of them come to. Pure.

    free, or never begun (refused by an HTTP error, never connected)   nothing
    reported by OpenRouter                                             what was reported
      out of all proportion                                            an estimate, and suspect
    begun, and nothing reported: stopped, silent, cut, empty           an estimate

An estimate is priced from what was sent and written, at the prices of the catalog as they were when
the request was prepared, until the reconciler has asked OpenRouter (`GET /generation`). Without an
id nobody can ask, so that an attempt counts as if it had been written to its end. What has no price
counts as `reserveUsd` of the app's limits.
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

# A reported cost is out of proportion if it is over both of these
SUSPECT_TIMES: Final = 3  # the worst case of the attempt
SUSPECT_OVER_NANO_USD: Final = NANO_PER_USD // 10  # above that worst case
# and it is so high that it is not even held until it has been looked up, if it is over this
ABSURD_OVER_NANO_USD: Final = NANO_PER_USD  # above the worst case
DOCUMENT_MAX_USD: Final = Decimal(2)  # more for each: 1,000 pages that OpenRouter parses
DEAREST_PRICE: Final = Decimal(1_000)  # of a million tokens, of a model whose price is not known
WORST_PROMPT_TIMES: Final = 4  # the estimated tokens of a prompt: a token for each character

ANSWERED: Final = (None, "stopped")  # the `reason` of attempts that did not fail


# -- prices ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """What a model charges.

    Attributes:
        prompt: US dollars for a million tokens that it reads; None if that is not known.
        completion: Likewise, for tokens that it writes.
        is_free: It is never billed.
        searches: Each request is billed for a search of the web as well.
        context_tokens: The most that it can read and write.
        completion_tokens: The most that it can write.
    """

    prompt: Decimal | None = None
    completion: Decimal | None = None
    is_free: bool = False
    searches: bool = False
    context_tokens: int | None = None
    completion_tokens: int | None = None

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
            prompt=prompt if known and isinstance(prompt, Decimal) else None,
            completion=completion if known and isinstance(completion, Decimal) else None,
            searches="online" in resolved.suffixes,
            context_tokens=model.context_length,
            completion_tokens=model.max_completion_tokens,
        )


@dataclass(frozen=True, slots=True)
class Prices:
    """All prices that one generation may need, as they were when it was prepared.

    Attributes:
        reserve_usd: What stands in for a price that is not known.
        models: The price of each model that may be asked.
        extras: How many of OpenRouter's tools and plugins may be billed beside the model.
        parses_documents: OpenRouter may bill what it reads of PDFs.
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
        nano_usd: All of it.
        byok_nano_usd: The part that a provider billed to a key of the owner's own.
        is_estimate: OpenRouter has not said it, or is not believed.
        is_suspect: What OpenRouter said is out of all proportion.
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
    """Return whether OpenRouter may charge for an attempt of which it has not said so."""
    return attempt.accepted or attempt.sent


def tokens_of(attempt: Attempt) -> Reported:
    """Return the tokens of an attempt: what was reported, else what was sent and written."""
    usage = attempt.usage
    if not may_be_billed(attempt) and usage is None:
        return Reported()
    sent, written = _sent_tokens(attempt), _written_tokens(attempt)
    if usage is None:
        return Reported(sent, written)
    # what it counts as nothing, though there was something, was nonsense
    return replace(
        usage,
        prompt_tokens=usage.prompt_tokens or sent,
        completion_tokens=usage.completion_tokens or written,
    )


def _believed(reported: int, byok: int, attempt: Attempt, prices: Prices) -> AttemptCost:
    """Return a reported cost, unless it is out of all proportion to what the attempt can cost.

    One that may be true is held all the same until it has been looked up; an absurd one is not, for
    it would lock every budget at once.
    """
    if reported <= SUSPECT_OVER_NANO_USD:  # as most are: no need to look any closer
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
        prices_unknown: The price of a million tokens of a model whose price is not known, to be
            held against what was reported; by default that model counts as `reserveUsd`.
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
    if price.prompt is None or price.completion is None:
        return None
    prompt, completion = tokens.prompt_tokens, tokens.completion_tokens
    return (price.prompt * prompt + price.completion * completion) / TOKENS_PER_PRICE


def _spent(attempt: Attempt, price: ModelPrice) -> Reported:
    """Return the tokens of an attempt, as far as its model can have had so many."""
    spent, most = tokens_of(attempt), _most(attempt, price)
    return Reported(
        min(spent.prompt_tokens, price.context_tokens or spent.prompt_tokens),
        min(spent.completion_tokens, most.completion_tokens),
    )


def _most(attempt: Attempt, price: ModelPrice) -> Reported:
    """Return the most tokens that an attempt can have had."""
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
    """Return how many PDFs OpenRouter may have been paid to read."""
    request = attempt.request
    if not prices.parses_documents or not isinstance(request, ChatRequest):
        return 0
    return sum(
        isinstance(part, DocumentPart) for message in request.messages for part in message.parts
    )


def _surcharge(attempt: Attempt, prices: Prices) -> Decimal:
    """Return what may be billed beside the model, in US dollars."""
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
    """Return attempts as the ledger holds them.

    Args:
        attempts: The attempts.
        prices: What they are priced at.
        purpose: What a helper model's calls were for: "title" or "summary".
        ended: Whether all of them have ended. Else one that has not failed has no cost yet.
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
        cost: What all of it cost, if that is more than the attempts' costs.
    """
    cost, details = cost or cost_of_all(records), _cost_details(records)
    fields: dict[str, object] = {"cost": cost.nano_usd / NANO_PER_USD}
    if cost.is_estimate:
        fields["costIsEstimate"] = True
    if details.keys() != {"answer"}:
        fields["costDetails"] = details
    return cast(Usage, {**tokens, **fields})


def _cost_details(records: Sequence[AttemptRecord]) -> CostDetails:
    """Return what each part of all of it cost; a part that cost nothing is left out."""
    parts = dict.fromkeys(("answer", "failedAttempts", "helper", "byok"), 0)
    for record in records:
        part = "answer" if record.reason in ANSWERED else "failedAttempts"
        parts["helper" if record.purpose else part] += record.cost_nano_usd or 0
        parts["byok"] += record.byok_nano_usd
    shown = {name: cost / NANO_PER_USD for name, cost in parts.items() if cost or name == "answer"}
    return cast(CostDetails, shown)
