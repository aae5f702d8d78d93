"""Ledger entries as the ledger leaves them behind, without the calls that they are of."""

import random
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from google.cloud.firestore import DELETE_FIELD, SERVER_TIMESTAMP

from tests.support.in_process import World

NOON: Final = datetime(2026, 7, 14, 12, tzinfo=UTC)
MODELS: Final = ("sim/paid", "z-ai/glm-4.5-air:free", "odd/model.with`signs`")
WRITES_MAX: Final = 400  # of one commit


def ended(dice: random.Random, **fields: Any) -> dict[str, Any]:
    """Return an entry that ended on one of three days, random but for these fields.

    A field that is DELETE_FIELD is left out.
    """
    status = dice.choice(["done", "done", "stopped", "failed", "interrupted"])
    entry = {
        "uid": dice.choice(["ann", "bob", "cy/d.e", "__f__"]),
        "feature": dice.choice(["chat", "title"]),
        "revision": dice.randrange(1, 3),
        "model": dice.choice(MODELS),
        **({"tier": "pro"} if dice.random() < 0.3 else {}),
        "status": status,
        "error": "upstream_timeout" if status == "failed" else None,
        "createdAt": NOON + timedelta(days=dice.randrange(3)),
        "endedAt": NOON + timedelta(days=3),
        "usage": {"promptTokens": dice.randrange(500), "completionTokens": dice.randrange(500)},
        "timing": {"firstTokenMs": dice.randrange(9_000), "totalMs": dice.randrange(60_000)},
        "attempts": [{"keyVersion": dice.randrange(1, 3), "costNanoUsd": dice.randrange(10**9)}],
        "costNanoUsd": dice.randrange(10**9),
        "costIsEstimate": dice.random() < 0.2,
        "rollDueAt": SERVER_TIMESTAMP,
        **fields,
    }
    return {name: value for name, value in entry.items() if value is not DELETE_FIELD}


async def write_entries(world: World, entries: Sequence[dict[str, Any]]) -> list[str]:
    ids = [secrets.token_hex(16) for _ in entries]
    for at in range(0, len(entries), WRITES_MAX):
        batch = world.firestore.batch()
        for id_, entry in zip(ids[at : at + WRITES_MAX], entries[at:], strict=False):
            batch.set(world.firestore.document(f"generations/{id_}"), entry)
        await batch.commit()
    return ids


async def write_ended(world: World, count: int, **fields: Any) -> list[str]:
    dice = random.Random(world.project)
    return await write_entries(world, [ended(dice, **fields) for _ in range(count)])
