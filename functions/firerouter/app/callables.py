"""The table of the deployed functions: who may call each, its handler, and how long it may take.

`main.py` serves one function per row, the callables `api` and `admin_api` reach the rows for users
and for admins, and the deploy manifest is generated from the table (scripts/devtools/manifest.py).
Region, memory and concurrency are the same for all of them: `RESOURCES`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from ..callable import BodyLimits
from .imports import load_generation

if TYPE_CHECKING:
    from ..callable import Call
    from ..users import Caller, CallKind
    from .bootstrap import App

Audience = Literal["user", "admin", "schedule", "queue"]
USER: Final = "user"  # anybody who is signed in
ADMIN: Final = "admin"  # a user whose account has the admin claim
SCHEDULE: Final = "schedule"  # Cloud Scheduler
QUEUE: Final = "queue"  # Cloud Tasks


@dataclass(frozen=True, slots=True)
class Resources:
    """What each instance of a function has."""

    memory_mb: int = 512
    cpus: int = 1  # with less than one, Cloud Run sends an instance one request at a time
    concurrency: int = 80  # streams wait far more than they work: see docs/performance.md
    instances_max: int = 20


@dataclass(frozen=True, slots=True)
class Schedule:
    """When Cloud Scheduler calls a function, and how often it tries again after a failure."""

    cron: str  # in UTC
    retries: int = 3
    instances_max: int = 1


@dataclass(frozen=True, slots=True)
class Queue:
    """How Cloud Tasks delivers a function's tasks.

    A task is retried while Firestore is unavailable, but no longer than the ledger waits for it: a
    task that arrives later than `LedgerLimits.queued_max_s` counts as lost.
    """

    attempts_max: int = 5
    retry_max_s: int = 120
    backoff_min_s: int = 1
    backoff_max_s: int = 30
    concurrent_max: int = 1_000
    per_second_max: int = 500


# how large a request may be: the longest texts that the contract allows, in any script
TEXT: Final = BodyLimits(1_500_000)
FILES: Final = BodyLimits(1_500_000, files_max_bytes=10_900_000)  # limits.INLINE_MAX_BYTES, encoded
INPUTS: Final = BodyLimits(4_500_000)  # limits.EMBED_INPUTS_MAX_CHARS
ANYTHING: Final = BodyLimits(4_500_000, files_max_bytes=10_900_000)


@dataclass(frozen=True, slots=True)
class DeployedFunction:
    """One function.

    Args:
        name: The name by which clients call it, which is also its name in `main.py`.
        audience: Who may call it.
        handler: Returns its handler from an instance's parts, which are built when first used.
        timeout_s: How long Cloud Run lets a request run.
        trigger: What calls it, if no client does.
        load: Imports what the handler needs, if that takes long.
        calls: What a user's calls of it are counted as; those of an admin are counted as such.
        body: How large its requests may be.
    """

    name: str
    audience: Audience
    handler: Callable[[App], Callable[..., Awaitable[object]]]
    timeout_s: int = 60
    trigger: Schedule | Queue | None = None
    load: Callable[[], None] | None = None
    calls: CallKind = "ask"
    body: BodyLimits = TEXT

    @property
    def call_kind(self) -> CallKind:
        """What calls of it are counted as."""
        return "admin" if self.audience == ADMIN else self.calls


Handler = Callable[["Call[Caller]"], Awaitable[object]]
DISPATCHERS: Final = frozenset({"api", "admin_api"})


def _api(app: App) -> Handler:
    return _dispatcher(app, USER)


def _admin_api(app: App) -> Handler:
    return _dispatcher(app, ADMIN)


def _dispatcher(app: App, audience: Audience) -> Handler:
    """Return the handler of a row that reaches the table's other rows for an audience."""

    def reach(row: DeployedFunction, call: Call[Caller]) -> Callable[..., Awaitable[object]]:
        if audience == ADMIN:  # their calls are all counted alike, and this one has been
            return row.handler(app)
        app.call_rates.take(row.calls, call.caller)
        handler = row.handler(app)

        async def weighed(call: Call[Caller]) -> object:
            try:
                return await handler(call)
            finally:
                app.call_rates.charge(row.calls, call.caller, call.units - 1)

        return weighed

    async def answer(call: Call[Caller]) -> object:
        from .dispatch import dispatch

        rows = (row for row in functions_for(audience) if row.name not in DISPATCHERS)
        return await dispatch(call, {row.name: partial(reach, row, call) for row in rows})

    return answer


