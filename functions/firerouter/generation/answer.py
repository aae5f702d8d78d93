"""An admitted generation is answered: by an answer that is kept, or by OpenRouter's.

    the question written down                                      beside it all
    the files that go with it
    titles and summaries asked for                                 beside it
    a kept answer, or a stream -> frames -> once more, where it has not the format it was to have

What came of it is in the job's `running`, also when this raises.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from typing import Any, Final

from .. import limits, log
from ..contract import response_format
from ..conversations import ConversationStore
from ..delivery import Progress, Repair
from ..errors import ContextTooLong, ImagesTooLarge, ImageUnreadable, UpstreamError
from ..files import Attachments, File, Image, ImageStore
from ..ledger import Ledger
from ..openrouter import ChatRequest, Delta, Interrupted, OpenRouter
from . import prompts
from .active import ActiveGeneration, AdmittedGeneration
from .cache import ResponseCache
from .helper_model import HelperModel
from .result import all_attempts

Question = asyncio.Task[None] | None  # the question being written into its conversation
NOT_KEPT: Final = {
    "reason": "image_not_kept",
    "message": "An image could not be stored: it is in this answer alone.",
}


class Answerer:
    """Answers. Make one an instance."""

    def __init__(
        self,
        *,
        asides: HelperModel,
        attaching: Attachments,
        conversations: ConversationStore,
        gallery: ImageStore,
        ledger: Ledger,
        progress: Progress,
        responses: ResponseCache,
        openrouter: OpenRouter,
    ) -> None:
        self._asides = asides
        self._attaching = attaching
        self._conversations = conversations
        self._gallery = gallery
        self._ledger = ledger
        self._progress = progress
        self._responses = responses
        self._openrouter = openrouter

    async def answer(self, job: AdmittedGeneration) -> None:
        """Stream an answer to whoever listens. Raises UpstreamError, Interrupted."""
        running = job.running
        attached = running.attached
        # a question whose files turn out to be something else is refused, and not written down
        asking = None if attached and attached.unread else self._begin_asking(running)
        try:
            kept = await self._responses.get(job.recall)
            with running.watch.guard():
                files = await self._gallery.again(kept.get("images", [])) if kept else []
            if kept is None or files is None:  # an image of it is gone: it is asked for anew
                await self._fetch(job)
                asking = asking or self._begin_asking(running)
                async with self._asides.beside(job):
                    await self._stream(job, asking)
            else:
                asking = asking or self._begin_asking(running)
                async with self._asides.beside(job):
                    await self._replay(job, kept, files, asking)
        finally:
            if asking is not None:
                await asking  # while OpenRouter was busy: it took no time of anybody's

    async def write_question(self, running: ActiveGeneration) -> None:
        """With its files, which belong to the conversation from now on."""
        thread, attached = running.thread, running.attached
        if thread is None or thread.written:
            return
        if attached and thread.kept:
            await self._attaching.keep(attached)  # first: the question names them
        await self._conversations.ask(thread)
        if thread.deleted and attached:
            await self._attaching.drop(attached)

    def _begin_asking(self, running: ActiveGeneration) -> Question:
        return asyncio.create_task(self.write_question(running)) if running.thread else None

    async def _fetch(self, job: AdmittedGeneration) -> None:
        """The files that go with the request."""
        running, thread = job.running, job.running.thread
        if running.attached is None or not running.attached.sent:
            return
        conversation = thread and self._conversations.conversation(running.uid, thread.id)
        with running.watch.guard():
            running.notices += await self._attaching.fetch(
                running.id, running.attached, job.ask.messages, conversation
            )
        running.tries.file_annotations.add(running.attached.read)

    async def _replay(
        self, job: AdmittedGeneration, kept: dict[str, Any], files: list[File], asking: Question
    ) -> None:
        running = job.running
        await _settled(asking)
        await running.replay(kept, stream=job.feature.settings.stream)
        with running.watch.guard():
            for file in files:
                added = self._gallery.add(file, running.drawn, running.uid, running.id)
                await self._show(job, await added)

    async def keep_images(self, running: ActiveGeneration) -> None:
        """They belong to the conversation that the answer is written in, if any."""
        thread = running.thread
        if thread is not None and thread.deleted:
            await self._gallery.drop(running.drawn)
        elif thread is not None and thread.kept:
            await self._gallery.keep(running.drawn)

    async def _stream(self, job: AdmittedGeneration, asking: Question) -> None:
        running, ask = job.running, job.ask
        starting = running.starting = asyncio.create_task(_start(job, asking))

        def note() -> None:
            self._ledger.note(job.entry, all_attempts(running))

        async def on_retry(model: str, reason: str) -> None:
            note()  # that another one follows
            await starting
            attempt = len(running.tries.attempts) + 1
            message = {"type": "retry", "attempt": attempt, "model": model, "reason": reason}
            await running.send(message)

        running.on_retry, running.on_id = on_retry, note
        try:
            ask = await self._fitting(job, ask)
        except (ImagesTooLarge, ImageUnreadable):
            await self._gallery.drop(running.drawn)  # some of them are no answer
            raise
        finally:
            await starting
        if 0 < (made := len(running.drawn.all)) < ask.makes:
            running.notices = [*running.notices, _fewer(made, ask.makes)]
        repairs = job.feature.settings.repair_json
        found = response_format.read(running.written()[0], ask.format) if repairs else None
        whole = running.answer is not None and running.answer.finish_reason == "stop"
        whole = whole and not running.drawn.all  # which a repair would pay for once more
        if found is not None and found.fault is not None and whole:
            await self._repair(job, ask, found.fault)

    async def _fitting(self, job: AdmittedGeneration, ask: ChatRequest) -> ChatRequest:
        """Read the answer; where the model finds a conversation too long, to half of it. What was
        asked in the end."""
        try:
            await self._read(job, ask)
        except ContextTooLong as error:
            running = job.running
            told = running.thread and prompts.shortened(ask.messages)
            if not told or running.answer is not None:
                raise
            if running.on_retry is not None:
                await running.on_retry(ask.models[0], error.reason)
            ask = replace(ask, messages=told)
            await self._read(job, ask)
        return ask

    async def _repair(self, job: AdmittedGeneration, ask: ChatRequest, fault: str) -> None:
        """Ask for the answer once more, which takes the first one's place; each is paid for."""
        running = job.running
        model = running.tries.attempts[-1].model
        first = running.restart()
        assert first is not None, "there is an answer to repair"
        read = [
            json.loads(text) for text in first.file_annotations.values()
        ]  # not to be paid for twice
        messages = response_format.once_more(ask.messages, first.text, fault, read)
        repair = Repair(model, fault)
        await running.send({"type": "repair", **repair.to_wire()})
        try:
            await self._read(job, replace(ask, models=[model], messages=messages), repair)
        except UpstreamError as error:
            log.warning("not_repaired", reason=error.reason)
            running.answer, running.other = first, running.answer  # better than none
        except Interrupted:
            if running.answer is None:
                running.answer, running.other = first, None  # better than none
            raise

    async def _read(
        self, job: AdmittedGeneration, ask: ChatRequest, repair: Repair | None = None
    ) -> None:
        running, settings = job.running, job.feature.settings
        async with self._openrouter.answer(
            ask, running.watch, running.tries, on_id=running.on_id, on_retry=running.on_retry
        ) as stream:
            running.first_token_ms = running.first_token_ms or running.elapsed_ms()
            running.answer = stream.answer
            if running.starting is not None:
                await running.starting
            keeps = settings.resume and running.lasts(job.entry)
            recording = self._progress.record(
                running.id,
                running.written,
                continues=not running.needs_listener,
                elapsed_s=running.elapsed_ms() / 1000,
                repair=repair,
            )
            async with recording if keeps else nullcontext(), self._partly(job, ask):
                with running.watch.guard(settings.idle_s, "idle"):
                    async for deltas in stream:
                        for delta in deltas:
                            if delta.kind == "image":
                                await self._draw(job, delta)
                            elif settings.stream:
                                await running.show(delta, ask.tools)

    async def _draw(self, job: AdmittedGeneration, delta: Delta) -> None:
        running = job.running
        await self._show(
            job,
            await self._gallery.drawn(delta.value, running.drawn, running.uid, running.id),
        )

    async def _show(self, job: AdmittedGeneration, image: Image) -> None:
        running = job.running
        if running.drawn.unkept and NOT_KEPT not in running.notices:
            running.notices = [*running.notices, NOT_KEPT]
        if job.feature.settings.stream:
            await running.show_image(image)

    @asynccontextmanager
    async def _partly(self, job: AdmittedGeneration, ask: ChatRequest) -> AsyncIterator[None]:
        """Inside, the JSON that the answer has come to is sent now and then, to who wants it."""
        wanted = job.running.partial_json and job.feature.settings.stream and ask.wants_json
        sending = asyncio.create_task(_send_parts(job.running)) if wanted else None
        try:
            yield
        finally:
            if sending is not None:
                sending.cancel()
                await asyncio.wait({sending})


def _fewer(made: int, asked: int) -> dict[str, str]:
    message = f"The model made {made} of {asked} images."
    return {"reason": "parameter_dropped", "field": "imageOptions.n", "message": message}


async def _start(job: AdmittedGeneration, asking: Question) -> None:
    """Tell who listens that it has begun, once its question is safe."""
    await _settled(asking)
    await job.running.start(job.ask.models[0])


async def _settled(asking: Question) -> None:
    if asking is not None:
        await asyncio.wait({asking}, timeout=limits.QUESTION_WAIT_S)


async def _send_parts(running: ActiveGeneration) -> None:
    said = None
    while True:
        await asyncio.sleep(limits.PARTIAL_JSON_EVERY_S)
        text = running.written()[0]
        if len(text) > limits.PARTIAL_JSON_MAX_CHARS:
            return  # it would be read from its beginning each time
        value = response_format.partly(text)
        if value is not None and value != said:
            said = value
            await running.send({"type": "json", "json": value})
