"""A title as a model writes it, and what is made of it."""

import pytest

from firerouter.generation.helper_model import _plain


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ('"A walk in the park."\n', "A walk in the park"),
        ("\n## **Pizza**\nwith more", "Pizza"),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
        (
            "\U0001f468\u200d\U0001f469\u200d\U0001f467 Family",
            "\U0001f468\u200d\U0001f469\u200d\U0001f467 Family",
        ),
        ("10\u202f000\u00a0m", "10\u202f000\u00a0m"),
        ("a\x00b\x1b[0m", "ab[0m"),
        (" \n\t", ""),
    ],
)
def test_a_title_is_one_line_with_all_that_joins_its_letters(written: str, title: str) -> None:
    assert _plain(written) == title
