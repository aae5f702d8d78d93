"""The data of the callables for stored conversations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    model_validator,
)
from pydantic_core import PydanticCustomError

from .. import limits
from .base import Record
from .fields import (
    OwnId,
    not_blank,
)


class UpdateConversation(Record):
    """The data of `update_conversation`: its title, or the message that ends the chosen path."""

    conversation_id: OwnId
    title: Annotated[str, Field(max_length=limits.TITLE_MAX_CHARS), AfterValidator(not_blank)] | (
        None
    ) = None
    message_id: OwnId | None = None

    @model_validator(mode="after")
    def _some_change(self) -> UpdateConversation:
        if self.title is None and self.message_id is None:
            raise PydanticCustomError("title", "give title, or messageId, or both")
        return self


class DeleteConversation(Record):
    """The data of `delete_conversation`."""

    conversation_id: OwnId


class ExportConversation(Record):
    """The data of `export_conversation`."""

    conversation_id: OwnId
    format: Literal["json", "markdown"] = "json"
