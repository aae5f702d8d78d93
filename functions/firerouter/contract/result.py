"""What users get: the result of every callable, and the errors. `frames` has what streams add.

These are the JSON values themselves, with the names that they have on the wire, so nothing has to
be converted and a missing key is a type error. A `NotRequired` key is left out, never null, unless
its type says `None`. The pages in docs/reference/, the JSON Schemas and the TypeScript types are
generated from here (scripts/contract): the string below a field is its documentation.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

Json = dict[str, object]
"""A JSON object whose fields are described elsewhere."""

GenerationStatus = Literal["done", "stopped", "failed", "interrupted"]
"""How a generation ended."""

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "stopped"]
"""Why the model stopped writing. `stopped`: the user ended the answer."""


# -- parts that several results share --------------------------------------------------------------


class CostDetails(TypedDict):
    """What a cost is made up of, in US dollars. What cost nothing is left out."""

    answer: float
    """The answer itself, with the one that it replaced if it was repaired."""
    failedAttempts: NotRequired[float]
    """Attempts that failed and were charged nevertheless."""
    helper: NotRequired[float]
    """The title or the summary that another model wrote for the conversation."""
    byok: NotRequired[float]
    """How much of all this a provider billed to the app's own account there, and not OpenRouter."""


class Usage(TypedDict):
    """The tokens that were processed and what they cost."""

    promptTokens: int
    """Tokens of the prompt, counted by the model's own tokenizer."""
    completionTokens: int
    """Tokens of the completion, reasoning included."""
    totalTokens: int
    """The sum of both."""
    reasoningTokens: NotRequired[int]
    """How many of the completion's tokens were reasoning."""
    cachedTokens: NotRequired[int]
    """How many of the prompt's tokens the provider read from its cache."""
    cacheWriteTokens: NotRequired[int]
    """How many of them it wrote into its cache, which some providers bill higher."""
    cost: float
    """US dollars: everything that the call cost."""
    costIsEstimate: NotRequired[Literal[True]]
    """OpenRouter has not reported all of it, and the rest is our estimate."""
    costDetails: NotRequired[CostDetails]
    """What it is made up of; absent if it is the answer's alone."""


class Timing(TypedDict):
    """How long the answer took, in milliseconds."""

    firstTokenMs: NotRequired[int]
    """From the start of the call to the first token; absent if there was none."""
    totalMs: int
    """From the start of the call to the end of the answer."""


class AttemptInfo(TypedDict):
    """One request that was sent to OpenRouter for this answer."""

    model: str
    """The model that was called."""
    reason: NotRequired[str]
    """Why the attempt failed: one of the reasons in errors.md; absent if it succeeded."""
    upstreamReason: NotRequired[str]
    """Only of `test_feature_settings`: what OpenRouter or the provider said of that, without keys
    and without what was asked."""


class Notice(TypedDict):
    """Something the user should know about a successful answer."""

    reason: str
    """Stable and for programs: `preference_dropped`, `attachment_left_out`, `reasoning_not_kept`,
    `image_not_kept`, `format_not_kept`, `parameter_dropped`, `max_tokens_lowered`, `no_text`."""
    message: str
    """One sentence for people."""
    field: NotRequired[str]
    """With `parameter_dropped`: the field that the model does not support. With
    `max_tokens_lowered`: `maxTokens`, of which a budget or the app's credit left less."""
    at: NotRequired[str]
    """With `format_not_kept`: where the answer violates the schema, and which keyword, such as
    `$.items[3].price (type)`; `$ (json)` if the answer is not JSON at all."""


class ToolCallInfo(TypedDict):
    """A call to one of the app's tools that the model requests."""

    id: str
    """The id that the result of the call must have as its `toolCallId`."""
    name: str
    """The tool's name."""
    arguments: str
    """The JSON that the model wrote, as text."""
    error: NotRequired[Literal["unknown_tool", "invalid_arguments"]]
    """There is no such tool, or `arguments` is not a JSON object."""


class Citation(TypedDict):
    """A web page that the answer is based on."""

    url: str
    """Its URL, `https://` or `http://`."""
    title: NotRequired[str]
    """Its title, truncated to 500 characters."""
    content: NotRequired[str]
    """The passage that is cited, truncated to 500 characters."""
    startIndex: NotRequired[int]
    """Where in `text` the citation begins, in characters."""
    endIndex: NotRequired[int]
    """Where in `text` it ends."""


