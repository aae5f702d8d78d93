"""What people read of a failure: users in plain words, admins with the place where they can act."""

import re

import pytest

from firerouter import errors  # its leaves are CallableError's subclasses
from firerouter.app import FUNCTIONS
from firerouter.callable import CallableError
from firerouter.errors import (
    CatalogIncomplete,
    CreditBusy,
    FeatureDisabled,
    FreeDailyLimit,
    ImageUnreadable,
    KeyInvalid,
    KeyLimitReached,
    KeyUnavailable,
    ManagementKey,
    MaxTokensTooHigh,
    ModelNotAllowed,
    ModelNotFound,
    NoCredit,
    NoProvider,
    NotConfigured,
    PaidModel,
    QuotaExceeded,
    UpstreamForbidden,
    UpstreamRejected,
)

MAX_CHARS = 160
# what users need not know: whose service it is, how it is paid for, where things are kept
NOT_FOR_USERS = r"openrouter|keys?|ledger|books|firestore|secrets?|roles?|admin console"
TRANSLATED = r"can\s+not|any more|by now|as good as|whoever|nobody"
SUBJECTS = {
    "AI",
    "App",
    "Cloud",
    "Files",
    "No",
    "One",
    "Only",
    "OpenRouter",
    "Requests",
    "Secret",
    "Somebody",
    "Something",
    "That",
    "The",
    "These",
    "This",
    "Today's",
    "Too",
    "We",
    "You",
    "Your",
}
PLACES = r"console|openrouter\.ai\b|cloud\.google\.com|[a-z]+_[a-z_]+\b|create one at"
ADMIN_CAN_ACT = (
    CatalogIncomplete,
    CreditBusy,
    FeatureDisabled,
    FreeDailyLimit,
    ImageUnreadable,
    KeyInvalid,
    KeyLimitReached,
    KeyUnavailable,
    ManagementKey,
    MaxTokensTooHigh,
    ModelNotAllowed,
    ModelNotFound,
    NoCredit,
    NoProvider,
    PaidModel,
    QuotaExceeded,
    UpstreamForbidden,
    UpstreamRejected,
)


def tree(kind: type[CallableError] = CallableError) -> list[type[CallableError]]:
    """Return a class and all below it that are the product's own."""
    below = [leaf for child in kind.__subclasses__() for leaf in tree(child)]
    return [kind, *below] if kind.__module__.startswith("firerouter.") else below


LEAVES = [kind for kind in tree() if "reason" in vars(kind)]
FOR_ADMINS = [leaf for leaf in LEAVES if leaf.admin_sentence]


def check_form(text: str) -> None:
    """One or two whole sentences with a subject, of a length that fits on a phone."""
    assert len(text) <= MAX_CHARS
    assert text.endswith(".")
    assert text.isascii(), "logs and the wire carry it as it is"
    first = text.split(maxsplit=1)[0].rstrip(",")
    assert first in SUBJECTS or first.endswith("'s"), f"{first!r} is no subject"
    for sentence in re.split(r"(?<=[a-z])\. ", text):
        assert sentence[0].isupper()
    assert not re.search(rf"\b({TRANSLATED})\b", text, re.IGNORECASE)


@pytest.mark.parametrize("leaf", LEAVES)
def test_users_are_told_what_happened_and_what_they_can_do(leaf: type[CallableError]) -> None:
    check_form(leaf.sentence)
    assert not re.search(rf"\b({NOT_FOR_USERS})\b", leaf.sentence, re.IGNORECASE)
    advice = "Please" in leaf.sentence or "stays in use" in leaf.sentence
    assert advice, "what can they do?"


@pytest.mark.parametrize("leaf", FOR_ADMINS)
def test_admins_are_told_where_to_act(leaf: type[CallableError]) -> None:
    check_form(leaf.admin_sentence)
    assert re.search(PLACES, leaf.admin_sentence), "where?"
    assert leaf.admin_sentence != leaf.sentence


@pytest.mark.parametrize("leaf", FOR_ADMINS)
def test_the_places_that_admins_are_sent_to_exist(leaf: type[CallableError]) -> None:
    """Firerouter has no console of its own: only Firebase and Google Cloud have one."""
    consoles = re.findall(r"(?:(Firebase|Google Cloud) )?console", leaf.admin_sentence)
    assert all(consoles), "whose console?"
    words = re.findall(r"\b(?<![./])[a-z]+(?:_[a-z]+)+\b", leaf.admin_sentence)
    assert set(words) <= {function.name for function in FUNCTIONS}


@pytest.mark.parametrize("leaf", [kind for kind in LEAVES if issubclass(kind, NotConfigured)])
def test_whatever_is_not_set_up_is_an_admins_to_set_up(leaf: type[CallableError]) -> None:
    assert leaf.admin_sentence
    assert "owner" in leaf.sentence, "a user can only tell somebody"


@pytest.mark.parametrize("leaf", ADMIN_CAN_ACT)
def test_what_an_admin_can_mend_has_a_sentence_for_admins(leaf: type[CallableError]) -> None:
    assert leaf.admin_sentence


def test_the_audience_decides_which_of_the_two_is_sent() -> None:
    failure = NoCredit()
    assert failure.to_wire("0" * 32)["message"] == NoCredit.sentence
    assert failure.to_wire("0" * 32, for_admin=True)["message"] == NoCredit.admin_sentence
    assert str(failure) == NoCredit.sentence, "logs and traces know no audience"


def test_without_a_sentence_of_their_own_admins_read_the_users() -> None:
    failure = errors.RateLimited()
    wire = failure.to_wire("0" * 32, for_admin=True)
    assert wire["message"] == errors.RateLimited.sentence


def test_a_message_of_its_own_is_for_everybody() -> None:
    failure = NoCredit("The model x/y costs more than is left.")
    for for_admin in (False, True):
        assert failure.to_wire("0" * 32, for_admin=for_admin)["message"] == failure.message
