"""Tools that an app declares, and a feature that is asked with them."""

from typing import Any, Final

from tests.support.in_process import Instance, World

CITY: Final = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
WEATHER: Final = {"name": "get_weather", "description": "The weather.", "parameters": CITY}
CLOCK: Final = {"name": "get_time"}


async def tools_feature(world: World, model: str = "sim/fast", **settings: Any) -> Instance:
    """An instance, and the feature `tools`."""
    instance = world.instance()
    await instance.save("tools", {"model": model, "titles": "beginning", **settings})
    return instance
