"""OpenRouter, and nothing else, behind one door. The only home of openai and tenacity."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .answer import Answer, Delta
    from .client import OpenRouter
    from .deadline import Deadline, Interrupted
    from .embeddings import Form, Vector, dimensions_of, shaped
    from .key_report import KeyReport
    from .requests import ChatRequest, EmbeddingsRequest, ImagesRequest, upstream_messages
    from .retry import AttemptLog
    from .usage import Usage, nano_usd, total

__all__ = (
    "Answer",
    "AttemptLog",
    "ChatRequest",
    "Deadline",
    "Delta",
    "EmbeddingsRequest",
    "Form",
    "ImagesRequest",
    "Interrupted",
    "KeyReport",
    "OpenRouter",
    "Usage",
    "Vector",
    "dimensions_of",
    "nano_usd",
    "shaped",
    "total",
    "upstream_messages",
)
__getattr__ = lazily(
    __name__,
    {
        "answer": (
            "Answer",
            "Delta",
        ),
        "client": ("OpenRouter",),
        "deadline": (
            "Deadline",
            "Interrupted",
        ),
        "embeddings": (
            "Form",
            "Vector",
            "dimensions_of",
            "shaped",
        ),
        "key_report": ("KeyReport",),
        "requests": (
            "ChatRequest",
            "EmbeddingsRequest",
            "ImagesRequest",
            "upstream_messages",
        ),
        "retry": ("AttemptLog",),
        "usage": (
            "Usage",
            "nano_usd",
            "total",
        ),
    },
)
