"""The requests of the callables that generate, follow and stop answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from .. import limits
from .attachments import Attachment
from .base import Record, without_nulls
from .fields import (
    GenerationId,
    ModelId,
    Name,
    Number,
    OwnId,
    RequestId,
    Text,
    Usd,
    Variable,
    invalid_part,
)
from .images import ImageOptions
from .response_format import ResponseFormat
from .tools import ReasoningDetails, ToolCall, ToolResult, Tools, problem_of, size_of

NEW: Final = "new"  # in place of the id of a conversation that does not exist yet
ROOT: Final = "root"  # in place of the message that the first message of a conversation follows

_QUESTIONS: Final = ("prompt", "messages", "regenerate", "toolResults")

# not for comparisons: they have several answers, and a conversation continues with one
FOR_ONE_MODEL: Final = frozenset(
    {"model", "conversationId", "parentMessageId", "regenerate", "resume"}
)


class Message(Record):
    """An earlier message. There is no role for the system prompt: it is the admin's."""

    role: Literal["user", "assistant", "tool"]
    """Who wrote it."""
    content: Text = ""
    """What it says. Only an assistant that called tools may leave it out."""
    tool_calls: Annotated[list[ToolCall], Field(max_length=limits.TOOL_CALLS_MAX)] = Field(
        default_factory=list
    )
    """The tools that an assistant called, as in its result."""
    tool_call_id: Annotated[str, Field(max_length=limits.TOOL_CALL_ID_MAX_CHARS)] | None = None
    """The `id` of the call whose result a tool's message is."""
    reasoning_details: ReasoningDetails = Field(default_factory=list)
    """An assistant's reasoning, as in its result: unchanged and in order."""


class ExecutePrompt(Record):
    """Send one prompt through one feature and get the answer, all at once or streamed."""

    feature: Name
    """The feature to use: `chat`, `code`, `summarize`, or one that an admin has created."""
    prompt: Text | None = None
    """The question. Give exactly one of `prompt`, `messages`, `regenerate` and `toolResults`. It
    may be empty or absent beside `attachments`."""
    messages: (
        Annotated[list[Message], Field(min_length=1, max_length=limits.MESSAGES_MAX)] | None
    ) = None
    """The conversation so far, stored by the app; the last message is the user's or a tool's. Not
    allowed with `conversationId`."""
    context: Text | None = None
    """Text that goes before the prompt, separated by an empty line."""
    variables: Annotated[
        dict[Name, Variable],
        BeforeValidator(without_nulls),
        Field(max_length=limits.VARIABLES_MAX),
    ] = Field(default_factory=dict)
    """Values of the `{{name}}` placeholders in the feature's system prompt, inserted literally."""
    model: ModelId | None = None
    """The model to use, if the feature allows a choice. Default: the user's own default
    (`set_preferences`), or else the feature's model."""
    temperature: Annotated[Number, Field(ge=0, le=2)] | None = None
    """The sampling temperature, if the feature allows a choice. Default: the feature's."""
    temporary: bool = False
    """Store neither text nor images of this call. The ledger stores only the numbers."""
    request_id: RequestId | None = None
    """Makes the call idempotent: repeating it with the same id never calls OpenRouter twice."""
    conversation_id: OwnId | None = None
    """Append to this conversation and include its history; `new` starts one. Default: the answer
    is not stored."""
    parent_message_id: OwnId | None = None
    """The message that the prompt follows; an earlier one edits the question after it. `root`: the
    prompt follows none. Default: the last message of the chosen path."""
    regenerate: OwnId | None = None
    """The id of an answer to regenerate, or of a question that has no answer."""
    tool_results: (
        Annotated[list[ToolResult], Field(min_length=1, max_length=limits.TOOL_CALLS_MAX)] | None
    ) = None
    """The results of all tool calls of the conversation's last answer."""
    tools: Tools = Field(default_factory=list)
    """Functions of the app that the model may call, at most 50,000 bytes of JSON together."""
    tool_choice: Annotated[str, Field(max_length=limits.NAME_MAX_CHARS)] | None = None
    """`auto`, `none`, `required`, or the name of the tool to call. Default: the model's, `auto`."""
    parallel_tool_calls: bool | None = None
    """`false` allows one tool call at a time. Default: the model's."""
    response_format: ResponseFormat | None = None
    """The JSON format that the answer must have, if the feature allows it and has no format of its
    own."""
    partial_json: bool = False
    """Stream the JSON as it grows, in `json` frames."""
    attachments: Annotated[list[Attachment], Field(max_length=limits.ATTACHMENTS_MAX)] = Field(
        default_factory=list
    )
    """Files that are attached to `prompt`."""
    image_options: ImageOptions | None = None
    """What generated images should be like, for features that generate images and allow it."""
    inline_images: bool = False
    """Also return images of at most 200,000 bytes in base64."""

    @model_validator(mode="before")
    @classmethod
    def _files_need_no_words(cls, data: object) -> object:
        """Let attached files be a question by themselves."""
        if not isinstance(data, dict) or not data.get("attachments"):
            return data
        asks = any(data.get(name) is not None for name in _QUESTIONS)
        return data if asks else {**data, "prompt": ""}

    @model_validator(mode="after")
    def _tools_fit(self) -> ExecutePrompt:
        if problem := problem_of(self.tools, self.tool_choice, self.messages or []):
            raise invalid_part(*problem)
        return self

    @model_validator(mode="after")
    def _files(self) -> ExecutePrompt:
        if self.prompt is not None and not (self.prompt.strip() or self.attachments):
            raise invalid_part("prompt", "must not be empty")
        if self.attachments and self.prompt is None:
            raise invalid_part("attachments", "are only allowed with prompt")
        inline = sum(len(file.data or "") for file in self.attachments) * 3 // 4  # base64
        if inline > limits.INLINE_MAX_BYTES:
            most = f"{limits.INLINE_MAX_BYTES:,} bytes of data together"
            what = f"may have at most {most}, not {inline:,}: upload larger files"
            raise invalid_part("attachments", what)
        return self

    @model_validator(mode="after")
    def _one_question(self) -> ExecutePrompt:
        questions = [self.prompt, self.messages, self.regenerate, self.tool_results]
        if questions.count(None) != len(questions) - 1:
            what = "exactly one of prompt, messages, regenerate and toolResults is required"
            raise PydanticCustomError("question", "{what}", {"what": what})
        for holds, field, what in self._conflicts():
            if holds:
                raise invalid_part(field, what)
        if self.size > limits.PROMPT_MAX_CHARS:
            raise PydanticCustomError(
                "size",
                "together, prompt, context and messages may have at most {most} characters, "
                "not {size}",
                {"most": f"{limits.PROMPT_MAX_CHARS:,}", "size": f"{self.size:,}"},
            )
        return self

    def _conflicts(self) -> Iterator[tuple[bool, str, str]]:
        """Yield each conflict: (whether there is one, the field, the end of a sentence)."""
        stored, new = self.conversation_id is not None, self.conversation_id == NEW
        for field, value in (
            ("regenerate", self.regenerate),
            ("toolResults", self.tool_results),
            ("parentMessageId", self.parent_message_id),
        ):
            yield value is not None and not stored, field, "is only allowed with conversationId"
            yield value is not None and new, field, "is not allowed in a new conversation"
        yield (
            stored and self.messages is not None,
            "messages",
            "are not allowed with conversationId, which has its own",
        )
        regenerates = self.regenerate is not None
        yield regenerates and bool(self.context), "context", "is not allowed with regenerate"
        parent = bool(self.parent_message_id)
        yield regenerates and parent, "parentMessageId", "is not allowed with regenerate"
        answers_calls = self.tool_results is not None and bool(self.context)
        yield answers_calls, "context", "is not allowed with toolResults"
        last = self.messages[-1].role if self.messages else None
        yield last == "assistant", "messages", "must end with a message of the user or a tool"
        blank = last == "user" and not self.question.strip()
        yield blank, f"messages[{len(self.messages or ()) - 1}].content", "must not be empty"

    @property
    def size(self) -> int:
        """Characters of prompt, context and messages together."""
        said = sum(len(m.content) + size_of(m.tool_calls) for m in self.messages or ())
        said += sum(len(result.content) for result in self.tool_results or ())
        return said + len(self.prompt or "") + len(self.context or "")

    @property
    def question(self) -> str:
        """The prompt, or the last message, with the context before it."""
        asked = self.prompt or (self.messages[-1].content if self.messages else "")
        return "\n\n".join(text for text in (self.context, asked) if text)


