"""Why a key that OpenRouter knows can't answer anything. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ..contract import KeyState
from ..errors import KeyLimitReached, ManagementKey
from ..openrouter import KeyReport

NOTHING_LEFT = (
    "Nothing is left of this key's limit, so it can't answer anything. Raise its limit at "
    "openrouter.ai/settings/keys, or use another key."
)


@dataclass(frozen=True, slots=True)
class KeyFault:
    """What is wrong with a key.

    Attributes:
        state: What `list_keys` calls it.
        error: What storing the key fails with.
        message: One sentence for admins.
    """

    state: KeyState
    error: type[ManagementKey] | type[KeyLimitReached]
    message: str


def fault_of(report: KeyReport) -> KeyFault | None:
    """Return why a key can't be used, given what OpenRouter reports; None if it can."""
    if report.is_management_key:
        return KeyFault("management", ManagementKey, ManagementKey.admin_sentence)
    remaining = report.limit_remaining_usd
    if remaining is not None and remaining <= 0:
        return KeyFault("spent", KeyLimitReached, NOTHING_LEFT)
    return None
