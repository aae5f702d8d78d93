"""Every failure a caller can be told of, each a leaf with one sentence for people.

    CallableError
      Refused              the call's own doing; nothing was sent to OpenRouter, nothing is billed
        InvalidArgument  SignInRequired  SessionInvalid  SessionExpired  SessionRevoked
        AppCheckFailed  NotAdmin  ManagementKey  SettingsChanged
        SettingsRefused  RevisionUnknown  NoDraft
        FeatureUnknown  FeatureDisabled  ModelNotAllowed  PaidModel  QuotaExceeded
        ConversationUnknown  MessageUnknown  AttachmentUnknown  AttachmentNotTaken
        AlreadyRunning  RequestIdReused  ResultNotKept  GenerationUnknown
      NotConfigured        an admin has to act
        KeyMissing  KeyStoreForbidden  SettingsInvalid  StorageMissing
      Unavailable          something of ours did not answer
        SignInUnavailable  LedgerUnavailable  SettingsUnavailable  KeyUnavailable
        HistoryUnavailable  StorageUnavailable
        CatalogUnavailable  CatalogIncomplete  Restarting
      UpstreamError        OpenRouter or a provider behind it; made in openrouter/failures.py alone
        KeyInvalid  KeyLimitReached  NoCredit  CreditBusy  UpstreamForbidden  Moderated
        ModelNotFound  NoProvider  ContextTooLong  MaxTokensTooHigh  UpstreamRejected
        RateLimited  FreeDailyLimit  UpstreamBusy  UpstreamUnreachable  UpstreamMalformed
        EmptyAnswer  AnswerTooLong  StreamCut  UpstreamTimeout > UpstreamSilent > OutOfTime

`status` is the callable status, `reason` is stable and for programs, `sentence` is for people and
may be reworded. No leaf repeats text that OpenRouter sent: it can hold the prompt, or a key.
"""

from .ours import (
    AlreadyRunning,
    AppCheckFailed,
    AttachmentNotTaken,
    AttachmentUnknown,
    CatalogIncomplete,
    CatalogUnavailable,
    ConversationUnknown,
    FeatureDisabled,
    FeatureUnknown,
    GenerationUnknown,
    HistoryUnavailable,
    InvalidArgument,
    KeyMissing,
    KeyStoreForbidden,
    KeyUnavailable,
    LedgerUnavailable,
    ManagementKey,
    MessageUnknown,
    ModelNotAllowed,
    NoDraft,
    NotAdmin,
    NotConfigured,
    PaidModel,
    QuotaExceeded,
    Refused,
    RequestIdReused,
    Restarting,
    ResultNotKept,
    RevisionUnknown,
    SessionExpired,
    SessionInvalid,
    SessionRevoked,
    SettingsChanged,
    SettingsInvalid,
    SettingsRefused,
    SettingsUnavailable,
    SignInRequired,
    SignInUnavailable,
    StorageMissing,
    StorageUnavailable,
    Unavailable,
)
from .upstream import (
    AnswerTooLong,
    ContextTooLong,
    CreditBusy,
    EmptyAnswer,
    FreeDailyLimit,
    KeyInvalid,
    KeyLimitReached,
    MaxTokensTooHigh,
    ModelNotFound,
    Moderated,
    NoCredit,
    NoProvider,
    OutOfTime,
    RateLimited,
    StreamCut,
    UpstreamBusy,
    UpstreamError,
    UpstreamForbidden,
    UpstreamMalformed,
    UpstreamRejected,
    UpstreamSilent,
    UpstreamTimeout,
    UpstreamUnreachable,
)

__all__ = [
    "AlreadyRunning",
    "AnswerTooLong",
    "AppCheckFailed",
    "AttachmentNotTaken",
    "AttachmentUnknown",
    "CatalogIncomplete",
    "CatalogUnavailable",
    "ContextTooLong",
    "ConversationUnknown",
    "CreditBusy",
    "EmptyAnswer",
    "FeatureDisabled",
    "FeatureUnknown",
    "FreeDailyLimit",
    "GenerationUnknown",
    "HistoryUnavailable",
    "InvalidArgument",
    "KeyInvalid",
    "KeyLimitReached",
    "KeyMissing",
    "KeyStoreForbidden",
    "KeyUnavailable",
    "LedgerUnavailable",
    "ManagementKey",
    "MaxTokensTooHigh",
    "MessageUnknown",
    "ModelNotAllowed",
    "ModelNotFound",
    "Moderated",
    "NoCredit",
    "NoDraft",
    "NoProvider",
    "NotAdmin",
    "NotConfigured",
    "OutOfTime",
    "PaidModel",
    "QuotaExceeded",
    "RateLimited",
    "Refused",
    "RequestIdReused",
    "Restarting",
    "ResultNotKept",
    "RevisionUnknown",
    "SessionExpired",
    "SessionInvalid",
    "SessionRevoked",
    "SettingsChanged",
    "SettingsInvalid",
    "SettingsRefused",
    "SettingsUnavailable",
    "SignInRequired",
    "SignInUnavailable",
    "StorageMissing",
    "StorageUnavailable",
    "StreamCut",
    "Unavailable",
    "UpstreamBusy",
    "UpstreamError",
    "UpstreamForbidden",
    "UpstreamMalformed",
    "UpstreamRejected",
    "UpstreamSilent",
    "UpstreamTimeout",
    "UpstreamUnreachable",
]
