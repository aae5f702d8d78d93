"""The ASGI response of a callable: reads the request, runs the handler, listens to both sides."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic

from .call import Beats, Call, CallerT, encode_frame, pack
from .envelope import (
    HTTP_STATUS,
    BodyTooLarge,
    BodyTooSlow,
    CallableError,
    Overloaded,
    encode,
    encoding_of,
    parse_envelope,
    trace_id_of,
)
from .limits import BodyLimits, WireLimits

PREFLIGHT_MAX_AGE_S: Final = 7200  # the most that Chrome honors
DRAIN_MAX_BODIES: Final = 8  # times `body_max_bytes` of a refused body are read and discarded

Scope = MutableMapping[str, Any]  # these three as ASGI types them
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Mapping[str, str]
HeaderList = list[tuple[bytes, bytes]]
Handler = Callable[[Call[CallerT]], Awaitable[object]]
Admit = Callable[[CallerT, Headers], Awaitable[None]]
Compute = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Reply:
    """How a call ends: the HTTP status if it is not streamed, and the JSON.

    `notice` is the frame of a message that precedes the JSON of a failure in a stream.
    """

    status: int
    body: bytes
    notice: bytes | None = None


@dataclass(slots=True)
class Wire(Generic[CallerT]):
    """What the callables of an instance share. One per instance and audience.

    Args:
        authenticate: Returns the caller, given headers by their names in lower case. Raises
            CallableError.
        report: Called with every exception that is not a CallableError, and the trace ID.
        compute: Runs a function off the event loop.
        limits: The limits of requests and streams.
        emulated: Whether to answer the emulator's `GET /__/health` without running the function.
        for_admins: Whether failures say what an admin can do.
    """

    authenticate: Callable[[Headers], Awaitable[CallerT]]
    report: Callable[[BaseException, str], None]
    compute: Compute = asyncio.to_thread
    limits: WireLimits = field(default_factory=WireLimits)
    emulated: bool = False
    for_admins: bool = False
    tasks: set[asyncio.Task[Reply]] = field(default_factory=set)  # asyncio's references are weak
    bodies_bytes: int = 0  # of all requests whose data are not processed yet

    def answer(
        self,
        handler: Handler[CallerT],
        *,
        admit: Admit[CallerT] | None = None,
        body: BodyLimits | None = None,
    ) -> CallableResponse[CallerT]:
        """Return the ASGI response of one request.

        Args:
            handler: Answers the call.
            admit: Is asked whether this caller may call, before the body is read. Raises
                CallableError.
            body: How large the body may be.
        """
        return CallableResponse(self, handler, admit, body)


class CallableResponse(Generic[CallerT]):
    """An ASGI response that reads the request, runs the handler and listens to both sides."""

    def __init__(
        self,
        wire: Wire[CallerT],
        handler: Handler[CallerT],
        admit: Admit[CallerT] | None,
        body: BodyLimits | None,
    ) -> None:
        self._wire = wire
        self._handler = handler
        self._admit = admit
        self._limits = body or BodyLimits(wire.limits.body_max_bytes)
        self._body_bytes = 0
        self._padded = False  # a beat has opened the frame that comes next

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        if self._wire.emulated and scope["path"].endswith("/__/health"):
            return await _respond(send, 200, [], b"OK")
        if scope["method"] == "OPTIONS":
            return await _respond(send, 204, _preflight(headers), b"")
        streaming = headers.get("accept") == "text/event-stream"  # exactly, as Node compares it
        trace_id = trace_id_of(headers)
        method, content_type = scope["method"], headers.get("content-type", "")
        try:
            encoding_of(method, content_type)
            # before the body is read: an unauthenticated caller's never is. Node does it after
            caller = await self._authenticate(headers, trace_id)
            body = await self._read(receive)
            data = await self._parse(method, content_type, body)
        except CallableError as refusal:
            reply = self._fail(refusal, trace_id)
            return await self._finish(send, headers, reply, streaming=streaming)
        except ClientLeft:
            return None
        else:
            size = len(body)
            del body  # only the parsed data stays in memory while the call runs
            call = Call(
                data,
                headers,
                caller,
                streaming=streaming,
                trace_id=trace_id,
                body_bytes=size,
                limits=self._wire.limits,
                on_release=lambda: self._hold(0),
            )
            del data
            return await self._run(call, receive, send)
        finally:
            self._hold(0)

    async def _authenticate(self, headers: Headers, trace_id: str) -> CallerT:
        try:
            caller = await self._wire.authenticate(headers)
            if self._admit is not None:
                await self._admit(caller, headers)
            return caller
        except CallableError:
            raise
        except Exception as error:
            self._wire.report(error, trace_id)
            raise CallableError from None

    async def _run(self, call: Call[CallerT], receive: Receive, send: Send) -> None:
        task = asyncio.create_task(self._work(call))
        self._wire.tasks.add(task)
        task.add_done_callback(self._wire.tasks.discard)
        task.add_done_callback(lambda _: call.wake.set())
        watch = asyncio.create_task(_watch(receive, call))
        try:
            if call.streaming:
                await self._relay(call, task, send)
            else:
                while not (task.done() or call.left):
                    await call.wake.wait()
                    call.wake.clear()
            if not call.left:
                reply = task.result()
                await self._finish(send, call.headers, reply, streaming=call.streaming, begun=True)
        finally:
            watch.cancel()
            if not task.done():
                call.leave()  # `send` failed: the client is gone, and no event says so
            # Cloud Run may stop the CPU when the response ends, and the server waits for open
            # responses when it shuts down: stay until the work has cleaned up after itself.
            await asyncio.wait({task})

    async def _work(self, call: Call[CallerT]) -> Reply:
        try:
            return Reply(200, encode({"result": await self._handler(call)}))
        except CallableError as error:
            return self._fail(error, call.trace_id)
        except (Exception, asyncio.CancelledError) as error:
            # A result that is not JSON ends up here too. Nothing cancels this task: a cancellation
            # is that of something the handler awaited, and the client still waits for a response.
            self._wire.report(error, call.trace_id)
            return self._fail(CallableError(), call.trace_id)

    def _fail(self, error: CallableError, trace_id: str) -> Reply:
        try:
            wire = error.to_wire(trace_id, for_admin=self._wire.for_admins)
            notice = encode_frame({"type": "error", "error": wire})
            return Reply(HTTP_STATUS[error.status], encode({"error": wire}), notice)
        except Exception as problem:  # details that are not JSON
            self._wire.report(problem, trace_id)
            return self._fail(CallableError(), trace_id)

    async def _relay(self, call: Call[CallerT], task: asyncio.Task[Reply], send: Send) -> None:
        """Pass frames on until the work is done or the client has left."""
        await _start(send, 200, _stream_headers(call.headers))
        beats = Beats(call, self._wire.limits.heartbeat_s)
        padded = False
        try:
            while not call.left:
                if frames := call.take():
                    padded, chunk = pack(frames, padded)
                    beats.restart()
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                elif task.done():
                    break
                else:
                    await call.wake.wait()
        finally:
            beats.stop()
            self._padded = padded

    async def _finish(
        self, send: Send, headers: Headers, reply: Reply, *, streaming: bool, begun: bool = False
    ) -> None:
        if not streaming:
            return await _respond(send, reply.status, _json_headers(headers), reply.body)
        if not begun:
            await _start(send, 200, _stream_headers(headers))
        frames = [reply.body] if reply.notice is None else [reply.notice, reply.body]
        _, chunk = pack([*frames], self._padded)
        return await send({"type": "http.response.body", "body": chunk})

    async def _parse(self, method: str, content_type: str, body: bytearray) -> Any:
        if len(body) <= self._wire.limits.parsed_at_once_bytes:
            return parse_envelope(method, content_type, body, self._limits)
        return await self._wire.compute(parse_envelope, method, content_type, body, self._limits)

    async def _read(self, receive: Receive) -> bytearray:
        """Read the body, as long as it comes fast enough. Raises as `_read_all`, and BodyTooSlow.

        A body that is refused has to come as fast: it is read to its end, and discarded.
        """
        begun = asyncio.get_running_loop().time() + self._wire.limits.body_grace_s
        try:
            async with asyncio.timeout_at(begun) as patience:

                def on_bytes(size: int) -> None:
                    patience.reschedule(begun + size / self._wire.limits.body_min_bytes_per_s)

                return await self._read_all(receive, on_bytes)
        except TimeoutError:
            raise BodyTooSlow from None

    async def _read_all(self, receive: Receive, on_bytes: Callable[[int], None]) -> bytearray:
        """Read the body.

        Raises:
            BodyTooLarge: It is longer than allowed. Its memory has been released.
            Overloaded: Too many bodies are being read. Its memory has been released.
            ClientLeft: The client hung up.
        """
        wire = self._wire
        limits = self._limits
        most = min(wire.limits.body_max_bytes, limits.text_max_bytes + limits.files_max_bytes)
        body = bytearray()
        size = 0
        refused: CallableError | None = None
        more = True
        while more and size <= DRAIN_MAX_BODIES * most:
            event = await receive()
            if event["type"] == "http.disconnect":
                raise ClientLeft
            chunk: bytes = event.get("body", b"")
            more = event.get("more_body", False)
            size += len(chunk)
            if more:
                on_bytes(size)
            if refused is not None:
                continue  # most clients read the response only after sending: let them send
            body += chunk
            self._hold(len(body))
            if size > most:
                sentence = f"The request is larger than {most / 1_000_000:g} MB."
                refused = BodyTooLarge(sentence, limitBytes=most)
            elif wire.bodies_bytes > wire.limits.bodies_max_bytes:
                refused = Overloaded(retry_after_seconds=1)
            if refused is not None:
                body.clear()
                self._hold(0)
        if refused is not None:
            raise refused
        return body

    def _hold(self, size: int) -> None:
        """Account for the memory of this body among all those in flight."""
        self._wire.bodies_bytes += size - self._body_bytes
        self._body_bytes = size


class ClientLeft(Exception):
    """The client hung up while it was still sending."""


async def _watch(receive: Receive, call: Call[CallerT]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    call.leave()


def _cors(headers: Headers) -> HeaderList:
    origin = headers.get("origin", "*").encode("latin-1")
    return [(b"access-control-allow-origin", origin), (b"vary", b"Origin")]


def _preflight(headers: Headers) -> HeaderList:
    asked = headers.get("access-control-request-headers", "").encode("latin-1")
    return [
        (b"access-control-allow-origin", headers.get("origin", "*").encode("latin-1")),
        (b"access-control-allow-methods", b"POST"),
        (b"access-control-allow-headers", asked),
        (b"access-control-max-age", str(PREFLIGHT_MAX_AGE_S).encode()),
        (b"vary", b"Origin, Access-Control-Request-Headers"),
    ]


def _json_headers(headers: Headers) -> HeaderList:
    return [
        (b"content-type", b"application/json; charset=utf-8"),
        (b"cache-control", b"no-store"),
        *_cors(headers),
    ]


def _stream_headers(headers: Headers) -> HeaderList:
    return [
        (b"content-type", b"text/event-stream"),
        (b"cache-control", b"no-store, no-transform"),
        (b"x-accel-buffering", b"no"),
        *_cors(headers),
    ]


async def _start(send: Send, status: int, headers: HeaderList) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _respond(send: Send, status: int, headers: HeaderList, body: bytes) -> None:
    length = (b"content-length", str(len(body)).encode())
    await _start(send, status, headers if status == 204 else [*headers, length])
    await send({"type": "http.response.body", "body": body})
