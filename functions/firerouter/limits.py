"""Every bound, with its unit last in its name. Settings move between a default and a maximum."""

from __future__ import annotations

from typing import Final

# A request
PROMPT_MAX_CHARS: Final = 200_000  # prompt, context and messages together
MESSAGES_MAX: Final = 64
VARIABLES_MAX: Final = 32
VARIABLE_MAX_CHARS: Final = 20_000
NAME_MAX_CHARS: Final = 64  # feature and variable names
MODEL_ID_MAX_CHARS: Final = 128
REQUEST_ID_MAX_CHARS: Final = 128
ID_MAX_CHARS: Final = 64  # of conversations and messages; ours have 33

# Tools that the app runs
CALLER_TOOLS_MAX: Final = 64
TOOLS_MAX_BYTES: Final = 50_000  # of all their declarations: to look at them takes 0.3 s
TOOL_DESCRIPTION_MAX_CHARS: Final = 4_000
TOOL_CALLS_MAX: Final = 128  # of one answer
TOOL_ARGUMENTS_MAX_CHARS: Final = 100_000  # of all calls of one answer
TOOL_CALL_ID_MAX_CHARS: Final = 128
SCHEMA_STEPS_MAX: Final = 50_000  # of one comparison of a value with a JSON Schema
SCHEMA_PATH_MAX_CHARS: Final = 200
REASONING_DETAILS_MAX_BYTES: Final = 100_000  # of one answer, kept to be sent back
REASONING_DETAILS_MAX: Final = 100  # of one message that a caller sends
READINGS_MAX_BYTES: Final = 4_000_000  # of one answer, and of all that go back with a request
READING_PART_CHARS: Final = 900_000  # ASCII; a document ends at 1 MiB

PARTIAL_JSON_EVERY_S: Final = 0.25
PARTIAL_JSON_MAX_CHARS: Final = 100_000  # of an answer: a longer one is sent as text alone

# Embeddings
EMBED_INPUTS_MAX: Final = 256  # of one call: as floats, at 4,096 each, they are 22 MB
EMBED_INPUTS_MAX_CHARS: Final = 1_000_000  # together; each is at most PROMPT_MAX_CHARS
EMBED_BATCH_INPUTS: Final = 128  # of one request to OpenRouter
EMBED_BATCH_CHARS: Final = 500_000
DIMENSIONS_MAX: Final = 8_192
TOKEN_MAX_CHARS: Final = 8  # what no language's text has more of, by and large

# Files that go with a question
ATTACHMENTS_MAX: Final = 10  # of one question
ATTACHMENTS_SENT_MAX: Final = 20  # with those of earlier turns
ATTACHMENT_MAX_BYTES: Final = 20_000_000
ATTACHED_TEXT_MAX_BYTES: Final = 400_000  # of one file of text: some 100,000 tokens
ATTACHMENTS_MAX_BYTES: Final = 20_000_000  # of a request, with those of earlier turns
ATTACHMENTS_IN_FLIGHT_MAX_BYTES: Final = 40_000_000  # an instance
ATTACHMENT_COPIES: Final = 5  # of each in flight, one of them for every request that it goes with
INLINE_MAX_BYTES: Final = 8_000_000  # of a request, in its body
FILE_NAME_MAX_CHARS: Final = 200
ATTACHMENT_TOKENS: Final = 1_000  # of an image, by and large: for estimates
STORAGE_S: Final = 10.0  # one look at Cloud Storage, or one change
STORAGE_READ_S: Final = 30.0  # all files of a request
STORAGE_THREADS: Final = 8  # an instance
UPLOADS_PER_DAY: Final = 500  # of one user
UPLOAD_OPEN_DAYS: Final = 7  # that Cloud Storage keeps an address for an upload

# Images that a model makes
IMAGES_MAX: Final = 10  # of one answer
INLINE_IMAGE_MAX_BYTES: Final = 200_000  # of one that is stored and comes with the call as well
IMAGES_AT_ONCE: Final = 4  # an instance decodes and stores: each is held several times over