class Judge(Record):
    """A model that reads the answers of a comparison."""

    model: ModelId
    """The model."""
    mode: Literal["merge", "rank"] = "merge"
    """`merge` writes one answer out of all of them, `rank` orders them."""


class CompareModels(Record):
    """Send one prompt to several models side by side. Each answers or fails independently."""

    model_config = ConfigDict(extra="allow")

    feature: Name
    """The feature to use."""
    models: Annotated[list[ModelId], Field(min_length=2, max_length=limits.COMPARED_MODELS_MAX)]
    """The models to compare. Fallbacks are not used, because their answers would pass for those of
    these models."""
    max_cost: Usd | None = None
    """US dollars. A comparison that may cost more is refused (`cost_too_high`) before any model is
    called."""
    judge: Judge | None = None
    """A model that reads the answers. Not for features that generate images."""
    request_id: RequestId | None = None
    """Makes the call idempotent: repeating it with the same id calls no model twice."""

    @model_validator(mode="after")
    def _stateless(self) -> CompareModels:
        if len(set(self.models)) < len(self.models):
            raise invalid_part("models", "must differ from each other")
        for name in sorted(FOR_ONE_MODEL & (self.model_extra or {}).keys()):
            raise invalid_part(name, "is not allowed in a comparison")
        return self

    def shared(self) -> dict[str, object]:
        """Return what each model's `execute_prompt` has in common."""
        kept = {} if self.request_id else {"temporary": True}
        return {**(self.model_extra or {}), "feature": self.feature, **kept}


class ResumeGeneration(Record):
    """Get the answer of an earlier call: everything so far at once, then the rest as it arrives."""

    resume: GenerationId
    """The `generationId` of the answer, from the `start` frame or a result. No other field is
    allowed with it."""

    @model_validator(mode="before")
    @classmethod
    def _alone(cls, data: object) -> object:
        for name, field in ExecutePrompt.model_fields.items():
            if isinstance(data, dict) and data.get(field.alias or name) is not None:
                raise invalid_part(field.alias or name, "is not allowed with resume")
        return data


class QueuedGeneration(Record):
    """The data of a task in the queue."""

    generation_id: GenerationId
    """The generation to answer."""


class StopGeneration(Record):
    """Stop an answer that is being generated, from any device of its user."""

    generation_id: GenerationId | None = None
    """The generation, from the `start` frame or a result. Exactly one of the three ids is
    required."""
    comparison_id: GenerationId | None = None
    """A comparison: all of its answers are stopped, including the judge's and those not begun."""
    request_id: RequestId | None = None
    """The `requestId` of the call, to stop it before its first frame."""

    @model_validator(mode="after")
    def _one_id(self) -> StopGeneration:
        if [self.generation_id, self.comparison_id, self.request_id].count(None) != 2:
            raise PydanticCustomError(
                "id", "exactly one of generationId, comparisonId and requestId is required"
            )
        return self