class ImageInfo(TypedDict):
    """An image that the model generated."""

    index: int
    """Its place among the answer's images, from 0."""
    contentType: str
    """`image/png`, `image/jpeg`, `image/webp` or `image/gif`."""
    bytes: int
    """Its size."""
    path: NotRequired[str]
    """Its path in Cloud Storage; absent if it is not stored."""
    data: NotRequired[str]
    """The image in base64, if it is not stored, or if it is small and the request set
    `inlineImages`."""


class PartialImage(TypedDict):
    """An image as far as it has been generated. The next one with this `index` replaces it."""

    index: int
    """The place that the finished image will have among the answer's images, from 0."""
    partial: Literal[True]
    """Tells it from a finished image."""
    contentType: str
    """As in the finished image."""
    data: str
    """The image in base64."""


class FileInfo(TypedDict):
    """A file of a stored message."""

    path: str
    """Its path in Cloud Storage."""
    contentType: str
    """Its content type."""
    bytes: int
    """Its size."""
    name: NotRequired[str]
    """Its name, if one was given."""


class ToolResultInfo(TypedDict):
    """The result of a tool call in a stored message."""

    toolCallId: str
    """The call's `id`."""
    content: str
    """What the tool returned."""


class FindingInfo(TypedDict):
    """An error or a warning about one field of the settings."""

    field: str
    """The field, such as `fallbackModels[1]`."""
    reason: str
    """Stable and for programs; see save_feature_settings."""
    message: str
    """One sentence for people."""


class Difference(TypedDict):
    """A field that differs between two versions of some settings. A list counts as one value."""

    field: str
    """The field, such as `provider.sort`."""
    before: NotRequired[object]
    """Its value before; absent if it was not set."""
    after: NotRequired[object]
    """Its value after; absent if it is not set."""


# -- errors ----------------------------------------------------------------------------------------


class SettingsVersion(TypedDict):
    """One side of a conflict between two admins."""

    revision: int
    """The revision that is stored, or the one that the refused change was based on."""
    settings: Json
    """The settings of this side, in full."""
    enabled: NotRequired[bool]
    """Of a stored feature: whether it is switched on."""
    savedAt: NotRequired[str | None]
    """Of a stored feature: when it was saved, in ISO 8601."""
    savedBy: NotRequired[str | None]
    """Of a stored feature: the uid of the admin who saved it."""


class ErrorDetails(TypedDict):
    """Details for programs. The first four are always present; the others depend on `reason`."""

    reason: str
    """Stable and for programs."""
    message: str
    """The sentence for people, to which no SDK adds anything."""
    retryable: bool
    """Whether the same request may succeed later."""
    traceId: str
    """Identifies the call in the logs."""
    retryAfterSeconds: NotRequired[float]
    """How long to wait before trying again."""
    field: NotRequired[str]
    """The invalid field of the request, such as `messages[2].content`; empty if the request as a
    whole is invalid."""
    limit: NotRequired[str]
    """With `quota_exceeded`: which limit was reached."""
    max: NotRequired[float]
    """The maximum: of what `limit` names, of tool calls, of images, or of US dollars."""
    maxBytes: NotRequired[int]
    """With `images_too_large`: how large they may be."""
    estimate: NotRequired[float]
    """With `cost_too_high`: what the comparison may cost, in US dollars."""
    generationId: NotRequired[str]
    """The generation that failed, or one that is already running and can be resumed."""
    usage: NotRequired[Usage]
    """What an answer, or vectors, cost that failed and are charged nevertheless."""
    text: NotRequired[str]
    """What had been written of an answer before it failed, if no conversation has it."""
    previousStatus: NotRequired[str | None]
    """With `result_not_kept`: how the earlier generation ended."""
    previousReason: NotRequired[str | None]
    """With `result_not_kept`: the reason why the earlier generation failed."""
    kind: NotRequired[str]
    """With `wrong_kind`: the feature's kind."""
    modality: NotRequired[str | None]
    """With `attachment_not_taken`: the input modality that the model does not accept."""
    phase: NotRequired[Literal["connect", "first_token", "idle", "total"]]
    """With `upstream_timeout`: what took too long."""
    upstreamReason: NotRequired[str]
    """Only of calls for admins, if OpenRouter or a provider gave one: their own reason for the
    failure, without keys and without what was asked."""
    part: NotRequired[str]
    """With `answer_too_long` and `too_many_tool_calls`: the part of the answer that was too
    large."""
    count: NotRequired[int]
    """With `catalog_incomplete`: how many models the new list has."""
    expected: NotRequired[int]
    """With `catalog_incomplete`: how many it should have had at least."""
    errors: NotRequired[list[FindingInfo]]
    """With `settings_refused`: the errors, at most 50."""
    warnings: NotRequired[list[FindingInfo]]
    """With `settings_refused`: the warnings, at most 50."""
    yours: NotRequired[SettingsVersion]
    """With `settings_changed`: the settings of this request."""
    current: NotRequired[SettingsVersion]
    """With `settings_changed`: the settings that another admin has saved in the meantime."""
    differences: NotRequired[list[Difference]]
    """With `settings_changed`: the differences from `current` to `yours`."""


