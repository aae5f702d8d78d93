"""A call as handlers get it from the wire."""

import json
from typing import Any, Final

from firerouter.callable import Call
from firerouter.users.identity import Caller

ADMIN: Final = "ann"
ASK: Final = "execute_prompt"


def call_of(data: Any, uid: str, *, streaming: bool = False) -> Call[Caller]:
    """Return a call of this user with the data as JSON carries it; `ADMIN` is an admin."""
    caller = Caller(uid, f"{uid}@demo.test")
    decoded = json.loads(json.dumps(data))
    return Call(decoded, {}, caller=caller, streaming=streaming, trace_id="0" * 32)
