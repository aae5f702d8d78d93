"""OpenRouter, and nothing else, behind one door. The only home of openai and tenacity."""

from .account import KeyReport
from .answer import Answer, Delta
from .client import Attempt, ChatRequest, OpenRouter, Tries
from .usage import Usage, nano_usd, total
from .watch import Interrupted, Watch

__all__ = [
    "Answer",
    "Attempt",
    "ChatRequest",
    "Delta",
    "Interrupted",
    "KeyReport",
    "OpenRouter",
    "Tries",
    "Usage",
    "Watch",
    "nano_usd",
    "total",
]
