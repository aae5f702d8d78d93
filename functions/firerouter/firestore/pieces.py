"""Cuts long text into pieces that each fit into a document of at most 1 MiB. Pure."""

from __future__ import annotations


def cut(text: str, max_chars: int) -> list[str]:
    """Return the text in pieces of at most `max_chars` characters, at least one piece."""
    return [text[at : at + max_chars] for at in range(0, len(text), max_chars)] or [""]
