"""JSON that answers are asked for in."""

from typing import Any, Final

_FIELDS: Final = {"properties": {f"field{n}": {"type": "string"} for n in range(12)}}
LONG_JSON: Final[dict[str, Any]] = {
    "responseFormat": {"type": "json_schema", "name": "long", "schema": _FIELDS},
    "repairJson": True,
}
