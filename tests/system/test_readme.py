"""The README's examples work as printed, on the addresses of the suite that runs the tests.

The official Firebase SDK runs them under Node, in the order in which the README shows them.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from scripts.devtools.callable_client import CallableClient
from scripts.devtools.ports import LOOPBACK, Ports, read_config
from scripts.devtools.seed import create_documents
from scripts.devtools.suite import Suite

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```js\n// (\w+\.mjs)\n(.*?)```", README, re.DOTALL)
SHOWN_USER, PASSWORD = "user@demo.test", "firerouter"
USER = "readme@demo.test"  # its own account: the number of requests a minute is limited
ENDS_WITHIN_S = 60
STEADY_TOKENS = 1_000  # of sim/steady, when nobody stops it

# What the README says of a client that aborts, in the words of its own examples
ABORT = """
import { httpsCallable } from "firebase/functions";
import { functions, signIn } from "./firebase.mjs";

await signIn("user@demo.test");
const executePrompt = httpsCallable(functions, "execute_prompt");
const stopGeneration = httpsCallable(functions, "stop_generation");

const requestId = crypto.randomUUID();
const leaving = new AbortController();
const request = { feature: "story", prompt: "Tell me a long story.", requestId };
const { stream, data } = await executePrompt.stream(request, { signal: leaving.signal });
const seen = [];
try {
  for await (const frame of stream) {
    seen.push(frame.type);
    if (frame.type === "text") leaving.abort();
  }
} catch (error) {
  seen.push(error.code);
}
await data.catch((error) => seen.push(error.code));
await new Promise((resolve) => setTimeout(resolve, 2000));
const stopped = (await stopGeneration({ requestId })).data;
console.log(JSON.stringify({ seen, stopped }));
"""

# The examples that stream, with a feature whose answers break off in the middle
CUT = "readme-cut"
STREAMING = {"ask.mjs": "chat", "stop.mjs": "story", "compare.mjs": "story"}

Run = Callable[[str], str]


@pytest.fixture(scope="module")
def run(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Write the README's files and return a function that runs one of them: its output."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "node_modules").symlink_to(ROOT / "node_modules")
    standard = Ports.standard(read_config(ROOT))
    printed = {
        f'"http://{LOOPBACK}:{standard.app_check}/token"': f'"http://{suite.app_check_host}/token"',
        f'"http://{LOOPBACK}:{standard.auth}"': f'"http://{suite.auth_host}"',
        f'"{LOOPBACK}", {standard.functions}': f'"{LOOPBACK}", {suite.ports.functions}',
    }
    cut = {"enabled": True, "revision": 1, "settings": {"model": "sim/cut-mid-stream"}}
    create_documents(suite.firestore_host, suite.project, {f"features/{CUT}": cut})
    failing = [
        (f"cut-{name}", code.replace(f'feature: "{STREAMING[name]}"', f'feature: "{CUT}"'))
        for name, code in BLOCKS
        if name in STREAMING
    ]
    for name, code in [*BLOCKS, *failing, ("abort.mjs", ABORT)]:
        if name == "firebase.mjs":
            for address, here in printed.items():
                assert code.count(address) == 1, f"{address} is not what {name} connects to"
                code = code.replace(address, here)  # noqa: PLW2901
        (folder / name).write_text(code.replace(SHOWN_USER, USER), "utf-8")
    identity = f"http://{suite.auth_host}/identitytoolkit.googleapis.com/v1"
    account = {"email": USER, "password": PASSWORD}
    sign_up = f"{identity}/accounts:signUp?key=local"
    httpx.post(sign_up, json=account, timeout=30, trust_env=False).raise_for_status()

    def run(name: str) -> str:
        node = shutil.which("node")
        assert node is not None
        done = subprocess.run(
            [node, name],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=ENDS_WITHIN_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def story(run: Run) -> str:
    """Create the feature that the later examples use; what that printed."""
    return run("feature.mjs")


def test_every_example_is_a_file_and_each_is_run_below() -> None:
    assert README.count("```js") == len(BLOCKS)
    assert [name for name, _ in BLOCKS] == [
        *("firebase.mjs", "ask.mjs", "feature.mjs", "stop.mjs", "compare.mjs"),
    ]


async def test_the_printed_answer_is_the_real_one(client: CallableClient) -> None:
    question, text, model, tokens = re.findall(
        r'--ask "(.*?)"\n(This is .*)\n(\S+) · (\d+) tokens', README
    )[0]
    result = await client.call("execute_prompt", {"feature": "chat", "prompt": question})
    assert (result["text"], result["model"]) == (text, model)
    assert result["usage"]["totalTokens"] == int(tokens)


def test_an_answer_streams(run: Run) -> None:
    output = run("ask.mjs")
    deltas, _, result = output.partition("{\n")
    assert len(deltas.splitlines()) > 1
    assert "You asked: Hello" in result
    assert "finishReason: 'stop'" in result


@pytest.mark.parametrize("name", ["ask.mjs", "stop.mjs"])
def test_an_example_holds_when_its_stream_breaks_off(run: Run, name: str) -> None:
    """A rejection that nobody handles would end the process with an error."""
    deltas, _, failure = run(f"cut-{name}").partition("{\n")
    assert deltas.strip()
    assert "reason: 'stream_cut'" in failure
    assert "message: 'The answer was cut off. Please try again.'" in failure


def test_an_example_holds_when_its_stream_never_begins(run: Run) -> None:
    assert "reason: 'model_not_allowed'" in run("cut-compare.mjs")


def test_an_admin_creates_a_feature(story: str) -> None:
    assert story == "story 1\n"


@pytest.mark.usefixtures("story")
def test_an_answer_is_stopped(run: Run) -> None:
    output = run("stop.mjs")
    assert "finishReason: 'stopped'" in output
    assert 0 < output.count("\nstep-") < STEADY_TOKENS


@pytest.mark.usefixtures("story")
def test_a_comparison_is_stopped_with_one_call(run: Run) -> None:
    output = run("compare.mjs")
    assert "\n1 " in output, "the second model streamed nothing"
    assert output.count("\n0 step-") < STEADY_TOKENS
    reasons, _, cost = output.rstrip().rpartition("]")
    assert "[ 'stopped', 'stop' " in f"\n{reasons}"
    assert json.loads(cost) == 0


@pytest.mark.usefixtures("story")
def test_an_abort_ends_nothing_through_the_emulator_and_a_stop_does(run: Run) -> None:
    """If this fails because the answer has ended, the pages on stopping have to change."""
    outcome = json.loads(run("abort.mjs"))
    assert "functions/cancelled" in outcome["seen"]
    assert (outcome["stopped"]["stopped"], outcome["stopped"]["status"]) == (True, "running")
