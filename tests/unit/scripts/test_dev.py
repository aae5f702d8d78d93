"""What `./scripts/dev` accepts, and what a second one is told."""

import pytest

from scripts.devtools import dev, dev_state


@pytest.mark.parametrize(
    "arguments", [["--model", "m"], ["--json"], ["--ask"], ["--ask", " "], ["what"]]
)
def test_wrong_arguments_exit_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        dev.parse(arguments)
    assert raised.value.code == 2
    assert "usage: ./scripts/dev" in capsys.readouterr().err


def test_a_second_scripts_dev_is_told_where_the_first_is() -> None:
    state = {"pid": 4711, "addresses": {"functions": "http://127.0.0.1:5001/demo/here"}}
    told = str(dev_state.already_runs(state))
    assert "already runs" in told
    assert "4711" in told
    assert "http://127.0.0.1:5001/demo/here" in told
