"""What OpenRouter sent: fixtures of our own, and recordings, which are no part of the repository.

    @pytest.mark.parametrize("file", either("errors.json", "errors/openrouter-error-bodies.json"))

The fixtures have the shapes of the recordings and invented content. They always run; recordings run
where FIREROUTER_RECORDINGS names their folder, and are reported as left out elsewhere.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from _pytest.mark.structures import ParameterSet

from scripts.standins.openrouter import recordings as replays
from tests.support.repository import TESTS

VARIABLE: Final = "FIREROUTER_RECORDINGS"
LEFT_OUT: Final = f"needs recordings: {VARIABLE} is not set"
OURS: Final = TESTS / "fixtures" / "openrouter"
OUR_STREAMS: Final = replays.OWN
RECORDINGS: Final = Path(os.environ[VARIABLE]).resolve() if os.environ.get(VARIABLE) else None
needs_recordings: Final = pytest.mark.skipif(RECORDINGS is None, reason=LEFT_OUT)


def recorded(name: str) -> Path:
    """Return the place of a recording; without recordings, one where nothing is."""
    return (RECORDINGS or Path("/nonexistent")) / name


def either(ours: str | Path, name: str, *more: Any) -> list[ParameterSet]:
    """Return our fixture and the recording of the same shape, as parameters of a test.

    Args:
        ours: Its path below tests/fixtures/openrouter, or any path.
        name: The recording's path in its folder.
        more: Further values, the same with both.
    """
    own = pytest.param(OURS / ours, *more, id=f"ours-{Path(ours).stem}")
    return [own, pytest.param(recorded(name), *more, id=Path(name).stem, marks=needs_recordings)]


@dataclass(frozen=True)
class ModelListing:
    """A body of `GET /models`, and what is known of it."""

    file: Path
    count: int
    batches: int
    aliases: int
    priced_dynamically: frozenset[str]
    free_by_price: frozenset[str] = field(default_factory=frozenset)

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.file.read_text("utf-8"))
        return body

    @property
    def entries(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.body["data"]
        return entries

    def enlarged(self, count: int) -> list[dict[str, Any]]:
        """Return at least so many entries, each with an id of its own."""
        entries = self.entries
        rounds = range(-(-count // len(entries)))
        return [{**one, "id": f"{one['id']}{n or ''}"} for n in rounds for one in entries]


_ROUTERS = frozenset(
    f"openrouter/{name}" for name in ("auto", "auto-beta", "fusion", "pareto-code", "bodybuilder")
)
LISTINGS: Final = [
    pytest.param(
        ModelListing(
            OURS / "models.json",
            count=27,
            batches=3,
            aliases=3,
            priced_dynamically=_ROUTERS,
            free_by_price=frozenset({"openrouter/free", "stealth/unnamed-gull"}),
        ),
        id="ours",
    ),
    pytest.param(
        ModelListing(
            recorded("openrouter-models.json"),
            count=421,
            batches=61,
            aliases=12,
            priced_dynamically=_ROUTERS,
            free_by_price=frozenset({"openrouter/free", "stealth/ox-alpha"}),
        ),
        id="recorded",
        marks=needs_recordings,
    ),
]
