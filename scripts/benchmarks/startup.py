"""The time from the start of a process to its first token, and what it imports on the way."""

import re
import statistics
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from scripts.benchmarks.bench import BASELINE, FRAMES, Bench
from scripts.benchmarks.http_callers import post
from scripts.benchmarks.plan import Plan
from scripts.benchmarks.report import Imported, Row, Table
from scripts.devtools.function_server import FUNCTIONS
from scripts.devtools.seed import ADMIN_UID

PROMPT: Final = "Say something of a few words."
PACKAGES_SHOWN: Final = 12
LINE: Final = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \| (\s*)(\S+)$")
TOKEN: Final = FRAMES["token"].encode()


def measure(bench: Bench, plan: Plan, table: Table) -> None:
    """Start fresh processes, interleaved with the bare function's."""
    found: dict[str, list[float]] = {"ours": [], "bare": []}
    for _ in range(plan.starts):
        found["ours"].append(_start_ours(bench))
        found["bare"].append(_start_bare(bench))
    table.add(
        Row(
            "process start to first streamed token, s (with compiled files)",
            ours=statistics.median(found["ours"]),
            bare=statistics.median(found["bare"]),
        )
    )
    if not plan.uncompiled:
        return
    with tempfile.TemporaryDirectory() as empty:
        # Python looks for compiled files there, and finds none
        uncompiled = {"PYTHONPYCACHEPREFIX": empty, "PYTHONDONTWRITEBYTECODE": "1"}
        table.add(
            Row(
                "the same, without compiled files, s",
                ours=_start_ours(bench, uncompiled),
                bare=_start_bare(bench, uncompiled),
            )
        )


def measure_imports(bench: Bench, table: Table) -> None:
    """Measure what each function has imported by the time of its first answer."""
    seen = {}
    for target, data, claims, sign in (
        ("execute_prompt", {"feature": "bench", "prompt": PROMPT, "model": "sim/fast"}, {}, TOKEN),
        # an admin call looks up the account, so it has to exist
        ("test_openrouter_connection", {}, {"admin": True, "sub": ADMIN_UID}, b'"valid":true'),
    ):
        with bench.serving(
            target, FUNCTIONS, {"PYTHONPROFILEIMPORTTIME": "1"}, wait=False
        ) as server:
            request = bench.callers.fresh(**claims)(server.port, data, stream=True)
            server.seconds_until(request, sign)
            seen[target] = read_imports(server.log.read_text("utf-8", "replace").splitlines())
    ours, other = seen["execute_prompt"], seen["test_openrouter_connection"]
    ordered = sorted(ours.values(), key=lambda package: -package.with_children_us)
    for package in ordered[:PACKAGES_SHOWN]:
        same = other.get(package.name, Package(package.name))
        table.imports.append(
            Imported(
                package.name,
                package.modules,
                package.self_us / 1000,
                package.with_children_us / 1000,
                same.self_us / 1000,
            )
        )
    for name, packages in seen.items():
        total_s = sum(package.self_us for package in packages.values()) / 1e6
        modules = sum(package.modules for package in packages.values())
        table.note(
            f"{name} imports {modules:,} modules, {total_s:.1f} s with the profiler's overhead"
        )
    for one, but in (("execute_prompt", other), ("test_openrouter_connection", ours)):
        only = sorted(_own_modules(seen[one]) - _own_modules(but))
        table.note(f"Firerouter modules that only {one} imports: {', '.join(only) or 'nothing'}")


def _start_ours(bench: Bench, env: Mapping[str, str] | None = None) -> float:
    data = {"feature": "bench", "prompt": PROMPT, "model": "sim/fast"}
    write = bench.callers.fresh()
    with bench.serving("execute_prompt", FUNCTIONS, env, wait=False) as server:
        return server.seconds_until(write(server.port, data, stream=True), TOKEN)


def _start_bare(bench: Bench, env: Mapping[str, str] | None = None) -> float:
    body: dict[str, Any] = {"model": "sim/fast", "messages": [{"role": "user", "content": PROMPT}]}
    with bench.serving("relay", BASELINE, env, wait=False) as server:
        request = post(server.port, "/", {"data": body}, stream=True)
        return server.seconds_until(request, TOKEN)


@dataclass(slots=True)
class Package:
    """The import times of a package; `with_children_us` includes what it imported first."""

    name: str
    modules: int = 0
    self_us: int = 0
    with_children_us: int = 0
    names: tuple[str, ...] = ()


def read_imports(lines: Iterable[str]) -> dict[str, Package]:
    """Add up the output of `python -X importtime` by package.

    Children precede their parents and are indented, so the lines are read backwards. Imports of two
    threads are mixed up in the output; the sums of `self` are right nevertheless.
    """
    packages: dict[str, Package] = {}
    above: list[tuple[int, str]] = []
    for line in reversed(list(lines)):
        found = LINE.search(line)
        if found is None:
            continue
        depth, module = len(found[3]), found[4]
        name = package_of(module)
        package = packages.setdefault(name, Package(name))
        package.modules += 1
        package.self_us += int(found[1])
        package.names += (module,)
        while above and above[-1][0] >= depth:
            above.pop()
        if all(parent != name for _, parent in above):
            package.with_children_us += int(found[2])
        above.append((depth, name))
    return packages


def package_of(module: str) -> str:
    """Return a module's package, roughly by distribution: `google` contains many."""
    parts = module.split(".")
    if parts[0] != "google":
        return parts[0]
    return ".".join(parts[: 3 if parts[1:2] == ["cloud"] else 2])


def _own_modules(packages: Mapping[str, Package]) -> set[str]:
    own = packages.get("firerouter", Package("firerouter")).names
    return {name.partition(".")[2] for name in own}
