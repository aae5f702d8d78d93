"""Writes docs/reference/: a page for each callable, JSON Schemas and TypeScript types."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from scripts.devtools import ROOT

FOLDER: Final = ROOT / "docs" / "reference"


def rendered() -> dict[str, str]:
    """Return the text of every file below docs/reference/ by its name."""
    from scripts.devtools.reference import pages, schemas, typescript  # not for --help

    schema = schemas.build()
    return {
        **pages.render(schema),
        "schema.json": json.dumps(schema, indent=1, ensure_ascii=False) + "\n",
        "firerouter.d.ts": typescript.render(schema),
    }


def stale(folder: Path = FOLDER) -> list[str]:
    """Return the names of the files that are not what would be written."""
    files = rendered()
    found = {path.name: path.read_text("utf-8") for path in folder.glob("*") if path.is_file()}
    return sorted(name for name in files.keys() | found if files.get(name) != found.get(name))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="./scripts/contract",
        description="Write docs/reference/ from functions/firerouter/contract: a page for each "
        "callable, all errors and frames, JSON Schemas and TypeScript types.",
        epilog="exit status: 0 written or fresh, 1 stale, 2 wrong arguments, 3 not set up.",
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with 1 if a file is out of date"
    )
    if parser.parse_args().check:
        if names := stale():
            print(f"Out of date: {', '.join(names)}. Run ./scripts/contract.", file=sys.stderr)
        return 1 if names else 0
    FOLDER.mkdir(exist_ok=True)
    files = rendered()
    for path in FOLDER.glob("*"):
        if path.name not in files:
            path.unlink()
    for name, text in files.items():
        (FOLDER / name).write_text(text, "utf-8")
    print(f"Wrote {len(files)} files to {FOLDER.relative_to(ROOT)}/.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
