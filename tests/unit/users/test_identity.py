"""How verified tokens are remembered, and outages borne, whatever a check does."""

import asyncio
import threading
from dataclasses import replace

import pytest

from firerouter.callable import CallableError
from firerouter.errors import SessionExpired, SessionInvalid, SignInUnavailable
from firerouter.users import IdentityLimits
from firerouter.users.identity import Claims, _Verifier

LIMITS = IdentityLimits()


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Check:
    """A check that finds what a test has it find."""

    expired: type[CallableError] = SessionExpired

    def __init__(self) -> None:
        self.checked: list[str] = []
        self.loads = 0
        self.load_fails: Exception | None = None
        self.fails: CallableError | None = None
        self.exp = 10_000.0
        self.blocks: threading.Event | None = None

    def load(self) -> None:
        self.loads += 1
        if self.load_fails is not None:
            raise self.load_fails

    def __call__(self, token: str) -> Claims:
        self.checked.append(token)
        if self.blocks is not None:
            self.blocks.wait(5)
        if self.fails is not None:
            raise self.fails
        return {"sub": token, "exp": self.exp}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def check() -> Check:
    return Check()


def verifier(check: Check, clock: Clock, **fields: float) -> _Verifier:
    return _Verifier(check, replace(LIMITS, **fields), clock)  # type: ignore[arg-type]


async def test_a_token_is_checked_once_and_remembered_for_a_while(
    check: Check, clock: Clock
) -> None:
    verify = verifier(check, clock).verify
    for _ in range(3):
        assert (await verify("a"))["sub"] == "a"
    assert (check.checked, check.loads) == (["a"], 1)
    clock.now += LIMITS.token_fresh_s
    await verify("a")
    assert check.checked == ["a", "a"]


async def test_an_admins_token_is_checked_at_every_call(check: Check, clock: Clock) -> None:
    verify = verifier(check, clock, token_fresh_s=0).verify
    for _ in range(3):
        await verify("a")
    assert len(check.checked) == 3


async def test_a_token_is_not_remembered_beyond_its_expiry(check: Check, clock: Clock) -> None:
    verify = verifier(check, clock).verify
    check.exp = clock.now + 10
    await verify("a")
    clock.now += 10 + LIMITS.leeway_s - 1
    await verify("a")
    clock.now += 1
    with pytest.raises(SessionExpired):
        await verify("a")


async def test_a_refusal_is_not_remembered(check: Check, clock: Clock) -> None:
    verify = verifier(check, clock).verify
    check.fails = SessionInvalid()
    with pytest.raises(SessionInvalid):
        await verify("a")
    check.fails = None
    assert (await verify("a"))["sub"] == "a"


async def test_an_outage_is_not_asked_about_again_at_once(check: Check, clock: Clock) -> None:
    verify = verifier(check, clock).verify
    check.fails = SignInUnavailable()
    for token in "abc":
        with pytest.raises(SignInUnavailable):
            await verify(token)
    assert check.checked == ["a"]
    clock.now += LIMITS.keys_outage_pause_s
    check.fails = None
    assert (await verify("d"))["sub"] == "d"


async def test_a_load_that_fails_once_is_tried_again(check: Check, clock: Clock) -> None:
    verify = verifier(check, clock).verify
    check.load_fails = OSError("a canary")
    for _ in range(2):
        with pytest.raises(SignInUnavailable):
            await verify("a")
    assert (check.loads, check.checked) == (2, [])
    check.load_fails = None
    assert (await verify("a"))["sub"] == "a"
    await verify("b")
    assert check.loads == 3


async def test_a_check_that_takes_too_long_is_an_outage(check: Check, clock: Clock) -> None:
    check.blocks = threading.Event()
    try:
        async with asyncio.timeout(5):
            with pytest.raises(SignInUnavailable):
                await verifier(check, clock, verify_s=0.05).verify("a")
    finally:
        check.blocks.set()


async def test_what_is_remembered_is_bounded_and_holds_no_token(check: Check, clock: Clock) -> None:
    verifying = verifier(check, clock, tokens_max=3)
    for number in range(10):
        await verifying.verify(f"token-{number}")
    assert len(verifying._verified) <= 3
    assert not any(b"token" in digest for digest in verifying._verified)
