"""What the architecture promises, read from the source: who imports whom, and when."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.repository import ROOT

FUNCTIONS = ROOT / "functions"
PACKAGE = FUNCTIONS / "firerouter"
FILES = {
    ".".join(path.relative_to(FUNCTIONS).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
SCRIPTS = {str(path.relative_to(ROOT)): path for path in sorted(ROOT.glob("scripts/**/*.py"))}
SIZED = {**FILES, **SCRIPTS}
MODULE_MAX_LINES = 400
FUNCTION_MAX_LINES = 60

# The one home of each foreign library: the modules that may import it
HOMES: dict[str, tuple[str, ...]] = {
    "openai": ("firerouter.openrouter",),
    "tenacity": ("firerouter.openrouter",),
    "httpx2": ("firerouter.openrouter",),
    "aiohttp": ("firerouter.openrouter",),
    "google.cloud.secretmanager_v1": ("firerouter.keys", "firerouter.clients"),
    "google.cloud.storage": ("firerouter.uploads", "firerouter.clients"),
    "google_crc32c": ("firerouter.keys",),
    "grpc": ("firerouter.clients",),
    "firebase_admin": ("firerouter.identity", "firerouter.taskqueue", "firerouter.clients"),
    "jwt": ("firerouter.identity",),
    "google.auth": ("firerouter.identity",),
    "jsonschema": ("firerouter.schemas",),
    "referencing": ("firerouter.schemas",),
    "firebase_functions": (),
    "httpx": (),
    "requests": (),
    "starlette": (),
    "flask": (),
    "google.cloud.firestore": (
        "firerouter.allowance",
        "firerouter.appsettings",
        "firerouter.audit",
        "firerouter.books",
        "firerouter.stores",
        "firerouter.catalog",
        "firerouter.conversations",
        "firerouter.features",
        "firerouter.handover",
        "firerouter.ledger",
        "firerouter.preferences",
        "firerouter.progress",
        "firerouter.pseudonyms",
        "firerouter.removals",
        "firerouter.responses",
        "firerouter.stops",
    ),
    "google.cloud.firestore_v1": ("firerouter.appsettings", "firerouter.stops"),
}
# What a process may not have paid for before its first request
NOT_AT_IMPORT = (
    "openai",
    "google.cloud.firestore",
    "firebase_admin",
    "google.cloud.secretmanager",
    "google.cloud.secretmanager_v1",
    "google.cloud.storage",
    "grpc",
    "aiohttp",
    "httpx2",
    "jwt",
    "tenacity",
    "jsonschema",
    "firebase_functions",
)


def _tree(module: str) -> ast.Module:
    return ast.parse(FILES[module].read_text("utf-8"))


def _package_of(module: str) -> list[str]:
    parts = module.split(".")
    return parts[:-1]  # of a package's __init__ too: it is listed as package.__init__


def imports(module: str) -> Iterator[str]:
    """Every module that this one imports, at its top or within a function, types included."""
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = _package_of(module)
            base = package[: len(package) - node.level + 1] if node.level else []
            parent = ".".join([*base, *(node.module.split(".") if node.module else [])])
            for alias in node.names:
                known = f"{parent}.{alias.name}"
                yield known if known in FILES or f"{known}.__init__" in FILES else parent


def name(module: str) -> str:
    return module.removesuffix(".__init__")


def layers() -> dict[str, int]:
    """Each module's row in the docstring of the package, counted from the top."""
    rows = str(ast.get_docstring(_tree("firerouter.__init__"))).split("\n")
    modules = {name(module).split(".")[1] for module in FILES if name(module) != "firerouter"}
    found: dict[str, int] = {}
    for row, line in enumerate(rows):
        if not line.startswith("    "):
            continue
        for cell in re.split(r"\s{2,}", line.strip()):
            if cell in modules:
                found[cell] = row
    return found


LAYERS = layers()


def test_every_module_has_its_row() -> None:
    modules = {name(module).split(".")[1] for module in FILES if name(module) != "firerouter"}
    assert modules == LAYERS.keys()


def _row(module: str) -> int:
    part = module.split(".")[1]
    return LAYERS[part]


@pytest.mark.parametrize("module", [m for m in FILES if name(m) != "firerouter"])
def test_imports_point_down(module: str) -> None:
    here = name(module).split(".")[1]
    for imported in imports(module):
        if not imported.startswith("firerouter.") or imported.split(".")[1] == here:
            continue
        assert _row(module) < _row(imported), f"{module} imports {imported}"


