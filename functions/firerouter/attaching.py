"""Files on their way: from a client into Cloud Storage, from there to a model.

    create_upload -> an address for one file -> the client uploads it
    execute_prompt: look -> can the model take it? -> fetch -> is it what it says? -> parts
                                                    earlier turns' files too, the newest ones first

All of that is before anything is counted or sent. What is wrong with a file of the question is
refused by its place; what an earlier turn had and can not be sent again is left out, with a notice.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from . import limits, log
from .allowance import Allowance
from .attachments import (
    FREE_PDF_PLUGIN,
    PDF,
    Attachment,
    CreateUpload,
    File,
    Part,
    decoded,
    files_of,
    inline_path,
    is_own,
    new_path,
    with_parts,
)
from .callable import Call, CallableError, Overloaded
from .choice import Choice, Notices
from .contract import ExecutePrompt, parse
from .errors import AttachmentNotTaken, AttachmentUnknown, InvalidArgument
from .identity import Caller
from .uploads import Uploads

Turns = list[dict[str, Any]]
Placed = tuple[str, File]  # the field that names it, and the file


@dataclass(slots=True)
class Attached:
    """What the files of a request come to.

    models: those that can take them. history: the earlier turns, with their files. files: of the
    question, parts: what a model is sent of it, by path. asked_again: it is one that was asked
    before, and kept.
    """

    models: list[str]
    history: Turns
    files: list[File] = field(default_factory=list)
    parts: Mapping[str, Part] = field(default_factory=dict)
    asked_again: bool = False
    has_pdf: bool = False
    notices: Notices = field(default_factory=list)

    def documents(self) -> dict[str, Any]:
        """What the question's message keeps of them."""
        return {"attachments": [file.to_document() for file in self.files]} if self.files else {}

    def onto(self, messages: Turns) -> Turns:
        """The messages, the last one with the question's files."""
        if not self.files or self.asked_again:
            return messages
        last = messages[-1]
        parts = [self.parts[file.path] for file in self.files]
        return [*messages[:-1], {**last, "content": with_parts(last["content"], parts)}]

    def parameters(self, given: dict[str, Any], *, free_only: bool) -> dict[str, Any]:
        """The parameters, so that no PDF is read for money where nothing may cost any."""
        if not (self.has_pdf and free_only):
            return given
        return {**given, "plugins": [*(given.get("plugins") or ()), FREE_PDF_PLUGIN]}


