"""Who may call each callable, and how long it may take: read from what is deployed."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Final, Literal

from scripts.devtools import ROOT
from scripts.devtools.manifest import CALLABLES


@dataclass(frozen=True, slots=True)
class Deployed:
    """One deployed callable."""

    name: str
    audience: Literal["user", "admin"]
    timeout_s: int


def _read() -> dict[str, Deployed]:
    main = ast.parse((ROOT / "functions" / "main.py").read_text("utf-8"))
    sources = {
        node.name: ast.unparse(node) for node in main.body if isinstance(node, ast.AsyncFunctionDef)
    }
    return {
        name: Deployed(
            name,
            "admin" if "answer_admin(" in sources[name] else "user",
            settings["timeout_sec"],
        )
        for name, settings in CALLABLES.items()
    }


DEPLOYED: Final = _read()
