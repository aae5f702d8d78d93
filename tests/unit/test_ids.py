"""Keys of users: what a document may be called, and no two users the same."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter.firestore.paths import key_of

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
    assert "/" not in key
    assert key not in {".", ".."}
    assert not re.fullmatch("__.*__", key, re.DOTALL)


@given(one=ODD, other=ODD)
def test_no_two_users_have_one_key(one: str, other: str) -> None:
    assert (key_of(one) == key_of(other)) == (one == other)
