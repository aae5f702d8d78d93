"""Citations, collected from the chunks of an answer."""

from __future__ import annotations

from typing import Any

from .. import limits
from .file_annotations import clean


class Citations:
    """The pages that an answer cites, each once."""

    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []

    def add(self, annotations: Any) -> list[dict[str, Any]]:
        """Those of a chunk's `annotations` that are new."""
        made: list[dict[str, Any]] = []
        for annotation in annotations if isinstance(annotations, list) else ():
            citation = _citation(annotation)
            if citation is None or citation in self.all or len(self.all) >= limits.CITATIONS_MAX:
                continue
            self.all.append(citation)
            made.append(citation)
        return made


def _citation(annotation: Any) -> dict[str, Any] | None:
    """`{url, title?, content?, startIndex?, endIndex?}` of a `url_citation`."""
    if not isinstance(annotation, dict) or annotation.get("type") != "url_citation":
        return None
    told = annotation.get("url_citation")
    told = told if isinstance(told, dict) else annotation
    url = told.get("url")
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        return None  # what a client would make a link of
    if len(url) > limits.URL_MAX_CHARS:
        return None
    citation: dict[str, Any] = {"url": clean(url)}
    for name in ("title", "content"):
        if isinstance(text := told.get(name), str) and text:
            citation[name] = clean(text[: limits.CITATION_MAX_CHARS])
    begin, end = told.get("start_index"), told.get("end_index")
    if type(begin) is int and type(end) is int and 0 <= begin < end < limits.ANSWER_MAX_CHARS:
        citation |= {"startIndex": begin, "endIndex": end}  # 0, 0 stands for nowhere
    return citation
