"""An instance: what it is made of, and how a deployed function's request reaches it."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from . import edge
    from .callables import FUNCTIONS
    from .environment import check_environment
else:
    __getattr__ = lazily(
        __name__, {"callables": ("FUNCTIONS",), "environment": ("check_environment",)}
    )

__all__ = (
    "FUNCTIONS",
    "check_environment",
    "edge",
)
