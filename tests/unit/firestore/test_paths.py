"""Keys of users: what a document may be called, and no two users the same."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter.firestore.paths import is_document_id, key_of

ODD = st.text("./_%ab:\x00é2EF5", max_size=8)


@pytest.mark.parametrize(
    "uid", ["u1", "kakao:1", "auth0|5f", "a@b.example", "x y", "äö", "a.b", "__a"]
)
def test_the_rules_compare_a_uid_with_its_key(uid: str) -> None:
    assert key_of(uid) == uid


@pytest.mark.parametrize("uid", ["", ".", "..", "__x__", "____", "a/b", "a%2Fb", "a\x00", "a\nb"])
def test_what_no_document_can_be_called_is_quoted(uid: str) -> None:
    assert key_of(uid) != uid or uid == ""


@given(uid=ODD | st.text(max_size=128))
def test_a_key_is_one_that_firestore_takes(uid: str) -> None:
    key = key_of(uid)
    assert is_document_id(key) or uid == ""
    assert "/" not in key
    assert key not in {".", ".."}
    assert not re.fullmatch("__.*__", key, re.DOTALL)


def test_a_key_of_the_longest_uid_is_not_too_long() -> None:
    one, other = ("\U0001f600" * 126 + end for end in ("a/", "b/"))
    assert is_document_id(key_of(one))
    assert key_of(one) != key_of(other)


@pytest.mark.parametrize("text", ["", ".", "..", "__x__", "a/b", "\x00", "\ud800", "x" * 1_501])
def test_what_is_no_id_of_a_document_is_told(text: str) -> None:
    assert not is_document_id(text)
    assert is_document_id(f"a{text[:9]}".replace("/", "").strip("\x00\ud800"))


@given(one=ODD, other=ODD)
def test_no_two_users_have_one_key(one: str, other: str) -> None:
    assert (key_of(one) == key_of(other)) == (one == other)
