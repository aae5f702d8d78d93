"""Conversations: a tree of messages in Firestore that clients read live."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .callables import ConversationCallables
    from .conversation_export import ExportReader, join_messages, visible
    from .deletion import ConversationDeletion
    from .limits import ConversationLimits
    from .store import ConversationStore
    from .text_eraser import TextEraser
    from .tree import Question, Summary, Thread, ThreadPlace, Turn, title_of
    from .writer import ThreadWriter
else:
    __getattr__ = lazily(
        __name__,
        {
            "callables": ("ConversationCallables",),
            "conversation_export": (
                "ExportReader",
                "join_messages",
                "visible",
            ),
            "deletion": ("ConversationDeletion",),
            "limits": ("ConversationLimits",),
            "store": ("ConversationStore",),
            "text_eraser": ("TextEraser",),
            "tree": (
                "Question",
                "Summary",
                "Thread",
                "ThreadPlace",
                "Turn",
                "title_of",
            ),
            "writer": ("ThreadWriter",),
        },
    )

__all__ = (
    "ConversationCallables",
    "ConversationDeletion",
    "ConversationLimits",
    "ConversationStore",
    "ExportReader",
    "Question",
    "Summary",
    "TextEraser",
    "Thread",
    "ThreadPlace",
    "ThreadWriter",
    "Turn",
    "join_messages",
    "title_of",
    "visible",
)
