"""An instance: what it is made of, and how a deployed function's request reaches it."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from . import edge, triggers
    from .environment import check_environment

__all__ = (
    "check_environment",
    "edge",
    "triggers",
)
__getattr__ = lazily(__name__, {"environment": ("check_environment",)})
