"""What callers send and get: the fields, their types and limits, read once at the edge."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic_core import PydanticCustomError

from . import limits
from .attachments import Attachment
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
from .formats import ResponseFormat
from .images import ImageOptions
from .records import Record
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


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class CreateEmbeddings(Record):
    """The data of `create_embeddings`.

    input: one text or several. dimensions: how many numbers each vector has, where the model can
    make shorter ones. input_type: what the texts are for, to models that tell the two apart.
    """

    feature: Name
    input: Annotated[
        list[Annotated[Text, AfterValidator(not_blank)]],
        BeforeValidator(_several),
        Field(min_length=1, max_length=limits.EMBED_INPUTS_MAX),
    ]
    dimensions: Annotated[int, Field(ge=1, le=limits.DIMENSIONS_MAX)] | None = None
    encoding_format: Literal["float", "base64"] = "float"
    input_type: Literal["search_query", "search_document"] | None = None
    model: ModelId | None = None
    request_id: RequestId | None = None

    @model_validator(mode="after")
    def _not_too_much(self) -> CreateEmbeddings:
        size = sum(map(len, self.input))
        if size > limits.EMBED_INPUTS_MAX_CHARS:
            raise PydanticCustomError(
                "too_long",
                "the inputs together are {size} characters, the most is {limit}",
                {"limit": limits.EMBED_INPUTS_MAX_CHARS, "size": size},
            )
        return self


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


Capability = Literal[
    "tools",
    "structuredOutputs",
    "json",
    "reasoning",
    "temperature",
    "webSearch",
    "vision",
    "files",
    "audio",
    "video",
    "imageOutput",
    "audioOutput",
    "videoOutput",
    "embeddings",
]


class GetAvailableModels(Record):
    """The data of `get_available_models`; what is not given does not filter.

    search: words, each of which the id, the name or the description has.
    max_prompt_price, max_completion_price: US dollars per million tokens.
    min_context: tokens. free: true for free models alone, false for the others alone.
    sort: by name; by price, the cheapest first; the longest context or the newest first.
    """

    search: Annotated[str, Field(max_length=limits.SEARCH_MAX_CHARS)] = ""
    capabilities: Annotated[list[Capability], Field(max_length=20)] = Field(default_factory=list)
    max_prompt_price: Usd | None = None
    max_completion_price: Usd | None = None
    min_context: Annotated[int, Field(ge=0, le=2**53)] | None = None
    provider: Annotated[str, Field(max_length=limits.NAME_MAX_CHARS)] | None = None
    free: bool | None = None
    output_modality: Annotated[str, Field(max_length=limits.NAME_MAX_CHARS)] | None = None
    sort: Literal["name", "price", "context", "newest"] = "name"
    page_size: Annotated[int, Field(ge=1, le=limits.MODELS_PER_PAGE_MAX)] = limits.MODELS_PER_PAGE
    page_token: Annotated[str, Field(max_length=limits.PAGE_TOKEN_MAX_CHARS)] | None = None


class UpdateConversation(Record):
    """The data of `update_conversation`: its title, or the message that ends the chosen path."""

    conversation_id: OwnId
    title: Annotated[str, Field(max_length=limits.TITLE_MAX_CHARS), AfterValidator(not_blank)] | (
        None
    ) = None
    message_id: OwnId | None = None

    @model_validator(mode="after")
    def _some_change(self) -> UpdateConversation:
        if self.title is None and self.message_id is None:
            raise PydanticCustomError("title", "give title, or messageId, or both")
        return self


class DeleteConversation(Record):
    """The data of `delete_conversation`."""

    conversation_id: OwnId


class ExportConversation(Record):
    """The data of `export_conversation`."""

    conversation_id: OwnId
    format: Literal["json", "markdown"] = "json"


class ListFeatures(Record):
    """The data of `list_features`: none."""


class SetPreferences(Record):
    """The data of `set_preferences`. model: the user's own default; None for the feature's."""

    feature: Name
    model: ModelId | None


class Dispatch(BaseModel):
    """The data of `api`: the name of a user's callable, and that callable's own data beside it."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    endpoint: Annotated[str, Field(min_length=1, max_length=limits.NAME_MAX_CHARS)]
