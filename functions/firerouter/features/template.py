"""The `{{name}}` places of a system prompt. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ..errors import InvalidArgument
from .settings import FeatureSettings

# where a caller's variable goes
PLACE: Final = re.compile(r"\{\{\s*([A-Za-z][A-Za-z0-9_-]*)\s*\}\}")


def render(template: str, variables: Mapping[str, str]) -> str:
    """`{{name}}` places filled in one pass, so that a value is never read as a template itself.

    Raises InvalidArgument naming a variable that the template asks for and the caller left out.
    """

    def fill(place: re.Match[str]) -> str:
        name = place[1]
        if name not in variables:
            field = f"variables.{name}"
            raise InvalidArgument(f"{field} is required by this feature.", field=field)
        return variables[name]

    return PLACE.sub(fill, template)


def variable_names(settings: FeatureSettings) -> list[str]:
    """The names of the places in the system prompt, once each."""
    return list(dict.fromkeys(PLACE.findall(settings.system_prompt)))
