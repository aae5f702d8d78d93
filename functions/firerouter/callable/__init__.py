"""Firebase callable functions for ``async def``: one JSON response, or a stream, under one name.

    headers -> authenticate -> admit -> body -> envelope -> handler(call)   in a task of its own
       |            |            |        |         |           |
       v            v            v        v         v           v
     error        error        error    error     error    messages, then a result or an error
        \\___________\\____________\\_______\\_________\\__________/
                                      |
      unary:  {"result": ...} or {"error": ...} with the status's HTTP code
      stream: always 200; data: {"message": ...} frames, then one result or error frame. A message
              {"type": "error", "error": ...} precedes the error frame: at that one, Flutter's
              client for Android just ends the stream, and others lose parts of the error

The task that runs the handler is never cancelled by a client that leaves: the response listens to
the task and to the client, and notifies the task (`Call.on_leave`). A cancelled coroutine cannot
await its own cleanup; one that is notified can.

Wire: the protocol of the official client SDKs (https://firebase.google.com/docs/functions/callable-reference)
and, where that page is silent, what firebase-functions for Node does. A stream's beats, its
keep-alives, are spaces before a frame's JSON: the comment lines that Node sends break the iOS and
Android parsers.
"""

from .call import Call, Frame, Listener, encode_frame
from .envelope import (
    HTTP_STATUS,
    BodyTooLarge,
    BodyTooSlow,
    CallableError,
    MalformedRequest,
    Overloaded,
    encode,
)
from .limits import BodyLimits, WireLimits
from .response import Admit, CallableResponse, Handler, Headers, Wire

__all__ = [
    "HTTP_STATUS",
    "Admit",
    "BodyLimits",
    "BodyTooLarge",
    "BodyTooSlow",
    "Call",
    "CallableError",
    "CallableResponse",
    "Frame",
    "Handler",
    "Headers",
    "Listener",
    "MalformedRequest",
    "Overloaded",
    "Wire",
    "WireLimits",
    "encode",
    "encode_frame",
]
