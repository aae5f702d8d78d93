"""Files that callers send with a prompt, and the data of `create_upload`."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from .. import limits
from .base import Record
from .media import ContentType


def _file_name(value: str) -> str:
    if not value.strip() or not value.isprintable() or "/" in value or "\\" in value:
        raise PydanticCustomError("file_name", "must be a file's name, without a folder")
    return value


FileName = Annotated[str, Field(max_length=limits.FILE_NAME_MAX_CHARS), AfterValidator(_file_name)]


OWN_PATH: Final = (
    r"(uploads/[0-9a-f]{32}(-[0-9]{1,2})?|images/[0-9a-f]{32}-[0-9]{1,2}\.(png|jpeg|webp|gif))"
)


def _upload_path(value: str) -> str:
    # whole, and nothing but what we hand out: no `..`, no other folder
    if not re.fullmatch(r"users/[^/]{1,400}/" + OWN_PATH, value):
        raise PydanticCustomError("upload_path", "must be a path that create_upload gave")
    return value


class Attachment(Record):
    """A file that goes with a prompt: one that was uploaded, or the bytes themselves in base64.

    content_type, name: of `data` alone; an upload has those that it was begun with.
    """

    path: Annotated[str, AfterValidator(_upload_path)] | None = None
    data: Annotated[str, Field(min_length=1)] | None = None
    content_type: ContentType | None = None
    name: FileName | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Attachment:
        if (self.path is None) == (self.data is None):
            raise PydanticCustomError("source", "must have either path or data")
        if self.path is not None and (self.content_type or self.name):
            raise PydanticCustomError("path", "takes neither contentType nor name beside path")
        if self.data is not None and self.content_type is None:
            raise PydanticCustomError("data", "must have contentType beside data")
        return self


class CreateUpload(Record):
    """The data of `create_upload`: what is going to be uploaded. size: in bytes, exactly."""

    content_type: ContentType
    size: Annotated[int, Field(alias="bytes", ge=1, le=limits.ATTACHMENT_MAX_BYTES)]
    name: FileName | None = None
