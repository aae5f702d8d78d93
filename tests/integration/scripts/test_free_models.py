"""`./scripts/free-models`, against the stand-in: whom it asks, how often, what it makes of it."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from firerouter.models import Model, read_models
from scripts.free_models import __main__ as cli
from scripts.free_models import asking, report, survey
from scripts.free_models.survey import FIRST, Pace, pick
from scripts.local import running
from scripts.local.problems import FAILED, INTERRUPTED, NOT_SET_UP, USAGE
from tests.support.openrouter_standin import Server, serving
from tests.support.repository import ROOT

SCRIPT = ROOT / "scripts" / "free-models"
CANARY = "sk-or-v1-canary-0123456789"
PAGE = b"# Mine\r\n\r\nkept \xe2\x80\x94 \xff\n%b\nold table\n%b\nkept too"
MARKERS = (report.BEGIN.encode(), report.END.encode())


class Clock:
    """Seconds that pass only in sleep."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.now += seconds


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("--token-delay-ms", "1") as started:
        yield started


@pytest.fixture
def stand_in(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Found as the one of a `scripts/dev` that is up; it remembers no request."""
    monkeypatch.delenv(survey.VARIABLE, raising=False)
    monkeypatch.setattr(running, "find", lambda _: {"addresses": {"openrouter": server.api}})
    httpx.delete(f"{server.url}/sim/requests", trust_env=False).raise_for_status()
    return server


def asked(server: Server) -> list[str]:
    """The models that were asked, in order."""
    records = httpx.get(f"{server.url}/sim/requests", trust_env=False).json()
    return [record["body"]["model"] for record in records]


def choose(monkeypatch: pytest.MonkeyPatch, *ids: str) -> None:
    """These models of the stand-in's list instead of those that are picked."""

    def chosen(models: Sequence[Model]) -> list[Model]:
        known = {model.id: model for model in models}
        return [known[id_] for id_ in ids]

    monkeypatch.setattr(survey, "pick", chosen)


def run(*arguments: str) -> int:
    clock = Clock()
    return cli.main(arguments, clock=clock, sleep=clock.sleep)


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
    return [model.id for model in pick(models)]


def test_firerouters_defaults_come_first_and_then_the_newest() -> None:
    old, new = listed("a/old:free", 10), listed("b/new:free", 20)
    assert picked(old, new, *map(listed, FIRST)) == [*FIRST, "b/new:free", "a/old:free"]


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
def test_what_is_no_free_model_of_its_own_is_left_out(entry: dict[str, Any]) -> None:
    assert picked(entry, listed("a/free:free")) == ["a/free:free"]


def test_a_model_that_is_listed_twice_is_asked_once() -> None:
    assert picked(listed("a/b:free"), listed("a/b"), listed("a/c:free")) == ["a/b", "a/c:free"]


# Against the stand-in


def test_each_free_model_is_asked_once_and_the_table_says_that_it_is_simulated(
    stand_in: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == 0
    said = capsys.readouterr()
    assert said.out.startswith("**Simulated answers")
    assert re.search(r"Measured on \d{4}-\d\d-\d\d at \d\d:\d\d UTC: 4 of 4 free", said.out)
    table = rows(said.out)
    assert list(table) == [
        *FIRST,
        "openai/gpt-oss-20b:free",
        "meta-llama/llama-3.3-70b-instruct:free",
    ]
    assert asked(stand_in) == list(table)
    for context, answered, first, total in table.values():
        assert answered == "yes"
        assert int(context.replace(",", "")) > 60_000
        assert 0 <= int(first) <= int(total) < 10_000
    assert re.search(r"has \d+ free requests left today; to ask: 4", said.err)
    assert "Left to ask" not in said.out


def test_no_more_are_asked_than_wanted(
    stand_in: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--max", "1") == 0
    assert asked(stand_in) == [FIRST[0]]
    out = capsys.readouterr().out
    assert list(rows(out)) == [FIRST[0]]
    assert "1 of 4 free models" in out
    assert "Left to ask" not in out


@pytest.mark.parametrize(
    ("model", "answered"),
    [
        ("sim/fast", "yes"),
        ("sim/length-no-text", "yes"),  # it thought
        ("sim/json-for-sse", "yes"),
        ("sim/empty", "empty answer"),
        ("sim/429", "rate limited"),
        ("sim/503", "upstream busy"),
        ("sim/524", "upstream timeout"),
        ("sim/reset", "upstream unreachable"),
        ("sim/cut-mid-stream", "stream cut"),
        ("sim/html-for-sse", "upstream malformed"),
        ("sim/error-first", "upstream busy"),
        ("sim/silent", "not within 3 s"),
        ("sim/comments-only", "not within 3 s"),
        ("sim/stall", "not within 3 s"),
    ],
)
def test_a_model_that_fails_is_a_row_and_is_not_asked_again(
    stand_in: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    model: str,
    answered: str,
) -> None:
    monkeypatch.setattr(asking, "DEADLINE_S", 3.0)  # of those that answer: a busy machine's
    choose(monkeypatch, model, "openrouter/free")
    assert run() == 0
    table = rows(capsys.readouterr().out)
    assert table[model][1] == answered
    assert (table[model][3] == "–") == (answered != "yes")
    assert table["openrouter/free"][1] == "yes"
    assert asked(stand_in) == [model, "openrouter/free"]


def test_the_days_limit_ends_it(
    stand_in: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    choose(monkeypatch, "openrouter/free", "sim/429-free-daily", "sim/fast", "sim/ticks")
    assert run() == 0
    out = capsys.readouterr().out
    assert asked(stand_in) == ["openrouter/free", "sim/429-free-daily"]
    assert [cells[1] for cells in rows(out).values()] == ["yes", "free daily limit"]
    assert "Left to ask: 2. Today's free requests are used up." in out


def test_ctrl_c_prints_what_has_been_measured(server: Server) -> None:
    state = {"addresses": {"openrouter": server.api}}
    code = (
        "import sys\nfrom scripts.local import running\n"
        f"running.find = lambda root: {state!r}\n"
        "from scripts.free_models.__main__ import main\nsys.exit(main(['--per-minute', '1']))"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{ROOT / 'functions'}"}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        lines = iter(process.stderr.readline, "")
        assert any("1/4" in line for line in lines)
        time.sleep(0.2)  # into the minute's pause
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == INTERRUPTED
    assert list(rows(out)) == [FIRST[0]]
    assert "Left to ask: 3. It was interrupted." in out
    assert "Traceback" not in error


# Against answers that the stand-in never gives


class Fake:
    """An OpenRouter whose answers are given; each is (status, JSON) by path."""

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
    """Asked as the real OpenRouter, with the canary for a key."""
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
        monkeypatch.setenv(survey.VARIABLE, f" {CANARY}\n")
        monkeypatch.setattr(cli, "OPENROUTER", f"http://127.0.0.1:{http.server_port}")
        monkeypatch.setattr(running, "find", lambda _: pytest.fail("there is a key"))
        yield fake
        http.shutdown()


def test_the_key_goes_to_openrouter_and_not_with_the_public_list(
    fake: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--max", "1") == 0
    bearer = f"Bearer {CANARY}"
    assert fake.seen == [("/key", bearer), ("/models", None), ("/chat/completions", bearer)]
    out = capsys.readouterr().out
    assert "imulated" not in out
    assert "asked of OpenRouter." in out


@pytest.mark.parametrize("left", [3, 1])
def test_never_more_are_asked_than_the_account_has_left(
    fake: Fake, capsys: pytest.CaptureFixture[str], left: int
) -> None:
    fake.free_left(left)
    assert run() == 0
    assert fake.questions == left
    said = capsys.readouterr()
    assert f"{left} free requests left today; to ask: {left}" in said.err
    assert f"Left to ask: {9 - left}. The account had {left} free requests left" in said.out


@pytest.mark.parametrize("left", [0, -2])
def test_with_none_left_nothing_is_asked(
    fake: Fake, capsys: pytest.CaptureFixture[str], left: int
) -> None:
    fake.free_left(left)
    assert run() == FAILED
    assert not fake.questions
    said = capsys.readouterr()
    assert not said.out
    assert "no free request left today" in said.err


@pytest.mark.parametrize("left", [None, "10", 1.5, True])
def test_what_is_left_may_not_be_said(
    fake: Fake, capsys: pytest.CaptureFixture[str], left: Any
) -> None:
    fake.free_left(left)
    assert run("--max", "2") == 0
    assert fake.questions == 2
    assert "an unknown number of free requests" in capsys.readouterr().err


ECHO = {"error": {"code": 401, "message": f"bad key {CANARY}", "metadata": {"raw": CANARY}}}


@pytest.mark.parametrize(
    ("key", "models", "said"),
    [
        ((401, ECHO), None, "does not accept the key in OPENROUTER_API_KEY"),
        ((500, ECHO), None, "says nothing of the key: upstream busy"),
        ((200, [CANARY]), None, "says nothing of the key: upstream malformed"),
        ((200, {"data": {"is_management_key": True}}), None, "a management key"),
        (None, (200, {"data": []}), "names no free model"),
        (None, (200, {"data": CANARY}), "list of models can not be read: upstream malformed"),
        (None, (503, ECHO), "list of models can not be read: upstream busy"),
    ],
)
def test_where_nothing_can_be_measured_one_sentence_says_why(
    fake: Fake,
    capsys: pytest.CaptureFixture[str],
    key: tuple[int, Any] | None,
    models: tuple[int, Any] | None,
    said: str,
) -> None:
    fake.key, fake.models = key or fake.key, models or fake.models
    assert run() == FAILED
    assert not fake.questions
    shown = capsys.readouterr()
    assert said in shown.err
    assert not shown.out
    assert CANARY not in shown.err


@pytest.mark.parametrize("status", [401, 402, 403, 429, 502])
def test_the_key_is_shown_nowhere_whatever_openrouter_says(
    fake: Fake, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    fake.chat = (status, ECHO)
    assert run("--max", "2") == 0
    assert fake.questions == (1 if status in {401, 402} else 2)  # those are true of all models
    said = capsys.readouterr()
    assert CANARY not in said.out + said.err


def test_the_key_is_in_no_traceback(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(asking, "Answer", broken)
    with pytest.raises(RuntimeError) as error:
        run()
    assert CANARY not in "".join(traceback.format_exception(error.value))


def test_an_openrouter_that_is_away_is_said_to_be(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv(survey.VARIABLE, CANARY)
    monkeypatch.setattr(cli, "OPENROUTER", "http://127.0.0.1:9")
    assert run() == FAILED
    assert "upstream unreachable" in capsys.readouterr().err


# Pace


@pytest.mark.parametrize(("per_minute", "gap_s"), [(15, 4.0), (20, 3.0), (1, 60.0)])
async def test_turns_keep_their_distance(per_minute: int, gap_s: float) -> None:
    clock = Clock()
    pace = Pace(per_minute, clock, clock.sleep)
    for _ in range(3):
        await pace.turn()
    assert clock.slept == [gap_s, gap_s]
    clock.now += gap_s / 4  # a model takes its time, which counts
    await pace.turn()
    assert clock.slept[2] == gap_s * 3 / 4
    clock.now += 2 * gap_s  # and what was not used is not made up for
    for _ in range(2):
        await pace.turn()
    assert clock.slept[3:] == [gap_s]


async def test_a_sleep_that_ends_early_is_slept_again() -> None:
    clock = Clock()

    async def restless(seconds: float) -> None:
        await clock.sleep(min(seconds, 1.0))

    pace = Pace(15, clock, restless)
    await pace.turn()
    await pace.turn()
    assert clock.now == 1004.0


def test_the_requests_keep_the_pace(fake: Fake) -> None:
    clock = Clock()
    assert cli.main(["--per-minute", "20", "--max", "4"], clock=clock, sleep=clock.sleep) == 0
    assert clock.slept == [3.0, 3.0, 3.0]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--per-minute", "21"],
        ["--per-minute", "0"],
        ["--max", "51"],
        ["--max", "0"],
        ["--max", "²"],
    ],
)
def test_more_than_openrouter_allows_cannot_be_asked_for(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        run(*arguments)
    assert refused.value.code == USAGE


# The file


def test_all_but_the_table_stays_byte_for_byte(fake: Fake, tmp_path: Path) -> None:
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
def test_a_file_with_no_place_for_it_is_refused_before_anything_is_asked(
    fake: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: bytes
) -> None:
    page = tmp_path / "page.md"
    page.write_bytes(text)
    assert run("--write", str(page)) == NOT_SET_UP
    assert not fake.seen
    assert page.read_bytes() == text
    assert report.BEGIN in capsys.readouterr().err


def test_where_nothing_was_measured_the_old_table_stays(fake: Fake, tmp_path: Path) -> None:
    fake.free_left(0)
    page = tmp_path / "page.md"
    page.write_bytes(PAGE % MARKERS)
    assert run("--write", str(page)) == FAILED
    assert page.read_bytes() == PAGE % MARKERS


def test_what_cannot_be_written_is_printed(
    fake: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_bytes(PAGE % MARKERS)
    find = cli.find_source

    def meanwhile() -> asking.Source:
        page.unlink()
        return find()

    monkeypatch.setattr(cli, "find_source", meanwhile)
    assert run("--max", "1", "--write", str(page)) == NOT_SET_UP
    said = capsys.readouterr()
    assert list(rows(said.out)) == ["a/m0:free"]
    assert "is printed instead" in said.err


# Nothing to ask with


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (None, "no ./scripts/dev is up"),
        ({"addresses": {"functions": "http://127.0.0.1:9"}}, "uses the real one"),
    ],
)
def test_with_no_key_and_no_stand_in_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state: Any, said: str
) -> None:
    monkeypatch.setenv(survey.VARIABLE, "")
    monkeypatch.setattr(running, "find", lambda _: state)
    assert run() == NOT_SET_UP
    error = capsys.readouterr().err
    assert said in error
    assert "Set OPENROUTER_API_KEY to a key from https://openrouter.ai" in error


@pytest.mark.parametrize("key", [f"{CANARY}\nx", f"{CANARY} x", f"{CANARY}é"])
def test_what_cannot_be_a_key_is_not_sent_and_not_shown(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    monkeypatch.setenv(survey.VARIABLE, key)
    assert run() == NOT_SET_UP
    assert not fake.seen
    said = capsys.readouterr()
    assert CANARY not in said.out + said.err


def test_the_launcher_explains_itself_and_takes_a_file_of_the_callers_folder(
    tmp_path: Path,
) -> None:
    def told(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(SCRIPT), *arguments]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )

    (tmp_path / "mine.md").write_text("no markers here")
    assert "--per-minute" in told("--help").stdout
    refused = told("--write", "mine.md")
    assert refused.returncode == NOT_SET_UP
    assert "mine.md does not have" in refused.stderr
