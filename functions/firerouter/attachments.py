"""Files that go with a question: their kinds, where they lie, the parts a model is sent. Pure.

    users/{uid}/uploads/{id}    in Cloud Storage, and nothing of a file's content anywhere else
    users/{uid}/images/{id}     images that a model made, which may go with a question again

A message keeps what `File.to_document` says of each. A declared type is held against the first
bytes: a name or a type alone tells nothing.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from . import limits
from .ids import key_of
from .records import Record

Part = dict[str, Any]
ENCODED_AT_ONCE_BYTES: Final = 3 * 100_000
PDF: Final = "application/pdf"
# the one that costs nothing: the usual engines read a PDF for money, with free models too
FREE_PDF_PLUGIN: Final = {"id": "file-parser", "pdf": {"engine": "cloudflare-ai"}}


# -- as callers send them --------------------------------------------------------------------------

ContentType = Literal[
    "image/png",
    "image/jpeg",
    "image/webp",
    "image/gif",
    "application/pdf",
    "text/plain",
    "text/csv",
    "text/markdown",
    "application/json",
    "audio/wav",
    "audio/mpeg",
    "audio/flac",
    "audio/ogg",
    "audio/mp4",
    "video/mp4",
    "video/quicktime",
    "video/webm",
]


def _file_name(value: str) -> str:
    if not value.strip() or not value.isprintable() or "/" in value or "\\" in value:
        raise PydanticCustomError("file_name", "must be a file's name, without a folder")
    return value


FileName = Annotated[str, Field(max_length=limits.FILE_NAME_MAX_CHARS), AfterValidator(_file_name)]


_OWN: Final = (
    r"(uploads/[0-9a-f]{32}(-[0-9]{1,2})?|images/[0-9a-f]{32}-[0-9]{1,2}\.(png|jpeg|webp|gif))"
)


def _upload_path(value: str) -> str:
    # whole, and nothing but what we hand out: no `..`, no other folder
    if not re.fullmatch(r"users/[^/]{1,400}/" + _OWN, value):
        raise PydanticCustomError("upload_path", "must be a path that create_upload gave")
    return value


class Attachment(Record):
    """A file that goes with a prompt: one that was uploaded, or the bytes themselves in base64.

    content_type, name: of `data` alone; an upload has those that it was begun with.
    """

    path: Annotated[str, AfterValidator(_upload_path)] | None = None
    data: Annotated[str, Field(min_length=1)] | None = None
    content_type: ContentType | None = None
    name: FileName | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Attachment:
        if (self.path is None) == (self.data is None):
            raise PydanticCustomError("source", "must have either path or data")
        if self.path is not None and (self.content_type or self.name):
            raise PydanticCustomError("path", "takes neither contentType nor name beside path")
        if self.data is not None and self.content_type is None:
            raise PydanticCustomError("data", "must have contentType beside data")
        return self


class CreateUpload(Record):
    """The data of `create_upload`: what is going to be uploaded. size: in bytes, exactly."""

    content_type: ContentType
    size: Annotated[int, Field(alias="bytes", ge=1, le=limits.ATTACHMENT_MAX_BYTES)]
    name: FileName | None = None


# -- what they are ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kind:
    """modality: what a model must take, as the catalog names it; None where any model will do.
    begins: what all such files begin with. format: as OpenRouter names it, of audio alone."""

    modality: str | None
    begins: Callable[[bytes], bool]
    format: str = ""


def _starts(*beginnings: bytes) -> Callable[[bytes], bool]:
    return lambda content: content.startswith(beginnings)


def _riff(form: bytes) -> Callable[[bytes], bool]:
    return lambda content: content[:4] == b"RIFF" and content[8:12] == form


def _brand(fits: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
    """MP4 and its relatives: a box named `ftyp`, then the brand."""
    return lambda content: content[4:8] == b"ftyp" and fits(content[8:12])


def _is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode("utf-8")
    except UnicodeDecodeError:
        return False


def _is_mp3(content: bytes) -> bool:
    synchronised = len(content) > 1 and content[0] == 0xFF and content[1] & 0xE6 == 0xE2
    return content.startswith(b"ID3") or synchronised


def _is_quicktime(content: bytes) -> bool:
    return content[4:12] == b"ftypqt  " or content[4:8] in {b"moov", b"mdat", b"wide", b"free"}


KINDS: Final[Mapping[str, Kind]] = {
    "image/png": Kind("image", _starts(b"\x89PNG\r\n\x1a\n")),
    "image/jpeg": Kind("image", _starts(b"\xff\xd8\xff")),
    "image/webp": Kind("image", _riff(b"WEBP")),
    "image/gif": Kind("image", _starts(b"GIF87a", b"GIF89a")),
    PDF: Kind(None, _starts(b"%PDF-")),  # OpenRouter reads it to a model that can not
    "text/plain": Kind(None, _is_text),
    "text/csv": Kind(None, _is_text),
    "text/markdown": Kind(None, _is_text),
    "application/json": Kind(None, _is_text),
    "audio/wav": Kind("audio", _riff(b"WAVE"), "wav"),
    "audio/mpeg": Kind("audio", _is_mp3, "mp3"),
    "audio/flac": Kind("audio", _starts(b"fLaC"), "flac"),
    "audio/ogg": Kind("audio", _starts(b"OggS"), "ogg"),
    # a recorder writes sound alone with a video's brand
    "audio/mp4": Kind("audio", _brand(lambda brand: brand != b"qt  "), "m4a"),
    "video/mp4": Kind("video", _brand(lambda brand: brand not in {b"qt  ", b"M4A "})),
    "video/quicktime": Kind("video", _is_quicktime),
    "video/webm": Kind("video", _starts(b"\x1a\x45\xdf\xa3")),
}


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
    def told_bytes(self) -> int:
        """How much room it takes of what a model can read, as if it were all text."""
        most = limits.ATTACHMENT_TOKENS * limits.BYTES_PER_TOKEN_AT_LEAST
        return self.size if self.is_text else most

    def shortcoming(self) -> str | None:
        """Why it can not be taken, from what is known without its content: a half sentence."""
        if self.kind is None:
            return f"is {self.content_type[:80]}, which can not be attached"
        most = limits.ATTACHED_TEXT_MAX_BYTES if self.is_text else limits.ATTACHMENT_MAX_BYTES
        if not 0 < self.size <= most:
            return f"has {self.size} bytes, the most is {most}"
        return None

    def is_what_it_says(self) -> bool:
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


def encoded(content: bytes) -> str:
    """In base64."""
    # in pieces that need no padding: other threads, the event loop's among them, get their turn
    pieces = range(0, len(content), ENCODED_AT_ONCE_BYTES)
    return "".join(
        base64.b64encode(content[at : at + ENCODED_AT_ONCE_BYTES]).decode("ascii") for at in pieces
    )


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


def decoded(data: str) -> bytes | None:
    """What the base64 stands for; None where it is none."""
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None


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
    return re.fullmatch(re.escape(f"users/{key_of(uid)}/") + _OWN, path) is not None


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
