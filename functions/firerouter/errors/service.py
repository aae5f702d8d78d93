"""Failures other than OpenRouter's: of the call, the setup, and services that do not answer."""

from __future__ import annotations

from ..callable import CallableError


class Refused(CallableError):
    """The call can't be answered as it is. Nothing was sent to OpenRouter, nothing is billed."""

    status = "INVALID_ARGUMENT"


class InvalidArgument(Refused):
    """A field is unknown, of the wrong type or over a limit; `details.field` names it."""

    reason = "invalid_argument"
    sentence = "One of the request's fields is invalid. Please check what you sent."


class SignInRequired(Refused):
    status = "UNAUTHENTICATED"
    reason = "sign_in_required"
    sentence = "You need to sign in first. Please sign in and try again."


class SessionInvalid(Refused):
    status = "UNAUTHENTICATED"
    reason = "session_invalid"
    sentence = "Your session isn't valid for this app. Please sign in again."


class SessionExpired(Refused):
    status = "UNAUTHENTICATED"
    reason = "session_expired"
    sentence = "Your session has expired. Please sign in again."


class SessionRevoked(Refused):
    """The account is disabled or gone, or its sessions were ended after this one began."""

    status = "UNAUTHENTICATED"
    reason = "session_revoked"
    sentence = "Your session was ended. Please sign in again."


class AppCheckFailed(Refused):
    status = "UNAUTHENTICATED"
    reason = "app_check_failed"
    sentence = "We couldn't verify this app. Please reload or update it and try again."
    admin_sentence = (
        "App Check refused this app. Register it under App Check in the Firebase console, or "
        "reload it to get a new token."
    )


class NotAdmin(Refused):
    status = "PERMISSION_DENIED"
    reason = "not_admin"
    sentence = "Only an admin of this app can do that. Please ask one of them."


class ManagementKey(Refused):
    reason = "management_key"
    sentence = "This value can't be used here. Please use another one."
    admin_sentence = (
        "That's an OpenRouter management key. Use a regular API key instead: create one at "
        "openrouter.ai/settings/keys."
    )


class SettingsChanged(Refused):
    """Somebody else saved first. This call changed nothing."""

    status = "ABORTED"
    reason = "settings_changed"
    sentence = "Somebody else has just changed this. Please reload it and try again."


class SettingsRefused(Refused):
    """`details.errors` and `details.warnings` list what is wrong: [{field, reason, message}]."""

    reason = "settings_refused"
    sentence = "These settings can't be saved. Please check each field."


class RevisionUnknown(Refused):
    status = "NOT_FOUND"
    reason = "revision_unknown"
    sentence = "This feature has no such revision. Please choose another one."


class NoDraft(Refused):
    status = "FAILED_PRECONDITION"
    reason = "no_draft"
    sentence = "This feature has no draft at the moment. Please reload it."


class FeatureUnknown(Refused):
    status = "NOT_FOUND"
    reason = "feature_unknown"
    sentence = "This feature doesn't exist. Please update the app."
    admin_sentence = (
        "This feature doesn't exist. Check its name, or create it with save_feature_settings."
    )


class FeatureDisabled(Refused):
    status = "FAILED_PRECONDITION"
    reason = "feature_disabled"
    sentence = "This feature is switched off at the moment. Please try again later."
    admin_sentence = "This feature is switched off. Switch it on with save_feature_settings."


class WrongKind(Refused):
    """The feature does something else: `details.kind` says what."""

    reason = "wrong_kind"
    sentence = "This feature doesn't support this call. Please update the app."


class Stopped(Refused):
    """The user stopped it, and a partial result would be useless."""

    status = "CANCELLED"
    reason = "stopped"
    sentence = "This was stopped before it was finished. Please start it again if you need it."


class ConversationUnknown(Refused):
    status = "NOT_FOUND"
    reason = "conversation_unknown"
    sentence = "This conversation wasn't found. Please start a new one."


class MessageUnknown(Refused):
    status = "NOT_FOUND"
    reason = "message_unknown"
    sentence = "This message wasn't found in the conversation. Please reload the conversation."


class AttachmentUnknown(Refused):
    """It was never uploaded, was deleted, or is another user's: the error doesn't say which."""

    status = "NOT_FOUND"
    reason = "attachment_unknown"
    sentence = "This file wasn't found. Please upload it again."


class AttachmentNotTaken(Refused):
    """`details.field` names the file, `details.modality` what the model would have to accept."""

    status = "FAILED_PRECONDITION"
    reason = "attachment_not_taken"
    sentence = "This model can't read files of that kind. Please choose another model or file."


class ModelNotAllowed(Refused):
    status = "PERMISSION_DENIED"
    reason = "model_not_allowed"
    sentence = "This feature doesn't allow that model. Please choose another one."
    admin_sentence = (
        "This feature doesn't allow that model. Add it to the feature's allowedModels with "
        "save_feature_settings."
    )


class PaidModel(Refused):
    """`freeModelsOnly` is on, and this would be billed: `details.field` says what."""

    status = "FAILED_PRECONDITION"
    reason = "paid_model"
    sentence = "This app allows free models only. Please choose a free one."
    admin_sentence = "Only free models are allowed. Turn off freeModelsOnly with save_app_settings."


class CostTooHigh(Refused):
    """A comparison may cost `details.estimate` US dollars, and `maxCost` is `details.max`."""

    status = "FAILED_PRECONDITION"
    reason = "cost_too_high"
    sentence = "These answers may cost more than you allow. Please choose fewer or cheaper models."


