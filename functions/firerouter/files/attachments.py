"""Files on their way: from a client into Cloud Storage, from there to a model.

    create_upload -> an address for one file -> the client uploads it

    look,   before anything is counted: is it there, not too large?
    gather, then: can the model take it?
            earlier turns' files too, the newest ones first, as far as there is room
    fetch,  admitted: its bytes, held against its type -> the parts of the messages
    keep,   while OpenRouter is asked: it belongs to the conversation from now on

What is wrong with a file of the question is refused by its place; what an earlier turn had and can
not be sent again is left out, with a notice. Bytes are fetched only for a request that was counted:
what they cost is under the same caps as the request.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from .. import limits, log
from ..callable import Call, CallableError
from ..contract import PDF, Attachment, CreateUpload, ExecutePrompt, Part, Turns, decoded, parse
from ..errors import AttachmentNotTaken, AttachmentUnknown, InvalidArgument
from ..features import ModelChoice, Notice
from ..openrouter import READING, without_reading
from ..users import Caller
from . import annotation_store
from .file import (
    FREE_PDF_PLUGIN,
    File,
    files_of,
    inline_path,
    is_inline,
    is_own,
    new_path,
    with_parts,
)
from .memory_budget import MemoryBudget
from .placeholders import PLACE, filled, with_places, with_readings, with_what_was_drawn
from .storage import FileStorage
from .upload_quota import UploadQuota


@dataclass(frozen=True, slots=True)
class FileRef:
    """A file, and the field that names it; of an earlier turn's, none does.

    key: stands for it in a message until its bytes are there, and says which bytes it has.
    """

    field: str
    file: File
    key: str


@dataclass(frozen=True, slots=True)
class Read:
    """Whether a file is there, and the part of a message that it makes, if it is what it says."""

    found: bool
    part: Part | None


@dataclass(slots=True)
class Attached:
    """What the files of a request come to.

    models: those that can take them. history: the earlier turns, with places for their files.
    asked: the question's. drawn: images of the answer before it, which go with it, by their paths.
    again: it was asked before, and they were kept. told: the hashes of those of which OpenRouter
    is told what it read of them before. read: what it read of the question's, for another answer.
    """

    models: list[str]
    history: Turns
    asked: list[FileRef] = field(default_factory=list)
    earlier: list[FileRef] = field(default_factory=list)
    drawn: list[str] = field(default_factory=list)
    again: bool = False
    told: set[str] = field(default_factory=set)
    read: list[dict[str, Any]] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    @property
    def sent(self) -> list[FileRef]:
        return [*self.asked, *self.earlier]

    @property
    def unread(self) -> bool:
        """Whether the question has files of which nobody knows yet that they are what they say."""
        return not self.again and not all(placed.file.content for placed in self.asked)

    def documents(self) -> dict[str, Any]:
        """What the question's message keeps of them."""
        kept = [placed.file.to_document() for placed in self.asked]
        return {"attachments": kept} if kept else {}

    def only_images(self) -> None:
        """Beside texts, for what takes nothing else. Raises AttachmentNotTaken."""
        for placed in self.asked:
            file = placed.file
            if file.modality != "image" and not file.is_text:
                what = f"This feature draws, and can not read {file.content_type}."
                raise AttachmentNotTaken(what, field=placed.field, modality=file.modality)

    def onto(self, messages: Turns) -> Turns:
        """The messages, the last one with places for the question's files."""
        if self.again:
            return messages
        last = messages[-1]
        keys = [*self.drawn, *(placed.key for placed in self.asked)]
        content = with_parts(last["content"], [{PLACE: key} for key in keys])
        return [*messages[:-1], {**last, "content": content}]

    def parameters(self, given: dict[str, Any], *, free_only: bool) -> dict[str, Any]:
        """The parameters, so that no PDF is read for money where nothing may cost any."""
        pdf = any(placed.file.content_type == PDF for placed in self.sent)
        if not (pdf and free_only):
            return given
        return {**given, "plugins": [*(given.get("plugins") or ()), FREE_PDF_PLUGIN]}


