"""Files that go with a prompt: what each kind begins with, whose a path is, the part it becomes."""

import base64
import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter import limits
from firerouter.contract import media
from firerouter.contract.attachments import CreateUpload
from firerouter.contract.base import parse
from firerouter.contract.media import KINDS, ContentType, decode_base64
from firerouter.contract.messages import AudioPart, DocumentPart, ImagePart, TextPart, VideoPart
from firerouter.contract.prompts import ExecutePrompt
from firerouter.errors import InvalidArgument
from firerouter.files import file as files
from firerouter.files.file import File, files_of, is_own
from firerouter.files.limits import FileLimits
from tests.support.repository import ROOT

PATH = "users/ann/uploads/" + "0" * 32
BEGINNINGS = {
    "image/png": b"\x89PNG\r\n\x1a\n\0",
    "image/jpeg": b"\xff\xd8\xff\xe0\0",
    "image/webp": b"RIFF\x10\0\0\0WEBPVP8 ",
    "image/gif": b"GIF89a\x01\0",
    "application/pdf": b"%PDF-1.7\n\xe2\xe3",
    "text/plain": "Grüße".encode(),
    "text/csv": b"a;b\n",
    "text/markdown": b"# A",
    "application/json": b"{}",
    "audio/wav": b"RIFF\x10\0\0\0WAVEfmt ",
    "audio/mpeg": b"ID3\x04\0",
    "audio/flac": b"fLaC\0",
    "audio/ogg": b"OggS\0",
    "audio/mp4": b"\0\0\0\x20ftypM4A \0",
    "video/mp4": b"\0\0\0\x20ftypisom\0",
    "video/quicktime": b"\0\0\0\x14ftypqt  \0",
    "video/webm": b"\x1a\x45\xdf\xa3\0",
}
TEXT = {"text/plain", "text/csv", "text/markdown", "application/json"}


def test_every_type_that_may_be_sent_is_known() -> None:
    assert set(get_args(ContentType)) == KINDS.keys() == BEGINNINGS.keys()


@pytest.mark.parametrize("declared", KINDS)
@pytest.mark.parametrize("real", BEGINNINGS)
def test_a_file_is_what_its_first_bytes_say(declared: str, real: str) -> None:
    file = File(PATH, declared, 1, content=BEGINNINGS[real])
    same = declared == real or (declared in TEXT and real in TEXT)
    # sound alone may come in a container whose brand is a video's
    same = same or (declared, real) == ("audio/mp4", "video/mp4")
    assert file.matches_type() == same


@pytest.mark.parametrize("content", [b"", b"\0", b"GIF", b"RIFF", b"\xff", b"\xff\xfb\x90"])
def test_what_is_short_or_odd_is_no_image(content: bytes) -> None:
    for type_ in KINDS:
        if type_.startswith(("image/", "application/pdf", "video/")):
            assert not File(PATH, type_, 1, content=content).matches_type()


def test_an_mp3_may_begin_with_its_first_frame() -> None:
    assert File(PATH, "audio/mpeg", 3, content=b"\xff\xfb\x90").matches_type()


@given(st.binary(max_size=2_000), st.integers(1, 700))
def test_what_a_model_is_sent_is_the_file(content: bytes, pieces: int) -> None:
    part = File(PATH, "image/png", 1, content=content).to_part()
    assert isinstance(part, ImagePart)
    head, _, data = part.url.partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(data, validate=True) == content
    assert decode_base64(data) == content
    assert media.encode_base64(content, piece_bytes=3 * pieces) == data


@pytest.mark.parametrize(
    ("size", "type_", "lacks"),
    [
        (1, "image/png", False),
        (limits.ATTACHMENT_MAX_BYTES, "image/png", False),
        (limits.ATTACHMENT_MAX_BYTES + 1, "image/png", True),
        (limits.ATTACHED_TEXT_MAX_BYTES, "text/csv", False),
        (limits.ATTACHED_TEXT_MAX_BYTES + 1, "text/csv", True),
        (0, "image/png", True),
        (1, "image/svg+xml", True),
        (1, "text/html", True),
        (1, "", True),
    ],
)
def test_a_file_has_bounds(size: int, type_: str, lacks: bool) -> None:
    assert bool(File(PATH, type_, size).rejection_reason(FileLimits())) == lacks


@pytest.mark.parametrize(
    ("uid", "path", "own"),
    [
        ("ann", PATH, True),
        ("ann", PATH + "-0", True),
        ("ann", PATH + "-12", True),
        ("bob", PATH, False),
        ("an", PATH, False),
        ("a.n", PATH, False),
        ("ann", PATH + "/../x", False),
        ("ann", PATH + "\n", False),
        ("ann", "users/ann/uploads/../../bob/uploads/" + "0" * 32, False),
        ("ann/uploads", "users/ann/uploads/uploads/" + "0" * 32, False),
        ("ann/b", "users/ann%2Fb/uploads/" + "0" * 32, True),
    ],
)
def test_a_path_is_of_one_user(uid: str, path: str, own: bool) -> None:
    assert is_own(uid, path) == own
    kept = {"path": path, "contentType": "image/png", "bytes": 3}
    assert bool(files_of(uid, [kept])) == own


