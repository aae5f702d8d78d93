"""What an app sees of a stream, as each of Firebase's client SDKs parses its bytes.

Written from the newest sources of August 2026: firebase-js-sdk 12.19, firebase-android-sdk
(functions 22.1.1), firebase-ios-sdk 12.19 and flutterfire. The real JavaScript SDK runs in
tests/system; the others have no runtime here, so these say what their sources say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True)
class Failure:
    """The error that an app gets: its code, its message, and its details."""

    code: str
    message: str | None
    details: Any = None


@dataclass
class Seen:
    """What an app sees: messages, then a result or a failure. With neither, the stream ends."""

    messages: list[Any] = field(default_factory=list)
    result: Any = None
    failure: Failure | None = None


def javascript(body: bytes) -> Seen:
    """What is no frame, or no JSON, is ignored. To a sentence, the HTTP status of 0 is added."""
    seen = Seen()
    for line in body.decode().split("\n"):
        # the pattern of the SDK has a dot, which matches none of these
        frame = re.fullmatch("data: ([^\r\u2028\u2029]*)\r?", line)
        value = _json(frame[1]) if frame else None
        match value:
            case {"result": result}:
                seen.result = result
            case {"message": message}:
                seen.messages.append(message)
            case {"error": {"status": str(status), **rest}}:
                code = f"functions/{status.lower().replace('_', '-')}"
                seen.failure = Failure(code, f"{rest.get('message')} [0]", rest.get("details"))
                break
    return seen


def android(body: bytes) -> Seen:
    """Each failure has the code INTERNAL, and the whole error as its details."""
    seen = Seen()
    for event in _android_events(body.decode()):
        match _json(event):
            case {"error": error}:
                seen.failure = Failure("internal", None, error)
                break
            case {"result": result} if result is not None:
                seen.result = result
            case {"message": message} if message is not None:
                seen.messages.append(message)
            case dict():
                pass
            case _:
                seen.failure = Failure("internal", None)
                break
    return seen


def _android_events(text: str) -> Iterator[str]:
    """Lines of `data:` are joined up to an empty line, which ends an event even without any."""
    data = ""
    *lines, rest = re.split("\r\n|\r|\n", text)
    for line in lines + [rest] * bool(rest):
        if line.startswith("data:"):
            data += line.removeprefix("data:").strip()
        elif not line:
            yield data
            data = ""
    if data:
        yield data


def ios(body: bytes) -> Seen:
    """Each line is a frame by itself, and any other line is a failure. INTERNAL has no sentence."""
    seen = Seen()
    for line in filter(None, body.decode().splitlines()):
        match _json(line.removeprefix("data:")) if line.startswith("data:") else None:
            case {"error": {"status": "INTERNAL"}}:
                seen.failure = Failure("internal", "INTERNAL")
                break
            case {"error": {"status": str(status), "message": str(message), **rest}}:
                seen.failure = Failure(status.lower(), message, rest.get("details"))
                break
            case {"result": result}:
                seen.result = result
            case {"message": message}:
                seen.messages.append(message)
            case _:
                seen.failure = Failure("data-loss", None)
                break
    return seen


def flutter_android(body: bytes) -> Seen:
    """A failure of the Android SDK ends the stream without a word."""
    seen = android(body)
    seen.failure = None
    return seen


def flutter_ios(body: bytes) -> Seen:
    """A failure of the iOS SDK arrives as its message alone."""
    seen = ios(body)
    if seen.failure is not None:
        seen.failure = Failure("unknown", seen.failure.message)
    return seen


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


PARSERS: Final[dict[str, Callable[[bytes], Seen]]] = {
    "JavaScript": javascript,
    "Android": android,
    "iOS": ios,
    "Flutter on the web": javascript,
    "Flutter on Android": flutter_android,
    "Flutter on iOS": flutter_ios,
}
