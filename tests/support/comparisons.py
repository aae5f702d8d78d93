"""Comparisons of models, as tests ask for them."""

from typing import Any, Final

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


async def windows(world: World) -> dict[str, Any]:
    found = await world.all("quotas/user/windows")
    return {name.split("-")[0]: window for name, window in found.items()}
