"""A key that cannot print itself."""

from __future__ import annotations

from typing import Final, NoReturn

TOLD_APART_FROM_CHARS: Final = 12


class Secret:
    """A string that does not show in a repr, a log line, a format or a pickle.

    version: which one of the stored secret's it is; None where it is none.
    """

    __slots__ = ("_value", "version")

    def __init__(self, value: str, version: int | None = None) -> None:
        self._value = value
        self.version = version

    def reveal(self) -> str:
        return self._value

    @property
    def last_four(self) -> str:
        """Its end, to tell keys apart; nothing of one so short that this would give it away."""
        return self._value[-4:] if len(self._value) >= TOLD_APART_FROM_CHARS else ""

    def __repr__(self) -> str:
        return "Secret(****)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not to be serialised")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)