# Conversations
TITLE_MAX_CHARS: Final = 60
HISTORY_MAX_BYTES: Final = 256_000  # of earlier turns that a model is sent, some 64,000 tokens
BYTES_PER_TOKEN_AT_LEAST: Final = 3  # of UTF-8, for what has to fit; four of English by and large
HISTORY_PAGES_MAX: Final = 3  # that are read for it
CONTEXT_DEFAULT_TOKENS: Final = 8_192  # of a model that the catalog knows nothing of
ANSWER_DEFAULT_TOKENS: Final = 1_024  # kept free for an answer where the feature sets no maximum
SUMMARISE_FROM: Final = 0.75  # of the room for earlier turns: from then on, they are summarised
SUMMARY_MAX_CHARS: Final = 6_000
SUMMARY_MAX_TOKENS: Final = 1_500
SUMMARY_READS_MAX_BYTES: Final = 100_000  # of turns that no longer fit, for one summary
TITLE_MAX_TOKENS: Final = 200  # some models think aloud first
TITLE_READS_MAX_CHARS: Final = 2_000  # of the question, and of its answer
TITLE_AFTER_S: Final = 1.0  # of a first answer, so that there is something of it to read
ASIDE_S: Final = 20.0  # one question of ours for a title or a summary, tries included
ASIDE_WAIT_S: Final = 1.0  # that a result waits for one at its end
PAGE_MAX_BYTES: Final = (
    300_000  # of the transcript; concurrent turns may pass it, a document ends at 1 MiB
)
PAGE_ITEM_BYTES: Final = 300  # of a message on a page, beside its text
MESSAGE_PART_CHARS: Final = (
    100_000  # text and reasoning of one document, 400,000 bytes each at most
)
DELETE_BATCH: Final = 200  # documents
CONVERSATION_READ_S: Final = 30.0  # all of it

# A comparison
COMPARED_MODELS_MAX: Final = 6
JUDGE_READS_MAX_CHARS: Final = 60_000  # of the question and all answers

# A feature's settings
SYSTEM_PROMPT_MAX_CHARS: Final = 50_000
FALLBACK_MODELS_MAX: Final = 5
ALLOWED_MODELS_MAX: Final = 50
ANSWER_MAX_TOKENS: Final = 200_000
PARAMETERS_MAX_BYTES: Final = 20_000  # of one free JSON value
JSON_MAX_DEPTH: Final = 12  # of one free JSON value; a document ends at 20
JSON_NAME_MAX_CHARS: Final = 100  # of a field in it; a path of a document's ends at 1,500 bytes
SETTINGS_MAX_BYTES: Final = 240_000  # an audit entry holds them four times: with drafts, two pairs
DISPLAY_NAME_MAX_CHARS: Final = 80
STOPS_MAX: Final = 4
STOP_MAX_CHARS: Final = 200
TOOLS_MAX: Final = 8
PLUGINS_MAX: Final = 8
PROVIDERS_MAX: Final = 50
REQUESTS_PER_DAY_MAX: Final = 1_000_000
CACHE_MAX_S: Final = 30 * 86_400  # that an answer is kept for the same question
NOTE_MAX_CHARS: Final = 500  # of a revision
FEATURES_MAX: Final = 200
FINDINGS_MAX: Final = 50  # that one answer lists

# One call of OpenRouter
FIRST_TOKEN_DEFAULT_S: Final = 60.0
FIRST_TOKEN_MAX_S: Final = 240.0  # some models think in silence
IDLE_DEFAULT_S: Final = 30.0
IDLE_MAX_S: Final = 120.0
TOTAL_S: Final = 280.0  # inside a function timeout of 300 s

