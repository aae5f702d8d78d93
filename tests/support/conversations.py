"""Conversations as tests go on with them, and as they are stored."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from firerouter.conversations.conversation_export import chosen_path
from firerouter.conversations.tree import Thread
from firerouter.conversations.writer import ThreadWriter
from tests.support.in_process import Instance, World

FEATURE: Final = {"model": "sim/fast", "systemPrompt": "Be brief.", "maxTokens": 64}


async def talk(instance: Instance, prompt: str, uid: str = "user", **more: Any) -> dict[str, Any]:
    result: dict[str, Any] = await instance.ask("talk", uid, prompt=prompt, **more)
    return result


async def sent(world: World, marker: str) -> list[list[tuple[str, str]]]:
    """What OpenRouter was told in each request that ends with the marker: (role, content)."""
    requests = await world.upstream()
    told = [[(m["role"], m["content"]) for m in r["body"].get("messages", [])] for r in requests]
    # what other tests sent may hold files
    return [messages for messages in told if messages and str(messages[-1][1]).endswith(marker)]


async def messages(world: World, id_: str, uid: str = "user") -> dict[str, dict[str, Any]]:
    return await world.all(f"users/{uid}/conversations/{id_}/messages")


async def chosen(world: World, id_: str, uid: str = "user") -> list[str]:
    """The texts of the chosen path."""
    head = await world.document(f"users/{uid}/conversations/{id_}")
    all_ = await messages(world, id_, uid)
    return [str(all_[message]["text"]) for message in chosen_path(head, all_)]


def said(prompt: str) -> str:
    return f"This is a simulated answer from sim/fast. You asked: {prompt}"


async def never(*_: Any, **__: Any) -> Any:
    """Take longer than any test: stands for what a killed instance no longer does."""
    await asyncio.sleep(3600)


def writing_never(instance: Instance, *methods: str) -> None:
    """Let the instance's conversations never be done with these methods of their writers."""
    original = instance.app.conversations.store.writer

    def writer(thread: Thread, written: Mapping[str, object] | None = None) -> ThreadWriter:
        made = original(thread, written)
        for method in methods:
            setattr(made, method, never)
        return made

    instance.app.conversations.store.writer = writer  # type: ignore[method-assign]


async def ask_about(instance: Instance, uid: str, *files: Any, **more: Any) -> dict[str, Any]:
    """Ask the feature `talk` about these attachments."""
    data = {"prompt": "What is it?", "attachments": list(files), **more}
    result: dict[str, Any] = await instance.ask("talk", uid, **data)
    return result
