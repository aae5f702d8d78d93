"""Files on their way from a client to Cloud Storage, and from there to a model.

    create_upload -> a URL for one file -> the client uploads it

    find    before the request is admitted: do the question's files exist, are they small enough?
    plan    does the model accept them, and which files of earlier messages still fit?
    fetch   once the request is admitted: their bytes, checked against their types
    keep    while OpenRouter is called: they belong to the conversation from then on

If one of the question's files is invalid, the error names the file. A file of an earlier message
that can't be sent again is left out, with a notice. Bytes are fetched only for a request that was
admitted, so the caps on requests also limit what the downloads cost.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from google.cloud.firestore import AsyncDocumentReference

from .. import log
from ..background import BackgroundTasks
from ..callable import Call, CallableError
from ..contract import (
    Attachment,
    CreateUpload,
    ExecutePrompt,
    Json,
    Message,
    Part,
    StoredAnnotations,
    parse,
    shown_name,
)
from ..errors import AttachmentUnknown, InvalidArgument
from ..features import ModelChoice
from ..users import Caller
from .annotation_store import fetch_annotations
from .file import File, inline_path, is_inline, is_own, new_path
from .file_plan import FilePlan, FileRef, left_out, plan_files
from .limits import FileLimits
from .memory_budget import MemoryBudget
from .placeholders import FetchedFiles, HistoryMessage
from .storage import FileStorage
from .upload_quota import UploadQuota


class _Read(NamedTuple):
    """A file that was read. part: None if its content does not match its type."""

    exists: bool
    part: Part | None


class Attachments:
    """The use case `create_upload`, and what generations need of files. One per instance."""

    def __init__(
        self,
        *,
        storage: FileStorage,
        quota: UploadQuota,
        choice: ModelChoice,
        background: BackgroundTasks,
        limits: FileLimits,
    ) -> None:
        self._background = background
        self._storage = storage
        self._quota = quota
        self._choice = choice
        self._limits = limits
        self._memory: MemoryBudget[_Read] = MemoryBudget(limits=limits)

    async def create_upload(self, call: Call[Caller]) -> Json:
        """Return where to upload a file, and the path that attaches it to a prompt.

        `{path, uploadUrl, method, headers, expiresAt}`

        Raises:
            InvalidArgument: The file's type can't be attached, or it is too large.
            QuotaExceeded: The user has started too many uploads today.
            StorageMissing, StorageUnavailable, LedgerUnavailable: The upload can't start.
        """
        request = parse(CreateUpload, call.data)
        path = new_path(call.caller.uid)
        file = File(path, request.content_type, request.size, request.name)
        if reason := file.rejection_reason(self._limits):
            raise InvalidArgument(f"bytes: the file {reason}.", field="bytes")
        await self._quota.take(call.caller.uid)
        url = await self._storage.open(file, _origin(call.headers))
        expires = datetime.now(UTC) + timedelta(days=self._limits.upload_open_days)
        return {
            "path": file.path,
            "uploadUrl": url,
            "method": "PUT",
            "headers": {"Content-Type": file.content_type},
            "expiresAt": expires.isoformat(timespec="seconds"),
        }

    async def find(self, request: ExecutePrompt, uid: str, generation: str) -> list[FileRef]:
        """Return the files that are attached to the question.

        Raises:
            InvalidArgument: A file does not match its type or is too large, or all together are.
            AttachmentUnknown: The user has no such upload.
            StorageUnavailable: Cloud Storage did not answer.
        """
        found = await asyncio.gather(
            *(
                self._find(f"attachments[{number}]", attachment, uid, generation, number)
                for number, attachment in enumerate(request.attachments)
            )
        )
        for ref in found:
            if reason := ref.file.rejection_reason(self._limits):
                raise InvalidArgument(f"{ref.field} {reason}.", field=ref.field)
        size, most = sum(ref.file.size for ref in found), self._limits.request_max_bytes
        if size > most:
            sentence = f"attachments have {size} bytes in total; at most {most} are allowed."
            raise InvalidArgument(sentence, field="attachments")
        return list(found)

    def hold_inline(self, generation: str, refs: Sequence[FileRef]) -> None:
        """Count the files that came with a request: they are in memory until `release`.

        Raises:
            Overloaded: This instance holds too many files at the moment.
        """
        sizes = {ref.key: ref.file.size for ref in refs if ref.file.content}
        if sizes:
            self._memory.hold(generation, sizes, 0)

    async def plan(
        self,
        request: ExecutePrompt,
        question_files: Sequence[FileRef],
        models: Sequence[str],
        history: Sequence[HistoryMessage],
    ) -> FilePlan:
        """Return which files are sent, and to which of the models. See `plan_files`.

        Raises:
            AttachmentNotTaken: The first model does not accept one of the question's files.
        """
        if not question_files and not any(entry.attachments or entry.images for entry in history):
            return FilePlan.without_files(models, history)
        inputs = dict(zip(models, await self._choice.input_modalities(list(models)), strict=True))
        return plan_files(request, question_files, inputs, history, self._limits)

    async def fetch(
        self,
        generation: str,
        plan: FilePlan,
        messages: Sequence[Message],
        conversation: AsyncDocumentReference | None,
    ) -> FetchedFiles:
        """Fetch the planned files, and OpenRouter's stored annotations of files.

        The files are held in memory until `release`.

        Args:
            generation: The generation that sends the files.
            plan: What `plan` returned.
            messages: The messages that will be sent.
            conversation: The conversation that has the annotations, if any.

        Raises:
            InvalidArgument: A file of the question does not match its type.
            AttachmentUnknown: A file of the question is gone.
            Overloaded: This instance holds too many files at the moment.
            StorageUnavailable: Cloud Storage did not answer.
        """
        refs = {ref.key: ref for ref in reversed(plan.all_files)}  # the question's take precedence
        stored = {m.stored_annotations: m.role for m in messages if m.stored_annotations}
        sizes = {key: ref.file.size for key, ref in refs.items()}
        self._memory.hold(generation, sizes, sum(each.size_bytes for each in stored))
        verified = plan.is_regeneration
        parts = await asyncio.gather(*(self._part(ref, verified) for ref in refs.values()))
        found = {key: part for key, part in zip(refs, parts, strict=True) if part is not None}
        read = await self._annotations(stored, conversation)
        gone = len(refs) - len(found)
        return FetchedFiles(
            parts=found,
            annotations={at: each for at, each in read.items() if stored[at] != "user"},
            question_annotations=tuple(
                annotation
                for at, each in read.items()
                if stored[at] == "user"
                for annotation in each
            ),
            notices=[left_out(gone, "it no longer exists")] if gone else [],
        )

    async def _annotations(
        self,
        stored: Mapping[StoredAnnotations, str],
        conversation: AsyncDocumentReference | None,
    ) -> dict[StoredAnnotations, tuple[Json, ...]]:
        if conversation is None:
            return {}
        return {each: await fetch_annotations(conversation, each) for each in stored}

    def release(self, generation: str) -> None:
        """Free the memory that `fetch` used for this generation."""
        self._memory.release(generation)

    async def keep(self, plan: FilePlan) -> None:
        """Keep the question's files until their conversation is deleted.

        If Cloud Storage is unavailable, the caller still gets an answer. A file that could
        not be kept is left out of later requests.
        """
        if plan.is_regeneration:
            return
        try:
            await asyncio.gather(*(self._storage.keep(ref.file) for ref in plan.question_files))
        except CallableError as error:
            log.error("attachment_not_kept", reason=error.reason)

    async def drop(self, plan: FilePlan) -> None:
        """Delete the files sent with a question whose conversation is gone. Uploads expire."""
        paths = [ref.file.path for ref in plan.question_files if is_inline(ref.file.path)]
        try:
            await self._storage.delete(paths)
        except CallableError as error:
            log.error("attachment_not_dropped", reason=error.reason)

    async def _find(
        self, place: str, attachment: Attachment, uid: str, generation: str, number: int
    ) -> FileRef:
        if attachment.path is not None:
            own = is_own(uid, attachment.path)
            known = await self._storage.look(attachment.path) if own else None
            if known is None:
                raise AttachmentUnknown(field=f"{place}.path")
            return FileRef(place, known, known.path)
        content, digest = await self._background.compute(_decode, attachment)
        type_ = str(attachment.content_type)
        if content is None:
            raise InvalidArgument(f"{place}.data must be base64.", field=f"{place}.data")
        path = inline_path(uid, generation, number)
        file = File(path, type_, len(content), attachment.name, content)
        # not the path, which differs each time: the same question must have the same key
        key = hashlib.sha256(digest)
        key.update(f"\0{type_}\0{attachment.name}".encode())
        ref = FileRef(place, file, key.hexdigest())
        if not file.matches_type():
            raise _not_what_it_says(ref)
        return ref

    async def _part(self, ref: FileRef, verified: bool) -> Part | None:
        """Return the part that is sent for a file; None if it can't be sent and need not be.

        verified: The question is answered again, so its files count as those of an earlier message.
        """
        must = bool(ref.field) and not verified
        read = await self._memory.read(ref.key, lambda: self._read(ref.file))
        if must and not read.exists:
            raise AttachmentUnknown(field=f"{ref.field}.path")
        if must and read.part is None:
            raise _not_what_it_says(ref)
        return read.part

    async def _read(self, file: File) -> _Read:
        found = file if file.content else await self._storage.fetch(file)
        if found is None or not found.matches_type():
            return _Read(found is not None, None)
        # in the default threads, which resolve host names too: this needs no network
        return _Read(True, await asyncio.to_thread(found.to_part))


def _decode(attachment: Attachment) -> tuple[bytes | None, bytes]:
    return attachment.content, attachment.digest


def _not_what_it_says(ref: FileRef) -> InvalidArgument:
    sentence = (
        f"{shown_name(ref.file.name)} is not really a file of the type {ref.file.content_type}. "
        "Please attach another one."
    )
    return InvalidArgument(sentence, field=ref.field)


def _origin(headers: Mapping[str, str]) -> str | None:
    """Return the origin of the web page that calls, so that CORS lets it upload."""
    origin = headers.get("origin", "")
    return origin if re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]{1,253}", origin) else None
