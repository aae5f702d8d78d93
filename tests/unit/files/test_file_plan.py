"""Which files go to which models with a request."""

from typing import Any

import pytest

from firerouter.contract.base import parse
from firerouter.contract.messages import FilePlaceholder, Message, StoredAnnotations
from firerouter.contract.prompts import ExecutePrompt
from firerouter.errors import AttachmentNotTaken
from firerouter.files.file import FREE_PDF_PLUGIN, File
from firerouter.files.file_plan import FilePlan, FileRef, left_out, plan_files
from firerouter.files.limits import FileLimits
from firerouter.files.placeholders import HistoryMessage

SEES, READS, UNKNOWN = ("image", "text"), ("text",), ()
PNG = File("users/ann/uploads/png", "image/png", 10)
PDF = File("users/ann/uploads/pdf", "application/pdf", 10)
WAV = File("users/ann/uploads/wav", "audio/wav", 10)
DRAWN = File("users/ann/images/drawn", "image/png", 10)


def request(**data: Any) -> ExecutePrompt:
    question = {} if "regenerate" in data else {"prompt": "x"}
    return parse(ExecutePrompt, {"feature": "talk", "conversationId": "c1", **question, **data})


def ref(file: File, number: int = 0) -> FileRef:
    return FileRef(f"attachments[{number}]", file, file.path)


def entry(role: Any, text: str = "x", **more: Any) -> HistoryMessage:
    return HistoryMessage(Message(role, text), **more)


def plan(
    *files: File,
    history: Any = (),
    inputs: dict[str, tuple[str, ...]] | None = None,
    limits: FileLimits = FileLimits(),  # noqa: B008  # frozen
    **data: Any,
) -> FilePlan:
    refs = [ref(file, number) for number, file in enumerate(files)]
    return plan_files(request(**data), refs, inputs or {"a/a": SEES}, history, limits)


def test_only_models_that_take_all_files_are_asked() -> None:
    inputs = {"a/a": SEES, "b/b": READS, "c/c": UNKNOWN, "d/d": SEES}
    assert plan(PNG, inputs=inputs).models == ["a/a", "c/c", "d/d"]
    assert plan(PDF, inputs=inputs).models == ["a/a", "b/b", "c/c", "d/d"]


def test_a_file_that_the_chosen_model_does_not_take_is_refused_by_its_place() -> None:
    with pytest.raises(AttachmentNotTaken) as refused:
        plan(PNG, WAV)
    assert refused.value.details["field"] == "attachments[1]"
    assert refused.value.details["modality"] == "audio"
    assert str(refused.value) == "a/a does not accept audio/wav. Please choose another model."


def test_the_newest_files_of_before_go_first() -> None:
    old, new = (File(f"users/ann/uploads/{n}", "image/png", 10) for n in "12")
    history = [entry("user", attachments=(old,)), entry("assistant"), entry("user")]
    history[2] = entry("user", attachments=(new,))
    found = plan(PNG, history=history, limits=FileLimits(request_max_files=2))
    assert [file.file for file in found.all_files] == [PNG, new]
    assert [message.parts for message in found.history] == [(), (), (FilePlaceholder(new.path),)]
    assert found.notices == [left_out(1, "there is no room for it")]
    found = plan(PNG, history=history, limits=FileLimits(request_max_bytes=29))
    assert [file.file for file in found.all_files] == [PNG, new]


def test_the_images_of_the_answer_before_go_with_the_question() -> None:
    history = [entry("user"), entry("assistant", "", images=(DRAWN,))]
    found = plan(PNG, history=history)
    assert found.previous_images == (DRAWN.path,)
    messages = found.add_to_messages([*found.history, Message("user", "More")])
    keys = [part.key for part in messages[-1].parts if isinstance(part, FilePlaceholder)]
    assert keys == [DRAWN.path, PNG.path]
    assert messages[1] == Message("assistant", "[image]")


def test_a_regeneration_has_its_questions_files_in_their_places() -> None:
    history = [
        entry("user"),
        entry("assistant", "", images=(DRAWN,)),
        entry("user", "Mix", attachments=(PNG,)),
    ]
    found = plan(history=history, regenerate="a1")
    assert [(r.field, r.file) for r in found.question_files] == [("regenerate", PNG)]
    assert [r.file for r in found.history_files] == [DRAWN]
    assert found.is_regeneration
    assert not found.has_unverified_files
    keys = tuple(FilePlaceholder(file.path) for file in (DRAWN, PNG))
    assert found.history[-1] == Message("user", "Mix", keys)
    assert found.add_to_messages(found.history) == found.history


def test_files_are_unverified_until_their_content_was_read() -> None:
    assert plan(PNG).has_unverified_files
    assert not plan(PNG.with_content(b"x")).has_unverified_files
    assert not FilePlan.without_files(["a/a"], []).has_unverified_files


def test_annotations_go_along_only_with_a_pdf() -> None:
    message = Message("assistant", "x", stored_annotations=StoredAnnotations(("a1.0",), 10))
    history = [entry("user", attachments=(PDF,)), HistoryMessage(message)]
    assert plan(history=history).history[1].stored_annotations is not None
    assert plan(history=[entry("user"), HistoryMessage(message)]).history[1] == Message(
        "assistant", "x"
    )
    assert FilePlan.without_files(["a/a"], history[1:]).history == [Message("assistant", "x")]


def test_where_nothing_may_cost_anything_a_pdf_is_parsed_for_free() -> None:
    found = plan(PDF)
    web: dict[str, object] = {"plugins": [{"id": "web"}]}
    assert found.with_free_pdf_parser(web, free_only=True) == {
        "plugins": [{"id": "web"}, FREE_PDF_PLUGIN]
    }
    assert found.with_free_pdf_parser({}, free_only=True) == {"plugins": [FREE_PDF_PLUGIN]}
    assert found.with_free_pdf_parser(web, free_only=False) is web
    assert plan(PNG).with_free_pdf_parser(web, free_only=True) is web


def test_the_image_api_takes_images_and_texts() -> None:
    text = File("users/ann/uploads/text", "text/plain", 10)
    plan(PNG, text).require_images_or_text()
    with pytest.raises(AttachmentNotTaken) as refused:
        plan(PNG, PDF).require_images_or_text()
    assert refused.value.details["field"] == "attachments[1]"


def test_a_message_holds_the_files_of_its_question() -> None:
    assert plan(PNG, PDF).documents() == [PNG.to_document(), PDF.to_document()]
    assert FilePlan.without_files(["a/a"], []).documents() == []


@pytest.mark.parametrize(
    ("count", "reason", "message"),
    [
        (1, "it no longer exists", "A file of an earlier message was not sent: it no longer"),
        (2, "it no longer exists", "2 files of earlier messages were not sent: they no longer"),
        (3, "a/b does not accept it", "3 files of earlier messages were not sent: a/b does not"),
    ],
)
def test_a_notice_says_how_many_and_why(count: int, reason: str, message: str) -> None:
    notice = left_out(count, reason)
    assert notice["message"].startswith(message)
    assert notice["message"].endswith(("exists.", "exist.", "it." if count == 1 else "them."))
