"""The table of faults: model name -> what it does, and one line about it. Names are stable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from . import behaviors as does
from . import odd_answers as says
from . import odd_charges as bills
from . import odd_shapes as shapes
from .behaviors import Behavior
from .chat_requests import ChatRequest
from .completions import Answer, limited
from .error_responses import NAMED_STATUSES, SMALL_CONTEXT_TOKENS, Refusal, pdf_then_502, too_long
from .model_catalog import CONTEXT_TOKENS
from .provider_refusals import REFUSALS, little_credit, no_system_role, too_long_in_raw
from .streams import Exchange

Json = dict[str, Any]

FIVE_CENTS = Decimal("0.05")


@dataclass(frozen=True)
class Fault:
    """A model that misbehaves in one way.

    Attributes:
        streamed: Answers requests with `stream: true`.
        whole: Answers the others.
        reshape: Alters the ordinary answer first.
        plain: Lists few supported parameters.
        refuse: Returns the status to send instead of accepting the request, if any.
        answer: Makes an answer that depends on the request.
        flat_usd: What each request costs that it accepts, whatever comes of it.
        bills_always: It charges for the prompt without output, and after an error, too.
        byok: The provider is paid with a key of the owner's own.
        misreport: Alters the usage, and not the charge.
    """

    name: str
    line: str
    streamed: Behavior = does.stream
    whole: Behavior = does.whole
    reshape: Callable[[Answer], Answer] | None = None
    paid: bool = False
    plain: bool = False
    context: int = CONTEXT_TOKENS
    long_from: int | None = None
    refuse: Callable[[ChatRequest], Refusal | None] = lambda _: None
    answer: Callable[[Exchange], Answer] | None = None
    flat_usd: Decimal | None = None
    bills_always: bool = False
    byok: bool = False
    misreport: Callable[[Json], Json] | None = None

    async def behave(self, ex: Exchange) -> None:
        ex.generation.flat_usd = self.flat_usd
        ex.generation.bills_always = self.bills_always
        ex.generation.is_byok = self.byok
        ex.misreport = self.misreport
        if self.answer is not None:
            ex.answer = limited(self.answer(ex), ex.chat.max_tokens)
        if self.reshape is not None:
            ex.answer = limited(self.reshape(ex.answer), ex.chat.max_tokens)
        await (self.streamed(ex) if ex.chat.stream else self.whole(ex))


ORDINARY = Fault("", "answers")

_ANSWERS = (
    Fault("sim/fast", "answers without delay between tokens", does.stream_fast),
    Fault("sim/paid", "answers, at 3 and 15 dollars a million tokens", paid=True),
    Fault(
        "sim/paid-long",
        "sim/paid, and twice as dear from 1,000 tokens of the prompt on",
        paid=True,
        long_from=1_000,
    ),
    Fault("sim/ranks", "as a judge: ranks the last answer first", answer=says.ranks),
    Fault("sim/ticks", "100 tokens, one each 100 ms", does.stream_ticks, reshape=says.ticks),
    Fault("sim/steady", "1,000 tokens, one each 20 ms", does.stream_steady, reshape=says.steady),
    Fault("sim/flood", "100,000 tokens without delay, then answers", does.flood),
    Fault(
        "sim/paid-ticks",
        "sim/ticks at the price of sim/paid",
        does.stream_ticks,
        reshape=says.ticks,
        paid=True,
    ),
    Fault(
        "sim/flaky-2", "503 twice for each distinct prompt, then answers", does.flaky, does.flaky
    ),
    Fault(
        "sim/length-no-text",
        "finish_reason length, no text, only reasoning",
        reshape=says.length_no_text,
    ),
    Fault("sim/empty", "200 and finish_reason stop, with empty content", reshape=says.empty),
    Fault(
        "sim/content-filter",
        "a little text, then finish_reason content_filter",
        reshape=says.content_filter,
    ),
    Fault(
        "sim/u2028",
        "text with U+2028, U+2029, U+0085, NUL, emoji, quotes, newlines",
        reshape=says.hard_text,
    ),
)

_READS = (
    Fault(
        "sim/8k",
        "a context of 8,192 tokens, and a 400 if that is not enough",
        does.stream_fast,
        context=SMALL_CONTEXT_TOKENS,
        refuse=too_long,
    ),
    Fault(
        "sim/pdf-then-502",
        "502 with a PDF's annotations; answers once the request includes them",
        does.stream_fast,
        refuse=pdf_then_502,
    ),
)

_TOOLS = (
    Fault("sim/plain", "answers; supports only max_tokens and top_p", plain=True),
    Fault(
        "sim/parallel-tools", "calls each tool, the pieces interleaved", answer=says.parallel_tools
    ),
    Fault(
        "sim/bad-arguments",
        "the first call's arguments are not JSON",
        does.stream_fast,
        answer=says.bad_arguments,
    ),
    Fault("sim/10000-tools", "calls 10,000 tools", does.one_packet, answer=says.many_tools),
    Fault("sim/unknown-tool", "calls a tool that was not declared", answer=says.unknown_tool),
    Fault(
        "sim/long-arguments",
        "a call with 150,000 characters of arguments",
        does.one_packet,
        answer=says.long_arguments,
    ),
    Fault("sim/cites", "cites two pages, one of them at a place in the text", answer=says.cites),
)

_JSON = (
    Fault("sim/bad-json", "not JSON; JSON when asked again", answer=says.bad_json),
    Fault(
        "sim/paid-bad-json", "the same, at the price of sim/paid", answer=says.bad_json, paid=True
    ),
    Fault(
        "sim/slow-bad-json",
        "the same, with 20 words first, a token each 100 ms",
        does.stream_ticks,
        answer=says.long_bad_json,
    ),
    Fault(
        "sim/bad-json-silent",
        "not JSON; when asked again, not a byte",
        does.silent_again,
        does.silent,
        answer=says.worse_json,
    ),
    Fault("sim/worse-json", "not JSON, however often it is asked", answer=says.worse_json),
    Fault("sim/long-json", "a JSON object of 100 kB", does.stream_fast, answer=says.long_json),
    Fault("sim/fenced-json", "JSON inside a fence of Markdown", answer=says.fenced_json),
)

_TIME = (
    Fault("sim/prompt", "the first token after half a second", does.prompt),
    Fault("sim/slow", "the first token after 3 s, comments before", does.slow, does.slow_whole),
    Fault("sim/silent", "accepts, and never sends headers", does.silent, does.silent),
    Fault(
        "sim/silent-after-headers",
        "headers, then nothing",
        does.silent_after_headers,
        does.silent_after_headers_whole,
    ),
    Fault("sim/stall", "three tokens, then silence", does.stall, does.stall_whole),
    Fault("sim/comments-only", "keep-alive comments forever", does.comments_only),
    Fault("sim/slow-drip", "a token each second, 600 of them", does.slow_drip),
    Fault("sim/endless", "tokens without delay until the client closes", does.endless),
)

_CONNECTION = (
    Fault("sim/reset", "TCP reset before headers", does.reset, does.reset),
    Fault(
        "sim/reset-mid-stream",
        "three tokens, then TCP reset",
        does.reset_mid_stream,
        does.reset_mid_body,
    ),
    Fault(
        "sim/cut-mid-stream",
        "three tokens, then closed without the terminating chunk",
        does.cut_mid_stream,
        does.cut_mid_body,
    ),
    Fault(
        "sim/paid-cut-mid-stream",
        "sim/cut-mid-stream at the price of sim/paid",
        does.cut_mid_stream,
        does.cut_mid_body,
        paid=True,
    ),
    Fault(
        "sim/split-utf8",
        "multi-byte characters split across packets",
        does.split_utf8,
        reshape=says.many_bytes_text,
    ),
    Fault("sim/one-packet", "every event in one write", does.one_packet),
    Fault("sim/megabyte-line", "one data line of 1 MB", reshape=says.megabyte),
)

_BODIES = (
    Fault(
        "sim/json-for-sse", "a JSON completion instead of the requested stream", does.json_for_sse
    ),
    Fault("sim/html-for-sse", "200 with a web page", does.html_for_sse, does.html_for_sse),
    Fault(
        "sim/malformed-json",
        "a broken event among valid ones; not streamed: half a JSON body",
        does.malformed_json,
        does.malformed_whole,
    ),
    Fault(
        "sim/error-in-200",
        "200 with JSON of only id and error",
        does.error_in_200,
        does.error_in_200,
    ),
    Fault("sim/crlf", "lines end with CRLF", does.crlf),
)

_ERRORS = (
    Fault(
        "sim/error-first",
        "the first and only event is an error, no [DONE]",
        does.error_first,
        does.error_in_200,
    ),
    Fault(
        "sim/error-after-text",
        "three tokens, then an error chunk (code 502) with usage, then [DONE]",
        does.error_after_text,
        does.error_after_text_whole,
    ),
    Fault(
        "sim/error-string-code",
        "three tokens, then an error chunk whose code is a string, no [DONE]",
        does.error_string_code,
        does.error_after_text_whole,
    ),
)

_ENDS = (
    Fault("sim/no-done", "ends cleanly with a finish reason, without [DONE]", does.no_done),
    Fault("sim/no-finish", "ends cleanly without finish reason, usage or [DONE]", does.no_finish),
    Fault(
        "sim/usage-null-finish",
        "usage chunk with one choice whose finish_reason is null",
        does.with_usage("null-finish"),
    ),
    Fault(
        "sim/usage-empty-choices",
        "usage chunk with empty choices",
        does.with_usage("empty-choices"),
    ),
    Fault(
        "sim/usage-repeats-finish",
        "usage chunk that repeats the finish reason",
        does.with_usage("repeats"),
    ),
    Fault("sim/no-usage", "no usage at all", does.with_usage(), does.no_usage_whole),
    Fault(
        "sim/usage-twice",
        "two usage chunks; the first counts half",
        does.with_usage("null-finish", "empty-choices"),
    ),
    Fault(
        "sim/empty-choices",
        "chunks with empty choices before and in the text; not streamed: choices []",
        does.with_choices([]),
        does.with_choices_whole([]),
    ),
    Fault(
        "sim/null-choices",
        "chunks with choices null before and in the text; not streamed: choices null",
        does.with_choices(None),
        does.with_choices_whole(None),
    ),
)

BILLS = (
    Fault("sim/byok", "sim/paid, and an own key at the provider pays", paid=True, byok=True),
    Fault(
        "sim/paid-misreported",
        "sim/paid, and its usage says 9 million dollars",
        paid=True,
        misreport=bills.absurd,
    ),
    Fault(
        "sim/paid-negative", "its usage has negative numbers", paid=True, misreport=bills.negative
    ),
    Fault("sim/paid-strings", "its usage has texts", paid=True, misreport=bills.strings),
    Fault("sim/paid-nan", "its usage has NaN", paid=True, misreport=bills.not_a_number),
    Fault("sim/paid-huge", "its usage has 10**30 tokens", paid=True, misreport=bills.huge),
    Fault(
        "sim/paid-no-usage",
        "sim/no-usage, charged",
        does.with_usage(),
        does.no_usage_whole,
        paid=True,
    ),
    Fault(
        "sim/free-billed",
        "listed as free, and charges half a dollar",
        flat_usd=Decimal("0.50"),
    ),
    Fault(
        "sim/paid-empty",
        "sim/empty, and charges five cents",
        answer=bills.nothing,
        paid=True,
        flat_usd=FIVE_CENTS,
    ),
    Fault(
        "sim/paid-hidden",
        "reasons unseen, says nothing, and charges for both",
        answer=bills.hidden,
        paid=True,
        bills_always=True,
    ),
    Fault(
        "sim/paid-refusal",
        "refuses in delta.refusal alone, and charges for it",
        bills.refusal,
        paid=True,
        bills_always=True,
    ),
    Fault(
        "sim/paid-error",
        "usage, then an error, and charges for it",
        bills.error_with_usage,
        does.error_in_200,
        paid=True,
        bills_always=True,
    ),
    Fault(
        "sim/paid-error-once",
        "sim/paid-error, once for each distinct prompt; then answers",
        bills.error_once,
        bills.error_once,
        paid=True,
    ),
    Fault(
        "sim/paid-silent",
        "never sends headers, and charges five cents",
        does.silent,
        does.silent,
        paid=True,
        flat_usd=FIVE_CENTS,
    ),
    Fault(
        "sim/paid-slow-headers",
        "headers after a quarter of a second, then answers, and charges five cents",
        bills.slow_headers,
        bills.slow_headers,
        paid=True,
        flat_usd=FIVE_CENTS,
    ),
    Fault(
        "sim/paid-late-usage",
        "sim/paid, and its usage comes three quarters of a second after its text",
        bills.late_usage,
        paid=True,
    ),
    Fault(
        "sim/paid-silent-after-headers",
        "headers, then nothing, and charges five cents",
        does.silent_after_headers,
        does.silent_after_headers_whole,
        paid=True,
        flat_usd=FIVE_CENTS,
    ),
    Fault(
        "sim/paid-stall",
        "three tokens, then silence, and charges for them",
        does.stall,
        does.stall_whole,
        paid=True,
    ),
)

SHAPES = (
    Fault("sim/held-after-done", "answers, and holds the connection", shapes.held_after_done),
    Fault("sim/held-after-finish", "the same, without [DONE]", shapes.held_after_finish),
    Fault("sim/done-with-space", "ends with `[DONE] `", shapes.spaced_done),
    Fault(
        "sim/blank-finish",
        "three tokens, each with a finish_reason of no characters, then a clean end",
        shapes.blank_finish,
    ),
    Fault(
        "sim/network-error",
        "three tokens, then finish_reason network_error",
        reshape=shapes.finishing("network_error"),
    ),
    Fault(
        "sim/max-tokens",
        "three tokens, then finish_reason max_tokens",
        reshape=shapes.finishing("max_tokens"),
    ),
    Fault(
        "sim/guardrail",
        "three tokens, then finish_reason guardrail_intervened",
        reshape=shapes.finishing("guardrail_intervened"),
    ),
    Fault(
        "sim/paid-packet-error",
        "five tokens and an error with usage in one packet, and charges for them",
        shapes.error_in_packet,
        does.error_in_200,
        paid=True,
        bills_always=True,
    ),
    Fault("sim/paid-zero-usage", "its usage, then one of zeros", shapes.zero_usage, paid=True),
    Fault("sim/paid-floats", "its usage has floats", paid=True, misreport=shapes.floats),
    Fault("sim/two-choices", "two answers at once", shapes.two_choices),
    Fault(
        "sim/reasoning-details",
        "reasons in reasoning_details alone",
        shapes.reasoning_details_alone,
    ),
    Fault(
        "sim/plain-reasoning",
        "reasons without reasoning_details; a 400 if calls come back without reasoning",
        shapes.plain_reasoning,
        refuse=shapes.wants_reasoning,
    ),
    Fault(
        "sim/shared-index",
        "calls each tool three times, all with index 0",
        shapes.shared_index,
    ),
    Fault(
        "sim/odd-tools",
        "calls each tool without index or id, its arguments an object",
        shapes.odd_calls,
    ),
    Fault(
        "sim/paid-4k-image",
        "a picture of 7.8 MB, at 24 cents",
        answer=shapes.large_image,
        paid=True,
        flat_usd=Decimal("0.24"),
    ),
    Fault("sim/wrapped-json", "JSON in a fence between two sentences", answer=shapes.wrapped_json),
    Fault(
        "sim/strict-turns",
        "a 400 if roles don't alternate, or a message is blank",
        does.stream_fast,
        refuse=shapes.strict_turns,
    ),
    Fault(
        "sim/blank-first",
        "sim/strict-turns, and a blank answer to a prompt of one paragraph",
        does.stream_fast,
        refuse=shapes.strict_turns,
        answer=shapes.blank,
    ),
)

REFUSED = (
    Fault(
        "sim/8k-raw",
        "sim/8k, with its 400's reason in metadata.raw",
        does.stream_fast,
        context=SMALL_CONTEXT_TOKENS,
        refuse=too_long_in_raw,
    ),
    Fault(
        "sim/no-system",
        "a 400 for a system prompt, whose reason is in metadata.raw; answers without one",
        does.stream_fast,
        refuse=no_system_role,
    ),
    Fault(
        "sim/402-affords",
        "a 402 that says for how many tokens the credit lasts; answers a request for those",
        does.stream_fast,
        refuse=little_credit,
    ),
    Fault("sim/sse-as-json", "events, labelled as JSON", does.sse_as_json),
    Fault("sim/long-line", "a data line without end", does.long_line),
    Fault("sim/no-http", "bytes that are no HTTP", does.no_http, does.no_http),
    Fault("sim/long-header", "a header of 4 MB", does.long_header, does.long_header),
    Fault(
        "sim/max-tokens-after-text",
        "three tokens, then an error max_tokens_exceeded, then [DONE]",
        does.max_tokens_after_text,
    ),
    Fault(
        "sim/error-word",
        "the first event is an error whose code is the word rate_limit_exceeded",
        does.word_for_code,
        does.error_in_200,
    ),
    *(Fault(known.name, known.line, refuse=known.refuse) for known in REFUSALS),
)

_STATUSES = tuple(Fault(known.name, known.line, refuse=known.refuse) for known in NAMED_STATUSES)

FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for group in (
        *(_ANSWERS, _READS, _TOOLS, _JSON, _TIME),
        *(_CONNECTION, _BODIES, _ERRORS, _ENDS, BILLS, SHAPES, REFUSED, _STATUSES),
    )
    for fault in group
}
