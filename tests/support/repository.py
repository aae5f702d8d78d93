"""Where things are in the repository, and what its code says of itself."""

import ast
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
FUNCTIONS: Final = ROOT / "functions"
SCRIPTS: Final = ROOT / "scripts"
TESTS: Final = ROOT / "tests"


def served_functions() -> set[str]:
    """Return the names of the functions of main.py that functions-framework serves."""
    module = ast.parse((FUNCTIONS / "main.py").read_text())
    return {
        node.name
        for node in module.body
        if isinstance(node, ast.AsyncFunctionDef)
        and any(ast.unparse(decorator) == "aio.http" for decorator in node.decorator_list)
    }
