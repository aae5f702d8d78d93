"""The base class of all values that callers send or documents hold, and the errors of invalid ones.

A field that is null counts as absent, in every value. `parse` turns the first fault of a request
into an InvalidArgument whose sentence names the field (as the caller wrote it), what it must be and
what was given. Unknown fields are refused by name.
"""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from ..errors import InvalidArgument
from .sentences import fault

ModelT = TypeVar("ModelT", bound=BaseModel)


class Record(BaseModel):
    """A frozen value whose JSON names are camelCase and whose types are taken literally.

    The string below a field documents it. scripts/contract reads it from the source, as pydantic
    would with `use_attribute_docstrings`; doing so at import would add 0.1 s to each cold start.
    """

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,  # in our own code; `parse` and the stores accept only JSON names
        validate_by_alias=True,
        hide_input_in_errors=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: object) -> object:
        """Drop the fields that are null: the JavaScript SDK sends `undefined` as null."""
        return without_nulls(data)


def without_nulls(data: object) -> object:
    """Return an object without the fields that are null, and anything else as it is."""
    if isinstance(data, dict) and None in data.values():
        return {name: value for name, value in data.items() if value is not None}
    return data


def parse(shape: type[ModelT], data: object) -> ModelT:
    """Return a call's `data` as a value of the type `shape`. No data are as good as `{}`.

    Raises:
        InvalidArgument: The data is invalid; `details.field` says where.
    """
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise InvalidArgument(
            "The data of this call must be an object with named fields.", field=""
        )
    try:
        return shape.model_validate(data, by_alias=True, by_name=False)
    except ValidationError as error:
        raise _explain(error) from None


def faults(error: ValidationError, thing: str = "field") -> list[tuple[str, str]]:
    """Return (the field's path, a sentence) for each fault. `thing`: what a field is called."""
    return [fault(item, thing) for item in error.errors(include_url=False)]


def _explain(error: ValidationError) -> InvalidArgument:
    items = error.errors(include_url=False)
    # an unknown field is the likeliest cause of other faults
    first = next((item for item in items if item["type"] == "extra_forbidden"), items[0])
    field, sentence = fault(first)
    return InvalidArgument(sentence, field=field)
