// Written by ./scripts/contract from functions/firerouter/contract. Do not edit.
// What every callable of Firerouter takes, returns and streams; see the pages beside this file.

/** Call any of the callables for admins through one function, so that a console waits for at most one cold start. */
export interface AdminDispatch {
  /** The name of the callable. Its fields go next to this one. */
  endpoint: string;
  [field: string]: unknown;
}

/** What a user may still do. */
export interface Allowance {
  /** Every limit that the user has. */
  limits: LimitInfo[];
  /** The ids of the answers in progress, at most 50: `stop_generation` and `resume` take them. */
  running: string[];
  /** The user's tier, if it has limits of its own. */
  tier?: string;
}

/** What may follow the first frame of an answer. */
export type AnswerFrame = TextFrame | ReasoningFrame | RetryFrame | RepairFrame | JsonFrame | ToolCallFrame | CitationFrame | ImageFrame;

/** The settings of the app as a whole. */
export interface AppDetails {
  /** The revision that is active; 0 if they were never saved. */
  revision: number;
  /** The app's settings, in full. */
  settings: AppSettings;
  /** The parts of the stored settings that are invalid: their defaults are used instead. */
  problems: FindingInfo[];
  /** Every setting of the app, in the order of a dialog. */
  fields: SettingInfo[];
}

/** What an admin can set for the app as a whole. */
export interface AppSettings {
  /** The app's name in OpenRouter's statistics. */
  appName?: string;
  /** The app's address in OpenRouter's statistics; empty for its Firebase Hosting address. */
  referer?: string;
  /** What one user may do. */
  limits?: UserLimits;
  /** What is different for users who are signed in anonymously. */
  anonymousLimits?: LimitsOverride;
  /** What is different for the users of a tier, by its name: the custom claim `tier`. */
  tiers?: Record<string, LimitsOverride>;
  /** What all users together may spend. */
  ceiling?: Ceiling;
  /** How long entries, results and cached answers are kept, and whether texts are. */
  retention?: Retention;
  /** Whether everything that would be billed is refused, in settings and in calls. */
  freeModelsOnly?: boolean;
  /** Whose App Check tokens are valid for one call only: their clients have to ask for limited-use tokens. A copied token is refused then, and each call takes some milliseconds longer. */
  singleUseAppCheck?: "off" | "anonymous" | "all";
  /** Whether the daily check may replace a feature's model once OpenRouter has withdrawn it. */
  replaceGoneModels?: boolean;
}

/** The result of `validateOnly`: the settings are valid, and nothing was saved. */
export interface AppSettingsValidated {
  /** Always `true`: invalid settings are refused as `settings_refused`. */
  valid: true;
  /** What saving them would change. */
  changes: Difference[];
  /** The warnings that saving them would return. */
  warnings: FindingInfo[];
}

/** A file that is attached to a prompt: an upload, or the bytes themselves in base64. */
export interface Attachment {
  /** The path of an upload, as `create_upload` returned it, or of an answer's image. Give either `path` or `data`. */
  path?: string | null;
  /** The bytes of the file in base64. */
  data?: string | null;
  /** The content type of `data`, or a common alias such as `image/jpg`. An upload has the one that it was created with. */
  contentType?: "image/png" | "image/jpeg" | "image/webp" | "image/gif" | "application/pdf" | "text/plain" | "text/csv" | "text/markdown" | "application/json" | "audio/wav" | "audio/mpeg" | "audio/flac" | "audio/ogg" | "audio/mp4" | "video/mp4" | "video/quicktime" | "video/webm" | null;
  /** The file's name, which the model gets too. Only with `data`: an upload has its own. */
  name?: string | null;
}

/** One request that was sent to OpenRouter for this answer. */
export interface AttemptInfo {
  /** The model that was called. */
  model: string;
  /** Why the attempt failed: one of the reasons in errors.md; absent if it succeeded. */
  reason?: string;
  /** Only of `test_feature_settings`: what OpenRouter or the provider said of that, without keys and without what was asked. */
  upstreamReason?: string;
}

/** The list of models as it is now. */
export interface CatalogRefreshed {
  /** How many models it has, as `get_available_models` counts them. */
  count: number;
  /** Its number, which grows whenever the list changes. */
  generation: number;
  /** The ids that are new. */
  added: string[];
  /** The ids that are gone. */
  removed: string[];
  /** The features whose models need attention, given this list. */
  flags: ModelFlag[];
}

/** What all users of the app together may spend, in US dollars. */
export interface Ceiling {
  /** What the app may spend in a day (UTC), in US dollars. */
  usdPerDay?: number;
  /** What the app may spend in a month (UTC), in US dollars. */
  usdPerMonth?: number;
}

/** A web page that the answer is based on. */
export interface Citation {
  /** Its URL, `https://` or `http://`. */
  url: string;
  /** Its title, truncated to 500 characters. */
  title?: string;
  /** The passage that is cited, truncated to 500 characters. */
  content?: string;
  /** Where in `text` the citation begins, in characters. */
  startIndex?: number;
  /** Where in `text` it ends. */
  endIndex?: number;
}

/** A citation is complete. */
export interface CitationFrame {
  /** Its URL, `https://` or `http://`. */
  url: string;
  /** Its title, truncated to 500 characters. */
  title?: string;
  /** The passage that is cited, truncated to 500 characters. */
  content?: string;
  /** Where in `text` the citation begins, in characters. */
  startIndex?: number;
  /** Where in `text` it ends. */
  endIndex?: number;
  type: "citation";
  /** Its place in `citations`, from 0. */
  index: number;
}

/** Send one prompt to several models side by side. Each answers or fails independently. */
export interface CompareModels {
  /** The feature to use. */
  feature: string;
  /** The models to compare. Fallbacks are not used, because their answers would pass for those of these models. */
  models: string[];
  /** US dollars. A comparison that may cost more is refused (`cost_too_high`) before any model is called. */
  maxCost?: number | null;
  /** A model that reads the answers. Not for features that generate images. */
  judge?: Judge | null;
  /** Makes the call idempotent: repeating it with the same id calls no model twice. */
  requestId?: string | null;
  /** The question. Give exactly one of `prompt` and `messages`. */
  prompt?: string | null;
  /** The conversation so far, stored by the app; the last message is the user's or a tool's. */
  messages?: Message[] | null;
  /** Text that goes before the prompt, separated by an empty line. */
  context?: string | null;
  /** Values of the `{{name}}` placeholders in the feature's system prompt, inserted literally. */
  variables?: Record<string, string>;
  /** The sampling temperature, if the feature allows a choice. Default: the feature's. */
  temperature?: number | null;
  /** Store neither text nor images of this call. The ledger stores only the numbers. */
  temporary?: boolean;
  /** Functions of the app that the model may call, at most 50,000 bytes of JSON together. */
  tools?: Tool[];
  /** `auto`, `none`, `required`, or the name of the tool to call. Default: the model's, `auto`. */
  toolChoice?: string | null;
  /** `false` allows one tool call at a time. Default: the model's. */
  parallelToolCalls?: boolean | null;
  /** The JSON format that the answer must have, if the feature allows it and has no format of its own. */
  responseFormat?: ResponseFormat | null;
  /** Stream the JSON as it grows, in `json` frames. */
  partialJson?: boolean;
  /** Files that are attached to `prompt`. */
  attachments?: Attachment[];
  /** What generated images should be like, for features that generate images and allow it. */
  imageOptions?: ImageOptions | null;
  /** Also return images of at most 200,000 bytes in base64. */
  inlineImages?: boolean;
}

/** The last frame of each model of a comparison. */
export type ComparisonEndFrame = ResultFrame | ErrorFrame;

/** The frames of `execute_multi_model_prompt`. */
export type ComparisonFrame = ComparisonStartFrame | ModelFrame | ComparisonEndFrame | FailureFrame;

/** The answers of several models to one prompt. */
export interface ComparisonResult {
  /** Identifies the comparison, for `stop_generation`. */
  comparisonId: string;
  /** One result for each of `models`, in their order. */
  results: (PromptResult | FailedAnswer)[];
  /** What the comparison could have cost at most, in US dollars, as estimated before it began. */
  estimate: number;
  /** What it cost, in US dollars, failed answers and the judge included. */
  totalCost: number;
  /** OpenRouter did not report every cost, and `totalCost` includes estimates. */
  totalCostIsEstimate?: true;
  /** The judge's answer or failure; absent if there were no answers to judge. */
  judgement?: Judgement | FailedJudgement;
}

/** The comparison has begun. Always its first frame. */
export interface ComparisonStartFrame {
  type: "start";
  /** What `stop_generation` takes. */
  comparisonId: string;
  /** The models that answer, in the order of `results`. */
  models: string[];
  /** What the comparison may cost at most, in US dollars. */
  estimate: number;
}

/** The conversation is gone. */
export interface ConversationDeleted {
  /** The conversation that was deleted. */
  conversationId: string;
  /** Always `true`. */
  deleted: true;
}

/** An exported conversation. */
export interface ConversationExport {
  /** The conversation. */
  conversationId: string;
  /** The format that was requested. */
  format: "json" | "markdown";
  /** With `json`: all of it, or a page of its messages. */
  conversation?: ExportedConversation;
  /** With `markdown`: the chosen path as text, or a page of it. Pages are joined by an empty line. */
  markdown?: string;
  /** Where the next page begins; absent on the last one. */
  nextPageToken?: string;
}

/** The change that was made. */
export interface ConversationUpdated {
  /** The conversation. */
  conversationId: string;
  /** Its new title. */
  title?: string;
  /** The message at which the chosen path ends now. */
  messageId?: string;
}

/** What a cost is made up of, in US dollars. What cost nothing is left out. */
export interface CostDetails {
  /** The answer itself, with the one that it replaced if it was repaired. */
  answer: number;
  /** Attempts that failed and were charged nevertheless. */
  failedAttempts?: number;
  /** The title or the summary that another model wrote for the conversation. */
  helper?: number;
  /** How much of all this a provider billed to the app's own account there, and not OpenRouter. */
  byok?: number;
}

/** Turn one text or several into vectors, through a feature of the kind `embedding`. */
export interface CreateEmbeddings {
  /** The feature to use: `embedding`, or one of that kind that an admin has created. */
  feature: string;
  /** A text, or up to 256 of them: up to 200,000 characters each, and 1,000,000 together. */
  input: string | string[];
  /** How many numbers each vector should have, if the model can shorten them. Default: the model's. */
  dimensions?: number | null;
  /** `float`: lists of numbers. `base64`: 32-bit floats, little-endian, a quarter of the size. */
  encodingFormat?: "float" | "base64";
  /** What the texts are for, for models that distinguish the two. Models don't report whether they honor it. */
  inputType?: "search_query" | "search_document" | null;
  /** The model to use, if the feature allows a choice. Vectors of different models can't be compared, so there are no fallbacks. */
  model?: string | null;
  /** Makes the call idempotent: repeating it with the same id never calls OpenRouter twice. */
  requestId?: string | null;
}

/** Get a URL to upload one file to. Its bytes go straight to Cloud Storage. */
export interface CreateUpload {
  /** The content type of the file, or a common alias such as `image/jpg`. Its first bytes are checked against it. */
  contentType: "image/png" | "image/jpeg" | "image/webp" | "image/gif" | "application/pdf" | "text/plain" | "text/csv" | "text/markdown" | "application/json" | "audio/wav" | "audio/mpeg" | "audio/flac" | "audio/ogg" | "audio/mp4" | "video/mp4" | "video/quicktime" | "video/webm";
  /** The exact size of the file in bytes. */
  bytes: number;
  /** The file's name, without a folder. Models get it along with the file. */
  name?: string | null;
}

/** What was erased. */
export interface DataErased {
  /** Whether nothing is left. If not, call again: there was more than one call can delete, or answers in progress had not ended yet. */
  isComplete: boolean;
  /** What this call deleted, by kind; kinds that it did not get to are absent. */
  erased: ErasedCounts;
  /** Answers that were stopped and have not ended yet. */
  running: number;
}

/** A page of a user's data. A part that does not fit continues on the next page. */
export interface DataExport {
  /** Preferences, limits and counters; on the first page. */
  profile?: ExportedProfile;
  /** Conversations as in `export_conversation`. One that began on an earlier page has only `id` and more `messages`. Messages are in no particular order; each has its `parent` and `createdAt`. */
  conversations?: Record<string, unknown>[];
  /** Answers that are cached for repeated requests. */
  cachedAnswers?: Record<string, unknown>[];
  /** The ledger entries, in no particular order. */
  generations?: ExportedGeneration[];
  /** The totals of each day, including days whose entries have expired. */
  usage?: ExportedDay[];
  /** Each file in Cloud Storage, as `{path, contentType, bytes, name?}`. */
  files?: Record<string, unknown>[];
  /** The token to request the next page; absent on the last one. */
  nextPageToken?: string;
}

