"""A deployed process that finds an address of an emulator in its environment ends, and says so."""

import subprocess
from pathlib import Path

import pytest

from scripts.devtools.function_server import FUNCTIONS, FunctionServer
from scripts.devtools.http_server import RESPONDS_WITHIN_S
from scripts.devtools.ports import is_listening

DEPLOYED = {"K_SERVICE": "api", "K_REVISION": "api-00001", "K_CONFIGURATION": "api"}


@pytest.mark.parametrize(
    ("stray", "named"),
    [
        ({"OPENROUTER_BASE_URL": "https://evil.example/api/v1"}, "OPENROUTER_BASE_URL"),
        (
            {"FUNCTIONS_EMULATOR": "true", "FIREBASE_AUTH_EMULATOR_HOST": "evil.example:9099"},
            "FUNCTIONS_EMULATOR",
        ),
    ],
)
def test_a_deployed_process_with_a_stray_env_file_does_not_serve_and_says_why(
    tmp_path: Path, stray: dict[str, str], named: str
) -> None:
    log = tmp_path / "log"
    environment = {**DEPLOYED, **stray}
    with FunctionServer("execute_prompt", FUNCTIONS, log=log, environment=environment) as server:
        try:
            status = server.process.wait(RESPONDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            pytest.fail(f"it serves:\n{log.read_text()}")
    assert status != 0
    said = log.read_text()
    assert "EnvironmentRefused" in said
    assert named in said
    assert not is_listening(server.port)
