"""Security rules of Cloud Storage: the part of their language that functions/storage.rules uses.

    service firebase.storage {
      match /b/{bucket}/o {
        match /users/{uid}/images/{file} {
          allow get: if request.auth != null && request.auth.uid == uid;
        }
      }
    }

Nested `match` blocks, single-segment and `{rest=**}` wildcards, and conditions that are comparisons
joined by `&&`. The rules are read when the stand-in starts: it refuses any that it does not know,
because a rule that is silently ignored would be worse than none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

METHODS: Final[Mapping[str, frozenset[str]]] = {
    "read": frozenset({"get", "list"}),
    "write": frozenset({"create", "update", "delete"}),
    **{name: frozenset({name}) for name in ("get", "list", "create", "update", "delete")},
}
_COMMENT: Final = re.compile(r"//[^\n]*")
_TOKEN: Final = re.compile(
    r"match\s+(\S+)\s*\{|allow\s+([\w,\s]+?)(?::\s*if\s+([^;]+))?;|(\})|(\S)"
)
_HEAD: Final = re.compile(r"\s*rules_version\s*=\s*'2'\s*;\s*service\s+firebase\.storage\s*\{")
_WILDCARD: Final = re.compile(r"\{(\w+)(=\*\*)?\}")
_COMPARISON: Final = re.compile(r"(\S+)\s*(==|!=)\s*(\S+)")
_LITERAL: Final = re.compile(r"'([^']*)'")

Segments = tuple[str, ...]


class UnknownRule(ValueError):
    """The rules say something that the stand-in does not know."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """One `allow`: for these methods, at this path, if all comparisons are true."""

    segments: Segments
    methods: frozenset[str]
    comparisons: tuple[tuple[str, str, str], ...]

    def applies(self, path: Segments, method: str, uid: str | None) -> bool:
        variables = _matched(self.segments, path)
        if variables is None or method not in self.methods:
            return False
        known: dict[str, str | None] = {**variables, "request.auth": uid, "null": None}
        if uid is not None:
            known["request.auth.uid"] = uid
        return all(_is_true(comparison, known) for comparison in self.comparisons)


@dataclass(frozen=True, slots=True)
class StorageRules:
    """What clients may do with the objects of a bucket."""

    allowances: Sequence[Allowance]

    @classmethod
    def parse(cls, text: str) -> StorageRules:
        """Read a file of rules. Raises UnknownRule."""
        text = _COMMENT.sub("", text)
        head = _HEAD.match(text)
        if head is None:
            raise UnknownRule("they are not those of Cloud Storage, version 2")
        found: list[Allowance] = []
        above: list[Segments] = []
        for token in _TOKEN.finditer(text, head.end()):
            path, methods, condition, ends, other = token.groups()
            if other:
                raise UnknownRule(text[token.start() :].partition("\n")[0].strip())
            if path:
                above.append(tuple(path.strip("/").split("/")))
            elif methods:
                segments = tuple(segment for part in above for segment in part)
                found.append(Allowance(segments, _methods(methods), _comparisons(condition)))
            elif ends and above:
                above.pop()
        return cls(found)

    def allow(self, method: str, bucket: str, name: str, uid: str | None) -> bool:
        """Return whether a client may.

        Args:
            method: get, list, create, update or delete.
            bucket: The bucket's name.
            name: The object's name; of a list, its prefix.
            uid: Who is signed in; None if nobody is.
        """
        path = ("b", bucket, "o", *name.split("/"))
        return any(allowance.applies(path, method, uid) for allowance in self.allowances)


def _methods(text: str) -> frozenset[str]:
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in METHODS]:
        raise UnknownRule(f"allow {unknown[0]}")
    return frozenset[str]().union(*(METHODS[name] for name in names))


def _comparisons(condition: str | None) -> tuple[tuple[str, str, str], ...]:
    if condition is None or condition.strip() == "true":
        return ()
    found = []
    for part in condition.split("&&"):
        comparison = _COMPARISON.fullmatch(part.strip())
        if comparison is None:
            raise UnknownRule(f"if {part.strip()}")
        found.append((comparison[1], comparison[2], comparison[3]))
    return tuple(found)


def _matched(pattern: Segments, path: Segments) -> dict[str, str] | None:
    """Return the variables of a path that matches, or None."""
    variables: dict[str, str] = {}
    for at, segment in enumerate(pattern):
        wildcard = _WILDCARD.fullmatch(segment)
        if wildcard is not None and wildcard[2]:
            variables[wildcard[1]] = "/".join(path[at:])
            return variables if len(path) > at else None
        if at >= len(path) or (wildcard is None and segment != path[at]):
            return None
        if wildcard is not None:
            variables[wildcard[1]] = path[at]
    return variables if len(path) == len(pattern) else None


def _is_true(comparison: tuple[str, str, str], known: Mapping[str, str | None]) -> bool:
    """Evaluate a comparison; one of something that is not there is an error, which refuses."""
    left, operator, right = comparison
    values = []
    for side in (left, right):
        literal = _LITERAL.fullmatch(side)
        if literal is None and side not in known:
            return False
        values.append(literal[1] if literal else known[side])
    return (values[0] == values[1]) is (operator == "==")