def test_new_paths_are_the_users_own_and_never_the_same() -> None:
    paths = {files.new_path("a/b") for _ in range(50)}
    assert len(paths) == 50
    assert all(is_own("a/b", path) for path in paths)
    assert is_own("a/b", files.inline_path("a/b", "f" * 32, 9))


@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda c: (
            st.lists(c)
            | st.dictionaries(st.sampled_from(["path", "contentType", "bytes", "name"]), c)
        ),
    )
)
def test_whatever_a_message_holds_is_read(documents: Any) -> None:
    assert isinstance(files_of("ann", documents), list)


def test_a_message_keeps_what_is_needed_to_send_it_again() -> None:
    file = File(PATH, "image/png", 3, "a.png")
    assert files_of("ann", [file.to_document()]) == [file]
    assert "content" not in str(file.to_document()).replace("contentType", "")


@pytest.mark.parametrize("type_", KINDS)
def test_each_kind_has_its_part_and_no_repr_shows_its_bytes(type_: str) -> None:
    part = File(PATH, type_, 1, "a.x", BEGINNINGS[type_]).to_part()
    encoded = base64.b64encode(BEGINNINGS[type_]).decode()
    url = f"data:{type_};base64,{encoded}"
    if type_ in TEXT:
        assert part == TextPart(f"a.x:\n\n{BEGINNINGS[type_].decode()}")
        return
    formats = {"audio/mpeg": "mp3", "audio/mp4": "m4a"}
    assert (
        part
        == {
            "image": ImagePart(url),
            "audio": AudioPart(encoded, formats.get(type_, type_.partition("/")[2])),
            "video": VideoPart(url),
            "application": DocumentPart("a.x", url),
        }[type_.partition("/")[0]]
    )
    assert encoded not in repr(part)


def test_a_file_without_a_name_is_called_by_its_path() -> None:
    part = File(PATH, "text/plain", 1, content=b"x").to_part()
    assert part == TextPart(f"{'0' * 32}:\n\nx")


def test_an_attachment_is_decoded_once() -> None:
    data = {"data": base64.b64encode(b"x" * 100).decode(), "contentType": "text/plain"}
    request = parse(ExecutePrompt, {"feature": "a", "prompt": "b", "attachments": [data]})
    (attachment,) = request.model_copy(update={"model": "c/d"}).attachments
    assert attachment.content is request.attachments[0].content
    assert attachment.content == b"x" * 100
    assert data["data"] not in repr(attachment)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"contentType": "image/png"}, "bytes"),
        ({"contentType": "image/png", "bytes": 0}, "bytes"),
        ({"contentType": "image/png", "bytes": 1.5}, "bytes"),
        ({"contentType": "image/png", "bytes": 50_000_000}, "bytes"),
        ({"contentType": "image/png", "bytes": 1, "size": 1}, "size"),
        ({"contentType": "image/tiff", "bytes": 1}, "contentType"),
        ({"contentType": "image/png", "bytes": 1, "name": "a/b"}, "name"),
        ({"contentType": "image/png", "bytes": 1, "name": "a\nb"}, "name"),
        ({"contentType": "image/png", "bytes": 1, "name": " "}, "name"),
        ({"contentType": "image/png", "bytes": 1, "name": "a" * 201}, "name"),
    ],
)
def test_what_is_wrong_with_an_upload_is_named(data: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse(CreateUpload, data)
    assert refused.value.details["field"] == field


def test_files_are_for_a_prompt() -> None:
    file = {"path": PATH}
    assert parse(ExecutePrompt, {"feature": "a", "prompt": "b", "attachments": [file]}).attachments
    for asked in (
        {"messages": [{"role": "user", "content": "x"}]},
        {"conversationId": "c1", "regenerate": "a1"},
    ):
        with pytest.raises(InvalidArgument, match="are only allowed with prompt"):
            parse(ExecutePrompt, {"feature": "a", **asked, "attachments": [file]})


def test_the_rules_of_the_bucket_let_owners_read_and_nobody_write() -> None:
    """There is no emulator of them here: so they say one thing."""
    config = json.loads((ROOT / "firebase.json").read_text())
    rules = (ROOT / config["storage"]["rules"]).read_text()
    assert re.findall(r"^\s*match (\S+)", rules, re.MULTILINE) == [
        "/b/{bucket}/o",
        "/users/{uid}/uploads/{file}",
        "/users/{uid}/images/{file}",
    ]
    own = "allow get: if request.auth != null && request.auth.uid == uid;"
    assert re.findall(r"allow .*", rules) == [own, own]
    (functions,) = config["functions"]
    assert Path(config["storage"]["rules"]).name in functions["ignore"]