/**
 * Delete a conversation and everything in it.
 * The files of its messages and the text of its answers in the ledger and the response cache are deleted too. It is gone for every call at once; a deletion that was interrupted is finished by calling again.
 */
export interface DeleteConversation {
  /** The conversation. */
  conversationId: string;
}

/**
 * Delete a feature of your own. Its calls are refused from then on.
 * Its revisions are kept: `restore_feature_settings` brings it back.
 */
export interface DeleteFeature {
  /** The feature, which is not a built-in one. */
  feature: string;
  /** The active revision, to detect that another admin has changed the feature meanwhile. */
  revision: number;
  /** The reason, for other admins who read the audit log. */
  note?: string;
}

/** A field that differs between two versions of some settings. A list counts as one value. */
export interface Difference {
  /** The field, such as `provider.sort`. */
  field: string;
  /** Its value before; absent if it was not set. */
  before?: unknown;
  /** Its value after; absent if it is not set. */
  after?: unknown;
}

/** Call any of the callables for users through one function, so that a client waits for at most one cold start. */
export interface Dispatch {
  /** The name of the callable. Its fields go next to this one. */
  endpoint: string;
  [field: string]: unknown;
}

/** Settings on trial with a share of the users. */
export interface DraftInfo {
  /** The draft's revision. */
  revision: number;
  /** The share of the users who get it, 0 to 100. */
  percent: number;
  /** The draft's settings, in full. */
  settings: FeatureSettings;
}

/** Discard a feature's draft. Its users get the active settings again. */
export interface DropDraft {
  /** The feature. */
  feature: string;
  /** The draft's revision, to detect that another admin has changed the draft meanwhile. */
  revision: number;
  /** The reason, for other admins who read the revisions. */
  note?: string;
}

/** The vector of one input. */
export interface Embedding {
  /** The input's place in `input`, from 0. */
  index: number;
  /** The vector; with `encodingFormat: "base64"` its 32-bit floats, little-endian, in base64. */
  embedding: number[] | string;
}

/** One vector for each input. */
export interface EmbeddingsResult {
  /** Identifies the request. */
  generationId: string;
  /** The feature that was used. */
  feature: string;
  /** The revision of its settings; 0 for the built-in settings; absent if an admin tests settings that are not saved. */
  revision?: number;
  /** The model that created the vectors. */
  model: string;
  /** The provider that ran the model, as OpenRouter names it. */
  provider?: string;
  /** How many numbers each vector has. */
  dimensions: number;
  /** Tokens and cost, of all batches together. */
  usage: Usage;
  /** How long it took. */
  timing: Timing;
  /** Every request that was sent to OpenRouter, in order. */
  attempts: AttemptInfo[];
  /** What the user should know about the vectors. */
  notices?: Notice[];
  /** The vectors, in the order of the inputs, all of one length. */
  embeddings: Embedding[];
}

/** The part of a result of `create_embeddings` besides the vectors. */
export interface EmbeddingsSummary {
  /** Identifies the request. */
  generationId: string;
  /** The feature that was used. */
  feature: string;
  /** The revision of its settings; 0 for the built-in settings; absent if an admin tests settings that are not saved. */
  revision?: number;
  /** The model that created the vectors. */
  model: string;
  /** The provider that ran the model, as OpenRouter names it. */
  provider?: string;
  /** How many numbers each vector has. */
  dimensions: number;
  /** Tokens and cost, of all batches together. */
  usage: Usage;
  /** How long it took. */
  timing: Timing;
  /** Every request that was sent to OpenRouter, in order. */
  attempts: AttemptInfo[];
  /** What the user should know about the vectors. */
  notices?: Notice[];
}

/** The result of testing an embedding feature: everything but the vectors. */
export interface EmbeddingsTestResult {
  /** Identifies the request. */
  generationId: string;
  /** The feature that was used. */
  feature: string;
  /** The revision of its settings; 0 for the built-in settings; absent if an admin tests settings that are not saved. */
  revision?: number;
  /** The model that created the vectors. */
  model: string;
  /** The provider that ran the model, as OpenRouter names it. */
  provider?: string;
  /** How many numbers each vector has. */
  dimensions: number;
  /** Tokens and cost, of all batches together. */
  usage: Usage;
  /** How long it took. */
  timing: Timing;
  /** Every request that was sent to OpenRouter, in order. */
  attempts: AttemptInfo[];
  /** What the user should know about the vectors. */
  notices?: Notice[];
  /** Marks the result of a test. */
  test: true;
  /** The warnings that saving the settings would return. */
  warnings: FindingInfo[];
}

/**
 * Erase everything that this app has stored about the caller. This cannot be undone.
 * Answers in progress are stopped. Conversations, files, ledger entries, cached answers and preferences are deleted; what was spent stays in the app's sums, anonymously. The counters of this day and month stay until it is over, so that a spent budget stays spent. A block and limits that an admin has set stay too. The account itself is not deleted.
 */
export interface EraseMyData {
  /** Must be `true`. */
  confirm: true;
}

/** How much this call deleted. */
export interface ErasedCounts {
  /** Conversations with their messages and files. */
  conversations?: number;
  /** Answers that were cached for the user. */
  cachedAnswers?: number;
  /** Ledger entries. */
  generations?: number;
  /** Days of the app's usage reports from which the user was removed. */
  usageDays?: number;
  /** Documents with counters that no longer apply. */
  quotaWindows?: number;
  /** Files that belonged to no conversation. */
  files?: number;
  /** 1 if the user had chosen models. */
  preferences?: number;
}

/** A failure as callers get it. */
export interface ErrorBody {
  /** The canonical code of the callable protocol, such as `NOT_FOUND`. */
  status: string;
  /** One sentence for people. It may change, so programs should use `reason`. */
  message: string;
  /** The same as `details.reason`, for clients that get the whole failure as its details. */
  reason: string;
  /** The details for programs. */
  details: ErrorDetails;
}

/** Details for programs. The first four are always present; the others depend on `reason`. */
export interface ErrorDetails {
  /** Stable and for programs. */
  reason: Reason;
  /** The sentence for people, to which no SDK adds anything. */
  message: string;
  /** Whether the same request may succeed later. */
  retryable: boolean;
  /** Identifies the call in the logs. */
  traceId: string;
  /** How long to wait before trying again. */
  retryAfterSeconds?: number;
  /** The invalid field of the request, such as `messages[2].content`; empty if the request as a whole is invalid. */
  field?: string;
  /** With `quota_exceeded`: which limit was reached. */
  limit?: string;
  /** The maximum: of what `limit` names, of tool calls, of images, or of US dollars. */
  max?: number;
  /** With `images_too_large`: how large they may be. */
  maxBytes?: number;
  /** With `cost_too_high`: what the comparison may cost, in US dollars. */
  estimate?: number;
  /** The generation that failed, or one that is already running and can be resumed. */
  generationId?: string;
  /** What an answer, or vectors, cost that failed and are charged nevertheless. */
  usage?: Usage;
  /** What had been written of an answer before it failed, if no conversation has it. */
  text?: string;
  /** With `result_not_kept`: how the earlier generation ended. */
  previousStatus?: string | null;
  /** With `result_not_kept`: the reason why the earlier generation failed. */
  previousReason?: string | null;
  /** With `wrong_kind`: the feature's kind. */
  kind?: string;
  /** With `attachment_not_taken`: the input modality that the model does not accept. */
  modality?: string | null;
  /** With `upstream_timeout`: what took too long. */
  phase?: "connect" | "first_token" | "idle" | "total";
  /** Only of calls for admins, if OpenRouter or a provider gave one: their own reason for the failure, without keys and without what was asked. */
  upstreamReason?: string;
  /** With `answer_too_long` and `too_many_tool_calls`: the part of the answer that was too large. */
  part?: string;
  /** With `catalog_incomplete`: how many models the new list has. */
  count?: number;
  /** With `catalog_incomplete`: how many it should have had at least. */
  expected?: number;
  /** With `settings_refused`: the errors, at most 50. */
  errors?: FindingInfo[];
  /** With `settings_refused`: the warnings, at most 50. */
  warnings?: FindingInfo[];
  /** With `settings_changed`: the settings of this request. */
  yours?: SettingsVersion;
  /** With `settings_changed`: the settings that another admin has saved in the meantime. */
  current?: SettingsVersion;
  /** With `settings_changed`: the differences from `current` to `yours`. */
  differences?: Difference[];
}

/** One model of a comparison has failed. Without `index`, the whole call has: `FailureFrame`. */
export interface ErrorFrame {
  type: "error";
  /** The model's place in `models`; the judge's comes after the last one. */
  index: number;
  /** The model. */
  model: string;
  /** Why it failed. */
  error: ErrorBody;
}

/** Send one prompt through one feature and get the answer, all at once or streamed. */
export interface ExecutePrompt {
  /** The feature to use: `chat`, `code`, `summarize`, or one that an admin has created. */
  feature: string;
  /** The question. Give exactly one of `prompt`, `messages`, `regenerate` and `toolResults`. It may be empty or absent beside `attachments`. */
  prompt?: string | null;
  /** The conversation so far, stored by the app; the last message is the user's or a tool's. Not allowed with `conversationId`. */
  messages?: Message[] | null;
  /** Text that goes before the prompt, separated by an empty line. */
  context?: string | null;
  /** Values of the `{{name}}` placeholders in the feature's system prompt, inserted literally. */
  variables?: Record<string, string>;
  /** The model to use, if the feature allows a choice. Default: the user's own default (`set_preferences`), or else the feature's model. */
  model?: string | null;
  /** The sampling temperature, if the feature allows a choice. Default: the feature's. */
  temperature?: number | null;
  /** Store neither text nor images of this call. The ledger stores only the numbers. */
  temporary?: boolean;
  /** Makes the call idempotent: repeating it with the same id never calls OpenRouter twice. */
  requestId?: string | null;
  /** Append to this conversation and include its history; `new` starts one. Default: the answer is not stored. */
  conversationId?: string | null;
  /** The message that the prompt follows; an earlier one edits the question after it. `root`: the prompt follows none. Default: the last message of the chosen path. */
  parentMessageId?: string | null;
  /** The id of an answer to regenerate, or of a question that has no answer. */
  regenerate?: string | null;
  /** The results of all tool calls of the conversation's last answer. */
  toolResults?: ToolResult[] | null;
  /** Functions of the app that the model may call, at most 50,000 bytes of JSON together. */
  tools?: Tool[];
  /** `auto`, `none`, `required`, or the name of the tool to call. Default: the model's, `auto`. */
  toolChoice?: string | null;
  /** `false` allows one tool call at a time. Default: the model's. */
  parallelToolCalls?: boolean | null;
  /** The JSON format that the answer must have, if the feature allows it and has no format of its own. */
  responseFormat?: ResponseFormat | null;
  /** Stream the JSON as it grows, in `json` frames. */
  partialJson?: boolean;
  /** Files that are attached to `prompt`. */
  attachments?: Attachment[];
  /** What generated images should be like, for features that generate images and allow it. */
  imageOptions?: ImageOptions | null;
  /** Also return images of at most 200,000 bytes in base64. */
  inlineImages?: boolean;
}

/** Get a whole conversation as JSON, or its chosen path as Markdown. A long one comes in pages of some megabytes. */
export interface ExportConversation {
  /** The conversation. */
  conversationId: string;
  /** `json`: every message of every branch. `markdown`: the chosen path as text. */
  format?: "json" | "markdown";
  /** The `nextPageToken` of the page before. Default: the first page. */
  pageToken?: string | null;
}

/** Get everything that this app has stored about the caller as JSON, page by page. */
export interface ExportMyData {
  /** The `nextPageToken` of the previous page. Default: the first page. */
  pageToken?: string | null;
}

/** A conversation with every message of every branch. Times are text in ISO 8601. */
export interface ExportedConversation {
  /** Its title. */
  title: string;
  /** The feature that it was started with. */
  feature: string;
  /** When it was started. */
  createdAt: string;
  /** When a message was last added. */
  updatedAt: string;
  /** The message at which the chosen path ends. */
  leaf: string;
  /** What a model gets instead of the older part of the path. */
  summary?: SummaryInfo;
  /** All messages, or those of a page, the oldest first. */
  messages: ExportedMessage[];
}

