"""The part of a Markdown page that a chore writes, between two markers."""

from dataclasses import dataclass
from pathlib import Path

from scripts.devtools.cli_errors import Problem


@dataclass(frozen=True, slots=True)
class GeneratedSection:
    """A section, by its name and the command that writes it."""

    name: str
    command: str

    @property
    def begin(self) -> str:
        return f"<!-- {self.name}: begin, written by {self.command} -->"

    @property
    def end(self) -> str:
        return f"<!-- {self.name}: end -->"

    def replaced_in(self, page: Path, text: str) -> bytes:
        """Return the page with `text` as its section, and every other byte as it is.

        Raises:
            Problem: The page cannot be read, or does not have each marker once, in order.
        """
        begin, end = self.begin.encode(), self.end.encode()
        try:
            old = page.read_bytes()
        except OSError as error:
            reason = f"{page} cannot be read: {error.strerror}."
            raise Problem(reason, "Name another file.") from None
        before, _, rest = old.partition(begin)
        _, found, after = rest.partition(end)
        if not found or old.count(begin) != 1 or old.count(end) != 1:
            raise Problem(
                f"{page} must contain the two lines that mark the section, once each.",
                f"Add them:\n  {self.begin}\n  {self.end}",
            )
        return before + begin + f"\n\n{text}\n\n".encode() + end + after

    def write(self, page: Path, text: str) -> None:
        """Replace the section in the page. Raises Problem, OSError."""
        page.write_bytes(self.replaced_in(page, text))
