"""What has been tried to get an answer. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from .file_annotations import FileAnnotations

OnId = Callable[[], None]  # called when OpenRouter's id of a try is known
OnRetry = Callable[[str, str], Awaitable[None]]  # the next model, and why another try is needed


@dataclass(slots=True)
class Attempt:
    """One try.

    Args:
        model: The model that was asked.
        upstream_id: OpenRouter's id, once it is known.
        reason: Why it failed, if it did.
        key_version: Of the key that it was last made with, which can look the id up.
    """

    model: str
    upstream_id: str | None = None
    reason: str | None = None
    key_version: int | None = None


@dataclass(slots=True)
class AttemptLog:
    """All tries of one generation, in order. Only `OpenRouter` adds to them.

    Args:
        attempts: The tries.
        file_annotations: What was read of the generation's files before, or for a try that failed.
    """

    attempts: list[Attempt] = field(default_factory=list)
    file_annotations: FileAnnotations = field(default_factory=FileAnnotations)
