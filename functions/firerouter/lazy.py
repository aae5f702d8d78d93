"""Names that a package offers and imports only when they are first used.

A package's face (its `__init__`) names what others may import from it. Importing one pure module
through the face must not load the clients that its siblings need, so a face imports nothing itself:

    if TYPE_CHECKING:
        from .pool import KeyPool
    __all__ = ("KeyPool",)
    __getattr__ = lazily(__name__, {"pool": ("KeyPool",)})
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping


def lazily(package: str, names: Mapping[str, tuple[str, ...]]) -> Callable[[str], object]:
    """Return the `__getattr__` of a package (PEP 562).

    Args:
        package: The package's `__name__`.
        names: What each of its modules offers. No name may be that of a module: importing the
            module would overwrite the name.
    """
    homes = {name: module for module, offered in names.items() for name in offered}

    def __getattr__(name: str) -> object:  # noqa: N807
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = f"{package}.{homes[name]}"
        __import__(module)  # unlike importlib's, it is seen by `python -X importtime`
        value = getattr(sys.modules[module], name)
        setattr(sys.modules[package], name, value)  # later lookups find it there
        return value

    return __getattr__
