"""The requests of `api` and `admin_api`."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from .. import limits
from .base import Record


class Dispatch(Record):
    """Call any of the callables for users through one function, so that a client waits for at most
    one cold start."""

    model_config = ConfigDict(extra="allow")

    endpoint: Annotated[str, Field(min_length=1, max_length=limits.NAME_MAX_CHARS)]
    """The name of the callable. Its fields go next to this one."""


class AdminDispatch(Dispatch):
    """Call any of the callables for admins through one function, so that a console waits for at
    most one cold start."""
