"""Images on their way from a model to Cloud Storage and to the caller.

    add       one image: stored for a week, or told with its bytes, or both
    again     those of an answer that was kept, to be added to another one
    keep      they belong to a conversation now, until it is deleted
    drop

An image that is stored and then kept by nothing is deleted by the rule of the bucket's that deletes
unused uploads: so whatever kills an instance in between, no image stays that nobody knows of.
Storage that is away costs no answer: the image goes to the caller with its bytes, and a notice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from .. import limits, log
from ..callable import CallableError
from ..contract import decoded, encoded
from ..errors import ImageUnreadable
from .file import File, image_path
from .images import GeneratedImages, Image
from .storage import FileStorage


class ImageStore:
    """Stores them. Make one an instance."""

    def __init__(self, uploads: FileStorage) -> None:
        self._uploads = uploads
        self._at_once = asyncio.Semaphore(limits.IMAGES_AT_ONCE)  # each is held several times over

    async def drawn(
        self, picture: Mapping[str, Any], drawn: GeneratedImages, uid: str, id_: str
    ) -> Image:
        """Add an image as an answer has it. Raises ImageUnreadable."""
        async with self._at_once:
            content = await asyncio.to_thread(decoded, picture["data"])
            if content is None:
                raise ImageUnreadable
            return await self.add(
                File("", picture["contentType"], len(content), None, content), drawn, uid, id_
            )

    async def add(self, file: File, drawn: GeneratedImages, uid: str, id_: str) -> Image:
        """As it is told. id_: of the generation that it belongs to."""
        number = len(drawn.all)
        path = image_path(uid, id_, number, file.content_type)
        image: Image = {"index": number, "contentType": file.content_type, "bytes": file.size}
        if drawn.stored:
            try:
                await self._uploads.put(
                    File(path, file.content_type, file.size, None, file.content)
                )
                image["path"] = path
            except CallableError as error:
                log.error("image_not_kept", reason=error.reason)
                drawn.unkept = True
        small = drawn.inline and file.size <= limits.INLINE_IMAGE_MAX_BYTES
        if small or "path" not in image:
            image["data"] = await asyncio.to_thread(encoded, file.content)
        drawn.all.append(image)
        return image

    async def again(self, images: list[Image]) -> list[File] | None:
        """Their bytes; None where one is not to be had any more."""
        try:
            files = await asyncio.gather(
                *(
                    self._uploads.fetch(File(image["path"], image["contentType"], image["bytes"]))
                    for image in images
                )
            )
        except CallableError as error:
            log.warning("kept_images_unavailable", reason=error.reason)
            return None
        found = [file for file in files if file is not None]
        return found if len(found) == len(files) else None

    async def keep(self, drawn: GeneratedImages) -> None:
        """Until their conversation is deleted. No caller waits long for it."""
        files = [File(i["path"], i["contentType"], i["bytes"]) for i in drawn.all if "path" in i]
        try:
            async with asyncio.timeout(limits.SETTLE_BEFORE_RESULT_S):
                await asyncio.gather(*map(self._uploads.keep, files))
        except (CallableError, TimeoutError) as error:
            log.error("image_kept_for_a_week", type=type(error).__name__)

    async def drop(self, drawn: GeneratedImages) -> None:
        """As if there had been none."""
        paths, drawn.all = drawn.paths, []
        try:
            await self._uploads.delete(paths)
        except CallableError as error:
            log.warning("image_not_dropped", reason=error.reason)  # it goes within a week