class ErrorBody(TypedDict):
    """A failure as callers get it."""

    status: str
    """The canonical code of the callable protocol, such as `NOT_FOUND`."""
    message: str
    """One sentence for people. It may change, so programs should use `reason`."""
    reason: str
    """The same as `details.reason`, for clients that get the whole failure as its details."""
    details: ErrorDetails
    """The details for programs."""


# -- prompts ---------------------------------------------------------------------------------------


class PromptResult(TypedDict):
    """The answer to a prompt."""

    generationId: str
    """Identifies the answer, for `stop_generation` and `resume`."""
    conversationId: NotRequired[str]
    """The conversation that the question and the answer belong to, if any."""
    messageId: NotRequired[str]
    """The answer's message in that conversation; absent if the call was `temporary`."""
    feature: str
    """The feature that was used."""
    revision: NotRequired[int]
    """The revision of its settings: the draft's for users who get the draft, and 0 for the
    built-in settings; absent if an admin
    tests settings that are not saved."""
    model: str
    """The model that answered, which may be a fallback."""
    provider: NotRequired[str]
    """The provider that ran the model, as OpenRouter names it."""
    text: str
    """The answer; empty if it consists of tool calls or images."""
    refusal: NotRequired[str]
    """The part of `text` in which the model refuses to answer, usually all of it. An answer that
    was to be JSON has none then."""
    reasoning: NotRequired[str]
    """The reasoning that the model showed."""
    finishReason: FinishReason
    """Why the model stopped writing."""
    usage: Usage
    """Tokens and cost, of all attempts together."""
    timing: Timing
    """How long the answer took."""
    cached: bool
    """Whether a cached answer was reused, at no cost (the feature's `cacheSeconds`)."""
    attempts: list[AttemptInfo]
    """Every request that was sent to OpenRouter for this answer, in order."""
    remaining: NotRequired[dict[str, float]]
    """What was left of the user's limits at the answer's end, by the name that `details.limit` of a
    refusal has: tokens and requests as they are, `usd...` in US dollars. Absent from an answer that
    goes on without a listener."""
    notices: NotRequired[list[Notice]]
    """What the user should know about the answer."""
    toolCalls: NotRequired[list[ToolCallInfo]]
    """The tool calls that the app should run now, with `finishReason: "tool_calls"`."""
    citations: NotRequired[list[Citation]]
    """The web pages that the answer is based on, at most 50."""
    images: NotRequired[list[ImageInfo]]
    """The images that the model generated, at most 10."""
    reasoningDetails: NotRequired[list[Json]]
    """The reasoning in the provider's own form. An app that stores the conversation itself sends it
    back unchanged and in order with the assistant's message."""
    json: NotRequired[object]
    """The answer as a JSON value, if JSON was requested and the answer satisfies the schema."""


class PromptTestResult(PromptResult):
    """The answer to a prompt with which an admin tests settings."""

    test: Literal[True]
    """Marks the result of a test."""
    warnings: list[FindingInfo]
    """The warnings that saving the settings would return."""


# -- comparisons -----------------------------------------------------------------------------------


class FailedAnswer(TypedDict):
    """A model of a comparison that returned no answer."""

    model: str
    """The model that was called."""
    error: ErrorBody
    """Why it failed."""