RESOURCES: Final = Resources()
FUNCTIONS: Final = (
    # checking the caller, limits.TOTAL_S and settling fit inside the timeout
    DeployedFunction(
        "execute_prompt",
        USER,
        lambda app: app.generation.prompts.execute_prompt,
        300,
        body=FILES,
        load=load_generation,
    ),
    # a judge's call may follow the answers
    DeployedFunction(
        "execute_multi_model_prompt",
        USER,
        lambda app: app.generation.comparisons.execute_multi_model_prompt,
        600,
        body=FILES,
        load=load_generation,
    ),
    DeployedFunction(
        "create_embeddings",
        USER,
        lambda app: app.generation.embeddings.create_embeddings,
        300,
        body=INPUTS,
        load=load_generation,
    ),
    DeployedFunction(
        "stop_generation", USER, lambda app: app.delivery.stop.stop_generation, calls="stop"
    ),
    DeployedFunction(
        "create_upload", USER, lambda app: app.files.attachments.create_upload, calls="change"
    ),
    DeployedFunction(
        "get_available_models",
        USER,
        lambda app: app.models.search.get_available_models,
        calls="look",
    ),
    DeployedFunction(
        "get_allowance", USER, lambda app: app.generation.allowance.get_allowance, calls="look"
    ),
    DeployedFunction(
        "list_features", USER, lambda app: app.features.listing.list_features, calls="look"
    ),
    DeployedFunction(
        "set_preferences", USER, lambda app: app.features.listing.set_preferences, calls="change"
    ),
    DeployedFunction(
        "update_conversation", USER, lambda app: app.conversations.callables.update, calls="change"
    ),
    DeployedFunction(
        "delete_conversation",
        USER,
        lambda app: app.conversations.callables.delete,
        300,
        calls="change",
    ),
    DeployedFunction(
        "export_conversation", USER, lambda app: app.conversations.callables.export, calls="export"
    ),
    # ReportLimits.erase_s and erase_end_s fit inside the timeout
    DeployedFunction(
        "erase_my_data", USER, lambda app: app.reports.user_data.erase, 300, calls="export"
    ),
    DeployedFunction(
        "export_my_data", USER, lambda app: app.reports.user_data.export, 120, calls="export"
    ),
    # most of its calls are for a model's answer; each also counts as the callable that it reaches
    DeployedFunction("api", USER, _api, 600, calls="any", body=ANYTHING, load=load_generation),
    # its longest endpoint, test_feature_settings, asks a model; the others need not wait for that
    DeployedFunction("admin_api", ADMIN, _admin_api, 300, body=FILES),
    DeployedFunction("get_feature_settings", ADMIN, lambda app: app.admin.overview.get),
    DeployedFunction("save_feature_settings", ADMIN, lambda app: app.admin.features.save),
    DeployedFunction("reset_feature_settings", ADMIN, lambda app: app.admin.features.reset),
    DeployedFunction("restore_feature_settings", ADMIN, lambda app: app.admin.features.restore),
    DeployedFunction("delete_feature", ADMIN, lambda app: app.admin.deletion.delete),
    DeployedFunction("promote_draft", ADMIN, lambda app: app.admin.features.promote_draft),
    DeployedFunction("drop_draft", ADMIN, lambda app: app.admin.features.drop_draft),
    DeployedFunction("test_feature_settings", ADMIN, lambda app: app.preview.test, 300, body=FILES),
    DeployedFunction("save_app_settings", ADMIN, lambda app: app.admin.app_settings.save),
    DeployedFunction("restore_app_settings", ADMIN, lambda app: app.admin.app_settings.restore),
    DeployedFunction("list_users", ADMIN, lambda app: app.admin.users.list),
    DeployedFunction("set_user_limits", ADMIN, lambda app: app.admin.users.set_limits),
    DeployedFunction("stop_user_generations", ADMIN, lambda app: app.admin.users.stop),
    DeployedFunction("list_keys", ADMIN, lambda app: app.admin.key_list.list, 120),
    DeployedFunction("set_openrouter_key", ADMIN, lambda app: app.admin.keys.set_key, 120),
    DeployedFunction("remove_openrouter_key", ADMIN, lambda app: app.admin.keys.remove_key, 120),
    DeployedFunction("test_openrouter_connection", ADMIN, lambda app: app.admin.key_check.test),
    DeployedFunction(
        "get_usage_report", ADMIN, lambda app: app.reports.usage.get_usage_report, 120
    ),
    DeployedFunction("refresh_catalog", ADMIN, lambda app: app.admin.model_check.refresh),
    # at night in the functions' region, and not on the hour, when many others call OpenRouter too
    DeployedFunction(
        "refresh_catalog_daily",
        SCHEDULE,
        lambda app: app.admin.model_check.daily,
        120,
        Schedule("17 17 * * *"),
    ),
    # GenerationLimits.reconcile_s and reconcile_end_s fit inside the timeout
    DeployedFunction(
        "reconcile_generations",
        SCHEDULE,
        lambda app: app.generation.reconciler.run,
        120,
        Schedule("*/5 * * * *"),
    ),
    # after reconcile_generations. The bounds of ReportLimits fit inside the timeout
    DeployedFunction(
        "roll_up_usage",
        SCHEDULE,
        lambda app: app.reports.upkeep.run,
        300,
        Schedule("2-57/5 * * * *"),
    ),
    # Cloud Tasks names the queue after the function: no underscore. Claiming a generation,
    # limits.TOTAL_S and settling fit inside the timeout
    DeployedFunction(
        "continuation",
        QUEUE,
        lambda app: app.generation.prompts.deliver,
        360,
        Queue(),
        load=load_generation,
    ),
)


def functions_for(*audiences: Audience) -> tuple[DeployedFunction, ...]:
    """Return the functions for these audiences, in the order of the table."""
    return tuple(row for row in FUNCTIONS if row.audience in audiences)
