"""Every warning and error that the functions log is explained to whoever runs them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.repository import ROOT

FIREROUTER = ROOT / "functions" / "firerouter"
OPERATIONS = ROOT / "docs" / "operations.md"
LOGS = {"log.warning", "log.error", "error"}  # `error`: in the module `log` itself
Tree = ast.Module


def trees() -> dict[Path, Tree]:
    return {path: ast.parse(path.read_text("utf-8")) for path in FIREROUTER.rglob("*.py")}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def constants(all_trees: dict[Path, Tree]) -> dict[str, set[str]]:
    """The texts of each module-level constant."""
    found: dict[str, set[str]] = {}
    for tree in all_trees.values():
        for node in tree.body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                found.setdefault(ast.unparse(target), set()).update(texts(node.value))
    return found


def texts(node: ast.expr) -> set[str]:
    """The event names in a value: a text, or a tuple that has one."""
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    values = [part.value for part in parts if isinstance(part, ast.Constant)]
    return {value for value in values if isinstance(value, str)}


def event_of(name: str, call: ast.Call) -> ast.expr | None:
    """What a call logs: a warning's or an error's first argument, a store's last."""
    if name in LOGS and call.args:
        return call.args[0]
    if name == "translated":
        return call.args[-1]
    return None


def passed(tree: Tree, parameter: str) -> set[str]:
    """What the functions of a module get for a parameter that they log."""
    found: set[str] = set()
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        named = [one.arg for one in (*function.args.args, *function.args.kwonlyargs)]
        if parameter not in named:
            continue
        defaults = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
        values = [value for one, value in defaults if one.arg == parameter and value]
        for name, call in calls(tree):
            if name == function.name:
                values += [word.value for word in call.keywords if word.arg == parameter]
                values += call.args[named.index(parameter) : named.index(parameter) + 1]
        found.update(*map(texts, values))
    return found


def logged() -> set[str]:
    """The name of every warning and error."""
    all_trees = trees()
    known, found = constants(all_trees), set[str]()
    for path, tree in all_trees.items():
        for name, call in calls(tree):
            event = event_of(name, call)
            if isinstance(event, ast.Starred):
                event = event.value
            if event is None or isinstance(event, ast.JoinedStr):  # the alerts: see below
                continue
            names = texts(event)
            if isinstance(event, ast.Name):
                names = known.get(event.id) or passed(tree, event.id)
            assert names or path.match("firestore/errors.py"), f"{path.name}:{call.lineno}"
            found |= names
    return found


def explained() -> set[str]:
    page = OPERATIONS.read_text("utf-8")
    symptoms = page.partition("## When something is wrong")[2]
    cells = [row.split(" | ")[0] for row in symptoms.splitlines() if row.startswith("| ")]
    return set(re.findall(r"`(\w+)`", "\n".join(cells)))


def test_every_warning_and_error_of_the_log_is_explained() -> None:
    events = logged()
    assert {"upstream_failed", "schedule_failed", "key_unavailable", "unexpected"} <= events
    assert {"history_unavailable", "settings_unavailable", "edited_by_hand"} <= events
    missing = events - explained()
    assert not missing, f"operations.md does not explain {sorted(missing)}"


def test_every_alert_is_explained() -> None:
    kinds: set[str] = set()
    for tree in trees().values():
        for name, call in calls(tree):
            if name == "Alert":
                kinds.update(*(texts(word.value) for word in call.keywords if word.arg == "kind"))
    assert "ceiling" in kinds
    page = OPERATIONS.read_text("utf-8")
    assert not {kind for kind in kinds if f"| `alert_{kind}` |" not in page}
