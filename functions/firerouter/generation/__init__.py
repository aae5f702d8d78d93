"""Generations: prompts, comparisons and embeddings, from the request to the settled entry."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .allowance import AllowanceCallable
    from .answer import Answerer
    from .cache import ResponseCache
    from .comparison import ModelComparison
    from .embeddings import EmbeddingExecution
    from .execution import PromptExecution
    from .helper_model import HelperModel
    from .limits import GenerationLimits
    from .preparation import RequestBuilder
    from .reconciler import Reconciler
    from .user_caps import UserCaps
else:
    __getattr__ = lazily(
        __name__,
        {
            "allowance": ("AllowanceCallable",),
            "answer": ("Answerer",),
            "cache": ("ResponseCache",),
            "comparison": ("ModelComparison",),
            "embeddings": ("EmbeddingExecution",),
            "execution": ("PromptExecution",),
            "helper_model": ("HelperModel",),
            "limits": ("GenerationLimits",),
            "preparation": ("RequestBuilder",),
            "reconciler": ("Reconciler",),
            "user_caps": ("UserCaps",),
        },
    )

__all__ = (
    "AllowanceCallable",
    "Answerer",
    "EmbeddingExecution",
    "GenerationLimits",
    "HelperModel",
    "ModelComparison",
    "PromptExecution",
    "Reconciler",
    "RequestBuilder",
    "ResponseCache",
    "UserCaps",
)
