"""Questions of our own beside an answer: a title for a new conversation, a summary of a long one.

The feature's helper model is asked while the answer is written, so that hardly anybody waits for
it: at its end a second at most, and not at all for one that broke off. What then is not there is
given up: the title stays the beginning of the question, the turns are summarised next time. What
it costs is in the answer's ledger entry, whose attempts it is among.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from .. import limits, log
from ..callable import CallableError
from ..contract import Message
from ..conversations import ConversationLimits, Summary, Thread, ThreadWriter, title_of
from ..features import FREE_MODEL, FeatureSettings, ModelChoice
from ..ledger import Ledger
from ..openrouter import ChatRequest, Deadline, Interrupted, OpenRouter
from .active import AdmittedGeneration, HelperCall
from .result import all_attempts

TITLE: Final = (
    "Write a title for the conversation that begins as follows: six words at most, in its own "
    "language, without quotes and without a full stop. Answer with the title alone."
)
SUMMARY: Final = (
    "Summarise the conversation that follows, for an assistant that is to go on with it and will "
    "see nothing else of it. Keep names, numbers, decisions and open questions; leave out "
    "pleasantries. At most 400 words, in its own language. Answer with the summary alone."
)


class HelperModel:
    """Asks them. Make one an instance."""

    def __init__(
        self,
        *,
        openrouter: OpenRouter,
        choice: ModelChoice,
        limits: ConversationLimits,
        ledger: Ledger,
    ) -> None:
        self._openrouter = openrouter
        self._choice = choice
        self._limits = limits
        self._ledger = ledger

    @asynccontextmanager
    async def beside(self, job: AdmittedGeneration) -> AsyncIterator[None]:
        """Inside, the answer is being written."""
        ended = asyncio.Event()
        tasks = [asyncio.create_task(work) for work in self._wanted(job, ended)]
        try:
            yield
            ended.set()
            if tasks:
                await asyncio.wait(tasks, timeout=limits.ASIDE_WAIT_S)
        finally:
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    def _wanted(
        self, job: AdmittedGeneration, ended: asyncio.Event
    ) -> list[Coroutine[Any, Any, None]]:
        thread, writer = job.running.thread, job.running.writer
        if thread is None or writer is None or not thread.place.persisted:
            return []
        wanted = []
        if titled(job.feature.settings, thread):
            wanted.append(self._title(job, writer, ended))
        if thread.to_summarize:
            wanted.append(self._shorten(job, thread))
        return wanted

    async def _title(
        self, job: AdmittedGeneration, writer: ThreadWriter, ended: asyncio.Event
    ) -> None:
        answer = ""
        while not ended.is_set() and not answer:
            try:
                await asyncio.wait_for(ended.wait(), limits.TITLE_AFTER_S)
            except TimeoutError:
                answer = job.running.text()
        most = limits.TITLE_READS_MAX_CHARS
        question = writer.thread.question
        asked = question.text[:most] if question else ""
        said = f"{asked}\n\n---\n\n{job.running.text()[:most]}"
        written = await self._ask(job, "title", TITLE, said, limits.TITLE_MAX_TOKENS)
        title = title_of(_plain(written))
        if title:
            await writer.set_title(title)

    async def _shorten(self, job: AdmittedGeneration, thread: Thread) -> None:
        turns = [f"{turn.role}: {turn.text}" for turn in thread.to_summarize]
        if thread.summary is not None:
            turns.insert(0, f"(before that, in short) {thread.summary.text}")
        said = "\n\n".join(turns)
        written = await self._ask(job, "summary", SUMMARY, said, limits.SUMMARY_MAX_TOKENS)
        if written.strip():
            text = written.strip()[: self._limits.summary_max_chars]
            job.running.new_summary = Summary(text, thread.to_summarize[-1].message_id)

    async def _ask(
        self, job: AdmittedGeneration, purpose: str, task: str, said: str, max_tokens: int
    ) -> str:
        """What the helper model answers; nothing where it fails, or may not be asked."""
        model = job.feature.settings.helper_model or FREE_MODEL
        aside = HelperCall(purpose, model)
        try:
            thinking = await self._choice.unthinking(model, job.app)
            job.running.asides.append(aside)
            aside.tries.on_id = lambda: self._ledger.note(job.entry, all_attempts(job.running))
            request = ChatRequest(  # a chat, whatever is asked beside it
                keys=job.ask.keys,
                models=[model],
                messages=[Message("system", task), Message("user", said)],
                parameters=parameters(job.feature.settings, max_tokens, thinking),
                app_name=job.ask.app_name,
                referer=job.ask.referer,
                first_token_s=limits.ASIDE_S,
                user=job.ask.user,  # and no session: that keeps to the answer's own provider
            )
            watch = Deadline(limits.ASIDE_S)
            async with self._openrouter.answer(request, watch, aside.tries) as answer:
                aside.answer = answer
                with watch.guard():
                    async for _ in answer:
                        pass
        except (CallableError, Interrupted) as error:
            reason = error.reason if isinstance(error, CallableError) else error.why
            log.info("aside_failed", purpose=purpose, reason=reason)
            return ""
        return answer.text


def parameters(
    settings: FeatureSettings, max_tokens: int, thinking: Mapping[str, Any]
) -> dict[str, Any]:
    """What is sent beside the question: of the feature's own, where the conversation may go."""
    privacy = settings.provider.privacy() if settings.provider else {}
    return {"max_tokens": max_tokens, **thinking, **({"provider": privacy} if privacy else {})}


def titled(settings: FeatureSettings, thread: Thread | None) -> bool:
    """Whether the helper model is to name the conversation."""
    new = thread is not None and thread.place.is_new and thread.place.persisted
    return settings.titles == "model" and new


def helpers(settings: FeatureSettings, thread: Thread | None) -> list[str]:
    """The models that may be asked beside the answer."""
    wanted = titled(settings, thread) or (thread is not None and thread.to_summarize)
    return [settings.helper_model or FREE_MODEL] if wanted else []


def _plain(title: str) -> str:
    """One line without what models put around titles."""
    lines = [line.strip() for line in title.splitlines() if line.strip()]
    line = lines[0] if lines else ""
    return "".join(c for c in line if c.isprintable()).strip(" \"'“”„«»*#`.")
