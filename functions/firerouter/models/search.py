"""The use case `get_available_models`."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any

from ..callable import Call
from ..contract import GetAvailableModels, parse
from ..errors import InvalidArgument
from ..users import Caller
from .catalog import Catalog
from .model import Model, Price


class ModelSearch:
    """What of the catalog a caller asks for, page by page."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def get_available_models(self, call: Call[Caller]) -> dict[str, Any]:
        """`{models, nextPageToken?, total, generation, ageSeconds, stale}`.

        Raises CallableError.
        """
        asked = parse(GetAvailableModels, call.data if call.data is not None else {})
        token = None if asked.page_token is None else _read_token(asked)
        known = await self._catalog.get()
        models = ordered(matching(known.models, asked), asked.sort)
        begin = 0 if token is None else _resume(models, *token)
        end = begin + asked.page_size
        page: dict[str, Any] = {
            "models": [known.to_wire(model) for model in models[begin:end]],
            "total": len(models),
            "generation": known.generation,
            "ageSeconds": self._catalog.age_seconds(known),
            "stale": self._catalog.is_stale(known),
        }
        if end < len(models):
            page["nextPageToken"] = _token(asked, end, models[end - 1].id)
        return page


def matching(models: Sequence[Model], asked: GetAvailableModels) -> list[Model]:
    """The models that pass every filter. Those of the batch API are no use to a chat: left out."""
    words = asked.search.lower().split()
    capabilities = frozenset(asked.capabilities)
    provider = asked.provider.lower() if asked.provider is not None else None
    min_context = asked.min_context or 0
    max_prompt, max_completion = _usd(asked.max_prompt_price), _usd(asked.max_completion_price)
    return [
        model
        for model in models
        if model.variant != "batch"
        and (provider is None or model.provider.lower() == provider)
        and (asked.free is None or model.free is asked.free)
        and capabilities.issubset(model.capabilities)
        and (model.context_length or 0) >= min_context
        and (asked.output_modality is None or asked.output_modality in model.output_modalities)
        and (max_prompt is None or _within(model.prompt_price, max_prompt))
        and (max_completion is None or _within(model.completion_price, max_completion))
        and (not words or _says(model, words))
    ]


def ordered(models: Sequence[Model], sort: str) -> list[Model]:
    """By what `sort` names; what does not have it comes last, and equals go by their ids."""
    by_id = sorted(models, key=attrgetter("id"))
    if sort == "price":
        return sorted(by_id, key=_total_price)
    if sort == "context":
        return sorted(by_id, key=lambda model: -(model.context_length or 0))
    if sort == "newest":
        return sorted(by_id, key=lambda model: -(model.created or 0))
    return sorted(by_id, key=lambda model: model.name.casefold())


def _says(model: Model, words: Sequence[str]) -> bool:
    text = f"{model.id}\n{model.name}\n{model.description}".lower()
    return all(word in text for word in words)


def _usd(price: float | None) -> Decimal | None:
    return None if price is None else Decimal(str(price))  # as it was written, not as it is stored


def _within(price: Price, most: Decimal) -> bool:
    """A price that depends on what is asked, or is not known, is within nothing."""
    return isinstance(price, Decimal) and price <= most


def _total_price(model: Model) -> tuple[bool, Decimal]:
    prompt, completion = model.prompt_price, model.completion_price
    if isinstance(prompt, Decimal) and isinstance(completion, Decimal):
        return False, prompt + completion
    return True, Decimal(0)


# -- page tokens: opaque to clients, good for the same question alone ------------------------------


def _token(asked: GetAvailableModels, end: int, last_id: str) -> str:
    text = json.dumps([_question(asked), end, last_id], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_token(asked: GetAvailableModels) -> tuple[int, str]:
    """(where the page begins, the id before it). Raises InvalidArgument."""
    text = asked.page_token or ""
    try:
        token = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, RecursionError):
        token = None
    match token:
        case [str(question), int(begin), str(last_id)] if question == _question(asked):
            return begin, last_id
        case [str(), int(), str()]:
            raise InvalidArgument(
                "pageToken belongs to other filters: leave it out to start again.",
                field="pageToken",
            )
    raise InvalidArgument("pageToken must be a nextPageToken of this call.", field="pageToken")


def _question(asked: GetAvailableModels) -> str:
    """Tells questions apart. The size of a page may change on the way."""
    text = asked.model_dump_json(exclude={"page_size", "page_token"})
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _resume(models: Sequence[Model], begin: int, last_id: str) -> int:
    """Where the page begins in this list, which may be newer than the token's."""
    for at, model in enumerate(models):
        if model.id == last_id:
            return at + 1
    return min(max(begin, 0), len(models))
