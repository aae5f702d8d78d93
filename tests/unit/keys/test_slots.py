"""Which keys serve whom: whatever the document holds, something valid comes of it."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter import limits
from firerouter.keys.slots import FIRST_BOOT, KeyEntry, KeySlots, read_slots

NOW = datetime(2026, 11, 22, 5, tzinfo=UTC)
ONE = KeyEntry(1, "aaa1", NOW, False, 10.0, 9.75)
TWO = KeyEntry(2)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
FIELDS = ("version", "lastFour", "checkedAt", "isFreeTier", "limitUsd", "limitRemainingUsd")
ENTRY = st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, ANY)) | ANY
SLOT = st.lists(ENTRY, max_size=8) | ANY
KEYS = st.fixed_dictionaries(
    {}, optional={"default": SLOT, "features": st.dictionaries(st.text(max_size=3), SLOT) | ANY}
)


def test_what_was_stored_is_read() -> None:
    slots = KeySlots((ONE, TWO), {"chat": (TWO,), "my-own_1": (ONE,)})
    document = {
        "default": [ONE.to_document(), TWO.to_document()],
        "features": {"chat": [TWO.to_document()], "my-own_1": [ONE.to_document()]},
    }
    assert read_slots(document) == slots
    assert slots.versions() == {1, 2}


def test_a_feature_is_served_by_its_own_keys_or_by_the_default_ones() -> None:
    slots = KeySlots((ONE,), {"chat": (TWO, ONE)})
    assert slots.serving("chat") == (2, 1)
    assert slots.serving("code") == slots.serving(None) == (1,)
    assert slots.own("code") == ()


@pytest.mark.parametrize("keys", [None, {}, "typed by hand", {"default": "typed by hand"}])
def test_without_a_default_slot_it_is_the_first_boot(keys: Any) -> None:
    slots = read_slots(keys)
    assert slots.own(None) is None
    assert slots.serving(None) == slots.serving("chat") == FIRST_BOOT


@pytest.mark.parametrize("default", [[], None, ["typed by hand"]])
def test_keys_that_were_removed_are_no_first_boot(default: Any) -> None:
    assert read_slots({"default": default}).serving(None) == ()


def test_where_a_feature_has_keys_the_newest_version_serves_nobody() -> None:
    """It may be the feature's, and the first boot is long over."""
    slots = read_slots({"features": {"chat": [{"version": 2}]}})
    assert slots.serving(None) == slots.serving("code") == ()
    assert slots.serving("chat") == (2,)


@pytest.mark.parametrize(
    "entry",
    [None, "sk-or-v1-canary", 3, {}, {"version": "3"}, {"version": True}, {"version": 0}, [3]],
)
def test_an_entry_that_cannot_be_read_is_skipped_and_said(
    entry: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    slots = read_slots({"default": [entry, {"version": 2}], "features": {"chat": [entry]}})
    assert slots == KeySlots((TWO,))
    out = capsys.readouterr().out
    assert "keys.default[0]" in out
    assert "keys.features.chat[0]" in out
    assert "canary" not in out


def test_what_is_wrong_in_an_entry_is_left_out() -> None:
    typed = {"version": 2, "lastFour": 7, "checkedAt": "now", "isFreeTier": 1, "key": "sk-canary"}
    assert read_slots({"default": [typed]}) == KeySlots((TWO,))
    assert read_slots({"default": [{"version": 2, "lastFour": "sk-whole"}]}).default == (
        KeyEntry(2, "hole"),
    )


def test_the_name_of_no_feature_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    assert read_slots({"features": {"sk or canary": [{"version": 1}]}}) == KeySlots()
    assert "canary" not in capsys.readouterr().out


def test_more_keys_than_a_slot_takes_are_left_out() -> None:
    typed = [{"version": n} for n in range(1, limits.KEYS_MAX + 3)]
    assert read_slots({"default": typed}).serving(None) == tuple(range(1, limits.KEYS_MAX + 1))


def test_a_slot_is_changed_and_the_others_are_not() -> None:
    slots = KeySlots((ONE,), {"chat": (TWO,)})
    assert slots.having(None, ()) == KeySlots((), {"chat": (TWO,)})
    assert slots.having("code", (ONE,)) == KeySlots((ONE,), {"chat": (TWO,), "code": (ONE,)})
    assert slots.having("chat", ()) == KeySlots((ONE,))


@given(KEYS | ANY)
def test_whatever_is_typed_is_read(keys: Any) -> None:
    slots = read_slots(keys)
    for feature in (None, "a", *slots.features):
        assert len(slots.serving(feature)) <= limits.KEYS_MAX
    document: dict[str, Any] = {
        "features": {id_: [key.to_document() for key in own] for id_, own in slots.features.items()}
    }
    if slots.default is not None:
        document["default"] = [key.to_document() for key in slots.default]
    assert read_slots(document) == slots
