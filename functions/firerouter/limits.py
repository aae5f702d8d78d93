"""Bounds of what callers send and admins set, with the unit last in each name.

They are part of the wire (docs/reference). What a room does at run time is bounded in its own
`limits`.
"""

from __future__ import annotations

from typing import Final

# A request
PROMPT_MAX_CHARS: Final = 200_000  # prompt, context and messages together
MESSAGES_MAX: Final = 64
VARIABLES_MAX: Final = 32
VARIABLE_MAX_CHARS: Final = 20_000
NAME_MAX_CHARS: Final = 64  # feature and variable names
WHOLE_NUMBER_MAX: Final = 2**53 - 1  # what JavaScript counts exactly
SEED_MAX: Final = 2**31 - 1
MODEL_ID_MAX_CHARS: Final = 128
REQUEST_ID_MAX_CHARS: Final = 128
ID_MAX_CHARS: Final = 64  # of conversations and messages; ours have 33

# Tools that the app runs
CALLER_TOOLS_MAX: Final = 64
TOOLS_MAX_BYTES: Final = 50_000  # of all their declarations
TOOL_DESCRIPTION_MAX_CHARS: Final = 4_000
TOOL_CALLS_MAX: Final = 128  # of one answer
TOOL_ARGUMENTS_MAX_CHARS: Final = 100_000  # of all calls of one answer
TOOL_CALL_ID_MAX_CHARS: Final = 128
SCHEMA_STEPS_MAX: Final = 50_000  # of validating one value against a JSON Schema
SCHEMA_PATH_MAX_CHARS: Final = 200
REASONING_DETAILS_MAX_BYTES: Final = 100_000  # of one answer, stored to be sent back
REASONING_DETAILS_MAX: Final = 100  # of one message that a caller sends
READINGS_MAX_BYTES: Final = 4_000_000  # of one answer, and of all that one request sends back

# Embeddings
EMBED_INPUTS_MAX: Final = 256  # of one call: vectors of 4,096 floats come to 22 MB
EMBED_INPUTS_MAX_CHARS: Final = 1_000_000  # together; each is at most PROMPT_MAX_CHARS
DIMENSIONS_MAX: Final = 8_192

# Files that go with a question
ATTACHMENTS_MAX: Final = 10  # of one question
ATTACHMENT_MAX_BYTES: Final = 20_000_000
ATTACHED_TEXT_MAX_BYTES: Final = 400_000  # of one file of text: some 100,000 tokens
ATTACHMENTS_MAX_BYTES: Final = 20_000_000  # of a request, with those of earlier turns
INLINE_MAX_BYTES: Final = 8_000_000  # of a request, in its body
FILE_NAME_MAX_CHARS: Final = 200

# Images that a model makes
IMAGES_MAX: Final = 10  # of one answer

# Conversations
TITLE_MAX_CHARS: Final = 60

# A comparison
COMPARED_MODELS_MAX: Final = 6

# A feature's settings
SYSTEM_PROMPT_MAX_CHARS: Final = 50_000
FALLBACK_MODELS_MAX: Final = 5
ALLOWED_MODELS_MAX: Final = 50
ANSWER_MAX_TOKENS: Final = 200_000
PARAMETERS_MAX_BYTES: Final = 20_000  # of one free-form JSON value
JSON_MAX_DEPTH: Final = 12  # of one free-form JSON value; Firestore allows 20 in a document
JSON_NAME_MAX_CHARS: Final = 100  # of a field in it; Firestore allows paths of 1,500 bytes
SETTINGS_MAX_BYTES: Final = 240_000  # an audit entry may hold four: two, and their drafts
REMOVED_MAX: Final = 100  # settings that one change unsets
DISPLAY_NAME_MAX_CHARS: Final = 80
STOPS_MAX: Final = 4
STOP_MAX_CHARS: Final = 200
TOOLS_MAX: Final = 8
PLUGINS_MAX: Final = 8
PROVIDERS_MAX: Final = 50
REQUESTS_PER_DAY_MAX: Final = 1_000_000
CACHE_MAX_S: Final = 30 * 86_400  # that an answer may be cached
NOTE_MAX_CHARS: Final = 500  # of a revision

# One call of OpenRouter
FIRST_TOKEN_DEFAULT_S: Final = 60.0
FIRST_TOKEN_MAX_S: Final = 240.0  # some models reason in silence
IDLE_DEFAULT_S: Final = 30.0
IDLE_MAX_S: Final = 120.0
TOTAL_S: Final = 280.0  # inside a function timeout of 300 s

MODELS_PER_PAGE: Final = 50
MODELS_PER_PAGE_MAX: Final = 200
SEARCH_MAX_CHARS: Final = 200
MODEL_IDS_MAX: Final = 100  # of one search
CAPABILITIES_MAX: Final = 20  # of one search
PAGE_TOKEN_MAX_CHARS: Final = 512

# A report on usage
REPORT_DAYS_MAX: Final = 366
REPORT_FILTER_MAX: Final = 30  # values of one filter
REPORT_FILTER_MAX_CHARS: Final = 128  # of one value: the longest uid
REPORT_TOP_USERS_MAX: Final = 50
REPORT_PAGE: Final = 100  # rows
REPORT_PAGE_MAX: Final = 1_000

# Keys
KEYS_MAX: Final = 5  # the default ones, or a feature's own
KEY_MIN_CHARS: Final = 8
KEY_MAX_CHARS: Final = 512

USERS_PER_PAGE: Final = 50
USERS_PER_PAGE_MAX: Final = 200
UID_MAX_CHARS: Final = 128

# What one user may do, until config/app says otherwise
REQUESTS_PER_MINUTE: Final = 20
REQUESTS_PER_MINUTE_MAX: Final = 10_000
CONCURRENT: Final = 6  # a comparison of six models
CONCURRENT_MAX: Final = 1_000
TOKENS_PER_DAY_MAX: Final = 10_000_000_000
USD_PER_DAY: Final = 1.0
USD_PER_DAY_MAX: Final = 10_000.0
USD_PER_MONTH: Final = 10.0
USD_PER_MONTH_MAX: Final = 100_000.0
RESERVE_USD: Final = 0.02  # held for what has no price: an answer, an image, a tool
RESERVE_MIN_USD: Final = 0.001  # above 0: what has no price is never taken for free
RESERVE_MAX_USD: Final = 100.0
TIERS_MAX: Final = 20

# What an anonymous user may do, whose next account costs nothing
ANONYMOUS_REQUESTS_PER_MINUTE: Final = 5
ANONYMOUS_REQUESTS_PER_DAY: Final = 20  # with titles, less than a free OpenRouter account has
ANONYMOUS_CONCURRENT: Final = 2
ANONYMOUS_USD_PER_DAY: Final = 0.1
ANONYMOUS_USD_PER_MONTH: Final = 1.0

# How long a ledger entry is kept: at least until its cost is final, which takes a day, and until
# the roll-ups have counted it, however long their schedule failed
ENTRY_DAYS: Final = 90
ENTRY_MIN_DAYS: Final = 7
ENTRY_MAX_DAYS: Final = 3_650

# What all users of the app together may spend
CEILING_USD_PER_DAY: Final = 20.0
CEILING_USD_PER_MONTH: Final = 200.0