class Attachments:
    """The use case `create_upload`, and what `generate` needs of files. Make one an instance."""

    def __init__(
        self, *, uploads: FileStorage, allowance: UploadQuota, choice: ModelChoice
    ) -> None:
        self._uploads = uploads
        self._allowance = allowance
        self._choice = choice
        self._holding: MemoryBudget[Read] = MemoryBudget()

    async def create_upload(self, call: Call[Caller]) -> dict[str, Any]:
        """`{path, uploadUrl, method, headers, expiresAt}`: where to send the file, and how to name
        it afterwards.

        Raises QuotaExceeded, StorageMissing, StorageUnavailable, LedgerUnavailable.
        """
        asked = parse(CreateUpload, call.data)
        file = File(new_path(call.caller.uid), asked.content_type, asked.size, asked.name)
        if lack := file.rejection_reason():
            raise InvalidArgument(f"bytes: such a file {lack}.", field="bytes")
        await self._allowance.take(call.caller.uid)
        url = await self._uploads.open(file, _origin(call.headers))
        expires = datetime.now(UTC) + timedelta(days=limits.UPLOAD_OPEN_DAYS)
        return {
            "path": file.path,
            "uploadUrl": url,
            "method": "PUT",
            "headers": {"Content-Type": file.content_type},
            "expiresAt": expires.isoformat(timespec="seconds"),
        }

    async def look(self, request: ExecutePrompt, uid: str, generation: str) -> list[FileRef]:
        """The files that come with the question. Raises InvalidArgument, AttachmentUnknown,
        StorageUnavailable."""
        asked = await asyncio.gather(
            *(
                self._placed(f"attachments[{number}]", given, uid, generation, number)
                for number, given in enumerate(request.attachments)
            )
        )
        for placed in asked:
            if lack := placed.file.rejection_reason():
                raise InvalidArgument(f"{placed.field} {lack}.", field=placed.field)
        if (size := sum(placed.file.size for placed in asked)) > limits.ATTACHMENTS_MAX_BYTES:
            sentence = f"attachments have {size} bytes, the most is {limits.ATTACHMENTS_MAX_BYTES}."
            raise InvalidArgument(sentence, field="attachments")
        return list(asked)

    async def gather(
        self,
        request: ExecutePrompt,
        uid: str,
        asked: list[FileRef],
        models: list[str],
        history: Turns,
    ) -> Attached:
        """The files of the question, and those of earlier turns that can be sent again.

        asked: those that come with it. history: {role, content, attachments?, images?}. Raises
        AttachmentNotTaken.
        """
        if not (request.attachments or any({"attachments", "images"} & t.keys() for t in history)):
            return Attached(models, [without_reading(turn) for turn in history])
        history, last = with_what_was_drawn(history)
        if request.prompt is None:
            last = []
        again = request.regenerate is not None
        if again:
            files = files_of(uid, history[-1].get("attachments"))
            asked = [FileRef("regenerate", file, file.path) for file in files]
        inputs = dict(zip(models, await self._choice.input_modalities(models), strict=True))
        first = models[0]
        for placed in asked:
            if not _takes(inputs[first], placed.file):
                type_, modality = placed.file.content_type, placed.file.modality
                what = f"{first} can not read {type_}. Please choose another model."
                raise AttachmentNotTaken(what, field=placed.field, modality=modality)
        turns = [*history, {"images": last}]
        of_question = len(history) - 1 if again else None
        earlier, left = _earlier(uid, turns, of_question, _Room(asked), (first, inputs[first]))
        sent = [*asked, *earlier]
        keys = {placed.key for placed in sent}
        if any(placed.file.content_type == PDF for placed in sent):
            history = with_readings(history)
        else:
            history = [without_reading(turn) for turn in history]
        return Attached(
            models=[m for m in models if all(_takes(inputs[m], placed.file) for placed in sent)],
            history=[with_places(uid, turn, keys) for turn in history],
            asked=asked,
            earlier=earlier,
            drawn=[file.path for file in files_of(uid, last) if file.path in keys],
            again=again,
            notices=[_left_out(count, why) for why, count in left.items()],
        )

    async def fetch(
        self, generation: str, attached: Attached, messages: Turns, conversation: Any
    ) -> list[Notice]:
        """Put the files into their places in the messages, and what was read of them before; what
        the user should be told of it.

        They are held in memory until `release`. conversation: Firestore's reference. Raises
        InvalidArgument, AttachmentUnknown, Overloaded, StorageUnavailable.
        """
        sent = {placed.key: placed for placed in reversed(attached.sent)}  # the question's win
        read = [message[READING] for message in messages if READING in message]
        sizes = {key: placed.file.size for key, placed in sent.items()}
        self._holding.hold(generation, sizes, sum(document["bytes"] for document in read))
        fetched = await asyncio.gather(
            *(self._part(placed, must=not attached.again) for placed in sent.values())
        )
        parts = {key: part for key, part in zip(sent, fetched, strict=True) if part is not None}
        messages[:] = [filled(message, parts) for message in messages]
        await self._recall(attached, messages, conversation)
        gone = len(sent) - len(parts)
        return [_left_out(gone, "it is not there any more")] if gone else []

    async def _recall(self, attached: Attached, messages: Turns, conversation: Any) -> None:
        """What OpenRouter read of the files before goes back to it with the answers."""
        for at, message in enumerate(messages):
            if READING not in message:
                continue
            read = await annotation_store.fetch(conversation, message[READING])
            messages[at] = without_reading(message)
            if message["role"] == "user":
                attached.read = read
            elif read:
                attached.told |= {annotation["file"]["hash"] for annotation in read}
                messages[at]["annotations"] = read

    def release(self, generation: str) -> None:
        """Nothing of it is in memory any more."""
        self._holding.release(generation)

    async def keep(self, attached: Attached) -> None:
        """The question's files belong to a conversation from now on, until it is deleted.

        Storage that can not be reached keeps no caller from an answer: a file that is not kept is
        left out of later turns.
        """
        if attached.again:
            return
        try:
            await asyncio.gather(*(self._uploads.keep(placed.file) for placed in attached.asked))
        except CallableError as error:
            log.error("attachment_not_kept", reason=error.reason)

    async def drop(self, attached: Attached) -> None:
        """The conversation is gone: what came with the question goes as well, uploads expire."""
        paths = [placed.file.path for placed in attached.asked if is_inline(placed.file.path)]
        try:
            await self._uploads.delete(paths)
        except CallableError as error:
            log.error("attachment_not_dropped", reason=error.reason)

    async def _placed(
        self, place: str, given: Attachment, uid: str, generation: str, number: int
    ) -> FileRef:
        if given.path is not None:
            known = await self._uploads.look(given.path) if is_own(uid, given.path) else None
            if known is None:
                raise AttachmentUnknown(field=f"{place}.path")
            return FileRef(place, known, known.path)
        content = decoded(given.data or "")
        if content is None:
            raise InvalidArgument(f"{place}.data must be base64.", field=f"{place}.data")
        path, type_ = inline_path(uid, generation, number), str(given.content_type)
        file = File(path, type_, len(content), given.name, content)
        # not by its path, which is another one each time: the same question has the same key
        key = hashlib.sha256(content + f"\0{type_}\0{given.name}".encode()).hexdigest()
        placed = FileRef(place, file, key)
        if not file.matches_type():
            raise _not_what_it_says(placed)
        return placed

    async def _part(self, placed: FileRef, *, must: bool) -> Part | None:
        """What is sent of the file; None where an earlier turn's is gone, or is none any more."""
        new = must and bool(placed.field)
        read = await self._holding.read(placed.key, lambda: self._read(placed.file))
        if new and not read.found:
            raise AttachmentUnknown(field=f"{placed.field}.path")
        if new and read.part is None:
            raise _not_what_it_says(placed)
        return read.part

    async def _read(self, file: File) -> Read:
        found = file if file.content else await self._uploads.fetch(file)
        if found is None or not found.matches_type():
            return Read(found is not None, None)
        # no network: the default threads may do it, which also resolve names
        return Read(True, await asyncio.to_thread(found.to_part))


