"""How long a call to OpenRouter may take, and how large an answer may be."""

from __future__ import annotations

from dataclasses import dataclass

from .. import limits


@dataclass(frozen=True, slots=True)
class OpenRouterLimits:
    """The limits of one instance's client."""

    connect_s: float = 5.0
    ping_s: float = 10.0  # one GET /key or GET /generation
    id_wait_s: float = 0.5  # after a stop, for the id of a request that was just sent
    events_at_once: int = 50  # of one packet; then other answers have their turn
    usage_wait_s: float = 2.0  # after a finish reason, for the usage and the end of the stream
    drain_s: float = 0.05  # after `[DONE]`, for the end of the body: its connection is used again
    connections_max: int = 1_000  # per instance: 80 concurrent calls, six models in a comparison

    # attempts with one model, if its failure may be temporary
    tries_per_model: int = 3
    empty_answers_per_model: int = 2  # then it isn't tried again: the next one would be empty too
    retry_after_max_s: float = 10.0  # a model that requires a longer pause is not retried
    backoff_first_s: float = 0.5
    backoff_max_s: float = 4.0

    # what a model says of how it may be asked
    affordable_tokens_min: int = 256  # with credit for fewer, no answer is of use
    models_learnt_max: int = 1_000  # models of which something was learnt, in memory

    # one answer
    line_max_bytes: int = 8_000_000  # of its stream
    image_line_max_bytes: int = 28_000_000  # where images were asked for: one, as a data URL
    chars_max: int = 2_000_000  # text and reasoning; 128k tokens have about 600k characters
    tool_calls_max: int = limits.TOOL_CALLS_MAX
    tool_arguments_max_chars: int = limits.TOOL_ARGUMENTS_MAX_CHARS  # of all its calls
    reasoning_details_max_bytes: int = limits.REASONING_DETAILS_MAX_BYTES
    file_annotations_max_bytes: int = limits.READINGS_MAX_BYTES
    citations_max: int = 50
    citation_max_chars: int = 500  # of a title, or of the cited passage
    url_max_chars: int = 2_000
    images_max: int = limits.IMAGES_MAX
    image_max_bytes: int = 20_000_000  # of one; a picture of 4K has some 8 MB
    images_max_bytes: int = 20_000_000  # of all, which a result may contain in base64
    partial_images_max: int = 40

    # other documents
    document_max_bytes: int = 8_000_000  # one JSON document that is not an answer
    vectors_max_bytes: int = 16_000_000  # one response with vectors
