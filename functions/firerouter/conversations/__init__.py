"""Conversations: a tree of messages in Firestore that clients read live."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .callables import ConversationCallables
    from .deletion import ConversationDeletion
    from .store import ConversationStore
    from .tree import Summary, Thread, title_of

__all__ = (
    "ConversationCallables",
    "ConversationDeletion",
    "ConversationStore",
    "Summary",
    "Thread",
    "title_of",
)
__getattr__ = lazily(
    __name__,
    {
        "callables": ("ConversationCallables",),
        "deletion": ("ConversationDeletion",),
        "store": ("ConversationStore",),
        "tree": (
            "Summary",
            "Thread",
            "title_of",
        ),
    },
)
