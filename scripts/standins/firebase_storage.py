"""What Firebase's client SDKs ask of Cloud Storage: `/v0/b/{bucket}/o/{object}`.

    GET                 the metadata, which has a download token
    GET ?alt=media      the content: with the user's ID token, or with `token=` by anyone
    GET /o?prefix=      a list
    POST, PATCH, DELETE an upload, new metadata, a deletion

Each request is held to the rules, but one with a download token. The rules let no client write, so
what a write would do is not here. An ID token of the Auth emulator has no signature to verify.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from gcp_storage_emulator.storage import Storage

from scripts.standins.storage_rules import StorageRules

PATH: Final = re.compile(r"/v0/b/([^/]+)/o(?:/([^/]+))?/?")
WRITES: Final = {"POST": "create", "PUT": "create", "PATCH": "update", "DELETE": "delete"}
TOKENS: Final = "firebaseStorageDownloadTokens"
METADATA: Final[tuple[str, ...]] = (
    *("name", "bucket", "generation", "metageneration", "contentType", "timeCreated", "updated"),
    *("storageClass", "size", "md5Hash", "crc32c", "etag", "contentEncoding", "contentDisposition"),
    *("contentLanguage", "cacheControl"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered: a status, a content and its type."""

    status: HTTPStatus
    content: bytes
    content_type: str = "application/json; charset=UTF-8"


class Refused(Exception):
    """The request is refused, with a status and what is said of it."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class FirebaseStorage:
    """Answers the requests of Firebase's client SDKs from the stand-in's objects."""

    def __init__(self, storage: Storage, rules: StorageRules, project: str) -> None:
        self._storage = storage
        self._rules = rules
        self._project = project

    def answer(self, method: str, url: str, headers: Mapping[str, str]) -> Answer | None:
        """Return the answer to a request; None if it is not one of a client SDK."""
        address = urlsplit(url)
        found = PATH.fullmatch(address.path)
        if found is None:
            return None
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        bucket, name = unquote(found[1]), unquote(found[2] or "")
        try:
            stored = self._storage.objects.get(bucket, {})
            if not (method == "GET" and query.get("token") in _tokens(stored.get(name))):
                uid = _uid(headers.get("Authorization", ""), self._project)
                self._check(method, bucket, name, query, uid)
            return self._read(bucket, name, query)
        except Refused as refused:
            error = {"code": refused.status.value, "message": refused.message}
            return _json({"error": error}, refused.status)

    def _check(
        self, method: str, bucket: str, name: str, query: Mapping[str, str], uid: str | None
    ) -> None:
        """Raise Refused unless the rules allow what is asked, and it is something to read."""
        wanted = WRITES.get(method, "get" if name else "list")
        name = name or query.get("name") or query.get("prefix", "")
        if wanted == "create" and name in self._storage.objects.get(bucket, {}):
            wanted = "update"
        if not self._rules.allow(wanted, bucket, name, uid):
            raise Refused(HTTPStatus.FORBIDDEN, "Permission denied.")
        if wanted not in ("get", "list"):
            raise Refused(HTTPStatus.NOT_IMPLEMENTED, "The stand-in for Cloud Storage can't.")

    def _read(self, bucket: str, name: str, query: Mapping[str, str]) -> Answer:
        objects = self._storage.objects.get(bucket, {})
        if not name:
            prefix = query.get("prefix", "")
            items = [{"name": one, "bucket": bucket} for one in objects if one.startswith(prefix)]
            return _json({"prefixes": [], "items": items})
        if name not in objects:
            raise Refused(HTTPStatus.NOT_FOUND, "Not Found.")
        if query.get("alt") == "media":
            return self._content(bucket, name)
        return _json(_metadata(objects[name]))

    def _content(self, bucket: str, name: str) -> Answer:
        content: bytes = self._storage.get_file(bucket, name)
        kind = self._storage.objects[bucket][name].get("contentType") or "application/octet-stream"
        return Answer(HTTPStatus.OK, content, kind)


def _uid(authorization: str, project: str) -> str | None:
    """Return who is signed in; None if nobody is. Raises Refused if the ID token is no good."""
    kind, _, token = authorization.partition(" ")
    if kind not in ("Firebase", "Bearer") or not token:
        return None
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        uid, audience, expires = claims["sub"], claims["aud"], float(claims["exp"])
    except (IndexError, KeyError, TypeError, ValueError):
        uid, audience, expires = None, None, 0.0
    if not isinstance(uid, str) or audience != project or expires < time.time():
        raise Refused(HTTPStatus.UNAUTHORIZED, "The ID token is invalid or has expired.")
    return uid


def _tokens(resource: Mapping[str, Any] | None) -> list[str]:
    """Return the download tokens of an object."""
    tokens = (resource or {}).get("metadata", {}).get(TOKENS, "")
    return [token for token in tokens.split(",") if token]


def _metadata(resource: dict[str, Any]) -> dict[str, Any]:
    """Return an object's metadata; the first request makes its download token, as at Google."""
    if not _tokens(resource):
        resource.setdefault("metadata", {})[TOKENS] = secrets.token_hex(16)
    own = {name: value for name, value in resource["metadata"].items() if name != TOKENS}
    fields: dict[str, Any] = {name: resource[name] for name in METADATA if name in resource}
    return {**fields, "downloadTokens": ",".join(_tokens(resource)), "metadata": own}


def _json(value: object, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    return Answer(status, json.dumps(value).encode())
