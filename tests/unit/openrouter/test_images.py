"""Images of an answer: which are taken, and how they are asked for."""

import base64
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter.contract.base import parse
from firerouter.contract.images import ImageOptions
from firerouter.contract.messages import Message
from firerouter.errors import (
    EmptyAnswer,
    ImagesTooLarge,
    ImageUnreadable,
    InvalidArgument,
    StreamCut,
    UpstreamBusy,
    UpstreamError,
    UpstreamMalformed,
)
from firerouter.features.routing import ProviderRouting
from firerouter.features.settings import FeatureSettings
from firerouter.generation.image_parameters import api_parameters, chat_parameters
from firerouter.generation.prompts import build_image_parameters
from firerouter.keys.secret import Secret
from firerouter.openrouter import (
    AnswerStream,
    Deadline,
    Delta,
    ImagesRequest,
    OpenRouterLimits,
    UpstreamResponse,
)
from tests.support.openrouter_stream import DONE, SSE, STOP, USAGE, Body, chunk, sse, text

PNG = b"\x89PNG\r\n\x1a\n" + b"dots"
JPEG = b"\xff\xd8\xff" + b"dots"


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def part(content: bytes, type_: str = "image/png") -> dict[str, Any]:
    url = f"data:{type_};base64,{b64(content)}"
    return {"type": "image_url", "image_url": {"url": url}}


def event(kind: str, **fields: Any) -> bytes:
    return sse({"type": f"image_generation.{kind}", **fields})


async def deltas(
    *pieces: bytes,
    kind: str = SSE["content-type"],
    image_api_count: int | None = None,
    limits: OpenRouterLimits | None = None,
) -> list[Delta]:
    response = httpx2.Response(200, headers={"content-type": kind}, stream=Body(pieces))
    stream = opened(response, image_api_count=image_api_count, limits=limits)
    await stream.prime()
    found = [delta async for deltas in stream for delta in deltas]
    assert stream.answer.finish_reason == "stop"
    return found


def opened(
    response: httpx2.Response,
    *,
    image_api_count: int | None = None,
    limits: OpenRouterLimits | None = None,
) -> AnswerStream:
    return AnswerStream(
        UpstreamResponse(response),
        "asked/for",
        Deadline(30.0),
        limits=limits or OpenRouterLimits(),
        wants_images=True,
        image_api_count=image_api_count,
    )


def shown(found: list[Delta]) -> list[tuple[str, str, bytes]]:
    return [
        (delta.kind, delta.value["contentType"], base64.b64decode(delta.value["data"]))
        for delta in found
        if "image" in delta.kind
    ]


# -- in a chat -------------------------------------------------------------------------------------


async def test_an_image_is_an_answer_and_its_bytes_say_what_it_is() -> None:
    found = await deltas(chunk({"content": "", "images": [part(JPEG, "image/png")]}), STOP, DONE)
    assert shown(found) == [("image", "image/jpeg", JPEG)]


async def test_one_that_is_sent_twice_is_one() -> None:
    sent = chunk({"content": "", "images": [part(PNG)]})
    assert len(shown(await deltas(text("Here"), sent, sent, STOP, DONE))) == 1


async def test_a_whole_answer_may_have_several() -> None:
    message = {"content": "Here", "images": [part(PNG), part(JPEG)]}
    body = {"choices": [{"message": message, "finish_reason": "stop"}]}
    found = await deltas(json.dumps(body).encode(), kind="application/json")
    assert [type_ for _, type_, _ in shown(found)] == ["image/png", "image/jpeg"]


@pytest.mark.parametrize(
    "image",
    [
        part(b"<svg/>", "image/svg+xml"),
        part(b""),
        part(b"%PDF-1.7"),
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png,plain"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,%%%%"}},
        {"image_url": "x"},
        "x",
        None,
    ],
)
async def test_what_is_no_image_ends_the_answer(image: Any) -> None:
    with pytest.raises(ImageUnreadable):
        await deltas(text("Here"), chunk({"images": [image]}), STOP, DONE)


@pytest.mark.parametrize(
    ("bound", "value"),
    [
        ("images_max", 1),
        ("image_max_bytes", len(PNG) - 1),
        ("images_max_bytes", 2 * len(PNG)),
        ("image_line_max_bytes", 200),
    ],
)
async def test_there_is_an_end_to_them(bound: str, value: int) -> None:
    limits = replace(OpenRouterLimits(), **{bound: value})
    sent = [chunk({"images": [part(PNG + bytes([n]))]}) for n in range(3)]
    with pytest.raises(ImagesTooLarge) as refused:
        await deltas(*sent, STOP, DONE, limits=limits)
    assert (refused.value.another_try, refused.value.another_model) == (False, False)


