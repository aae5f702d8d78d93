"""The initial content of a suite: a key, two users, the default features.

It is written through the emulators' REST interfaces, where `Bearer owner` is an administrator.
Seeding twice is harmless.
"""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from scripts.devtools import ROOT
from scripts.devtools.cli_errors import PartDied
from scripts.devtools.ports import PART_NAMES

if TYPE_CHECKING:
    import httpx

    from scripts.devtools.suite import Suite

ADMIN = "admin@demo.test"
ADMIN_UID = "demo-admin"
USER = "user@demo.test"
PASSWORD = "firerouter"  # noqa: S105  # of two users that exist only on this machine
SECRET_ID = "OPENROUTER_API_KEY"  # noqa: S105  # its name
LOCAL_KEY = "sk-or-v1-local-0000000000000000000000000000000000000000000000000000000000000000"
FUNCTIONS = str(ROOT / "functions")  # where the functions' imports start
OWNER = {"Authorization": "Bearer owner"}
TIMEOUT_S = 30
SEEDED_WITHIN_S = 20.0  # from an emulator's first answer to the last thing it is given
RETRY_EVERY_S = 0.25
REST_TYPES = (
    (type(None), "nullValue"),
    (bool, "booleanValue"),  # before int, its base class
    (int, "integerValue"),
    (float, "doubleValue"),
    (str, "stringValue"),
    (dict, "mapValue"),
    ((list, tuple), "arrayValue"),
)


def seed(suite: "Suite", *, key: str | None = None, app: dict[str, Any] | None = None) -> None:
    """Seed every part that the suite runs, as soon as it listens. Raises PartDied.

    Args:
        key: The OpenRouter key to store, instead of one for the stand-in.
        app: Fields of `config/app` that differ from the defaults.
    """
    jobs: list[tuple[str, Callable[[], None]]] = []
    if suite.with_functions:
        host, secret = suite.secret_manager_host, key or LOCAL_KEY
        jobs.append(("secret_manager_control", lambda: store_key(host, suite.project, secret)))
    if "firestore" in suite.only:
        documents = {"config/app": {**default_app_settings(), **(app or {})}}
        documents |= {f"features/{id_}": value for id_, value in default_features().items()}
        create = partial(create_documents, suite.firestore_host, suite.project, documents)
        jobs.append(("firestore", create))
    if "auth" in suite.only:
        jobs.append(("auth", lambda: create_users(suite.auth_host, suite.project)))

    def run(part: str, job: Callable[[], None]) -> None:
        suite.wait_for(part)
        retry(part, job)

    with ThreadPoolExecutor() as pool:
        for future in [pool.submit(run, *job) for job in jobs]:
            future.result()


def retry(part: str, job: Callable[[], None], *, within_s: float = SEEDED_WITHIN_S) -> None:
    """Do a job, which may be done twice, until the part of the suite has accepted it.

    Raises:
        PartDied: The part refuses connections, or answers with an error, for too long.
    """
    import httpx

    deadline = time.monotonic() + within_s
    while True:
        try:
            return job()
        except httpx.HTTPError as error:
            if time.monotonic() > deadline:
                raise PartDied(
                    f"Seeding {PART_NAMES[part]} failed: {error}.",
                    "Start again. If this happens again, look into .local/log.",
                ) from error
        time.sleep(RETRY_EVERY_S)


# What the functions expect to find


def default_features() -> dict[str, dict[str, Any]]:
    """Return the documents `features/{id}` of the functions' own defaults."""
    if FUNCTIONS not in sys.path:
        sys.path.append(FUNCTIONS)
    from firerouter.features.defaults import DEFAULTS

    return {id_: feature.to_document() for id_, feature in DEFAULTS.items()}


def default_app_settings() -> dict[str, Any]:
    """Return `config/app`, for the key that `store_key` writes as version 1 of its secret."""
    return {"keys": {"default": [{"version": 1}]}}


# Secret Manager


def store_key(host: str, project: str, key: str) -> None:
    """Write version 1 of the secret, unless the secret exists."""
    import grpc
    from google.api_core.exceptions import AlreadyExists
    from google.cloud import secretmanager_v1 as sm
    from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
        SecretManagerServiceGrpcTransport,
    )

    with grpc.insecure_channel(host) as channel:
        transport = SecretManagerServiceGrpcTransport(channel=channel)
        client = sm.SecretManagerServiceClient(transport=transport)
        parent = f"projects/{project}"
        secret = sm.Secret(replication=sm.Replication(automatic=sm.Replication.Automatic()))
        try:
            client.create_secret(
                parent=parent, secret_id=SECRET_ID, secret=secret, timeout=TIMEOUT_S
            )
        except AlreadyExists:
            return
        payload = sm.SecretPayload(data=key.encode())
        name = f"{parent}/secrets/{SECRET_ID}"
        client.add_secret_version(parent=name, payload=payload, timeout=TIMEOUT_S)


# Auth


def create_users(host: str, project: str) -> None:
    with _client(f"http://{host}/identitytoolkit.googleapis.com/v1/projects/{project}") as auth:
        create_user(auth, ADMIN_UID, ADMIN, '{"admin":true}')
        create_user(auth, "demo-user", USER, "{}")


def create_user(auth: "httpx.Client", uid: str, email: str, claims: str) -> None:
    account = {"localId": uid, "email": email, "password": PASSWORD, "emailVerified": True}
    created = auth.post("/accounts", json=account)
    if created.is_success:
        claimed = auth.post("/accounts:update", json={"localId": uid, "customAttributes": claims})
        claimed.raise_for_status()
    elif created.json()["error"]["message"] not in {"DUPLICATE_LOCAL_ID", "EMAIL_EXISTS"}:
        created.raise_for_status()


# Firestore


def create_documents(host: str, project: str, documents: dict[str, dict[str, Any]]) -> None:
    """Create the documents, by path, that do not exist yet; changes to others are kept."""
    database = f"projects/{project}/databases/(default)"
    writes = [
        {
            "update": {
                "name": f"{database}/documents/{path}",
                "fields": to_value(document)["mapValue"]["fields"],
            },
            "currentDocument": {"exists": False},
        }
        for path, document in documents.items()
    ]
    with _client(f"http://{host}/v1/{database}") as firestore:
        response = firestore.post("/documents:batchWrite", json={"writes": writes})
    response.raise_for_status()
    for path, status in zip(documents, response.json()["status"], strict=True):
        if status.get("code", 0) not in {0, 6, 9}:  # OK; ALREADY_EXISTS or FAILED_PRECONDITION
            raise PartDied(
                f"The Firestore emulator did not write {path}: {status.get('message')}",
                "Start again. If this happens again, look into .local/log.",
            )


def to_value(value: Any) -> dict[str, Any]:
    """Encode a JSON value as Firestore's REST interface does."""
    match value:
        case dict():
            encoded: Any = {"fields": {name: to_value(item) for name, item in value.items()}}
        case list() | tuple():
            encoded = {"values": [to_value(item) for item in value]}
        case int() if not isinstance(value, bool):
            encoded = str(value)  # 64 bits do not fit into a JavaScript number
        case _:
            encoded = value
    for type_, name in REST_TYPES:
        if isinstance(value, type_):
            return {name: encoded}
    raise TypeError(f"Firestore has no type for {type(value).__name__}.")


def _client(url: str) -> "httpx.Client":
    import httpx

    return httpx.Client(base_url=url, headers=OWNER, timeout=TIMEOUT_S, trust_env=False)
