"""Failures of our own: the call's doing, an admin's to mend, something that does not answer."""

from __future__ import annotations

from ..callable import CallableError


class Refused(CallableError):
    status = "INVALID_ARGUMENT"


class InvalidArgument(Refused):
    """A field is unknown, of the wrong type or over a limit; `details.field` names it."""

    reason = "invalid_argument"
    sentence = "The request has a field that is not right."


class SignInRequired(Refused):
    status = "UNAUTHENTICATED"
    reason = "sign_in_required"
    sentence = "Please sign in first."


class SessionInvalid(Refused):
    status = "UNAUTHENTICATED"
    reason = "session_invalid"
    sentence = "Your sign-in is not valid here. Please sign in again."


class SessionExpired(Refused):
    status = "UNAUTHENTICATED"
    reason = "session_expired"
    sentence = "Your sign-in has expired. Please sign in again."


class SessionRevoked(Refused):
    """The account is disabled or gone, or its sessions were ended after this one began."""

    status = "UNAUTHENTICATED"
    reason = "session_revoked"
    sentence = "Your sign-in was ended. Please sign in again."


class AppCheckFailed(Refused):
    status = "UNAUTHENTICATED"
    reason = "app_check_failed"
    sentence = "This app could not prove that it is genuine. Please reload or update it."


class NotAdmin(Refused):
    status = "PERMISSION_DENIED"
    reason = "not_admin"
    sentence = "Only an admin of this app can do that."


class ManagementKey(Refused):
    reason = "management_key"
    sentence = "That is a management key, which can not ask a model. Use an ordinary one."


class SettingsChanged(Refused):
    """Somebody else saved first. Nothing was changed by this call."""

    status = "ABORTED"
    reason = "settings_changed"
    sentence = "Somebody else has changed this just now. Please look at it and try again."


class SettingsRefused(Refused):
    """Settings that can not be saved. `details.errors`, `warnings`: [{field, reason, message}]."""

    reason = "settings_refused"
    sentence = "These settings can not be used. Please look at each field."


class RevisionUnknown(Refused):
    status = "NOT_FOUND"
    reason = "revision_unknown"
    sentence = "This feature has no such revision."


class NoDraft(Refused):
    status = "FAILED_PRECONDITION"
    reason = "no_draft"
    sentence = "This feature has no draft at the moment."


class FeatureUnknown(Refused):
    status = "NOT_FOUND"
    reason = "feature_unknown"
    sentence = "There is no such feature."


class FeatureDisabled(Refused):
    status = "FAILED_PRECONDITION"
    reason = "feature_disabled"
    sentence = "This feature is switched off at the moment."


class WrongKind(Refused):
    """The feature does something else: `details.kind` is what."""

    reason = "wrong_kind"
    sentence = "This feature is of another kind. Please use the call that is made for it."


class Stopped(Refused):
    """Its user has stopped it, and there is nothing that a part of an answer is good for."""

    status = "CANCELLED"
    reason = "stopped"
    sentence = "This was stopped."


class ConversationUnknown(Refused):
    status = "NOT_FOUND"
    reason = "conversation_unknown"
    sentence = "There is no such conversation."


class MessageUnknown(Refused):
    status = "NOT_FOUND"
    reason = "message_unknown"
    sentence = "There is no such message in this conversation."


class AttachmentUnknown(Refused):
    """Never uploaded, deleted, or another user's: nobody learns which."""

    status = "NOT_FOUND"
    reason = "attachment_unknown"
    sentence = "This file is not there. Please upload it again."


class AttachmentNotTaken(Refused):
    """`details.field` says which file, `details.modality` what the model would have to take."""

    status = "FAILED_PRECONDITION"
    reason = "attachment_not_taken"
    sentence = "This model can not read a file of that kind. Please choose another one."


class ModelNotAllowed(Refused):
    status = "PERMISSION_DENIED"
    reason = "model_not_allowed"
    sentence = "This feature does not allow that model."


class PaidModel(Refused):
    """`freeModelsOnly` is on, and this would be billed; `details.field` says what."""

    status = "FAILED_PRECONDITION"
    reason = "paid_model"
    sentence = "This app allows free models only. An admin can change that."


