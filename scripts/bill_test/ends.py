"""The ways in which a generation ends, how often each is drawn, and the features that they need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

Json = dict[str, Any]
Range = tuple[float, float]  # seconds

COMPARE: Final = "execute_multi_model_prompt"
EMBED: Final = "create_embeddings"
AGAIN: Final = "sent again"
SUMMARY_CHARS: Final = 7_000  # a few such questions fill three quarters of 8,192 tokens
SHORT_S: Final = {"firstTokenS": 1, "idleS": 1, "totalS": 60}
# Puts the call's mark into the items of the bill
SYSTEM: Final = {"systemPrompt": "For {{call}}, as an assistant:"}
HIGH: Final = {"usdPerDay": 10_000, "usdPerMonth": 100_000}  # so that the feature has counters


@dataclass(frozen=True, slots=True)
class End:
    """A way to end.

    Attributes:
        name: Its name in the counts.
        weight: How often it is drawn.
        models: One of them is called.
        feature: The feature that is called.
        callable: The callable.
        stop_s: When another device stops it, in seconds after its beginning.
        leave_s: When its client leaves, likewise.
        talks: The conversation that it belongs to, if any: `new`, or one of an earlier call.
        repeats: Whether an earlier call is sent again.
        more: Other data of the request.
    """

    name: str
    weight: int
    models: tuple[str, ...] = ("sim/paid",)
    feature: str = "bill"
    callable: str = "execute_prompt"
    stop_s: Range | None = None
    leave_s: Range | None = None
    talks: str | None = None
    repeats: bool = False
    more: Mapping[str, Any] | None = None


ENDS: Final = (
    End("finished", 16),
    End("finished, free", 6, ("sim/fast", "z-ai/glm-4.5-air:free")),
    End("stopped before headers", 4, ("sim/paid-slow-headers",), stop_s=(0.0, 0.4)),
    End("stopped before headers, silent", 1, ("sim/paid-silent",), stop_s=(0.1, 0.8)),
    End("stopped in the text", 6, ("sim/paid-ticks", "sim/paid-stall"), stop_s=(0.3, 1.5)),
    End("stopped before usage", 4, ("sim/paid-late-usage",), stop_s=(0.4, 1.2)),
    End("stopped at any moment", 5, ("sim/paid", "sim/byok"), stop_s=(0.0, 1.0)),
    End("client left", 4, ("sim/paid", "sim/paid-ticks"), leave_s=(0.1, 1.2)),
    End("cut", 4, ("sim/paid-cut-mid-stream", "sim/reset-mid-stream", "sim/no-finish")),
    End("silent", 3, ("sim/paid-silent-after-headers", "sim/paid-stall")),
    End("silent before headers", 1, ("sim/paid-silent",)),
    End("empty", 3, ("sim/paid-empty", "sim/paid-hidden")),
    End("refused by the model", 2, ("sim/paid-refusal",)),
    End("refused by OpenRouter", 3, ("sim/503", "sim/400", "sim/reset", "sim/error-in-200")),
    End("failed but charged", 2, ("sim/paid-error",)),
    End("own key (BYOK)", 4, ("sim/byok",)),
    End("retried", 4, ("sim/flaky-2", "sim/paid-error-once")),
    End("fallen back", 3, ("sim/paid-empty",), "bill_fallback"),
    End("cached", 5, feature="bill_cached"),
    End("titled", 4, feature="bill_talks", talks="new"),
    End("summarized", 4, ("sim/8k",), "bill_talks", talks="earlier"),
    End(
        "compared",
        2,
        feature="bill_compared",
        callable=COMPARE,
        more={"models": ["sim/paid", "sim/byok", "sim/paid-cut-mid-stream"]},
    ),
    End(
        "compared, stopped",
        1,
        feature="bill_compared",
        callable=COMPARE,
        stop_s=(0.2, 1.2),
        more={"models": ["sim/paid-ticks", "sim/paid"]},
    ),
    End(
        "compared and judged",
        1,
        feature="bill_compared",
        callable=COMPARE,
        more={"models": ["sim/paid", "sim/fast"], "judge": {"model": "sim/paid"}},
    ),
    End("vectors", 4, ("sim/vectors-paid",), "bill_vectors", EMBED),
    End(
        "vectors, stopped",
        1,
        ("sim/vectors-paid-silent",),
        "bill_vectors",
        EMBED,
        stop_s=(0.1, 0.8),
    ),
    End("implausible cost", 2, ("sim/paid-misreported", "sim/free-billed")),
    End(
        "malformed usage",
        3,
        ("sim/paid-negative", "sim/paid-strings", "sim/paid-nan", "sim/paid-huge"),
    ),
    End("no usage", 2, ("sim/paid-no-usage",)),
    End("queued", 4, feature="bill_queued"),
    End("queued, stopped", 2, ("sim/paid-ticks",), "bill_queued", stop_s=(0.1, 1.5)),
    End("over a budget", 3, feature="bill_capped"),
    End("images", 2, ("sim/images", "sim/images-cut"), "bill_images"),
    End("repaired", 2, ("sim/paid-bad-json",), "bill_repaired"),
    End(AGAIN, 3, repeats=True),
)


def features() -> dict[str, Json]:
    """Return the settings of every feature that the ends need."""
    chat = {**SHORT_S, **SYSTEM, "model": "sim/paid", "titles": "beginning"}
    models = sorted({model for end in ENDS if end.feature == "bill" for model in end.models})
    compared = ["sim/byok", "sim/fast", "sim/paid-cut-mid-stream", "sim/paid-ticks"]
    answer = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    return {
        "bill": {**chat, "allowedModels": models, "limits": HIGH},
        "bill_fallback": {**chat, "model": "sim/paid-empty", "fallbackModels": ["sim/paid"]},
        "bill_cached": {**SHORT_S, "model": "sim/paid", "cacheSeconds": 3_600},
        "bill_talks": {
            **chat,
            "allowedModels": ["sim/8k"],
            "helperModel": "sim/paid",
            "titles": "model",
            "history": "summarised",
            "maxTokens": 500,
        },
        "bill_compared": {**chat, "allowedModels": compared},
        "bill_vectors": {
            **SHORT_S,
            "kind": "embedding",
            "model": "sim/vectors-paid",
            "allowedModels": ["sim/vectors-paid-silent"],
        },
        "bill_queued": {
            **chat,
            "allowedModels": ["sim/paid-ticks"],
            "onDisconnect": "continue",
        },
        "bill_capped": {**chat, "limits": {"usdPerDay": 0.3, "requestsPerMinute": 4}},
        "bill_images": {
            **SHORT_S,
            "kind": "image",
            "imageApi": "images",
            "model": "sim/images",
            "allowedModels": ["sim/images-cut"],
        },
        "bill_repaired": {
            **chat,
            "model": "sim/paid-bad-json",
            "repairJson": True,
            "responseFormat": {"type": "json_schema", "name": "n", "schema": answer},
        },
    }
