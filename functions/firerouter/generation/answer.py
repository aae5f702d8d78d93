"""Answers an admitted generation, from the cache or by calling OpenRouter.

    the question is stored                                         concurrently with the rest
    its files are fetched
    the helper model writes titles and summaries                   concurrently with the answer
    a cached answer, or a stream -> frames -> a repair, if the answer lacks the required format

All state of the answer is in `AnswerRun`. Whatever `stream` raises, `outcome` returns the answer
so far.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Final

from google.cloud.firestore import AsyncDocumentReference

from .. import log
from ..contract import Notice, ParsedAnswer, parse_answer, parse_partial
from ..conversations import ConversationStore, Summary, ThreadWriter
from ..delivery import Progress, Repair
from ..errors import ContextTooLong, ImagesTooLarge, ImageUnreadable, UpstreamError
from ..files import (
    Attachments,
    FetchedFiles,
    File,
    GeneratedImage,
    GeneratedImages,
    ImageStore,
    image_files,
)
from ..ledger import Allowance, AttemptRecord, Ledger, OpenEntry
from ..openrouter import (
    Answer,
    Attempt,
    AttemptLog,
    ChatRequest,
    Delta,
    Interrupted,
    OpenRouter,
)
from .active import ActiveGeneration
from .cache import CachedAnswer
from .helper_model import HelperCall, HelperModel
from .limits import GenerationLimits
from .preparation import PreparedRequest
from .prices import Prices, records_of
from .prompts import drop_older_half, repair_messages
from .tool_turns import to_client

IMAGE_NOT_STORED: Final[Notice] = {
    "reason": "image_not_kept",
    "message": "An image couldn't be stored, so it is only in this answer.",
}


@dataclass(frozen=True, slots=True)
class AdmittedGeneration:
    """A generation with an entry in the ledger, ready to be answered.

    Attributes:
        active: Its listeners, and how it is stopped.
        prepared: The request.
        entry: The ledger entry, to be settled once.
        cached: The cached answer to an identical request, if there is one.
        writer: Writes question and answer into their conversation, if they belong to one.
        remaining: What its admission left of the user's limits; None if the result does not say.
    """

    active: ActiveGeneration
    prepared: PreparedRequest
    entry: OpenEntry
    cached: CachedAnswer | None = None
    writer: ThreadWriter | None = None
    remaining: Allowance | None = None

    @property
    def keeps_result(self) -> bool:
        """Whether its result is stored for repeated requests or later reading."""
        request, admission = self.prepared.request, self.entry.admission
        asked_for = request.request_id is not None or self.writer is not None
        stores = self.prepared.app.retention.store_texts and not request.temporary
        return stores and (asked_for or admission.continues)

    @property
    def texts_erased(self) -> bool:
        """Whether its conversation, and with it all texts, was deleted while it ran."""
        deleted = self.writer is not None and self.writer.deleted
        return deleted or self.entry.state.texts_erased


@dataclass(frozen=True, slots=True)
class AnswerOutcome:
    """An answer when it has ended, whole or not.

    Attributes:
        upstream: The request to OpenRouter, including its files.
        answer: The final answer; None if none began, or if a cached one was served.
        cached: The cached answer, if it was served.
        attempts: All requests to OpenRouter for it.
        helper_calls: The helper model's calls for it.
        records: All of these, with what they cost.
        summary: The helper model's summary of older messages.
        parsed: A whole answer as JSON, if that was asked for.
        annotations: OpenRouter's new annotations of files, each as JSON text.
        images: The images that the model generated.
        notices: What the caller should know about the answer.
        first_token_ms: Milliseconds until its first token.
        total_ms: Milliseconds until its end.
    """

    upstream: ChatRequest
    answer: Answer | None
    cached: CachedAnswer | None
    attempts: tuple[Attempt, ...]
    helper_calls: tuple[HelperCall, ...]
    records: tuple[AttemptRecord, ...]
    summary: Summary | None
    parsed: ParsedAnswer | None
    annotations: tuple[str, ...]
    images: tuple[GeneratedImage, ...]
    notices: tuple[Notice, ...]
    first_token_ms: int | None
    total_ms: int


class Answerer:
    """Answers admitted generations. One per instance."""

    def __init__(
        self,
        *,
        helper_model: HelperModel,
        attachments: Attachments,
        conversations: ConversationStore,
        images: ImageStore,
        ledger: Ledger,
        progress: Progress,
        openrouter: OpenRouter,
        limits: GenerationLimits,
    ) -> None:
        self.helper_model = helper_model
        self.attachments = attachments
        self.conversations = conversations
        self.images = images
        self.ledger = ledger
        self.progress = progress
        self.openrouter = openrouter
        self.limits = limits

    def start(self, generation: AdmittedGeneration) -> AnswerRun:
        """Return the run of one answer; `stream` starts it."""
        return AnswerRun(self, generation)

    async def write_question(self, prepared: PreparedRequest, writer: ThreadWriter | None) -> None:
        """Store the question in its conversation, which then owns the question's files."""
        if writer is None or writer.question_written:
            return
        if writer.thread.place.persisted:
            await self.attachments.keep(prepared.files)  # first, because the question names them
        await writer.write_question()
        if writer.deleted:
            await self.attachments.drop(prepared.files)


