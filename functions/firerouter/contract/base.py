"""What callers send and documents hold, as values: their JSON names, and types taken literally.

`parse` turns the first thing that is wrong into an InvalidArgument that names the field (as the
caller wrote it), the limit and what to do. Unknown fields are refused by name.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from ..errors import InvalidArgument

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
    path = re.sub(r"sk-[A-Za-z0-9_-]+", "sk-***", path)  # a key in the place of a name
    context = item.get("ctx", {})
    kind = item["type"]
    if kind == "part":  # of the whole, which pydantic has no path to
        path = context["field"]
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
