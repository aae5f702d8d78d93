"""A stop as it is written to an entry, for the instance that runs the generation. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .malformed import text_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A user's request to stop a generation, as it is written to the entry.

    Attributes:
        by: The uid of the user who stopped it.
        instance: The instance that was running the generation.
        comparison: The id of the comparison that was stopped with it, if any.
    """

    by: str | None = None
    instance: str | None = None
    comparison: str | None = None

    @classmethod
    def from_document(cls, document: object) -> Stop:
        fields = document if isinstance(document, Mapping) else {}
        return cls(
            by=text_of(fields.get("by")),
            instance=text_of(fields.get("instance")),
            comparison=text_of(fields.get("comparison")),
        )

    def to_document(self) -> dict[str, object]:
        comparison = {} if self.comparison is None else {"comparison": self.comparison}
        return {"by": self.by, "instance": self.instance, **comparison}
