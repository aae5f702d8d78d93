"""What the tests against the emulators share."""

import pytest
from google.cloud.firestore import AsyncClient

from scripts.local.suite import Suite


@pytest.fixture
async def firestore(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> AsyncClient:
    """The suite's Firestore, past the rules, as the functions see it."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", suite.firestore_host)
    return AsyncClient(project=suite.project)