/** What is used of a day's or a month's limits. */
export interface ExportedCounter {
  /** The day or month (UTC): `20260714` or `202607`. */
  period: string;
  /** The feature, if it has limits of its own; absent for the whole app. */
  feature?: string;
  /** Requests. */
  requests?: number;
  /** Tokens. */
  tokens?: number;
  /** US dollars. */
  usd?: number;
  /** Uploads that were begun. */
  uploads?: number;
}

/** The totals of a user's calls on one day. */
export interface ExportedDay {
  /** The day (UTC): `20260714`. */
  day: string;
  /** The number of calls. */
  requests: number;
  /** What they cost, in US dollars. */
  costUsd: number;
}

/** One call, as the ledger recorded it. */
export interface ExportedGeneration {
  /** The `generationId`. */
  id: string;
  /** The feature. */
  feature?: string;
  /** The model that answered. */
  model?: string;
  /** The provider that ran the model. */
  provider?: string | null;
  /** `running`, `done`, `stopped`, `failed` or `interrupted`. */
  status: string;
  /** The reason for a failure. */
  error?: string | null;
  /** Why the answer ended. */
  finishReason?: string | null;
  /** When it began, in ISO 8601. */
  createdAt?: string;
  /** When it ended. */
  endedAt?: string;
  /** Tokens and cost, as in the result. */
  usage?: Record<string, unknown>;
  /** How long it took. */
  timing?: Record<string, unknown>;
  /** Whether a cached answer was used. */
  cached?: boolean;
  /** What it cost, in US dollars. */
  costUsd?: number;
  /** Whether that cost is an estimate that OpenRouter has not confirmed. */
  costIsEstimate?: boolean;
  /** The conversation of the question and the answer. */
  conversationId?: string;
  /** The answer, if it belongs to no conversation and is still stored. */
  text?: string;
}

/** A message of a conversation. Times are text in ISO 8601. */
export interface ExportedMessage {
  /** The message's id. */
  id: string;
  /** Who wrote it. */
  role: "user" | "assistant" | "tool";
  /** What it says; empty for a tool. */
  text: string;
  /** The message that it follows; `null` for the first one. */
  parent: string | null;
  /** When it was stored. */
  createdAt: string;
  /** The generation that it belongs to. */
  generationId: string;
  /** How the answer ended; `done` for a question. */
  status: "done" | "stopped" | "failed" | "interrupted";
  /** The feature that was used. */
  feature: string;
  /** The question's `context`. */
  context?: string;
  /** The question's files. */
  attachments?: FileInfo[];
  /** The answer's images. */
  images?: FileInfo[];
  /** The reasoning that the model showed. */
  reasoning?: string;
  /** The reasoning in the provider's own form: JSON, as text. */
  reasoningDetails?: string;
  /** The model that `reasoningDetails` are for. */
  askedModel?: string;
  /** The tool calls that the answer requested. */
  toolCalls?: ToolCallInfo[];
  /** What the tools returned. */
  toolResults?: ToolResultInfo[];
  /** The web pages that the answer is based on. */
  citations?: Citation[];
  /** The model that answered. */
  model?: string;
  /** The provider that ran it. */
  provider?: string;
  /** The revision of the feature's settings. */
  revision?: number;
  /** Why the model stopped writing. */
  finishReason?: "stop" | "length" | "tool_calls" | "content_filter" | "stopped";
  /** Tokens and cost. */
  usage?: Usage;
  /** How long the answer took. */
  timing?: Timing;
  /** The reason why the answer failed. */
  error?: string;
}

/** What the app knows about a user besides their requests. */
export interface ExportedProfile {
  /** The user's choices from `set_preferences`. */
  preferences: Record<string, unknown>;
  /** The limits of the user's own. */
  limits: LimitsOverride;
  /** The tier that an admin gave the user. */
  tier: string | null;
  /** Whether an admin has blocked the user. */
  blocked: boolean;
  /** What is used of the limits, including what answers in progress may still use. */
  counters: ExportedCounter[];
  /** When this was read. */
  exportedAt: string;
}

/** A model of a comparison that returned no answer. */
export interface FailedAnswer {
  /** The model that was called. */
  model: string;
  /** Why it failed. */
  error: ErrorBody;
}

/** A judge that returned no answer. */
export interface FailedJudgement {
  /** The model that was called. */
  model: string;
  /** Why it failed. */
  error: ErrorBody;
  /** What the judge had to do. */
  mode: "merge" | "rank";
}

/**
 * The call has failed: the last message of its stream, and the same as its error.
 * Some SDKs report the error of a stream in part or not at all, but each of them this message.
 */
export interface FailureFrame {
  type: "error";
  /** Why it failed. */
  error: ErrorBody;
}

/** The feature is gone. */
export interface FeatureDeleted {
  /** The feature. */
  feature: string;
  /** Always `true`. */
  deleted: true;
  /** The revision that was active: `restore_feature_settings` takes it as `restore`, with 0 as `revision`. */
  revision: number;
  /** What is left of the feature, such as keys of its own. */
  warnings: FindingInfo[];
}

/** A feature as an admin edits it. */
export interface FeatureDetails {
  /** The feature. */
  feature: string;
  /** Whether Firerouter brings it along: then it can be reset, but not deleted. */
  builtIn: boolean;
  /** Whether it is switched on. */
  enabled: boolean;
  /** The revision that is active; 0 if it was never saved. */
  revision: number;
  /** The settings that are active, in full; unset fields are left out. `null` if there are none, because the document is invalid. */
  settings: FeatureSettings | null;
  /** What a reset returns to: the built-in settings; for a feature of your own, those of a new one. */
  defaults: FeatureSettings;
  /** The draft, if there is one. */
  draft: DraftInfo | null;
  /** When it was saved, in ISO 8601; absent if it never was. */
  savedAt?: string;
  /** The uid of the admin who saved it. */
  savedBy?: string;
  /** Which keys it uses. */
  key: KeySource;
  /** Whether a call would be sent to a model now. */
  canAnswer: boolean;
  /** Why not, if it can't, and which parts of its document are invalid. */
  problems: FindingInfo[];
  /** What the admin should know about the active settings, as a save would return it. */
  warnings: FindingInfo[];
}

/** What a settings dialog needs. */
export interface FeatureDetailsList {
  /** The feature that was asked for, or all of them by id. */
  features: FeatureDetails[];
  /** Every setting of a feature, in the order of a dialog. */
  fields: SettingInfo[];
  /** The settings of the app, which hold for every feature. */
  app: AppDetails;
}

/** A feature as one user may see it: never a prompt, a parameter or a key. */
export interface FeatureInfo {
  /** The name to give as `feature` in other calls. */
  feature: string;
  /** Its name for people. */
  displayName: string;
  /** `chat`, `code`, `summarize`, `image`, `embedding`, or a name that the admin chose. */
  kind: string;
  /** Whether the text arrives as it is generated. `false`: only in the result. */
  stream: boolean;
  /** The feature's own model. */
  model: string;
  /** What the user may choose, the feature's own first. A single entry means there is no choice. */
  models: string[];
  /** What the user has chosen with `set_preferences`. */
  preferredModel?: string;
  /** Whether the user may set the temperature. */
  allowTemperature: boolean;
  /** The default temperature, if the user may set it. */
  temperature?: number;
  /** The names of the system prompt's `{{name}}` placeholders. */
  variables: string[];
}

/** The limits of each user for one feature, within the limits of the app. */
export interface FeatureLimits {
  /** How many requests a user may send to this feature in a minute. */
  requestsPerMinute?: number | null;
  /** How many requests a user may send to this feature in a day (UTC). */
  requestsPerDay?: number | null;
  /** How many answers of this feature a user may have in progress at once. */
  concurrent?: number | null;
  /** How many tokens a user may send to and receive from this feature in a day (UTC). */
  tokensPerDay?: number | null;
  /** What a user may spend on this feature in a day (UTC), in US dollars. */
  usdPerDay?: number | null;
  /** What a user may spend on this feature in a month (UTC), in US dollars. */
  usdPerMonth?: number | null;
}

/** The features that are switched on. */
export interface FeatureList {
  /** Each feature as this user may see it. */
  features: FeatureInfo[];
}

/** A feature as the change left it. */
export interface FeatureSaved {
  /** The feature. */
  feature: string;
  /** Whether it is switched on. */
  enabled: boolean;
  /** The revision that is active. */
  revision: number;
  /** The settings that are active, in full; unset fields are left out. */
  settings: FeatureSettings;
  /** The draft, if there is one. */
  draft: DraftInfo | null;
  /** What changed. */
  changes: Difference[];
  /** What the admin should know about these settings. */
  warnings: FindingInfo[];
}

/** What an admin can set for a feature. A field that is not set is not sent to OpenRouter. */
export interface FeatureSettings {
  /** The name that `list_features` shows to users; empty for the feature's ID. */
  displayName?: string;
  /** What the feature is for: `chat`, `code`, `summarize`, `image`, `embedding`, or a name of your own. `image` makes images, `embedding` is for `create_embeddings` alone; the others are hints to the app. */
  kind?: string;
  /** The model that answers, by its OpenRouter ID. */
  model?: string;
  /** Models to try, in order, if the model fails before its first token. */
  fallbackModels?: string[];
  /** Models that users may choose besides `model`; empty means that they have no choice. */
  allowedModels?: string[];
  /** Whether callers may send a `temperature` of their own. */
  allowTemperature?: boolean;
  /** Whether callers may send `tools`: functions that the app runs. */
  allowTools?: boolean;
  /** Whether callers may send a `responseFormat`, if the settings have none. */
  allowResponseFormat?: boolean;
  /** Whether an answer that is not the required JSON is requested once more, at extra cost. */
  repairJson?: boolean;
  /** What happens to a call that sends something the model does not support: it is refused, or that part is left out and the answer has a notice. */
  unsupported?: "refuse" | "drop";
  /** The system prompt. Each `{{name}}` is replaced, literally, by the caller's variable. */
  systemPrompt?: string;
  /** How varied the answers are. */
  temperature?: number | null;
  /** Sample only from the most likely tokens that together have this probability. */
  topP?: number | null;
  /** Sample only from this many of the most likely tokens; 0 for all. */
  topK?: number | null;
  /** Sample only from tokens at least this probable, relative to the most likely one. */
  minP?: number | null;
  /** Sample only from sufficiently likely tokens; the threshold grows with the top probability. */
  topA?: number | null;
  /** Discourage, or if negative encourage, tokens that have already appeared. */
  presencePenalty?: number | null;
  /** Discourage, or if negative encourage, tokens by how often they have appeared. */
  frequencyPenalty?: number | null;
  /** Discourage, above 1, or encourage, below 1, tokens of the prompt and the answer so far. */
  repetitionPenalty?: number | null;
  /** Makes answers repeatable, if the model supports it. */
  seed?: number | null;
  /** Texts that end the answer. */
  stop?: string[];
  /** The most completion tokens of an answer, reasoning included. */
  maxTokens?: number | null;
  /** Whether answers are streamed; if not, streaming callers get the whole answer at its end. */
  stream?: boolean;
  /** The JSON that answers must be. */
  responseFormat?: StoredFormat | null;
  /** How much the model reasons before it answers. */
  reasoning?: Reasoning | null;
  /** Tools that OpenRouter runs itself; most are billed by use. */
  tools?: ServerTool[];
  /** OpenRouter's plugins, each with its `id` and its own options. */
  plugins?: Record<string, unknown>[];
  /** Which providers OpenRouter may use for the model. */
  provider?: ProviderRouting | null;
  /** The speed and price class, if the provider offers several. */
  serviceTier?: "auto" | "default" | "flex" | "priority" | "fast" | "scale" | "ultrafast" | null;
  /** How long a provider that caches prompts on request keeps one, so that the next prompt with the same beginning is cheaper: `off`, `5m` or `1h`. */
  promptCaching?: "off" | "5m" | "1h";
  /** Whether OpenRouter gets a hash that tells users apart. */
  sendUser?: boolean;
  /** Whether OpenRouter gets a hash that tells conversations apart. */
  sendSession?: boolean;
  /** Parameters without a field of their own, sent to OpenRouter as they are. */
  parameters?: Record<string, unknown>;
  /** What one user may do with this feature, within the app's own limits. */
  limits?: FeatureLimits;
  /** What a new conversation's title is: written by the helper model, or the beginning of the first question. */
  titles?: "model" | "beginning";
  /** What happens to earlier messages that do not fit into the model's context: they are left out, or summarized by the helper model. */
  history?: "newest" | "summarised";
  /** The model that writes titles and summaries; a free one if it is not set. */
  helperModel?: string | null;
  /** What happens to an answer once the function learns that nobody listens: it is stopped, or finished. Cloud Run does not report disconnects: with `stop`, call `stop_generation`. */
  onDisconnect?: "stop" | "continue";
  /** Whether the text of a long answer is stored as it grows, so that clients can resume it. */
  resume?: boolean;
  /** How a feature of kind `image` requests images: in a chat, or from OpenRouter's image API. */
  imageApi?: "chat" | "images";
  /** What images look like, unless the caller says otherwise. */
  imageOptions?: ImageOptions | null;
  /** Whether callers may send `imageOptions` of their own. */
  allowImageOptions?: boolean;
  /** For how many seconds the same question gets the same answer; 0 turns caching off. */
  cacheSeconds?: number;
  /** Whether cached answers are shared between users: only for features whose answers do not depend on who asks. */
  cacheShared?: boolean;
  /** For how many seconds a model may be silent before its first token. */
  firstTokenS?: number;
  /** For how many seconds a model may be silent between tokens. */
  idleS?: number;
  /** How many seconds a whole call may take, retries and fallbacks included. */
  totalS?: number;
}