async def test_fifty_megabytes_are_not_read_to_their_end() -> None:
    read = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal read
        yield b"data: "
        for _ in range(50):
            read += 1_000_000
            yield b"A" * 1_000_000

    response = httpx2.Response(200, headers=SSE, stream=Pieces(pieces()))
    with pytest.raises(ImagesTooLarge):
        await opened(response).prime()
    assert read <= OpenRouterLimits().image_line_max_bytes + 1_000_000


class Pieces(httpx2.AsyncByteStream):
    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._pieces:
            yield piece


# -- of the image API ------------------------------------------------------------------------------


async def test_partial_images_come_before_whole_ones() -> None:
    found = await deltas(
        event("partial_image", b64_json=b64(PNG), partial_image_index=0),
        event("completed", b64_json=b64(PNG + b"!"), usage=USAGE),
        image_api_count=1,
    )
    assert shown(found) == [("partial_image", "image/png", PNG), ("image", "image/png", PNG + b"!")]


async def test_a_provider_that_does_not_stream_sends_them_whole() -> None:
    body = {"created": 1, "data": [{"b64_json": b64(PNG)}, {"b64_json": b64(JPEG)}], "usage": USAGE}
    found = await deltas(json.dumps(body).encode(), image_api_count=1, kind="application/json")
    assert [content for _, _, content in shown(found)] == [PNG, JPEG]


async def test_two_that_are_alike_are_two() -> None:
    one, last = event("completed", b64_json=b64(PNG)), event("completed", b64_json=b64(PNG))
    found = await deltas(one, last, DONE, image_api_count=1)
    assert [content for _, _, content in shown(found)] == [PNG, PNG]


async def test_partial_ones_without_end_cost_no_whole_one() -> None:
    partial = event("partial_image", b64_json=b64(PNG))
    whole = event("completed", b64_json=b64(PNG), usage=USAGE)
    found = await deltas(*[partial] * 50, whole, image_api_count=1)
    kinds = [delta.kind for delta in found]
    most = OpenRouterLimits().partial_images_max
    assert (kinds.count("partial_image"), kinds.count("image")) == (most, 1)


async def test_usage_is_no_end_while_there_are_more_to_come() -> None:
    first = event("completed", b64_json=b64(PNG), usage=USAGE)
    second = event("completed", b64_json=b64(PNG))
    for pieces, made in (((first, second), 2), ((first, DONE), 1)):  # it may make fewer
        assert len(await deltas(*pieces, image_api_count=2)) == made
    with pytest.raises(StreamCut):
        await deltas(first, image_api_count=2)


WHOLE = event("completed", b64_json=b64(PNG))
ODD: list[tuple[list[bytes], type[UpstreamError]]] = [
    ([WHOLE], StreamCut),  # neither usage nor end: there may have been more
    ([event("partial_image", b64_json=b64(PNG))], StreamCut),
    ([event("partial_image", b64_json=b64(PNG)), DONE], EmptyAnswer),
    ([DONE], EmptyAnswer),
    ([event("completed")], ImageUnreadable),
    ([event("completed", b64_json=7)], ImageUnreadable),
    ([event("text_chunk", text="<svg/>", phase="content"), DONE], EmptyAnswer),
    ([sse({"type": "error", "error": {"code": "502", "message": "busy"}})], UpstreamError),
    ([sse([1])], UpstreamMalformed),
]


@pytest.mark.parametrize(("pieces", "error"), ODD)
async def test_what_else_may_come(pieces: list[bytes], error: type[UpstreamError]) -> None:
    with pytest.raises(error):
        await deltas(*pieces, image_api_count=1)


async def test_an_error_in_between_is_the_models() -> None:
    failed = sse({"type": "error", "error": {"code": 502, "message": "busy"}})
    with pytest.raises(UpstreamBusy):
        await deltas(WHOLE, failed, image_api_count=1)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "b64_json", "data", "usage", "error"]), inner)
    ),
    max_leaves=8,
)


@given(JSON, st.sampled_from([SSE["content-type"], "application/json"]))
async def test_whatever_comes_ends_in_a_leaf(value: Any, kind: str) -> None:
    piece = sse(value) + DONE if kind.startswith("text") else json.dumps(value).encode()
    with pytest.raises(UpstreamError):
        await deltas(piece, image_api_count=1, kind=kind)


