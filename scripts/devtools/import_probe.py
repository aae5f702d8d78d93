"""Imports all of functions/ as functions-framework would, and prints the traceback if that fails.

    functions/venv/bin/python -P scripts/devtools/import_probe.py functions

It runs in a process of its own. `-P` keeps this file's neighbors from being imported in place of
the functions' own modules. Standard library only.
"""

import importlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

ENTRY_POINT = re.compile(r"^\s*entryPoint:\s*[\"']?(\w+)", re.MULTILINE)
OWN_FRAMES = (__file__, importlib.__file__, "<frozen importlib")


def main(folder: Path) -> int:
    sys.path.append(str(folder))
    try:
        defined = load(folder / "main.py")
        for name in modules(folder):
            importlib.import_module(name)
    except BaseException as error:  # whatever a module raises; also SystemExit, from a stray exit()
        # without the first frames, which are this file's and the import system's
        frames = error.__traceback__
        while frames is not None and frames.tb_frame.f_code.co_filename.startswith(OWN_FRAMES):
            frames = frames.tb_next
        traceback.print_exception(type(error), error, frames)
        return 1
    missing = sorted(entry_points(folder) - defined)
    if missing:
        print(f"main.py does not define {', '.join(missing)}, which functions.yaml names.")
        print("Define it, or update functions.yaml with ./scripts/manifest.")
    return 1 if missing else 0


def load(source: Path) -> set[str]:
    """Execute a file as the module `main`, and return the names that it defines."""
    spec = importlib.util.spec_from_file_location("main", source)
    if spec is None or spec.loader is None:
        raise ImportError(f"{source} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules["main"] = module
    spec.loader.exec_module(module)
    return set(vars(module))


def modules(folder: Path) -> Iterator[str]:
    """Yield the modules of the packages in a folder: a request imports most of them, not main."""
    for package in sorted(folder.glob("*/__init__.py")):
        for path in sorted(package.parent.rglob("*.py")):
            name = ".".join(path.relative_to(folder).with_suffix("").parts)
            yield name.removesuffix(".__init__")


def entry_points(folder: Path) -> set[str]:
    """Return the functions that functions.yaml names."""
    manifest = folder / "functions.yaml"
    return set(ENTRY_POINT.findall(manifest.read_text("utf-8"))) if manifest.exists() else set()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
