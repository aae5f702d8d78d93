"""Refusals of the OpenRouter stand-in whose reason is not in their status."""

import json
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import pytest

from scripts.standins.openrouter.faults import REFUSED
from scripts.standins.openrouter.provider_refusals import AFFORDABLE_TOKENS
from tests.support.openrouter_standin import Server, answer, ask, serving

LONG = [{"role": "user", "content": "word" * 9_000}]
WITH_SYSTEM = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]

SAID = {  # status, and what its error has
    "sim/404-privacy-restricted": (404, '"availability":{"code":"privacy_restricted"'),
    "sim/404-constraint-filtered": (404, '"availability":{"code":"constraint_filtered"'),
    "sim/404-no-endpoints": (404, '"availability":{"code":"no_endpoints"'),
    "sim/404-model-not-found": (404, '"availability":{"code":"model_not_found"'),
    "sim/400-privacy-restricted": (400, '"availability":{"code":"privacy_restricted"'),
    "sim/403-key-limit": (403, "Key limit exceeded (monthly limit)"),
    "sim/403-injection": (403, '"patterns":['),
    "sim/404-no-allowed-provider": (404, '"requested_providers":['),
    "sim/404-ignored": (404, "All providers have been ignored"),
    "sim/404-guardrail-policy": (404, "guardrail restrictions and data policy"),
    "sim/400-max-tokens-exceeded": (400, '"error_type":"max_tokens_exceeded"'),
    "sim/400-token-limit": (400, '"error_type":"token_limit_exceeded"'),
    "sim/400-invalid-image": (400, '"error_type":"invalid_image"'),
    "sim/400-filter-in-raw": (400, "content_filter"),
    "sim/400-quotes": (400, "How are you?"),
    "sim/503-date": (503, "overloaded"),
    "sim/503-next-year": (503, "overloaded"),
}
ELSEWHERE = {
    *("sim/8k-raw", "sim/no-system", "sim/402-affords", "sim/sse-as-json", "sim/long-line"),
    *("sim/no-http", "sim/long-header", "sim/max-tokens-after-text", "sim/error-word"),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("--token-delay-ms", "0") as server:
        yield server


@pytest.mark.parametrize("name", SAID)
@pytest.mark.parametrize("streamed", [True, False])
async def test_its_reason_is_where_it_is_said_to_be(
    server: Server, name: str, streamed: bool
) -> None:
    status, said = SAID[name]
    done = await answer(server, name, stream=streamed)
    assert done.status == done.json["error"]["code"] == status
    assert said in done.body.decode()


def test_each_of_them_is_tested() -> None:
    assert {fault.name for fault in REFUSED} == SAID.keys() | ELSEWHERE


@pytest.mark.parametrize(("name", "after_s"), [("sim/503-date", 2), ("sim/503-next-year", 31e6)])
async def test_it_says_when_to_come_back_by_a_date(
    server: Server, name: str, after_s: float
) -> None:
    done = await answer(server, name)
    wait_s = parsedate_to_datetime(done.headers["retry-after"]).timestamp() - time.time()
    assert after_s - 5 <= wait_s <= after_s + 1e6


async def test_a_context_that_is_too_long_is_told_in_raw_alone(server: Server) -> None:
    done = await answer(server, "sim/8k-raw", messages=LONG)
    assert (done.status, done.json["error"]["message"]) == (400, "Provider returned error")
    raw = json.loads(done.json["error"]["metadata"]["raw"])
    assert raw["error"]["message"].startswith("prompt is too long")
    assert (await answer(server, "sim/8k-raw")).status == 200


async def test_a_system_prompt_is_refused_and_nothing_else(server: Server) -> None:
    done = await answer(server, "sim/no-system", messages=WITH_SYSTEM)
    assert "Developer instruction is not enabled" in done.json["error"]["metadata"]["raw"]
    assert (await answer(server, "sim/no-system")).status == 200


async def test_what_is_affordable_is_answered(server: Server) -> None:
    for max_tokens in (None, AFFORDABLE_TOKENS + 1):
        done = await answer(server, "sim/402-affords", max_tokens=max_tokens)
        assert done.status == 402
        assert f"can only afford {AFFORDABLE_TOKENS}." in done.json["error"]["message"]
    done = await answer(server, "sim/402-affords", max_tokens=AFFORDABLE_TOKENS)
    assert done.status == 200


async def test_events_are_labelled_as_json(server: Server) -> None:
    done = await answer(server, "sim/sse-as-json")
    assert done.headers["content-type"] == "application/json"
    assert done.text.startswith("This is a simulated answer")
    assert done.done


async def test_a_line_does_not_end(server: Server) -> None:
    tried = await ask(server, "sim/long-line")
    await tried.head()
    assert b"\n" not in b"".join(await tried.pieces(20))
    tried.close()


async def test_what_it_sends_is_no_http_or_hardly(server: Server) -> None:
    tried = await ask(server, "sim/no-http")
    with pytest.raises(ValueError, match=r"invalid literal|codec"):
        await tried.head()
    tried.close()
    tried = await ask(server, "sim/long-header")
    assert len((await tried.head()).headers["x-long"]) == 4_000_000
    tried.close()


async def test_errors_come_in_events(server: Server) -> None:
    cut = await answer(server, "sim/max-tokens-after-text")
    assert cut.text == "This is a "
    assert cut.chunks[-1]["error"]["metadata"]["error_type"] == "max_tokens_exceeded"
    word = await answer(server, "sim/error-word")
    assert word.chunks[0]["error"]["code"] == "rate_limit_exceeded"
