"""Calls of our own beside an answer: a title for a new conversation, a summary of a long one.

The feature's helper model is called while the answer is written, so that hardly anybody waits for
it: at the answer's end a second at most, and not at all for an answer that broke off. What is not
there by then is given up: the title stays the beginning of the question, the messages are
summarized next time. What the calls cost is in the answer's ledger entry, among whose attempts
they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from .. import log
from ..callable import CallableError
from ..contract import Message
from ..conversations import Summary, Thread, ThreadWriter, title_of
from ..features import FREE_MODEL, FeatureSettings, ModelChoice
from ..openrouter import Answer, AttemptLog, ChatRequest, Deadline, Interrupted, OpenRouter
from .limits import GenerationLimits
from .preparation import PreparedRequest

TITLE: Final = (
    "Write a title for the conversation that begins as follows: six words at most, in its own "
    "language, without quotes and without a full stop. Answer with the title alone."
)
SUMMARY: Final = (
    "Summarise the conversation that follows, for an assistant that is to go on with it and will "
    "see nothing else of it. Keep names, numbers, decisions and open questions; leave out "
    "pleasantries. At most 400 words, in its own language. Answer with the summary alone."
)


@dataclass(slots=True)
class HelperCall:
    """One call of the helper model. `purpose`: "title" or "summary"."""

    purpose: str
    model: str
    attempts: AttemptLog
    answer: Answer | None = None

    @property
    def cost_nano_usd(self) -> int | None:
        """What it cost; None where OpenRouter did not say."""
        usage = self.answer.usage if self.answer else None
        if usage is not None and usage.cost_nano_usd is not None:
            return usage.cost_nano_usd
        # a call that failed before its first token is not charged for
        begun = any(a.upstream_id and a.reason in {None, "stopped"} for a in self.attempts.attempts)
        return None if begun else 0


@dataclass(slots=True)
class HelperWork:
    """What the helper model was called for beside one answer, and what came of it so far."""

    calls: list[HelperCall] = field(default_factory=list)
    summary: Summary | None = None


class HelperModel:
    """Calls helper models. One per instance."""

    def __init__(
        self,
        *,
        openrouter: OpenRouter,
        choice: ModelChoice,
        limits: GenerationLimits,
    ) -> None:
        self._openrouter = openrouter
        self._choice = choice
        self._limits = limits

    @asynccontextmanager
    async def beside(
        self,
        prepared: PreparedRequest,
        writer: ThreadWriter | None,
        work: HelperWork,
        *,
        text: Callable[[], str],
        note: Callable[[], None],
    ) -> AsyncIterator[None]:
        """Call the helper model while the body writes the answer.

        Args:
            prepared: The request that is being answered.
            writer: Writes into its conversation, if it has one.
            work: Where the calls and what comes of them are entered.
            text: Returns what has been written so far.
            note: Called when OpenRouter's id of a call is known.
        """
        ended = asyncio.Event()
        wanted = self._wanted(prepared, writer, work, text, note, ended)
        tasks = [asyncio.create_task(call) for call in wanted]
        try:
            yield
            ended.set()
            if tasks:
                await asyncio.wait(tasks, timeout=self._limits.helper_wait_s)
        finally:
            for task in tasks:
                task.cancel()
            for ended_with in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(ended_with, Exception):
                    log.unexpected(ended_with, trace_id="")

    def _wanted(
        self,
        prepared: PreparedRequest,
        writer: ThreadWriter | None,
        work: HelperWork,
        text: Callable[[], str],
        note: Callable[[], None],
        ended: asyncio.Event,
    ) -> list[Coroutine[object, object, None]]:
        if writer is None or not writer.thread.place.persisted:
            return []
        wanted = []
        if wants_title(prepared.feature.settings, writer.thread):
            wanted.append(self._title(prepared, writer, work, text, note, ended))
        if writer.thread.to_summarize:
            wanted.append(self._summarize(prepared, writer.thread, work, note))
        return wanted

    async def _title(
        self,
        prepared: PreparedRequest,
        writer: ThreadWriter,
        work: HelperWork,
        text: Callable[[], str],
        note: Callable[[], None],
        ended: asyncio.Event,
    ) -> None:
        answer = ""
        while not ended.is_set() and not answer:
            try:
                await asyncio.wait_for(ended.wait(), self._limits.title_after_s)
            except TimeoutError:
                answer = text()
        most = self._limits.title_reads_max_chars
        question = writer.thread.question.text[:most] if writer.thread.question else ""
        dialog = f"{question}\n\n---\n\n{text()[:most]}"
        call = HelperCall("title", _model_of(prepared), AttemptLog())
        written = await self._complete(
            prepared, work, call, note, TITLE, dialog, self._limits.title_max_tokens
        )
        title = title_of(_plain(written))
        if title:
            await writer.set_title(title)

    async def _summarize(
        self, prepared: PreparedRequest, thread: Thread, work: HelperWork, note: Callable[[], None]
    ) -> None:
        turns = [f"{turn.role}: {turn.text}" for turn in thread.to_summarize]
        if thread.summary is not None:
            turns.insert(0, f"(before that, in short) {thread.summary.text}")
        call = HelperCall("summary", _model_of(prepared), AttemptLog())
        dialog = "\n\n".join(turns)
        written = await self._complete(
            prepared, work, call, note, SUMMARY, dialog, self._limits.summary_max_tokens
        )
        if written.strip():
            text = written.strip()[: self._limits.summary_max_chars]
            work.summary = Summary(text, thread.to_summarize[-1].message_id)

    async def _complete(
        self,
        prepared: PreparedRequest,
        work: HelperWork,
        call: HelperCall,
        note: Callable[[], None],
        task: str,
        dialog: str,
        max_tokens: int,
    ) -> str:
        """Return what the helper model writes; "" where it fails, or may not be called."""
        upstream, settings = prepared.upstream, prepared.feature.settings
        try:
            reasoning = await self._choice.no_reasoning_parameters(call.model, prepared.app)
            work.calls.append(call)
            request = ChatRequest(  # a chat, whatever the answer beside it is
                keys=upstream.keys,
                models=[call.model],
                messages=[Message("system", task), Message("user", dialog)],
                parameters=parameters(settings, max_tokens, reasoning),
                app_name=upstream.app_name,
                referer=upstream.referer,
                first_token_s=self._limits.helper_call_s,
                user=upstream.user,  # and no session: that keeps to the answer's own provider
            )
            deadline = Deadline(self._limits.helper_call_s)
            async with self._openrouter.answer(
                request, deadline, call.attempts, on_id=note
            ) as answer:
                call.answer = answer
                with deadline.guard():
                    async for _ in answer:
                        pass
        except (CallableError, Interrupted) as error:
            reason = error.reason if isinstance(error, CallableError) else error.cause
            log.info("helper_call_failed", purpose=call.purpose, reason=reason)
            return ""
        return answer.text


def parameters(
    settings: FeatureSettings, max_tokens: int, reasoning: Mapping[str, object]
) -> dict[str, object]:
    """Return what is sent beside the messages: of the feature's own, where the text may go."""
    privacy = settings.provider.privacy() if settings.provider else {}
    return {"max_tokens": max_tokens, **reasoning, **({"provider": privacy} if privacy else {})}


def wants_title(settings: FeatureSettings, thread: Thread | None) -> bool:
    """Return whether the helper model is to name the conversation."""
    if thread is None or settings.titles != "model":
        return False
    return thread.place.is_new and thread.place.persisted


def helper_models(settings: FeatureSettings, thread: Thread | None) -> list[str]:
    """Return the models that may be called beside the answer."""
    wanted = wants_title(settings, thread) or (thread is not None and bool(thread.to_summarize))
    return [settings.helper_model or FREE_MODEL] if wanted else []


def _model_of(prepared: PreparedRequest) -> str:
    return prepared.feature.settings.helper_model or FREE_MODEL


def _plain(title: str) -> str:
    """Return one line without what models put around titles."""
    lines = [line.strip() for line in title.splitlines() if line.strip()]
    line = lines[0] if lines else ""
    return "".join(c for c in line if c.isprintable()).strip(" \"'“”„«»*#`.")
