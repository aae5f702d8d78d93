"""Plans which files are sent with a request: the question's, and earlier ones that fit. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..contract import PDF, ExecutePrompt, Json, Message
from ..errors import AttachmentNotTaken
from .file import FREE_PDF_PLUGIN, File
from .limits import FileLimits
from .placeholders import (
    HistoryMessage,
    add_placeholders,
    keep_annotations,
    move_images,
    with_placeholders,
)

if TYPE_CHECKING:
    from ..contract import Notice


@dataclass(frozen=True, slots=True)
class FileRef:
    """A file of a request.

    Attributes:
        field: The request's field that names it; empty for a file of an earlier message.
        key: Identifies its bytes. A placeholder with this key stands for it in a message.
    """

    field: str
    file: File
    key: str


@dataclass(frozen=True, slots=True)
class FilePlan:
    """The files that are sent with a request, and the models that accept them.

    Attributes:
        models: The models that accept all of the files, in their order.
        history: The earlier messages, with placeholders for their files.
        question_files: The question's files.
        history_files: The files of earlier messages.
        previous_images: Keys of images of the last answer, which are sent with the question.
        is_regeneration: The question is answered again, and is the last message of `history`.
        notices: What the user should know about files that are left out.
    """

    models: list[str]
    history: list[Message]
    question_files: tuple[FileRef, ...] = ()
    history_files: tuple[FileRef, ...] = ()
    previous_images: tuple[str, ...] = ()
    is_regeneration: bool = False
    notices: list[Notice] = field(default_factory=list)

    @classmethod
    def without_files(cls, models: Sequence[str], history: Sequence[HistoryMessage]) -> FilePlan:
        return cls([*models], [entry.message for entry in keep_annotations(history, 0)])

    @property
    def all_files(self) -> list[FileRef]:
        return [*self.question_files, *self.history_files]

    @property
    def has_unverified_files(self) -> bool:
        """Whether the content of a file of the question was not yet checked against its type."""
        read = all(ref.file.content for ref in self.question_files)
        return not self.is_regeneration and not read

    def documents(self) -> list[Json]:
        """Return the question's files as its message in Firestore stores them."""
        return [ref.file.to_document() for ref in self.question_files]

    def require_images_or_text(self) -> None:
        """Check the question's files for the image API.

        Raises:
            AttachmentNotTaken: One is neither an image nor text.
        """
        for ref in self.question_files:
            file = ref.file
            if file.modality != "image" and not file.is_text:
                sentence = f"This feature generates images and does not accept {file.content_type}."
                raise AttachmentNotTaken(sentence, field=ref.field, modality=file.modality)

    def add_to_messages(self, messages: Sequence[Message]) -> list[Message]:
        """Return the messages, the last one with placeholders for the question's files."""
        if self.is_regeneration:
            return [*messages]
        keys = [*self.previous_images, *(ref.key for ref in self.question_files)]
        return [*messages[:-1], add_placeholders(messages[-1], keys)]

    def with_free_pdf_parser(self, parameters: Json, *, free_only: bool) -> Json:
        """Return the parameters, with the free PDF parser if only free models are allowed."""
        pdf = any(ref.file.content_type == PDF for ref in self.all_files)
        if not (pdf and free_only):
            return parameters
        plugins = parameters.get("plugins")
        own = plugins if isinstance(plugins, list) else []
        if any(plugin.get("id") == FREE_PDF_PLUGIN["id"] for plugin in own):
            return parameters  # an admin's own, which is free as well: others are refused here
        return {**parameters, "plugins": [*own, FREE_PDF_PLUGIN]}


