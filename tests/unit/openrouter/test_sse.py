"""Server-sent events, however the network cuts them up."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter.openrouter.sse import Parser, TooLong

LINE_MAX = 4096


def events(*chunks: bytes, line_max_bytes: int = LINE_MAX) -> list[bytes]:
    """The events of a whole stream, the one that its end completes included."""
    parser = Parser(line_max_bytes)
    found = [event for chunk in chunks for event in parser.feed(chunk)]
    return [*found, *parser.flush()]


# the examples of the specification, section 9.2.6
STOCKS = b"data: YHOO\ndata: +2\ndata: 10\n\n"
FOUR_BLOCKS = (
    b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event"
)
EMPTY_DATA = b"data\n\ndata\ndata\n\ndata:"
SAME = b"data:test\n\ndata: test\n\n"


def test_the_examples_of_the_specification() -> None:
    assert events(STOCKS) == [b"YHOO\n+2\n10"]
    # the last block is discarded there; a server that forgets its last line end is forgiven here
    assert events(FOUR_BLOCKS) == [b"first event", b"second event", b" third event"]
    assert events(EMPTY_DATA) == [b"", b"\n", b""]
    assert events(SAME) == [b"test", b"test"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_lines_end_in_any_of_three_ways(end: bytes) -> None:
    stream = STOCKS + b": a comment\n\nevent: x\ndata: more\n\n"
    assert events(stream.replace(b"\n", end)) == [b"YHOO\n+2\n10", b"more"]


def test_the_three_ways_may_be_mixed() -> None:
    assert events(b"data: a\r\ndata: b\rdata: c\n\r\ndata: d\r\rdata: e\n\n") == [
        b"a\nb\nc",
        b"d",
        b"e",
    ]


def test_a_crlf_cut_in_two_is_one_line_end() -> None:
    assert events(b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n") == [b"a\nb"]
    assert events(b"data: a\r", b"", b"\n", b"\r\n") == [b"a"]


def test_an_event_is_out_as_soon_as_its_blank_line_is_in() -> None:
    parser = Parser(LINE_MAX)
    assert list(parser.feed(b"data: a\n")) == []
    assert list(parser.feed(b"\n")) == [b"a"]
    assert list(parser.feed(b"data: b\r\n\r\n")) == [b"b"]
    assert list(parser.flush()) == []


def test_comments_and_other_fields_are_dropped() -> None:
    stream = b": OPENROUTER PROCESSING\n\nretry: 10\nid: 1\nevent: ping\n\ndatax: no\n:data: no\n"
    assert events(stream + b"data: yes\n\n") == [b"yes"]


def test_a_comment_within_an_event_does_not_end_it() -> None:
    assert events(b"data: a\n: still here\ndata: b\n\n") == [b"a\nb"]


def test_one_space_after_the_colon_is_not_data() -> None:
    assert events(b"data:  a\n\ndata:\tb\n\ndata: \n\n") == [b" a", b"\tb", b""]


def test_a_byte_order_mark_at_the_beginning_is_dropped() -> None:
    mark = b"\xef\xbb\xbf"
    assert events(mark + b"data: a\n\n" + mark + b"data: b\n\n") == [b"a"]
    assert events(mark[:1], mark[1:], b"data: a\n\n") == [b"a"]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r", b"\r\n", b"\n\n"])
def test_the_end_of_the_stream_completes_an_event(end: bytes) -> None:
    assert events(b"data: [DONE]" + end) == [b"[DONE]"]


def test_nothing_is_no_event() -> None:
    assert events() == []
    assert events(b"", b"\n\n\n", b"\r\n") == []


def test_other_line_separators_are_text() -> None:
    text = "a\u2028b\u2029c\u0085d\x0be\x00".encode()
    assert events(b"data: " + text + b"\n\n") == [text]


def test_a_line_of_a_megabyte_comes_whole_and_in_no_time() -> None:
    line = b"x" * 1_000_000
    stream = b"data: " + line + b"\n\n"
    pieces = [stream[at : at + 1000] for at in range(0, len(stream), 1000)]
    assert events(*pieces, line_max_bytes=2_000_000) == [line]


@pytest.mark.parametrize("piece", [1, 7, 100, 10_000])
def test_a_line_that_does_not_end_is_refused(piece: int) -> None:
    stream = b"data: " + b"x" * 20_000
    with pytest.raises(TooLong):
        events(*(stream[at : at + piece] for at in range(0, len(stream), piece)))


def test_a_line_that_ends_counts_no_more() -> None:
    parser = Parser(100)
    for _ in range(50):
        assert list(parser.feed(b"data: " + b"x" * 60)) == []
        assert list(parser.feed(b"\n\n")) == [b"x" * 60]


def test_an_event_of_endless_lines_is_refused_too() -> None:
    with pytest.raises(TooLong):
        events(*[b"data: " + b"x" * 60 + b"\n"] * 1000)


WHOLE = (
    b"\xef\xbb\xbf: OPENROUTER PROCESSING\r\n\r\n"
    b'data: {"a": "\xf0\x9f\x99\x82 \xe2\x80\xa8"}\n\n'
    b"data: one\rdata: two\r\rid: 3\r\ndata:three\r\n\r\ndata\n\ndata: [DONE]"
)
EVENTS = [b'{"a": "\xf0\x9f\x99\x82 \xe2\x80\xa8"}', b"one\ntwo", b"three", b"", b"[DONE]"]


@pytest.mark.parametrize("at", range(len(WHOLE) + 1))
def test_a_cut_at_any_byte_makes_no_difference(at: int) -> None:
    assert events(WHOLE[:at], WHOLE[at:]) == EVENTS


def test_byte_by_byte_makes_no_difference() -> None:
    assert events(*(WHOLE[at : at + 1] for at in range(len(WHOLE)))) == EVENTS


@given(
    lines=st.lists(
        st.sampled_from([b"data: a", b"data:", b"data", b"", b":c", b"id: 1", "data: ü🙂".encode()])
        | st.binary(max_size=6)
    ),
    ends=st.lists(st.sampled_from([b"\n", b"\r\n", b"\r"]), min_size=1),
    cuts=st.lists(st.integers(0, 200)),
)
def test_cuts_anywhere_make_no_difference(
    lines: list[bytes], ends: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(line + ends[at % len(ends)] for at, line in enumerate(lines))
    places = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(places)]
    assert events(*pieces) == events(stream)
