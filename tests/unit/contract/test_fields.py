"""Texts of one line, as people write them in every script."""

import pytest

from firerouter.contract import one_line
from firerouter.features import FeatureSettings

LINES = [
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian
    "\u0dc1\u0dca\u200d\u0dbb\u0dd3",  # Sinhala
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 Family",
    "\u200fעברית\u200e abc",
    "a\u00a0b\u202fc\u3000d",
    "soft\u00adhyphen",
]


@pytest.mark.parametrize("line", LINES, ids=ascii)
def test_what_joins_and_parts_letters_stays(line: str) -> None:
    assert one_line(line) == line
    assert FeatureSettings(display_name=line).display_name == line


@pytest.mark.parametrize(
    "text",
    ["a\nb", "a\tb", "a\x00b", "a\x7fb", "a\x85b", "a\u2028b", "a\u2029b", "a\ud83db", "a\u202eb"],
    ids=ascii,
)
def test_what_ends_or_turns_a_line_goes(text: str) -> None:
    assert one_line(text) == "ab"
    with pytest.raises(ValueError):  # noqa: PT011
        FeatureSettings(display_name=text)
