"""Failures of OpenRouter, or of a provider behind it.

`openrouter/failures.py` alone maps the failures that OpenRouter reports to leaves. What it does not
report (silence, a malformed, empty or endless answer) is raised where it is detected.
"""

from __future__ import annotations

from typing import ClassVar

from ..callable import CallableError


class UpstreamError(CallableError):
    """A failure of OpenRouter or of a provider, and how it is handled.

    `another_try`: the same model may answer if the same request is sent again soon.
    `another_model`: a fallback model may answer where this one does not.
    `another_key`: another OpenRouter key may do where this one does not.
    `file_annotations`: what OpenRouter read of files before it failed, unchanged, to be sent back.
    `affordable_tokens`: how long an answer the account's credit still pays for, if it says so.
    `unredacted`: what OpenRouter said of it, which may quote the prompt or a key. Only
    `openrouter.redaction` reads it, and `upstream_reason` is what it leaves.
    """

    status = "UNAVAILABLE"
    another_try: ClassVar[bool] = False
    another_model: ClassVar[bool] = True
    another_key: ClassVar[bool] = False
    file_annotations: object = None
    affordable_tokens: int | None = None
    unredacted: str = ""

    @property
    def upstream_reason(self) -> str | None:
        """OpenRouter's own reason, for admins and the log, without keys and prompts."""
        reason = self.admin_details.get("upstreamReason")
        return reason if isinstance(reason, str) else None


class KeyInvalid(UpstreamError):
    status = "FAILED_PRECONDITION"
    reason = "key_invalid"
    sentence = "This app's AI isn't available right now. Please tell its owner."
    admin_sentence = (
        "OpenRouter rejected the key. Create a new one at openrouter.ai/settings/keys, then "
        "store it with set_openrouter_key."
    )
    another_model = False
    another_key = True


class KeyLimitReached(UpstreamError):
    status = "RESOURCE_EXHAUSTED"
    reason = "key_limit_reached"
    sentence = "This app has reached its limit for AI answers. Please tell its owner."
    admin_sentence = (
        "The OpenRouter key has reached its spending limit. Raise the limit at "
        "openrouter.ai/settings/keys."
    )
    another_key = True


class BudgetReached(KeyLimitReached):
    """A budget that other keys of the account may share: a guardrail's, or a workspace's."""

    admin_sentence = (
        "The OpenRouter account has spent a budget of a guardrail or a workspace. Raise it at "
        "openrouter.ai/settings."
    )
    another_key = False


class NoCredit(UpstreamError):
    status = "RESOURCE_EXHAUSTED"
    reason = "no_credit"
    sentence = "This app has run out of credit for AI answers. Please tell its owner."
    admin_sentence = (
        "The OpenRouter account is out of credit. Add some at openrouter.ai/settings/credits."
    )
    another_key = True  # one that an admin has stored meanwhile: see keys.pool


class CreditBusy(UpstreamError):
    status = "RESOURCE_EXHAUSTED"
    reason = "credit_busy"
    sentence = "Too many requests are running in this app at once. Please try again shortly."
    admin_sentence = (
        "Requests in flight have reserved what is left of the OpenRouter credit. Try again "
        "shortly, or add some at openrouter.ai/settings/credits."
    )
    retryable = True
    another_try = True


class UpstreamForbidden(UpstreamError):
    status = "PERMISSION_DENIED"
    reason = "upstream_forbidden"
    sentence = "This model isn't available in this app. Please choose another one."
    admin_sentence = (
        "The OpenRouter account may not use this model. Check what it allows at "
        "openrouter.ai/settings/privacy."
    )


class Moderated(UpstreamError):
    status = "INVALID_ARGUMENT"
    reason = "moderated"
    sentence = "This request was refused by the model's content rules. Please rephrase it."


class ModelNotFound(UpstreamError):
    status = "NOT_FOUND"
    reason = "model_not_found"
    sentence = "This model is no longer available. Please choose another one."
    admin_sentence = (
        "OpenRouter no longer offers this model. Choose another one with save_feature_settings."
    )


class NoProvider(UpstreamError):
    status = "FAILED_PRECONDITION"
    reason = "no_provider"
    sentence = "This model isn't available for this feature. Please choose another one."
    admin_sentence = (
        "No provider offers this model with these settings. Change the feature's provider or "
        "parameters with save_feature_settings."
    )


