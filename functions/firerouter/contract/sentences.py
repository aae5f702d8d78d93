"""The errors about invalid values: one plain sentence for each of pydantic's errors. Pure.

A sentence repeats numbers, lengths and names of fields, but never text that was sent, which may be
a prompt or a key. No message of pydantic and no regular expression reaches users
(tests/unit/contract/test_sentences.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, get_args

from pydantic_core.core_schema import ErrorType

from .. import limits

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

PATH_MAX_CHARS: Final = 200  # of `details.field`, which may contain the caller's own names
SHOWN_PATH_MAX_CHARS: Final = 80  # of the same in a sentence
CHOICES_MAX_CHARS: Final = 100  # of the allowed values in a sentence
EXACT_BELOW: Final = 10**16  # larger numbers are not repeated, as they may be of any length

_SECRET: Final = re.compile(r"sk-[A-Za-z0-9_-]+")  # an API key in place of a name
_QUOTED: Final = re.compile(r"'([^']*)'")

# the end of the sentence for each type of pydantic's errors that our models can raise
_ENDS: Final[Mapping[str, str]] = {
    "extra_forbidden": "is not a known {thing}",
    "missing": "is required",
    "empty": "must not be empty",
    "string_type": "must be text{but_kind}",
    "bool_type": "must be true or false{but_kind}",
    "list_type": "must be a list{but_kind}",
    "dict_type": "must be an object{but_kind}",
    "model_type": "must be an object{but_kind}",
    "float_type": "must be a number{but_kind}",
    "int_type": "must be a whole number{but_number}",
    "int_from_float": "must be a whole number{but_number}",
    "finite_number": "must be a finite number",
    "string_too_long": "may have at most {max_length} characters{but_length}",
    "string_too_short": "must have at least {min_length} characters{but_length}",
    "too_long": "may have at most {max_length} entries{but_length}",
    "too_short": "must have at least {min_length} entries{but_length}",
    "greater_than": "must be greater than {gt}{but_number}",
    "greater_than_equal": "must be at least {ge}{but_number}",
    "less_than": "must be less than {lt}{but_number}",
    "less_than_equal": "may be at most {le}{but_number}",
    "literal_error": "must be {choice}",
    "string_pattern_mismatch": "does not have the right form",
}
_LENGTHS: Final = ("too_long", "too_short")


def fault(item: ErrorDetails, thing: str = "field") -> tuple[str, str]:
    """Return (the field's path, a sentence) for one of pydantic's errors.

    Args:
        item: The error.
        thing: What its reader calls a field.
    """
    context = item.get("ctx", {})
    kind = _kind_of_error(item)
    path, is_name = _path(item["loc"])
    if kind in ("part", "sentence"):  # raised by the whole object, about one of its fields
        path = ".".join(part for part in (path, str(context["field"])) if part)
    if kind in _ENDS:
        what = _ENDS[kind].format_map({"thing": thing, **_words(context, item["input"])})
    else:  # our own validators provide the sentence
        what = "is not valid" if kind in get_args(ErrorType) else item["msg"]
    if kind == "sentence":
        return path, what
    if not path:
        return path, f"{what[0].upper()}{what[1:]}."
    shown = _cut(path, SHOWN_PATH_MAX_CHARS)
    return path, f"A name in {shown} {what}." if is_name else f"{shown} {what}."


def _kind_of_error(item: ErrorDetails) -> str:
    """Return the type of an error. Of texts that we have stripped, pydantic says `too_short`."""
    kind, given, context = item["type"], item["input"], item.get("ctx", {})
    if kind in ("too_short", "string_too_short"):
        length = context.get("actual_length", len(given))
        if context["min_length"] == 1 or length == 0:
            return "empty"
    return f"string_{kind}" if isinstance(given, str) and kind in _LENGTHS else kind


def _path(parts: tuple[int | str, ...]) -> tuple[str, bool]:
    """Return (the path as a caller would write it, whether a name in it is invalid)."""
    is_name = parts[-1:] == ("[key]",)
    path = ""
    for part in parts[:-2] if is_name else parts:
        path += f"[{part}]" if isinstance(part, int) else f".{_cut(part, limits.NAME_MAX_CHARS)}"
    return _SECRET.sub("sk-***", path.removeprefix("."))[:PATH_MAX_CHARS], is_name


def _words(context: Mapping[str, object], given: object) -> dict[str, str]:
    """Return the words for the ends of sentences: bounds, and what was given."""
    number = "" if isinstance(given, bool) else _number(given)
    length = len(given) if isinstance(given, (str, list, dict)) else None
    return {
        **{name: _number(value) for name, value in context.items()},
        "choice": _choice(str(context.get("expected", ""))),
        "but_kind": _but_not(_kind(given)),
        "but_number": _but_not(number or _kind(given)),
        "but_length": _but_not(_number(length)),
    }


def _but_not(given: str) -> str:
    return f", not {given}" if given else ""


def _kind(given: object) -> str:
    """Return the name of a value's JSON type; "" if JSON has no such type."""
    kinds: tuple[tuple[type, str], ...] = (
        (type(None), "null"),
        (bool, "true or false"),
        (int, "a number"),
        (float, "a number"),
        (str, "text"),
        (list, "a list"),
        (dict, "an object"),
    )
    return next((name for kind, name in kinds if isinstance(given, kind)), "")


def _number(value: object) -> str:
    """Return a number as people write it; "" if it is too long or not a number."""
    if not isinstance(value, (int, float)) or not abs(value) < EXACT_BELOW:
        return ""
    return f"{int(value):,}" if value == int(value) else f"{value:,}"


def _choice(expected: str) -> str:
    """Return the allowed values, which pydantic lists as `'a', 'b' or 'c'`."""
    values = _QUOTED.findall(expected)
    text = " or ".join(", ".join(some) for some in (values[:-1], values[-1:]) if some)
    if len(text) <= CHOICES_MAX_CHARS:
        return text
    return f"one of {len(values)} values, such as {values[0]}, {values[1]} or {values[2]}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
