"""The stand-in for Cloud Storage decides as functions/storage.rules says."""

import base64
import json
from http import HTTPStatus
from typing import Any

import pytest
from gcp_storage_emulator.storage import Storage

from scripts.standins.firebase_storage import FirebaseStorage
from scripts.standins.storage_rules import StorageRules, UnknownRule
from tests.support.repository import ROOT

RULES = StorageRules.parse((ROOT / "functions" / "storage.rules").read_text("utf-8"))
OWN = ("users/ann/uploads/file", "users/ann/images/image")
METHODS = ("get", "list", "create", "update", "delete")
BUCKET, PROJECT = "demo.appspot.com", "demo"


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("uid", ["ann", "bob", "", None])
def test_a_user_gets_their_own_files_and_does_nothing_else(
    name: str, method: str, uid: str | None
) -> None:
    allowed = uid == "ann" and method == "get"
    assert RULES.allow(method, BUCKET, name, uid) is allowed


@pytest.mark.parametrize(
    "name",
    [
        "users/ann/other/file",
        "users/ann/uploads/folder/file",
        "users/ann/uploads",
        "users/ann",
        "uploads/file",
        "file",
        "",
    ],
)
def test_what_no_rule_names_is_refused(name: str) -> None:
    assert not any(RULES.allow(method, BUCKET, name, "ann") for method in METHODS)


def rules(*lines: str) -> StorageRules:
    body = "\n".join(lines)
    return StorageRules.parse(
        f"rules_version = '2'; service firebase.storage {{ match /b/{{bucket}}/o {{ {body} }} }}"
    )


def test_groups_of_methods_wildcards_and_conditions() -> None:
    read = rules("match /public/{rest=**} { allow read; }")
    assert read.allow("get", BUCKET, "public/a/b", None)
    assert read.allow("list", BUCKET, "public/a", None)
    assert not read.allow("delete", BUCKET, "public/a", None)
    assert not read.allow("get", BUCKET, "public", None)
    write = rules("match /{file} { allow write, get: if request.auth.uid != 'bob'; }")
    assert write.allow("update", BUCKET, "file", "ann")
    assert not write.allow("get", BUCKET, "file", "bob")
    assert not write.allow("get", BUCKET, "file", None)  # there is no uid to compare


@pytest.mark.parametrize(
    "line",
    [
        "match /{file} { allow get: if request.resource.size < 5; }",
        "match /{file} { allow get: if isMine(); }",
        "match /{file} { allow get: if a == b || c == d; }",
        "match /{file} { allow everything; }",
        "function isMine() { return true; }",
    ],
)
def test_a_rule_that_it_does_not_know_is_no_rule(line: str) -> None:
    with pytest.raises(UnknownRule):
        rules(line)


def test_the_rules_of_firestore_are_not_those_of_storage() -> None:
    with pytest.raises(UnknownRule):
        StorageRules.parse((ROOT / "firestore.rules").read_text("utf-8"))


# -- the requests of client SDKs -------------------------------------------------------------------


@pytest.fixture
def files() -> FirebaseStorage:
    storage = Storage(use_memory_fs=True)
    storage.create_bucket(BUCKET, {})
    for name in OWN:
        storage.create_file(BUCKET, name, b"content", {"name": name, "contentType": "text/plain"})
    return FirebaseStorage(storage, RULES, PROJECT)


def token(uid: str, **claims: Any) -> str:
    payload = {"sub": uid, "aud": PROJECT, "exp": 4_000_000_000, **claims}
    encoded = base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip("=")
    return f"Firebase header.{encoded}."


def url(name: str, query: str = "") -> str:
    return f"/v0/b/{BUCKET}/o/{name.replace('/', '%2F')}{query}"


def status(files: FirebaseStorage, method: str, path: str, authorization: str = "") -> HTTPStatus:
    answer = files.answer(method, path, {"Authorization": authorization} if authorization else {})
    assert answer is not None
    return answer.status


@pytest.mark.parametrize("name", OWN)
def test_a_download_token_opens_one_file_to_anyone(files: FirebaseStorage, name: str) -> None:
    told = files.answer("GET", url(name), {"Authorization": token("ann")})
    assert told is not None
    (opens,) = json.loads(told.content)["downloadTokens"].split(",")
    media = f"?alt=media&token={opens}"
    assert status(files, "GET", url(name, media)) == HTTPStatus.OK
    (other,) = set(OWN) - {name}
    assert status(files, "GET", url(other, media)) == HTTPStatus.FORBIDDEN
    assert status(files, "DELETE", url(name, media)) == HTTPStatus.FORBIDDEN
    assert status(files, "GET", url(name, "?alt=media&token=")) == HTTPStatus.FORBIDDEN


@pytest.mark.parametrize(
    "wrong",
    [
        token("ann", aud="another-project"),
        token("ann", exp=1),
        token("ann", sub=5),
        "Firebase nonsense",
        "Firebase a.b.c",
        "Firebase a.e30.c",
    ],
)
def test_a_bad_id_token_is_refused(files: FirebaseStorage, wrong: str) -> None:
    assert status(files, "GET", url(OWN[0]), wrong) == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_clients_write_nothing(files: FirebaseStorage, method: str) -> None:
    assert status(files, method, url(OWN[0]), token("ann")) == HTTPStatus.FORBIDDEN
    new = f"/v0/b/{BUCKET}/o?name=users%2Fann%2Fuploads%2Fnew"
    assert status(files, method, new, token("ann")) == HTTPStatus.FORBIDDEN


def test_other_requests_are_not_a_client_sdks(files: FirebaseStorage) -> None:
    assert files.answer("GET", f"/storage/v1/b/{BUCKET}/o/{OWN[0]}", {}) is None
    assert files.answer("GET", f"/v0/b/{BUCKET}", {}) is None
