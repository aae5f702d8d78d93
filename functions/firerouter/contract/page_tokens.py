"""Page tokens: opaque to clients, and valid for the same request only. Pure."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Protocol

from ..errors import InvalidArgument
from .strict_json import parse_json


class PagedRequest(Protocol):
    """A request for one page of something."""

    @property
    def page_token(self) -> str | None: ...
    def model_dump_json(self, *, exclude: set[str]) -> str: ...


def page_token(request: PagedRequest, *position: object) -> str:
    """Return the token of the page that begins at this position."""
    text = json.dumps([_fingerprint(request), *position], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_page_token(request: PagedRequest) -> list[object]:
    """Return the position that the request's page begins at; empty for the first page.

    Raises:
        InvalidArgument: The token is malformed, or belongs to another request.
    """
    text = request.page_token
    if text is None:
        return []
    try:
        token = parse_json(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, RecursionError):
        token = None
    match token:
        case [str(fingerprint), *position] if position:
            if fingerprint == _fingerprint(request):
                return position
            raise InvalidArgument(
                "pageToken belongs to different filters. Omit it to start from the first page.",
                field="pageToken",
            )
    raise malformed_page_token()


def malformed_page_token() -> InvalidArgument:
    """Return the refusal of a token that no page has given out."""
    sentence = "pageToken must be the nextPageToken of an earlier response."
    return InvalidArgument(sentence, field="pageToken")


def _fingerprint(request: PagedRequest) -> str:
    """Return what tells requests apart. The page size may change between pages."""
    text = request.model_dump_json(exclude={"page_size", "page_token"})
    return hashlib.sha256(text.encode()).hexdigest()[:12]
