"""What a fresh suite holds: the key, two users, the default features. Seeding twice is no harm.

Written through the emulators' own REST interfaces, where `Bearer owner` is an administrator.
"""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

    from scripts.local.suite import Suite

ADMIN = "admin@demo.test"
ADMIN_UID = "demo-admin"
USER = "user@demo.test"
PASSWORD = "firerouter"  # noqa: S105  # of two users that exist on this machine only
SECRET_ID = "OPENROUTER_API_KEY"  # noqa: S105  # its name
LOCAL_KEY = "sk-or-v1-local-0000000000000000000000000000000000000000000000000000000000000000"
FUNCTIONS = str(Path(__file__).parents[2] / "functions")  # where the functions import from
OWNER = {"Authorization": "Bearer owner"}
TIMEOUT_S = 30
REST_TYPES = (
    (type(None), "nullValue"),
    (bool, "booleanValue"),  # before int, which it is one of
    (int, "integerValue"),
    (float, "doubleValue"),
    (str, "stringValue"),
    (dict, "mapValue"),
    ((list, tuple), "arrayValue"),
)


def seed(suite: "Suite", *, key: str | None = None, app: dict[str, Any] | None = None) -> None:
    """Seed whatever of it the suite runs, each as soon as it listens.

    key: the OpenRouter key to store instead of the stand-in's. app: of `config/app`, what is not
    to be as by default. Raises PartDied.
    """
    jobs: list[tuple[int, Callable[[], None]]] = []
    if suite.with_functions:
        host, secret = suite.secret_manager_host, key or LOCAL_KEY
        jobs.append((suite.ports.secret_manager, lambda: store_key(host, suite.project, secret)))
    if "firestore" in suite.only:
        documents = {"config/app": {**default_app_settings(), **(app or {})}}
        documents |= {f"features/{id_}": value for id_, value in default_features().items()}
        create = partial(create_documents, suite.firestore_host, suite.project, documents)
        jobs.append((suite.ports.firestore, create))
    if "auth" in suite.only:
        jobs.append((suite.ports.auth, lambda: create_users(suite.auth_host, suite.project)))

    def run(port: int, job: Callable[[], None]) -> None:
        suite.wait_for(port)
        job()

    with ThreadPoolExecutor() as pool:
        for running in [pool.submit(run, *job) for job in jobs]:
            running.result()


# What the functions expect to find


def default_features() -> dict[str, dict[str, Any]]:
    """`features/{id}`, from the functions' own defaults."""
    if FUNCTIONS not in sys.path:
        sys.path.append(FUNCTIONS)
    from firerouter.features.defaults import DEFAULTS

    return {id_: feature.to_document() for id_, feature in DEFAULTS.items()}


def default_app_settings() -> dict[str, Any]:
    """`config/app`: the key that `store_key` wrote is version 1 of its secret."""
    return {"keys": {"default": [{"version": 1}]}}


# Secret Manager


def store_key(host: str, project: str, key: str) -> None:
    """Version 1 of the secret, unless there is a secret already."""
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
    made = auth.post("/accounts", json=account)
    if made.is_success:
        claimed = auth.post("/accounts:update", json={"localId": uid, "customAttributes": claims})
        claimed.raise_for_status()
    elif made.json()["error"]["message"] not in {"DUPLICATE_LOCAL_ID", "EMAIL_EXISTS"}:
        made.raise_for_status()


# Firestore


def create_documents(host: str, project: str, documents: dict[str, dict[str, Any]]) -> None:
    """By path, each only if there is none: what somebody changed stays changed."""
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
        answer = firestore.post("/documents:batchWrite", json={"writes": writes})
    answer.raise_for_status()
    for path, status in zip(documents, answer.json()["status"], strict=True):
        if status.get("code", 0) not in {0, 6, 9}:  # OK; ALREADY_EXISTS or FAILED_PRECONDITION
            raise RuntimeError(f"{path} could not be written: {status.get('message')}")


def to_value(value: Any) -> dict[str, Any]:
    """A JSON value in Firestore's REST encoding."""
    match value:
        case dict():
            encoded: Any = {"fields": {name: to_value(item) for name, item in value.items()}}
        case list() | tuple():
            encoded = {"values": [to_value(item) for item in value]}
        case int() if not isinstance(value, bool):
            encoded = str(value)  # 64 bits do not fit a JavaScript number
        case _:
            encoded = value
    for type_, name in REST_TYPES:
        if isinstance(value, type_):
            return {name: encoded}
    raise TypeError(f"Firestore has no {type(value).__name__}")


def _client(url: str) -> "httpx.Client":
    import httpx

    return httpx.Client(base_url=url, headers=OWNER, timeout=TIMEOUT_S, trust_env=False)
