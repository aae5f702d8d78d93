"""Files as apps send them: the first bytes of each kind, and how they go in a request."""

import base64
from typing import Any, Final

PNG: Final = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4 + b"\r\r\n\n"
PDF: Final = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n"
WAV: Final = b"RIFF\x24\x00\x00\x00WAVEfmt "
MP4: Final = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00"


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


def data_url(type_: str, content: bytes) -> str:
    return f"data:{type_};base64,{base64_of(content)}"


def inline(content: bytes = PNG, type_: str = "image/png", **more: Any) -> dict[str, Any]:
    """Return an attachment that is part of the request."""
    return {"data": base64_of(content), "contentType": type_, **more}


def image_part(content: bytes = PNG, type_: str = "image/png") -> dict[str, Any]:
    """Return the part of a message in which OpenRouter gets an image."""
    return {"type": "image_url", "image_url": {"url": data_url(type_, content)}}
