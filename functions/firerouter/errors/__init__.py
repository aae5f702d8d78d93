"""Every failure that a caller can get, each a leaf with a sentence for people.

    CallableError
      Refused              the call's own fault: nothing was sent to OpenRouter, nothing is billed
        InvalidArgument  SignInRequired  SessionInvalid  SessionExpired  SessionRevoked
        AppCheckFailed  NotAdmin  ManagementKey  SettingsChanged
        SettingsRefused  RevisionUnknown  NoDraft
        FeatureUnknown  FeatureDisabled  ModelNotAllowed  PaidModel  CostTooHigh
        QuotaExceeded  WrongKind  Stopped  ConversationUnknown  MessageUnknown
        AttachmentUnknown  AttachmentNotTaken
        AlreadyRunning  RequestIdReused  ResultNotKept  GenerationUnknown  UserBlocked
      NotConfigured        an admin has to act
        KeyMissing  KeyStoreForbidden  KeyStoreDisabled
        SettingsInvalid  StorageMissing  FirestoreForbidden
      Unavailable          a service that the functions need did not answer
        SignInUnavailable  LedgerUnavailable  SettingsUnavailable  KeyUnavailable
        HistoryUnavailable  QueueUnavailable  StorageUnavailable
        CatalogUnavailable  CatalogIncomplete  Restarting
      UpstreamError        OpenRouter, or a provider behind it
        KeyInvalid  KeyLimitReached  NoCredit  CreditBusy  UpstreamForbidden  Moderated
        ModelNotFound  NoProvider  ContextTooLong  MaxTokensTooHigh  UpstreamRejected
        RateLimited  FreeDailyLimit  UpstreamBusy  UpstreamUnreachable  UpstreamMalformed
        EmptyAnswer  AnswerTooLong  TooManyToolCalls  StreamCut
        ImagesTooLarge  ImageUnreadable
        UpstreamTimeout > UpstreamSilent > OutOfTime

`status` is the callable status, `reason` is stable and for programs. `sentence` tells users what
happened and what they can do, and does not mention OpenRouter; `admin_sentence`, if an admin can
act, says where. Both may be reworded. No leaf repeats text that OpenRouter sent, which can contain
the prompt or a key. `callable` adds the failures of its own protocol, such as a body that is too
large.
"""

from ..callable import CallableError
from .service import (
    AlreadyRunning,
    AppCheckFailed,
    AttachmentNotTaken,
    AttachmentUnknown,
    CatalogIncomplete,
    CatalogUnavailable,
    ConversationUnknown,
    CostTooHigh,
    FeatureDisabled,
    FeatureUnknown,
    FirestoreForbidden,
    GenerationUnknown,
    HistoryUnavailable,
    InvalidArgument,
    KeyMissing,
    KeyStoreDisabled,
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
    QueueUnavailable,
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
    Stopped,
    StorageMissing,
    StorageUnavailable,
    Unavailable,
    UserBlocked,
    WrongKind,
)
from .upstream import (
    AnswerTooLong,
    ContextTooLong,
    CreditBusy,
    EmptyAnswer,
    FreeDailyLimit,
    ImagesTooLarge,
    ImageUnreadable,
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
    TooManyToolCalls,
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
    "CostTooHigh",
    "CreditBusy",
    "EmptyAnswer",
    "FeatureDisabled",
    "FeatureUnknown",
    "FirestoreForbidden",
    "FreeDailyLimit",
    "GenerationUnknown",
    "HistoryUnavailable",
    "ImageUnreadable",
    "ImagesTooLarge",
    "InvalidArgument",
    "KeyInvalid",
    "KeyLimitReached",
    "KeyMissing",
    "KeyStoreDisabled",
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
    "QueueUnavailable",
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
    "Stopped",
    "StorageMissing",
    "StorageUnavailable",
    "StreamCut",
    "TooManyToolCalls",
    "Unavailable",
    "UpstreamBusy",
    "UpstreamError",
    "UpstreamForbidden",
    "UpstreamMalformed",
    "UpstreamRejected",
    "UpstreamSilent",
    "UpstreamTimeout",
    "UpstreamUnreachable",
    "UserBlocked",
    "WrongKind",
    "failure_of",
]


def failure_of(reason: str) -> type[CallableError]:
    """Return the leaf with a stored reason; CallableError if there is none."""
    kinds: list[type[CallableError]] = [CallableError]
    for kind in kinds:
        if vars(kind).get("reason") == reason:
            return kind
        kinds += kind.__subclasses__()
    return CallableError
