"""The table as Markdown, and its place in a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from scripts.devtools.cli_errors import Problem
from scripts.free_models.asking import ANSWER_TOKENS, Row
from scripts.free_models.survey import Survey

BEGIN: Final = "<!-- free-models: begin, written by ./scripts/free-models --write -->"
END: Final = "<!-- free-models: end -->"


def text_of(survey: Survey) -> str:
    """When, how and of whom it was measured; the table; why it is not longer, where it could be."""
    asked = "the stand-in of `./scripts/dev`" if survey.simulated else "OpenRouter"
    parts = [
        f"Measured on {survey.began:%Y-%m-%d at %H:%M} UTC: {len(survey.rows)} of "
        f"{survey.offered} free models, one question each for {ANSWER_TOKENS} tokens at most, "
        f"asked of {asked}. Firerouter's defaults come first, then the newest models.",
        _table(survey.rows),
    ]
    if survey.simulated:
        parts.insert(0, "**Simulated answers: these numbers say nothing about OpenRouter.**")
    if missing := len(survey.chosen) - len(survey.rows):
        parts.append(f"Left to ask: {missing}. {_why_not_all(survey)}")
    return "\n\n".join(parts)


def _table(rows: Sequence[Row]) -> str:
    lines = [
        "| model | context | answered | first token ms | total ms |",
        "|---|--:|---|--:|--:|",
    ]
    for row in rows:
        numbers = (row.model.context_length, row.first_token_ms, row.total_ms)
        context, first, total = ("–" if number is None else f"{number:,}" for number in numbers)
        lines.append(f"| `{row.model.id}` | {context} | {row.answered} | {first} | {total} |")
    return "\n".join(lines)


def _why_not_all(survey: Survey) -> str:
    if survey.stopped_by is not None:
        return survey.stopped_by.sentence
    if survey.left_today is not None and survey.left_today <= len(survey.rows):
        return f"The account had {survey.left_today} free requests left that day."
    return "It was interrupted."


def placed(file: Path, text: str) -> bytes:
    """The file with `text` between its two markers, all else byte for byte. Raises Problem."""
    begin, end = BEGIN.encode(), END.encode()
    try:
        page = file.read_bytes()
    except OSError as error:
        raise Problem(f"{file} can not be read: {error.strerror}.", "Name another FILE.") from None
    before, _, rest = page.partition(begin)
    _, found, after = rest.partition(end)
    if not found or page.count(begin) != 1 or page.count(end) != 1:
        raise Problem(
            f"{file} does not have, once each, the two lines that the table goes between.",
            f"Put them in:\n  {BEGIN}\n  {END}",
        )
    return before + begin + f"\n\n{text}\n\n".encode() + end + after
