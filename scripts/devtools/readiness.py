"""Whether a part of the suite answers as itself.

An open port proves nothing: while firebase-tools starts, it opens and closes ports for an instant
to see whether they are free, and a connection made then is refused a moment later.
"""

import http.client
import json
from collections.abc import Callable
from contextlib import closing
from typing import Final

from scripts.devtools.ports import LOOPBACK

ANSWERS_WITHIN_S: Final = 2.0

JsonObject = dict[str, object]


def get(port: int, path: str) -> tuple[int, bytes] | None:
    """Return the status and the body of a server's response, or None if there is none."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=ANSWERS_WITHIN_S)
    with closing(connection):
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            return None


def get_json(port: int, path: str) -> JsonObject | None:
    """Return the JSON object that a server answers with 200.

    {} if the answer is something else; None if there is no such answer yet.
    """
    response = get(port, path)
    if response is None or response[0] != http.HTTPStatus.OK:
        return None
    try:
        value = json.loads(response[1])
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def answers(port: int) -> bool:
    """Whether an HTTP server answers, whatever it says."""
    return get(port, "/") is not None


def auth_answers(port: int) -> bool:
    return "authEmulator" in (get_json(port, "/") or {})


def firestore_answers(port: int) -> bool:
    response = get(port, "/")
    return response is not None and response[1].strip() == b"Ok"


PROBES: Final[dict[str, Callable[[int], bool]]] = {
    "auth": auth_answers,
    "firestore": firestore_answers,
    "app_check": lambda port: get_json(port, "/v1/jwks") is not None,
    "openrouter": lambda port: get_json(port, "/") is not None,
    # not there before its gRPC server has started
    "secret_manager_control": lambda port: get_json(port, "/sim/accesses") is not None,
}


def is_ready(part: str, port: int) -> bool:
    """Whether the part that is to listen on this port answers as itself."""
    return PROBES.get(part, answers)(port)
