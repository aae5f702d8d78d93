"""Images that a model made, as callers and documents hold them."""

from firerouter.files.file import File, image_path, is_inline, is_own
from firerouter.files.images import (
    GeneratedImage,
    GeneratedImages,
    image_documents,
    image_files,
    without_image_data,
)

STORED = GeneratedImage(0, "image/png", 4, path="p", data="AAAA")
LOST = GeneratedImage(1, "image/png", 4, data="AAAA")


def test_a_caller_gets_a_path_or_the_bytes_or_both() -> None:
    assert STORED.to_wire() == {
        "index": 0,
        "contentType": "image/png",
        "bytes": 4,
        "path": "p",
        "data": "AAAA",
    }
    assert "path" not in LOST.to_wire()
    assert "data" not in GeneratedImage(0, "image/png", 4, path="p").to_wire()
    assert "AAAA" not in repr(STORED)


def test_only_stored_images_are_files() -> None:
    assert GeneratedImages(images=[STORED, LOST]).files == [File("p", "image/png", 4)]


def test_no_document_has_an_images_bytes() -> None:
    stored, lost = STORED.to_wire(), LOST.to_wire()
    result: dict[str, object] = {"text": "", "images": [stored, lost]}
    told = {"index": 0, "contentType": "image/png", "bytes": 4, "path": "p"}
    assert without_image_data(result) == {"text": "", "images": [told]}
    assert without_image_data({"text": "", "images": [lost]}) == {"text": ""}
    assert image_documents(result) == [{"path": "p", "contentType": "image/png", "bytes": 4}]
    assert image_documents({"text": ""}) == []
    assert image_files(result) == [File("p", "image/png", 4)]


def test_an_image_is_its_owners_and_was_no_upload() -> None:
    path = image_path("ann", "a" * 32, 3, "image/jpeg")
    assert path == f"users/ann/images/{'a' * 32}-3.jpeg"
    assert (is_own("ann", path), is_own("bob", path), is_inline(path)) == (True, False, False)
    assert not is_own("ann", path.replace("images", "private"))
    assert not is_own("ann", f"users/ann/images/../uploads/{'a' * 32}")
