"""What admins and the log may read of a failure: OpenRouter's own words, cleared.

Providers repeat what they were sent, as a whole or in pieces, and OpenRouter may quote a key. So
what could be a key is taken out, and whatever the request has as well, except for words in which
failures are commonly described: the sentence "prompt is too long: 208732 tokens > 200000 maximum"
stays legible for a prompt that has every word of it but the numbers.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from ..errors import UpstreamError

if TYPE_CHECKING:
    from ..keys import Secret
    from .requests import Request

REASON_MAX_CHARS: Final = 500  # of a reason, as admins and the log get it
READ_MAX_CHARS: Final = 1_500  # of what OpenRouter said
HIDDEN: Final = "[...]"
RUN_WORDS: Final = 4  # so many words in a row are the request's, however common they are
ASIDE_OVER_CHARS: Final = 50_000  # of a request, which takes a thread milliseconds to look through
PIECE_CHARS: Final = 4  # of a word: with so many, a part of a word of the request is found too

COMMON_WORDS: Final = """
a about access account additional affordable all allowed also an and answer any api are argument
as at attempt audio available be because been before blocked body but by can cannot change check
choose code completion configure content context could count credit credits daily data developer
did do document does down enabled endpoint endpoints error exceed exceeded exceeds expected
failed false feature fewer field file filter find first for format found free from function
generation given greater guardrail had has have higher http https id if image in input
instruction invalid is it its json key later least length less limit limits long lower max
maximum may message messages minimum model models monthly more most must name no not null number
of off on one only openrouter or other our out output parameter parameters patterns pdf please
policy privacy prompt provider providers quota range rate raw reached reason reasons reduce
region rejected request requested requests required response retry returned role routing schema
service settings should size small some status string support supported supports system
temporarily text than that the their them then there this time timeout to token tokens too tool
tools total true try type unable unavailable unexpected unknown unsupported up upstream usage
use used user using value video visit was were when which will with you your
"""
_KEYS: Final = (
    r"(?i)\bbearer\s+\S+",
    r"\b(?:sk|pk|rk|gsk|xai|aiza|hf|key|token)[-_][\w\-.*]{6,}",
    r"\b(?=[A-Za-z0-9_]*[0-9])(?=[A-Za-z0-9_]*[A-Za-z])[A-Za-z0-9_+/=]{24,}",
)
_ESCAPES: Final = r"\\+(?:u([0-9a-fA-F]{4})|[bfnrt]|(?=[\"'/\\]))"


async def explain(
    error: UpstreamError, key: Secret | None, request: Request | None = None, model: str = ""
) -> None:
    """Set what admins may read of a failure: its `upstream_reason`.

    Args:
        error: The failure. What OpenRouter said of it is gone afterwards.
        key: The key that the request was made with.
        request: The request.
        model: The model that was asked.
    """
    said, error.unredacted = error.unredacted, ""
    if not said:
        return
    keys = [key.reveal()] if key is not None else []
    prompts = list(request.texts()) if request is not None else []
    if sum(map(len, prompts)) > ASIDE_OVER_CHARS:
        reason = await asyncio.to_thread(redact, said, keys=keys, prompts=prompts, known=model)
    else:
        reason = redact(said, keys=keys, prompts=prompts, known=model)
    error.admin_details["upstreamReason"] = reason


def redact(said: str, *, keys: Iterable[str], prompts: Iterable[str], known: str = "") -> str:
    """Return what OpenRouter said without keys and without what the request has, on one line.

    Args:
        said: Its words.
        keys: The keys that the request was made with.
        prompts: All texts of the request.
        known: Words that may stay whatever the request has, such as the model's name.
    """
    text = re.sub(_ESCAPES, _unescaped, said[:READ_MAX_CHARS])
    for key in keys:
        text = text.replace(key, HIDDEN) if key else text
    for pattern in _KEYS:
        text = re.sub(pattern, HIDDEN, text, flags=re.IGNORECASE)
    text = _hide(text, " ".join(_words(prompts)), {*COMMON_WORDS.split(), *_words([known])})
    text = " ".join(text.split())
    return text if len(text) <= REASON_MAX_CHARS else f"{text[: REASON_MAX_CHARS - 3]}..."


def _hide(text: str, prompts: str, common: set[str]) -> str:
    """Hide each word that the prompts have too, and what they have between two of them."""
    if not prompts:
        return text
    prompts = f" {prompts} "
    found = list(re.finditer(r"\w+", text))
    words = [match[0].casefold() for match in found]
    hidden = {at for at, word in enumerate(words) if word not in common and _has(prompts, word)}
    for at in range(len(words) - RUN_WORDS + 1):
        if f" {' '.join(words[at : at + RUN_WORDS])} " in prompts:
            hidden |= set(range(at, at + RUN_WORDS))
    for at in sorted(hidden):  # a quotation may be cut within a word
        hidden |= {
            near
            for near in (at - 1, at + 1)
            if 0 <= near < len(words) and words[near] not in common and words[near] in prompts
        }
    for at, after in pairwise(sorted(hidden)):
        if " ".join(words[at : after + 1]) in prompts:
            hidden |= set(range(at, after))
    return "".join(_pieces(text, [(match.start(), match.end()) for match in found], hidden))


def _pieces(text: str, places: Sequence[tuple[int, int]], hidden: set[int]) -> Iterator[str]:
    end, before = 0, False
    for at, (begins, ends) in enumerate(places):
        if at in hidden:
            if not before:
                yield f"{text[end:begins]}{HIDDEN}"
        else:
            yield text[end:ends]
        end, before = ends, at in hidden
    yield text[end:]


def _has(prompts: str, word: str) -> bool:
    """Whether the prompts have a word, or one that it is a part of."""
    if not word.isascii():  # such as Chinese, which is not written in words
        return any(word[at : at + 2] in prompts for at in range(max(1, len(word) - 1)))
    return (word if len(word) >= PIECE_CHARS else f" {word} ") in prompts


def _words(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from re.findall(r"\w+", text.casefold())


def _unescaped(escape: re.Match[str]) -> str:
    if escape[1]:
        return chr(int(escape[1], 16))
    return " " if escape[0][-1] in "bfnrt" else ""
