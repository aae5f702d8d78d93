"""Values of arguments, which the chores check in the same way."""

import argparse
from collections.abc import Callable


def whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    """Return a `type` for an argument that is a whole number between these two."""

    def number(text: str) -> int:
        value = int(text)
        if not lowest <= value <= highest:
            raise argparse.ArgumentTypeError(f"{value} is not between {lowest} and {highest}")
        return value

    return number
