"""`./scripts/fuzz` finds what it is for, and finds nothing in the readers."""

import subprocess
import time

import pytest
from hypothesis import strategies as st

from scripts.devtools.cli_errors import FAILED
from scripts.fuzzing import campaign
from scripts.fuzzing.__main__ import main
from scripts.fuzzing.campaign import Tally
from scripts.fuzzing.targets import TARGETS, Target
from tests.support.repository import SCRIPTS

SEED = 20261128


def test_nothing_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--inputs", "3200", "--seed", str(SEED)]) == 0, capsys.readouterr().out
    told = capsys.readouterr().out
    assert all(f"\n{target.name} " in told for target in TARGETS)
    assert told.endswith("Nothing was found.\n")


def test_the_chore_itself_feeds_a_target() -> None:
    command = [str(SCRIPTS / "fuzz"), "--inputs", "20", "--target", "limits"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "20 inputs" in done.stdout


def find(read: object, inputs: st.SearchStrategy[object]) -> campaign.Finding | None:
    return campaign.run(Target("planted", inputs, read), 500, SEED, Tally("planted"))  # type: ignore[arg-type]


def test_an_error_is_found_and_made_small() -> None:
    def read(value: int) -> None:
        if value > 1_000:
            raise KeyError("nobody expects this")

    found = find(read, st.integers())
    assert found is not None
    assert (found.shown, found.cause) == ("1001", "KeyError: 'nobody expects this'")


def test_an_input_that_hangs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "INPUT_S", 0.05)

    def read(value: int) -> None:
        try:
            time.sleep(value)
        except Exception:
            raise AssertionError("it was swallowed") from None

    found = find(read, st.sampled_from([0, 60]))
    assert found is not None
    assert "Hung: it takes longer" in found.cause


def test_what_is_left_over_is_found() -> None:
    kept: list[bytes] = []
    found = find(lambda value: kept.append(bytes([value]) * 10_000), st.integers(1, 255))
    assert found is not None
    assert "bytes" in found.cause


def test_the_targets_refuse_some_inputs_and_accept_others() -> None:
    """A target that refuses everything at its first check would find nothing."""
    from hypothesis import find as find_input
    from hypothesis import settings

    from firerouter.contract import ExecutePrompt, parse
    from firerouter.errors import InvalidArgument
    from scripts.fuzzing import samples
    from scripts.fuzzing.mutations import mutated

    prompts = mutated([data for name, data in samples.requests() if name == "execute_prompt"])

    def is_accepted(data: object) -> bool:
        try:
            parse(ExecutePrompt, data)
        except InvalidArgument:
            return False
        return True

    quick = settings(database=None, max_examples=200)
    assert find_input(prompts, is_accepted, settings=quick) is not None
    assert not is_accepted(find_input(prompts, lambda data: not is_accepted(data), settings=quick))


@pytest.mark.parametrize("target", ["", "nothing"])
def test_an_unknown_target_is_named(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--target", target]) == FAILED
    assert "callables" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["--inputs=0", "--inputs=x", "--seed=x"])
def test_wrong_arguments_are_refused(wrong: str) -> None:
    with pytest.raises(SystemExit):
        main([wrong])
