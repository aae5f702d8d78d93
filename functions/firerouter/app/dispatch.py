"""The callable `api`: every user callable behind one warm instance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..callable import Call, Handler
from ..contract import Dispatch, parse
from ..errors import InvalidArgument
from ..users import Caller


async def dispatch(call: Call[Caller], endpoints: Mapping[str, Handler[Caller]]) -> Any:
    """What the callable that `endpoint` names answers to the rest of the data."""
    asked = parse(Dispatch, call.data)
    if asked.endpoint not in endpoints:
        known = ", ".join(endpoints)
        raise InvalidArgument(f"endpoint must be one of {known}.", field="endpoint")
    call.data = asked.model_extra
    return await endpoints[asked.endpoint](call)
