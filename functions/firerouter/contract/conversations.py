"""The requests of the callables for stored conversations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from .. import limits
from .base import Record
from .fields import OwnId, invalid_part, not_blank


class UpdateConversation(Record):
    """Give a conversation another title, or choose another path through its messages."""

    conversation_id: OwnId
    """The conversation."""
    title: (
        Annotated[str, Field(max_length=limits.TITLE_MAX_CHARS), AfterValidator(not_blank)] | None
    ) = None
    """Its new title."""
    message_id: OwnId | None = None
    """The message at which the chosen path ends from now on."""

    @model_validator(mode="after")
    def _some_change(self) -> UpdateConversation:
        if self.title is None and self.message_id is None:
            raise invalid_part("title", "or messageId is required")
        return self


class DeleteConversation(Record):
    """Delete a conversation and everything in it.

    The files of its messages and the text of its answers in the ledger and the response cache are
    deleted too. It is gone for every call at once; a deletion that was interrupted is finished by
    calling again.
    """

    conversation_id: OwnId
    """The conversation."""


class ExportConversation(Record):
    """Get a whole conversation as JSON, or its chosen path as Markdown. A long one comes in pages
    of some megabytes."""

    conversation_id: OwnId
    """The conversation."""
    format: Literal["json", "markdown"] = "json"
    """`json`: every message of every branch. `markdown`: the chosen path as text."""
    page_token: Annotated[str, Field(max_length=limits.PAGE_TOKEN_MAX_CHARS)] | None = None
    """The `nextPageToken` of the page before. Default: the first page."""
