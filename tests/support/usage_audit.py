"""The sums of a ledger, added up from its entries alone, and what roll-ups say in their place."""

from collections import Counter
from typing import Any, Final

from tests.support.in_process import World

Sums = Counter[str]
NUMBERS: Final = ("promptTokens", "completionTokens")


async def ledger_sums(world: World) -> dict[tuple[Any, ...], Sums]:
    """Return what ended entries come to, by day, user, feature, model, revision and tier."""
    sums: dict[tuple[Any, ...], Sums] = {}
    for entry in (await world.all("generations")).values():
        if entry["status"] == "running":
            continue
        grain = ("uid", "feature", "model", "revision", "tier")
        key = (f"{entry['createdAt']:%Y%m%d}", *(entry.get(name) for name in grain))
        found = sums.setdefault(key, Counter())
        usage = entry.get("usage") or {}
        found.update({name: usage.get(name, 0) for name in NUMBERS})
        found.update({"requests": 1, "nanoUsd": entry["costNanoUsd"], entry["status"]: 1})
    return {key: +found for key, found in sums.items()}


async def rolled_up(world: World) -> dict[tuple[Any, ...], Sums]:
    """Return the same of the roll-ups, once all their levels agree with each other."""
    sums: dict[tuple[Any, ...], Sums] = {}
    for day, document in (await world.all("usage")).items():
        if day == "cursor":
            continue
        of_day: Sums = Counter()
        of_cells: dict[tuple[Any, ...], Sums] = {}
        for user in (await world.all(f"usage/{day}/users")).values():
            of_user: Sums = Counter()
            for cell in user["cells"].values():
                key = tuple(cell[name] for name in ("feature", "model", "revision", "tier"))
                found = _sums(cell)
                sums[day, user["uid"], *key] = found
                of_cells.setdefault(key, Counter()).update(found)
                of_user.update(found)
            assert user.get("nanoUsd", 0) == of_user["nanoUsd"]
            assert user.get("requests", 0) == of_user["requests"]
            of_day.update(of_user)
        assert _sums(document) == of_day
        cells = {
            tuple(cell[name] for name in ("feature", "model", "revision", "tier")): _sums(cell)
            for cell in (await world.all(f"usage/{day}/cells")).values()
        }
        assert cells == of_cells
    return {key: found for key, found in sums.items() if found}


def _sums(document: dict[str, Any]) -> Sums:
    sums = document["sums"]
    found = Counter({name: sums.get(name, 0) for name in ("requests", "nanoUsd", *NUMBERS)})
    found.update(sums.get("status", {}))
    return +found
