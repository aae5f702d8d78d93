"""The results of a run, as rows of a Markdown table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from scripts.devtools.generated_section import GeneratedSection

SECTION = GeneratedSection("bench", "./scripts/bench --write")
IMPORTS_HEAD = ("package", "modules", "self", "with what it imports", "self, test_…_connection")
HEAD = ("what", "execute_prompt", "bare function", "upstream alone", "ratio to bare", "target")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. The ratio is that of `ours` to `bare`, unless `compare` is false."""

    what: str
    ours: float
    bare: float | None = None
    upstream: float | None = None
    target: str = ""
    met: bool | None = None
    compare: bool = True

    def cells(self) -> tuple[str, ...]:
        ratio = f"{self.ours / self.bare:.2f}" if self.compare and self.bare else ""
        verdict = {True: ": met", False: ": **missed**", None: ""}[self.met]
        values = (number(self.ours), number(self.bare), number(self.upstream))
        return (self.what, *values, ratio, self.target + verdict if self.target else "")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the wait for a first token, in milliseconds."""

    what: str
    known_ms: float
    new_ms: float


@dataclass(frozen=True, slots=True)
class Imported:
    """A package's import times; `elsewhere_ms` is its time in `test_openrouter_connection`."""

    package: str
    modules: int
    self_ms: float
    with_children_ms: float
    elsewhere_ms: float


@dataclass(slots=True)
class Table:
    """The results of a run so far."""

    rows: list[Row] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    imports: list[Imported] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, row: Row) -> None:
        self.rows.append(row)

    def note(self, line: str) -> None:
        self.notes.append(line)


def text_of(table: Table, heading: str) -> str:
    """Return the whole report as Markdown."""
    parts = [(part.what, number(part.known_ms), number(part.new_ms)) for part in table.parts]
    imports = [
        (
            f"`{row.package}`",
            str(row.modules),
            *map(number, (row.self_ms, row.with_children_ms, row.elsewhere_ms)),
        )
        for row in table.imports
    ]
    sections = [
        [heading],
        [*markdown(HEAD, [row.cells() for row in table.rows])],
    ]
    if parts:
        sections += [
            ["Where the wait for a first token goes (medians, milliseconds):"],
            [*markdown(("part", "a caller seen before", "a caller never seen"), parts)],
        ]
    if imports:
        sections += [
            ["What `execute_prompt` imports until its first token, by package (milliseconds):"],
            [*markdown(IMPORTS_HEAD, imports)],
        ]
    sections.append([f"- {note}" for note in table.notes])
    return "\n\n".join("\n".join(lines) for lines in sections)


def number(value: float | None) -> str:
    """Format with three significant digits: more would suggest a precision that isn't there."""
    if value is None:
        return ""
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:#.3g}".rstrip(".")


def markdown(head: tuple[str, ...], lines: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Yield the lines of a table whose columns line up in a terminal too."""
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]

    def line(cells: tuple[str, ...]) -> str:
        first, *others = zip(cells, widths, strict=True)
        texts = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        return f"| {' | '.join(texts)} |"

    yield line(head)
    yield line(("-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])))
    yield from map(line, lines)
