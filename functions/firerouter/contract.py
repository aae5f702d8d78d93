"""What callers send and get: the fields, their types and limits, read once at the edge.

`parse` turns the first thing that is wrong into an InvalidArgument that names the field (as the
caller wrote it), the limit and what to do. Unknown fields are refused by name.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from . import limits
from .errors import InvalidArgument

NANO_PER_USD: Final = 1_000_000_000  # money is counted in billionths of a US dollar

ModelT = TypeVar("ModelT", bound=BaseModel)


class Record(BaseModel):
    """A frozen value whose JSON names are camelCase and whose types are taken literally."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,  # by our own code; `parse` and the stores take JSON names alone
        validate_by_alias=True,
        hide_input_in_errors=True,
    )


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


def _key(value: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]+", value.strip()):
        raise PydanticCustomError("key", "must be printable ASCII without spaces")
    return value.strip()


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


class Message(Record):
    """One earlier turn. The system prompt is the admin's: there is no such role here."""

    role: Literal["user", "assistant"]
    content: Text


class ExecutePrompt(Record):
    """The data of `execute_prompt`.

    feature: which feature answers. prompt or messages: what is asked, exactly one of the two.
    context: put before the prompt, with a blank line between.
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

    @model_validator(mode="after")
    def _one_question(self) -> ExecutePrompt:
        if (self.prompt is None) == (self.messages is None):
            raise PydanticCustomError("prompt", "give either prompt or messages")
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


class StopGeneration(Record):
    """The data of `stop_generation`: which one, by its own id or by that of its request."""

    generation_id: GenerationId | None = None
    request_id: RequestId | None = None

    @model_validator(mode="after")
    def _one_id(self) -> StopGeneration:
        if (self.generation_id is None) == (self.request_id is None):
            raise PydanticCustomError("id", "give either generationId or requestId")
        return self


Position = Annotated[int, Field(ge=1, le=limits.KEYS_MAX)]


class TestConnection(Record):
    """The data of `test_openrouter_connection`: a candidate key, or the place of a stored one.

    feature: one that has keys of its own; without it the default ones are meant.
    position: the first, if it is not given.
    """

    key: Annotated[str, AfterValidator(_key)] | None = Field(
        default=None, min_length=limits.KEY_MIN_CHARS, max_length=limits.KEY_MAX_CHARS, repr=False
    )
    feature: Name | None = None
    position: Position = 1

    @model_validator(mode="after")
    def _one_key(self) -> TestConnection:
        if self.key is not None and self.model_fields_set & {"feature", "position"}:
            raise PydanticCustomError("key", "give either key or the place of a stored one")
        return self


class SetKey(Record):
    """The data of `set_openrouter_key`: the key that is to serve.

    feature: which is to have it as its own. It need not exist yet.
    position: its place in the order; the key that is there is replaced, one past the end appends.
    """

    key: Annotated[str, AfterValidator(_key)] = Field(
        min_length=limits.KEY_MIN_CHARS, max_length=limits.KEY_MAX_CHARS, repr=False
    )
    feature: Name | None = None
    position: Position = 1


class RemoveKey(Record):
    """The data of `remove_openrouter_key`: one key of a slot, or without a position all of them."""

    feature: Name | None = None
    position: Position | None = None


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


class RefreshCatalog(Record):
    """The data of `refresh_catalog`: none."""


Note = Annotated[str, Field(max_length=limits.NOTE_MAX_CHARS)]
Revision = Annotated[int, Field(ge=0, lt=2**53)]


class SaveFeatureSettings(Record):
    """The data of `save_feature_settings`.

    settings: all of them, as FeatureSettings has them; what is not given returns to its default.
    enabled: on or off; alone, the settings stay as they are.
    revision: the one that the settings were made from, 0 for a feature that is new.
    draft_percent: of the users, who get these settings as a draft; nobody else does.
    note: why, for whoever reads the revisions. validate_only: look, but save nothing.
    """

    feature: Name
    settings: dict[str, Any] | None = None
    enabled: bool | None = None
    revision: Revision | None = None
    draft_percent: Annotated[Number, Field(ge=0, le=100)] | None = None
    note: Note = ""
    validate_only: bool = False

    @model_validator(mode="after")
    def _one_change(self) -> SaveFeatureSettings:
        if self.settings is None:
            if self.enabled is None:
                raise PydanticCustomError("settings", "give settings, or enabled, or both")
            if self.draft_percent is not None or self.validate_only:
                raise PydanticCustomError("settings", "settings are required for that")
        elif self.enabled is not None and self.draft_percent is not None:
            raise PydanticCustomError(
                "enabled", "enabled is for everybody: save it apart from a draft"
            )
        return self


class ResetFeature(Record):
    """The data of `reset_feature_settings`. revision: the one that serves, as was looked at."""

    feature: Name
    revision: Revision
    note: Note = ""


class RestoreFeature(Record):
    """The data of `restore_feature_settings`. restore: the revision whose settings are to serve."""

    feature: Name
    revision: Revision
    restore: Revision
    note: Note = ""


class PromoteDraft(Record):
    """The data of `promote_draft`. revision: the draft's."""

    feature: Name
    revision: Revision
    note: Note = ""


class DropDraft(PromoteDraft):
    """The data of `drop_draft`. revision: the draft's."""


class TestFeatureSettings(ExecutePrompt):
    """The data of `test_feature_settings`: a prompt, and the settings to try it with.

    settings: as `save_feature_settings` takes them; None for those that are stored.
    """

    settings: dict[str, Any] | None = None


class SaveAppSettings(Record):
    """The data of `save_app_settings`. settings: those that change. revision: of those seen."""

    settings: dict[str, Any]
    revision: Revision
    note: Note = ""


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
