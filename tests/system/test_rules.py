"""firestore.rules, asked by clients: every collection, every kind of caller, every operation.

Through the REST API of the Firestore emulator, which takes unsigned ID tokens as those of its Auth
sibling, and `Bearer owner` for a caller whom no rule binds.
"""

import base64
import json
import re
import time
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

import httpx
import pytest

from firerouter.firestore.paths import key_of
from tests.support.repository import ROOT

RULES = ROOT / "firestore.rules"
OWNER, OTHER, ADMIN = "rules-owner", "rules-other", "rules-admin"
NEW_ID = "rules-new"


class Suite(Protocol):
    firestore_host: str  # "127.0.0.1:8080"
    project: str


class Row(NamedTuple):
    """One row of the table in the design: a document, and who may read it and its siblings."""

    path: str
    get: frozenset[str] = frozenset()
    list: frozenset[str] = frozenset()
    seeded: bool = True


ADMINS = frozenset({"an admin"})
OWNERS = frozenset({"the owner"})
CONVERSATION = f"users/{OWNER}/conversations/rules-c1"

TABLE = [
    Row("features/rules-f1", get=ADMINS, list=ADMINS),
    Row("features/rules-f1/revisions/1", get=ADMINS, list=ADMINS),
    # one document, so nothing to list; the functions under test read it too, so it is left alone
    Row("config/app", get=ADMINS, seeded=False),
    Row("config/pseudonyms", seeded=False),
    Row("catalog/rules-shard"),
    Row(f"users/{OWNER}", get=OWNERS),  # a list would name other users
    Row(CONVERSATION, get=OWNERS, list=OWNERS),
    Row(f"{CONVERSATION}/messages/m1", get=OWNERS, list=OWNERS),
    Row(f"{CONVERSATION}/transcript/0"),
    Row("generations/rules-g1", get=ADMINS, list=ADMINS),
    Row("generations/rules-g1/progress/00000"),
    Row("generations/rules-g1/asked/000"),
    Row(f"quotas/{OWNER}"),
    Row(f"quotas/{OWNER}/windows/day-20260101"),
    Row("usage/rules-20260101", get=ADMINS, list=ADMINS),
    Row("usage/rules-20260101/shards/0", get=ADMINS, list=ADMINS),
    Row("usage/rules-20260101/features/chat/models/m1", get=ADMINS, list=ADMINS),
    Row("usage/rules-accounts/keys/v1", get=ADMINS, list=ADMINS),
    Row("alerts/rules-a1", get=ADMINS, list=ADMINS),
    Row("responses/rules-r1"),
    Row("audit/rules-a1", get=ADMINS, list=ADMINS),
    # what the table does not know is closed
    Row("config/other"),
    Row(f"users/{OWNER}/private/p1"),
    Row(f"users/{OWNER}/deleting/c1"),
    Row(f"{CONVERSATION}/messages/m1/overflow/0"),
    Row("surprises/rules-s1"),
]

CALLERS: dict[str, dict[str, Any] | None] = {
    "nobody signed in": None,
    "the owner": {"sub": OWNER},
    "another user": {"sub": OTHER},
    "an admin": {"sub": ADMIN, "admin": True},
}

OPERATIONS = ["get", "list", "create", "update", "delete"]


class Case(NamedTuple):
    row: Row
    caller: str
    operation: str

    @property
    def granted(self) -> bool:
        readers = {"get": self.row.get, "list": self.row.list}.get(self.operation, frozenset())
        return self.caller in readers

    def __str__(self) -> str:
        may = "may" if self.granted else "may not"
        return f"{self.caller} {may} {self.operation} {self.row.path}"


CASES = [Case(*each) for each in product(TABLE, CALLERS, OPERATIONS)]


