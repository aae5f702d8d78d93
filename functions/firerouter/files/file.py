"""Files that go with a question: their kinds, their paths, the parts a model is sent. Pure.

    users/{uid}/uploads/{id}    in Cloud Storage: the only place that has a file's content
    users/{uid}/images/{id}     images that a model made, which may go with a question again

A message in Firestore holds what `File.to_document` returns. A declared content type is checked
against the first bytes, for a name or a type alone proves nothing.
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
"""The PDF parser that costs nothing. The usual ones are billed, with free models too."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of a user's.

    Attributes:
        path: Where it is stored, or going to be.
        size: In bytes.
        content: Empty until it was read.
    """

    path: str
    content_type: str
    size: int
    name: str | None = None
    content: bytes = b""

    @property
    def kind(self) -> Kind | None:
        """None for a type that cannot be attached."""
        return KINDS.get(self.content_type)

    @property
    def modality(self) -> str | None:
        return self.kind.modality if self.kind else None

    @property
    def is_text(self) -> bool:
        return self.kind is not None and self.kind.is_text

    @property
    def prompt_bytes(self) -> int:
        """How many bytes of a model's context it takes, as if it were all text."""
        return self.size if self.is_text else FILE_TOKENS * BYTES_PER_TOKEN_MIN

    def rejection_reason(self, limits: FileLimits) -> str | None:
        """Return why the file is rejected, as far as that shows without its content.

        The reason is the end of a sentence.
        """
        if self.kind is None:
            return f"is of the type {self.content_type[:80]}, which cannot be attached"
        most = limits.text_file_max_bytes if self.is_text else limits.file_max_bytes
        if not 0 < self.size <= most:
            return f"has {self.size} bytes; at most {most} are allowed"
        return None

    def matches_type(self) -> bool:
        """Return whether the content is what the content type says."""
        return self.kind is not None and self.kind.matches(self.content)

    def with_content(self, content: bytes) -> File:
        return replace(self, content=content, size=len(content))

    def to_document(self) -> Json:
        """Return the file as a message in Firestore holds it."""
        document: Json = {
            "path": self.path,
            "contentType": self.content_type,
            "bytes": self.size,
        }
        return {**document, "name": self.name} if self.name else document

    def to_part(self) -> Part:
        """Return the file as a model is sent it: its bytes, never an address to fetch them from."""
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
    """Return a path for an upload. It cannot be guessed."""
    return _folder(uid) + secrets.token_hex(16)


def inline_path(uid: str, generation: str, number: int) -> str:
    """Return the path of a file that came with a call: the same for the same call again."""
    return f"{_folder(uid)}{generation}-{number}"


def image_path(uid: str, generation: str, number: int, content_type: str) -> str:
    """Return the path of an image that a model made. The first of a generation has number 0."""
    kind = content_type.rpartition("/")[2]
    return f"users/{key_of(uid)}/images/{generation}-{number}.{kind}"


def is_inline(path: str) -> bool:
    """Return whether `inline_path` made this path."""
    return re.search(r"/uploads/[0-9a-f]{32}-[0-9]{1,2}$", path) is not None


def is_own(uid: str, path: str) -> bool:
    """Return whether the path is one of this user's."""
    return re.fullmatch(re.escape(f"users/{key_of(uid)}/") + OWN_PATH, path) is not None


def _folder(uid: str) -> str:
    return f"users/{key_of(uid)}/uploads/"