class Judgement(PromptResult):
    """The judge's answer."""

    mode: Literal["merge", "rank"]
    """What the judge had to do."""
    ranking: NotRequired[list[int]]
    """With `rank`: indexes into `results`, the best first; absent if the judge did not list every
    answer exactly once."""


class FailedJudgement(FailedAnswer):
    """A judge that returned no answer."""

    mode: Literal["merge", "rank"]
    """What the judge had to do."""


class ComparisonResult(TypedDict):
    """The answers of several models to one prompt."""

    comparisonId: str
    """Identifies the comparison, for `stop_generation`."""
    results: list[PromptResult | FailedAnswer]
    """One result for each of `models`, in their order."""
    estimate: float
    """What the comparison could have cost at most, in US dollars, as estimated before it began."""
    totalCost: float
    """What it cost, in US dollars, failed answers and the judge included."""
    totalCostIsEstimate: NotRequired[Literal[True]]
    """OpenRouter did not report every cost, and `totalCost` includes estimates."""
    judgement: NotRequired[Judgement | FailedJudgement]
    """The judge's answer or failure; absent if there were no answers to judge."""


# -- embeddings ------------------------------------------------------------------------------------


class Embedding(TypedDict):
    """The vector of one input."""

    index: int
    """The input's place in `input`, from 0."""
    embedding: list[float] | str
    """The vector; with `encodingFormat: "base64"` its 32-bit floats, little-endian, in base64."""


class EmbeddingsSummary(TypedDict):
    """The part of a result of `create_embeddings` besides the vectors."""

    generationId: str
    """Identifies the request."""
    feature: str
    """The feature that was used."""
    revision: NotRequired[int]
    """The revision of its settings; 0 for the built-in settings; absent if an admin
    tests settings that are not saved."""
    model: str
    """The model that created the vectors."""
    provider: NotRequired[str]
    """The provider that ran the model, as OpenRouter names it."""
    dimensions: int
    """How many numbers each vector has."""
    usage: Usage
    """Tokens and cost, of all batches together."""
    timing: Timing
    """How long it took."""
    attempts: list[AttemptInfo]
    """Every request that was sent to OpenRouter, in order."""
    notices: NotRequired[list[Notice]]
    """What the user should know about the vectors."""


class EmbeddingsResult(EmbeddingsSummary):
    """One vector for each input."""

    embeddings: list[Embedding]
    """The vectors, in the order of the inputs, all of one length."""


class EmbeddingsTestResult(EmbeddingsSummary):
    """The result of testing an embedding feature: everything but the vectors."""

    test: Literal[True]
    """Marks the result of a test."""
    warnings: list[FindingInfo]
    """The warnings that saving the settings would return."""


# -- stopping, files, models, features -------------------------------------------------------------


class StopResult(TypedDict):
    """What became of a request to stop."""

    generationId: NotRequired[str]
    """The generation; absent if the request named a comparison."""
    comparisonId: NotRequired[str]
    """The comparison, if the request named one."""
    stopped: bool
    """Whether it was running, so that it will now stop."""
    status: Literal["running", "done", "stopped", "failed", "interrupted"]
    """The status before the stop: `running`, or how the generation had already ended."""


class UploadResult(TypedDict):
    """Where to upload one file."""

    path: str
    """The `path` to give in `attachments` once the file is uploaded."""
    uploadUrl: str
    """Where to send the file. Anyone with this URL can upload, so keep it secret."""
    method: Literal["PUT"]
    """The HTTP method to send it with."""
    headers: dict[str, str]
    """The headers to send it with: `Content-Type`, and no token."""
    expiresAt: str
    """When the URL stops working, in ISO 8601."""


class PriceInfo(TypedDict):
    """A price besides those of prompt and completion."""

    name: str
    """What is billed, such as `imageOutput`, `audio`, `inputCacheRead`, `internalReasoning`,
    `request` or `webSearch`."""
    usd: float | Literal["dynamic"]
    """US dollars; `dynamic` if it depends on the request."""
    per: Literal["million tokens", "request", "search"]
    """What that is the price of."""