/** The result of `validateOnly`: the settings are valid, and nothing was saved. */
export interface FeatureValidated {
  /** The feature. */
  feature: string;
  /** Always `true`: invalid settings are refused as `settings_refused`. */
  valid: true;
  /** The warnings that saving these settings would return. */
  warnings: FindingInfo[];
}

/** A file of a stored message. */
export interface FileInfo {
  /** Its path in Cloud Storage. */
  path: string;
  /** Its content type. */
  contentType: string;
  /** Its size. */
  bytes: number;
  /** Its name, if one was given. */
  name?: string;
}

/** An error or a warning about one field of the settings. */
export interface FindingInfo {
  /** The field, such as `fallbackModels[1]`. */
  field: string;
  /** Stable and for programs; see save_feature_settings. */
  reason: string;
  /** One sentence for people. */
  message: string;
}

/** The frames of `execute_prompt` and `test_feature_settings`. */
export type Frame = StartFrame | TextFrame | ReasoningFrame | RetryFrame | RepairFrame | JsonFrame | ToolCallFrame | CitationFrame | ImageFrame | FailureFrame;

/** Get what is left of the user's own limits, and which answers are in progress. */
export interface GetAllowance {
  /** A feature whose own limits are listed as well. */
  feature?: string | null;
}

/**
 * List the models that OpenRouter offers, filtered, sorted and page by page.
 * Models of OpenRouter's batch API are left out.
 */
export interface GetAvailableModels {
  /** Words that must all occur in a model's id, name, version or description. */
  search?: string;
  /** Only these models, by their ids, or by the `canonicalSlug` that results may carry as `model`. */
  ids?: string[];
  /** The capabilities that a model must have, all of them. */
  capabilities?: ("tools" | "structuredOutputs" | "json" | "reasoning" | "temperature" | "webSearch" | "vision" | "files" | "audio" | "video" | "imageOutput" | "audioOutput" | "videoOutput" | "embeddings")[];
  /** US dollars per million tokens of the prompt. A dynamic price never matches. */
  maxPromptPrice?: number | null;
  /** US dollars per million tokens of the completion. A dynamic price never matches. */
  maxCompletionPrice?: number | null;
  /** The context length that a model must have at least, in tokens. */
  minContext?: number | null;
  /** The author in the id, such as `anthropic`, or by name, such as `Anthropic`. */
  provider?: string | null;
  /** `true`: only free models; `false`: only the others. */
  free?: boolean | null;
  /** What a model must generate, such as `text`, `image` or `embeddings`. */
  outputModality?: string | null;
  /** By name, by price (the cheapest first), by context (the longest first), or the newest first. */
  sort?: "name" | "price" | "context" | "newest";
  /** How many models a page has at most. */
  pageSize?: number;
  /** The `nextPageToken` of the previous page, with the same filters. */
  pageToken?: string | null;
}

/** Get what a settings dialog needs: the settings of a feature, or of all, and every field's bounds and help. */
export interface GetFeatureSettings {
  /** The feature. Default: all of them, the built-in ones included. */
  feature?: string | null;
}

/**
 * Report calls, tokens, cost, errors and durations, grouped by day, feature and so on.
 * A generation belongs to the day (UTC) on which it was admitted. It is counted within minutes of its end, and again when its cost is corrected.
 */
export interface GetUsageReport {
  /** The first day (UTC) of the report. Default: six days before the last one. */
  firstDay?: string | null;
  /** The last day (UTC) of the report. Default: today. */
  lastDay?: string | null;
  /** What to group the rows by. */
  groupBy?: ("day" | "feature" | "model" | "revision" | "tier" | "user")[];
  /** Only generations of these features. */
  features?: string[] | null;
  /** Only those of these models: the one that answered, or else the first one called. */
  models?: string[] | null;
  /** Only those with these revisions of the feature's settings. */
  revisions?: number[] | null;
  /** Only those of users in these tiers; an empty string stands for users without a tier. */
  tiers?: string[] | null;
  /** Only those of these users, by uid. */
  users?: string[] | null;
  /** Whether to sort the rows by group, or by highest cost or most requests first. */
  sort?: "group" | "cost" | "requests";
  /** How many of the users with the highest cost to list; 0 for none. */
  topUsers?: number;
  /** How the rows are returned: as `rows`, or as text in `csv`. */
  format?: "json" | "csv";
  /** The maximum number of rows of a page. */
  pageSize?: number;
  /** The `nextPageToken` of the previous page of the same report. */
  pageToken?: string | null;
}

/** An image: complete, or as far as it has been generated. */
export interface ImageFrame {
  type: "image";
  /** The image. `partial: true` marks one that is incomplete. */
  image: ImageInfo | PartialImage;
}

/** An image that the model generated. */
export interface ImageInfo {
  /** Its place among the answer's images, from 0. */
  index: number;
  /** `image/png`, `image/jpeg`, `image/webp` or `image/gif`. */
  contentType: string;
  /** Its size. */
  bytes: number;
  /** Its path in Cloud Storage; absent if it is not stored. */
  path?: string;
  /** The image in base64, if it is not stored, or if it is small and the request set `inlineImages`. */
  data?: string;
}

/** What generated images should be like. Unset fields are left to the model. */
export interface ImageOptions {
  /** Width to height, such as `16:9`, or `auto`. */
  aspectRatio?: string | null;
  /** A tier such as `2K`, or pixels such as `1024x1536`, which determine the shape: they exclude `aspectRatio`. */
  size?: string | null;
  /** How much effort goes into an image. */
  quality?: "auto" | "low" | "medium" | "high" | "xhigh" | "max" | null;
  /** How many images, for features whose `imageApi` is `images`. A chat model decides itself how many it generates. */
  n?: number | null;
  /** Makes the same request more likely to give the same image. */
  seed?: number | null;
}

/** The JSON as it has grown so far, for calls with `partialJson`; at most four per second. */
export interface JsonFrame {
  type: "json";
  /** The value so far, not validated; its last text may be truncated. */
  json: unknown;
}

/** A model that reads the answers of a comparison. */
export interface Judge {
  /** The model. */
  model: string;
  /** `merge` writes one answer out of all of them, `rank` orders them. */
  mode?: "merge" | "rank";
}

/** The judge's answer. */
export interface Judgement {
  /** Identifies the answer, for `stop_generation` and `resume`. */
  generationId: string;
  /** The conversation that the question and the answer belong to, if any. */
  conversationId?: string;
  /** The answer's message in that conversation; absent if the call was `temporary`. */
  messageId?: string;
  /** The feature that was used. */
  feature: string;
  /** The revision of its settings: the draft's for users who get the draft, and 0 for the built-in settings; absent if an admin tests settings that are not saved. */
  revision?: number;
  /** The model that answered, which may be a fallback. */
  model: string;
  /** The provider that ran the model, as OpenRouter names it. */
  provider?: string;
  /** The answer; empty if it consists of tool calls or images. */
  text: string;
  /** The part of `text` in which the model refuses to answer, usually all of it. An answer that was to be JSON has none then. */
  refusal?: string;
  /** The reasoning that the model showed. */
  reasoning?: string;
  /** Why the model stopped writing. */
  finishReason: "stop" | "length" | "tool_calls" | "content_filter" | "stopped";
  /** Tokens and cost, of all attempts together. */
  usage: Usage;
  /** How long the answer took. */
  timing: Timing;
  /** Whether a cached answer was reused, at no cost (the feature's `cacheSeconds`). */
  cached: boolean;
  /** Every request that was sent to OpenRouter for this answer, in order. */
  attempts: AttemptInfo[];
  /** What was left of the user's limits at the answer's end, by the name that `details.limit` of a refusal has: tokens and requests as they are, `usd...` in US dollars. Absent from an answer that goes on without a listener. */
  remaining?: Record<string, number>;
  /** What the user should know about the answer. */
  notices?: Notice[];
  /** The tool calls that the app should run now, with `finishReason: "tool_calls"`. */
  toolCalls?: ToolCallInfo[];
  /** The web pages that the answer is based on, at most 50. */
  citations?: Citation[];
  /** The images that the model generated, at most 10. */
  images?: ImageInfo[];
  /** The reasoning in the provider's own form. An app that stores the conversation itself sends it back unchanged and in order with the assistant's message. */
  reasoningDetails?: Record<string, unknown>[];
  /** The answer as a JSON value, if JSON was requested and the answer satisfies the schema. */
  json?: unknown;
  /** What the judge had to do. */
  mode: "merge" | "rank";
  /** With `rank`: indexes into `results`, the best first; absent if the judge did not list every answer exactly once. */
  ranking?: number[];
}

/** A key that was stored and is active. The key itself is never returned. */
export interface KeyInfo {
  /** The key's version of the secret in Secret Manager. */
  version: number;
  /** Its last four characters. */
  lastFour: string;
  /** When OpenRouter accepted it, in ISO 8601. */
  checkedAt: string;
  /** The email address of the admin who stored it, or else the uid. */
  setBy: string;
  /** Whether the account has never bought credits. */
  isFreeTier: boolean;
  /** Its spending limit in US dollars; `null` if it has none. */
  limitUsd: number | null;
  /** How much of the limit is left, in US dollars. */
  limitRemainingUsd: number | null;
  /** When it expires, in ISO 8601; `null` if it does not. */
  expiresAt: string | null;
  /** The feature that it belongs to; absent for a default key. */
  feature?: string;
  /** Its place in the order, from 1. */
  position: number;
  /** How many keys the feature, or the default order, has now. */
  count: number;
  /** What the admin should know. */
  warnings: KeyWarning[];
}

/** All keys, in the order of their use. */
export interface KeyList {
  /** The default keys, then those of each feature. */
  keys: ListedKey[];
  /** Versions of the secret that are enabled and that nothing uses: the next change of a key disables them. */
  unusedVersions: number[];
  /** Features that have keys of their own, but do not exist. */
  unknownFeatures: string[];
}

/** A key that can't answer anything. */
export interface KeyRefused {
  /** The key can't be used. */
  valid: false;
  /** The key's last four characters. */
  lastFour: string;
  /** How long OpenRouter took to answer, in milliseconds. */
  latencyMs: number;
  /** Stable and for programs: `key_invalid` if OpenRouter does not accept it, `management_key`, or `key_limit_reached` if nothing of its limit is left. */
  reason: string;
  /** One sentence for people. */
  message: string;
}

/** The keys that are left after one or all were removed. */
export interface KeyRemoved {
  /** Whether there was a key to remove. */
  removed: boolean;
  /** The last four characters of the first key that was removed. */
  lastFour: string | null;
  /** The feature, if the request named one. */
  feature?: string;
  /** The place, if the request named one. */
  position?: number;
  /** How many keys the feature, or the default order, has now. */
  count: number;
  /** What the admin should know. */
  warnings: KeyWarning[];
}

/** What OpenRouter reports about a key. */
export interface KeyReportInfo {
  /** OpenRouter accepts the key. */
  valid: true;
  /** The key's last four characters. */
  lastFour: string;
  /** How long OpenRouter took to answer, in milliseconds. */
  latencyMs: number;
  /** Always `false`: a management key, which cannot run completions, is not valid. */
  isManagementKey: boolean;
  /** Whether the account has never bought credits. */
  isFreeTier: boolean;
  /** What the key has spent, in US dollars. */
  usageUsd: number | null;
  /** What it has spent today, in US dollars. */
  usageTodayUsd: number | null;
  /** Its spending limit in US dollars; `null` if it has none. */
  limitUsd: number | null;
  /** How much of the limit is left, in US dollars. */
  limitRemainingUsd: number | null;
  /** How often the limit resets, in OpenRouter's words. */
  limitReset: string | null;
  /** When the key expires, in ISO 8601; `null` if it does not. */
  expiresAt: string | null;
  /** What OpenRouter reports about today's requests to free models. */
  freeModelRequestsToday: Record<string, unknown> | null;
}

