"""Keys that make errors quote them, or their own look-ups fail, according to words inside them.

echo          the key is in the text and the metadata of every error, in comments and in a header
look-down     GET /key answers with a 500; look-limited: with a 429; look-silent: never;
              look-garbled: with half of its JSON
list-down     the same for GET /models, if it is called with a key
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, Final

from aiohttp import web

from . import error_responses

Json = dict[str, Any]

HOLD_LIMIT_S: Final = 3600.0  # longer than any client waits
HEADER: Final = "X-Echo"
_QUOTED: Final = (
    (re.compile(rb'("message": ?")'), rb"\1Bearer %s: "),
    (re.compile(rb'("metadata": ?\{)'), rb'\1"raw":"Bearer %s",'),
    (re.compile(rb"(<body>|: OPENROUTER PROCESSING)"), rb"\1 Bearer %s"),
)


def leak(data: bytes, key: str) -> bytes:
    """Return the data with the key in it, if the key leaks."""
    if "echo" not in key:
        return data
    for place, text in _QUOTED:
        data = place.sub(text.replace(b"%s", key.encode()), data)
    return data


def leak_header(key: str) -> dict[str, str]:
    return {HEADER: key} if "echo" in key else {}


async def lookup_response(what: str, key: str, body: Json) -> web.Response:
    """Return the response of a look-up, as the key's words want it. Raises Refusal.

    Args:
        what: `look` for GET /key, `list` for GET /models.
        key: The key.
        body: The ordinary response.
    """
    if f"{what}-down" in key:
        raise error_responses.Refusal(500, "Internal Server Error", {"error_type": "server"})
    if f"{what}-limited" in key:
        raise error_responses.rate_limited()
    if f"{what}-silent" in key:
        await asyncio.sleep(HOLD_LIMIT_S)
    if f"{what}-garbled" in key:
        half = json.dumps({"message": "", **body})
        text = leak(half[: len(half) // 2].encode(), key)
        return web.Response(body=text, content_type="application/json")
    return web.json_response(body)
