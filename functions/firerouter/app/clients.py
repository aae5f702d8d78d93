"""The clients of Google's services, at their own addresses or at those of the emulator suite."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ..users import IdentityLimits
from .environment import Environment

if TYPE_CHECKING:
    import firebase_admin
    from google.cloud.firestore import AsyncClient
    from google.cloud.secretmanager_v1 import SecretManagerServiceAsyncClient
    from google.cloud.storage import Client as StorageClient


def firebase_app(environment: Environment) -> firebase_admin.App:
    """Return the Admin SDK's app of this process, created at the first call."""
    import firebase_admin

    try:
        return firebase_admin.get_app()
    except ValueError:
        options = {"projectId": environment.project, "httpTimeout": IdentityLimits().keys_fetch_s}
        return firebase_admin.initialize_app(options=options)


def credentials(environment: Environment) -> Any:
    """Return Google's credentials of the functions; none are needed to ask a stand-in."""
    if environment.app_check_host is None:
        return firebase_app(environment).credential.get_credential()
    from google.auth.credentials import AnonymousCredentials

    return AnonymousCredentials()  # type: ignore[no-untyped-call]  # the library has no types


def firestore(environment: Environment) -> AsyncClient:
    """Return a client of Firestore, which reads FIRESTORE_EMULATOR_HOST itself.

    Its channel belongs to the event loop that runs now.
    """
    from google.cloud.firestore import AsyncClient

    from ..firestore import remove_interceptors

    client = AsyncClient(project=environment.project)
    remove_interceptors(client)
    return client


def secret_manager(environment: Environment) -> SecretManagerServiceAsyncClient:
    """Return a client of Secret Manager."""
    from google.cloud.secretmanager_v1 import SecretManagerServiceAsyncClient

    if environment.secret_manager_host is None:
        return SecretManagerServiceAsyncClient()
    import grpc
    from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
        SecretManagerServiceGrpcAsyncIOTransport,
    )

    channel = grpc.aio.insecure_channel(environment.secret_manager_host)
    transport = SecretManagerServiceGrpcAsyncIOTransport(channel=channel)
    return SecretManagerServiceAsyncClient(transport=transport)


def storage(environment: Environment) -> StorageClient:
    """Return a client of Cloud Storage, which blocks when it is created and in every call."""
    from google.cloud.storage import Client

    # otherwise it fetches the bucket's metadata in threads of its own, for traces nobody collects
    os.environ["DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA"] = "true"
    host = environment.storage_host
    return Client(
        project=environment.project,
        client_options={"api_endpoint": host} if host else None,
        use_auth_w_custom_endpoint=False,
    )
