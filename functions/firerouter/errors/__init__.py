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
        KeyInvalid  NoCredit  CreditBusy  UpstreamForbidden  Moderated
        ModelNotFound  ContextTooLong  MaxTokensTooHigh  AttachmentRejected
        RateLimited  FreeDailyLimit  UpstreamBusy  UpstreamUnreachable  UpstreamMalformed
        EmptyAnswer  TooManyToolCalls  StreamCut  ImagesTooLarge  ImageUnreadable
        KeyLimitReached > BudgetReached
        NoProvider > PrivacyExcludesAll, RoutingExcludesAll
        UpstreamRejected > SystemRoleRejected
        AnswerTooLong > CutAtLength
        UpstreamTimeout > UpstreamSilent > OutOfTime

`status` is the callable status, `reason` is stable and for programs. `sentence` tells users what
happened and what they can do, and does not mention OpenRouter; `admin_sentence`, if an admin can
act, says where. Both may be reworded. A leaf below another (`>`) has its reason, and differs in how
it is handled or in what admins read. No sentence repeats text that OpenRouter sent, which can
contain the prompt or a key: admins get it apart, cleared of both. `callable` adds the failures of
its own protocol, such as a body that is too large.
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
    AttachmentRejected,
    BudgetReached,
    ContextTooLong,
    CreditBusy,
    CutAtLength,
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
    PrivacyExcludesAll,
    RateLimited,
    RoutingExcludesAll,
    StreamCut,
    SystemRoleRejected,
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
    "AttachmentRejected",
    "AttachmentUnknown",
    "BudgetReached",
    "CatalogIncomplete",
    "CatalogUnavailable",
    "ContextTooLong",
    "ConversationUnknown",
    "CostTooHigh",
    "CreditBusy",
    "CutAtLength",
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
    "PrivacyExcludesAll",
    "QueueUnavailable",
    "QuotaExceeded",
    "RateLimited",
    "Refused",
    "RequestIdReused",
    "Restarting",
    "ResultNotKept",
    "RevisionUnknown",
    "RoutingExcludesAll",
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
    "SystemRoleRejected",
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