/** Which keys a feature uses. */
export interface KeySource {
  /** Keys of its own, the default ones, or none, because all were removed. */
  source: "own" | "default" | "none";
  /** How many it has, in their order. */
  count: number;
  /** The last four characters of the first one, if they are known. */
  lastFour: string | null;
}

/** Something an admin should know about a key that was accepted or removed. */
export interface KeyWarning {
  /** Stable and for programs. */
  reason: "free_tier" | "low_limit" | "expires_soon" | "feature_unknown" | "old_key_enabled";
  /** One sentence for people. */
  message: string;
}

/** OpenRouter refused a request because of a key. */
export interface LastRefusal {
  /** When, in ISO 8601, to the minute or so. */
  at: string;
  /** Why, as an error's reason: `key_invalid`, `key_limit_reached` or `no_credit`. */
  reason: string;
}

/** One limit of a user. */
export interface LimitInfo {
  /** Its name, as in `details.limit` of a refusal. */
  limit: string;
  /** Its value: a number of requests, tokens or answers, or US dollars if its name has `usd`. */
  max: number;
  /** What is used, including all that answers in progress may still use. */
  used: number;
  /** The rest. */
  left: number;
  /** When the next minute, day or month begins (UTC); absent for answers in progress. */
  resetsAt?: string;
}

/** Limits that replace everybody's. Unset ones stay as they are for everybody. */
export interface LimitsOverride {
  /** How many requests such a user may send in a minute. */
  requestsPerMinute?: number | null;
  /** How many requests such a user may send in a day. */
  requestsPerDay?: number | null;
  /** How many answers such a user may have in progress at once. */
  concurrent?: number | null;
  /** How many tokens such a user may send and receive in a day. */
  tokensPerDay?: number | null;
  /** What such a user may spend in a day, in US dollars. */
  usdPerDay?: number | null;
  /** What such a user may spend in a month, in US dollars. */
  usdPerMonth?: number | null;
}

/** List the features that are switched on, as this user may see them. */
export interface ListFeatures {

}

/** List the OpenRouter keys, each checked with OpenRouter. This is free. No call ever returns a key. */
export interface ListKeys {

}

/** List the app's users with what they have used, or find one of them. */
export interface ListUsers {
  /** A complete email address or uid. Default: all users. */
  search?: string;
  /** The maximum number of users of a page. */
  pageSize?: number;
  /** The `nextPageToken` of the page before. Default: the first page. */
  pageToken?: string | null;
}

/** A key, as OpenRouter and Secret Manager know it now. The key itself is never returned. */
export interface ListedKey {
  /** The key's version of the secret in Secret Manager. */
  version: number;
  /** Its last four characters, if they are known. */
  lastFour: string | null;
  /** The feature that it belongs to; absent for a default key. */
  feature?: string;
  /** Its place in the order, from 1. */
  position: number;
  /** `works`; `refused`: OpenRouter does not accept it; `spent`: nothing of its limit is left; `management`: it cannot run completions; `disabled`: Secret Manager does not give it out; `unknown`: it could not be checked. */
  state: "works" | "refused" | "spent" | "management" | "disabled" | "unknown";
  /** What is wrong with it, in one sentence for people. */
  message?: string;
  /** When it was stored, in ISO 8601; absent for a key that was not stored through the app. */
  setAt?: string;
  /** The email address of the admin who stored it, or else the uid. */
  setBy?: string;
  /** The last time that a request was refused because of it; absent if there was none. */
  lastRefusal?: LastRefusal;
  /** Its spending limit in US dollars; `null` if it has none. */
  limitUsd: number | null;
  /** How much of the limit is left, in US dollars. */
  limitRemainingUsd: number | null;
  /** What it has spent today, in US dollars; `null` if OpenRouter did not say. */
  usageTodayUsd: number | null;
  /** When it expires, in ISO 8601; `null` if it does not. */
  expiresAt: string | null;
}

/** The highest prices that are accepted: providers that charge more are not used. */
export interface MaxPrice {
  /** US dollars per million prompt tokens. */
  prompt?: number | null;
  /** US dollars per million completion tokens. */
  completion?: number | null;
  /** US dollars per request. */
  request?: number | null;
  /** US dollars per image. */
  image?: number | null;
  /** US dollars per piece of audio. */
  audio?: number | null;
}

/** An earlier message. There is no role for the system prompt: it is the admin's. */
export interface Message {
  /** Who wrote it. */
  role: "user" | "assistant" | "tool";
  /** What it says. Only an assistant that called tools may leave it out. */
  content?: string;
  /** The tools that an assistant called, as in its result. */
  toolCalls?: ToolCall[];
  /** The `id` of the call whose result a tool's message is. */
  toolCallId?: string | null;
  /** An assistant's reasoning, as in its result: unchanged and in order. */
  reasoningDetails?: Record<string, unknown>[];
}

/** A feature's model, or a setting that was edited by hand, that needs an admin's attention. */
export interface ModelFlag {
  /** The feature; empty for a setting of the app. */
  feature: string;
  /** Where its settings name the model, such as `fallbackModels[0]`; with `broken`, the setting that is invalid. */
  field: string;
  /** The model; empty if a broken document leaves none. */
  model: string;
  /** What happened to it. `paid`: it would be billed, which the app does not allow, so calls are refused. `broken`: the feature's document was edited by hand and is invalid. */
  flag: "gone" | "renamed" | "repriced" | "expires" | "paid" | "broken";
  /** One sentence for people. */
  message: string;
  /** With `renamed`: its new id. */
  to?: string;
  /** With `expires`: the day, `YYYY-MM-DD`. */
  on?: string;
  /** With `repriced`: `promptPrice` and `completionPrice` when the feature was saved, in US dollars per million tokens, as text. */
  before?: Record<string, unknown>;
  /** With `repriced`: the same, now. */
  after?: Record<string, unknown>;
}

/** A frame of one model's answer, with the model's place in `models`. */
export type ModelFrame = OneAnswerFrame & ModelTag;

/** A model that OpenRouter offers. What OpenRouter does not report is left out. */
export interface ModelInfo {
  /** The id to give as `model` in other calls. */
  id: string;
  /** Its name for people. */
  name: string;
  /** The author in its id, such as `anthropic`. */
  provider: string;
  /** The author's name for people, such as `Anthropic`. */
  providerName?: string;
  /** OpenRouter's description, on one line. */
  description?: string;
  /** Its version, which stays the same when its id changes. */
  canonicalSlug?: string;
  /** When OpenRouter added it, in Unix seconds. */
  created?: number;
  /** When OpenRouter will withdraw it, `YYYY-MM-DD`. */
  expirationDate?: string;
  /** How many tokens fit, prompt and completion together. */
  contextLength?: number;
  /** How many tokens a completion may have. */
  maxCompletionTokens?: number;
  /** What it accepts, such as `text`, `image`, `file`, `audio`, `video`. */
  inputModalities: string[];
  /** What it generates, such as `text`, `image`, `embeddings`. */
  outputModalities: string[];
  /** What it can do, in the words that `get_available_models` filters by. */
  capabilities: string[];
  /** The parameters it supports, by OpenRouter's names. */
  supportedParameters: string[];
  /** Whether OpenRouter moderates prompts before the model gets them. */
  moderated: boolean;
  /** US dollars per million tokens of the prompt; `dynamic` if it depends on the request. */
  promptPrice?: number | "dynamic";
  /** US dollars per million tokens of the completion, likewise. */
  completionPrice?: number | "dynamic";
  /** From so many tokens of the prompt on, it costs more. */
  longPromptTokens?: number;
  /** US dollars per million tokens of the prompt then, at most. */
  longPromptPrice?: number;
  /** US dollars per million tokens of the completion then, at most. */
  longCompletionPrice?: number;
  /** All other prices that are not zero. */
  prices?: PriceInfo[];
  /** Other prices, for long prompts or certain hours; where several hold, the last one counts. */
  priceTiers?: PriceTierInfo[];
  /** Whether no use of it is ever billed. */
  free: boolean;
  /** What follows the colon in its id, such as `free`. */
  variant?: string;
  /** The id behind an alias such as `~author/name-latest`. */
  aliasTarget?: string;
  /** Its reasoning cannot be switched off. */
  reasoningRequired?: true;
  /** The reasoning efforts it supports. */
  reasoningEfforts?: string[];
  /** The parameters that OpenRouter's image API accepts for it, by that API's names. */
  imageParameters?: string[];
}

/** The additional fields of each frame of a model's answer in a comparison. */
export interface ModelTag {
  /** The model's place in `models`; the judge's comes after the last one. In the frames `tool_call` and `citation`, it is the place of the call or citation instead. */
  index: number;
  /** The model. */
  model: string;
}

/** One page of the catalog. */
export interface ModelsPage {
  /** The models of this page. */
  models: ModelInfo[];
  /** Fetches the next page, with the same filters; absent on the last page. */
  nextPageToken?: string;
  /** How many models match, on all pages together. */
  total: number;
  /** Grows whenever the list changes: until then, a client may use its cached pages. */
  generation: number;
  /** How long ago OpenRouter sent the list, in seconds. */
  ageSeconds: number;
  /** Whether the list is out of date: it should have been refreshed by now. */
  stale: boolean;
}

/** Something the user should know about a successful answer. */
export interface Notice {
  /** Stable and for programs: `preference_dropped`, `attachment_left_out`, `reasoning_not_kept`, `image_not_kept`, `format_not_kept`, `parameter_dropped`, `max_tokens_lowered`, `no_text`. */
  reason: string;
  /** One sentence for people. */
  message: string;
  /** With `parameter_dropped`: the field that the model does not support. With `max_tokens_lowered`: `maxTokens`, of which a budget or the app's credit left less. */
  field?: string;
  /** With `format_not_kept`: where the answer violates the schema, and which keyword, such as `$.items[3].price (type)`; `$ (json)` if the answer is not JSON at all. */
  at?: string;
}

/** The frames of one answer. */
export type OneAnswerFrame = StartFrame | TextFrame | ReasoningFrame | RetryFrame | RepairFrame | JsonFrame | ToolCallFrame | CitationFrame | ImageFrame;

/** An image as far as it has been generated. The next one with this `index` replaces it. */
export interface PartialImage {
  /** The place that the finished image will have among the answer's images, from 0. */
  index: number;
  /** Tells it from a finished image. */
  partial: true;
  /** As in the finished image. */
  contentType: string;
  /** The image in base64. */
  data: string;
}

/** How long answers took, in milliseconds; each is at most 5 % off. */
export interface Percentiles {
  /** Half of them took no longer. */
  p50: number;
  /** 95 % of them took no longer. */
  p95: number;
  /** 99 % of them took no longer. */
  p99: number;
}

/** The user's default model of a feature. */
export interface PreferencesSaved {
  /** The feature. */
  feature: string;
  /** The model that was chosen; `null` for the feature's own. */
  model: string | null;
}

/** A price besides those of prompt and completion. */
export interface PriceInfo {
  /** What is billed, such as `imageOutput`, `audio`, `inputCacheRead`, `internalReasoning`, `request` or `webSearch`. */
  name: string;
  /** US dollars; `dynamic` if it depends on the request. */
  usd: number | "dynamic";
  /** What that is the price of. */
  per: "million tokens" | "request" | "search";
}

/** Prices that replace a model's own under certain conditions. */
export interface PriceTierInfo {
  /** They hold for prompts of more tokens than these. */
  minPromptTokens?: number;
  /** They hold from this time of the day on (UTC), as hours and minutes: 1630 is 16:30. */
  utcStart?: number;
  /** They hold until this time, which may be on the next day. */
  utcEnd?: number;
  /** They hold on these days only. */
  utcDays?: string[];
  /** US dollars per million tokens of the prompt. */
  promptPrice?: number | "dynamic";
  /** US dollars per million tokens of the completion. */
  completionPrice?: number | "dynamic";
  /** The other prices. */
  prices?: PriceInfo[];
}

/** Make a feature's draft active for all users. */
export interface PromoteDraft {
  /** The feature. */
  feature: string;
  /** The draft's revision, to detect that another admin has changed the draft meanwhile. */
  revision: number;
  /** The reason, for other admins who read the revisions. */
  note?: string;
}

