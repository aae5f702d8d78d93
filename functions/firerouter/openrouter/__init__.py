"""OpenRouter, and nothing else, behind one door. The only home of openai and tenacity."""

from .account import KeyReport
from .answer import Answer, Delta
from .client import OpenRouter
from .embeddings import Form, Vector, dimensions_of, shaped
from .requests import ChatRequest, EmbeddingsRequest, ImagesRequest
from .tries import Attempt, Tries
from .usage import Usage, nano_usd, total
from .watch import Interrupted, Watch

__all__ = [
    "Answer",
    "Attempt",
    "ChatRequest",
    "Delta",
    "EmbeddingsRequest",
    "Form",
    "ImagesRequest",
    "Interrupted",
    "KeyReport",
    "OpenRouter",
    "Tries",
    "Usage",
    "Vector",
    "Watch",
    "dimensions_of",
    "nano_usd",
    "shaped",
    "total",
]
