"""`./scripts/free-models`: which models it asks, how often, and what it prints."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from firerouter.keys.secret import Secret
from firerouter.models.model import read_models
from firerouter.openrouter import OpenRouter
from scripts.devtools.cli_errors import FAILED, INTERRUPTED, NOT_SET_UP, USAGE
from scripts.free_models import __main__ as cli
from scripts.free_models import survey
from scripts.free_models.survey import DEFAULTS, ONE_TRY, ask, free_models
from tests.support.openrouter_standin import Server, serving
from tests.support.repository import ROOT

SCRIPT = ROOT / "scripts" / "free-models"
CANARY = "sk-or-v1-canary-0123456789"
PAGE = b"# Mine\r\n\r\nkept \xe2\x80\x94 \xff\n%b\nold table\n%b\nkept too"
MARKERS = (cli.SECTION.begin.encode(), cli.SECTION.end.encode())


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("--token-delay-ms", "1") as started:
        yield started


@pytest.fixture
async def openrouter(server: Server) -> AsyncIterator[OpenRouter]:
    """A client of the stand-in, which remembers no request."""
    httpx.delete(f"{server.url}/sim/requests", trust_env=False).raise_for_status()
    client = OpenRouter(base_url=server.api, limits=ONE_TRY)
    yield client
    await client.close()


def run(*arguments: str) -> int:
    async def sleep(_: float) -> None:
        """No time passes."""

    return cli.main(arguments, sleep=sleep)


def rows(text: str) -> dict[str, list[str]]:
    """The table's rows by model: context, answered, first token, total."""
    found = re.findall(r"^\| `(.+?)` \| (.*) \|$", text, re.MULTILINE)
    return {id_: cells.split(" | ") for id_, cells in found}


# Which models


def listed(id_: str, created: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "canonical_slug": id_.partition(":")[0],
        "created": created,
        "pricing": {"prompt": "0", "completion": "0"},
        "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
    } | changes


def picked(*entries: dict[str, Any]) -> list[str]:
    models, skipped = read_models(entries)
    assert not skipped
    return [model.id for model in free_models(models)]


def test_the_defaults_come_first_and_then_the_newest_models() -> None:
    old, new = listed("a/old:free", 10), listed("b/new:free", 20)
    assert picked(old, new, *map(listed, DEFAULTS)) == [*DEFAULTS, "b/new:free", "a/old:free"]


@pytest.mark.parametrize(
    "entry",
    [
        listed("a/paid", pricing={"prompt": "0.000001", "completion": "0"}),
        listed("a/per-search", pricing={"prompt": "0", "completion": "0", "web_search": "0.01"}),
        listed("a/dynamic", pricing={"prompt": "-1", "completion": "-1"}),
        listed("a/queued:batch"),
        listed("a/drawing:free", architecture={"output_modalities": ["image"]}),
        listed("a/vectors", architecture={"output_modalities": ["embeddings"]}),
        listed("openrouter/another-router"),
        listed("~a/model-latest"),
    ],
    ids=lambda entry: entry["id"],
)
def test_only_free_models_that_answer_themselves_with_text_are_asked(entry: dict[str, Any]) -> None:
    assert picked(entry, listed("a/free:free")) == ["a/free:free"]


def test_two_variants_of_a_model_are_asked_once() -> None:
    assert picked(listed("a/b:free"), listed("a/b"), listed("a/c:free")) == ["a/b", "a/c:free"]


# Against the stand-in


@pytest.mark.parametrize(
    ("id_", "outcome"),
    [
        ("sim/fast", "yes"),
        ("sim/length-no-text", "yes"),  # it reasoned
        ("sim/json-for-sse", "yes"),
        ("sim/empty", "empty_answer"),
        ("sim/429", "rate_limited"),
        ("sim/429-free-daily", "free_daily_limit"),
        ("sim/503", "upstream_busy"),
        ("sim/524", "upstream_timeout"),
        ("sim/reset", "upstream_unreachable"),
        ("sim/cut-mid-stream", "stream_cut"),
        ("sim/html-for-sse", "upstream_malformed"),
        ("sim/error-first", "upstream_busy"),
        ("sim/silent", "not within 3 s"),
        ("sim/comments-only", "not within 3 s"),
        ("sim/stall", "not within 3 s"),
    ],
)
async def test_a_model_is_asked_once_whatever_it_answers(
    server: Server,
    openrouter: OpenRouter,
    monkeypatch: pytest.MonkeyPatch,
    id_: str,
    outcome: str,
) -> None:
    monkeypatch.setattr(survey, "DEADLINE_S", 3.0)  # of those that answer: a busy machine's
    (model,), _ = read_models([listed(id_)])
    row = await ask(openrouter, Secret(CANARY), model)
    assert row.outcome == outcome
    assert (row.total_ms is None) == (outcome != "yes")
    assert row.total_ms is None or 0 <= (row.first_token_ms or 0) <= row.total_ms < 10_000
    asked = httpx.get(f"{server.url}/sim/requests", trust_env=False).json()
    assert [record["body"]["model"] for record in asked] == [id_]