class Attaching:
    """The use case `create_upload`, and what `generate` needs of files. Make one an instance."""

    def __init__(self, *, uploads: Uploads, allowance: Allowance, choice: Choice) -> None:
        self._uploads = uploads
        self._allowance = allowance
        self._choice = choice
        self._in_flight: dict[str, int] = {}  # bytes, by generation

    async def create_upload(self, call: Call[Caller]) -> dict[str, Any]:
        """`{path, uploadUrl, method, headers, expiresAt}`: where to send the file, and how to name
        it afterwards.

        Raises QuotaExceeded, StorageMissing, StorageUnavailable, LedgerUnavailable.
        """
        asked = parse(CreateUpload, call.data)
        file = File(new_path(call.caller.uid), asked.content_type, asked.size, asked.name)
        if lack := file.shortcoming():
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

    async def gather(
        self, request: ExecutePrompt, uid: str, generation: str, models: list[str], history: Turns
    ) -> Attached:
        """The files of the question, and those of earlier turns that can be sent again.

        history: {role, content, attachments?}. What is held in memory for it is held until
        `let_go`. Raises InvalidArgument, AttachmentUnknown, AttachmentNotTaken, Overloaded,
        StorageUnavailable.
        """
        if not (request.attachments or any("attachments" in turn for turn in history)):
            return Attached(models, history)
        again = request.regenerate is not None
        if again:
            asked = [("regenerate", file) for file in files_of(uid, history[-1].get("attachments"))]
        else:
            asked = await self._asked(request, uid, generation)
        room = _Room(asked)
        inputs = dict(zip(models, await self._choice.inputs(models), strict=True))
        first = models[0]
        for place, file in asked:
            if not _takes(inputs[first], file):
                what = f"{first} can not read {file.content_type}. Please choose another model."
                raise AttachmentNotTaken(what, field=place, modality=file.modality)
        sent = list(asked)
        left: dict[str, int] = {}
        for turn in reversed(history[:-1] if again else history):
            for file in files_of(uid, turn.get("attachments")):
                if not _takes(inputs[first], file):
                    _count(left, f"{first} can not read it")
                elif room.has(file):
                    sent.append(("", file))
                else:
                    _count(left, "there is no room for it")
        self._hold(generation, room.size)
        found = await self._fetched(sent, again=again)
        if gone := len({file.path for _, file in sent} - found.keys()):
            left["it is not there any more"] = gone
        # no network: the default threads may do it, which also resolve names
        parts = await asyncio.to_thread(
            lambda: {file.path: file.to_part() for file in found.values()}
        )
        return Attached(
            models=[m for m in models if all(_takes(inputs[m], file) for file in found.values())],
            history=[_with_files(uid, turn, parts) for turn in history],
            files=[found[file.path] for _, file in asked if file.path in found],
            parts=parts,
            asked_again=again,
            has_pdf=any(file.content_type == PDF for file in found.values()),
            notices=[_left_out(count, why) for why, count in left.items()],
        )

    def let_go(self, generation: str) -> None:
        """Nothing of it is in memory any more."""
        self._in_flight.pop(generation, None)

    async def keep(self, attached: Attached) -> None:
        """The question's files belong to a conversation from now on, until it is deleted.

        Storage that can not be reached keeps no caller from an answer: a file that is not kept is
        left out of later turns.
        """
        if attached.asked_again:
            return
        try:
            await asyncio.gather(*map(self._uploads.keep, attached.files))
        except CallableError as error:
            log.error("attachment_not_kept", reason=error.reason)

    # -- the question's files --------------------------------------------------------------------

    async def _asked(self, request: ExecutePrompt, uid: str, generation: str) -> list[Placed]:
        asked = await asyncio.gather(
            *(
                self._placed(f"attachments[{number}]", given, uid, generation, number)
                for number, given in enumerate(request.attachments)
            )
        )
        for place, file in asked:
            if lack := file.shortcoming():
                raise InvalidArgument(f"{place} {lack}.", field=place)
        if (size := sum(file.size for _, file in asked)) > limits.ATTACHMENTS_MAX_BYTES:
            sentence = f"attachments have {size} bytes, the most is {limits.ATTACHMENTS_MAX_BYTES}."
            raise InvalidArgument(sentence, field="attachments")
        return list(asked)

    async def _placed(
        self, place: str, given: Attachment, uid: str, generation: str, number: int
    ) -> Placed:
        if given.path is not None:
            known = await self._uploads.look(given.path) if is_own(uid, given.path) else None
            if known is None:
                raise AttachmentUnknown(field=f"{place}.path")
            return place, known
        content = decoded(given.data or "")
        if content is None:
            raise InvalidArgument(f"{place}.data must be base64.", field=f"{place}.data")
        path, type_ = inline_path(uid, generation, number), str(given.content_type)
        return place, File(path, type_, len(content), given.name, content)

    async def _fetched(self, sent: Iterable[Placed], *, again: bool) -> dict[str, File]:
        """By path, those that are there. Raises where one of a new question is not as it should."""

        async def fetch(place: str, file: File) -> File | None:
            whole = file if file.content else await self._uploads.fetch(file)
            new = bool(place) and not again
            if whole is None and new:
                raise AttachmentUnknown(field=f"{place}.path")
            if whole is not None and not whole.is_what_it_says():
                if new:
                    sentence = f"{place} is not {file.content_type}: its content is something else."
                    raise InvalidArgument(sentence, field=place)
                return None
            return whole

        found = await asyncio.gather(*(fetch(*each) for each in sent))
        return {file.path: file for file in found if file is not None}

    def _hold(self, generation: str, size: int) -> None:
        """Raises Overloaded where the instance would hold too much at once."""
        if sum(self._in_flight.values()) + size > limits.ATTACHMENTS_IN_FLIGHT_MAX_BYTES:
            raise Overloaded(retry_after_seconds=2)
        self._in_flight[generation] = size


class _Room:
    """How much more may go with a request."""

    def __init__(self, asked: list[Placed]) -> None:
        self._count = len(asked)
        self.size = sum(file.size for _, file in asked)

    def has(self, file: File) -> bool:
        size = self.size + file.size
        if self._count >= limits.ATTACHMENTS_SENT_MAX or size > limits.ATTACHMENTS_MAX_BYTES:
            return False
        self._count, self.size = self._count + 1, size
        return True


def _takes(inputs: tuple[str, ...], file: File) -> bool:
    """Whether the model takes it; one that nothing is known of is not accused of anything."""
    return not inputs or file.modality is None or file.modality in inputs


def _with_files(uid: str, turn: dict[str, Any], parts: Mapping[str, Part]) -> dict[str, Any]:
    files = files_of(uid, turn.get("attachments"))
    sent = [parts[file.path] for file in files if file.path in parts]
    return {"role": turn["role"], "content": with_parts(turn["content"], sent)}


def _count(left: dict[str, int], why: str) -> None:
    left[why] = left.get(why, 0) + 1


def _left_out(count: int, why: str) -> dict[str, str]:
    which = (
        "A file of an earlier turn was" if count == 1 else f"{count} files of earlier turns were"
    )
    why = why if count == 1 else why.replace("it is", "they are").replace(" it", " them")
    return {"reason": "attachment_left_out", "message": f"{which} not sent: {why}."}


def _origin(headers: Mapping[str, str]) -> str | None:
    """The web page that calls: Cloud Storage lets that one upload, by CORS."""
    origin = headers.get("origin", "")
    return origin if re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]{1,253}", origin) else None