def _earlier(
    uid: str,
    turns: Turns,
    of_question: int | None,
    room: _Room,
    model: tuple[str, tuple[str, ...]],
) -> tuple[list[FileRef], dict[str, int]]:
    """(the files of earlier turns that are sent again, the newest ones first; how many are left
    out, and why). of_question: the turn whose attachments are the question's own."""
    id_, inputs = model
    found, left = list[FileRef](), dict[str, int]()
    for place, turn in reversed([*enumerate(turns)]):
        names = ("images",) if place == of_question else ("images", "attachments")
        for file in [file for name in names for file in files_of(uid, turn.get(name))]:
            if not _takes(inputs, file):
                _count(left, f"{id_} can not read it")
            elif room.has(file):
                found.append(FileRef("", file, file.path))
            else:
                _count(left, "there is no room for it")
    return found, left


class _Room:
    """How much more may go with a request."""

    def __init__(self, asked: list[FileRef]) -> None:
        self._count = len(asked)
        self._size = sum(placed.file.size for placed in asked)

    def has(self, file: File) -> bool:
        size = self._size + file.size
        if self._count >= limits.ATTACHMENTS_SENT_MAX or size > limits.ATTACHMENTS_MAX_BYTES:
            return False
        self._count, self._size = self._count + 1, size
        return True


def _takes(inputs: tuple[str, ...], file: File) -> bool:
    """Whether the model takes it; one that nothing is known of is not accused of anything."""
    return not inputs or file.modality is None or file.modality in inputs


def _not_what_it_says(placed: FileRef) -> InvalidArgument:
    type_ = placed.file.content_type
    sentence = f"{placed.field} is not {type_}: its content is something else."
    return InvalidArgument(sentence, field=placed.field)


def _count(left: dict[str, int], why: str) -> None:
    left[why] = left.get(why, 0) + 1


def _left_out(count: int, why: str) -> Notice:
    which = (
        "A file of an earlier turn was" if count == 1 else f"{count} files of earlier turns were"
    )
    why = why if count == 1 else why.replace("it is", "they are").replace(" it", " them")
    return {"reason": "attachment_left_out", "message": f"{which} not sent: {why}."}


def _origin(headers: Mapping[str, str]) -> str | None:
    """The web page that calls: Cloud Storage lets that one upload, by CORS."""
    origin = headers.get("origin", "")
    return origin if re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]{1,253}", origin) else None
