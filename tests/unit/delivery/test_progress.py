"""Progress as documents hold it, and what of it counts."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter.delivery import Piece, Repair, latest

NOW = datetime(2026, 11, 28, tzinfo=UTC)
REPAIR = Repair("sim/fast", "$ (json)")

pieces = st.builds(
    Piece,
    number=st.integers(0, 9),
    text=st.text(max_size=5),
    reasoning=st.text(max_size=5),
    repair=st.none() | st.just(REPAIR),
)


@given(piece=pieces)
def test_a_piece_is_read_as_it_was_written(piece: Piece) -> None:
    document = piece.to_document(NOW)
    assert Piece.from_document(document) == piece
    assert document["expireAt"] == NOW
    assert ("again" in document) == (piece.repair is not None)


@pytest.mark.parametrize(
    "document",
    [{}, {"number": 0, "text": 7, "reasoning": None, "again": "yes"}, {"number": "first"}],
)
def test_a_malformed_piece_has_no_text(document: dict[str, Any]) -> None:
    assert Piece.from_document(document) == Piece(0, "", "")


@given(before=st.lists(pieces, max_size=4), after=st.lists(pieces, max_size=4))
def test_what_was_written_before_a_repair_does_not_count(
    before: list[Piece], after: list[Piece]
) -> None:
    repair = Piece(9, "anew", "", REPAIR)
    plain = [Piece(piece.number, piece.text, piece.reasoning) for piece in after]
    assert latest([*before, repair, *plain]) == [repair, *plain]
    assert latest(plain) == plain


def test_a_repair_is_told_as_a_frame_has_it() -> None:
    assert REPAIR.to_wire() == {"model": "sim/fast", "at": "$ (json)"}
