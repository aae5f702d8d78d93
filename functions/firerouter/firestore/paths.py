"""The paths of all documents. Only this module knows the names of collections. Pure.

generations/{id}                                 a ledger entry
  progress/{number}                              its answer so far
  asked/{number}                                 the queued request, in parts
quotas/{user}/windows/{month}, .../concurrent    a user's counters
limits/{user}                                    what admins set for one user
ceilings/{month}/shards/{number}                 counters of what the whole app spends
instances/{instance}                             when the lease of an instance ends
users/{user}                                     a user's preferences
  conversations/{id}                             a conversation
    messages/{id}                                one of its messages
    transcript/{page}                            a page of the chosen path, annotations of files
  deleting/{id}                                  a conversation that is being deleted
features/{id}                                    a feature with its active settings
  revisions/{number}                             each saved revision of it
config/app, config/pseudonyms                    the app's settings, the secret for pseudonyms
  revisions/{number}                             each saved revision of the app's settings
config/keyRefusals                               when OpenRouter last refused each key
catalog/{shard}                                  the list of models
responses/{hash}                                 cached answers
usage/{day}                                      the sums of a day's generations
  cells/{cell}                                   of one feature, model, revision and tier
  users/{user}                                   of one user; `%erased`: of all erased users
usage/cursor                                     how far the ledger has been counted
usage/accounts/keys/{version}                    what OpenRouter charged a key
alerts/{id}                                      what an admin should look at
audit/{id}                                       an admin's change
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from google.cloud.firestore import (
        AsyncClient,
        AsyncCollectionReference,
        AsyncDocumentReference,
    )

# invalid in an id (https://firebase.google.com/docs/firestore/quotas), or control characters
_NO_ID: Final = re.compile(r"[/\x00-\x1f\x7f-\x9f\ud800-\udfff]|\A__.*__\Z|\A\Z", re.DOTALL)
# the same, or %
_NO_KEY: Final = re.compile(r"[/%\x00-\x1f\x7f-\x9f]|\A__.*__\Z|\A\Z", re.DOTALL)
ID_MAX_BYTES: Final = 1_500

GENERATIONS: Final = "generations"
NO_USER: Final = "%"  # never a user's key: in one, two hex digits follow a %
ERASED_USER: Final = "%erased"  # never a user's key either; the usage of all erased users


def is_document_id(text: str) -> bool:
    """Return whether a text may be the id of a document."""
    if text in {".", ".."} or _NO_ID.search(text):
        return False
    return len(text.encode()) <= ID_MAX_BYTES


def key_of(uid: str) -> str:
    """Return the id of a user's documents: the uid itself, which the security rules compare.

    Any text of up to 128 characters may be a uid, even one that is not valid as a document id. Such
    a uid is URL-encoded, so it contains a %, which no other key does. That user's clients can't
    read these documents.
    """
    if uid not in {".", ".."} and not _NO_KEY.search(uid):
        return uid
    quoted = quote(uid, safe="").replace(".", "%2E").replace("_", "%5F")
    if len(quoted) > ID_MAX_BYTES:  # 128 characters may take twelve each; %% is in no other key
        return f"%%{hashlib.sha256(uid.encode()).hexdigest()}"
    return quoted


class Paths:
    """References to the documents and collections of one database."""

    def __init__(self, firestore: AsyncClient) -> None:
        self._firestore = firestore

    # -- the ledger ----------------------------------------------------------------------------

    def generations(self) -> AsyncCollectionReference:
        return self._firestore.collection(GENERATIONS)

    def generation(self, id_: str) -> AsyncDocumentReference:
        return self._firestore.document(GENERATIONS, id_)

    def progress(self, id_: str) -> AsyncCollectionReference:
        return self._firestore.collection(GENERATIONS, id_, "progress")

    def queued_request(self, id_: str) -> AsyncCollectionReference:
        return self._firestore.collection(GENERATIONS, id_, "asked")

    def quota_window(self, uid: str, name: str) -> AsyncDocumentReference:
        return self._firestore.document("quotas", key_of(uid), "windows", name)

    def quota_windows(self, uid: str) -> AsyncCollectionReference:
        return self._firestore.collection("quotas", key_of(uid), "windows")

    def user_limits(self, uid: str) -> AsyncDocumentReference:
        return self._firestore.document("limits", key_of(uid))

    def ceiling_shards(self, month: str) -> AsyncCollectionReference:
        return self._firestore.collection("ceilings", month, "shards")

    def ceiling_shard(self, month: str, number: int) -> AsyncDocumentReference:
        return self._firestore.document("ceilings", month, "shards", str(number))

    def instance(self, id_: str) -> AsyncDocumentReference:
        return self._firestore.document("instances", id_)

    # -- sums of the generations ---------------------------------------------------------------

    def usage_days(self) -> AsyncCollectionReference:
        """Return the collection of all days; `cursor` and `accounts` are in it as well."""
        return self._firestore.collection("usage")

    def usage(self, day: str) -> AsyncDocumentReference:
        return self._firestore.document("usage", day)

    def usage_cells(self, day: str) -> AsyncCollectionReference:
        return self._firestore.collection("usage", day, "cells")

    def usage_users(self, day: str) -> AsyncCollectionReference:
        return self._firestore.collection("usage", day, "users")

    def usage_user(self, day: str, uid: str | None) -> AsyncDocumentReference:
        """Return the document of a user's usage, or of the entries that name no user."""
        key = ERASED_USER if uid == ERASED_USER else NO_USER if uid is None else key_of(uid)
        return self._firestore.document("usage", day, "users", key)

    def usage_cursor(self) -> AsyncDocumentReference:
        return self._firestore.document("usage", "cursor")

    def key_account(self, key: str) -> AsyncDocumentReference:
        return self._firestore.document("usage", "accounts", "keys", key)

    def alert(self, id_: str) -> AsyncDocumentReference:
        return self._firestore.document("alerts", id_)

    # -- users ---------------------------------------------------------------------------------

    def user(self, uid: str) -> AsyncDocumentReference:
        return self._firestore.document("users", key_of(uid))

    def conversations(self, uid: str) -> AsyncCollectionReference:
        return self._firestore.collection("users", key_of(uid), "conversations")

    def deletions(self, uid: str) -> AsyncCollectionReference:
        return self._firestore.collection("users", key_of(uid), "deleting")

    def conversation(self, uid: str, id_: str) -> AsyncDocumentReference:
        return self._firestore.document("users", key_of(uid), "conversations", id_)

    def messages(self, uid: str, id_: str) -> AsyncCollectionReference:
        return self._firestore.collection("users", key_of(uid), "conversations", id_, "messages")

    def transcript(self, uid: str, id_: str) -> AsyncCollectionReference:
        return self._firestore.collection("users", key_of(uid), "conversations", id_, "transcript")

    def deletion(self, uid: str, id_: str) -> AsyncDocumentReference:
        return self._firestore.document("users", key_of(uid), "deleting", id_)

    # -- what admins set -----------------------------------------------------------------------

    def features(self) -> AsyncCollectionReference:
        return self._firestore.collection("features")

    def feature(self, id_: str) -> AsyncDocumentReference:
        return self._firestore.document("features", id_)

    def revisions(self, feature: str) -> AsyncCollectionReference:
        return self._firestore.collection("features", feature, "revisions")

    def app_settings(self) -> AsyncDocumentReference:
        return self._firestore.document("config", "app")

    def app_revisions(self) -> AsyncCollectionReference:
        return self._firestore.collection("config", "app", "revisions")

    def pseudonyms(self) -> AsyncDocumentReference:
        return self._firestore.document("config", "pseudonyms")

    def key_refusals(self) -> AsyncDocumentReference:
        return self._firestore.document("config", "keyRefusals")

    def catalog(self) -> AsyncCollectionReference:
        return self._firestore.collection("catalog")

    def responses(self) -> AsyncCollectionReference:
        return self._firestore.collection("responses")

    def audit(self) -> AsyncCollectionReference:
        return self._firestore.collection("audit")
