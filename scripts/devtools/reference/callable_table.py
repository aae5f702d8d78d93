"""What each callable takes, answers, streams and fails with: the table behind the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel

from firerouter import contract, errors
from firerouter.app import FUNCTIONS
from firerouter.callable import (
    BodyTooLarge,
    BodyTooSlow,
    CallableError,
    MalformedRequest,
    Overloaded,
)
from firerouter.features import AppSettings, FeatureSettings
from firerouter.ledger import LimitsOverride

Failure = type[CallableError]
_DEPLOYED: Final = {function.name: function for function in FUNCTIONS}


@dataclass(frozen=True, slots=True)
class Callable:
    """One callable.

    Args:
        name: What clients call it.
        requests: The models of its data; more than one where it has several forms.
        results: The types of its result.
        frame: The type of the frames that it streams before its result, if any.
        failures: The errors it can fail with, beside those of every callable.
        settings: The model of the settings in its data.
    """

    name: str
    requests: tuple[type[BaseModel], ...]
    results: tuple[type, ...] = ()
    frame: str | None = None
    failures: tuple[Failure, ...] = ()
    settings: type[BaseModel] | None = None

    @property
    def audience(self) -> str:
        return _DEPLOYED[self.name].audience

    @property
    def timeout_s(self) -> int:
        return _DEPLOYED[self.name].timeout_s


# -- the errors that go together -------------------------------------------------------------------

EVERY: Final[tuple[Failure, ...]] = (
    MalformedRequest,
    BodyTooLarge,
    BodyTooSlow,
    errors.SignInRequired,
    errors.SessionInvalid,
    errors.SessionExpired,
    errors.SessionRevoked,
    errors.AppCheckFailed,
    errors.SignInUnavailable,
    errors.InvalidArgument,
    errors.FirestoreForbidden,
    errors.QuotaExceeded,
    Overloaded,
    CallableError,
)
ADMINS: Final[tuple[Failure, ...]] = (errors.NotAdmin,)
_FEATURE: Final[tuple[Failure, ...]] = (
    errors.FeatureUnknown,
    errors.FeatureDisabled,
    errors.WrongKind,
    errors.SettingsInvalid,
    errors.SettingsUnavailable,
    errors.ModelNotAllowed,
    errors.PaidModel,
)
_KEYS: Final[tuple[Failure, ...]] = (
    errors.KeyMissing,
    errors.KeyUnavailable,
    errors.KeyStoreForbidden,
    errors.KeyStoreDisabled,
)
_LEDGER: Final[tuple[Failure, ...]] = (
    errors.QuotaExceeded,
    errors.UserBlocked,
    errors.AlreadyRunning,
    errors.RequestIdReused,
    errors.ResultNotKept,
    errors.LedgerUnavailable,
    errors.Restarting,
)
_FILES: Final[tuple[Failure, ...]] = (
    errors.AttachmentUnknown,
    errors.AttachmentNotTaken,
    errors.StorageMissing,
    errors.StorageUnavailable,
)
# what any request to OpenRouter can fail with
_OPENROUTER: Final[tuple[Failure, ...]] = (
    errors.KeyInvalid,
    errors.KeyLimitReached,
    errors.NoCredit,
    errors.CreditBusy,
    errors.UpstreamForbidden,
    errors.Moderated,
    errors.ModelNotFound,
    errors.NoProvider,
    errors.ContextTooLong,
    errors.AttachmentRejected,
    errors.UpstreamRejected,
    errors.RateLimited,
    errors.FreeDailyLimit,
    errors.UpstreamBusy,
    errors.UpstreamTimeout,
    errors.UpstreamUnreachable,
    errors.UpstreamMalformed,
    errors.StreamCut,
)
# and what an answer can
_ANSWERS: Final[tuple[Failure, ...]] = (
    errors.MaxTokensTooHigh,
    errors.EmptyAnswer,
    errors.AnswerTooLong,
    errors.TooManyToolCalls,
    errors.ImagesTooLarge,
    errors.ImageUnreadable,
)
_CONVERSATIONS: Final[tuple[Failure, ...]] = (
    errors.ConversationUnknown,
    errors.MessageUnknown,
    errors.HistoryUnavailable,
)
_PROMPTS: Final[tuple[Failure, ...]] = (
    *_FEATURE,
    *_KEYS,
    *_LEDGER,
    *_FILES,
    *_OPENROUTER,
    *_ANSWERS,
)
_CHANGES: Final[tuple[Failure, ...]] = (errors.SettingsChanged, errors.SettingsUnavailable)
_FEATURE_CHANGES: Final[tuple[Failure, ...]] = (
    errors.FeatureUnknown,
    errors.SettingsRefused,
    *_CHANGES,
)
# of `GET /key`, which OpenRouter answers without asking a model
_KEY_REPORTS: Final[tuple[Failure, ...]] = (
    errors.RateLimited,
    errors.UpstreamForbidden,
    errors.UpstreamRejected,
    errors.UpstreamBusy,
    errors.UpstreamTimeout,
    errors.UpstreamUnreachable,
    errors.UpstreamMalformed,
)

_CATALOG: Final[tuple[Failure, ...]] = (
    errors.CatalogUnavailable,
    errors.CatalogIncomplete,
    errors.RateLimited,
    errors.UpstreamBusy,
    errors.UpstreamTimeout,
    errors.UpstreamUnreachable,
    errors.UpstreamMalformed,
)

CALLABLES: Final = (
    Callable(
        "execute_prompt",
        (contract.ExecutePrompt, contract.ResumeGeneration),
        (contract.PromptResult,),
        "Frame",
        (*_PROMPTS, *_CONVERSATIONS, errors.GenerationUnknown, errors.QueueUnavailable),
    ),
    Callable(
        "execute_multi_model_prompt",
        (contract.CompareModels,),
        (contract.ComparisonResult,),
        "ComparisonFrame",
        (*_PROMPTS, errors.CostTooHigh, errors.CatalogUnavailable),
    ),
    Callable(
        "create_embeddings",
        (contract.CreateEmbeddings,),
        (contract.EmbeddingsResult,),
        None,
        (*_FEATURE, *_KEYS, *_LEDGER, *_OPENROUTER, errors.Stopped),
    ),
    Callable(
        "stop_generation",
        (contract.StopGeneration,),
        (contract.StopResult,),
        None,
        (errors.GenerationUnknown, errors.LedgerUnavailable),
    ),
    Callable(
        "create_upload",
        (contract.CreateUpload,),
        (contract.UploadResult,),
        None,
        (
            errors.QuotaExceeded,
            errors.StorageMissing,
            errors.StorageUnavailable,
            errors.LedgerUnavailable,
        ),
    ),
    Callable(
        "get_available_models",
        (contract.GetAvailableModels,),
        (contract.ModelsPage,),
        None,
        _CATALOG,
    ),
    Callable(
        "get_allowance",
        (contract.GetAllowance,),
        (contract.Allowance,),
        None,
        (
            errors.UserBlocked,
            errors.FeatureUnknown,
            errors.FeatureDisabled,
            errors.SettingsInvalid,
            errors.SettingsUnavailable,
            errors.LedgerUnavailable,
        ),
    ),
    Callable(
        "list_features",
        (contract.ListFeatures,),
        (contract.FeatureList,),
        None,
        (errors.SettingsUnavailable,),
    ),
    Callable(
        "set_preferences",
        (contract.SetPreferences,),
        (contract.PreferencesSaved,),
        None,
        (
            errors.FeatureUnknown,
            errors.FeatureDisabled,
            errors.SettingsInvalid,
            errors.SettingsUnavailable,
            errors.ModelNotAllowed,
            errors.PaidModel,
        ),
    ),
    Callable(
        "update_conversation",
        (contract.UpdateConversation,),
        (contract.ConversationUpdated,),
        None,
        _CONVERSATIONS,
    ),
    Callable(
        "delete_conversation",
        (contract.DeleteConversation,),
        (contract.ConversationDeleted,),
        None,
        (
            errors.ConversationUnknown,
            errors.HistoryUnavailable,
            errors.StorageMissing,
            errors.StorageUnavailable,
        ),
    ),
    Callable(
        "export_conversation",
        (contract.ExportConversation,),
        (contract.ConversationExport,),
        None,
        (errors.ConversationUnknown, errors.HistoryUnavailable),
    ),
    Callable(
        "erase_my_data",
        (contract.EraseMyData,),
        (contract.DataErased,),
        None,
        (
            errors.LedgerUnavailable,
            errors.HistoryUnavailable,
            errors.StorageMissing,
            errors.StorageUnavailable,
        ),
    ),
    Callable(
        "export_my_data",
        (contract.ExportMyData,),
        (contract.DataExport,),
        None,
        (errors.HistoryUnavailable, errors.StorageUnavailable),
    ),
    Callable("api", (contract.Dispatch,)),
    Callable("admin_api", (contract.AdminDispatch,)),
    Callable(
        "get_feature_settings",
        (contract.GetFeatureSettings,),
        (contract.FeatureDetailsList,),
        None,
        (errors.FeatureUnknown, errors.SettingsUnavailable),
    ),
    Callable(
        "save_feature_settings",
        (contract.SaveFeatureSettings,),
        (contract.FeatureSaved, contract.FeatureValidated),
        None,
        _FEATURE_CHANGES,
        settings=FeatureSettings,
    ),
    Callable(
        "reset_feature_settings",
        (contract.ResetFeature,),
        (contract.FeatureSaved,),
        None,
        _FEATURE_CHANGES,
    ),
    Callable(
        "restore_feature_settings",
        (contract.RestoreFeature,),
        (contract.FeatureSaved,),
        None,
        (*_FEATURE_CHANGES, errors.RevisionUnknown, errors.SettingsInvalid),
    ),
    Callable(
        "delete_feature",
        (contract.DeleteFeature,),
        (contract.FeatureDeleted,),
        None,
        (errors.FeatureUnknown, *_CHANGES),
    ),
    Callable(
        "promote_draft",
        (contract.PromoteDraft,),
        (contract.FeatureSaved,),
        None,
        (*_FEATURE_CHANGES, errors.NoDraft),
    ),
    Callable(
        "drop_draft",
        (contract.DropDraft,),
        (contract.FeatureSaved,),
        None,
        (errors.FeatureUnknown, errors.NoDraft, *_CHANGES),
    ),
    Callable(
        "test_feature_settings",
        (contract.TestFeatureSettings,),
        (contract.PromptTestResult, contract.EmbeddingsTestResult),
        "Frame",
        (*_PROMPTS, errors.SettingsRefused, errors.Stopped),
    ),
    Callable(
        "save_app_settings",
        (contract.SaveAppSettings,),
        (contract.SettingsSaved, contract.AppSettingsValidated),
        None,
        (errors.SettingsRefused, *_CHANGES),
        settings=AppSettings,
    ),
    Callable(
        "restore_app_settings",
        (contract.RestoreAppSettings,),
        (contract.SettingsSaved,),
        None,
        (errors.RevisionUnknown, errors.SettingsInvalid, errors.SettingsRefused, *_CHANGES),
    ),
    Callable(
        "list_users",
        (contract.ListUsers,),
        (contract.UserList,),
        None,
        (errors.LedgerUnavailable,),
    ),
    Callable(
        "set_user_limits",
        (contract.SetUserLimits,),
        (contract.UserLimitsSaved,),
        None,
        (errors.SettingsRefused, *_CHANGES),
        settings=LimitsOverride,
    ),
    Callable(
        "stop_user_generations",
        (contract.StopUserGenerations,),
        (contract.UserStopped,),
        None,
        (errors.LedgerUnavailable, errors.SettingsUnavailable),
    ),
    Callable(
        "list_keys",
        (contract.ListKeys,),
        (contract.KeyList,),
        None,
        (
            errors.KeyUnavailable,
            errors.KeyStoreForbidden,
            errors.KeyStoreDisabled,
            errors.SettingsUnavailable,
        ),
    ),
    Callable(
        "set_openrouter_key",
        (contract.SetKey,),
        (contract.KeyInfo,),
        None,
        (
            errors.KeyInvalid,
            errors.KeyLimitReached,
            errors.ManagementKey,
            errors.KeyStoreForbidden,
            errors.KeyStoreDisabled,
            errors.KeyUnavailable,
            *_CHANGES,
            *_KEY_REPORTS,
        ),
    ),
    Callable(
        "remove_openrouter_key",
        (contract.RemoveKey,),
        (contract.KeyRemoved,),
        None,
        (errors.KeyStoreForbidden, errors.KeyStoreDisabled, errors.KeyUnavailable, *_CHANGES),
    ),
    Callable(
        "test_openrouter_connection",
        (contract.TestConnection,),
        (contract.KeyReportInfo, contract.KeyRefused),
        None,
        (errors.FeatureUnknown, *_KEYS, errors.SettingsUnavailable, *_KEY_REPORTS),
    ),
    Callable(
        "get_usage_report",
        (contract.GetUsageReport,),
        (contract.UsageReport,),
        None,
        (errors.LedgerUnavailable,),
    ),
    Callable(
        "refresh_catalog",
        (contract.RefreshCatalog,),
        (contract.CatalogRefreshed,),
        None,
        (*_CATALOG, errors.SettingsUnavailable),
    ),
)


def failures_of(callable_: Callable) -> tuple[Failure, ...]:
    """Return the errors that are this callable's own: all but those of every callable."""
    own = [*callable_.failures, *(ADMINS if callable_.audience == "admin" else ())]
    return tuple(dict.fromkeys(kind for kind in own if kind not in EVERY))