def test_nobody_imports_the_package_as_a_whole() -> None:
    assert not [module for module in FILES if "firerouter" in set(imports(module))]


def test_there_are_no_circles() -> None:
    graph = {
        name(module): {found for found in imports(module) if found.startswith("firerouter.")}
        for module in FILES
    }
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path, module])
        if module not in done:
            for imported in graph.get(module, ()):
                visit(imported, (*path, module))
            done.add(module)

    for module in graph:
        visit(module, ())


# Inside openrouter, the higher row may import the lower ones
OPENROUTER = (
    ("client",),
    ("requests",),
    ("drawn",),
    ("answer", "embeddings", "generation", "tries"),
    ("extras", "pictures"),
    ("account", "failures", "sse", "usage", "watch"),
)


def test_imports_within_openrouter_point_down() -> None:
    rows = {module: row for row, modules in enumerate(OPENROUTER) for module in modules}
    inside = [module for module in FILES if module.startswith("firerouter.openrouter.")]
    assert {module.rsplit(".", 1)[1] for module in inside} == {*rows, "__init__"}
    for module in inside:
        here = module.rsplit(".", 1)[1]
        for imported in imports(module):
            if here != "__init__" and imported.startswith("firerouter.openrouter."):
                assert rows[here] < rows[imported.rsplit(".", 1)[1]], f"{module}: {imported}"


def test_the_callable_wire_knows_nothing_of_ours() -> None:
    inside = [module for module in FILES if module.startswith("firerouter.callable.")]
    assert inside
    for module in inside:
        ours = {found for found in imports(module) if found.startswith("firerouter")}
        assert all(found.startswith("firerouter.callable") for found in ours), f"{module}: {ours}"


@pytest.mark.parametrize("library", HOMES)
def test_a_foreign_library_has_one_home(library: str) -> None:
    users = {
        name(module)
        for module in FILES
        for found in imports(module)
        if found == library or found.startswith(f"{library}.")
    }
    strangers = {user for user in users if not user.startswith(HOMES[library] or ("nowhere",))}
    assert not strangers
    assert bool(users) == bool(HOMES[library])


@pytest.mark.parametrize("module", SIZED)
def test_a_module_can_be_read_in_one_sitting(module: str) -> None:
    assert len(SIZED[module].read_text("utf-8").splitlines()) < MODULE_MAX_LINES


@pytest.mark.parametrize("module", SIZED)
def test_a_function_can_be_read_at_a_glance(module: str) -> None:
    for node in ast.walk(ast.parse(SIZED[module].read_text("utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines < FUNCTION_MAX_LINES, f"{node.name} has {lines} lines"


@pytest.mark.parametrize("module", FILES)
def test_a_module_says_what_it_is_for(module: str) -> None:
    text = ast.get_docstring(_tree(module))
    assert text
    assert text.split("\n")[0].endswith((".", ":")) or "\n\n" not in text.split(".")[0]


HARMLESS_CALLS = {
    "Annotated",
    "Field",
    "Literal",
    "TypeVar",
    "compile",  # re
    "frozenset",
    "range",
    "if_exception_type",
    "Omit",
    "ConfigDict",
    "UserLimits",
    "FeatureLimits",
    "BeforeValidator",
    "JSONEncoder",
    "_default",
    "AfterValidator",
    "Kind",
    "_starts",
    "_riff",
    "_brand",
}


@pytest.mark.parametrize("module", FILES)
def test_nothing_is_built_at_import_but_values(module: str) -> None:
    """No client, no loop, no lock, no environment, no clock at the top of a module."""
    for statement in _tree(module).body:
        if not isinstance(statement, (ast.Assign, ast.AnnAssign, ast.Expr)):
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func).rsplit(".", 1)[-1]
                assert called in HARMLESS_CALLS, f"{module}: {ast.unparse(node)[:80]}"


# A guard that ends the process at the first socket, and says which library is there too early
LOOK = """
import socket, sys

def refuse(*_, **__):
    raise SystemExit("a socket was opened")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
import main

early = [name for name in {names!r} if name in sys.modules]
print("early:", early)
from firerouter import serving

print("built:", serving.app.cache_info().currsize)
"""


def test_importing_main_opens_nothing_builds_nothing_and_loads_little() -> None:
    look = subprocess.run(
        [sys.executable, "-c", LOOK.format(names=NOT_AT_IMPORT)],
        cwd=FUNCTIONS,
        env={"PATH": "", "GCLOUD_PROJECT": "demo-import"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert look.returncode == 0, look.stderr
    assert "early: []" in look.stdout
    assert "built: 0" in look.stdout
