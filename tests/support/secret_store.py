"""The stand-in for Secret Manager, as a test looks at the keys of its project."""

from typing import Any

import grpc
import httpx
from google.cloud import secretmanager_v1 as sm
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceGrpcAsyncIOTransport,
)

from firerouter.keys.vault import SECRET_ID
from scripts.devtools.suite import Suite


class SecretStore:
    """One project's secret with its versions, and the faults of the service."""

    def __init__(self, suite: Suite, project: str) -> None:
        self._control = suite.secret_manager_control
        self._secret = f"projects/{project}/secrets/{SECRET_ID}"
        channel = grpc.aio.insecure_channel(suite.secret_manager_host)
        self.client = sm.SecretManagerServiceAsyncClient(
            transport=SecretManagerServiceGrpcAsyncIOTransport(channel=channel)
        )

    def version(self, number: int) -> str:
        """Return the name that Secret Manager gives a version."""
        return f"{self._secret}/versions/{number}"

    async def versions(self) -> list[str]:
        """Return the state of each version, from the first."""
        pages = await self.client.list_secret_versions(parent=self._secret)
        return [version.state.name async for version in pages][::-1]

    async def fail(
        self, method: str, code: str = "UNAVAILABLE", count: int = 1, *, applied: bool = False
    ) -> None:
        """Have the next calls of a method fail; with `applied`, only after they took effect."""
        order: dict[str, Any] = {"method": method, "code": code, "count": count, "applied": applied}
        async with httpx.AsyncClient(trust_env=False) as http:
            (await http.post(f"{self._control}/sim/fail", json=order)).raise_for_status()