/** The answer to a prompt. */
export interface PromptResult {
  /** Identifies the answer, for `stop_generation` and `resume`. */
  generationId: string;
  /** The conversation that the question and the answer belong to, if any. */
  conversationId?: string;
  /** The answer's message in that conversation; absent if the call was `temporary`. */
  messageId?: string;
  /** The feature that was used. */
  feature: string;
  /** The revision of its settings: the draft's for users who get the draft, and 0 for the built-in settings; absent if an admin tests settings that are not saved. */
  revision?: number;
  /** The model that answered, which may be a fallback. */
  model: string;
  /** The provider that ran the model, as OpenRouter names it. */
  provider?: string;
  /** The answer; empty if it consists of tool calls or images. */
  text: string;
  /** The part of `text` in which the model refuses to answer, usually all of it. An answer that was to be JSON has none then. */
  refusal?: string;
  /** The reasoning that the model showed. */
  reasoning?: string;
  /** Why the model stopped writing. */
  finishReason: "stop" | "length" | "tool_calls" | "content_filter" | "stopped";
  /** Tokens and cost, of all attempts together. */
  usage: Usage;
  /** How long the answer took. */
  timing: Timing;
  /** Whether a cached answer was reused, at no cost (the feature's `cacheSeconds`). */
  cached: boolean;
  /** Every request that was sent to OpenRouter for this answer, in order. */
  attempts: AttemptInfo[];
  /** What was left of the user's limits at the answer's end, by the name that `details.limit` of a refusal has: tokens and requests as they are, `usd...` in US dollars. Absent from an answer that goes on without a listener. */
  remaining?: Record<string, number>;
  /** What the user should know about the answer. */
  notices?: Notice[];
  /** The tool calls that the app should run now, with `finishReason: "tool_calls"`. */
  toolCalls?: ToolCallInfo[];
  /** The web pages that the answer is based on, at most 50. */
  citations?: Citation[];
  /** The images that the model generated, at most 10. */
  images?: ImageInfo[];
  /** The reasoning in the provider's own form. An app that stores the conversation itself sends it back unchanged and in order with the assistant's message. */
  reasoningDetails?: Record<string, unknown>[];
  /** The answer as a JSON value, if JSON was requested and the answer satisfies the schema. */
  json?: unknown;
}

/** The answer to a prompt with which an admin tests settings. */
export interface PromptTestResult {
  /** Identifies the answer, for `stop_generation` and `resume`. */
  generationId: string;
  /** The conversation that the question and the answer belong to, if any. */
  conversationId?: string;
  /** The answer's message in that conversation; absent if the call was `temporary`. */
  messageId?: string;
  /** The feature that was used. */
  feature: string;
  /** The revision of its settings: the draft's for users who get the draft, and 0 for the built-in settings; absent if an admin tests settings that are not saved. */
  revision?: number;
  /** The model that answered, which may be a fallback. */
  model: string;
  /** The provider that ran the model, as OpenRouter names it. */
  provider?: string;
  /** The answer; empty if it consists of tool calls or images. */
  text: string;
  /** The part of `text` in which the model refuses to answer, usually all of it. An answer that was to be JSON has none then. */
  refusal?: string;
  /** The reasoning that the model showed. */
  reasoning?: string;
  /** Why the model stopped writing. */
  finishReason: "stop" | "length" | "tool_calls" | "content_filter" | "stopped";
  /** Tokens and cost, of all attempts together. */
  usage: Usage;
  /** How long the answer took. */
  timing: Timing;
  /** Whether a cached answer was reused, at no cost (the feature's `cacheSeconds`). */
  cached: boolean;
  /** Every request that was sent to OpenRouter for this answer, in order. */
  attempts: AttemptInfo[];
  /** What was left of the user's limits at the answer's end, by the name that `details.limit` of a refusal has: tokens and requests as they are, `usd...` in US dollars. Absent from an answer that goes on without a listener. */
  remaining?: Record<string, number>;
  /** What the user should know about the answer. */
  notices?: Notice[];
  /** The tool calls that the app should run now, with `finishReason: "tool_calls"`. */
  toolCalls?: ToolCallInfo[];
  /** The web pages that the answer is based on, at most 50. */
  citations?: Citation[];
  /** The images that the model generated, at most 10. */
  images?: ImageInfo[];
  /** The reasoning in the provider's own form. An app that stores the conversation itself sends it back unchanged and in order with the assistant's message. */
  reasoningDetails?: Record<string, unknown>[];
  /** The answer as a JSON value, if JSON was requested and the answer satisfies the schema. */
  json?: unknown;
  /** Marks the result of a test. */
  test: true;
  /** The warnings that saving the settings would return. */
  warnings: FindingInfo[];
}

/** Which providers OpenRouter may use, and in which order. */
export interface ProviderRouting {
  /** Providers to try first, in this order. */
  order?: string[] | null;
  /** The only providers to use. */
  only?: string[] | null;
  /** Providers never to use. */
  ignore?: string[] | null;
  /** Whether other providers may be used if those in `order` fail. */
  allowFallbacks?: boolean | null;
  /** Whether to use only providers that support every parameter of the request. */
  requireParameters?: boolean | null;
  /** `deny`: use only providers that do not store prompts. */
  dataCollection?: "allow" | "deny" | null;
  /** Whether to use only endpoints with zero data retention. */
  zdr?: boolean | null;
  /** What providers are sorted by, instead of balancing the load. */
  sort?: "price" | "throughput" | "latency" | "exacto" | null;
  /** The quantization levels that are accepted, such as `fp8`. */
  quantizations?: string[] | null;
  /** The highest prices that are accepted. */
  maxPrice?: MaxPrice | null;
  /** Whether to use only models whose output may be used to train others. */
  enforceDistillableText?: boolean | null;
  /** Prefer providers of at least this many tokens per second. */
  preferredMinThroughput?: number | null;
  /** Prefer providers that begin to answer within this many seconds. */
  preferredMaxLatency?: number | null;
  /** Options for single providers, by the provider's name. */
  options?: Record<string, unknown> | null;
}

/** The stable reason of an error. */
export type Reason = "already_running" | "answer_too_long" | "app_check_failed" | "attachment_not_taken" | "attachment_rejected" | "attachment_unknown" | "body_too_large" | "body_too_slow" | "catalog_incomplete" | "catalog_unavailable" | "context_too_long" | "conversation_unknown" | "cost_too_high" | "credit_busy" | "empty_answer" | "feature_disabled" | "feature_unknown" | "firestore_forbidden" | "free_daily_limit" | "generation_unknown" | "history_unavailable" | "image_unreadable" | "images_too_large" | "internal" | "interrupted" | "invalid_argument" | "key_invalid" | "key_limit_reached" | "key_missing" | "key_store_disabled" | "key_store_forbidden" | "key_unavailable" | "ledger_unavailable" | "malformed_request" | "management_key" | "max_tokens_too_high" | "message_unknown" | "model_not_allowed" | "model_not_found" | "moderated" | "no_credit" | "no_draft" | "no_provider" | "not_admin" | "overloaded" | "paid_model" | "queue_unavailable" | "quota_exceeded" | "rate_limited" | "request_id_reused" | "result_not_kept" | "revision_unknown" | "session_expired" | "session_invalid" | "session_revoked" | "settings_changed" | "settings_invalid" | "settings_refused" | "settings_unavailable" | "sign_in_required" | "sign_in_unavailable" | "stopped" | "storage_missing" | "storage_unavailable" | "stream_cut" | "too_many_tool_calls" | "upstream_busy" | "upstream_forbidden" | "upstream_malformed" | "upstream_rejected" | "upstream_timeout" | "upstream_unreachable" | "user_blocked" | "wrong_kind";

/** How much a model reasons before it answers. Set either `effort` or `maxTokens`. */
export interface Reasoning {
  /** How hard the model thinks; `none` turns reasoning off. */
  effort?: "max" | "xhigh" | "high" | "medium" | "low" | "minimal" | "none" | null;
  /** The most reasoning tokens. */
  maxTokens?: number | null;
  /** Reason, but keep the reasoning out of the answer. */
  exclude?: boolean | null;
  /** Turn reasoning on with the model's own effort, or off. */
  enabled?: boolean | null;
}

/** More of the model's reasoning. */
export interface ReasoningFrame {
  type: "reasoning";
  /** What follows the reasoning so far. */
  delta: string;
}

/** Fetch the list of models from OpenRouter now, even if the stored one is recent. */
export interface RefreshCatalog {

}

/** How often a limit refused a call. */
export interface RefusalCount {
  /** The feature that was called. */
  feature: string;
  /** The limit, as `details.limit` of the refusal has it. */
  limit: string;
  /** How often. */
  count: number;
}

/** Remove one OpenRouter key, all default keys, or all keys of one feature. */
export interface RemoveKey {
  /** The feature whose own keys to remove. Default: the default keys. */
  feature?: string | null;
  /** The place of the key to remove; the ones after it move up. Default: all of them. */
  position?: number | null;
}

/** The text starts over: discard what has arrived so far. The answer was not the required JSON, so the model is called once more (the feature's `repairJson`). */
export interface RepairFrame {
  type: "repair";
  /** The model that is called again. */
  model: string;
  /** What was wrong, as in the notice `format_not_kept`. It may be absent if another instance generates the answer. */
  at?: string;
}

/** Make a built-in feature's original settings active again, as a new revision. */
export interface ResetFeature {
  /** The feature, one of the built-in ones. */
  feature: string;
  /** The active revision, to detect that another admin has changed the feature meanwhile. */
  revision: number;
  /** The reason, for other admins who read the revisions. */
  note?: string;
}

/** The format that an answer must have. */
export interface ResponseFormat {
  /** `text`: anything. `json_object`: any JSON object. `json_schema`: what `schema` describes. */
  type?: "text" | "json_object" | "json_schema";
  /** Required with `json_schema`: a name for the JSON, which the model gets. */
  name?: string | null;
  /** With `json_schema`, required: a JSON Schema (draft 2020-12), as an object or as its text. */
  schema?: Record<string, unknown> | null;
  /** With `json_schema`: whether providers should enforce the schema, if they can. */
  strict?: boolean;
}

/** Make the app's settings of an older revision active again, as a new revision. */
export interface RestoreAppSettings {
  /** The active revision, to detect that another admin has changed the settings meanwhile. */
  revision: number;
  /** The revision whose settings become active again; 0 for those of a new app. */
  restore: number;
  /** The reason, for other admins who read the audit log. */
  note?: string;
}

/** Make the settings of an older revision active again, as a new revision. */
export interface RestoreFeature {
  /** The feature. */
  feature: string;
  /** The active revision, to detect that another admin has changed the feature meanwhile. */
  revision: number;
  /** The revision whose settings become active again; 0 for the built-in settings. */
  restore: number;
  /** The reason, for other admins who read the revisions. */
  note?: string;
}

/** One model of a comparison has finished. */
export interface ResultFrame {
  type: "result";
  /** The model's place in `models`; the judge's comes after the last one. */
  index: number;
  /** The model. */
  model: string;
  /** Its answer. */
  result: PromptResult;
}

/** Get the answer of an earlier call: everything so far at once, then the rest as it arrives. */
export interface ResumeGeneration {
  /** The `generationId` of the answer, from the `start` frame or a result. No other field is allowed with it. */
  resume: string;
}

/**
 * How long ledger entries, results and cached answers are kept, and whether texts are at all.
 * What was stored before a change keeps its expiry. Conversations stay until they are deleted; a quota's counters are kept while they count, 40 days at most.
 */
export interface Retention {
  /** How many days a ledger entry is kept. The daily sums of reports are kept forever. */
  entryDays?: number;
  /** How many days a call's result is kept in its entry, for `resume` and for repeated requests; at most as long as the entry. */
  resultDays?: number;
  /** The maximum number of days that a cached answer is kept, whatever `cacheSeconds` says. */
  cacheDays?: number;
  /** Whether prompts and answers are stored anywhere but in the user's own conversation. If not, nothing is cached, answers stop when their listeners leave even if `onDisconnect` is `continue`, a request that is repeated after its end is refused with `result_not_kept`, and if an instance is killed, what its answers had written so far is lost. */
  storeTexts?: boolean;
}

/** An attempt failed before its first token, and another one follows. */
export interface RetryFrame {
  type: "retry";
  /** The number of the next attempt, from 2. */
  attempt: number;
  /** The model that is called next, which may be a fallback. */
  model: string;
  /** Why the attempt failed: one of the reasons in errors.md. */
  reason: string;
}

