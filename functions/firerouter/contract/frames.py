"""The frames of a stream before its result: what a client gets while an answer is generated.

As in `result`, these are the JSON values themselves, and the string below a field documents it.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from .result import Citation, ErrorBody, ImageInfo, PartialImage, PromptResult, ToolCallInfo


class StartFrame(TypedDict):
    """The answer has begun. Always its first frame."""

    type: Literal["start"]
    generationId: str
    """What `stop_generation` and `resume` take."""
    conversationId: NotRequired[str]
    """The conversation that the question and the answer belong to, if any."""
    messageId: NotRequired[str]
    """The id that the answer's message will have, if it is stored."""
    model: str
    """The model that is called first."""


class TextFrame(TypedDict):
    """More of the answer's text."""

    type: Literal["text"]
    delta: str
    """What follows the text so far."""


class ReasoningFrame(TypedDict):
    """More of the model's reasoning."""

    type: Literal["reasoning"]
    delta: str
    """What follows the reasoning so far."""


class RetryFrame(TypedDict):
    """An attempt failed before its first token, and another one follows."""

    type: Literal["retry"]
    attempt: int
    """The number of the next attempt, from 2."""
    model: str
    """The model that is called next, which may be a fallback."""
    reason: str
    """Why the attempt failed: one of the reasons in errors.md."""


class RepairFrame(TypedDict):
    """The text starts over: discard what has arrived so far. The answer was not the required JSON,
    so the model is called once more (the feature's `repairJson`)."""

    type: Literal["repair"]
    model: str
    """The model that is called again."""
    at: NotRequired[str]
    """What was wrong, as in the notice `format_not_kept`. It may be absent if another instance
    generates the answer."""


class JsonFrame(TypedDict):
    """The JSON as it has grown so far, for calls with `partialJson`; at most four per second."""

    type: Literal["json"]
    json: object
    """The value so far, not validated; its last text may be truncated."""


class ToolCallFrame(ToolCallInfo):
    """A tool call is complete."""

    type: Literal["tool_call"]
    index: int
    """Its place in `toolCalls`, from 0."""


class CitationFrame(Citation):
    """A citation is complete."""

    type: Literal["citation"]
    index: int
    """Its place in `citations`, from 0."""


class ImageFrame(TypedDict):
    """An image: complete, or as far as it has been generated."""

    type: Literal["image"]
    image: ImageInfo | PartialImage
    """The image. `partial: true` marks one that is incomplete."""


AnswerFrame = (
    TextFrame
    | ReasoningFrame
    | RetryFrame
    | RepairFrame
    | JsonFrame
    | ToolCallFrame
    | CitationFrame
    | ImageFrame
)
"""What may follow the first frame of an answer."""


class FailureFrame(TypedDict):
    """The call has failed: the last message of its stream, and the same as its error.

    Some SDKs report the error of a stream in part or not at all, but each of them this message.
    """

    type: Literal["error"]
    error: ErrorBody
    """Why it failed."""


OneAnswerFrame = StartFrame | AnswerFrame
"""The frames of one answer."""

Frame = StartFrame | AnswerFrame | FailureFrame
"""The frames of `execute_prompt` and `test_feature_settings`."""


class ComparisonStartFrame(TypedDict):
    """The comparison has begun. Always its first frame."""

    type: Literal["start"]
    comparisonId: str
    """What `stop_generation` takes."""
    models: list[str]
    """The models that answer, in the order of `results`."""
    estimate: float
    """What the comparison may cost at most, in US dollars."""


class ModelTag(TypedDict):
    """The additional fields of each frame of a model's answer in a comparison."""

    index: int
    """The model's place in `models`; the judge's comes after the last one. In the frames
    `tool_call` and `citation`, it is the place of the call or citation instead."""
    model: str
    """The model."""


class ResultFrame(TypedDict):
    """One model of a comparison has finished."""

    type: Literal["result"]
    index: int
    """The model's place in `models`; the judge's comes after the last one."""
    model: str
    """The model."""
    result: PromptResult
    """Its answer."""


class ErrorFrame(TypedDict):
    """One model of a comparison has failed. Without `index`, the whole call has: `FailureFrame`."""

    type: Literal["error"]
    index: int
    """The model's place in `models`; the judge's comes after the last one."""
    model: str
    """The model."""
    error: ErrorBody
    """Why it failed."""


ComparisonEndFrame = ResultFrame | ErrorFrame
"""The last frame of each model of a comparison."""
