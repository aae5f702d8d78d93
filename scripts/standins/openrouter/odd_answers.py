"""Odd answers: each function alters or makes one. The table in `faults` names them."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from .completions import Answer, ToolCall, tool_call, words
from .streams import SHORT_TOKENS, Exchange

TICK_TOKENS = 100
STEADY_TOKENS = 1000
JSON_ENTRIES = 3_500
MEGABYTE = 1_048_576
MANY_CALLS = 10_000
LONG_ARGUMENTS_CHARS = 150_000
TICKS = Answer(tuple(f"tick-{number} " for number in range(1, TICK_TOKENS + 1)))
STEADY = Answer(tuple(f"step-{number} " for number in range(1, STEADY_TOKENS + 1)))
HARD_TEXT = Answer(
    (
        "line\u2028separator ",
        "paragraph\u2029separator ",
        "next\u0085line ",
        "nul\u0000byte ",
        "emoji 😀👩‍👩‍👧 ",
        "quotes \"double\" 'single' “curly” ",
        "back\\slash\ttab\r\nnewline ",
        "</script> data: [DONE]\n\n",
    )
)
MANY_BYTES_TEXT = Answer(("żółć ", "日本語 ", "😀😀 ", "👩‍👩‍👧 ", "end"))


# Odd in content, ordinary on the wire


def ticks(_: Answer) -> Answer:
    return TICKS


def steady(_: Answer) -> Answer:
    return STEADY


def long_json(_: Exchange) -> Answer:
    """A JSON object of some 100 kB, in pieces of 100 entries."""
    entries = [f'{{"number": {number}, "name": "n"}}, ' for number in range(JSON_ENTRIES)]
    pieces = ["".join(entries[at : at + 100]) for at in range(0, JSON_ENTRIES, 100)]
    return Answer(('{"items": [', *pieces, "{}]}"))


def hard_text(_: Answer) -> Answer:
    return HARD_TEXT


def many_bytes_text(_: Answer) -> Answer:
    return MANY_BYTES_TEXT


def length_no_text(_: Answer) -> Answer:
    reasoning = ("All ", "tokens ", "went ", "into ", "thinking ")
    return Answer((), reasoning, finish_reason="length", native_finish_reason="length")


def empty(_: Answer) -> Answer:
    return Answer(())


def content_filter(answer: Answer) -> Answer:
    tokens = answer.tokens[:SHORT_TOKENS]
    return Answer(tokens, finish_reason="content_filter", native_finish_reason="refusal")


def megabyte(_: Answer) -> Answer:
    return Answer(("x" * MEGABYTE,))


# Tool calls and citations


def parallel_tools(ex: Exchange) -> Answer:
    """Call each function once, whatever the prompt, with the pieces interleaved."""
    if ex.chat.last_role == "tool" or not ex.chat.tools:
        return ex.answer
    return _tool_request(tuple(tool_call(tool, ex.chat.last_text) for tool in ex.chat.tools))


def bad_arguments(ex: Exchange) -> Answer:
    """Answer like `parallel_tools`, but truncate the arguments of the first call."""
    first, *rest = parallel_tools(ex).tools or [ToolCall("call_none", "none", "{}")]
    return _tool_request((replace(first, arguments='{"city": "Syd'), *rest))


def many_tools(_: Exchange) -> Answer:
    return _tool_request(tuple(ToolCall(f"call_{n}", f"f{n}", "{}") for n in range(MANY_CALLS)))


def unknown_tool(_: Exchange) -> Answer:
    return _tool_request((ToolCall("call_1", "no_such_tool", "{}"),))


def long_arguments(_: Exchange) -> Answer:
    arguments = json.dumps({"text": "x" * LONG_ARGUMENTS_CHARS})
    return _tool_request((ToolCall("call_1", "f", arguments),))


def ranks(ex: Exchange) -> Answer:
    """Rank the answers that a judge is given, the last one first."""
    numbers = re.findall(r"^Answer ([0-9]+):$", ex.chat.last_text, re.MULTILINE)
    ranking = ", ".join(reversed(numbers))
    return Answer(words(f"{ranking}\n\nThe last of the {len(numbers)} is the best."))


def cites(ex: Exchange) -> Answer:
    pages = [("https://example.com/a", "A", 0, 4), ("https://example.com/b", "B", 0, 0)]
    annotations = tuple(
        {
            "type": "url_citation",
            "url_citation": {"url": url, "title": title, "start_index": begin, "end_index": end},
        }
        for url, title, begin, end in pages
    )
    return replace(ex.answer, annotations=(*ex.answer.annotations, *annotations))


def _tool_request(tools: tuple[ToolCall, ...]) -> Answer:
    return Answer((), tools=tools, finish_reason="tool_calls", native_finish_reason="tool_calls")


# Answers that should be JSON


def bad_json(ex: Exchange) -> Answer:
    """Answer without JSON, until the messages include the earlier answer."""
    if ex.chat.turns > 1:
        return ex.answer
    return replace(ex.answer, tokens=words("Sure! Here it is: {"))


def long_bad_json(ex: Exchange) -> Answer:
    """Do the same as `bad_json`, in more words."""
    return ex.answer if ex.chat.turns > 1 else replace(ex.answer, tokens=TICKS.tokens[:20])


def worse_json(_: Exchange) -> Answer:
    return Answer(words("Sure! Here it is: {"))


def fenced_json(ex: Exchange) -> Answer:
    return Answer(("```json\n", ex.answer.text, "\n```"))
