"""The types of fields: names, ids, texts and numbers, each with its bounds. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final
from unicodedata import category

from pydantic import Field
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import no_info_after_validator_function

from .. import limits

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

NANO_PER_USD: Final = 1_000_000_000  # money is counted in billionths of a US dollar


@dataclass(frozen=True, slots=True)
class Matches:
    """Requires a text to match a pattern that the error describes: `Annotated[str, Matches(...)]`.

    Args:
        pattern: A pattern for the entire text, in the syntax that Python and JSON Schema share.
        what: The end of a sentence that begins with the field, such as "must be a model id".
    """

    pattern: str
    what: str

    def check(self, value: str) -> str:
        if not re.fullmatch(self.pattern, value):
            raise PydanticCustomError("form", "{what}", {"what": self.what})
        return value

    def __get_pydantic_core_schema__(
        self, source: type, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "pattern": f"^{self.pattern}$", "$comment": self.what}


_NAME: Final = r"[A-Za-z][A-Za-z0-9_-]*"


def is_name(value: object) -> bool:
    """Return whether this is a valid name, of a feature for example, whatever its length."""
    return isinstance(value, str) and re.fullmatch(_NAME, value) is not None


def invalid_part(field: str, what: str) -> PydanticCustomError:
    """Return an error about one field, for a validator of the whole object.

    Args:
        field: The field as callers write it.
        what: The end of a sentence that begins with it.
    """
    return PydanticCustomError("part", "{what}", {"field": field, "what": what})


# control characters, half characters, and the two line ends that are neither
_NOT_IN_A_LINE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_BACKWARDS: Final = "\u202d\u202e"  # show a text in the other direction than it is written in


def one_line(value: str) -> str:
    """Return a text without control characters and line ends.

    Everything else stays. `str.isprintable` is stricter: it refuses the joiners of Persian, Sinhala
    and emoji (U+200C, U+200D), and the space that macOS puts into the names of screenshots.
    """
    if value.isprintable():
        return value
    kept = (char for char in value if category(char) not in _NOT_IN_A_LINE)
    return "".join(char for char in kept if char not in _BACKWARDS)


def not_blank(value: str) -> str:
    if not value.strip():
        raise PydanticCustomError("blank", "must not be empty")
    return value


ModelId = Annotated[
    str,
    Field(max_length=limits.MODEL_ID_MAX_CHARS, min_length=1),
    Matches(r"[~@]?[A-Za-z0-9][A-Za-z0-9._~:/@-]*", "must be a model id such as author/name"),
]
Name = Annotated[
    str,
    Field(max_length=limits.NAME_MAX_CHARS, min_length=1),
    Matches(_NAME, "may only have letters, digits, _ and -, and must begin with a letter"),
]
RequestId = Annotated[
    str,
    Field(max_length=limits.REQUEST_ID_MAX_CHARS, min_length=1),
    Matches(r"[\x21-\x7e]+", "must be printable ASCII without spaces"),
]
GenerationId = Annotated[
    str, Matches(r"[0-9a-f]{32}", "must be an id of 32 hexadecimal digits, as in a result")
]
OwnId = Annotated[
    str,
    Field(max_length=limits.ID_MAX_CHARS, min_length=1),
    Matches(r"[A-Za-z0-9]+", "may only have letters and digits"),
]
Text = Annotated[str, Field(max_length=limits.PROMPT_MAX_CHARS)]
Variable = Annotated[str, Field(max_length=limits.VARIABLE_MAX_CHARS)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Usd = Annotated[Number, Field(ge=0, le=1_000_000)]
