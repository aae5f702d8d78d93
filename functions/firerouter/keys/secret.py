"""A key that can't be printed by accident. Pure."""

from __future__ import annotations

from typing import Final, NoReturn

LAST_FOUR_FROM_CHARS: Final = 12  # four characters of a shorter key would reveal too much


class Secret:
    """A string that never shows up in a repr, a log line, a formatted string or a pickle.

    Attributes:
        version: The number of its version in Secret Manager; None if it is not stored there.
    """

    __slots__ = ("_value", "version")

    def __init__(self, value: str, version: int | None = None) -> None:
        self._value = value
        self.version = version

    def reveal(self) -> str:
        """Return the string itself. Only what sends or stores the key may call this."""
        return self._value

    @property
    def last_four(self) -> str:
        """The last four characters, to tell keys apart; empty for a short key."""
        return self._value[-4:] if len(self._value) >= LAST_FOUR_FROM_CHARS else ""

    def __repr__(self) -> str:
        return "Secret(****)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be serialized")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)
