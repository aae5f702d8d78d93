"""What a suite is seeded with."""

import pytest

from scripts.devtools import seed


def test_json_values_in_firestores_rest_encoding() -> None:
    assert seed.to_value({"on": True, "n": 1, "x": 0.5, "none": None, "list": ["a"]}) == {
        "mapValue": {
            "fields": {
                "on": {"booleanValue": True},
                "n": {"integerValue": "1"},
                "x": {"doubleValue": 0.5},
                "none": {"nullValue": None},
                "list": {"arrayValue": {"values": [{"stringValue": "a"}]}},
            }
        }
    }
    with pytest.raises(TypeError, match="set"):
        seed.to_value({1})
