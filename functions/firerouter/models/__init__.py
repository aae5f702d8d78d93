"""Models: what OpenRouter offers, and at which price."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .catalog import Catalog
    from .ids import is_free, takes_cache_control
    from .limits import CatalogLimits
    from .model import (
        CHARS_PER_TOKEN,
        ROUTERS,
        Model,
        ModelList,
        Resolved,
    )
    from .pricing import (
        TOKENS_PER_PRICE,
        price_text,
    )
    from .search import ModelSearch
else:
    __getattr__ = lazily(
        __name__,
        {
            "catalog": ("Catalog",),
            "ids": (
                "is_free",
                "takes_cache_control",
            ),
            "limits": ("CatalogLimits",),
            "model": (
                "CHARS_PER_TOKEN",
                "Model",
                "ModelList",
                "ROUTERS",
                "Resolved",
            ),
            "pricing": (
                "TOKENS_PER_PRICE",
                "price_text",
            ),
            "search": ("ModelSearch",),
        },
    )

__all__ = (
    "CHARS_PER_TOKEN",
    "ROUTERS",
    "TOKENS_PER_PRICE",
    "Catalog",
    "CatalogLimits",
    "Model",
    "ModelList",
    "ModelSearch",
    "Resolved",
    "is_free",
    "price_text",
    "takes_cache_control",
)
