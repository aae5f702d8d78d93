"""What is deployed is pinned, all of it, and is what the tests ran with."""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from tests.support.repository import ROOT


def requirements(path: Path) -> list[Requirement]:
    lines = [line.partition("#")[0].strip() for line in path.read_text().splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("-r")]


DEPLOYED = requirements(ROOT / "functions" / "requirements.txt")
DEVELOPMENT = requirements(ROOT / "requirements.txt")


def name_of(requirement: Requirement) -> str:
    return re.sub(r"[-_.]+", "-", requirement.name).lower()


def test_every_requirement_is_pinned_to_what_is_installed() -> None:
    for requirement in (*DEPLOYED, *DEVELOPMENT):
        assert str(requirement.specifier) == f"=={metadata.version(requirement.name)}"


def test_the_deployed_list_holds_all_that_its_packages_need() -> None:
    """The deploy build takes the newest of whatever is not pinned."""
    pinned = {name_of(requirement) for requirement in DEPLOYED}
    for requirement in DEPLOYED:
        extras = {"", *requirement.extras}
        for needed in map(Requirement, metadata.requires(requirement.name) or ()):
            marker = needed.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
                assert name_of(needed) in pinned, f"{requirement.name} needs {needed}"


def test_what_only_development_needs_is_not_deployed() -> None:
    assert not {name_of(r) for r in DEPLOYED} & {name_of(r) for r in DEVELOPMENT}


def test_the_pins_fit_together() -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout
