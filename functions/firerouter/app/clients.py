"""The clients of Google's services, at their own addresses or at those of the emulator suite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..users import IdentityLimits


def firebase_app(project: str) -> Any:
    """The one of this process."""
    import firebase_admin

    try:
        return firebase_admin.get_app()
    except ValueError:
        options = {"projectId": project, "httpTimeout": IdentityLimits().keys_fetch_s}
        return firebase_admin.initialize_app(options=options)


def secret_manager(environ: Mapping[str, str]) -> Any:
    from google.cloud.secretmanager_v1 import SecretManagerServiceAsyncClient

    host = environ.get("SECRET_MANAGER_EMULATOR_HOST")
    if not host:
        return SecretManagerServiceAsyncClient()
    import grpc
    from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
        SecretManagerServiceGrpcAsyncIOTransport,
    )

    channel = grpc.aio.insecure_channel(host)
    transport = SecretManagerServiceGrpcAsyncIOTransport(channel=channel)
    return SecretManagerServiceAsyncClient(transport=transport)


def storage(project: str, environ: Mapping[str, str]) -> Any:
    """Blocks, while it is made and whenever it is used."""
    from google.cloud.storage import Client

    host = environ.get("STORAGE_EMULATOR_HOST")
    options = {"api_endpoint": host} if host else None
    client = Client(project=project, client_options=options, use_auth_w_custom_endpoint=False)
    # it would look the bucket itself up, in threads of its own, for traces that nobody collects
    client._bucket_metadata_cache = None
    return client
