"""Earlier messages and their files: what goes along, and what fills the placeholders."""

from firerouter.contract.messages import (
    FilePlaceholder,
    ImagePart,
    Message,
    StoredAnnotations,
    TextPart,
)
from firerouter.files.file import File
from firerouter.files.placeholders import (
    IMAGE_ALONE,
    FetchedFiles,
    HistoryMessage,
    keep_annotations,
    move_images,
    with_placeholders,
)

ONE, TWO = (File(f"users/ann/images/{n}", "image/png", 3) for n in "12")
PHOTO = File("users/ann/uploads/3", "image/png", 3)
STORED = StoredAnnotations(("a1.0",), 100)


def user(text: str, *files: File) -> HistoryMessage:
    return HistoryMessage(Message("user", text), attachments=files)


def answer(text: str, *images: File, stored: StoredAnnotations | None = None) -> HistoryMessage:
    return HistoryMessage(Message("assistant", text, stored_annotations=stored), images=images)


def test_images_go_with_the_question_after_them() -> None:
    history = [user("Draw"), answer("Here", ONE), user("More", PHOTO), answer("", TWO)]
    moved, last = move_images(history)
    assert [entry.images for entry in moved] == [(), (), (ONE,), ()]
    assert [entry.attachments for entry in moved] == [(), (), (PHOTO,), ()]
    assert [entry.message.text for entry in moved] == ["Draw", "Here", "More", IMAGE_ALONE]
    assert last == [TWO]


def test_images_of_several_answers_wait_for_the_question() -> None:
    tool = HistoryMessage(Message("tool"))
    moved, last = move_images([answer("", ONE), tool, answer("x", TWO), user("Now")])
    assert moved[-1].images == (ONE, TWO)
    assert last == []


def test_a_placeholder_stands_for_each_file_that_goes_along() -> None:
    entry = HistoryMessage(Message("user", "x"), attachments=(PHOTO,), images=(ONE, TWO))
    message = with_placeholders(entry, {PHOTO.path, TWO.path})
    assert message.parts == (FilePlaceholder(TWO.path), FilePlaceholder(PHOTO.path))
    assert with_placeholders(entry, set()) == Message("user", "x")


def test_the_newest_annotations_that_fit_are_kept() -> None:
    history = [answer(str(n), stored=StoredAnnotations((f"a{n}.0",), 40)) for n in range(3)]

    def kept(max_bytes: int) -> list[bool]:
        messages = (entry.message for entry in keep_annotations(history, max_bytes))
        return [message.stored_annotations is not None for message in messages]

    assert kept(200) == [True, True, True]
    assert kept(80) == [False, True, True]
    assert kept(79) == [False, False, True]
    assert kept(0) == [False, False, False]


def test_parts_fill_placeholders_and_what_is_gone_leaves_none() -> None:
    parts = (FilePlaceholder("here"), TextPart("between"), FilePlaceholder("gone"))
    message = Message("user", "Look", parts)
    image = ImagePart("data:,x")
    (filled,) = FetchedFiles(parts={"here": image}).fill([message])
    assert filled == Message("user", "Look", (image, TextPart("between")))
    assert message.parts == parts, "the message itself stays as it is"


def test_annotations_go_back_with_the_answer_they_came_with() -> None:
    annotation: dict[str, object] = {"type": "file", "file": {"hash": "h1"}}
    fetched = FetchedFiles(annotations={STORED: (annotation,)})
    messages = [Message("user", "x"), Message("assistant", "y", stored_annotations=STORED)]
    assert fetched.fill(messages) == [
        Message("user", "x"),
        Message("assistant", "y", annotations=(annotation,)),
    ]
    assert fetched.annotated_hashes == {"h1"}


def test_annotations_of_the_question_go_with_no_message() -> None:
    """They are told with the answer that is going to be written."""
    fetched = FetchedFiles(question_annotations=({"type": "file"},))
    messages = [Message("user", "x", stored_annotations=STORED)]
    assert fetched.fill(messages) == [Message("user", "x")]
    assert fetched.annotated_hashes == frozenset()
