"""What passes for JSON in Python and nowhere else."""

import base64
import json

import pytest

from firerouter.contract import GetAvailableModels, parse_json, read_page_token
from firerouter.errors import InvalidArgument


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 400 + ".0"]
)
def test_what_is_no_number_is_no_json(number: str) -> None:
    for text in (number, f'{{"a": [{number}]}}'):
        with pytest.raises(ValueError, match=r"not JSON|too large"):
            parse_json(text)


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_where_it_is_taken_as_it_comes_such_a_number_is_null(number: str) -> None:
    assert parse_json(f'{{"a": [1.5, {number}]}}', lenient=True) == {"a": [1.5, None]}
    with pytest.raises(ValueError, match="Expecting"):
        parse_json("{", lenient=True)


@pytest.mark.parametrize("value", [1, -2.5e-300, 1e308, "NaN", "\ud83d", None, {"a": [True]}])
def test_all_else_is_read_as_it_is(value: object) -> None:
    assert parse_json(json.dumps(value)) == value


def test_a_page_token_holds_no_such_number() -> None:
    token = base64.urlsafe_b64encode(b'["0", NaN]').decode()
    with pytest.raises(InvalidArgument) as refused:
        read_page_token(GetAvailableModels(page_token=token))
    assert "different filters" not in str(refused.value)
