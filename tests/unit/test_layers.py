"""What the architecture promises, read from the source: who imports whom, and when."""

import ast
import importlib
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
MODULE_MAX_LINES = 800
FUNCTION_MAX_LINES = 60

# The home of each foreign library: the rooms or modules below `firerouter` that may import it
HOMES: dict[str, tuple[str, ...]] = {
    "openai": ("openrouter.transport",),
    "tenacity": ("openrouter.retry",),
    "httpx2": ("openrouter.response", "openrouter.transport"),
    "aiohttp": ("openrouter.response",),
    "google.cloud.secretmanager_v1": ("keys.vault", "app.clients"),
    "google.cloud.storage": ("files.storage", "app.clients"),
    "google_crc32c": ("keys.vault",),
    "grpc": ("app.clients",),
    "firebase_admin": (
        "users.identity",
        "users.account_lookup",
        "users.account_watch",
        "delivery.queue",
        "app.clients",
    ),
    "jwt": ("users.identity",),
    "google.auth": ("app.clients", "users.token_replay", "users.identity", "users.account_lookup"),
    "jsonschema": ("contract.json_schema",),
    "referencing": ("contract.json_schema",),
    "firebase_functions": (),
    "httpx": (),
    "requests": (),
    "starlette": (),
    "flask": (),
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


ROW = re.compile(r"    ( \d|\d\d)  (\w+)  +\S")
FLOORS_MAX = 11
ROOMS_MAX = 22


def drawing() -> dict[str, int]:
    """Each room's floor, as the docstring of the package draws it."""
    rows = str(ast.get_docstring(_tree("firerouter.__init__"), clean=False)).split("\n")
    found = [match for row in rows if (match := ROW.match(row))]
    return {match[2]: int(match[1]) for match in found}


FLOORS = drawing()


def room(module: str) -> str:
    """The package, or the shared module, that a module belongs to."""
    return name(module).split(".")[1]


MODULES = [module for module in FILES if name(module) != "firerouter"]


def test_every_room_has_its_row_in_the_drawing() -> None:
    assert {room(module) for module in MODULES} == FLOORS.keys()
    assert len(FLOORS) <= ROOMS_MAX
    assert set(FLOORS.values()) == set(range(1, FLOORS_MAX + 1))


def test_the_architecture_page_shows_the_same_drawing() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rows = str(ast.get_docstring(_tree("firerouter.__init__"))).split("\n")
    drawn = "\n".join(row for row in rows if ROW.match(row))
    assert drawn in page


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    for imported in imports(module):
        if imported.startswith("firerouter.") and room(imported) != room(module):
            assert FLOORS[room(module)] > FLOORS[room(imported)], f"{module} imports {imported}"


@pytest.mark.parametrize("module", MODULES)
def test_a_package_is_imported_by_its_face(module: str) -> None:
    for node in ast.walk(_tree(module)):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        package = _package_of(module)
        parent = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
        parent = [part for part in parent if part]
        if len(parent) < 2 or parent[1] == room(module):
            continue
        assert len(parent) == 2, f"{module} imports {'.'.join(parent)} past its face"
        if f"{'.'.join(parent)}.__init__" in FILES:
            for alias in node.names:
                assert alias.name in face(parent[1]), f"{parent[1]} does not offer {alias.name}"


def face(package: str) -> tuple[str, ...]:
    """What a package says that it offers."""
    module = importlib.import_module(f"firerouter.{package}")
    return tuple(module.__all__)


@pytest.mark.parametrize("package", [p for p in FLOORS if f"firerouter.{p}.__init__" in FILES])
def test_a_face_offers_what_it_names(package: str) -> None:
    module = importlib.import_module(f"firerouter.{package}")
    for offered in face(package):
        try:
            getattr(module, offered)
        except AttributeError:  # a module that is imported as a whole
            importlib.import_module(f"firerouter.{package}.{offered}")


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


# Pure: loads no client of Google's, and no openai. Tried by importing it in a fresh process.
PURE = (
    "background",
    "contract.base",
    "contract.messages",
    "contract.prompts",
    "contract.response_format",
    "admin.limits",
    "admin.revisions",
    "conversations.history",
    "conversations.tree",
    "delivery.limits",
    "features.abilities",
    "features.app_settings",
    "features.defaults",
    "features.feature",
    "features.limits",
    "features.review",
    "features.routing",
    "features.selection",
    "features.settings",
    "features.template",
    "files.annotations",
    "files.file",
    "files.images",
    "files.placeholders",
    "files.file_plan",
    "firestore.paths",
    "firestore.pieces",
    "generation.estimate",
    "generation.judge",
    "generation.prompts",
    "generation.tool_turns",
    "keys.limits",
    "keys.secret",
    "keys.slots",
    "keys.source",
    "ledger.caps",
    "ledger.entry",
    "ledger.ids",
    "ledger.limits",
    "ledger.quotas",
    "models.ids",
    "models.limits",
    "models.model",
    "openrouter.annotations",
    "openrouter.answer",
    "openrouter.attempts",
    "openrouter.citations",
    "openrouter.client",
    "openrouter.deadline",
    "openrouter.embeddings",
    "openrouter.failures",
    "openrouter.file_annotations",
    "openrouter.generation_cost",
    "openrouter.images",
    "openrouter.json_fields",
    "openrouter.key_report",
    "openrouter.limits",
    "openrouter.readers",
    "openrouter.reasoning",
    "openrouter.requests",
    "openrouter.retry",
    "openrouter.requests",
    "openrouter.sse",
    "openrouter.stream",
    "openrouter.tool_calls",
    "openrouter.usage",
    "reports.histogram",
    "reports.limits",
    "reports.sums",
    "reports.usage_table",
)
HEAVY = (
    "google.cloud.firestore_v1",
    "google.api_core",
    "grpc",
    "openai",
    "firebase_admin",
    "aiohttp",
    "httpx2",
    "tenacity",
    "jwt",
)


def test_a_pure_module_loads_no_client() -> None:
    """One process for all of them: the first that loads a client is named."""
    look = f"""
import importlib, sys
for module in {PURE!r}:
    importlib.import_module(f"firerouter.{{module}}")
    loaded = [name for name in {HEAVY!r} if name in sys.modules]
    if loaded:
        raise SystemExit(f"{{module}} loads {{loaded}}")
"""
    found = subprocess.run(
        [sys.executable, "-c", look], cwd=FUNCTIONS, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr


def test_the_callable_wire_knows_nothing_of_ours() -> None:
    inside = [module for module in FILES if module.startswith("firerouter.callable.")]
    assert inside
    for module in inside:
        ours = {found for found in imports(module) if found.startswith("firerouter")}
        assert all(found.startswith("firerouter.callable") for found in ours), f"{module}: {ours}"


@pytest.mark.parametrize("library", HOMES)
def test_a_foreign_library_has_one_home(library: str) -> None:
    homes = tuple(f"firerouter.{home}" for home in HOMES[library])
    users = {
        name(module)
        for module in FILES
        for found in imports(module)
        if found == library or found.startswith(f"{library}.")
    }
    strangers = {u for u in users if not any(u == h or u.startswith(f"{h}.") for h in homes)}
    assert not strangers
    assert bool(users) == bool(homes)


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
    "BodyLimits",
    "Decimal",
    "OutputPlan",
    "LaterRequests",
    "Annotated",
    "Field",
    "Literal",
    "TypeVar",
    "compile",  # re
    "datetime",
    "frozenset",
    "fromkeys",  # of a dict
    "range",
    "if_exception_type",
    "Omit",
    "ConfigDict",
    "UserLimits",
    "FeatureLimits",
    "LimitsOverride",
    "Ceiling",
    "Reserve",
    "Payer",
    "Retention",
    "BeforeValidator",
    "JSONEncoder",
    "Feature",
    "FeatureSettings",
    "AfterValidator",
    "PlainSerializer",
    "Kind",
    "Matches",
    "_starts",
    "_riff",
    "_brand",
    "lazily",
    "DeployedFunction",
    "Queue",
    "Resources",
    "Schedule",
    "Delta",
    "Row",
    "int",
    "pb",  # the message type below one of the Firestore client's wrappers
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
from firerouter.app import edge

print("built:", edge.app.cache_info().currsize)
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
