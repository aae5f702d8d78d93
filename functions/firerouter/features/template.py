"""The `{{name}}` placeholders of a system prompt. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ..errors import InvalidArgument
from .settings import FeatureSettings

# where the caller's variable goes
PLACEHOLDER: Final = re.compile(r"\{\{\s*([A-Za-z][A-Za-z0-9_-]*)\s*\}\}")


def render(template: str, variables: Mapping[str, str]) -> str:
    """Return the template with every placeholder filled, in one pass: values are never templates.

    Raises InvalidArgument, which names a variable that is required and was not sent.
    """

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        if name not in variables:
            field = f"variables.{name}"
            raise InvalidArgument(f"{field} is required by this feature.", field=field)
        return variables[name]

    return PLACEHOLDER.sub(fill, template)


def variable_names(settings: FeatureSettings) -> list[str]:
    """Return the names of the placeholders in the system prompt, once each."""
    return list(dict.fromkeys(PLACEHOLDER.findall(settings.system_prompt)))
