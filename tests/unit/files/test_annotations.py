"""OpenRouter's annotations of files, as documents hold them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter.contract.messages import StoredAnnotations
from firerouter.files.annotations import split_annotations, stored_annotations_of
from firerouter.files.limits import FileLimits


def test_pieces_join_to_the_whole() -> None:
    annotations = [json.dumps({"type": "file", "n": n, "text": "é😀\ud800"}) for n in range(3)]
    stored = split_annotations("a1", annotations, FileLimits(annotation_piece_chars=7))
    assert stored is not None
    whole = [json.loads(annotation) for annotation in annotations]
    assert json.loads("".join(stored.pieces.values())) == whole
    assert [*stored.pieces][:2] == ["a1.0", "a1.1"]
    document = stored.to_document()
    size = sum(map(len, stored.pieces.values()))
    assert stored_annotations_of(document) == StoredAnnotations((*stored.pieces,), size)


def test_nothing_is_stored_of_none_or_of_too_many() -> None:
    assert split_annotations("a1", [], FileLimits()) is None
    assert split_annotations("a1", ["{}"], FileLimits(annotations_max_bytes=3)) is None
    assert split_annotations("a1", ["{}"], FileLimits(annotations_max_bytes=4)) is not None


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        "x",
        {"documents": ["a1.0"]},
        {"documents": ["a1.0"], "bytes": 0},
        {"documents": ["a1.0"], "bytes": "1"},
        {"documents": [7], "bytes": 1},
        {"documents": ["../x/y"], "bytes": 1},
        {"documents": [""], "bytes": 1},
    ],
)
def test_a_malformed_reference_is_none(document: object) -> None:
    assert stored_annotations_of(document) is None


@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda c: st.lists(c) | st.dictionaries(st.sampled_from(["documents", "bytes"]), c),
    )
)
def test_whatever_a_message_holds_is_read(document: Any) -> None:
    found = stored_annotations_of(document)
    assert found is None or found.size_bytes > 0
