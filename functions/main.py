"""The deployed functions. Their region, memory and timeouts: functions.yaml (scripts/manifest)."""

from typing import Any

from functions_framework import aio
from starlette.requests import Request

from firerouter.app import check_environment, edge, triggers

check_environment()


@aio.http
async def execute_prompt(request: Request) -> Any:
    """One prompt through one feature."""
    return edge.answer(lambda app: app.generate.execute_prompt)


@aio.http
async def execute_multi_model_prompt(request: Request) -> Any:
    """One prompt through several models side by side."""
    return edge.answer(lambda app: app.compare.execute_multi_model_prompt)


@aio.http
async def continuation(request: Request) -> Any:
    """Answer what was queued, whoever listens. The queue has its name, with no underscore."""
    return await triggers.queued(request, lambda app: app.generate.deliver)


@aio.http
async def stop_generation(request: Request) -> Any:
    """End an answer that is being written, from any device of its user."""
    return edge.answer(lambda app: app.stopping.stop_generation)


@aio.http
async def create_embeddings(request: Request) -> Any:
    """Vectors for one text or several."""
    return edge.answer(lambda app: app.embed.create_embeddings)


@aio.http
async def create_upload(request: Request) -> Any:
    """An address to upload a file to, beside the callables."""
    return edge.answer(lambda app: app.attaching.create_upload)


@aio.http
async def get_available_models(request: Request) -> Any:
    """The catalog of models: search, filter, sort, pages."""
    return edge.answer(lambda app: app.browse.get_available_models)


@aio.http
async def refresh_catalog(request: Request) -> Any:
    """Ask OpenRouter for its models now. Admins only."""
    return edge.answer_admin(lambda app: app.checkup.refresh)


@aio.http
async def refresh_catalog_daily(request: Request) -> Any:
    """Look at OpenRouter's models each day, and flag the features whose models changed."""
    return await triggers.scheduled(request, lambda app: app.checkup.daily)


@aio.http
async def reconcile_generations(request: Request) -> Any:
    """Close what a killed instance left, and enter what answers really cost."""
    return await triggers.scheduled(request, lambda app: app.reconcile.run)


@aio.http
async def test_openrouter_connection(request: Request) -> Any:
    """Is the stored OpenRouter key, or a candidate, any good? Admins only."""
    return edge.answer_admin(lambda app: app.connection.test)


@aio.http
async def set_openrouter_key(request: Request) -> Any:
    """Check a key, store it, let it serve. Admins only."""
    return edge.answer_admin(lambda app: app.keyring.set_key)


@aio.http
async def remove_openrouter_key(request: Request) -> Any:
    """Let no key serve any more. Admins only."""
    return edge.answer_admin(lambda app: app.keyring.remove_key)


@aio.http
async def list_features(request: Request) -> Any:
    """What a user may see and choose of the features."""
    return edge.answer(lambda app: app.profile.list_features)


@aio.http
async def set_preferences(request: Request) -> Any:
    """A user's own default model of a feature."""
    return edge.answer(lambda app: app.profile.set_preferences)


@aio.http
async def update_conversation(request: Request) -> Any:
    """Another title, or another path through a conversation."""
    return edge.answer(lambda app: app.archive.update)


@aio.http
async def delete_conversation(request: Request) -> Any:
    """A conversation with all that it holds."""
    return edge.answer(lambda app: app.archive.delete)


@aio.http
async def export_conversation(request: Request) -> Any:
    """A conversation as JSON or Markdown."""
    return edge.answer(lambda app: app.archive.export)


@aio.http
async def save_feature_settings(request: Request) -> Any:
    """Other settings for a feature, or a draft of them for a part of the users. Admins only."""
    return edge.answer_admin(lambda app: app.configure.save)


@aio.http
async def reset_feature_settings(request: Request) -> Any:
    """A feature's built-in settings again. Admins only."""
    return edge.answer_admin(lambda app: app.configure.reset)


@aio.http
async def restore_feature_settings(request: Request) -> Any:
    """An older revision of a feature again. Admins only."""
    return edge.answer_admin(lambda app: app.configure.restore)


@aio.http
async def promote_draft(request: Request) -> Any:
    """A feature's draft for everybody. Admins only."""
    return edge.answer_admin(lambda app: app.configure.promote_draft)


@aio.http
async def drop_draft(request: Request) -> Any:
    """No draft of a feature any more. Admins only."""
    return edge.answer_admin(lambda app: app.configure.drop_draft)


@aio.http
async def test_feature_settings(request: Request) -> Any:
    """One prompt through settings that nobody has saved. Admins only."""
    return edge.answer_admin(lambda app: app.livetest.test)


@aio.http
async def save_app_settings(request: Request) -> Any:
    """Other settings for the app as a whole. Admins only."""
    return edge.answer_admin(lambda app: app.appconfig.save)


@aio.http
async def api(request: Request) -> Any:
    """Every user callable behind one warm instance."""
    return edge.answer(lambda app: app.dispatch)
