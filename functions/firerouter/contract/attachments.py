"""Files that callers send with a prompt, and the data of `create_upload`."""

from __future__ import annotations

import hashlib
import re
from functools import cached_property
from typing import Annotated, Final

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from .. import limits
from .base import Record
from .fields import one_line
from .media import ContentType, decode_base64, type_problem, usual_type


def _file_name(value: str) -> str:
    if not value.strip() or one_line(value) != value or "/" in value or "\\" in value:
        raise PydanticCustomError("file_name", "must be a file name without a folder")
    return value


SHOWN_MAX_CHARS: Final = 80  # of a file's name in a sentence
FileName = Annotated[str, Field(max_length=limits.FILE_NAME_MAX_CHARS), AfterValidator(_file_name)]


def _usual_type(data: object) -> object:
    """Return the data of a file, its content type by the usual name.

    Raises:
        PydanticCustomError: Such a file can't be attached. The error names the file, because its
            user knows no field.
    """
    if not isinstance(data, dict) or not isinstance(given := data.get("contentType"), str):
        return data
    type_ = usual_type(given)
    if (problem := type_problem(type_)) is not None:
        what = f"{shown_name(data.get('name'))} {problem}."
        raise PydanticCustomError("sentence", "{what}", {"field": "contentType", "what": what})
    return {**data, "contentType": type_}


def shown_name(name: object) -> str:
    """Return what a sentence calls a file: its name, if it has one that can be shown."""
    if not isinstance(name, str) or not name.strip() or one_line(name) != name:
        return "This file"
    return name if len(name) <= SHOWN_MAX_CHARS else f"{name[: SHOWN_MAX_CHARS - 1]}…"


OWN_PATH: Final = (
    r"(uploads/[0-9a-f]{32}(-[0-9]{1,2})?|images/[0-9a-f]{32}-[0-9]{1,2}\.(png|jpeg|webp|gif))"
)


def _upload_path(value: str) -> str:
    # the entire path, and only one that we issue: no `..`, no other folder
    if not re.fullmatch(r"users/[^/]{1,400}/" + OWN_PATH, value):
        raise PydanticCustomError("upload_path", "must be a path returned by create_upload")
    return value


class Attachment(Record):
    """A file that is attached to a prompt: an upload, or the bytes themselves in base64."""

    path: Annotated[str, AfterValidator(_upload_path)] | None = None
    """The path of an upload, as `create_upload` returned it, or of an answer's image. Give either
    `path` or `data`."""
    data: Annotated[str, Field(min_length=1)] | None = Field(default=None, repr=False)
    """The bytes of the file in base64."""
    content_type: ContentType | None = None
    """The content type of `data`, or a common alias such as `image/jpg`. An upload has the one that
    it was created with."""
    name: FileName | None = None
    """The file's name, which the model gets too. Only with `data`: an upload has its own."""

    _usual = model_validator(mode="before")(_usual_type)

    @cached_property
    def content(self) -> bytes | None:
        """The bytes of `data`, decoded once for each value of this type; None if not base64."""
        return decode_base64(self.data or "")

    @cached_property
    def digest(self) -> bytes:
        """The hash of `content`, made once for each value of this type."""
        return hashlib.sha256(self.content or b"").digest()

    @model_validator(mode="after")
    def _one_source(self) -> Attachment:
        if (self.path is None) == (self.data is None):
            raise PydanticCustomError("source", "must have either path or data")
        if self.path is not None and (self.content_type or self.name):
            raise PydanticCustomError("path", "must not be combined with contentType or name")
        if self.data is not None and self.content_type is None:
            raise PydanticCustomError("data", "must come with contentType")
        return self


class CreateUpload(Record):
    """Get a URL to upload one file to. Its bytes go straight to Cloud Storage."""

    content_type: ContentType
    """The content type of the file, or a common alias such as `image/jpg`. Its first bytes are
    checked against it."""
    size: Annotated[int, Field(alias="bytes", ge=1, le=limits.ATTACHMENT_MAX_BYTES)]
    """The exact size of the file in bytes."""
    name: FileName | None = None
    """The file's name, without a folder. Models get it along with the file."""

    _usual = model_validator(mode="before")(_usual_type)
