"""Servers on loopback that stand in for the services that the functions call.

Each starts alone, for example `python -m scripts.standins.openrouter --help`.
"""

from typing import Final

DEMO_PROJECT: Final = "demo-firerouter"  # firebase-tools keeps `demo-` projects off production
DEMO_PROJECT_NUMBER: Final = 123456789012
