"""What a developer runs: the local suite, its processes, and the commands around them."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]  # of the repository
