"""`execute_prompt` through the emulator suite, as an app calls it."""

from scripts.local.client import CallableClient
from scripts.local.suite import Suite


async def test_streams_an_answer_and_returns_it_whole(client: CallableClient) -> None:
    frames = [
        frame
        async for frame in client.stream("execute_prompt", {"feature": "chat", "prompt": "Hello"})
    ]
    kinds = [value["type"] for kind, value in frames if kind == "message"]
    assert kinds[0] == "start"
    result = frames[-1][1]
    text = "".join(v["delta"] for k, v in frames if k == "message" and v["type"] == "text")
    assert text == result["text"]
    assert result["finishReason"] == "stop"
