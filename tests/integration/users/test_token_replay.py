"""App Check tokens that are valid for one call, as the stand-in of App Check counts them."""

import asyncio
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials

from firerouter.callable import CallableError
from firerouter.errors import AppCheckFailed, SettingsUnavailable, SignInUnavailable
from firerouter.users import Caller, TokenReplay
from tests.support.in_process import UNCACHED, Instance, World

ANN, NOBODY = Caller("ann"), Caller("x", anonymous=True)


async def setting(world: World, whose: str | None) -> Instance:
    """An instance of an app with this setting, as an admin has saved it."""
    instance = world.instance(UNCACHED)
    if whose is not None:
        data = {"settings": {"singleUseAppCheck": whose}, "revision": 0}
        await instance.call("save_app_settings", data)
    return instance


async def served(instance: Instance, token: str, *callers: Caller) -> int:
    """How many of these calls go on, all at once, with the same token."""
    headers = {"x-firebase-appcheck": f" {token} "}
    calls = [instance.app.admit("ask", caller, headers) for caller in callers]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {type(None), AppCheckFailed}
    return outcomes.count(None)


async def test_one_copied_token_serves_one_of_thirty_accounts(world: World) -> None:
    instance = await setting(world, "all")
    accounts = [Caller(f"user{number}", anonymous=number % 2 == 0) for number in range(30)]
    token = await world.app_check()
    assert await served(instance, token, *accounts) == 1
    assert await served(world.instance(UNCACHED), token, ANN) == 0


@pytest.mark.parametrize("whose", [None, "off"])
async def test_where_no_app_wants_that_a_token_serves_until_it_expires(
    world: World, whose: str | None
) -> None:
    instance = await setting(world, whose)
    token = await world.app_check()
    assert await served(instance, token, ANN, NOBODY, ANN, NOBODY) == 4


async def test_it_may_be_for_anonymous_users_alone(world: World) -> None:
    instance = await setting(world, "anonymous")
    token = await world.app_check()
    assert await served(instance, token, ANN, ANN, ANN) == 3
    assert await served(instance, token, NOBODY) == 1
    assert await served(instance, token, NOBODY) == 0
    assert await served(instance, token, ANN) == 1


def replay(root: str, answers: list[Any]) -> TokenReplay:
    async def next_answer() -> object:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, CallableError):
            raise answer
        return answer

    return TokenReplay(
        "demo-replay",
        setting=next_answer,
        credentials=AnonymousCredentials,
        root=root,
    )


async def test_while_app_check_does_not_answer_nobody_is_let_through(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    headers = {"x-firebase-appcheck": await world.app_check()}
    with pytest.raises(SignInUnavailable):
        await replay("http://127.0.0.1:9", ["all"]).check(ANN, headers)
    refusing = replay(f"http://{world.suite.app_check_host}", ["all"])
    with pytest.raises(SignInUnavailable):  # the token is another project's
        await refusing.check(ANN, headers)
    assert "app_check_not_asked" in capfd.readouterr().out


async def test_an_outage_of_the_settings_opens_nothing_that_was_closed(world: World) -> None:
    headers = {"x-firebase-appcheck": await world.app_check()}
    outage = SettingsUnavailable()
    await replay("http://127.0.0.1:9", [outage]).check(ANN, headers)
    closed = replay("http://127.0.0.1:9", ["anonymous", outage])
    await closed.check(ANN, headers)
    with pytest.raises(SettingsUnavailable):
        await closed.check(ANN, headers)
