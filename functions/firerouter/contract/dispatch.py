"""The request of `api`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from .. import limits


class Dispatch(BaseModel):
    """Call any of the callables for users behind one function, so that a page waits for one cold
    start at most."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    endpoint: Annotated[str, Field(min_length=1, max_length=limits.NAME_MAX_CHARS)]
    """The name of the callable. Its own fields stand beside this one."""
