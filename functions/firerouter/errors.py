"""Every failure a caller can be told of, each a leaf with one sentence for people.

    CallableError
      Refused              the call's own doing; nothing was sent to OpenRouter, nothing is billed
        InvalidArgument  SignInRequired  SessionInvalid  SessionExpired  SessionRevoked
        AppCheckFailed  NotAdmin  ManagementKey  SettingsChanged
        SettingsRefused  RevisionUnknown  NoDraft
        FeatureUnknown  FeatureDisabled  ModelNotAllowed  PaidModel  QuotaExceeded
        AlreadyRunning  RequestIdReused  ResultNotKept  GenerationUnknown
      NotConfigured        an admin has to act
        KeyMissing  KeyStoreForbidden  SettingsInvalid
      Unavailable          something of ours did not answer
        SignInUnavailable  LedgerUnavailable  SettingsUnavailable  KeyUnavailable
        CatalogUnavailable  CatalogIncomplete  Restarting
      UpstreamError        OpenRouter or a provider behind it; made in openrouter/failures.py alone
        KeyInvalid  KeyLimitReached  NoCredit  CreditBusy  UpstreamForbidden  Moderated
        ModelNotFound  NoProvider  ContextTooLong  MaxTokensTooHigh  UpstreamRejected
        RateLimited  FreeDailyLimit  UpstreamBusy  UpstreamUnreachable  UpstreamMalformed
        EmptyAnswer  AnswerTooLong  StreamCut  UpstreamTimeout > UpstreamSilent > OutOfTime

`status` is the callable status, `reason` is stable and for programs, `sentence` is for people and
may be reworded. No leaf repeats text that OpenRouter sent: it can hold the prompt, or a key.
"""

from __future__ import annotations

from typing import ClassVar

from .callable import CallableError


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


class ModelNotAllowed(Refused):
    status = "PERMISSION_DENIED"
    reason = "model_not_allowed"
    sentence = "This feature does not allow that model."


class PaidModel(Refused):
    """`freeModelsOnly` is on, and this would be billed; `details.field` says what."""

    status = "FAILED_PRECONDITION"
    reason = "paid_model"
    sentence = "This app allows free models only. An admin can change that."


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
    reason = "key_store_forbidden"
    sentence = "The functions may not store keys. Give them the role Secret Manager Admin."


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


class KeyUnavailable(Unavailable):
    reason = "key_unavailable"
    sentence = "The service can not reach its key store at the moment. Please try again."


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


class UpstreamError(CallableError):
    """`another_try`: the same model may answer the same request if asked again soon.

    `another_model`: a fallback model may answer where this one does not.
    """

    status = "UNAVAILABLE"
    another_try: ClassVar[bool] = False
    another_model: ClassVar[bool] = True


class KeyInvalid(UpstreamError):
    status = "FAILED_PRECONDITION"
    reason = "key_invalid"
    sentence = "The OpenRouter key is not valid any more. An admin has to replace it."
    another_model = False


class KeyLimitReached(UpstreamError):
    status = "RESOURCE_EXHAUSTED"
    reason = "key_limit_reached"
    sentence = "The OpenRouter key has spent its limit. An admin has to raise it."


class NoCredit(UpstreamError):
    status = "RESOURCE_EXHAUSTED"
    reason = "no_credit"
    sentence = "The OpenRouter account has not enough credit. An admin has to add some."


class CreditBusy(UpstreamError):
    status = "RESOURCE_EXHAUSTED"
    reason = "credit_busy"
    sentence = "Too many requests are using the account's credit at once. Please try again shortly."
    retryable = True
    another_try = True


class UpstreamForbidden(UpstreamError):
    status = "PERMISSION_DENIED"
    reason = "upstream_forbidden"
    sentence = "The OpenRouter account may not use this model. An admin has to look at it."


class Moderated(UpstreamError):
    status = "INVALID_ARGUMENT"
    reason = "moderated"
    sentence = "This request was refused by the model's content rules. Please rephrase it."


class ModelNotFound(UpstreamError):
    status = "NOT_FOUND"
    reason = "model_not_found"
    sentence = "The model is not available any more. An admin has to choose another."


class NoProvider(UpstreamError):
    status = "FAILED_PRECONDITION"
    reason = "no_provider"
    sentence = "No provider offers this model with these settings. An admin has to change them."


class ContextTooLong(UpstreamError):
    status = "INVALID_ARGUMENT"
    reason = "context_too_long"
    sentence = "This is too long for the model. Please shorten it."


class MaxTokensTooHigh(UpstreamError):
    status = "FAILED_PRECONDITION"
    reason = "max_tokens_too_high"
    sentence = "The feature asks for a longer answer than the model can give."


class UpstreamRejected(UpstreamError):
    status = "FAILED_PRECONDITION"
    reason = "upstream_rejected"
    sentence = "OpenRouter refused the request. An admin has to check the feature's settings."


class RateLimited(UpstreamError):
    status = "RESOURCE_EXHAUSTED"
    reason = "rate_limited"
    sentence = "The model is getting too many requests. Please try again in a moment."
    retryable = True
    another_try = True


class FreeDailyLimit(UpstreamError):
    """The account's daily number of free requests is used up, for every free model."""

    status = "RESOURCE_EXHAUSTED"
    reason = "free_daily_limit"
    sentence = "Today's free requests are used up. They start again at midnight UTC."


class UpstreamBusy(UpstreamError):
    reason = "upstream_busy"
    sentence = "The model is overloaded or down. Please try again in a moment."
    retryable = True
    another_try = True


class UpstreamTimeout(UpstreamError):
    """OpenRouter or a provider says so (408, 504, 524), or it could not be connected to in time."""

    status = "DEADLINE_EXCEEDED"
    reason = "upstream_timeout"
    sentence = "The model took too long to answer. Please try again."
    retryable = True
    another_try = True


class UpstreamSilent(UpstreamTimeout):
    """Our own deadline passed; `details.phase` is first_token or idle."""

    another_try = False


class OutOfTime(UpstreamSilent):
    """The whole call's deadline passed: `details.phase` is total."""

    another_model = False


class UpstreamUnreachable(UpstreamError):
    reason = "upstream_unreachable"
    sentence = "OpenRouter could not be reached. Please try again in a moment."
    retryable = True
    another_try = True


class UpstreamMalformed(UpstreamError):
    reason = "upstream_malformed"
    sentence = "The model's answer could not be understood. Please try again."
    retryable = True
    another_try = True


class EmptyAnswer(UpstreamError):
    reason = "empty_answer"
    sentence = "The model gave no answer. Please try again."
    retryable = True
    another_try = True


class AnswerTooLong(UpstreamError):
    status = "OUT_OF_RANGE"
    reason = "answer_too_long"
    sentence = "The answer became too long and was ended."
    another_model = False


class StreamCut(UpstreamError):
    """The answer broke off: what had come is not the whole of it."""

    reason = "stream_cut"
    sentence = "The answer broke off before its end. Please try again."
    retryable = True
    another_try = True
