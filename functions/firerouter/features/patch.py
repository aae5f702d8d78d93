"""A partial change of settings: what it does not give stays as it is. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ..errors import InvalidArgument
from .settings import FeatureSettings

Json = dict[str, object]

# settings whose parts are settings of their own, so that each of them stays as well. Every other
# value, such as a list, a JSON Schema or custom parameters, makes sense only as a whole.
GROUPS: Final = frozenset({"limits", "provider", "provider.maxPrice", "reasoning", "imageOptions"})


def patched(
    before: FeatureSettings | None, given: Mapping[str, object], remove: Sequence[str] = ()
) -> Json:
    """Return all settings, with some of them replaced or unset.

    Args:
        before: The settings that are changed; None for a feature that does not exist yet.
        given: The settings to change, as an admin sent them. One that is null is not given.
        remove: The settings to unset, such as `limits.usdPerDay`.

    Raises:
        InvalidArgument: A name in `remove` is no setting.
    """
    values = before.to_json() if before else {}
    for at, path in enumerate(remove):
        *groups, name = path.split(".")
        group = ".".join(groups)
        if group not in GROUPS if group else name not in _names():
            sentence = f"{path} isn't a setting that can be removed."
            raise InvalidArgument(sentence, field=f"remove[{at}]")
        _unset(values, groups, name)
    return _merged(values, given, "")


def _names() -> set[str]:
    return {field.alias or name for name, field in FeatureSettings.model_fields.items()}


def _unset(values: Json, groups: Sequence[str], name: str) -> None:
    for group in groups:
        inner = values.get(group)
        if not isinstance(inner, dict):
            return
        values[group] = values = dict(inner)
    values.pop(name, None)


def _merged(before: Mapping[str, object], given: Mapping[str, object], within: str) -> Json:
    values = dict(before)
    for name, value in given.items():
        path = f"{within}{name}"
        stored = values.get(name)
        if path in GROUPS and isinstance(value, dict):
            inner = stored if isinstance(stored, dict) else {}
            values[name] = _merged(inner, value, f"{path}.")
        elif value is not None:
            values[name] = value
    return values
