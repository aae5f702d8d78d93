"""Files on their way to a model, and images on their way from one."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .annotations import AnnotationPieces, split_annotations, stored_annotations_of
    from .attachments import Attachments
    from .file import File, files_of, folder_of
    from .file_plan import FilePlan, FileRef
    from .image_store import ImageStore
    from .images import (
        GeneratedImage,
        GeneratedImages,
        image_documents,
        image_files,
        without_image_data,
    )
    from .limits import BYTES_PER_TOKEN_MIN, FILE_TOKENS, FileLimits
    from .placeholders import FetchedFiles, HistoryMessage
    from .storage import FileStorage
    from .upload_quota import UploadQuota
else:
    __getattr__ = lazily(
        __name__,
        {
            "annotations": (
                "AnnotationPieces",
                "split_annotations",
                "stored_annotations_of",
            ),
            "attachments": ("Attachments",),
            "file": (
                "File",
                "files_of",
                "folder_of",
            ),
            "file_plan": (
                "FilePlan",
                "FileRef",
            ),
            "image_store": ("ImageStore",),
            "images": (
                "GeneratedImage",
                "GeneratedImages",
                "image_documents",
                "image_files",
                "without_image_data",
            ),
            "limits": (
                "BYTES_PER_TOKEN_MIN",
                "FILE_TOKENS",
                "FileLimits",
            ),
            "placeholders": (
                "FetchedFiles",
                "HistoryMessage",
            ),
            "storage": ("FileStorage",),
            "upload_quota": ("UploadQuota",),
        },
    )

__all__ = (
    "BYTES_PER_TOKEN_MIN",
    "FILE_TOKENS",
    "AnnotationPieces",
    "Attachments",
    "FetchedFiles",
    "File",
    "FileLimits",
    "FilePlan",
    "FileRef",
    "FileStorage",
    "GeneratedImage",
    "GeneratedImages",
    "HistoryMessage",
    "ImageStore",
    "UploadQuota",
    "files_of",
    "folder_of",
    "image_documents",
    "image_files",
    "split_annotations",
    "stored_annotations_of",
    "without_image_data",
)
