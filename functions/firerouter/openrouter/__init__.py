"""OpenRouter: requests, retries, streams, and what its failures mean.

Only this package imports openai. Nothing here knows about Firestore, features or the ledger.
"""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .answer import HEARTBEAT, Answer, Delta, DeltaKind
    from .attempts import Attempt, AttemptLog, OnId, OnRetry
    from .citations import Citation
    from .client import OpenRouter
    from .deadline import Cause, Deadline, Interrupted
    from .embeddings import Embeddings, Form, Vector, convert_vector, dimensions_of
    from .file_annotations import FileAnnotations
    from .images import ReceivedImage
    from .key_report import KeyReport
    from .limits import OpenRouterLimits
    from .requests import ChatRequest, EmbeddingsRequest, ImagesRequest, upstream_messages
    from .response import UpstreamResponse
    from .stream import AnswerStream
    from .usage import Usage, nano_usd, total
else:
    __getattr__ = lazily(
        __name__,
        {
            "answer": (
                "Answer",
                "Delta",
                "DeltaKind",
                "HEARTBEAT",
            ),
            "attempts": (
                "Attempt",
                "AttemptLog",
                "OnId",
                "OnRetry",
            ),
            "citations": ("Citation",),
            "client": ("OpenRouter",),
            "deadline": (
                "Cause",
                "Deadline",
                "Interrupted",
            ),
            "embeddings": (
                "Embeddings",
                "Form",
                "Vector",
                "convert_vector",
                "dimensions_of",
            ),
            "file_annotations": ("FileAnnotations",),
            "images": ("ReceivedImage",),
            "key_report": ("KeyReport",),
            "limits": ("OpenRouterLimits",),
            "requests": (
                "ChatRequest",
                "EmbeddingsRequest",
                "ImagesRequest",
                "upstream_messages",
            ),
            "response": ("UpstreamResponse",),
            "stream": ("AnswerStream",),
            "usage": (
                "Usage",
                "nano_usd",
                "total",
            ),
        },
    )

__all__ = (
    "HEARTBEAT",
    "Answer",
    "AnswerStream",
    "Attempt",
    "AttemptLog",
    "Cause",
    "ChatRequest",
    "Citation",
    "Deadline",
    "Delta",
    "DeltaKind",
    "Embeddings",
    "EmbeddingsRequest",
    "FileAnnotations",
    "Form",
    "ImagesRequest",
    "Interrupted",
    "KeyReport",
    "OnId",
    "OnRetry",
    "OpenRouter",
    "OpenRouterLimits",
    "ReceivedImage",
    "UpstreamResponse",
    "Usage",
    "Vector",
    "convert_vector",
    "dimensions_of",
    "nano_usd",
    "total",
    "upstream_messages",
)
