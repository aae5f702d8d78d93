"""What holds for every test in one process against the emulators."""

import pytest

from tests.support.firestore_indexes import refuse_queries_without_index


@pytest.fixture(autouse=True)
def indexes_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a query that has no index, as Firestore does and its emulator does not."""
    refuse_queries_without_index(monkeypatch)
