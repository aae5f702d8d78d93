"""Files on their way to a model, and images on their way from one."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from . import images
    from .annotation_store import Reading, reading_of
    from .attachments import Attached, Attachments
    from .file import File, files_of, length
    from .image_store import ImageStore
    from .images import GeneratedImages, Image, documents_of, kept
    from .storage import FileStorage
    from .upload_quota import UploadQuota

__all__ = (
    "Attached",
    "Attachments",
    "File",
    "FileStorage",
    "GeneratedImages",
    "Image",
    "ImageStore",
    "Reading",
    "UploadQuota",
    "documents_of",
    "files_of",
    "images",
    "kept",
    "length",
    "reading_of",
)
__getattr__ = lazily(
    __name__,
    {
        "annotation_store": (
            "Reading",
            "reading_of",
        ),
        "attachments": (
            "Attached",
            "Attachments",
        ),
        "file": (
            "File",
            "files_of",
            "length",
        ),
        "image_store": ("ImageStore",),
        "images": (
            "GeneratedImages",
            "Image",
            "documents_of",
            "kept",
        ),
        "storage": ("FileStorage",),
        "upload_quota": ("UploadQuota",),
    },
)