# Against responses that the stand-in never gives


class Fake:
    """An OpenRouter whose responses are given: (status, JSON) by path."""

    def __init__(self) -> None:
        free = {"used": 40, "limit": 50, "remaining": 10}
        self.key: tuple[int, Any] = (200, {"data": {"free_model_daily_requests": free}})
        self.models: tuple[int, Any] = (200, {"data": [listed(f"a/m{n}:free") for n in range(9)]})
        self.chat: tuple[int, Any] = (200, {"choices": [{"message": {"content": "Hello"}}]})
        self.seen: list[tuple[str, str | None]] = []  # path, Authorization

    def free_left(self, left: Any) -> None:
        self.key = (200, {"data": {"free_model_daily_requests": {"remaining": left}}})

    @property
    def questions(self) -> int:
        return sum(path.endswith("/chat/completions") for path, _ in self.seen)

    def answer(self, path: str, authorization: str | None) -> tuple[int, Any]:
        self.seen.append((path, authorization))
        return {"/key": self.key, "/models": self.models}.get(path, self.chat)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """Takes the place of the real OpenRouter; the canary is the key."""
    fake = Fake()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, document = fake.answer(self.path, self.headers["Authorization"])
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.05,)).start()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv(cli.VARIABLE, f" {CANARY}\n")
        monkeypatch.setattr(cli, "OPENROUTER", f"http://127.0.0.1:{http.server_port}")
        yield fake
        http.shutdown()


