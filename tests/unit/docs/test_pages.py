"""The pages of the documentation agree with the code: anchors, names, commands, drawings."""

import ast
import hashlib
import hmac
import json
import re
import subprocess
from pathlib import Path

import pytest

from firerouter.app import FUNCTIONS as DEPLOYED
from firerouter.app.callables import RESOURCES, Schedule
from scripts.devtools.dev import welcome
from scripts.devtools.suite import Suite

ROOT = Path(__file__).parents[3]
FUNCTIONS = ROOT / "functions"
README = ROOT / "README.md"
DOCS = ROOT / "docs"
OPERATIONS = DOCS / "operations.md"
ARCHITECTURE = DOCS / "architecture.md"
CHANGELOG = ROOT / "CHANGELOG.md"
PAGES = [README, CHANGELOG, *sorted(DOCS.glob("*.md"))]
NAMING = [README, CHANGELOG, OPERATIONS, DOCS / "reliability.md", DOCS / "free-models-guide.md"]


def source() -> str:
    """All of our own source text."""
    folders = [FUNCTIONS / "firerouter", ROOT / "scripts"]
    files = [FUNCTIONS / "main.py", *(file for folder in folders for file in folder.rglob("*.py"))]
    return "\n".join(file.read_text("utf-8") for file in files)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-").strip("-")
        for heading in headings
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_anchor_exists(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text("utf-8")):
        linked = page if not target else page.parent / target
        assert anchor in anchors(linked), f"{page.name} links to {target}#{anchor}"


@pytest.mark.parametrize("page", NAMING, ids=lambda page: page.name)
def test_every_name_is_one_that_the_code_uses(page: Path) -> None:
    text, code = page.read_text("utf-8"), source()
    names = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", text))
    unknown = {name for name in names if not re.search(rf"\b{name}\b", code)}
    assert not unknown, f"{page.name} names {sorted(unknown)}"


def test_the_readme_counts_the_functions_that_are_deployed() -> None:
    stated = re.search(
        r"(\d+) functions are created at once, and (\d+) of them ask for up to (\d+) instances",
        README.read_text("utf-8"),
    )
    assert stated
    most = [one.trigger.instances_max for one in DEPLOYED if isinstance(one.trigger, Schedule)]
    many = RESOURCES.instances_max
    assert most
    assert all(few < many for few in most)
    assert [int(number) for number in stated.groups()] == [
        len(DEPLOYED),
        len(DEPLOYED) - len(most),
        many,
    ]


def test_each_way_past_a_limit_is_held_by_a_test() -> None:
    text = ARCHITECTURE.read_text("utf-8")
    _, table, *_ = text.partition("How far a limit can be exceeded")[2].split("\n\n")
    named = [re.findall(r"`(test_\w+)`", row.rpartition(" | ")[2]) for row in table.split("\n")[2:]]
    tests = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert named
    for row in named:
        assert row, "a row names no test"
        assert all(f"def {name}(" in tests for name in row), row


def firebase_commands() -> list[str]:
    """`firebase ...`, in a block or in a line of text."""
    text = "\n".join(page.read_text("utf-8") for page in NAMING)
    shown = re.findall(r"(?:`|^ *)firebase ([a-z][^`\n]*)", text, re.MULTILINE)
    return sorted(set(shown))


@pytest.mark.parametrize("command", firebase_commands())
def test_firebase_tools_has_each_command_and_its_options(command: str) -> None:
    name, *_ = command.split()
    file = ROOT / "node_modules/firebase-tools/lib/commands" / f"{name.replace(':', '-')}.js"
    assert file.exists(), f"firebase {name} does not exist"
    for option in set(re.findall(r"--[a-z-]+", command)) - {"--project"}:
        assert option in file.read_text("utf-8"), f"firebase {name} has no {option}"


def test_what_dev_prints_is_what_it_prints() -> None:
    shown = re.search(r"\$ \./scripts/dev\n(.*?)\n```", README.read_text("utf-8"), re.DOTALL)
    assert shown
    printed = welcome(Suite(ROOT, "dev").addresses(), Path(".local/log"))
    assert shown[1].strip() == printed.strip()


# -- operations --------------------------------------------------------------------------------


def test_every_command_can_be_pasted_into_a_shell() -> None:
    blocks = re.findall(r"```(\w+)\n(.*?)```", OPERATIONS.read_text("utf-8"), re.DOTALL)
    assert {language for language, _ in blocks} == {"sh", "json"}
    for language, block in blocks:
        if language == "json":
            json.loads(block)
        if language != "sh":
            continue
        assert not block.startswith("$ ")
        subprocess.run(["bash", "-n"], input=block, text=True, check=True, timeout=10)


def test_the_buckets_configuration_is_json_and_deletes_nothing_but_users_files() -> None:
    written = re.findall(r"<<'END'\n(.*?)\nEND\n", OPERATIONS.read_text("utf-8"), re.DOTALL)
    lifecycle, cors = (json.loads(text) for text in written)
    (rule,) = lifecycle["rule"]
    assert rule["action"] == {"type": "Delete"}
    assert rule["condition"] == {"daysSinceCustomTime": 7, "matchesPrefix": ["users/"]}
    assert set(cors[0]["method"]) == {"GET", "PUT"}


def test_a_hash_is_found_with_the_printed_command() -> None:
    """As `users.pseudonyms` computes it: HMAC-SHA256 of `user`, NUL, the UID; 32 digits."""
    found = re.search(r"^(printf 'user.*)$", OPERATIONS.read_text("utf-8"), re.MULTILINE)
    assert found
    uid, secret = "uid-1", "0123456789abcdef" * 4
    done = subprocess.run(
        ["bash", "-c", found[1]],
        env={"PATH": "/usr/bin:/bin:/usr/local/bin", "USER_ID": uid, "SECRET": secret},
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    )
    expected = hmac.new(secret.encode(), f"user\0{uid}".encode(), hashlib.sha256).hexdigest()
    assert done.stdout.strip() == expected[:32]


# -- architecture ------------------------------------------------------------------------------


def drawing(text: str) -> list[str]:
    """The rows of a drawing: a floor, a package, what it is."""
    rows = re.findall(r"^ +(\d+  \w+ {2,}\S.*)$", text, re.MULTILINE)
    return [" ".join(row.split()) for row in rows]


def test_the_drawing_is_that_of_the_code() -> None:
    package = ast.parse((FUNCTIONS / "firerouter" / "__init__.py").read_text("utf-8"))
    code = drawing(ast.get_docstring(package, clean=False) or "")
    assert len(code) > 10
    assert drawing(ARCHITECTURE.read_text("utf-8")) == code


def test_the_table_of_packages_names_every_module() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", ARCHITECTURE.read_text("utf-8"), re.MULTILINE)
    packages = {name: text for name, text in rows if (FUNCTIONS / "firerouter" / name).is_dir()}
    assert len(packages) > 10
    for name, text in packages.items():
        modules = {file.stem for file in (FUNCTIONS / "firerouter" / name).glob("*.py")}
        named = set(re.findall(r"`(\w+)`", text))
        assert not (unknown := named - modules - {"api"}), f"{name} has no {sorted(unknown)}"
        if name != "contract":  # one module per subject, which the reference names
            missing = modules - named - {"__init__", "limits"}
            assert not missing, f"the row of {name} does not name {sorted(missing)}"
