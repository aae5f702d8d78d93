"""JSON that is not whole yet."""

from typing import Any

import pytest

from firerouter.contract.response_format import parse_partial


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("   ", None),
        ("Sure, here", None),
        ("{", {}),
        ('{"a', {}),
        ('{"a": [1, {"b": "hal', {"a": [1, {"b": "hal"}]}),
        ('{"a": 1}', {"a": 1}),
        ('{"a": 1} and more', {"a": 1}),
        ('{"a": NaN, "b', None),
        ('{"a": -1e999, "b', None),
        ('```json\n{"a": tr', {}),
        ("```\n[1, 2", [1, 2]),
        ("{" * 100_000, None),
    ],
)
def test_what_there_is_of_it(text: str, value: Any) -> None:
    assert parse_partial(text) == value
