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
async def get_available_models(request: Request) -> Any:
    """The catalog of models: search, filter, sort, pages."""
    return bootstrap.answer(lambda app: app.browse.get_available_models)


@aio.http
async def refresh_catalog(request: Request) -> Any:
    """Ask OpenRouter for its models now. Admins only."""
    return bootstrap.answer_admin(lambda app: app.browse.refresh_catalog)


@aio.http
async def test_openrouter_connection(request: Request) -> Any:
    """Is the stored OpenRouter key, or a candidate, any good? Admins only."""
    return bootstrap.answer_admin(lambda app: app.connection.test)


@aio.http
async def set_openrouter_key(request: Request) -> Any:
    """Check a key, store it, let it serve. Admins only."""
    return bootstrap.answer_admin(lambda app: app.keyring.set_key)


@aio.http
async def remove_openrouter_key(request: Request) -> Any:
    """Let no key serve any more. Admins only."""
    return bootstrap.answer_admin(lambda app: app.keyring.remove_key)


@aio.http
async def api(request: Request) -> Any:
    """Every user callable behind one warm instance."""
    return bootstrap.answer(lambda app: app.dispatch)
