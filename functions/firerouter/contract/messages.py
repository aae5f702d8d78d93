"""Messages of a conversation, and the parts they are made of."""

from __future__ import annotations

from typing import Any

Part = dict[str, Any]

Turns = list[dict[str, Any]]
