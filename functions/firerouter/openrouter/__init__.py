"""OpenRouter, and nothing else, behind one door. The only home of openai and tenacity."""

from .account import KeyReport
from .answer import Answer, Delta
from .client import BASE_URL, Attempt, ChatRequest, OpenRouter, Tries
from .usage import NANO_PER_USD, Usage, nano_usd
from .watch import Interrupted, Watch

__all__ = [
    "BASE_URL",
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
    "nano_usd",
]
