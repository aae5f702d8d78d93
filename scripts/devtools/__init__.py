"""What a developer runs: the suite, its processes, and the chores around them."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]  # of the repository
