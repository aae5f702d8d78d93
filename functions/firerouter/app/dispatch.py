"""The callables `api` and `admin_api`: all callables for users, or for admins, behind one function.

They share its warm instances.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..callable import Call, Handler
from ..contract import Dispatch, parse
from ..errors import InvalidArgument
from ..users import Caller


async def dispatch(
    call: Call[Caller], endpoints: Mapping[str, Callable[[], Handler[Caller]]]
) -> object:
    """Answer as the callable that `endpoint` names, whose data is the rest of the data.

    Args:
        call: The call of `api` or `admin_api`.
        endpoints: By the name of each callable, a function that returns its handler. Only the
            named one is called, because that builds parts of the instance.

    Raises:
        CallableError: There is no such endpoint, or its handler failed.
    """
    request = parse(Dispatch, call.data)
    if request.endpoint not in endpoints:
        known = ", ".join(endpoints)
        raise InvalidArgument(f"endpoint must be one of {known}.", field="endpoint")
    call.data = request.model_extra
    return await endpoints[request.endpoint]()(call)
