"""What OpenRouter really sent: recordings, which are no part of the repository."""

import os
from pathlib import Path
from typing import Final

NO_RECORDINGS: Final = "recordings not present"
VARIABLE: Final = "FIREROUTER_RECORDINGS"
RECORDINGS: Final = Path(os.environ.get(VARIABLE, "/nonexistent"))
