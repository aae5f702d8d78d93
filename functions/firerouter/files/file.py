"""Files that go with a question: their kinds, where they lie, the parts a model is sent. Pure.

    users/{uid}/uploads/{id}    in Cloud Storage, and nothing of a file's content anywhere else
    users/{uid}/images/{id}     images that a model made, which may go with a question again

A message keeps what `File.to_document` says of each. A declared type is held against the first
bytes: a name or a type alone tells nothing.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from .. import limits
from ..contract import KINDS, OWN_PATH, Kind, Part, _is_text, encoded
from ..firestore import key_of

# the one that costs nothing: the usual engines read a PDF for money, with free models too
FREE_PDF_PLUGIN: Final = {"id": "file-parser", "pdf": {"engine": "cloudflare-ai"}}


@dataclass(frozen=True, slots=True)
class File:
    """A file of a user's. path: where it lies, or is going to. content: once it was read."""

    path: str
    content_type: str
    size: int
    name: str | None = None
    content: bytes = b""

    @property
    def kind(self) -> Kind | None:
        """None for what nobody may attach."""
        return KINDS.get(self.content_type)

    @property
    def modality(self) -> str | None:
        return self.kind.modality if self.kind else None

    @property
    def is_text(self) -> bool:
        return self.kind is not None and self.kind.begins is _is_text

    @property
    def prompt_bytes(self) -> int:
        """How much room it takes of what a model can read, as if it were all text."""
        most = limits.ATTACHMENT_TOKENS * limits.BYTES_PER_TOKEN_AT_LEAST
        return self.size if self.is_text else most

    def rejection_reason(self) -> str | None:
        """Why it can not be taken, from what is known without its content: a half sentence."""
        if self.kind is None:
            return f"is {self.content_type[:80]}, which can not be attached"
        most = limits.ATTACHED_TEXT_MAX_BYTES if self.is_text else limits.ATTACHMENT_MAX_BYTES
        if not 0 < self.size <= most:
            return f"has {self.size} bytes, the most is {most}"
        return None

    def matches_type(self) -> bool:
        return self.kind is not None and self.kind.begins(self.content)

    def to_document(self) -> dict[str, Any]:
        """As a message keeps it."""
        told = {"path": self.path, "contentType": self.content_type, "bytes": self.size}
        return {**told, **({"name": self.name} if self.name else {})}

    def to_part(self) -> Part:
        """As a model is sent it: the bytes themselves, never an address that OpenRouter fetches."""
        name = self.name or self.path.rpartition("/")[2]
        if self.is_text:
            return {"type": "text", "text": f"{name}:\n\n{self.content.decode('utf-8')}"}
        encoded_ = encoded(self.content)
        url = f"data:{self.content_type};base64,{encoded_}"
        match self.modality:
            case "image":
                return {"type": "image_url", "image_url": {"url": url}}
            case "audio":
                format_ = KINDS[self.content_type].format
                return {"type": "input_audio", "input_audio": {"data": encoded_, "format": format_}}
            case "video":
                return {"type": "video_url", "video_url": {"url": url}}
        return {"type": "file", "file": {"filename": name, "file_data": url}}


def files_of(uid: str, documents: object) -> list[File]:
    """What a message keeps of its files; what makes no sense is left out."""
    found = []
    for document in documents if isinstance(documents, list) else ():
        match document:
            case {"path": str() as path, "contentType": str() as type_, "bytes": int() as size}:
                name = document.get("name")
                if is_own(uid, path):
                    found.append(File(path, type_, size, name if isinstance(name, str) else None))
    return found


def folder(uid: str) -> str:
    return f"users/{key_of(uid)}/uploads/"


def new_path(uid: str) -> str:
    return folder(uid) + secrets.token_hex(16)


def inline_path(uid: str, generation: str, number: int) -> str:
    """Of a file that came with a call: the same call again stores it in the same place."""
    return f"{folder(uid)}{generation}-{number}"


def image_path(uid: str, generation: str, number: int, content_type: str) -> str:
    """Of an image that a model made: the first one of its generation is 0."""
    kind = content_type.rpartition("/")[2]
    return f"users/{key_of(uid)}/images/{generation}-{number}.{kind}"


def is_inline(path: str) -> bool:
    return re.search(r"/uploads/[0-9a-f]{32}-[0-9]{1,2}$", path) is not None


def is_own(uid: str, path: str) -> bool:
    return re.fullmatch(re.escape(f"users/{key_of(uid)}/") + OWN_PATH, path) is not None


def with_parts(text: str, parts: Iterable[Part]) -> str | list[Part]:
    """The content of a message: its text, then its files."""
    sent = list(parts)
    if not sent:
        return text
    return [{"type": "text", "text": text}, *sent] if text else sent


def length(content: str | list[Part] | None) -> int:
    """How many characters a message is, with each file that is no text as if it were so many."""
    if not isinstance(content, list):
        return len(content or "")
    other = limits.ATTACHMENT_TOKENS * 4
    return sum(len(part["text"]) if "text" in part else other for part in content)


def read(file: File, content: bytes) -> File:
    return replace(file, content=content, size=len(content))
