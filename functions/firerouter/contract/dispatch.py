"""The data of `api`."""

from __future__ import annotations

from typing import Annotated

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
)

from .. import limits


class Dispatch(BaseModel):
    """The data of `api`: the name of a user's callable, and that callable's own data beside it."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    endpoint: Annotated[str, Field(min_length=1, max_length=limits.NAME_MAX_CHARS)]
