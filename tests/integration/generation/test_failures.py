"""What becomes of OpenRouter's failures: what users, admins, the ledger and the log get."""

import json
from typing import Any

import pytest

from firerouter.errors import PrivacyExcludesAll, RoutingExcludesAll
from tests.support.conversations import messages
from tests.support.in_process import Instance, World

TRACE = "0" * 32
TEST = "test_feature_settings"
SECRET = "canary-prompt-7261"
PROMPT = f"What is the {SECRET} for?"
FEATURE = {"model": "sim/fast", "titles": "beginning", "fallbackModels": []}


def feature_of(model: str) -> str:
    return f"of-{model.removeprefix('sim/')}"


async def asked(instance: Instance, model: str, **more: Any) -> Any:
    """The result of a prompt through a feature with this model."""
    feature = feature_of(model)
    await instance.save(feature, {**FEATURE, "model": model, **more})
    return await instance.ask(feature, prompt=PROMPT)


async def refused(world: World, model: str, **more: Any) -> tuple[Any, dict[str, Any]]:
    """The refusal of such a prompt, and its ledger entry."""
    instance, feature = world.instance(), feature_of(model)
    await instance.save(feature, {**FEATURE, "model": model, **more})
    data = {"feature": feature, "prompt": PROMPT}
    failure = await instance.refusal("execute_prompt", data, "user")
    return failure, await world.document(f"generations/{failure.details['generationId']}")


# -- admins learn why ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "reason", "told"),
    [
        ("sim/400", "upstream_rejected", "temperature must be at most 2"),
        ("sim/400-filter-in-raw", "moderated", "Provider returned error; Filtered; content_filter"),
        ("sim/404-privacy-restricted", "no_provider", "privacy_restricted"),
        ("sim/402-in-flight", "credit_busy", "Wait for the requests in flight to settle"),
        ("sim/403-key-limit", "key_limit_reached", "Key limit exceeded (monthly limit)"),
        ("sim/400-quotes", "upstream_rejected", "Unsupported value: '[...]?' in messages"),
        ("sim/error-first", "upstream_busy", "Provider disconnected unexpectedly"),
        ("sim/error-after-text", "upstream_busy", "Provider disconnected unexpectedly"),
    ],
)
async def test_admins_the_ledger_and_the_log_have_openrouters_own_reason_and_users_have_not(
    world: World, capfd: pytest.CaptureFixture[str], model: str, reason: str, told: str
) -> None:
    failure, entry = await refused(world, model)
    logged = [json.loads(line) for line in capfd.readouterr().out.splitlines() if "{" in line]
    (line,) = [line for line in logged if line["message"] == "upstream_failed"]
    assert (failure.reason, line["reason"], entry["error"]) == (reason,) * 3
    assert told in line["upstreamReason"]
    assert entry["attempts"][-1]["upstreamReason"] == line["upstreamReason"]
    users = json.dumps(failure.to_wire(TRACE))
    assert told not in users
    assert "upstreamReason" not in users

    tested = {"feature": "tried", "prompt": PROMPT, "settings": {**FEATURE, "model": model}}
    failure = await world.instance().refusal(TEST, tested)
    details = failure.to_wire(TRACE, for_admin=True)["details"]
    assert told in details["upstreamReason"]
    assert SECRET not in json.dumps([details, entry["attempts"], line])


async def test_admins_learn_why_a_model_failed_that_a_fallback_stood_in_for(world: World) -> None:
    settings = {**FEATURE, "model": "sim/400", "fallbackModels": ["sim/fast"]}
    instance = world.instance()
    tested = {"feature": "tried", "prompt": PROMPT, "settings": settings}
    result = await instance.call(TEST, tested)
    assert result["attempts"] == [
        {
            "model": "sim/400",
            "reason": "upstream_rejected",
            "upstreamReason": "temperature must be at most 2",
        },
        {"model": "sim/fast"},
    ]
    await instance.save("falls", settings)
    result = await instance.ask("falls")
    assert result["attempts"][0] == {"model": "sim/400", "reason": "upstream_rejected"}
    entry = await world.document(f"generations/{result['generationId']}")
    assert entry["attempts"][0]["upstreamReason"] == "temperature must be at most 2"


