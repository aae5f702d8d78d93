"""What callers send and get: the fields, their types and limits, read once at the edge.

`parse` turns the first thing that is wrong into an InvalidArgument that names the field (as the
caller wrote it), the limit and what to do. Unknown fields are refused by name.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from . import limits
from .attachments import Attachment
from .errors import InvalidArgument
from .records import Record

NANO_PER_USD: Final = 1_000_000_000  # money is counted in billionths of a US dollar

ModelT = TypeVar("ModelT", bound=BaseModel)


def _model_id(value: str) -> str:
    if not re.fullmatch(r"[~@]?[A-Za-z0-9][A-Za-z0-9._~:/@-]*", value):
        raise PydanticCustomError("model_id", "must be a model id such as author/name")
    return value


def _name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", value):
        raise PydanticCustomError(
            "name", "must be letters, digits, _ and -, beginning with a letter"
        )
    return value


def _request_id(value: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]+", value):
        raise PydanticCustomError("request_id", "must be printable ASCII without spaces")
    return value


def _generation_id(value: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{32}", value):
        raise PydanticCustomError("generation_id", "must be an id that an answer came with")
    return value


def _not_blank(value: str) -> str:
    if not value.strip():
        raise PydanticCustomError("blank", "must not be empty")
    return value


ModelId = Annotated[
    str, Field(max_length=limits.MODEL_ID_MAX_CHARS, min_length=1), AfterValidator(_model_id)
]
Name = Annotated[str, Field(max_length=limits.NAME_MAX_CHARS, min_length=1), AfterValidator(_name)]
RequestId = Annotated[
    str, Field(max_length=limits.REQUEST_ID_MAX_CHARS, min_length=1), AfterValidator(_request_id)
]
GenerationId = Annotated[str, AfterValidator(_generation_id)]
Text = Annotated[str, Field(max_length=limits.PROMPT_MAX_CHARS)]
Variable = Annotated[str, Field(max_length=limits.VARIABLE_MAX_CHARS)]
Number = Annotated[float, Field(allow_inf_nan=False)]


NEW: Final = "new"  # a conversation that is to begin
ROOT: Final = "root"  # where a conversation's first message hangs


def _own_id(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]+", value):
        raise PydanticCustomError("id", "must be letters and digits")
    return value


OwnId = Annotated[str, Field(max_length=limits.ID_MAX_CHARS, min_length=1), AfterValidator(_own_id)]


class Message(Record):
    """One earlier turn. The system prompt is the admin's: there is no such role here."""

    role: Literal["user", "assistant"]
    content: Text


class ExecutePrompt(Record):
    """The data of `execute_prompt`.

    feature: which feature answers. prompt, messages or regenerate: what is asked, exactly one.
    conversation_id: where it is written down, with what was said before; `new` begins one.
    parent_message_id: the message that the prompt follows, `root` for none: an earlier turn is
    edited so. regenerate: the answer to give once more, or the question to answer.
    context: put before the prompt, with a blank line between.
    attachments: files that go with the prompt.
    variables: for the `{{name}}` places of the feature's system prompt.
    model, temperature: only where the feature allows a choice.
    temporary: no text of it is stored.
    request_id: calling again with the same one never asks OpenRouter twice.
    """

    feature: Name
    prompt: Annotated[Text, AfterValidator(_not_blank)] | None = None
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
    attachments: Annotated[list[Attachment], Field(max_length=limits.ATTACHMENTS_MAX)] = Field(
        default_factory=list
    )

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
        if [self.prompt, self.messages, self.regenerate].count(None) != 2:
            raise PydanticCustomError("prompt", "give either prompt or messages or regenerate")
        if self.conversation_id is None:
            if self.regenerate is not None or self.parent_message_id is not None:
                raise PydanticCustomError("conversation", "conversationId is required for that")
        elif self.messages is not None:
            raise PydanticCustomError("messages", "messages are for calls without conversationId")
        elif self.conversation_id == NEW and (self.regenerate or self.parent_message_id):
            raise PydanticCustomError("conversation", "a new conversation has no messages yet")
        if self.regenerate is not None and (self.context or self.parent_message_id):
            raise PydanticCustomError("regenerate", "regenerate takes neither context nor parent")
        if self.messages and self.messages[-1].role != "user":
            raise PydanticCustomError("messages", "the last of messages must be the user's")
        size = len(self.prompt or "") + len(self.context or "")
        size += sum(len(message.content) for message in self.messages or ())
        if size > limits.PROMPT_MAX_CHARS:
            raise PydanticCustomError(
                "too_long",
                "prompt, context and messages together are {size} characters, the most is {limit}",
                {"limit": limits.PROMPT_MAX_CHARS, "size": size},
            )
        return self


class ResumeGeneration(Record):
    """The data of `execute_prompt` for an answer that was asked for before: `resume`, alone."""

    resume: GenerationId


class StopGeneration(Record):
    """The data of `stop_generation`: which one, by its own id or by that of its request."""

    generation_id: GenerationId | None = None
    request_id: RequestId | None = None

    @model_validator(mode="after")
    def _one_id(self) -> StopGeneration:
        if (self.generation_id is None) == (self.request_id is None):
            raise PydanticCustomError("id", "give either generationId or requestId")
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
Usd = Annotated[Number, Field(ge=0, le=1_000_000)]


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
    title: Annotated[str, Field(max_length=limits.TITLE_MAX_CHARS), AfterValidator(_not_blank)] | (
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


def parse(shape: type[ModelT], data: Any) -> ModelT:
    """`data` as `shape`. Raises InvalidArgument naming the field (`details.field`)."""
    if not isinstance(data, dict):
        raise InvalidArgument(
            "The data of this call must be an object with named fields.", field=""
        )
    try:
        return shape.model_validate(data, by_alias=True, by_name=False)
    except ValidationError as error:
        raise _explain(error) from None


def faults(error: ValidationError) -> list[tuple[str, str]]:
    """(the field's path, a sentence) of each thing that is wrong."""
    return [_sentence(item) for item in error.errors(include_url=False, include_input=False)]


def _explain(error: ValidationError) -> InvalidArgument:
    items = error.errors(include_url=False, include_input=False)
    # an unknown field is the likeliest cause of whatever else is wrong
    first = next((item for item in items if item["type"] == "extra_forbidden"), items[0])
    field, sentence = _sentence(first)
    return InvalidArgument(sentence, field=field)


def _sentence(item: Any) -> tuple[str, str]:
    """(the field's path, a sentence) of one pydantic error."""
    path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in item["loc"]).lstrip(".")[
        :200
    ]
    context = item.get("ctx", {})
    kind = item["type"]
    what = {
        "extra_forbidden": "is not a field of this call",
        "missing": "is required",
        "string_type": "must be text",
        "bool_type": "must be true or false",
        "list_type": "must be a list",
        "dict_type": "must be an object",
        "model_type": "must be an object",
        "float_type": "must be a number",
        "int_type": "must be a whole number",
        "finite_number": "must be a finite number",
        "string_too_long": "may be at most {max_length} characters",
        "string_too_short": "must not be empty",
        "too_long": "may have at most {max_length} entries",
        "too_short": "must have at least {min_length} entries",
        "greater_than_equal": "must be at least {ge}",
        "less_than_equal": "may be at most {le}",
        "literal_error": "must be one of {expected}",
    }.get(kind)
    if what is None or (kind == "too_long" and not path):
        what = item["msg"]
    else:
        what = what.format_map(context)
    return path, f"{path} {what}.".strip() if path else f"{what[0].upper()}{what[1:]}."
