"""Vectors as OpenRouter may send them, and inputs in batches."""

import base64
import json
import math
import struct
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter.errors import UpstreamBusy, UpstreamMalformed
from firerouter.generation.embeddings import batches
from firerouter.generation.limits import GenerationLimits
from firerouter.openrouter import convert_vector, dimensions_of
from firerouter.openrouter.embeddings import Embeddings, Form, read_document, read_embeddings

USAGE = {"prompt_tokens": 3, "total_tokens": 3, "cost": 0.5}


def body(*vectors: Any, **more: Any) -> bytes:
    data = [{"object": "embedding", "index": at, "embedding": v} for at, v in enumerate(vectors)]
    return json.dumps({"data": data, "model": "a/b", "usage": USAGE, **more}).encode()


def read(sent: bytes, count: int, form: Form) -> Embeddings:
    return read_embeddings(read_document(sent), count, form)


def packed(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def test_reads_vectors_and_their_model() -> None:
    made = read(body([1, 0.5], [0.25, -1], id="gen-1", provider="P"), 2, "float")
    assert made.vectors == [[1, 0.5], [0.25, -1]]
    assert (made.model, made.provider) == ("a/b", "P")


def test_goes_by_the_index_and_else_by_the_place() -> None:
    turned = {"data": [{"index": 1, "embedding": [1]}, {"index": 0, "embedding": [2]}]}
    assert read(json.dumps(turned).encode(), 2, "float").vectors == [[2], [1]]
    bare = {"data": [{"embedding": [1]}, {"embedding": [2]}]}
    assert read(json.dumps(bare).encode(), 2, "float").vectors == [[1], [2]]


@pytest.mark.parametrize("form", ["float", "base64"])
def test_takes_the_form_that_comes_for_the_one_that_was_asked_for(form: Form) -> None:
    wanted: Any = [1.0, 0.5] if form == "float" else packed(1, 0.5)
    made = read(body([1, 0.5], packed(1, 0.5)), 2, form)
    assert made.vectors == [wanted, wanted]
    assert dimensions_of(made.vectors[0]) == 2


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b'{"data": null}',
        b'{"data": [1]}',
        b'{"data": [[1]]}',
        b'{"data": [{"index": 0}]}',
        b'{"data": [{"index": 1, "embedding": [1]}]}',
        b'{"data": [{"index": -1, "embedding": [1]}]}',
        b'{"data": [{"index": true, "embedding": [1]}]}',
        b'{"data": [{"index": "0", "embedding": [1]}]}',
        b'{"data": [{"index": 0, "embedding": []}]}',
        b'{"data": [{"index": 0, "embedding": ""}]}',
        b'{"data": [{"index": 0, "embedding": "!!!"}]}',
        b'{"data": [{"index": 0, "embedding": "AAA="}]}',
        b'{"data": [{"index": 0, "embedding": [true]}]}',
        b'{"data": [{"index": 0, "embedding": [null]}]}',
        b'{"data": [{"index": 0, "embedding": [[1]]}]}',
        b'{"data": [{"index": 0, "embedding": {"0": 1}}]}',
        b'{"data": [{"index": 0, "embedding": [NaN]}]}',
        body(packed(math.nan)),
        body(packed(math.inf)),
        body([1], [1]),
    ],
)
@pytest.mark.parametrize("form", ["float", "base64"])
def test_what_is_no_vector_is_refused(document: bytes, form: Form) -> None:
    with pytest.raises(UpstreamMalformed):
        read(document, 1, form)


def test_twice_the_same_index_or_two_lengths_are_refused() -> None:
    twice = {"data": [{"index": 0, "embedding": [1]}] * 2}
    for document in (json.dumps(twice).encode(), body([1], [1, 2])):
        with pytest.raises(UpstreamMalformed):
            read(document, 2, "float")


def test_an_error_in_a_200_is_that_error() -> None:
    with pytest.raises(UpstreamBusy):
        read(b'{"error": {"code": 502, "message": "x"}}', 1, "float")


def test_a_number_too_large_for_32_bits_is_refused_in_base64_alone() -> None:
    assert convert_vector([1e39], "float") == [1e39]
    with pytest.raises(UpstreamMalformed):
        convert_vector([1e39], "base64")


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_there_and_back_is_the_same(numbers: list[float]) -> None:
    there = convert_vector(numbers, "base64")
    assert dimensions_of(there) == len(numbers)
    assert convert_vector(there, "float") == numbers


@given(st.lists(st.text(max_size=40), min_size=1, max_size=300))
def test_batches_are_the_inputs_in_order_and_within_bounds(inputs: list[str]) -> None:
    bounds = replace(GenerationLimits(), batch_chars=100)
    made = list(batches(inputs, bounds))
    assert [text for batch in made for text in batch] == inputs
    assert all(0 < len(batch) <= bounds.batch_inputs for batch in made)
    assert all(sum(map(len, batch)) <= 100 for batch in made)
