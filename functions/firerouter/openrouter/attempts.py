"""The attempts to get an answer. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .file_annotations import FileAnnotations

if TYPE_CHECKING:
    from ..keys import Secret
    from .answer import Answer
    from .requests import Request
    from .usage import Usage

OnId = Callable[[], None]  # called when OpenRouter's id of an attempt is known
OnRetry = Callable[[str, str], Awaitable[None]]  # the next model, and why the last attempt failed


@dataclass(slots=True)
class Attempt:
    """One attempt, with what is needed to say what OpenRouter may charge for it.

    Attributes:
        model: The model.
        upstream_id: OpenRouter's id, once it is known.
        reason: Why it failed, if it did.
        key_version: The version of the key that it last used, which can look up the id.
        request: The request.
        sent: The request was sent and not refused, so it may be answered and charged for.
        accepted: OpenRouter has begun to answer. Until then, it charges nothing for a failure.
        answer: The answer so far, if the request is for one.
        vectors_usage: The usage that OpenRouter reported, if the request is for vectors.
        key: The key that it last used.
        upstream_reason: What OpenRouter said of its failure, without keys and prompts.
    """

    model: str
    upstream_id: str | None = None
    reason: str | None = None
    key_version: int | None = None
    request: Request | None = field(default=None, repr=False)
    sent: bool = False
    accepted: bool = False
    answer: Answer | None = field(default=None, repr=False)
    vectors_usage: Usage | None = None
    key: Secret | None = field(default=None, repr=False)
    upstream_reason: str | None = None

    @property
    def usage(self) -> Usage | None:
        """The usage that OpenRouter has reported so far."""
        return self.answer.usage if self.answer is not None else self.vectors_usage


@dataclass(slots=True)
class AttemptLog:
    """All attempts of one generation, in order. Only `OpenRouter` adds to them.

    Attributes:
        attempts: The attempts.
        file_annotations: OpenRouter's annotations of the generation's files, from earlier messages
            or from attempts that failed.
        affordable_tokens: How long the answer may be at most, for the account's credit pays for no
            more; None if it may be as long as it was to be.
    """

    attempts: list[Attempt] = field(default_factory=list)
    file_annotations: FileAnnotations = field(default_factory=FileAnnotations)
    affordable_tokens: int | None = None
