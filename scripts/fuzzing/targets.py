"""The targets: each reads an input, and may raise only what its readers document."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from hypothesis import strategies as st
from pydantic import BaseModel

from firerouter.callable import CallableError
from firerouter.callable.envelope import encode, parse_envelope
from firerouter.contract import parse
from firerouter.errors import UpstreamError
from firerouter.features.app_settings import read_app_settings
from firerouter.features.feature import Malformed, read_draft, read_prices, read_settings
from firerouter.ledger.entry import StoredEntry
from firerouter.ledger.own_limits import read_own_limits
from firerouter.models.model import dump_models, load_models, read_image_parameters, read_models
from firerouter.openrouter.deadline import Deadline
from firerouter.openrouter.failures import from_event, from_status
from firerouter.openrouter.limits import OpenRouterLimits
from firerouter.openrouter.stream import AnswerStream
from firerouter.reports.sums import Contribution, contribution_of
from scripts.devtools.reference.callable_table import CALLABLES
from scripts.fuzzing import samples
from scripts.fuzzing.mutations import ODD_JSON, ODD_STORED, cut, mutated, spoiled

JSON: Final = "application/json"
TRACE: Final = "0" * 32
ANSWER_S: Final = 5.0
INT64: Final = range(-(2**63), 2**63)
STORED: Final = (
    *(odd for odd in ODD_JSON if not isinstance(odd, int) or odd in INT64),
    *ODD_STORED,
)


class Wrong(AssertionError):
    """A reader accepted an input but returned something unusable."""


@dataclass(frozen=True, slots=True)
class Target:
    """One kind of input.

    Attributes:
        name: Its name on the command line.
        inputs: What is drawn.
        read: Reads an input. Whatever it raises is a finding.
    """

    name: str
    inputs: st.SearchStrategy[Any]
    read: Callable[[Any], None]


# -- callables -------------------------------------------------------------------------------------

_REQUESTS: Final[Mapping[str, tuple[type[BaseModel], ...]]] = {
    one.name: one.requests for one in CALLABLES
}
_SETTINGS: Final = {one.name: one.settings for one in CALLABLES if one.settings is not None}


@st.composite
def _calls(draw: st.DrawFn) -> tuple[str, bytes]:
    name, data = draw(st.sampled_from(samples.requests()))
    envelope = draw(mutated([{"data": data}]))
    return name, draw(spoiled(_encoded(envelope)))


def _read_call(call: tuple[str, bytes]) -> None:
    name, body = call
    try:
        data = parse_envelope("POST", JSON, body)
    except CallableError as error:
        _check_failure(error)
        return
    for shape in _REQUESTS[name]:
        try:
            parse(shape, data)
        except CallableError as error:
            _check_failure(error)
    settings = data.get("settings") if isinstance(data, dict) else None
    if name in _SETTINGS and settings is not None:
        try:
            parse(_SETTINGS[name], settings)
        except CallableError as error:
            _check_failure(error)


def _check_failure(error: CallableError) -> None:
    """Check that a failure can be sent, and is not a bug of ours."""
    encode(error.to_wire(TRACE))
    if error.reason == "internal":
        raise Wrong(f"{type(error).__name__} is INTERNAL")


# -- OpenRouter's streams and failures -------------------------------------------------------------


class _Response:
    """The body of a response, in pieces."""

    upstream_id = None

    def __init__(self, pieces: list[bytes], *, is_event_stream: bool) -> None:
        self._pieces = iter(pieces)
        self._is_event_stream = is_event_stream

    async def is_event_stream(self) -> bool:
        return self._is_event_stream

    async def drain(self, within_s: float) -> None:
        pass

    async def next_chunk(self) -> bytes | None:
        return next(self._pieces, None)

    async def read(self, max_bytes: int, too_long: type[UpstreamError]) -> bytearray:
        body = bytearray(b"".join(self._pieces))
        if len(body) > max_bytes:
            raise too_long
        return body

    async def close(self) -> None:
        pass


@st.composite
def _bodies(draw: st.DrawFn) -> tuple[list[bytes], bool]:
    events = draw(mutated(samples.streams()))
    if draw(st.integers(0, 7)) == 0:
        return draw(cut(draw(spoiled(_encoded(events))))), False
    lines = [_event(event) for event in (events if isinstance(events, list) else [events])]
    return draw(cut(draw(spoiled(b"".join(lines))))), True


def _event(event: object) -> bytes:
    text = event.encode("utf-8", "surrogatepass") if isinstance(event, str) else _encoded(event)
    return b"data: " + text + b"\n\n"


def _read_body(body: tuple[list[bytes], bool]) -> None:
    asyncio.run(_read_answer(*body))


async def _read_answer(pieces: list[bytes], is_event_stream: bool) -> None:
    response: Any = _Response(pieces, is_event_stream=is_event_stream)
    stream = AnswerStream(response, "a/b", Deadline(ANSWER_S), limits=OpenRouterLimits())
    try:
        await stream.prime()
        async for deltas in stream:
            for delta in deltas:
                if isinstance(delta.value, dict):
                    encode(delta.value)
    except UpstreamError as error:
        _check_failure(error)
    usage = stream.answer.usage
    if usage is not None:
        encode(usage.to_wire())


def _read_failure(failure: object) -> None:
    fields = failure if isinstance(failure, dict) else {}
    status, headers, error = (fields.get(name) for name in ("status", "headers", "error"))
    texts = (
        {str(name): str(value) for name, value in headers.items()}
        if isinstance(headers, dict)
        else {}
    )
    code = status if isinstance(status, int) and 400 <= status < 600 else 500
    for one in (from_status(code, error, texts), from_event(error)):
        _check_failure(one)


# -- documents -------------------------------------------------------------------------------------


def _read_feature(value: object) -> None:
    for reader in (read_settings, read_draft):
        try:
            reader(value)
        except Malformed as error:
            encode(list(error.problems))
    read_prices(value)


def _read_app(document: object) -> None:
    if isinstance(document, dict):
        encode(read_app_settings(document).settings.to_json())


def _read_limits(document: object) -> None:
    if isinstance(document, dict):
        read_own_limits(document)


def _read_catalog(entry: object) -> None:
    models, _ = read_models([entry, entry])
    for model in models:
        encode(model.to_wire())
    if load_models(dump_models(models)) != models:
        raise Wrong("stored and read again, a model is another one")
    read_image_parameters({"data": [entry]})


def _read_entry(document: object) -> None:
    if not isinstance(document, dict):
        return
    entry = StoredEntry.from_document("id", document)
    now = datetime.now(UTC)
    entry.is_alive(now, None)
    entry.is_claimable(now)
    _ = (entry.reservation, entry.windows.month, entry.admission, entry.is_running)
    counted = contribution_of(document)
    if counted is not None and Contribution.from_document(counted.to_document()) != counted:
        raise Wrong("stored and read again, what an entry adds is something else")


def _encoded(value: object) -> bytes:
    """Encode as a careless sender would, with NaN and half characters."""
    return json.dumps(value).encode("ascii")


TARGETS: Final = (
    Target("callables", _calls(), _read_call),
    Target("streams", _bodies(), _read_body),
    Target("failures", mutated(samples.FAILURES), _read_failure),
    Target(
        "features",
        mutated([samples.requests()[-1][1]["settings"], samples.DRAFT, samples.PRICES], STORED),
        _read_feature,
    ),
    Target("app", mutated([samples.APP_SETTINGS], STORED), _read_app),
    Target("limits", mutated([samples.OWN_LIMITS], STORED), _read_limits),
    Target("catalog", mutated(samples.models()), _read_catalog),
    Target("ledger", mutated([samples.ENTRY], STORED), _read_entry),
)
