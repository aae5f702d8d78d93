"""Files that are attached to a question: kinds, paths, and the parts that models get. Pure.

    users/{uid}/uploads/{id}    in Cloud Storage, the only place that stores a file's content
    users/{uid}/images/{id}     images that a model generated, which a question may attach again

A message in Firestore stores what `File.to_document` returns. A declared content type is checked
against the first bytes, because a name or a type alone proves nothing.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, replace
from typing import Final

from ..contract import (
    KINDS,
    OWN_PATH,
    AudioPart,
    DocumentPart,
    ImagePart,
    Json,
    Kind,
    Part,
    TextPart,
    VideoPart,
    encode_base64,
)
from ..firestore import key_of
from .limits import BYTES_PER_TOKEN_MIN, FILE_TOKENS, FileLimits

FREE_PDF_PLUGIN: Final[Json] = {"id": "file-parser", "pdf": {"engine": "cloudflare-ai"}}
"""The free PDF parser. The other ones are billed even with free models."""


@dataclass(frozen=True, slots=True)
class File:
    """A file that belongs to a user.

    Attributes:
        path: Where it is stored, or will be.
        size: Its size in bytes.
        content: Its bytes; empty until they are read.
    """

    path: str
    content_type: str
    size: int
    name: str | None = None
    content: bytes = b""

    @property
    def kind(self) -> Kind | None:
        """The kind of the file; None for a type that can't be attached."""
        return KINDS.get(self.content_type)

    @property
    def modality(self) -> str | None:
        return self.kind.modality if self.kind else None

    @property
    def is_text(self) -> bool:
        return self.kind is not None and self.kind.is_text

    @property
    def prompt_bytes(self) -> int:
        """How much of a model's context it takes, in bytes of text."""
        return self.size if self.is_text else FILE_TOKENS * BYTES_PER_TOKEN_MIN

    def rejection_reason(self, limits: FileLimits) -> str | None:
        """Return why the file is rejected, as the end of a sentence; None if it is not.

        This does not look at its content.
        """
        if self.kind is None:
            return f"has the type {self.content_type[:80]}, which can't be attached"
        most = limits.text_file_max_bytes if self.is_text else limits.file_max_bytes
        if not 0 < self.size <= most:
            return f"has {self.size} bytes; at most {most} are allowed"
        return None

    def matches_type(self) -> bool:
        """Return whether the content matches the content type."""
        return self.kind is not None and self.kind.matches(self.content)

    def with_content(self, content: bytes) -> File:
        return replace(self, content=content, size=len(content))

    def to_document(self) -> Json:
        """Return the file as a message in Firestore stores it."""
        document: Json = {
            "path": self.path,
            "contentType": self.content_type,
            "bytes": self.size,
        }
        return {**document, "name": self.name} if self.name else document

    def to_part(self) -> Part:
        """Return the file as a model gets it: its bytes, never a URL to fetch them from."""
        name = self.name or self.path.rpartition("/")[2]
        if self.is_text:
            return TextPart(f"{name}:\n\n{self.content.decode('utf-8')}")
        data = encode_base64(self.content)
        if self.modality == "audio":
            return AudioPart(data, KINDS[self.content_type].format)
        url = f"data:{self.content_type};base64,{data}"
        match self.modality:
            case "image":
                return ImagePart(url)
            case "video":
                return VideoPart(url)
        return DocumentPart(name, url)


def files_of(uid: str, documents: object) -> list[File]:
    """Return the files that a message in Firestore lists. Malformed ones are ignored."""
    files = []
    for document in documents if isinstance(documents, list) else ():
        match document:
            case {"path": str() as path, "contentType": str() as type_, "bytes": int() as size}:
                name = document.get("name")
                if is_own(uid, path):
                    files.append(File(path, type_, size, name if isinstance(name, str) else None))
    return files


def new_path(uid: str) -> str:
    """Return a path for an upload, which can't be guessed."""
    return _folder(uid) + secrets.token_hex(16)


def inline_path(uid: str, generation: str, number: int) -> str:
    """Return the path of a file that was sent with a call; a repeated call gets the same one."""
    return f"{_folder(uid)}{generation}-{number}"


def image_path(uid: str, generation: str, number: int, content_type: str) -> str:
    """Return the path of a generated image. A generation's first image has the number 0."""
    kind = content_type.rpartition("/")[2]
    return f"users/{key_of(uid)}/images/{generation}-{number}.{kind}"


def is_inline(path: str) -> bool:
    """Return whether `inline_path` made this path."""
    return re.search(r"/uploads/[0-9a-f]{32}-[0-9]{1,2}$", path) is not None


def is_own(uid: str, path: str) -> bool:
    """Return whether the path belongs to this user."""
    return re.fullmatch(re.escape(f"users/{key_of(uid)}/") + OWN_PATH, path) is not None


def folder_of(uid: str) -> str:
    """Return what the paths of all files of a user begin with, and no others."""
    return f"users/{key_of(uid)}/"


def _folder(uid: str) -> str:
    return f"users/{key_of(uid)}/uploads/"
