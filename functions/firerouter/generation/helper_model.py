"""Calls to the helper model: a title for a new conversation, a summary of a long one.

The feature's helper model is called while the answer is generated, so callers hardly wait for it:
a second at most after the answer's end, and not at all after a failed answer. What has not arrived
by then is given up: the title remains the beginning of the question, and the messages are
summarized next time. The answer's ledger entry has these calls among its attempts, and includes
their cost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from .. import log
from ..callable import CallableError
from ..contract import Message, one_line
from ..conversations import Summary, Thread, ThreadWriter, title_of
from ..features import FeatureSettings, ModelChoice
from ..openrouter import AttemptLog, ChatRequest, Deadline, Interrupted, OpenRouter
from .helper_plan import wants_title
from .limits import GenerationLimits
from .preparation import PreparedRequest

TITLE: Final = (
    "Write a title for the conversation that begins as follows: six words at most, in its own "
    "language, without quotes and without a period at the end. Answer with the title alone."
)
SUMMARY: Final = (
    "Summarize the conversation that follows, for an assistant that will continue it and will "
    "see nothing else of it. Keep names, numbers, decisions and open questions; leave out "
    "pleasantries. At most 400 words, in its own language. Answer with the summary alone."
)


@dataclass(slots=True)
class HelperCall:
    """One call of the helper model. `purpose`: "title" or "summary"."""

    purpose: str
    model: str
    attempts: AttemptLog = field(default_factory=AttemptLog)


class HelperModel:
    """Calls helper models. One per instance."""

    def __init__(
        self, *, openrouter: OpenRouter, choice: ModelChoice, limits: GenerationLimits
    ) -> None:
        self.openrouter = openrouter
        self.choice = choice
        self.limits = limits

    def start(
        self,
        prepared: PreparedRequest,
        writer: ThreadWriter | None,
        *,
        text: Callable[[], str],
        note: Callable[[], None],
    ) -> HelperRun:
        """Return the helper calls for one answer; entering `beside` starts them.

        Args:
            prepared: The request that is being answered.
            writer: Writes into its conversation, if it has one.
            text: Returns the answer's text so far.
            note: Called when OpenRouter's id of a call is known.
        """
        return HelperRun(self, prepared, writer, text, note)


class HelperRun:
    """The calls to the helper model for one answer, and their results so far."""

    def __init__(
        self,
        services: HelperModel,
        prepared: PreparedRequest,
        writer: ThreadWriter | None,
        text: Callable[[], str],
        note: Callable[[], None],
    ) -> None:
        self.calls: list[HelperCall] = []
        self.summary: Summary | None = None
        self._services = services
        self._limits = services.limits
        self._prepared = prepared
        self._settings = prepared.feature.settings
        self._writer = writer
        self._text = text
        self._note = note
        self._answer_ended = asyncio.Event()

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[None]:
        """Call the helper model while the body of the `with` generates the answer."""
        tasks = [asyncio.create_task(call) for call in self._wanted()]
        try:
            yield
            self._answer_ended.set()
            if tasks:
                await asyncio.wait(tasks, timeout=self._limits.helper_wait_s)
        finally:
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, Exception):
                    log.unexpected(outcome, trace_id="")

    def _wanted(self) -> list[Coroutine[object, object, None]]:
        writer = self._writer
        if writer is None or not writer.thread.place.persisted:
            return []
        wanted = []
        if wants_title(self._settings, writer.thread):
            wanted.append(self._write_title(writer))
        if writer.thread.to_summarize:
            wanted.append(self._write_summary(writer.thread))
        return wanted

    async def _write_title(self, writer: ThreadWriter) -> None:
        answer = ""
        while not self._answer_ended.is_set() and not answer:
            try:
                await asyncio.wait_for(self._answer_ended.wait(), self._limits.title_after_s)
            except TimeoutError:
                answer = self._text()
        most = self._limits.title_reads_max_chars
        question = writer.thread.question.text[:most] if writer.thread.question else ""
        dialog = f"{question}\n\n---\n\n{self._text()[:most]}"
        written = await self._complete("title", TITLE, dialog, self._limits.title_max_tokens)
        title = title_of(_plain(written))
        if title:
            await writer.set_title(title)

    async def _write_summary(self, thread: Thread) -> None:
        turns = [f"{turn.role}: {turn.text}" for turn in thread.to_summarize]
        if thread.summary is not None:
            turns.insert(0, f"(before that, in short) {thread.summary.text}")
        dialog, most = "\n\n".join(turns), self._limits.summary_max_tokens
        written = (await self._complete("summary", SUMMARY, dialog, most)).strip()
        if written:
            text = written[: self._limits.summary_max_chars]
            self.summary = Summary(text, thread.to_summarize[-1].message_id)

    async def _complete(self, purpose: str, task: str, dialog: str, max_tokens: int) -> str:
        """Return what the helper model writes; "" if the call fails or is not allowed."""
        prepared, upstream = self._prepared, self._prepared.upstream
        model = self._settings.helper_model or await self._services.choice.default_model()
        call = HelperCall(purpose, model)
        try:
            reasoning = await self._services.choice.no_reasoning_parameters(
                call.model, prepared.app
            )
            self.calls.append(call)
            request = ChatRequest(  # a chat, whatever the kind of the answer
                keys=upstream.keys,
                models=[call.model],
                messages=[Message("system", task), Message("user", dialog)],
                parameters=parameters(self._settings, max_tokens, reasoning),
                app_name=upstream.app_name,
                referer=upstream.referer,
                first_token_s=self._limits.helper_call_s,
                user=upstream.user,  # but no session, which would tie it to the answer's provider
            )
            deadline = Deadline(self._limits.helper_call_s)
            async with self._services.openrouter.answer(
                request, deadline, call.attempts, on_id=self._note
            ) as stream:
                with deadline.guard():
                    async for _ in stream:
                        pass
                return stream.answer.text
        except (CallableError, Interrupted) as error:
            reason = error.reason if isinstance(error, CallableError) else error.cause
            log.info("helper_call_failed", purpose=purpose, reason=reason)
            return ""


def parameters(
    settings: FeatureSettings, max_tokens: int, reasoning: Mapping[str, object]
) -> dict[str, object]:
    """Return the parameters of a helper call: of the feature's own, only its privacy rules."""
    privacy = settings.provider.privacy() if settings.provider else {}
    return {"max_tokens": max_tokens, **reasoning, **({"provider": privacy} if privacy else {})}


def _plain(title: str) -> str:
    """Return the first line, without the quotes and markup that models put around titles."""
    lines = [line.strip() for line in title.splitlines() if line.strip()]
    line = lines[0] if lines else ""
    return one_line(line).strip(" \"'“”„«»*#`.")