# Caches
SETTINGS_FRESH_S: Final = 4.0  # served without a look
SETTINGS_STALE_S: Final = 8.0  # served while a look is under way: a change takes effect within 10 s
KEY_FRESH_S: Final = 300.0
KEY_STALE_S: Final = 3600.0  # Secret Manager may be away that long

# The catalog of models: 421 of them were 0.7 MB of OpenRouter's JSON in 2026
CATALOG_FRESH_S: Final = 300.0  # in memory, before an instance looks for a newer list
CATALOG_KEPT_S: Final = 1800.0  # then served once more while it looks
CATALOG_OLD_S: Final = 26 * 3600.0  # a daily refresh is overdue: fetched anew, called stale
CATALOG_FETCH_S: Final = 20.0  # of all pages together
CATALOG_PAGES_MAX: Final = 10
CATALOG_MODELS_MAX: Final = 5_000
CATALOG_SHARD_MAX_BYTES: Final = 900_000  # a document ends at 1 MiB
MODEL_NAME_MAX_CHARS: Final = 128
MODEL_DESCRIPTION_MAX_CHARS: Final = 400
MODEL_WORDS_MAX: Final = 64  # of a model's parameters or modalities
MODEL_EXPIRES_SOON_DAYS: Final = 14
FLAGS_MAX: Final = 200  # of features whose models changed
MODELS_PER_PAGE: Final = 50
MODELS_PER_PAGE_MAX: Final = 200
SEARCH_MAX_CHARS: Final = 200
PAGE_TOKEN_MAX_CHARS: Final = 512

# Firestore
READ_S: Final = 5.0
ADMIT_S: Final = 8.0
SETTLE_BEFORE_RESULT_S: Final = 3.0  # after the response Cloud Run may stop the CPU
SETTLE_S: Final = 30.0
WRITE_PAUSE_S: Final = 0.5  # before an answer is written into its conversation once more
QUESTION_WAIT_S: Final = 1.0  # that an answer waits for its question to be written down
RESULT_MAX_BYTES: Final = 700_000  # of a stored result: a document ends at 1 MiB
WINDOW_TTL_DAYS: Final = 2

# The reconciler: every five minutes
RESCUE_S: Final = 3600.0  # after its admission; then an entry is closed without its answer
RECONCILE_S: Final = 60.0  # then it begins nothing more
RECONCILE_END_S: Final = 45.0  # for what it has begun; both, inside a function timeout of 120 s
RECONCILE_PAGE: Final = 100  # entries read at a time
RECONCILE_AT_ONCE: Final = 4  # looks at OpenRouter, and commits
COST_PAUSE_S: Final = 240.0  # before a cost that was not known is asked for again, and longer later
COST_SOUGHT_S: Final = 86_400.0  # after the answer's end; then the estimate stands

CHANGE_S: Final = 8.0  # an admin's change and its audit entry
CHANGE_TRIES: Final = 5  # of a change, while others change what is beside it

# Keys
KEY_WRITE_S: Final = 5.0  # one call that changes something in Secret Manager
KEYS_MAX: Final = 5  # the default ones, or a feature's own
KEY_BENCHED_S: Final = 60.0  # after OpenRouter refused it, others of its slot go first
KEY_MIN_CHARS: Final = 8
KEY_MAX_CHARS: Final = 512
KEY_LIMIT_LOW_USD: Final = 1.0  # less than that left is worth a warning
KEY_EXPIRES_SOON_DAYS: Final = 7

# What one user may do, until config/app says otherwise
REQUESTS_PER_MINUTE: Final = 20
REQUESTS_PER_MINUTE_MAX: Final = 10_000
CONCURRENT: Final = 6  # a comparison of six models
CONCURRENT_MAX: Final = 1_000
USD_PER_DAY: Final = 1.0
USD_PER_DAY_MAX: Final = 10_000.0
RESERVE_USD: Final = 0.02  # held for one paid generation while it runs
RESERVE_MAX_USD: Final = 100.0
