"""`./scripts/soak`: its plan, and what its watch finds."""

import pytest

from scripts.soak_test.__main__ import main
from scripts.soak_test.plan import CALLS_A_SECOND, FAULTS, FAULTY, KILLED, plan
from scripts.soak_test.trial import WATCHED
from scripts.soak_test.watch import Watch

MINUTES = 30


def test_a_plan_is_repeatable_and_as_long_as_it_should_be() -> None:
    assert plan(2, 1) == plan(2, 1)
    assert plan(2, 1) != plan(2, 2)
    assert len(plan(2, 1).calls) == round(2 * 60 * CALLS_A_SECOND)


def test_a_twentieth_of_the_calls_meet_a_fault() -> None:
    calls = [call for call in plan(MINUTES, 1).calls if not call.again]
    faulty = sum(call.end.name in FAULTY for call in calls)
    assert faulty / len(calls) == pytest.approx(FAULTS, abs=0.01)


def test_an_instance_is_killed_every_minute_and_never_the_one_that_is_watched() -> None:
    kills = plan(MINUTES, 1).kills
    assert len(kills) == MINUTES
    assert {*kills.values()} == {KILLED}
    assert WATCHED not in kills.values()


def watched(memory: list[float], files: list[int]) -> list[str]:
    return Watch(memory, files).findings()


def test_memory_that_settles_is_no_leak() -> None:
    settles = [100.0, 150.0, 180.0, *[200.0] * 97]
    assert watched(settles, [50] * 100) == []
    assert watched([200.0 + at % 5 for at in range(100)], [50 + at % 7 for at in range(100)]) == []


def test_memory_that_grows_and_files_that_stay_open_are_found() -> None:
    grows = [200.0 + at * 0.3 for at in range(100)]
    (found,) = watched(grows, [50] * 100)
    assert "memory grew by" in found
    (found,) = watched([200.0] * 100, [50 + at for at in range(100)])
    assert "more files are open" in found


@pytest.mark.parametrize("wrong", ["--minutes=0", "--minutes=-1", "--minutes=121", "--minutes=x"])
def test_wrong_arguments_are_refused(wrong: str) -> None:
    with pytest.raises(SystemExit):
        main([wrong])
