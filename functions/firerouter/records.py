"""The base of every value that is read from JSON or written as JSON."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


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