def test_the_key_is_sent_to_openrouter_but_not_for_the_public_list(
    fake: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--max", "1") == 0
    bearer = f"Bearer {CANARY}"
    assert fake.seen == [("/key", bearer), ("/models", None), ("/chat/completions", bearer)]
    said = capsys.readouterr()
    assert re.match(r"Measured on \d{4}-\d\d-\d\d at \d\d:\d\d UTC: ", said.out)
    assert list(rows(said.out)) == ["a/m0:free"]
    assert not said.err


def test_the_requests_keep_their_distance(fake: Fake) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    assert cli.main(["--max", "3"], sleep=sleep) == 0
    assert slept == [survey.GAP_S] * 2
    assert survey.GAP_S > 60 / 20  # OpenRouter's limit for free models


@pytest.mark.parametrize("left", [3, 1])
def test_no_more_models_are_asked_than_the_account_has_requests_left(fake: Fake, left: int) -> None:
    fake.free_left(left)
    assert run() == 0
    assert fake.questions == left


@pytest.mark.parametrize("left", [0, -2])
def test_an_account_without_requests_left_is_asked_nothing(
    fake: Fake, capsys: pytest.CaptureFixture[str], left: int
) -> None:
    fake.free_left(left)
    assert run() == FAILED
    assert not fake.questions
    said = capsys.readouterr()
    assert not said.out
    assert "free_daily_limit" in said.err


@pytest.mark.parametrize("left", [None, "10", 1.5, True])
def test_a_key_report_may_not_say_what_is_left(fake: Fake, left: Any) -> None:
    fake.free_left(left)
    assert run("--max", "2") == 0
    assert fake.questions == 2


ECHO = {"error": {"code": 401, "message": f"bad key {CANARY}", "metadata": {"raw": CANARY}}}
NO_KEY = {"error": {"code": 401, "message": f"bad key {CANARY}"}}  # OpenRouter's own words


@pytest.mark.parametrize(
    ("key", "models", "reason"),
    [
        ((401, NO_KEY), None, "key_invalid"),
        ((500, ECHO), None, "upstream_busy"),
        ((200, [CANARY]), None, "upstream_malformed"),
        (None, (200, {"data": CANARY}), "upstream_malformed"),
        (None, (503, ECHO), "upstream_busy"),
    ],
)
def test_one_sentence_says_why_nothing_can_be_measured(
    fake: Fake,
    capsys: pytest.CaptureFixture[str],
    key: tuple[int, Any] | None,
    models: tuple[int, Any] | None,
    reason: str,
) -> None:
    fake.key, fake.models = key or fake.key, models or fake.models
    assert run() == FAILED
    assert not fake.questions
    said = capsys.readouterr()
    assert reason in said.err
    assert not said.out
    assert CANARY not in said.err


@pytest.mark.parametrize("status", [401, 402, 403, 429, 502])
def test_the_key_is_never_shown_whatever_openrouter_answers(
    fake: Fake, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    fake.chat = (status, NO_KEY if status == 401 else ECHO)
    assert run("--max", "2") == 0
    assert fake.questions == (1 if status in {401, 402} else 2)  # those are true of all models
    said = capsys.readouterr()
    assert CANARY not in said.out + said.err


def test_the_key_is_in_no_traceback(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: Any) -> Any:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(survey, "ChatRequest", broken)
    with pytest.raises(RuntimeError) as error:
        run()
    assert CANARY not in "".join(traceback.format_exception(error.value))


def test_an_unreachable_openrouter_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv(cli.VARIABLE, CANARY)
    monkeypatch.setattr(cli, "OPENROUTER", "http://127.0.0.1:9")
    assert run() == FAILED
    assert "upstream_unreachable" in capsys.readouterr().err


def test_ctrl_c_leaves_what_has_been_measured(fake: Fake) -> None:
    code = (
        # a shell that runs the tests in the background has it ignored
        "import signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from scripts.free_models import __main__ as cli\n"
        f"cli.OPENROUTER = {cli.OPENROUTER!r}\nsys.exit(cli.main([]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'functions'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        lines: list[str] = []
        while not rows("".join(lines)):
            lines.append(process.stdout.readline())
        process.send_signal(signal.SIGINT)  # in the pause before the next model
        _, error = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == INTERRUPTED
    assert list(rows("".join(lines))) == ["a/m0:free"]
    assert not error


@pytest.mark.parametrize("most", ["51", "0", "²", "-1"])
def test_more_models_than_an_account_may_ask_are_refused(most: str) -> None:
    with pytest.raises(SystemExit) as refused:
        run("--max", most)
    assert refused.value.code == USAGE


# The file


def test_the_rest_of_the_file_stays_as_it_is_byte_for_byte(fake: Fake, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_bytes(PAGE % MARKERS)
    for _ in range(2):  # what it wrote, it finds again
        assert run("--max", "2", "--write", str(page)) == 0
        before, table, after = re.split(b"|".join(map(re.escape, MARKERS)), page.read_bytes())
        assert before + after == re.sub(rb"%b\nold table\n%b", b"", PAGE)
        assert list(rows(table.decode())) == ["a/m0:free", "a/m1:free"]
        assert b"old table" not in table


@pytest.mark.parametrize(
    "text",
    [
        b"",
        MARKERS[0],
        MARKERS[1],
        MARKERS[1] + MARKERS[0],
        MARKERS[0] * 2 + MARKERS[1],
        MARKERS[0] + MARKERS[1] * 2,
    ],
)
def test_a_file_without_both_markers_is_refused_before_anything_is_asked(
    fake: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: bytes
) -> None:
    page = tmp_path / "page.md"
    page.write_bytes(text)
    assert run("--write", str(page)) == NOT_SET_UP
    assert not fake.seen
    assert page.read_bytes() == text
    assert cli.SECTION.begin in capsys.readouterr().err


def test_the_old_table_stays_if_nothing_was_measured(fake: Fake, tmp_path: Path) -> None:
    fake.free_left(0)
    page = tmp_path / "page.md"
    page.write_bytes(PAGE % MARKERS)
    assert run("--write", str(page)) == FAILED
    assert page.read_bytes() == PAGE % MARKERS


# Without a key


def test_a_missing_key_is_reported_with_where_to_get_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(cli.VARIABLE, " ")
    assert run() == NOT_SET_UP
    assert "Set it to a key from https://openrouter.ai" in capsys.readouterr().err


@pytest.mark.parametrize("key", [f"{CANARY}\nx", f"{CANARY} x", f"{CANARY}é"])
def test_a_value_that_cannot_be_a_key_is_neither_sent_nor_shown(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    monkeypatch.setenv(cli.VARIABLE, key)
    assert run() == NOT_SET_UP
    assert not fake.seen
    said = capsys.readouterr()
    assert CANARY not in said.out + said.err


def test_the_file_is_looked_for_in_the_callers_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.md").write_text("no markers here")
    refused = subprocess.run(
        [str(SCRIPT), "--write", "mine.md"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == NOT_SET_UP
    assert "mine.md must contain the two lines" in refused.stderr
