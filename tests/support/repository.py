"""Where things are in the repository."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
FUNCTIONS: Final = ROOT / "functions"
SCRIPTS: Final = ROOT / "scripts"
TESTS: Final = ROOT / "tests"