class PriceTierInfo(TypedDict):
    """Prices that replace a model's own under certain conditions."""

    minPromptTokens: NotRequired[int]
    """They hold for prompts of more tokens than these."""
    utcStart: NotRequired[int]
    """They hold from this time of the day on (UTC), as hours and minutes: 1630 is 16:30."""
    utcEnd: NotRequired[int]
    """They hold until this time, which may be on the next day."""
    utcDays: NotRequired[list[str]]
    """They hold on these days only."""
    promptPrice: NotRequired[float | Literal["dynamic"]]
    """US dollars per million tokens of the prompt."""
    completionPrice: NotRequired[float | Literal["dynamic"]]
    """US dollars per million tokens of the completion."""
    prices: NotRequired[list[PriceInfo]]
    """The other prices."""


class ModelInfo(TypedDict):
    """A model that OpenRouter offers. What OpenRouter does not report is left out."""

    id: str
    """The id to give as `model` in other calls."""
    name: str
    """Its name for people."""
    provider: str
    """The author in its id, such as `anthropic`."""
    providerName: NotRequired[str]
    """The author's name for people, such as `Anthropic`."""
    description: NotRequired[str]
    """OpenRouter's description, on one line."""
    canonicalSlug: NotRequired[str]
    """Its version, which stays the same when its id changes."""
    created: NotRequired[int]
    """When OpenRouter added it, in Unix seconds."""
    expirationDate: NotRequired[str]
    """When OpenRouter will withdraw it, `YYYY-MM-DD`."""
    contextLength: NotRequired[int]
    """How many tokens fit, prompt and completion together."""
    maxCompletionTokens: NotRequired[int]
    """How many tokens a completion may have."""
    inputModalities: list[str]
    """What it accepts, such as `text`, `image`, `file`, `audio`, `video`."""
    outputModalities: list[str]
    """What it generates, such as `text`, `image`, `embeddings`."""
    capabilities: list[str]
    """What it can do, in the words that `get_available_models` filters by."""
    supportedParameters: list[str]
    """The parameters it supports, by OpenRouter's names."""
    moderated: bool
    """Whether OpenRouter moderates prompts before the model gets them."""
    promptPrice: NotRequired[float | Literal["dynamic"]]
    """US dollars per million tokens of the prompt; `dynamic` if it depends on the request."""
    completionPrice: NotRequired[float | Literal["dynamic"]]
    """US dollars per million tokens of the completion, likewise."""
    longPromptTokens: NotRequired[int]
    """From so many tokens of the prompt on, it costs more."""
    longPromptPrice: NotRequired[float]
    """US dollars per million tokens of the prompt then, at most."""
    longCompletionPrice: NotRequired[float]
    """US dollars per million tokens of the completion then, at most."""
    prices: NotRequired[list[PriceInfo]]
    """All other prices that are not zero."""
    priceTiers: NotRequired[list[PriceTierInfo]]
    """Other prices, for long prompts or certain hours; where several hold, the last one counts."""
    free: bool
    """Whether no use of it is ever billed."""
    variant: NotRequired[str]
    """What follows the colon in its id, such as `free`."""
    aliasTarget: NotRequired[str]
    """The id behind an alias such as `~author/name-latest`."""
    reasoningRequired: NotRequired[Literal[True]]
    """Its reasoning cannot be switched off."""
    reasoningEfforts: NotRequired[list[str]]
    """The reasoning efforts it supports."""
    imageParameters: NotRequired[list[str]]
    """The parameters that OpenRouter's image API accepts for it, by that API's names."""


class ModelsPage(TypedDict):
    """One page of the catalog."""

    models: list[ModelInfo]
    """The models of this page."""
    nextPageToken: NotRequired[str]
    """Fetches the next page, with the same filters; absent on the last page."""
    total: int
    """How many models match, on all pages together."""
    generation: int
    """Grows whenever the list changes: until then, a client may use its cached pages."""
    ageSeconds: int
    """How long ago OpenRouter sent the list, in seconds."""
    stale: bool
    """Whether the list is out of date: it should have been refreshed by now."""