def plan_files(
    request: ExecutePrompt,
    question_files: Sequence[FileRef],
    inputs: Mapping[str, tuple[str, ...]],
    history: Sequence[HistoryMessage],
    limits: FileLimits,
) -> FilePlan:
    """Return which files are sent: all of the question's, and the newest of the others that fit.

    Args:
        request: The caller's request.
        question_files: The files that are attached to it.
        inputs: The input modalities of the model and its fallbacks, in their order; empty if they
            are not known.
        history: The earlier messages.
        limits: How many files, and bytes, a request may have.

    Raises:
        AttachmentNotTaken: The first model does not accept one of the question's files.
    """
    messages, unclaimed = move_images(history)
    previous = [] if request.prompt is None else unclaimed
    is_regeneration = request.regenerate is not None
    if is_regeneration:
        files = messages[-1].attachments
        question_files = [FileRef("regenerate", file, file.path) for file in files]
    first = next(iter(inputs))
    for ref in question_files:
        if not _takes(inputs[first], ref.file):
            type_, modality = ref.file.content_type, ref.file.modality
            sentence = f"{first} does not accept {type_}. Please choose another model."
            raise AttachmentNotTaken(sentence, field=ref.field, modality=modality)
    candidates = [*previous]
    for at, entry in reversed([*enumerate(messages)]):
        is_question = is_regeneration and at == len(messages) - 1
        candidates += [*entry.images, *(() if is_question else entry.attachments)]
    history_files, notices = _choose(candidates, question_files, first, inputs[first], limits)
    refs = [*question_files, *history_files]
    keys = {ref.key for ref in refs}
    pdf = any(ref.file.content_type == PDF for ref in refs)
    messages = keep_annotations(messages, limits.annotations_max_bytes if pdf else 0)
    return FilePlan(
        models=[m for m in inputs if all(_takes(inputs[m], ref.file) for ref in refs)],
        history=[with_placeholders(entry, keys) for entry in messages],
        question_files=tuple(question_files),
        history_files=tuple(history_files),
        previous_images=tuple(file.path for file in previous if file.path in keys),
        is_regeneration=is_regeneration,
        notices=notices,
    )


class SizeBudget:
    """How many more files, and bytes, fit into a request."""

    def __init__(self, files: Sequence[File], limits: FileLimits) -> None:
        self._count = len(files)
        self._size = sum(file.size for file in files)
        self._limits = limits

    def take(self, file: File) -> bool:
        """Return whether one more file fits, and count it if it does."""
        count, size = self._count + 1, self._size + file.size
        if count > self._limits.request_max_files or size > self._limits.request_max_bytes:
            return False
        self._count, self._size = count, size
        return True


def left_out(count: int, reason: str) -> Notice:
    """Return the notice that files of earlier messages were left out.

    `reason` is in the singular, and is turned into the plural if `count` is more than one.
    """
    if count == 1:
        message = f"A file of an earlier message was not sent: {reason}."
    else:
        reason = reason.replace("it no longer exists", "they no longer exist")
        reason = reason.replace("accept it", "accept them").replace("for it", "for them")
        message = f"{count} files of earlier messages were not sent: {reason}."
    return {"reason": "attachment_left_out", "message": message}


def _choose(
    candidates: Sequence[File],
    question_files: Sequence[FileRef],
    model: str,
    inputs: tuple[str, ...],
    limits: FileLimits,
) -> tuple[list[FileRef], list[Notice]]:
    """Return the files of earlier messages that are sent, the newest first, and the notices about
    the others."""
    budget = SizeBudget([ref.file for ref in question_files], limits)
    chosen: list[FileRef] = []
    counts: dict[str, int] = {}
    for file in candidates:
        if not _takes(inputs, file):
            reason = f"{model} does not accept it"
        elif budget.take(file):
            chosen.append(FileRef("", file, file.path))
            continue
        else:
            reason = "there is no room for it"
        counts[reason] = counts.get(reason, 0) + 1
    return chosen, [left_out(count, reason) for reason, count in counts.items()]


def _takes(inputs: tuple[str, ...], file: File) -> bool:
    """Return whether a model accepts the file. A model of unknown modalities is assumed to."""
    return not inputs or file.modality is None or file.modality in inputs