class PrivacyExcludesAll(NoProvider):
    """The account's privacy settings, or a guardrail, exclude all providers of the model."""

    admin_sentence = (
        "The OpenRouter account's privacy settings exclude all providers of this model. Change "
        "them at openrouter.ai/settings/privacy."
    )


class RoutingExcludesAll(NoProvider):
    """The feature's provider settings, or those of the account, exclude all providers."""

    admin_sentence = (
        "The feature's provider settings exclude all providers. Change them with "
        "save_feature_settings, or the account's at openrouter.ai/settings/preferences."
    )


class ContextTooLong(UpstreamError):
    status = "INVALID_ARGUMENT"
    reason = "context_too_long"
    sentence = "This is too long for the model. Please shorten it."


class AttachmentRejected(UpstreamError):
    """The model or its provider can't use a file of the request: its format, its size."""

    status = "INVALID_ARGUMENT"
    reason = "attachment_rejected"
    sentence = "The model couldn't use one of your files. Please try another file or format."


class MaxTokensTooHigh(UpstreamError):
    status = "FAILED_PRECONDITION"
    reason = "max_tokens_too_high"
    sentence = "This feature asks for too long an answer. Please tell this app's owner."
    admin_sentence = (
        "This feature's maxTokens is higher than the model allows. Lower it with "
        "save_feature_settings."
    )


class UpstreamRejected(UpstreamError):
    status = "FAILED_PRECONDITION"
    reason = "upstream_rejected"
    sentence = (
        "The model couldn't process this request. Please change it, or tell this app's owner."
    )
    admin_sentence = (
        "OpenRouter rejected the request. Check the feature's parameters, and try them with "
        "test_feature_settings."
    )


class SystemRoleRejected(UpstreamRejected):
    """The model takes no system prompt: it may answer if that is part of the question."""


class RateLimited(UpstreamError):
    status = "RESOURCE_EXHAUSTED"
    reason = "rate_limited"
    sentence = "The model is getting too many requests. Please try again in a moment."
    retryable = True
    another_try = True


class FreeDailyLimit(UpstreamError):
    """The account has used up its free requests of the day, which all free models share."""

    status = "RESOURCE_EXHAUSTED"
    reason = "free_daily_limit"
    sentence = "Today's free requests are used up. Please try again tomorrow."
    admin_sentence = (
        "The OpenRouter account has used up today's free requests. Add credit at "
        "openrouter.ai/settings/credits, or wait until midnight UTC."
    )


class UpstreamBusy(UpstreamError):
    reason = "upstream_busy"
    sentence = "The model is overloaded or down. Please try again in a moment."
    retryable = True
    another_try = True


class UpstreamTimeout(UpstreamError):
    """OpenRouter or a provider reports it (408, 504, 524), or one of our own deadlines passed."""

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
    sentence = "The AI service couldn't be reached. Please try again in a moment."
    admin_sentence = (
        "OpenRouter couldn't be reached. Try again in a moment, and see status.openrouter.ai "
        "if that doesn't help."
    )
    retryable = True
    another_try = True


class UpstreamMalformed(UpstreamError):
    reason = "upstream_malformed"
    sentence = "The model's answer couldn't be read. Please try again."
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
    sentence = "The answer became too long and was stopped. Please ask for less at once."
    another_model = False


class CutAtLength(AnswerTooLong):
    """The model wrote as much as it may: what there is of its answer is an answer, cut."""


class TooManyToolCalls(UpstreamError):
    """`details.max` is how many tool calls an answer may have."""

    status = "OUT_OF_RANGE"
    reason = "too_many_tool_calls"
    sentence = (
        "The model asked for too many tools at once and was stopped. Please ask for less at once."
    )
    another_model = False


class ImagesTooLarge(UpstreamError):
    """`details.max` is how many images there may be, `details.maxBytes` how large they may be."""

    status = "OUT_OF_RANGE"
    reason = "images_too_large"
    sentence = (
        "The model's images were too large or too many. Please ask for fewer or smaller ones."
    )
    another_model = False


class ImageUnreadable(UpstreamError):
    status = "FAILED_PRECONDITION"
    reason = "image_unreadable"
    sentence = "The model sent an image that can't be shown. Please choose another model."
    admin_sentence = (
        "The model sent an image of an unknown type. Choose another model with "
        "save_feature_settings."
    )
    another_model = False


class StreamCut(UpstreamError):
    """The connection was lost, or a provider failed, before the answer was complete."""

    reason = "stream_cut"
    sentence = "The answer was cut off. Please try again."
    retryable = True
    another_try = True