class Client:
    """The documents of one project, as one caller finds them."""

    def __init__(self, suite: Suite, http: httpx.Client, authorization: str | None) -> None:
        self._http = http
        self._root = (
            f"http://{suite.firestore_host}/v1/projects/{suite.project}"
            "/databases/(default)/documents"
        )
        self._headers = {"Authorization": authorization} if authorization else {}

    def status(self, operation: str, path: str) -> int:
        """The HTTP status of one operation on a document (list, create: on its collection)."""
        collection = f"{self._root}/{path.rpartition('/')[0]}"
        body = {"fields": {"text": {"stringValue": "changed"}}}
        match operation:
            case "get":
                answer = self._http.get(f"{self._root}/{path}", headers=self._headers)
            case "list":
                answer = self._http.get(collection, headers=self._headers)
            case "create":
                answer = self._http.post(
                    collection, params={"documentId": NEW_ID}, json=body, headers=self._headers
                )
            case "update":
                answer = self._http.patch(f"{self._root}/{path}", json=body, headers=self._headers)
            case _:
                answer = self._http.delete(f"{self._root}/{path}", headers=self._headers)
        return answer.status_code

    def query_group(self, collection: str) -> int:
        """The HTTP status of a query over every collection of that name, wherever it lies."""
        query = {"from": [{"collectionId": collection, "allDescendants": True}]}
        return self._http.post(
            f"{self._root}:runQuery", json={"structuredQuery": query}, headers=self._headers
        ).status_code


def id_token(project: str, claims: dict[str, Any]) -> str:
    """An unsigned ID token: JWT with `alg` none, as the Auth emulator makes them."""
    now = int(time.time())
    payload = {
        "iss": f"https://securetoken.google.com/{project}",
        "aud": project,
        "user_id": claims["sub"],
        "iat": now,
        "exp": now + 3600,
        **claims,
    }
    parts = ({"alg": "none", "typ": "JWT"}, payload)
    encoded = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts)
    return ".".join(part.rstrip("=") for part in encoded) + "."


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=10) as http:
        yield http


@pytest.fixture(scope="module")
def clients(suite: Suite, http: httpx.Client) -> Iterator[dict[str, Client]]:
    """A client for each kind of caller, with every document of the table in place."""
    seeder = Client(suite, http, "Bearer owner")
    seeds = [row.path for row in TABLE if row.seeded]
    for path in seeds:
        assert seeder.status("update", path) == 200
    yield {
        name: Client(suite, http, f"Bearer {id_token(suite.project, claims)}" if claims else None)
        for name, claims in CALLERS.items()
    }
    for path in seeds:
        assert seeder.status("delete", path) == 200


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_rules_say(clients: dict[str, Client], case: Case) -> None:
    status = clients[case.caller].status(case.operation, case.row.path)
    if case.granted:
        assert status == 200 if case.row.seeded else status in (200, 404)
    else:
        assert status == 403


@pytest.mark.parametrize("claim", ["true", 1, "yes", None, False, [True], {"admin": True}])
def test_no_admin_claim_but_true_makes_an_admin(
    suite: Suite, http: httpx.Client, clients: dict[str, Client], claim: object
) -> None:
    token = id_token(suite.project, {"sub": ADMIN, "admin": claim})
    pretender = Client(suite, http, f"Bearer {token}")
    assert pretender.status("get", "features/rules-f1") == 403
    assert clients["an admin"].status("get", "features/rules-f1") == 200


@pytest.mark.parametrize("caller", list(CALLERS))
@pytest.mark.parametrize("group", ["conversations", "messages", "transcript", "windows"])
def test_nobody_may_query_across_users(clients: dict[str, Client], caller: str, group: str) -> None:
    assert clients[caller].query_group(group) == 403


def test_a_missing_document_is_no_secret_to_those_who_may_read_it(
    clients: dict[str, Client],
) -> None:
    """A client listens to what does not exist yet; others learn nothing from the difference."""
    path = f"users/{OWNER}/conversations/rules-missing"
    assert clients["the owner"].status("get", path) == 404
    assert clients["another user"].status("get", path) == 403


@pytest.mark.parametrize("uid", ["kakao:1", "auth0|5f", "a@b.example", "x y", "äö", "a_b__", "..."])
def test_a_uid_of_an_apps_own_reads_what_is_kept_for_it(
    suite: Suite, http: httpx.Client, clients: dict[str, Client], uid: str
) -> None:
    path = f"users/{quote(key_of(uid), safe='')}/conversations/rules-c2"
    assert Client(suite, http, "Bearer owner").status("update", path) == 200
    owner = Client(suite, http, f"Bearer {id_token(suite.project, {'sub': uid})}")
    assert owner.status("get", path) == 200
    assert owner.status("list", path) == 200
    assert clients["another user"].status("get", path) == 403
    assert Client(suite, http, "Bearer owner").status("delete", path) == 200


def test_every_collection_the_rules_name_is_in_the_table() -> None:
    named = set(re.findall(r"match /(\w+)/", RULES.read_text())) - {"databases"}
    tried = {part for row in TABLE for part in row.path.split("/")[::2]}
    assert named
    assert named <= tried
