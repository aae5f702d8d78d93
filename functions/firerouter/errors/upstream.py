"""Failures of OpenRouter, or of a provider behind it. `openrouter/failures.py` alone makes them."""

from __future__ import annotations

from typing import ClassVar

from ..callable import CallableError


class UpstreamError(CallableError):
    """`another_try`: the same model may answer the same request if asked again soon.

    `another_model`: a fallback model may answer where this one does not.
    `file_annotations`: what OpenRouter read of files before it failed, unchanged, to be sent back.
    """

    status = "UNAVAILABLE"
    another_try: ClassVar[bool] = False
    another_model: ClassVar[bool] = True
    file_annotations: object = None


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


class TooManyToolCalls(UpstreamError):
    """`details.max` is how many an answer may have."""

    status = "OUT_OF_RANGE"
    reason = "too_many_tool_calls"
    sentence = "The model asked for too many tools at once, and was ended."
    another_model = False


class ImagesTooLarge(UpstreamError):
    """`details.max` and `details.maxBytes`: how many, and how large they may be."""

    status = "OUT_OF_RANGE"
    reason = "images_too_large"
    sentence = "The model's images became too large or too many, and were not kept."
    another_model = False


class ImageUnreadable(UpstreamError):
    status = "FAILED_PRECONDITION"
    reason = "image_unreadable"
    sentence = "The model sent an image of an unknown kind. An admin has to choose another model."
    another_model = False


class StreamCut(UpstreamError):
    """The answer broke off: what had come is not the whole of it."""

    reason = "stream_cut"
    sentence = "The answer broke off before its end. Please try again."
    retryable = True
    another_try = True
