"""Images on their way from a model to Cloud Storage and to the caller.

    add      one image: stored for a week, or sent with its bytes, or both
    fetch    the images of a cached answer, to be added to another answer
    keep     images belong to a conversation from then on, until it is deleted
    drop     images are deleted

The bucket's lifecycle rule for unused uploads also deletes stored images that belong to no
conversation. So if an instance is killed at any point, no unreferenced image stays forever. If
Cloud Storage is unavailable, the caller still gets the answer, with the image's bytes and a
notice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

from .. import log
from ..callable import CallableError
from ..contract import decode_base64, encode_base64
from ..errors import ImageUnreadable
from .file import File, image_path
from .images import GeneratedImage, GeneratedImages
from .limits import FileLimits
from .storage import FileStorage


class ImageStore:
    """Stores images that models generate. One per instance."""

    def __init__(self, storage: FileStorage, *, limits: FileLimits) -> None:
        self._storage = storage
        self._limits = limits
        self._at_once = asyncio.Semaphore(limits.images_at_once)  # each takes several copies
        self._large = asyncio.Semaphore(1)

    async def add_received(
        self, received: Mapping[str, str], images: GeneratedImages, uid: str, id_: str
    ) -> GeneratedImage:
        """Add an image as OpenRouter sent it.

        Args:
            received: Its `contentType`, and its `data` in base64.
            images: The generation's images, to which it is added.
            uid: The user's id.
            id_: The generation's id.

        Raises:
            ImageUnreadable: `data` is not base64.
        """
        is_large = len(received["data"]) * 3 // 4 > self._limits.large_image_bytes
        async with self._large if is_large else nullcontext(), self._at_once:
            content = await asyncio.to_thread(decode_base64, received["data"])
            if content is None:
                raise ImageUnreadable
            file = File("", received["contentType"], len(content), None, content)
            return await self.add(file, images, uid, id_)

    async def add(self, file: File, images: GeneratedImages, uid: str, id_: str) -> GeneratedImage:
        """Add an image by its bytes; its path is chosen here. See `add_received`."""
        index, path, data = len(images.images), None, None
        if images.stores:
            path = await self._stored(file, image_path(uid, id_, index, file.content_type))
            images.storage_failed = images.storage_failed or path is None
        small = images.inlines and file.size <= self._limits.inline_image_max_bytes
        if small or path is None:
            data = await asyncio.to_thread(encode_base64, file.content)
        image = GeneratedImage(index, file.content_type, file.size, path, data)
        images.images.append(image)
        return image

    async def _stored(self, file: File, path: str) -> str | None:
        """Store an image, and return its path; None if it could not be stored."""
        stored = File(path, file.content_type, file.size, None, file.content)
        try:
            await self._storage.put(stored)
        except CallableError as error:
            log.error("image_not_kept", reason=error.reason)
            return None
        return path

    async def fetch(self, files: Sequence[File]) -> list[File] | None:
        """Return stored images with their bytes, or None if one of them is unavailable."""
        try:
            fetched = await asyncio.gather(*map(self._storage.fetch, files))
        except CallableError as error:
            log.warning("kept_images_unavailable", reason=error.reason)
            return None
        found = [file for file in fetched if file is not None]
        return found if len(found) == len(files) else None

    async def keep(self, images: GeneratedImages) -> None:
        """Keep images until their conversation is deleted. This never delays a caller for long."""
        try:
            async with asyncio.timeout(self._limits.keep_images_s):
                await asyncio.gather(*map(self._storage.keep, images.files))
        except (CallableError, TimeoutError) as error:
            log.error("image_kept_for_a_week", type=type(error).__name__)

    async def drop(self, images: GeneratedImages) -> None:
        """Delete images, and remove them from the answer."""
        paths, images.images = [file.path for file in images.files], []
        try:
            await self._storage.delete(paths)
        except CallableError as error:
            log.warning("image_not_dropped", reason=error.reason)  # deleted within a week anyway
