"""The callable `api`: every callable for users behind one warm instance."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..callable import Call, Handler
from ..contract import Dispatch, parse
from ..errors import InvalidArgument
from ..users import Caller


async def dispatch(
    call: Call[Caller], endpoints: Mapping[str, Callable[[], Handler[Caller]]]
) -> object:
    """Answer the rest of the data as the callable that `endpoint` names.

    Args:
        call: The call of `api`.
        endpoints: Returns the handler of each callable, which is only then built.

    Raises:
        CallableError: There is no such endpoint, or what its handler raises.
    """
    request = parse(Dispatch, call.data)
    if request.endpoint not in endpoints:
        known = ", ".join(endpoints)
        raise InvalidArgument(f"endpoint must be one of {known}.", field="endpoint")
    call.data = request.model_extra
    return await endpoints[request.endpoint]()(call)