async def test_a_user_who_takes_their_data_along_gets_no_reason_of_openrouters(
    world: World,
) -> None:
    _, entry = await refused(world, "sim/400")
    assert "temperature" in json.dumps(entry["attempts"])
    exported = await world.instance().call("export_my_data", {}, "user")
    assert "temperature must be" not in json.dumps(exported)


@pytest.mark.parametrize(
    ("model", "leaf"),
    [
        ("sim/404-privacy-restricted", PrivacyExcludesAll),
        ("sim/400-privacy-restricted", PrivacyExcludesAll),
        ("sim/404-guardrail-policy", PrivacyExcludesAll),
        ("sim/404-data-policy", PrivacyExcludesAll),
        ("sim/404-constraint-filtered", RoutingExcludesAll),
        ("sim/404-no-allowed-provider", RoutingExcludesAll),
        ("sim/404-ignored", RoutingExcludesAll),
    ],
)
async def test_where_settings_exclude_all_providers_admins_read_which(
    world: World, model: str, leaf: type[PrivacyExcludesAll]
) -> None:
    failure, entry = await refused(world, model)
    assert entry["error"] == "no_provider"
    assert failure.to_wire(TRACE, for_admin=True)["message"] == leaf.admin_sentence
    assert failure.to_wire(TRACE)["message"] == PrivacyExcludesAll.sentence


# -- what can still be answered is answered --------------------------------------------------------


async def test_with_little_credit_the_answer_is_shorter_and_says_so(world: World) -> None:
    result = await asked(world.instance(), "sim/402-affords")
    assert result["text"]
    assert [attempt.get("reason") for attempt in result["attempts"]] == ["no_credit", None]
    (notice,) = result["notices"]
    assert (notice["reason"], notice["field"]) == ("max_tokens_lowered", "maxTokens")
    assert "30,104 tokens" in notice["message"]
    assert [body.get("max_tokens") for body in await world.bodies(SECRET)][-2:] == [None, 30_104]


async def test_a_model_without_a_system_role_answers_with_the_prompt_in_the_question(
    world: World,
) -> None:
    instance = world.instance()
    marker = f"Be brief in {world.project}."
    first = await asked(instance, "sim/no-system", systemPrompt=marker)
    assert [a.get("reason") for a in first["attempts"]] == ["upstream_rejected", None]
    second = await instance.ask("of-no-system", prompt="And now?")
    assert [a.get("reason") for a in second["attempts"]] == [None], "it is remembered"
    sent = [body["messages"] for body in await world.bodies(marker)]
    assert [[m["role"] for m in said] for said in sent] == [["system", "user"], ["user"], ["user"]]
    assert sent[-1][0]["content"] == f"{marker}\n\nAnd now?"


async def test_an_answer_that_is_cut_at_its_length_is_an_answer(world: World) -> None:
    result = await asked(world.instance(), "sim/max-tokens-after-text")
    assert (result["text"], result["finishReason"]) == ("This is a ", "length")
    entry = await world.document(f"generations/{result['generationId']}")
    assert (entry["status"], entry["finishReason"]) == ("done", "length")


# -- what a failure leaves -------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["sim/error-after-text", "sim/cut-mid-stream"])
async def test_a_failed_message_has_no_finish_reason(world: World, model: str) -> None:
    await refused(world, model)
    instance = world.instance()
    data = {"feature": feature_of(model), "prompt": PROMPT, "conversationId": "new"}
    failure = await instance.refusal("execute_prompt", data, "user")
    entry = await world.document(f"generations/{failure.details['generationId']}")
    stored = await messages(world, entry["place"]["conversationId"])
    answer = stored[entry["place"]["messageId"]]
    assert (answer["status"], answer["error"]) == ("failed", failure.reason)
    assert answer["text"] == "This is a "
    assert "finishReason" not in answer
    assert entry["finishReason"] is None
