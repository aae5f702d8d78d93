"""A client of callable functions: as much of the Firebase SDKs as scripts and tests need.

    async with CallableClient(suite.functions_url, id_token, app_check_token) as client:
        result = await client.call("list_features", {})
        async for kind, value in client.stream("execute_prompt", {"feature": "chat", ...}):
            ...  # ("message", {"type": "text", "delta": "Hel"}), ..., ("result", {...})

It is stricter than the SDKs: a frame that any of them would drop is an error here.
"""

import base64
import json
import time
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Literal, Self

import httpx

CONNECT_S = 10
SILENCE_MAX_S = 330  # a function's own deadline is 300 s
FRAME_END = b"\n\n"
FRAME_START = b"data: "

Frame = tuple[Literal["message", "result"], Any]


class CallableFailure(Exception):
    """The callable's error: a `status` like "NOT_FOUND", one sentence, and details."""

    def __init__(self, status: str, message: str, details: Any = None) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message
        self.details = details


async def sign_in(auth_host: str, email: str, password: str) -> str:
    """Get an ID token from the Auth emulator."""
    url = f"http://{auth_host}/identitytoolkit.googleapis.com/v1/accounts:signInWithPassword"
    account = {"email": email, "password": password, "returnSecureToken": True}
    async with _http() as http:
        response = await http.post(url, params={"key": "local"}, json=account)
    response.raise_for_status()
    return str(response.json()["idToken"])


async def app_check_token(host: str) -> str:
    """Get a token from the App Check stand-in."""
    async with _http() as http:
        response = await http.post(f"http://{host}/token", json={})
    response.raise_for_status()
    return str(response.json()["token"])


def id_token(project: str, uid: str, *, expires_in_s: float = 3600, **claims: Any) -> str:
    """Make the token that the Auth emulator would issue to `uid`, unsigned, overlaid with `claims`.

    This serves as many users as wanted, without an account for each.
    """
    now = int(time.time())
    payload = {
        "iss": f"https://securetoken.google.com/{project}",
        "aud": project,
        "sub": uid,
        "user_id": uid,
        "auth_time": now,
        "iat": now,
        "exp": int(now + expires_in_s),
        "firebase": {"identities": {}, "sign_in_provider": "password"},
        **claims,
    }
    return f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(payload)}."


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


class CallableClient:
    """Calls the functions under one URL, as one user. A token of None is not sent.

    A given HTTP client is shared with others: who has made it closes it.
    """

    def __init__(
        self,
        url_prefix: str,
        id_token: str | None = None,
        app_check_token: str | None = None,
        *,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._url = url_prefix.rstrip("/")
        self._headers = {}
        if id_token is not None:
            self._headers["Authorization"] = f"Bearer {id_token}"
        if app_check_token is not None:
            self._headers["X-Firebase-AppCheck"] = app_check_token
        self._is_shared = http is not None
        self._http = http or _http()

    async def call(self, name: str, data: Any) -> Any:
        """Return the result of a callable. Raises CallableFailure."""
        response = await self._http.post(
            f"{self._url}/{name}", json={"data": data}, headers=self._headers
        )
        kind, value = read_answer(response.content, response.status_code)
        if kind != "result":
            raise CallableFailure("INTERNAL", f"The response has no result: {value!r}")
        return value

    async def stream(self, name: str, data: Any) -> AsyncIterator[Frame]:
        """Yield each message as it arrives, then the result. Raises CallableFailure.

        Closing the iterator, or cancelling its task, closes the connection, which the function
        notices.
        """
        headers = {**self._headers, "Accept": "text/event-stream"}
        url = f"{self._url}/{name}"
        async with self._http.stream("POST", url, json={"data": data}, headers=headers) as response:
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                # the emulator itself, or a proxy; a callable answers every stream with frames
                read_answer(await response.aread(), response.status_code)
                raise CallableFailure(
                    "INTERNAL", "The response to a streaming call is not a stream."
                )
            pending = b""
            async for chunk in response.aiter_bytes():
                *frames, pending = (pending + chunk).split(FRAME_END)
                for frame in frames:
                    kind, value = read_frame(frame)
                    yield kind, value
                    if kind == "result":
                        return
        raise CallableFailure("INTERNAL", "The stream ended without a result.")

    async def aclose(self) -> None:
        if not self._is_shared:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


def read_frame(frame: bytes) -> Frame:
    """Read one event: a line of `data: ` and JSON, with the spaces of keep-alives before it."""
    if not frame.startswith(FRAME_START) or b"\n" in frame or not frame.isascii():
        raise CallableFailure("INTERNAL", f"This is not a frame of a callable: {frame[:200]!r}")
    return _read_object(frame.removeprefix(FRAME_START))


def read_answer(body: bytes, status: int) -> Frame:
    """Read a whole response. As in the SDKs, an error in the body overrides the HTTP status."""
    try:
        return _read_object(body)
    except ValueError:
        text = body.decode("utf-8", "replace").strip()
        raise CallableFailure("INTERNAL", f"HTTP {status}: {text[:200]}") from None


def _read_object(text: bytes) -> Frame:
    value = json.loads(text)
    match value:
        case {"error": {"status": str(status), **rest}}:
            raise CallableFailure(status, str(rest.get("message", "")), rest.get("details"))
        case {"message": message}:
            return "message", message
        case {"result": result}:
            return "result", result
    raise CallableFailure("INTERNAL", f"This is neither message, result nor error: {value!r}")


def _http() -> httpx.AsyncClient:
    # trust_env: no proxy for what runs on this machine
    timeout = httpx.Timeout(SILENCE_MAX_S, connect=CONNECT_S)
    return httpx.AsyncClient(timeout=timeout, trust_env=False)