class FeatureInfo(TypedDict):
    """A feature as one user may see it: never a prompt, a parameter or a key."""

    feature: str
    """The name to give as `feature` in other calls."""
    displayName: str
    """Its name for people."""
    kind: str
    """`chat`, `code`, `summarize`, `image`, `embedding`, or a name that the admin chose."""
    stream: bool
    """Whether the text arrives as it is generated. `false`: only in the result."""
    model: str
    """The feature's own model."""
    models: list[str]
    """What the user may choose, the feature's own first. A single entry means there is no
    choice."""
    preferredModel: NotRequired[str]
    """What the user has chosen with `set_preferences`."""
    allowTemperature: bool
    """Whether the user may set the temperature."""
    temperature: NotRequired[float]
    """The default temperature, if the user may set it."""
    variables: list[str]
    """The names of the system prompt's `{{name}}` placeholders."""


class FeatureList(TypedDict):
    """The features that are switched on."""

    features: list[FeatureInfo]
    """Each feature as this user may see it."""


class PreferencesSaved(TypedDict):
    """The user's default model of a feature."""

    feature: str
    """The feature."""
    model: str | None
    """The model that was chosen; `null` for the feature's own."""


# -- conversations ---------------------------------------------------------------------------------


class ConversationUpdated(TypedDict):
    """The change that was made."""

    conversationId: str
    """The conversation."""
    title: NotRequired[str]
    """Its new title."""
    messageId: NotRequired[str]
    """The message at which the chosen path ends now."""


class ConversationDeleted(TypedDict):
    """The conversation is gone."""

    conversationId: str
    """The conversation that was deleted."""
    deleted: Literal[True]
    """Always `true`."""


class SummaryInfo(TypedDict):
    """A summary that replaces the older part of a path."""

    text: str
    """The summary."""
    upTo: str
    """The last message that it covers."""


class ExportedMessage(TypedDict):
    """A message of a conversation. Times are text in ISO 8601."""

    id: str
    """The message's id."""
    role: Literal["user", "assistant", "tool"]
    """Who wrote it."""
    text: str
    """What it says; empty for a tool."""
    parent: str | None
    """The message that it follows; `null` for the first one."""
    createdAt: str
    """When it was stored."""
    generationId: str
    """The generation that it belongs to."""
    status: GenerationStatus
    """How the answer ended; `done` for a question."""
    feature: str
    """The feature that was used."""
    context: NotRequired[str]
    """The question's `context`."""
    attachments: NotRequired[list[FileInfo]]
    """The question's files."""
    images: NotRequired[list[FileInfo]]
    """The answer's images."""
    reasoning: NotRequired[str]
    """The reasoning that the model showed."""
    reasoningDetails: NotRequired[str]
    """The reasoning in the provider's own form: JSON, as text."""
    askedModel: NotRequired[str]
    """The model that `reasoningDetails` are for."""
    toolCalls: NotRequired[list[ToolCallInfo]]
    """The tool calls that the answer requested."""
    toolResults: NotRequired[list[ToolResultInfo]]
    """What the tools returned."""
    citations: NotRequired[list[Citation]]
    """The web pages that the answer is based on."""
    model: NotRequired[str]
    """The model that answered."""
    provider: NotRequired[str]
    """The provider that ran it."""
    revision: NotRequired[int]
    """The revision of the feature's settings."""
    finishReason: NotRequired[FinishReason]
    """Why the model stopped writing."""
    usage: NotRequired[Usage]
    """Tokens and cost."""
    timing: NotRequired[Timing]
    """How long the answer took."""
    error: NotRequired[str]
    """The reason why the answer failed."""


class ExportedConversation(TypedDict):
    """A conversation with every message of every branch. Times are text in ISO 8601."""

    title: str
    """Its title."""
    feature: str
    """The feature that it was started with."""
    createdAt: str
    """When it was started."""
    updatedAt: str
    """When a message was last added."""
    leaf: str
    """The message at which the chosen path ends."""
    summary: NotRequired[SummaryInfo]
    """What a model gets instead of the older part of the path."""
    messages: list[ExportedMessage]
    """All messages, or those of a page, the oldest first."""


class ConversationExport(TypedDict):
    """An exported conversation."""

    conversationId: str
    """The conversation."""
    format: Literal["json", "markdown"]
    """The format that was requested."""
    conversation: NotRequired[ExportedConversation]
    """With `json`: all of it, or a page of its messages."""
    markdown: NotRequired[str]
    """With `markdown`: the chosen path as text, or a page of it. Pages are joined by an empty
    line."""
    nextPageToken: NotRequired[str]
    """Where the next page begins; absent on the last one."""