class CostTooHigh(Refused):
    """Of a comparison: `details.estimate` and `details.max` are US dollars."""

    status = "FAILED_PRECONDITION"
    reason = "cost_too_high"
    sentence = "These answers may cost more than you allow."


class QuotaExceeded(Refused):
    """`details.limit` says which, as quotas.counters names them; `details.max` is how many."""

    status = "RESOURCE_EXHAUSTED"
    reason = "quota_exceeded"
    sentence = "You have reached your limit for now. Please try again later."
    retryable = True


class AlreadyRunning(Refused):
    status = "ABORTED"
    reason = "already_running"
    sentence = "This request is already being answered. Please wait for it."
    retryable = True


class RequestIdReused(Refused):
    reason = "request_id_reused"
    sentence = "This requestId was used before, with another request. Use a new one."


class ResultNotKept(Refused):
    status = "FAILED_PRECONDITION"
    reason = "result_not_kept"
    sentence = "This request was answered before, and its answer was not kept. Use a new requestId."


class GenerationUnknown(Refused):
    """None of that id, or another user's: nobody learns which."""

    status = "NOT_FOUND"
    reason = "generation_unknown"
    sentence = "You have no answer under this id."


class NotConfigured(CallableError):
    status = "FAILED_PRECONDITION"


class KeyMissing(NotConfigured):
    reason = "key_missing"
    sentence = "AI is not set up yet: an admin has to add an OpenRouter key."


class KeyStoreForbidden(NotConfigured):
    """The functions' service account lacks a role in Secret Manager."""

    reason = "key_store_forbidden"
    sentence = "This app isn't set up for AI answers yet. Please tell its owner."
    admin_sentence = (
        "The functions' service account can't use Secret Manager. Grant it the role Secret Manager "
        "Admin in the Google Cloud console, under IAM & Admin."
    )


class KeyStoreDisabled(NotConfigured):
    """The Secret Manager API is not enabled in the app's project."""

    reason = "key_store_disabled"
    sentence = "This app isn't set up for AI answers yet. Please tell its owner."
    admin_sentence = (
        "The Secret Manager API isn't enabled in this project. Enable it in the Google Cloud "
        "console, under APIs & Services."
    )


class FirestoreForbidden(NotConfigured):
    reason = "firestore_forbidden"
    sentence = "This app's database isn't set up for AI answers yet. Please tell its owner."


class StorageMissing(NotConfigured):
    reason = "storage_missing"
    sentence = "Files can not be stored yet: an admin has to set up Cloud Storage."


class SettingsInvalid(NotConfigured):
    reason = "settings_invalid"
    sentence = "This feature's settings are not right. An admin has to correct them."


class Unavailable(CallableError):
    status = "UNAVAILABLE"
    retryable = True


class SignInUnavailable(Unavailable):
    reason = "sign_in_unavailable"
    sentence = "Your sign-in can not be checked at the moment. Please try again."


class LedgerUnavailable(Unavailable):
    reason = "ledger_unavailable"
    sentence = "The service can not keep its books at the moment. Please try again."


class SettingsUnavailable(Unavailable):
    reason = "settings_unavailable"
    sentence = "The service's settings can not be read at the moment. Please try again."


class HistoryUnavailable(Unavailable):
    reason = "history_unavailable"
    sentence = "Your conversations can not be read at the moment. Please try again."


class QueueUnavailable(Unavailable):
    """An answer that needs no listener could not be queued. It was not begun."""

    reason = "queue_unavailable"
    sentence = "The service can not begin this answer at the moment. Please try again."


class KeyUnavailable(Unavailable):
    reason = "key_unavailable"
    sentence = "The service can not reach its key store at the moment. Please try again."


class StorageUnavailable(Unavailable):
    reason = "storage_unavailable"
    sentence = "Files can not be stored or read at the moment. Please try again."


class CatalogUnavailable(Unavailable):
    reason = "catalog_unavailable"
    sentence = "The list of models can not be read at the moment. Please try again."


class CatalogIncomplete(Unavailable):
    """`details.count` models came where `details.expected` were looked for."""

    reason = "catalog_incomplete"
    sentence = "OpenRouter sent an incomplete list of models. The list before it stays in use."


class Restarting(Unavailable):
    """The instance went down while it answered."""

    reason = "interrupted"
    sentence = "The service restarted while it was answering. Please try again."