class QuotaExceeded(Refused):
    """`details.limit` names the limit, and `details.max` is its value."""

    status = "RESOURCE_EXHAUSTED"
    reason = "quota_exceeded"
    sentence = "You have reached your limit for now. Please try again later."
    admin_sentence = (
        "This limit is reached for now. Raise it with save_app_settings, or a feature's own with "
        "save_feature_settings, or try again later."
    )
    retryable = True


class UserBlocked(Refused):
    """An admin has blocked this user."""

    status = "PERMISSION_DENIED"
    reason = "user_blocked"
    sentence = "Your access to this app's AI features is paused. Please contact the app's owner."
    admin_sentence = "This user is blocked. Unblock them with set_user_limits."


class AlreadyRunning(Refused):
    """`details.generationId`, if present, names the running generation, to be resumed."""

    status = "ABORTED"
    reason = "already_running"
    sentence = "This request is already being answered. Please wait for it."
    retryable = True


class RequestIdReused(Refused):
    reason = "request_id_reused"
    sentence = "This requestId was already used for another request. Please use a new one."


class ResultNotKept(Refused):
    """`details.previousStatus` and `details.previousReason` say how the generation ended."""

    status = "FAILED_PRECONDITION"
    reason = "result_not_kept"
    sentence = (
        "This request was already answered, but its answer is gone. Please use a new requestId."
    )


class GenerationUnknown(Refused):
    """It doesn't exist, or it is another user's: the error doesn't say which."""

    status = "NOT_FOUND"
    reason = "generation_unknown"
    sentence = "No generation with this ID was found. Please start a new one."


class NotConfigured(CallableError):
    """An admin has to act before the call can be answered."""

    status = "FAILED_PRECONDITION"


class KeyMissing(NotConfigured):
    reason = "key_missing"
    sentence = "This app's AI isn't set up yet. Please tell its owner."
    admin_sentence = "No OpenRouter key is stored yet. Add one with set_openrouter_key."


class KeyStoreForbidden(NotConfigured):
    """The functions' service account lacks a role in Secret Manager."""

    reason = "key_store_forbidden"
    sentence = "This app's AI isn't set up correctly. Please tell its owner."
    admin_sentence = (
        "The functions' service account can't use Secret Manager. Grant it "
        "roles/secretmanager.admin under IAM in the Google Cloud console."
    )


class KeyStoreDisabled(NotConfigured):
    """The Secret Manager API is not enabled in the app's project."""

    reason = "key_store_disabled"
    sentence = "This app's AI isn't set up correctly. Please tell its owner."
    admin_sentence = (
        "The Secret Manager API isn't enabled in this project. Enable it in the Google Cloud "
        "console, under APIs & Services."
    )


class FirestoreForbidden(NotConfigured):
    reason = "firestore_forbidden"
    sentence = "This app's database isn't set up for AI answers yet. Please tell its owner."
    admin_sentence = (
        "The functions' service account can't use Firestore. Grant it roles/datastore.user "
        "under IAM in the Google Cloud console."
    )


class StorageMissing(NotConfigured):
    reason = "storage_missing"
    sentence = "This app can't store files yet. Please tell its owner."
    admin_sentence = (
        "Cloud Storage isn't set up. Create the default bucket under Storage in the Firebase "
        "console, then deploy again."
    )


class SettingsInvalid(NotConfigured):
    reason = "settings_invalid"
    sentence = "This feature isn't set up correctly. Please tell this app's owner."
    admin_sentence = (
        "This feature's stored settings are invalid. Correct them with save_feature_settings, or "
        "use restore_feature_settings."
    )


class Unavailable(CallableError):
    """A service that the functions need did not answer."""

    status = "UNAVAILABLE"
    retryable = True


class SignInUnavailable(Unavailable):
    reason = "sign_in_unavailable"
    sentence = "Your session can't be checked at the moment. Please try again."


class LedgerUnavailable(Unavailable):
    reason = "ledger_unavailable"
    sentence = "The service is temporarily unavailable. Please try again."


class SettingsUnavailable(Unavailable):
    reason = "settings_unavailable"
    sentence = "This app's settings can't be read at the moment. Please try again."


class HistoryUnavailable(Unavailable):
    reason = "history_unavailable"
    sentence = "Your conversations can't be read at the moment. Please try again."


class QueueUnavailable(Unavailable):
    """An answer that continues without a listener couldn't be queued. It was not started."""

    reason = "queue_unavailable"
    sentence = "This answer can't be started at the moment. Please try again."


class KeyUnavailable(Unavailable):
    reason = "key_unavailable"
    sentence = "The service can't answer at the moment. Please try again."
    admin_sentence = (
        "Secret Manager isn't responding, so no key can be read. Try again, and see "
        "status.cloud.google.com if that doesn't help."
    )


class StorageUnavailable(Unavailable):
    reason = "storage_unavailable"
    sentence = "Files can't be stored or read at the moment. Please try again."


class CatalogUnavailable(Unavailable):
    reason = "catalog_unavailable"
    sentence = "The list of models can't be read at the moment. Please try again."


class CatalogIncomplete(Unavailable):
    """The list has `details.count` models, and at least `details.expected` were expected."""

    reason = "catalog_incomplete"
    sentence = "The new list of models is incomplete. The one before it stays in use."
    admin_sentence = (
        "OpenRouter sent an incomplete list of models. The one before it stays in use; try "
        "refresh_catalog again later."
    )


class Restarting(Unavailable):
    """The instance was shut down or killed while it answered."""

    reason = "interrupted"
    sentence = "The service restarted while it was answering. Please try again."
