"""Ids of generations: the same request finds its generation, and no other one does."""

from hypothesis import given
from hypothesis import strategies as st

from firerouter import limits
from firerouter.ledger import comparison_ids, comparison_request, generation_id, payload_hash

uids = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=8)


@given(one=st.tuples(uids, uids), other=st.tuples(uids, uids))
def test_no_two_requests_have_one_generation(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (generation_id(*one) == generation_id(*other)) == (one == other)


@given(uid=uids)
def test_a_request_without_an_id_is_always_a_new_generation(uid: str) -> None:
    assert generation_id(uid, None) != generation_id(uid, None)


def test_an_id_is_one_that_clients_may_send_back() -> None:
    id_ = generation_id("ann", "r")
    assert len(id_) == 32
    assert set(id_) <= set("0123456789abcdef")


def test_a_comparison_has_a_generation_for_each_model_and_one_for_the_judge() -> None:
    ids = comparison_ids("c" * 32, "ann")
    assert len(set(ids)) == limits.COMPARED_MODELS_MAX + 1
    assert ids[1] == generation_id("ann", comparison_request("c" * 32, 1))


@given(data=st.dictionaries(st.text(max_size=5), st.text(max_size=5)), id_=st.text(max_size=5))
def test_the_payload_is_everything_but_the_request_id(data: dict[str, str], id_: str) -> None:
    assert payload_hash({**data, "requestId": id_}) == payload_hash({**data, "requestId": "x"})
    one, other = {**data, "prompt": f"{id_}a"}, {**data, "prompt": f"{id_}b"}
    assert payload_hash(one) != payload_hash(other)
    assert payload_hash(dict(reversed(list(data.items())))) == payload_hash(data)