/** Change settings of the app as a whole. */
export interface SaveAppSettings {
  /** The settings to change, as [AppSettings](#appsettings) describes them; the others stay as they are. */
  settings: AppSettings;
  /** Limits that no longer hold, of those that have no default. */
  remove?: ("limits.requestsPerDay" | "limits.tokensPerDay")[];
  /** The revision that the change is based on; 0 if these settings were never saved. */
  revision: number;
  /** The reason, for other admins who read the audit log. */
  note?: string;
  /** Validate the settings, list what would not work any more with them, and save nothing. */
  validateOnly?: boolean;
}

/**
 * Change a feature's settings, or save a draft of them for a share of the users.
 * Saving a new name creates a feature.
 */
export interface SaveFeatureSettings {
  /** The feature. */
  feature: string;
  /** The settings to change, as [FeatureSettings](#featuresettings) describes them; the others stay as they are. Required unless `enabled` is given. */
  settings?: FeatureSettings;
  /** Settings to unset, such as `temperature` or `limits.usdPerDay`: their defaults hold again. */
  remove?: string[];
  /** Whether `settings` are all of the settings: then one that is not given is unset. */
  replace?: boolean;
  /** Switches the feature on or off. Without `settings`, this creates no revision and requires no `revision`. */
  enabled?: boolean | null;
  /** The revision that the settings were based on, or the draft's with `draftPercent`, if there is a draft. Default: 0, for a feature that was never saved. */
  revision?: number | null;
  /** Makes these settings a draft for this share of the users, in percent; it is always the same users. Unchanged settings with another percentage remain the same draft. */
  draftPercent?: number | null;
  /** The reason, for other admins who read the revisions. */
  note?: string;
  /** Validate the settings and save nothing. */
  validateOnly?: boolean;
}

/** A tool that OpenRouter runs itself. */
export interface ServerTool {
  /** Its name, such as `openrouter:web_search`. */
  type: string;
  /** Its own parameters, sent as they are. */
  parameters?: Record<string, unknown>;
}

/**
 * Validate an OpenRouter key with OpenRouter, store it and make it active.
 * The key that it replaces is disabled in Secret Manager. No call ever returns a key.
 */
export interface SetKey {
  /** The key. */
  key: string;
  /** The feature whose own key it becomes; the feature need not exist yet. Default: it becomes one of the default keys. */
  feature?: string | null;
  /** Its place in the order. The key that is there is replaced; one past the end appends. */
  position?: number;
}

/** Choose the user's own default model for a feature. */
export interface SetPreferences {
  /** The feature. */
  feature: string;
  /** One of the feature's `models`. Default: the feature's own model, whatever was chosen before. */
  model?: string | null;
}

/** Give one user other limits or another tier, or block them. Omitted fields don't change. */
export interface SetUserLimits {
  /** The user. */
  uid: string;
  /** The user's own limits, as in [LimitsOverride](#limitsoverride); omitted ones don't change. */
  limits?: LimitsOverride | null;
  /** The user's tier, which replaces the one in the ID token. */
  tier?: string | null;
  /** Whether every call of the user is refused. */
  blocked?: boolean | null;
  /** What the user no longer has: limits of their own, by name, or `tier`. */
  remove?: ("tier" | "requestsPerMinute" | "requestsPerDay" | "concurrent" | "tokensPerDay" | "usdPerDay" | "usdPerMonth")[];
  /** The reason, which is recorded in the audit log. */
  note?: string;
}

/** A setting: what it is for, and which values it takes. */
export interface SettingInfo {
  /** The type of the value, in JSON Schema's words. */
  type: "boolean" | "integer" | "number" | "string" | "array" | "object";
  /** The least number. */
  minimum?: number;
  /** The greatest number. */
  maximum?: number;
  /** The number must be greater than this one. */
  above?: number;
  /** The number must be less than this one. */
  below?: number;
  /** How many characters the text must have. */
  minLength?: number;
  /** How many characters the text may have. */
  maxLength?: number;
  /** How many entries the list must have. */
  minItems?: number;
  /** How many entries the list may have. */
  maxItems?: number;
  /** All allowed values. */
  choices?: string[];
  /** The regular expression that the whole text must match. */
  pattern?: string;
  /** The same in words: the end of a sentence that begins with the field. */
  form?: string;
  /** Which values the entries of the list take. */
  items?: ValueInfo;
  /** The setting, as findings and changes name it, such as `reasoning.effort`. */
  field: string;
  /** Whether it may be unset, with `null`. */
  optional: boolean;
  /** Its value if nothing is set; absent if it is unset then. */
  default?: unknown;
  /** What it is for, in a sentence or two. */
  help: string;
}

/** The app's settings as the change left them. */
export interface SettingsSaved {
  /** The revision that is active. */
  revision: number;
  /** The app's settings, in full. */
  settings: AppSettings;
  /** What changed. */
  changes: Difference[];
  /** Features that are refused with these settings, models that are left out, and budgets too small for a call. */
  warnings: FindingInfo[];
}

/** One side of a conflict between two admins. */
export interface SettingsVersion {
  /** The revision that is stored, or the one that the refused change was based on. */
  revision: number;
  /** The settings of this side, in full. */
  settings: Record<string, unknown>;
  /** Of a stored feature: whether it is switched on. */
  enabled?: boolean;
  /** Of a stored feature: when it was saved, in ISO 8601. */
  savedAt?: string | null;
  /** Of a stored feature: the uid of the admin who saved it. */
  savedBy?: string | null;
}

/** The answer has begun. Always its first frame. */
export interface StartFrame {
  type: "start";
  /** What `stop_generation` and `resume` take. */
  generationId: string;
  /** The conversation that the question and the answer belong to, if any. */
  conversationId?: string;
  /** The id that the answer's message will have, if it is stored. */
  messageId?: string;
  /** The model that is called first. */
  model: string;
}

/** Stop an answer that is being generated, from any device of its user. */
export interface StopGeneration {
  /** The generation, from the `start` frame or a result. Exactly one of the three ids is required. */
  generationId?: string | null;
  /** A comparison: all of its answers are stopped, including the judge's and those not begun. */
  comparisonId?: string | null;
  /** The `requestId` of the call, to stop it before its first frame. */
  requestId?: string | null;
}

/** What became of a request to stop. */
export interface StopResult {
  /** The generation; absent if the request named a comparison. */
  generationId?: string;
  /** The comparison, if the request named one. */
  comparisonId?: string;
  /** Whether it was running, so that it will now stop. */
  stopped: boolean;
  /** The status before the stop: `running`, or how the generation had already ended. */
  status: "running" | "done" | "stopped" | "failed" | "interrupted";
}

/** Stop all of one user's answers in progress. */
export interface StopUserGenerations {
  /** The user. */
  uid: string;
}

/** A feature's own format, which Firestore can store. */
export interface StoredFormat {
  /** `text`: anything. `json_object`: any JSON object. `json_schema`: what `schema` describes. */
  type?: "text" | "json_object" | "json_schema";
  /** Required with `json_schema`: a name for the JSON, which the model gets. */
  name?: string | null;
  /** With `json_schema`, required: a JSON Schema (draft 2020-12), as an object or as its text. No list is directly inside a list, and no name begins and ends with two underscores. */
  schema?: Record<string, unknown> | null;
  /** With `json_schema`: whether providers should enforce the schema, if they can. */
  strict?: boolean;
}

/** A summary that replaces the older part of a path. */
export interface SummaryInfo {
  /** The summary. */
  text: string;
  /** The last message that it covers. */
  upTo: string;
}

/** Check a key with OpenRouter: a stored one, or one that is not stored yet. This is free. */
export interface TestConnection {
  /** A key that is not stored yet. Not allowed with `feature` or `position`. */
  key?: string | null;
  /** A feature that has keys of its own. Default: the default keys. */
  feature?: string | null;
  /** The key's place in the order. */
  position?: number;
}

/**
 * Try settings with one prompt, before any user gets them.
 * This also works for features that are switched off. The ledger marks the generation as a test.
 */
export interface TestFeatureSettings {
  /** The feature to use: `chat`, `code`, `summarize`, or one that an admin has created. */
  feature: string;
  /** The question. Give exactly one of `prompt` and `messages`. */
  prompt?: string | null;
  /** The conversation so far, stored by the app; the last message is the user's or a tool's. */
  messages?: Message[] | null;
  /** Text that goes before the prompt, separated by an empty line. */
  context?: string | null;
  /** Values of the `{{name}}` placeholders in the feature's system prompt, inserted literally. */
  variables?: Record<string, string>;
  /** The model to use, if the feature allows a choice. Default: the user's own default (`set_preferences`), or else the feature's model. */
  model?: string | null;
  /** The sampling temperature, if the feature allows a choice. Default: the feature's. */
  temperature?: number | null;
  /** Store neither text nor images of this call. The ledger stores only the numbers. */
  temporary?: boolean;
  /** Makes the call idempotent: repeating it with the same id never calls OpenRouter twice. */
  requestId?: string | null;
  /** Functions of the app that the model may call, at most 50,000 bytes of JSON together. */
  tools?: Tool[];
  /** `auto`, `none`, `required`, or the name of the tool to call. Default: the model's, `auto`. */
  toolChoice?: string | null;
  /** `false` allows one tool call at a time. Default: the model's. */
  parallelToolCalls?: boolean | null;
  /** The JSON format that the answer must have, if the feature allows it and has no format of its own. */
  responseFormat?: ResponseFormat | null;
  /** Stream the JSON as it grows, in `json` frames. */
  partialJson?: boolean;
  /** Files that are attached to `prompt`. */
  attachments?: Attachment[];
  /** What generated images should be like, for features that generate images and allow it. */
  imageOptions?: ImageOptions | null;
  /** Also return images of at most 200,000 bytes in base64. */
  inlineImages?: boolean;
  /** The settings to try, as [save_feature_settings](save_feature_settings.md) takes them: those that are not given are the stored ones. Default: the settings that are stored. */
  settings?: FeatureSettings;
  /** Settings to unset, as save_feature_settings takes them. */
  remove?: string[];
  /** Whether `settings` are all of the settings: then one that is not given is unset. */
  replace?: boolean;
}

/** More of the answer's text. */
export interface TextFrame {
  type: "text";
  /** What follows the text so far. */
  delta: string;
}

/** How long the answer took, in milliseconds. */
export interface Timing {
  /** From the start of the call to the first token; absent if there was none. */
  firstTokenMs?: number;
  /** From the start of the call to the end of the answer. */
  totalMs: number;
}

/** A function of the app that the model may call. */
export interface Tool {
  /** Its name. It must differ from the names of the other tools and of the feature's own tools, and must not be `auto`, `none` or `required`. */
  name: string;
  /** What the model is told about it. */
  description?: string | null;
  /** A JSON Schema of its arguments, whose type is `object`. Default: it has no arguments. */
  parameters?: Record<string, unknown> | null;
  /** Whether providers should enforce `parameters`, if they can. */
  strict?: boolean | null;
}

/** A tool call that a model made. */
export interface ToolCall {
  /** The call's id. */
  id: string;
  /** The tool's name. */
  name: string;
  /** The JSON that the model wrote, as text. */
  arguments: string;
}

/** A tool call is complete. */
export interface ToolCallFrame {
  /** The id that the result of the call must have as its `toolCallId`. */
  id: string;
  /** The tool's name. */
  name: string;
  /** The JSON that the model wrote, as text. */
  arguments: string;
  /** There is no such tool, or `arguments` is not a JSON object. */
  error?: "unknown_tool" | "invalid_arguments";
  type: "tool_call";
  /** Its place in `toolCalls`, from 0. */
  index: number;
}

/** A call to one of the app's tools that the model requests. */
export interface ToolCallInfo {
  /** The id that the result of the call must have as its `toolCallId`. */
  id: string;
  /** The tool's name. */
  name: string;
  /** The JSON that the model wrote, as text. */
  arguments: string;
  /** There is no such tool, or `arguments` is not a JSON object. */
  error?: "unknown_tool" | "invalid_arguments";
}

/** The result of a tool call. */
export interface ToolResult {
  /** The call's `id`. */
  toolCallId: string;
  /** What the tool returned. */
  content: string;
}

/** The result of a tool call in a stored message. */
export interface ToolResultInfo {
  /** The call's `id`. */
  toolCallId: string;
  /** What the tool returned. */
  content: string;
}

/** One of the users with the highest cost. */
export interface TopUser {
  /** The uid. */
  user: string;
  /** How many generations the user had. */
  requests: number;
  /** What they cost, in US dollars. */
  cost: number;
}

