"""The deployed functions. Their region, memory and timeouts: functions.yaml (scripts/manifest)."""

from typing import Any

from functions_framework import aio
from starlette.requests import Request

from firerouter import bootstrap

bootstrap.check_environment()


@aio.http
async def execute_prompt(request: Request) -> Any:
    """One prompt through one feature."""
    return bootstrap.answer(lambda app: app.generate.execute_prompt)


@aio.http
async def test_openrouter_connection(request: Request) -> Any:
    """Is the stored OpenRouter key, or a candidate, any good? Admins only."""
    return bootstrap.answer(lambda app: app.connection.test)


@aio.http
async def api(request: Request) -> Any:
    """Every user callable behind one warm instance."""
    return bootstrap.answer(lambda app: app.dispatch)
