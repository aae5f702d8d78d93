"""The callable `get_available_models`: the catalog, filtered, sorted and paged."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Final

from ..callable import Call
from ..contract import (
    GetAvailableModels,
    malformed_page_token,
    page_token,
    parse,
    read_page_token,
)
from ..users import Caller
from .catalog import Catalog
from .model import Model
from .pricing import Price

_MODEL_BYTES: Final = 700  # of one on the wire, on average


class ModelSearch:
    """Searches the catalog, page by page."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def get_available_models(self, call: Call[Caller]) -> dict[str, object]:
        """Return `{models, nextPageToken?, total, generation, ageSeconds, stale}`.

        Raises InvalidArgument, CatalogUnavailable, UpstreamError.
        """
        request = parse(GetAvailableModels, call.data)
        begin, last_id = _begin_of(request)
        catalog = await self._catalog.get()
        models = ordered(matching(catalog.models, request), request.sort)
        if last_id is not None:
            begin = _resume(models, begin, last_id)
        end = begin + request.page_size
        call.weigh(size_bytes=_MODEL_BYTES * len(models[begin:end]))
        page: dict[str, object] = {
            "models": [catalog.to_wire(model) for model in models[begin:end]],
            "total": len(models),
            "generation": catalog.generation,
            "ageSeconds": self._catalog.age_seconds(catalog),
            "stale": self._catalog.is_stale(catalog),
        }
        if end < len(models):
            page["nextPageToken"] = page_token(request, end, models[end - 1].id)
        return page


def matching(models: Sequence[Model], request: GetAvailableModels) -> list[Model]:
    """Return the models that match every filter.

    Models of the batch API never match, because no callable can use them.
    """
    words = request.search.lower().split()
    capabilities = frozenset(request.capabilities)
    provider = request.provider.lower() if request.provider is not None else None
    min_context = request.min_context or 0
    max_prompt = _decimal(request.max_prompt_price)
    max_completion = _decimal(request.max_completion_price)
    ids = frozenset(request.ids)
    return [
        model
        for model in models
        if model.variant != "batch"
        and (not ids or not ids.isdisjoint((model.id, model.canonical_slug)))
        and (provider is None or provider in (model.provider.lower(), model.provider_name.lower()))
        and (request.free is None or model.free is request.free)
        and capabilities.issubset(model.capabilities)
        and (model.context_length or 0) >= min_context
        and (request.output_modality is None or request.output_modality in model.output_modalities)
        and (max_prompt is None or _is_at_most(model.prompt_price, max_prompt))
        and (max_completion is None or _is_at_most(model.completion_price, max_completion))
        and (not words or _mentions(model, words))
    ]


def ordered(models: Sequence[Model], sort: str) -> list[Model]:
    """Return the models sorted, equal ones by ID; those without the value come last."""
    by_id = sorted(models, key=attrgetter("id"))
    if sort == "price":
        return sorted(by_id, key=_total_price)
    if sort == "context":
        return sorted(by_id, key=lambda model: -(model.context_length or 0))
    if sort == "newest":
        return sorted(by_id, key=lambda model: -(model.created or 0))
    return sorted(by_id, key=lambda model: model.name.casefold())


def _mentions(model: Model, words: Sequence[str]) -> bool:
    text = f"{model.id}\n{model.canonical_slug}\n{model.name}\n{model.description}".lower()
    return all(word in text for word in words)


def _decimal(price: float | None) -> Decimal | None:
    # from its text: the decimal as written, not the nearest float
    return None if price is None else Decimal(str(price))


def _is_at_most(price: Price, limit: Decimal) -> bool:
    """Return whether a price is low enough; a dynamic or unknown price never is."""
    return isinstance(price, Decimal) and price <= limit


def _total_price(model: Model) -> tuple[bool, Decimal]:
    prompt, completion = model.prompt_price, model.completion_price
    if isinstance(prompt, Decimal) and isinstance(completion, Decimal):
        return False, prompt + completion
    return True, Decimal(0)


def _begin_of(request: GetAvailableModels) -> tuple[int, str | None]:
    """Return where the page begins, and the ID before it. Raises InvalidArgument."""
    match read_page_token(request):
        case []:
            return 0, None
        case [int(begin), str(last_id)]:
            return begin, last_id
    raise malformed_page_token()


def _resume(models: Sequence[Model], begin: int, last_id: str) -> int:
    """Return where the page begins in this list, which may be newer than the token's."""
    for at, model in enumerate(models):
        if model.id == last_id:
            return at + 1
    return min(max(begin, 0), len(models))