# -- what is asked ---------------------------------------------------------------------------------


def test_a_chat_is_asked_for_what_the_model_makes() -> None:
    options = ImageOptions()
    for writes, wanted in [(True, ["image", "text"]), (False, ["image"])]:
        found = chat_parameters(options, {}, writes=writes)
        assert found == {"modalities": wanted}


def test_a_chat_has_the_options_beside_the_admins_own() -> None:
    given = {"image_config": {"style": "flat", "quality": "low"}, "top_p": 0.5, "seed": 1}
    options = ImageOptions(aspect_ratio="16:9", size="2K", quality="high", seed=7)
    assert chat_parameters(options, given, writes=True) == {
        "modalities": ["image", "text"],
        "image_config": {
            "style": "flat",
            "aspect_ratio": "16:9",
            "image_size": "2K",
            "quality": "high",
        },
        "top_p": 0.5,
        "seed": 7,
    }


def test_the_image_api_is_sent_what_it_takes() -> None:
    settings = FeatureSettings(
        kind="image",
        image_api="images",
        provider=ProviderRouting(only=["openai"], sort="price"),
        temperature=1,
        seed=1,
        parameters={"output_format": "webp"},
    )
    options = ImageOptions(aspect_ratio="16:9", size="2K", n=3)
    assert api_parameters(options, build_image_parameters(settings)) == {
        "provider": {"only": ["openai"], "sort": "price"},
        "seed": 1,
        "output_format": "webp",
        "aspect_ratio": "16:9",
        "size": "2K",
        "n": 3,
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("provider.zdr", {"zdr": True}),
        ("provider.dataCollection", {"dataCollection": "deny"}),
        ("provider.maxPrice", {"maxPrice": {"image": 1}}),
        ("provider.requireParameters", {"order": ["openai"], "requireParameters": True}),
        ("parameters.size", {"size": "two"}),
        ("parameters.resolution", {"resolution": "2K"}),
    ],
)
def test_what_the_image_api_would_not_keep_to_is_not_saved(field: str, value: Any) -> None:
    name = field.partition(".")[0]
    drawing = {"kind": "image", "imageApi": "images", name: value}
    with pytest.raises(InvalidArgument) as refused:
        parse(FeatureSettings, drawing)
    assert refused.value.details["field"] == field
    for more in ({"imageApi": "chat"}, {"kind": "chat"}):
        parse(FeatureSettings, {**drawing, **more})


@pytest.mark.parametrize(
    ("api", "n"), [("images", "two"), ("images", 0), ("chat", 2), ("chat", "two")]
)
def test_a_number_of_answers_is_for_the_image_api_and_a_number(api: str, n: Any) -> None:
    kind = "image" if api == "images" else "chat"
    with pytest.raises(InvalidArgument) as refused:
        parse(FeatureSettings, {"kind": kind, "imageApi": api, "parameters": {"n": n}})
    assert refused.value.details["field"] == "parameters.n"


def test_the_image_api_knows_who_asks_and_in_which_conversation() -> None:
    request = ImagesRequest(
        keys=NoKeys(),
        models=["m"],
        messages=[Message("user", "A fox")],
        parameters={"n": 1},
        app_name="",
        referer="",
        user="a user",
        session="a session",
    )
    asked = {"model": "m", "prompt": "A fox", "n": 1, "stream": True}
    assert request.body("m") == {**asked, "user": "a user", "session_id": "a session"}


class NoKeys:
    async def get(self) -> Secret:
        raise AssertionError

    async def next_after_refusal(self, refused: Sequence[Secret], reason: str) -> Secret | None:
        raise AssertionError


def test_a_callers_options_go_before_the_features() -> None:
    own, features = ImageOptions(size="2K"), ImageOptions(size="1K", aspect_ratio="1:1")
    assert own.over(features) == ImageOptions(size="2K", aspect_ratio="1:1")
    assert own.over(None) == own


def test_pixels_are_a_shape_and_a_shape_is_the_callers() -> None:
    pixels, wide = ImageOptions(size="1024x1536", n=2), ImageOptions(aspect_ratio="16:9", n=1)
    assert pixels.over(wide) == pixels
    assert wide.over(pixels) == wide
    with pytest.raises(InvalidArgument, match="not both"):
        parse(ImageOptions, {"size": "1024x1536", "aspectRatio": "16:9"})
