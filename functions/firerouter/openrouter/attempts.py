"""The attempts to get an answer. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from .file_annotations import FileAnnotations

OnId = Callable[[], None]  # called when OpenRouter's id of an attempt is known
OnRetry = Callable[[str, str], Awaitable[None]]  # the next model, and why the last attempt failed


@dataclass(slots=True)
class Attempt:
    """One request to one model.

    Attributes:
        model: The model.
        upstream_id: OpenRouter's id, once it is known.
        reason: Why the attempt failed, if it did.
        key_version: The version of the key that it was last sent with, which can look up the id.
    """

    model: str
    upstream_id: str | None = None
    reason: str | None = None
    key_version: int | None = None


@dataclass(slots=True)
class AttemptLog:
    """All attempts of one generation, in order. Only `OpenRouter` adds to them.

    Attributes:
        attempts: The attempts.
        file_annotations: OpenRouter's annotations of the generation's files, from earlier messages
            or from attempts that failed.
    """

    attempts: list[Attempt] = field(default_factory=list)
    file_annotations: FileAnnotations = field(default_factory=FileAnnotations)
