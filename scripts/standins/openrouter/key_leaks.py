"""Keys whose words make everything that goes wrong quote them, or spoil what they may look at.

echo          the key is in the text of every error, in its metadata, in comments and in a header
look-down     GET /key is answered with a 500, look-limited with a 429, look-silent never,
              look-garbled with half of its JSON
list-down     the same of GET /models, for whoever lists them with a key
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, Final

from aiohttp import web

from . import error_responses

Json = dict[str, Any]

HOLD_LIMIT_S: Final = 3600.0  # a silence outlives every client, not the server
HEADER: Final = "X-Echo"
_QUOTED: Final = (
    (re.compile(rb'("message": ?")'), rb"\1Bearer %s: "),
    (re.compile(rb'("metadata": ?\{)'), rb'\1"raw":"Bearer %s",'),
    (re.compile(rb"(<body>|: OPENROUTER PROCESSING)"), rb"\1 Bearer %s"),
)


def quoted(data: bytes, key: str) -> bytes:
    """What is sent to whoever asks with that key."""
    if "echo" not in key:
        return data
    for place, text in _QUOTED:
        data = place.sub(text.replace(b"%s", key.encode()), data)
    return data


def header(key: str) -> dict[str, str]:
    return {HEADER: key} if "echo" in key else {}


async def spoiled(what: str, key: str, body: Json) -> web.Response:
    """The answer to a look (`what`: look, list), as the key's words want it. Raises Refusal."""
    if f"{what}-down" in key:
        raise error_responses.Refusal(500, "Internal Server Error", {"error_type": "server"})
    if f"{what}-limited" in key:
        raise error_responses.rate_limited()
    if f"{what}-silent" in key:
        await asyncio.sleep(HOLD_LIMIT_S)
    if f"{what}-garbled" in key:
        half = json.dumps({"message": "", **body})
        text = quoted(half[: len(half) // 2].encode(), key)
        return web.Response(body=text, content_type="application/json")
    return web.json_response(body)
