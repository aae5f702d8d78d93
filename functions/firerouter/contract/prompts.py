"""What callers send and get: the fields, their types and limits, read once at the edge."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic_core import PydanticCustomError

from .. import limits
from .attachments import Attachment
from .base import Record
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
    not_blank,
)
from .images import ImageOptions
from .response_format import ResponseFormat
from .tools import ReasoningDetails, Tool, ToolCall, ToolResult, problem_of, size_of

# where a conversation goes on, there is one answer
_OF_ONE_MODEL: Final = frozenset(
    {"model", "conversationId", "parentMessageId", "regenerate", "resume"}
)


NEW: Final = "new"  # a conversation that is to begin


ROOT: Final = "root"  # where a conversation's first message hangs


class Message(Record):
    """One earlier turn. The system prompt is the admin's: there is no such role here.

    tool_calls: of an assistant that asked for tools. tool_call_id: which of them a tool answers.
    reasoning_details: of an assistant, as its answer had them.
    """

    role: Literal["user", "assistant", "tool"]
    content: Text = ""
    tool_calls: Annotated[list[ToolCall], Field(max_length=limits.TOOL_CALLS_MAX)] = Field(
        default_factory=list
    )
    tool_call_id: Annotated[str, Field(max_length=limits.TOOL_CALL_ID_MAX_CHARS)] | None = None
    reasoning_details: ReasoningDetails = Field(default_factory=list)


class ExecutePrompt(Record):
    """The data of `execute_prompt`.

    feature: which feature answers. prompt, messages, regenerate or tool_results: what is asked,
    exactly one. tool_results: what the tools gave that the answer before asked for, all of them.
    conversation_id: where it is written down, with what was said before; `new` begins one.
    parent_message_id: the message that the prompt follows, `root` for none: an earlier turn is
    edited so. regenerate: the answer to give once more, or the question to answer.
    context: put before the prompt, with a blank line between.
    attachments: files that go with the prompt.
    variables: for the `{{name}}` places of the feature's system prompt.
    model, temperature: only where the feature allows a choice.
    tools: functions of the app's, which the model may ask for; the app runs them. tool_choice:
    auto, none, required, or the name of one. parallel_tool_calls: whether it may ask for several.
    response_format: the JSON that the answer is to be, where the feature does not say.
    partial_json: send what that has come to, while it grows.
    image_options: what images are to be like, of a feature that makes any. inline_images: small
    ones come with the answer as well.
    temporary: no text of it is stored.
    request_id: calling again with the same one never asks OpenRouter twice.
    """

    feature: Name
    prompt: Annotated[Text, AfterValidator(not_blank)] | None = None
    messages: (
        Annotated[list[Message], Field(min_length=1, max_length=limits.MESSAGES_MAX)] | None
    ) = None
    context: Text | None = None
    variables: Annotated[dict[Name, Variable], Field(max_length=limits.VARIABLES_MAX)] = Field(
        default_factory=dict
    )
    model: ModelId | None = None
    temperature: Annotated[Number, Field(ge=0, le=2)] | None = None
    temporary: bool = False
    request_id: RequestId | None = None
    conversation_id: OwnId | None = None
    parent_message_id: OwnId | None = None
    regenerate: OwnId | None = None
    tool_results: (
        Annotated[list[ToolResult], Field(min_length=1, max_length=limits.TOOL_CALLS_MAX)] | None
    ) = None
    tools: Annotated[list[Tool], Field(max_length=limits.CALLER_TOOLS_MAX)] = Field(
        default_factory=list
    )
    tool_choice: Annotated[str, Field(max_length=limits.NAME_MAX_CHARS)] | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    partial_json: bool = False
    attachments: Annotated[list[Attachment], Field(max_length=limits.ATTACHMENTS_MAX)] = Field(
        default_factory=list
    )

    image_options: ImageOptions | None = None
    inline_images: bool = False

    @model_validator(mode="after")
    def _tools_fit(self) -> ExecutePrompt:
        if problem := problem_of(self.tools, self.tool_choice, self.messages or []):
            field, what = problem
            raise PydanticCustomError("part", "{what}", {"field": field, "what": what})
        return self

    @model_validator(mode="after")
    def _files(self) -> ExecutePrompt:
        if self.attachments and self.prompt is None:
            raise PydanticCustomError("attachments", "attachments go with prompt alone")
        inline = sum(len(file.data or "") for file in self.attachments) * 3 // 4  # base64
        if inline > limits.INLINE_MAX_BYTES:
            raise PydanticCustomError(
                "inline",
                "attachments may have {limit} bytes of data together: upload larger ones",
                {"limit": limits.INLINE_MAX_BYTES},
            )
        return self

    @model_validator(mode="after")
    def _one_question(self) -> ExecutePrompt:
        asked = [self.prompt, self.messages, self.regenerate, self.tool_results]
        if asked.count(None) != 3:
            raise PydanticCustomError(
                "prompt", "give either prompt or messages or regenerate or toolResults"
            )
        alone = self.regenerate is not None or self.tool_results is not None
        if self.conversation_id is None:
            if alone or self.parent_message_id is not None:
                raise PydanticCustomError("conversation", "conversationId is required for that")
        elif self.messages is not None:
            raise PydanticCustomError("messages", "messages are for calls without conversationId")
        elif self.conversation_id == NEW and (alone or self.parent_message_id):
            raise PydanticCustomError("conversation", "a new conversation has no messages yet")
        if self.regenerate is not None and (self.context or self.parent_message_id):
            raise PydanticCustomError("regenerate", "regenerate takes neither context nor parent")
        if self.tool_results is not None and self.context:
            raise PydanticCustomError("toolResults", "toolResults take no context")
        if self.messages and self.messages[-1].role == "assistant":
            raise PydanticCustomError("messages", "the last of messages must be the user's")
        if self.size > limits.PROMPT_MAX_CHARS:
            raise PydanticCustomError(
                "too_long",
                "prompt, context and messages together are {size} characters, the most is {limit}",
                {"limit": limits.PROMPT_MAX_CHARS, "size": self.size},
            )
        return self

    @property
    def size(self) -> int:
        """Characters of prompt, context and messages together."""
        told = sum(len(m.content) + size_of(m.tool_calls) for m in self.messages or ())
        told += sum(len(result.content) for result in self.tool_results or ())
        return told + len(self.prompt or "") + len(self.context or "")

    @property
    def question(self) -> str:
        """What is asked, with what goes before it."""
        asked = self.prompt or (self.messages[-1].content if self.messages else "")
        return "\n\n".join(text for text in (self.context, asked) if text)


class Judge(Record):
    """A model that reads the answers of a comparison: it merges them into one, or ranks them."""

    model: ModelId
    mode: Literal["merge", "rank"] = "merge"


class CompareModels(Record):
    """The data of `execute_multi_model_prompt`: fields of `execute_prompt` beside these.

    models: those that answer side by side. max_cost: US dollars that all of it may cost, refused
    before anything is asked. request_id: calling again with the same one asks nobody twice.
    """

    model_config = ConfigDict(extra="allow")

    feature: Name
    models: Annotated[list[ModelId], Field(min_length=2, max_length=limits.COMPARED_MODELS_MAX)]
    max_cost: Usd | None = None
    judge: Judge | None = None
    request_id: RequestId | None = None

    @model_validator(mode="after")
    def _stateless(self) -> CompareModels:
        if len(set(self.models)) < len(self.models):
            raise PydanticCustomError("models", "models must differ from each other")
        for name in sorted(_OF_ONE_MODEL & (self.model_extra or {}).keys()):
            raise PydanticCustomError("one", "{name} is for a call of one model", {"name": name})
        return self

    def shared(self) -> dict[str, Any]:
        """What `execute_prompt` is given for each model, but for model and request."""
        kept = {} if self.request_id else {"temporary": True}
        return {**(self.model_extra or {}), "feature": self.feature, **kept}


class ResumeGeneration(Record):
    """The data of `execute_prompt` for an answer that was asked for before: `resume`, alone."""

    resume: GenerationId


class QueuedGeneration(Record):
    """The data of a task in the queue."""

    generation_id: GenerationId


class StopGeneration(Record):
    """The data of `stop_generation`: which one, by its own id or by that of its request."""

    generation_id: GenerationId | None = None
    comparison_id: GenerationId | None = None
    request_id: RequestId | None = None

    @model_validator(mode="after")
    def _one_id(self) -> StopGeneration:
        if [self.generation_id, self.comparison_id, self.request_id].count(None) != 2:
            raise PydanticCustomError("id", "give generationId or comparisonId or requestId")
        return self
