"""Citations, collected from the chunks of an answer. Pure."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from .json_fields import as_list, without_half_characters
from .limits import OpenRouterLimits


class Citation(TypedDict):
    """A web page that an answer cites, and the characters of the text that cite it."""

    url: str
    title: NotRequired[str]
    content: NotRequired[str]
    startIndex: NotRequired[int]
    endIndex: NotRequired[int]


class CitationCollector:
    """Collects the pages that an answer cites, each once."""

    def __init__(self, limits: OpenRouterLimits) -> None:
        self.all: list[Citation] = []
        self._limits = limits

    def add(self, annotations: object) -> list[Citation]:
        """Add a chunk's `annotations`, and return the new citations among them."""
        new: list[Citation] = []
        for annotation in as_list(annotations):
            citation = _read_citation(annotation, self._limits)
            full = len(self.all) >= self._limits.citations_max
            if citation is None or citation in self.all or full:
                continue
            self.all.append(citation)
            new.append(citation)
        return new


def _read_citation(annotation: object, limits: OpenRouterLimits) -> Citation | None:
    """Read a `url_citation`; None if the annotation is something else."""
    if not isinstance(annotation, dict) or annotation.get("type") != "url_citation":
        return None
    nested = annotation.get("url_citation")
    fields = nested if isinstance(nested, dict) else annotation
    url = fields.get("url")
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        return None  # clients turn it into a link
    if len(url) > limits.url_max_chars:
        return None
    citation: Citation = {"url": without_half_characters(url)}
    if isinstance(title := fields.get("title"), str) and title:
        citation["title"] = without_half_characters(title[: limits.citation_max_chars])
    if isinstance(content := fields.get("content"), str) and content:
        citation["content"] = without_half_characters(content[: limits.citation_max_chars])
    start, end = fields.get("start_index"), fields.get("end_index")
    if type(start) is int and type(end) is int and 0 <= start < end < limits.chars_max:
        citation["startIndex"], citation["endIndex"] = start, end  # 0, 0 means no position
    return citation
