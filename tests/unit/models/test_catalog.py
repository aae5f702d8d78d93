"""`catalog/head`, read from whatever the document holds."""

from datetime import UTC, datetime
from typing import Any

import pytest

from firerouter.models.catalog import FORMAT, Head, Shard, read_head

NOW = datetime(2026, 11, 22, tzinfo=UTC)
GOOD: dict[str, Any] = {
    "format": FORMAT,
    "generation": 7,
    "count": 1,
    "fetchedAt": NOW,
    "shards": [{"id": "7-ab-0", "sha256": "0" * 64}],
}


def test_a_head_names_its_shards() -> None:
    assert read_head(GOOD, NOW) == Head(NOW, 7, NOW, (Shard("7-ab-0", "0" * 64),))


@pytest.mark.parametrize(
    "change",
    [
        {"format": FORMAT - 1},
        {"format": None},
        {"generation": "7"},
        {"fetchedAt": "2026-11-22"},
        {"shards": None},
        {"shards": {}},
        {"shards": [{"id": "7-ab-0"}]},
        {"shards": [{"id": "", "sha256": ""}]},
        {"shards": [{"id": "a/b", "sha256": ""}]},
        {"shards": [*GOOD["shards"], None]},
    ],
)
def test_a_malformed_head_names_no_list(change: dict[str, Any]) -> None:
    assert read_head({**GOOD, **change}, NOW) == Head(NOW)
