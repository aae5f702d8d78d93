"""A conversation's turns, and the places in them where files go. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .. import limits
from ..contract import Part, Turns
from ..openrouter import READING, without_reading
from . import annotation_store
from .file import files_of, with_parts

PLACE: Final = "attachment"  # in a message, where a file's part is going to be


DRAWN: Final = "[image]"  # what an answer said that was an image and no word


def with_what_was_drawn(history: Turns) -> tuple[Turns, list[Any]]:
    """Images that a model made go with the question after them: any model takes them there. (the
    turns, the images that no question follows)"""
    turns: Turns = []
    images: list[Any] = []
    for turn in history:
        if turn["role"] == "user":
            turns.append({**turn, "images": images})
            images = []
        else:
            images = [*images, *turn.get("images", ())]
            empty = "images" in turn and not turn["content"]  # which not all providers take
            turns.append({**turn, "images": [], "content": DRAWN if empty else turn["content"]})
    return turns, images


def with_places(uid: str, turn: dict[str, Any], keys: set[str]) -> dict[str, Any]:
    files = [*files_of(uid, turn.get("images")), *files_of(uid, turn.get("attachments"))]
    places = [{PLACE: file.path} for file in files if file.path in keys]
    rest = {name: turn[name] for name in turn if name not in ("images", "attachments")}
    return {**rest, "content": with_parts(turn["content"], places)}


def with_readings(history: Turns) -> Turns:
    """The turns, those of the newest answers with what was read of files, as far as there is
    room."""
    left, kept = limits.READINGS_MAX_BYTES, list[dict[str, Any]]()
    for turn in reversed(history):
        size = annotation_store.size_of(turn.get(READING))
        goes = size is not None and size <= left
        left -= size if goes and size else 0
        kept.append(turn if goes else without_reading(turn))
    return kept[::-1]


def filled(message: dict[str, Any], parts: Mapping[str, Part]) -> dict[str, Any]:
    content = message["content"]
    if not isinstance(content, list):  # text, or nothing beside calls
        return message
    there = [part for part in content if PLACE not in part or part[PLACE] in parts]
    sent = [parts[part[PLACE]] if PLACE in part else part for part in there]
    if any(PLACE in part for part in there):
        return {**message, "content": sent}
    return {**message, "content": "".join(part["text"] for part in sent)}  # all are gone
