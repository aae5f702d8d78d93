"""The values of the wire: what callers send and get, read once at the edge."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from . import images, response_format, tools
    from .admin import (
        DropDraft,
        PromoteDraft,
        RefreshCatalog,
        RemoveKey,
        ResetFeature,
        RestoreFeature,
        SaveAppSettings,
        SaveFeatureSettings,
        SetKey,
        TestConnection,
        TestFeatureSettings,
    )
    from .attachments import OWN_PATH, Attachment, CreateUpload
    from .base import Record, faults, parse
    from .conversations import DeleteConversation, ExportConversation, UpdateConversation
    from .dispatch import Dispatch
    from .embeddings import CreateEmbeddings
    from .features import ListFeatures, SetPreferences
    from .fields import NANO_PER_USD, ModelId, Name, Number, is_name
    from .images import ImageOptions
    from .json_values import JsonObject
    from .media import KINDS, PDF, Kind, decode_base64, encode_base64
    from .messages import (
        AudioPart,
        DocumentPart,
        FilePlaceholder,
        ImagePart,
        Json,
        Message,
        Part,
        Role,
        StoredAnnotations,
        StoredReasoning,
        TextPart,
        ToolReply,
        ToolRequest,
        VideoPart,
    )
    from .models import Capability, GetAvailableModels
    from .prompts import (
        NEW,
        ROOT,
        CompareModels,
        ExecutePrompt,
        Judge,
        QueuedGeneration,
        ResumeGeneration,
        StopGeneration,
    )
    from .response_format import ResponseFormat, StoredFormat, restored
    from .tools import Tool, ToolResult, Turn

__all__ = (
    "KINDS",
    "NANO_PER_USD",
    "NEW",
    "OWN_PATH",
    "PDF",
    "ROOT",
    "Attachment",
    "AudioPart",
    "Capability",
    "CompareModels",
    "CreateEmbeddings",
    "CreateUpload",
    "DeleteConversation",
    "Dispatch",
    "DocumentPart",
    "DropDraft",
    "ExecutePrompt",
    "ExportConversation",
    "FilePlaceholder",
    "GetAvailableModels",
    "ImageOptions",
    "ImagePart",
    "Json",
    "JsonObject",
    "Judge",
    "Kind",
    "ListFeatures",
    "Message",
    "ModelId",
    "Name",
    "Number",
    "Part",
    "PromoteDraft",
    "QueuedGeneration",
    "Record",
    "RefreshCatalog",
    "RemoveKey",
    "ResetFeature",
    "ResponseFormat",
    "RestoreFeature",
    "ResumeGeneration",
    "Role",
    "SaveAppSettings",
    "SaveFeatureSettings",
    "SetKey",
    "SetPreferences",
    "StopGeneration",
    "StoredAnnotations",
    "StoredFormat",
    "StoredReasoning",
    "TestConnection",
    "TestFeatureSettings",
    "TextPart",
    "Tool",
    "ToolReply",
    "ToolRequest",
    "ToolResult",
    "Turn",
    "UpdateConversation",
    "VideoPart",
    "decode_base64",
    "encode_base64",
    "faults",
    "images",
    "is_name",
    "parse",
    "response_format",
    "restored",
    "tools",
)
__getattr__ = lazily(
    __name__,
    {
        "admin": (
            "DropDraft",
            "PromoteDraft",
            "RefreshCatalog",
            "RemoveKey",
            "ResetFeature",
            "RestoreFeature",
            "SaveAppSettings",
            "SaveFeatureSettings",
            "SetKey",
            "TestConnection",
            "TestFeatureSettings",
        ),
        "attachments": (
            "Attachment",
            "CreateUpload",
            "OWN_PATH",
        ),
        "base": (
            "Record",
            "faults",
            "parse",
        ),
        "conversations": (
            "DeleteConversation",
            "ExportConversation",
            "UpdateConversation",
        ),
        "dispatch": ("Dispatch",),
        "embeddings": ("CreateEmbeddings",),
        "features": (
            "ListFeatures",
            "SetPreferences",
        ),
        "fields": (
            "ModelId",
            "NANO_PER_USD",
            "Name",
            "Number",
            "is_name",
        ),
        "images": ("ImageOptions",),
        "json_values": ("JsonObject",),
        "media": (
            "KINDS",
            "Kind",
            "PDF",
            "decode_base64",
            "encode_base64",
        ),
        "messages": (
            "AudioPart",
            "DocumentPart",
            "FilePlaceholder",
            "ImagePart",
            "Json",
            "Message",
            "Part",
            "Role",
            "StoredAnnotations",
            "StoredReasoning",
            "TextPart",
            "ToolReply",
            "ToolRequest",
            "VideoPart",
        ),
        "models": (
            "Capability",
            "GetAvailableModels",
        ),
        "prompts": (
            "CompareModels",
            "ExecutePrompt",
            "Judge",
            "NEW",
            "QueuedGeneration",
            "ROOT",
            "ResumeGeneration",
            "StopGeneration",
        ),
        "response_format": (
            "ResponseFormat",
            "StoredFormat",
            "restored",
        ),
        "tools": (
            "Tool",
            "ToolResult",
            "Turn",
        ),
    },
)
