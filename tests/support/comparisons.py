"""Comparisons of models, as tests ask for them."""

from typing import Any, Final

from tests.support import counters
from tests.support.in_process import Instance, World

OTHERS: Final = [
    "sim/ticks",
    "sim/slow",
    "sim/cut-mid-stream",
    "sim/one-packet",
    "sim/crlf",
    "sim/paid",
]
FEATURE: Final = {"model": "sim/fast", "allowedModels": OTHERS, "fallbackModels": ["sim/no-done"]}


def data(world: World, *models: str, **more: Any) -> dict[str, Any]:
    return {"feature": "compared", "prompt": world.project, "models": [*models], **more}


async def compared(instance: Instance, asked: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = await instance.call("execute_multi_model_prompt", asked, "user")
    return result


async def windows(world: World) -> dict[str, dict[str, int]]:
    """Return what is counted of the one user, by what is counted."""
    found = await world.all("quotas/user/windows")
    return {
        "requests": {"count": counters.requests(found)},
        "concurrent": {"count": counters.running(found)},
        "usd": {"nanoUsd": counters.spent(found)},
    }