class AnswerRun:
    """One answer in progress, and what there is of it so far."""

    def __init__(self, services: Answerer, generation: AdmittedGeneration) -> None:
        prepared = generation.prepared
        self._services = services
        self._limits = services.limits
        self._generation = generation
        self._active = generation.active
        self._listeners = generation.active.listeners
        self._settings = prepared.feature.settings
        self._upstream = prepared.upstream
        self._log = AttemptLog()
        self._helper = services.helper_model.start(
            prepared, generation.writer, text=self.text, note=self._note
        )
        self._answer: Answer | None = None
        self._replaced: Answer | None = None
        self._cached: CachedAnswer | None = None
        self._parsed: tuple[str, ParsedAnswer | None] | None = None  # of which text
        self._images = GeneratedImages(
            stores=prepared.stores_images, inlines=prepared.request.inline_images
        )
        self._fetched: FetchedFiles | None = None
        self._notices = list(prepared.notices)
        self._first_token_ms: int | None = None
        self._question: asyncio.Task[None] | None = None  # being stored
        self._start: asyncio.Task[None] | None = None  # the start frame being sent

    # -- the answer so far -------------------------------------------------------------------------

    def text(self) -> str:
        """Return its text so far."""
        return self._cached["text"] if self._cached else self.written()[0]

    def written(self) -> tuple[str, str]:
        """Return the text and the reasoning of OpenRouter's answer so far."""
        return (self._answer.text, self._answer.reasoning) if self._answer else ("", "")

    def outcome(self) -> AnswerOutcome:
        """Return the answer so far, with its costs and annotations."""
        return replace(
            self.remains(), records=tuple(self.records()), annotations=self._new_annotations()
        )

    def remains(self) -> AnswerOutcome:
        """Return `outcome` without its computed parts, which a malformed answer may make fail."""
        return AnswerOutcome(
            upstream=self._upstream,
            answer=self._answer,
            cached=self._cached,
            attempts=tuple(self._log.attempts),
            helper_calls=tuple(self._helper.calls),
            records=(),
            summary=self._helper.summary,
            parsed=self._parsed[1] if self._parsed and self._parsed[0] == self.text() else None,
            annotations=(),
            images=tuple(self._images.images),
            notices=(*self._notices, *_shortened(self._log.affordable_tokens)),
            first_token_ms=self._first_token_ms,
            total_ms=self._active.elapsed_ms(),
        )

    def records(self, *, ended: bool = True) -> list[AttemptRecord]:
        """Return all attempts so far with their costs. `ended`: whether all of them have ended."""
        prices = self._generation.prepared.prices
        return all_records(self._log.attempts, self._helper.calls, prices, ended=ended)

    def _new_annotations(self) -> tuple[str, ...]:
        sent = self._fetched.annotated_hashes if self._fetched else frozenset()
        read = dict(self._log.file_annotations.all)
        for answer in (self._replaced, self._answer):
            read |= answer.file_annotations if answer else {}
        return tuple(text for hash_, text in read.items() if hash_ not in sent)

    # -- the answer --------------------------------------------------------------------------------

    async def stream(self) -> None:
        """Send an answer to the listeners. Call this once.

        Raises:
            UpstreamError, Interrupted: `outcome` has what there is of the answer.
        """
        # if unverified files don't match their types, the question must not have been stored
        if not self._generation.prepared.files.has_unverified_files:
            self._begin_question()
        try:
            cached, images = self._generation.cached, await self._cached_images()
            if images is None:
                await self._fetch_files()
            self._begin_question()
            async with self._helper.beside():
                if cached is None or images is None:
                    await self._ask()
                else:
                    await self._replay(cached, images)
        finally:
            if self._question is not None:
                await self._question  # it ran concurrently, so this hardly ever waits

    async def keep_images(self) -> None:
        """Attach the images to the conversation that the answer is stored in, if any."""
        writer = self._generation.writer
        if writer is not None and writer.deleted:
            await self._services.images.drop(self._images)
        elif writer is not None and writer.thread.place.persisted:
            await self._services.images.keep(self._images)

    def _begin_question(self) -> None:
        if self._question is None and self._generation.writer is not None:
            work = self._services.write_question(self._generation.prepared, self._generation.writer)
            self._question = asyncio.create_task(work)

    async def _cached_images(self) -> list[File] | None:
        """Return the cached answer's images; None if there is no cached answer, or one is gone."""
        cached = self._generation.cached
        with self._active.deadline.guard():  # first: it may have been stopped already
            if cached is None:
                return None
            return await self._services.images.fetch(image_files(cached))

    async def _fetch_files(self) -> None:
        prepared = self._generation.prepared
        if not prepared.files.all_files:
            return
        with self._active.deadline.guard():
            fetched = await self._services.attachments.fetch(
                self._active.id, prepared.files, self._upstream.messages, self._conversation()
            )
        self._fetched = fetched
        self._upstream = replace(self._upstream, messages=fetched.fill(self._upstream.messages))
        self._notices += fetched.notices
        self._log.file_annotations.add(list(fetched.question_annotations))

    def _conversation(self) -> AsyncDocumentReference | None:
        thread = self._generation.prepared.thread
        if thread is None:
            return None
        return self._services.conversations.reference(
            self._active.uid, thread.place.conversation_id
        )

    async def _replay(self, cached: CachedAnswer, files: list[File]) -> None:
        """Send a cached answer, all at once."""
        await self._question_stored()
        self._cached = cached
        await self._parse(self._upstream)
        self._first_token_ms = self._active.elapsed_ms()
        await self._send_start(cached["model"])
        if self._settings.stream:
            await self._send_cached(cached)
        with self._active.deadline.guard():
            for file in files:
                await self._show(
                    await self._services.images.add(
                        file, self._images, self._active.uid, self._active.id
                    )
                )

    async def _send_cached(self, cached: CachedAnswer) -> None:
        for kind, text in (("reasoning", cached.get("reasoning")), ("text", cached["text"])):
            if text:
                await self._listeners.send_delta(kind, text)
        for citation in cached.get("citations") or ():
            await self._listeners.send_indexed("citation", citation)

    async def _ask(self) -> None:
        """Call OpenRouter, and once more if the answer does not have the required format."""
        self._start = asyncio.create_task(self._start_when_stored())
        try:
            upstream = await self._read_fitting()
        except (ImagesTooLarge, ImageUnreadable):
            await self._services.images.drop(self._images)  # an incomplete set is not an answer
            raise
        finally:
            await self._start
        made, wanted = len(self._images.images), upstream.image_count
        if 0 < made < wanted:
            self._notices.append(_fewer_images(made, wanted))
        parsed = await self._parse(upstream)
        if parsed is not None and parsed.fault and self._may_repair():
            await self._repair(upstream, parsed.fault)
            await self._parse(upstream)

    async def _parse(self, upstream: ChatRequest) -> ParsedAnswer | None:
        """Parse the answer and validate it, once and off the event loop; None if it is no JSON."""
        text = self.text()
        if self._parsed is None or self._parsed[0] != text:
            wanted, compute = upstream.response_format, self._services.ledger.background.compute
            found = await compute(parse_answer, text, wanted) if upstream.wants_json else None
            self._parsed = text, found
        return self._parsed[1]

    async def _read_fitting(self) -> ChatRequest:
        """Read the answer. If the conversation is too long for the model, retry with half of it.

        Returns:
            The last request that was sent.
        """
        upstream = self._upstream
        try:
            await self._read(upstream)
        except ContextTooLong as error:
            in_conversation = self._generation.writer is not None
            shorter = drop_older_half(upstream.messages) if in_conversation else None
            if not shorter or self._answer is not None:
                raise
            await self._announce_retry(upstream.models[0], error.reason)
            upstream = replace(upstream, messages=shorter)
            await self._read(upstream)
        return upstream

    def _may_repair(self) -> bool:
        """Return whether the feature repairs answers that have not their format."""
        answer = self._answer
        whole = answer is not None and answer.finish_reason == "stop"
        # a repair would generate, and bill, the images again
        return whole and self._settings.repair_json and not self._images.images

    async def _repair(self, upstream: ChatRequest, fault: str) -> None:
        """Request the answer once more. It replaces the first one; both are billed."""
        first, model = self._answer, self._log.attempts[-1].model
        if first is None:
            return
        self._answer, self._replaced = None, first
        self._listeners.restart()
        read = [
            json.loads(text) for text in first.file_annotations.values()
        ]  # not to be billed twice
        messages = repair_messages(upstream.messages, first.text, fault, read)
        repair = Repair(model, fault)
        await self._listeners.send({"type": "repair", **repair.to_wire()})
        try:
            await self._read(replace(upstream, models=[model], messages=messages), repair)
        except UpstreamError as error:
            log.warning("not_repaired", reason=error.reason)
            self._answer, self._replaced = first, self._answer  # better than no answer
        except Interrupted:
            if self._answer is None:
                self._answer, self._replaced = first, None  # better than no answer
            raise

    async def _read(self, upstream: ChatRequest, repair: Repair | None = None) -> None:
        active, settings, tools = self._active, self._settings, upstream.tool_names
        stored = settings.resume and self._generation.keeps_result
        async with self._services.openrouter.answer(
            upstream,
            active.deadline,
            self._log,
            on_id=self._note,
            on_retry=self._announce_retry,
        ) as stream:
            self._first_token_ms = self._first_token_ms or active.elapsed_ms()
            self._answer = stream.answer
            if self._start is not None:
                await self._start
            async with self._recorded(repair) if stored else nullcontext(), self._partial(upstream):
                with active.deadline.guard(settings.idle_s, "idle"):
                    async for deltas in stream:
                        for delta in deltas:
                            await self._handle(delta, tools)

    async def _handle(self, delta: Delta, tools: frozenset[str]) -> None:
        """Send one delta; an image is stored first, even if the feature does not stream."""
        kind = delta.kind
        if kind in ("text", "reasoning"):  # first: there are hundreds a second
            if self._settings.stream:
                await self._listeners.send_delta(kind, delta.text)
        elif kind == "image":
            image = await self._services.images.add_received(
                delta.value, self._images, self._active.uid, self._active.id
            )
            await self._show(image)
        elif not self._settings.stream or kind == "heartbeat":
            return
        elif kind == "partial_image":
            partial = {"index": len(self._images.images), "partial": True, **delta.value}
            await self._listeners.send({"type": "image", "image": partial})  # to be replaced
        elif kind == "tool_call":
            await self._listeners.send_indexed("tool_call", to_client(delta.value, tools))
        else:
            await self._listeners.send_indexed(kind, delta.value)

    async def _show(self, image: GeneratedImage) -> None:
        if self._images.storage_failed and IMAGE_NOT_STORED not in self._notices:
            self._notices.append(IMAGE_NOT_STORED)
        if self._settings.stream:
            await self._listeners.send_whole({"type": "image", "image": image.to_wire()})

    # -- concurrently with the answer --------------------------------------------------------------

    def _recorded(self, repair: Repair | None) -> AbstractAsyncContextManager[None]:
        """While entered, store the text as it grows, for clients that lost the stream."""
        active = self._active
        return self._services.progress.record(
            active.id,
            self.written,
            continues=not active.needs_listener,
            elapsed_s=active.elapsed_ms() / 1000,
            repair=repair,
        )

    @asynccontextmanager
    async def _partial(self, upstream: ChatRequest) -> AsyncIterator[None]:
        """While entered, send the JSON so far at intervals, if the caller wants that."""
        asked = self._generation.prepared.request.partial_json and self._active.needs_listener
        wanted = asked and self._settings.stream and upstream.wants_json
        sending = asyncio.create_task(self._send_partial()) if wanted else None
        try:
            yield
        finally:
            if sending is not None:
                sending.cancel()
                await asyncio.wait({sending})

    async def _send_partial(self) -> None:
        sent = None
        while True:
            await asyncio.sleep(self._limits.partial_json_every_s)
            text = self.written()[0]
            if len(text) > self._limits.partial_json_max_chars:
                return  # each time, it would have to be parsed from the beginning
            value = parse_partial(text)
            if value is not None and value != sent:
                sent = value
                await self._listeners.send({"type": "json", "json": value})

    async def _announce_retry(self, model: str, reason: str) -> None:
        # another attempt follows, and has no ID for a while
        await self._services.ledger.note_now(self._generation.entry, self.records(ended=False))
        if self._start is not None:
            await self._start
        attempt = len(self._log.attempts) + 1
        await self._listeners.send(
            {"type": "retry", "attempt": attempt, "model": model, "reason": reason}
        )

    def _note(self) -> None:
        self._services.ledger.note(self._generation.entry, self.records(ended=False))

    async def _start_when_stored(self) -> None:
        """Send the start frame once the question is stored."""
        await self._question_stored()
        await self._send_start(self._upstream.models[0])

    async def _send_start(self, model: str) -> None:
        thread = self._generation.prepared.thread
        ids = thread.place.ids() if thread else {}
        frame = {"type": "start", "generationId": self._active.id, **ids, "model": model}
        await self._listeners.send_start(frame)

    async def _question_stored(self) -> None:
        if self._question is not None:
            await asyncio.wait({self._question}, timeout=self._limits.question_wait_s)


def all_records(
    attempts: Iterable[Attempt],
    helper_calls: Iterable[HelperCall],
    prices: Prices,
    *,
    ended: bool = True,
) -> list[AttemptRecord]:
    """Return the answer's attempts and their costs, then those of the helper model beside it.

    Args:
        attempts: The attempts.
        helper_calls: The helper model's calls.
        prices: What the attempts are priced at.
        ended: Whether all of them have ended.
    """
    beside = [
        record
        for call in helper_calls
        for record in records_of(
            call.attempts.attempts, prices.for_helper(), purpose=call.purpose, ended=ended
        )
    ]
    return [*records_of(attempts, prices, ended=ended), *beside]


def _shortened(affordable_tokens: int | None) -> Iterator[Notice]:
    if affordable_tokens is not None:
        message = f"Only {affordable_tokens:,} tokens could be paid for: the answer may end early."
        yield {"reason": "max_tokens_lowered", "field": "maxTokens", "message": message}


def _fewer_images(made: int, wanted: int) -> Notice:
    message = f"The model generated {made} of {wanted} images."
    return {"reason": "parameter_dropped", "field": "imageOptions.n", "message": message}
