"""OpenRouter, and nothing else, behind one door. The only home of openai and tenacity."""

from .account import KeyReport
from .answer import Answer, Delta
from .client import Attempt, ChatRequest, OpenRouter, Tries, is_free
from .usage import NANO_PER_USD, Usage, nano_usd
from .watch import Interrupted, Watch

__all__ = [
    "NANO_PER_USD",
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
    "is_free",
    "nano_usd",
]
