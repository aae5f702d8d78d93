"""The JavaScript SDK sends `undefined` as null: it is as good as absent, wherever it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
from pydantic import ValidationError

from firerouter import contract
from firerouter.contract import Record, faults, parse
from firerouter.errors import InvalidArgument
from firerouter.features import AppSettings, FeatureSettings
from firerouter.ledger import UserLimits

CALL: Final = {"id": "a", "name": "look", "arguments": "{}"}
RESULT: Final = {"toolCallId": "a", "content": "x"}
REVISION: Final = {"feature": "chat", "revision": 1}
PROMPT: Final = {"feature": "chat", "prompt": "Hi"}

# what each request has at least; a value without an entry has no required field
LEAST: Final[Mapping[str, dict[str, Any]]] = {
    "Attachment": {"path": "users/u/uploads/" + "0" * 32},
    "CompareModels": {**PROMPT, "models": ["a/b", "a/c"]},
    "CreateEmbeddings": {"feature": "x", "input": "Hi"},
    "CreateUpload": {"contentType": "image/png", "bytes": 1},
    "DeleteConversation": {"conversationId": "c"},
    "AdminDispatch": {"endpoint": "list_keys"},
    "DeleteFeature": {"feature": "poems", "revision": 1},
    "Dispatch": {"endpoint": "execute_prompt"},
    "DropDraft": REVISION,
    "EraseMyData": {"confirm": True},
    "ExecutePrompt": PROMPT,
    "ExportConversation": {"conversationId": "c"},
    "Judge": {"model": "a/b"},
    "Message": {"role": "user", "content": "Hi"},
    "PromoteDraft": REVISION,
    "QueuedGeneration": {"generationId": "0" * 32},
    "ResetFeature": REVISION,
    "RestoreAppSettings": {"revision": 2, "restore": 1},
    "RestoreFeature": {**REVISION, "restore": 0},
    "ResumeGeneration": {"resume": "0" * 32},
    "SaveAppSettings": {"settings": {}, "revision": 0},
    "SaveFeatureSettings": {"feature": "chat", "enabled": True},
    "ServerTool": {"type": "openrouter:web_search"},
    "SetKey": {"key": "sk-or-v1-0"},
    "SetPreferences": {"feature": "chat"},
    "SetUserLimits": {"uid": "u"},
    "StopGeneration": {"requestId": "r"},
    "StopUserGenerations": {"uid": "u"},
    "TestFeatureSettings": PROMPT,
    "Tool": {"name": "look"},
    "ToolCall": CALL,
    "ToolResult": RESULT,
    "UpdateConversation": {"conversationId": "c", "title": "x"},
}
# more of a request, where its fields are of no use without each other
MORE: Final[Mapping[str, tuple[dict[str, Any], ...]]] = {
    "Attachment": ({"data": "AA==", "contentType": "image/png", "name": "x"},),
    "ExecutePrompt": (
        {"feature": "chat", "messages": [{"role": "user", "content": "Hi"}]},
        {"feature": "chat", "conversationId": "c", "regenerate": "m"},
        {"feature": "chat", "conversationId": "c", "toolResults": [RESULT]},
        {"feature": "chat", "prompt": "Hi", "conversationId": "c", "parentMessageId": "m"},
    ),
    "ResponseFormat": ({"type": "json_schema", "name": "x", "schema": {"type": "object"}},),
    "SaveFeatureSettings": ({"feature": "chat", "settings": {}, "draftPercent": 5, "note": "x"},),
    "TestConnection": ({"key": "sk-or-v1-0"}, {"feature": "chat", "position": 2}),
}


def records(of: type[Record] = Record) -> Iterator[type[Record]]:
    """Every value that is read from what callers send."""
    for record in of.__subclasses__():
        if record.__module__.startswith("firerouter."):
            yield record
            yield from records(record)


for _name in contract.__all__:  # a face imports its modules only when a name is used
    getattr(contract, _name)
_READ_ELSEWHERE: Final = (AppSettings, FeatureSettings, UserLimits)  # their modules are read now
RECORDS: Final = sorted({*records()}, key=lambda record: record.__name__)


def outcome(record: type[Record], data: dict[str, Any]) -> object:
    """What comes of the data: a value, or the faults that its caller is told of."""
    try:
        return record.model_validate(data, by_alias=True, by_name=False)
    except ValidationError as error:
        return sorted(faults(error))


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_null_is_as_good_as_absent_in_every_field(record: type[Record]) -> None:
    least = LEAST.get(record.__name__, {})
    assert isinstance(outcome(record, least), record), "say what it has at least"
    for given in (least, *MORE.get(record.__name__, ())):
        for name, field in record.model_fields.items():
            alias = field.alias or name
            without = {key: value for key, value in given.items() if key != alias}
            assert outcome(record, {**without, alias: None}) == outcome(record, without), alias
            assert outcome(record, {**given, "notAField": None}) == outcome(record, given)


def test_every_call_has_fields_that_a_client_may_leave_undefined() -> None:
    """A walk that found nothing would pass as well."""
    walked = {record.__name__: len(record.model_fields) for record in RECORDS}
    assert walked["ExecutePrompt"] > 15
    assert walked["FeatureSettings"] > 40
    assert walked.keys() >= LEAST.keys() | MORE.keys()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"variables": {"name": "Ann", "city": None}}, {"variables": {"name": "Ann"}}),
        ({"tools": [{"name": "look", "parameters": None}]}, {"tools": [{"name": "look"}]}),
        ({"imageOptions": {"n": None}}, {"imageOptions": {}}),
        ({"resume": None, "feature": "chat"}, {}),
    ],
)
def test_null_within_a_field_is_absent_too(given: dict[str, Any], kept: dict[str, Any]) -> None:
    assert parse(contract.ExecutePrompt, {**PROMPT, **given}) == parse(
        contract.ExecutePrompt, {**PROMPT, **kept}
    )


def test_null_in_the_json_of_an_app_is_a_value() -> None:
    schema = {"type": "object", "properties": {"a": {"enum": [None, 1], "default": None}}}
    request = parse(
        contract.ExecutePrompt, {**PROMPT, "tools": [{"name": "x", "parameters": schema}]}
    )
    assert request.tools[0].parameters == schema
    settings = parse(FeatureSettings, {"parameters": {"logit_bias": None}})
    assert settings.parameters == {"logit_bias": None}


def test_no_data_are_as_good_as_none_of_the_fields() -> None:
    assert parse(contract.ListFeatures, None) == parse(contract.ListFeatures, {})
    with pytest.raises(InvalidArgument, match="feature is required"):
        parse(contract.ExecutePrompt, None)


def test_what_changes_a_part_leaves_the_rest_where_it_is_null() -> None:
    request = parse(contract.SetUserLimits, {"uid": "u", "limits": {"usdPerDay": None}})
    assert (request.limits, request.tier, request.blocked) == ({}, None, None)
    saved = parse(contract.SaveAppSettings, {"settings": {"appName": None}, "revision": 0})
    assert saved.settings == {}