/** Give a conversation another title, or choose another path through its messages. */
export interface UpdateConversation {
  /** The conversation. */
  conversationId: string;
  /** Its new title. */
  title?: string | null;
  /** The message at which the chosen path ends from now on. */
  messageId?: string | null;
}

/** Where to upload one file. */
export interface UploadResult {
  /** The `path` to give in `attachments` once the file is uploaded. */
  path: string;
  /** Where to send the file. Anyone with this URL can upload, so keep it secret. */
  uploadUrl: string;
  /** The HTTP method to send it with. */
  method: "PUT";
  /** The headers to send it with: `Content-Type`, and no token. */
  headers: Record<string, string>;
  /** When the URL stops working, in ISO 8601. */
  expiresAt: string;
}

/** The tokens that were processed and what they cost. */
export interface Usage {
  /** Tokens of the prompt, counted by the model's own tokenizer. */
  promptTokens: number;
  /** Tokens of the completion, reasoning included. */
  completionTokens: number;
  /** The sum of both. */
  totalTokens: number;
  /** How many of the completion's tokens were reasoning. */
  reasoningTokens?: number;
  /** How many of the prompt's tokens the provider read from its cache. */
  cachedTokens?: number;
  /** How many of them it wrote into its cache, which some providers bill higher. */
  cacheWriteTokens?: number;
  /** US dollars: everything that the call cost. */
  cost: number;
  /** OpenRouter has not reported all of it, and the rest is our estimate. */
  costIsEstimate?: true;
  /** What it is made up of; absent if it is the answer's alone. */
  costDetails?: CostDetails;
}

/** One page of a report on usage. */
export interface UsageReport {
  /** The first day (UTC), `YYYY-MM-DD`. */
  firstDay: string;
  /** The last day (UTC). */
  lastDay: string;
  /** The totals of all generations of the report. */
  totals: UsageSums;
  /** With `json`: the groups of this page. */
  rows?: UsageRow[];
  /** With `csv`: the groups of this page as text. The first page begins with the names of the columns, so that the pages of a report can be joined. */
  csv?: string;
  /** How many groups there are, on all pages together. */
  rowCount: number;
  /** Fetches the next page; absent on the last one. */
  nextPageToken?: string;
  /** The users with the highest cost, or with the most requests if nothing cost anything. Only of a report without filters, or one that is grouped or filtered by user. */
  topUsers?: TopUser[];
  /** Whether nobody else can belong among `topUsers`. What is said of each of them always is exact. */
  topUsersAreExact?: boolean;
  /** How often calls were refused by a limit; of all users. What an instance counted in its last minute before it was killed is missing. */
  refusals: RefusalCount[];
  /** When the ledger was last counted, in ISO 8601: what ended before is in the report. `null` if it never was. */
  countedUpTo: string | null;
}

/** The totals of one group of generations. It has the fields that `groupBy` names. */
export interface UsageRow {
  /** How many there were, cached answers and failures included; without refused ones. */
  requests: number;
  /** How many were answered to the end. */
  done: number;
  /** How many were stopped. */
  stopped: number;
  /** How many failed. */
  failed: number;
  /** How many ended with their instance. */
  interrupted: number;
  /** How many failed, or were interrupted, for each reason. */
  errors: Record<string, number>;
  /** Tokens of their prompts. */
  promptTokens: number;
  /** Tokens that were generated, reasoning included. */
  completionTokens: number;
  /** Both. */
  totalTokens: number;
  /** Tokens of reasoning, within `completionTokens`. */
  reasoningTokens: number;
  /** Tokens that a provider had cached, within `promptTokens`. */
  cachedTokens: number;
  /** What they cost, estimates included. */
  cost: number;
  /** How many of the costs are estimates. */
  estimates: number;
  /** How much of the cost is estimated. */
  estimatedCost: number;
  /** How much of the cost a provider charged to an account of your own. */
  byokCost: number;
  /** How many answers came from Firerouter's cache. */
  cacheHits: number;
  /** What those had cost when they were generated. */
  savedCost: number;
  /** How many were an admin's tests of settings. */
  tests: number;
  /** From a request to the first of its answer; `null` if nothing was measured. */
  firstTokenMs: Percentiles | null;
  /** From a request to the end of its answer, of those that were answered to the end. */
  totalMs: Percentiles | null;
  /** The day (UTC), `YYYY-MM-DD`. */
  day?: string;
  /** The feature. */
  feature?: string;
  /** The model that answered, or the first that was to. */
  model?: string;
  /** The revision of the feature's settings. */
  revision?: number;
  /** The users' tier; empty for users in no tier. */
  tier?: string;
  /** The user's uid; empty where an entry of the ledger was damaged. */
  user?: string;
}

/** The totals of some generations. Amounts are in US dollars. */
export interface UsageSums {
  /** How many there were, cached answers and failures included; without refused ones. */
  requests: number;
  /** How many were answered to the end. */
  done: number;
  /** How many were stopped. */
  stopped: number;
  /** How many failed. */
  failed: number;
  /** How many ended with their instance. */
  interrupted: number;
  /** How many failed, or were interrupted, for each reason. */
  errors: Record<string, number>;
  /** Tokens of their prompts. */
  promptTokens: number;
  /** Tokens that were generated, reasoning included. */
  completionTokens: number;
  /** Both. */
  totalTokens: number;
  /** Tokens of reasoning, within `completionTokens`. */
  reasoningTokens: number;
  /** Tokens that a provider had cached, within `promptTokens`. */
  cachedTokens: number;
  /** What they cost, estimates included. */
  cost: number;
  /** How many of the costs are estimates. */
  estimates: number;
  /** How much of the cost is estimated. */
  estimatedCost: number;
  /** How much of the cost a provider charged to an account of your own. */
  byokCost: number;
  /** How many answers came from Firerouter's cache. */
  cacheHits: number;
  /** What those had cost when they were generated. */
  savedCost: number;
  /** How many were an admin's tests of settings. */
  tests: number;
  /** From a request to the first of its answer; `null` if nothing was measured. */
  firstTokenMs: Percentiles | null;
  /** From a request to the end of its answer, of those that were answered to the end. */
  totalMs: Percentiles | null;
}

/** One user, and what they have used. */
export interface UserInfo {
  /** The user's id. */
  uid: string;
  /** Their email address, if the account has one. */
  email?: string;
  /** Whether they are signed in without an account. */
  anonymous: boolean;
  /** Whether the account is disabled in Firebase Authentication. */
  disabled: boolean;
  /** The tier that an admin gave the user, or else that of the account's custom claim. */
  tier?: string;
  /** Whether an admin blocked the user with `set_user_limits`. */
  blocked: boolean;
  /** The limits of the user's own. */
  limits: LimitsOverride;
  /** Requests today (UTC). */
  requestsToday: number;
  /** Tokens today, including what answers in progress may still use. */
  tokensToday: number;
  /** US dollars today, including what answers in progress may still cost. */
  usdToday: number;
  /** US dollars this month, including what answers in progress may still cost. */
  usdThisMonth: number;
  /** Answers in progress. */
  running: number;
}

/** What one user may do. Amounts are in US dollars; days and months are in UTC. */
export interface UserLimits {
  /** How many requests a user may send in a minute. */
  requestsPerMinute?: number;
  /** How many requests a user may send in a day. */
  requestsPerDay?: number | null;
  /** How many answers a user may have in progress at once. */
  concurrent?: number;
  /** How many tokens a user may send and receive in a day. */
  tokensPerDay?: number | null;
  /** What a user may spend in a day, in US dollars. */
  usdPerDay?: number;
  /** What a user may spend in a month, in US dollars. */
  usdPerMonth?: number;
  /** What is reserved for an answer, an image or a tool whose price is not known, in US dollars. */
  reserveUsd?: number;
}

/** What one user may do from now on. */
export interface UserLimitsSaved {
  /** The user. */
  uid: string;
  /** The limits of the user's own. */
  limits: LimitsOverride;
  /** The tier that an admin gave the user. */
  tier: string | null;
  /** Whether every call of the user is refused. */
  blocked: boolean;
  /** What was saved, and will not do what it seems to. */
  warnings: FindingInfo[];
}

/** A page of users. */
export interface UserList {
  /** The users. */
  users: UserInfo[];
  /** The token to request the next page; absent on the last one. */
  nextPageToken?: string;
}

/** What was stopped. */
export interface UserStopped {
  /** The user. */
  uid: string;
  /** The ids of the answers that are being stopped. */
  stopped: string[];
  /** Whether there was anything to stop. */
  status: "stopping" | "nothing_running";
}

/** Which values a setting, or an entry of its list, takes. */
export interface ValueInfo {
  /** The type of the value, in JSON Schema's words. */
  type: "boolean" | "integer" | "number" | "string" | "array" | "object";
  /** The least number. */
  minimum?: number;
  /** The greatest number. */
  maximum?: number;
  /** The number must be greater than this one. */
  above?: number;
  /** The number must be less than this one. */
  below?: number;
  /** How many characters the text must have. */
  minLength?: number;
  /** How many characters the text may have. */
  maxLength?: number;
  /** How many entries the list must have. */
  minItems?: number;
  /** How many entries the list may have. */
  maxItems?: number;
  /** All allowed values. */
  choices?: string[];
  /** The regular expression that the whole text must match. */
  pattern?: string;
  /** The same in words: the end of a sentence that begins with the field. */
  form?: string;
  /** Which values the entries of the list take. */
  items?: ValueInfo;
}

/** Every callable. */
export interface Callables {
  execute_prompt: { request: ExecutePrompt | ResumeGeneration; result: PromptResult; frame: Frame };
  execute_multi_model_prompt: { request: CompareModels; result: ComparisonResult; frame: ComparisonFrame };
  create_embeddings: { request: CreateEmbeddings; result: EmbeddingsResult; frame: never };
  stop_generation: { request: StopGeneration; result: StopResult; frame: never };
  create_upload: { request: CreateUpload; result: UploadResult; frame: never };
  get_available_models: { request: GetAvailableModels; result: ModelsPage; frame: never };
  get_allowance: { request: GetAllowance; result: Allowance; frame: never };
  list_features: { request: ListFeatures; result: FeatureList; frame: never };
  set_preferences: { request: SetPreferences; result: PreferencesSaved; frame: never };
  update_conversation: { request: UpdateConversation; result: ConversationUpdated; frame: never };
  delete_conversation: { request: DeleteConversation; result: ConversationDeleted; frame: never };
  export_conversation: { request: ExportConversation; result: ConversationExport; frame: never };
  erase_my_data: { request: EraseMyData; result: DataErased; frame: never };
  export_my_data: { request: ExportMyData; result: DataExport; frame: never };
  api: { request: Dispatch; result: unknown; frame: never };
  admin_api: { request: AdminDispatch; result: unknown; frame: never };
  get_feature_settings: { request: GetFeatureSettings; result: FeatureDetailsList; frame: never };
  save_feature_settings: { request: SaveFeatureSettings; result: FeatureSaved | FeatureValidated; frame: never };
  reset_feature_settings: { request: ResetFeature; result: FeatureSaved; frame: never };
  restore_feature_settings: { request: RestoreFeature; result: FeatureSaved; frame: never };
  delete_feature: { request: DeleteFeature; result: FeatureDeleted; frame: never };
  promote_draft: { request: PromoteDraft; result: FeatureSaved; frame: never };
  drop_draft: { request: DropDraft; result: FeatureSaved; frame: never };
  test_feature_settings: { request: TestFeatureSettings; result: PromptTestResult | EmbeddingsTestResult; frame: Frame };
  save_app_settings: { request: SaveAppSettings; result: SettingsSaved | AppSettingsValidated; frame: never };
  restore_app_settings: { request: RestoreAppSettings; result: SettingsSaved; frame: never };
  list_users: { request: ListUsers; result: UserList; frame: never };
  set_user_limits: { request: SetUserLimits; result: UserLimitsSaved; frame: never };
  stop_user_generations: { request: StopUserGenerations; result: UserStopped; frame: never };
  list_keys: { request: ListKeys; result: KeyList; frame: never };
  set_openrouter_key: { request: SetKey; result: KeyInfo; frame: never };
  remove_openrouter_key: { request: RemoveKey; result: KeyRemoved; frame: never };
  test_openrouter_connection: { request: TestConnection; result: KeyReportInfo | KeyRefused; frame: never };
  get_usage_report: { request: GetUsageReport; result: UsageReport; frame: never };
  refresh_catalog: { request: RefreshCatalog; result: CatalogRefreshed; frame: never };
}
