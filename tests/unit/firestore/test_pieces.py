"""Long text in pieces."""

from hypothesis import given
from hypothesis import strategies as st

from firerouter.firestore import cut


@given(text=st.text(max_size=60), max_chars=st.integers(1, 70))
def test_the_pieces_joined_are_the_text_and_none_is_too_long(text: str, max_chars: int) -> None:
    pieces = cut(text, max_chars)
    assert "".join(pieces) == text
    assert all(len(piece) <= max_chars for piece in pieces)
    assert all(pieces) or pieces == [""]
    assert len(pieces) == max(1, -(-len(text) // max_chars))


def test_no_text_is_one_empty_piece() -> None:
    assert cut("", 10) == [""]
