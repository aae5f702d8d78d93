"""The deploy manifest is fresh, names main.py's functions, and firebase-tools reads it as meant.

functions.yaml is what a deploy goes by: a function that it leaves out is deleted, and a timeout
shorter than our own deadlines would cut answers off.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from firerouter import limits
from firerouter.delivery import QueueLimits, queue
from firerouter.firestore import READ_S
from firerouter.ledger import LedgerLimits
from firerouter.users import IdentityLimits
from scripts.devtools.manifest import (
    CALLABLES,
    MANIFEST,
    QUEUE_RATES,
    QUEUE_RETRIES,
    QUEUED,
    SCHEDULED,
    SHARED,
    manifest,
)
from scripts.devtools.suite import PROJECT, clean_environment
from scripts.devtools.toolchain import find_node
from tests.support.repository import served_functions

FUNCTIONS = MANIFEST.parent
DISCOVER = Path(__file__).parent / "js" / "discover.cjs"
IDENTITY, LEDGER, QUEUE = IdentityLimits(), LedgerLimits(), QueueLimits()
GENERATING = ("execute_prompt", "api", "continuation")  # those behind which a model answers


ALL = {**CALLABLES, **SCHEDULED, **QUEUED}


def timeout_s(name: str) -> float:
    return float(ALL[name]["timeout_sec"])


def meant(name: str) -> dict[str, Any]:
    """What scripts/manifest says of a function, in the deploy tool's words."""
    trigger: dict[str, Any] = {"callableTrigger": {}}
    if name in SCHEDULED:
        schedule = {"schedule": ALL[name].get("schedule"), "timeZone": "UTC"}
        trigger = {"scheduleTrigger": schedule}
    elif name in QUEUED:
        trigger = {
            "taskQueueTrigger": {
                "rateLimits": {
                    "maxConcurrentDispatches": QUEUE_RATES["max_concurrent_dispatches"],
                    "maxDispatchesPerSecond": QUEUE_RATES["max_dispatches_per_second"],
                },
                "retryConfig": {
                    "maxAttempts": QUEUE_RETRIES["max_attempts"],
                    "maxRetrySeconds": QUEUE_RETRIES["max_retry_seconds"],
                    "minBackoffSeconds": QUEUE_RETRIES["min_backoff_seconds"],
                    "maxBackoffSeconds": QUEUE_RETRIES["max_backoff_seconds"],
                },
            }
        }
    return {
        "platform": "gcfv2",
        "entryPoint": name,
        "region": [SHARED["region"]],
        "availableMemoryMb": SHARED["memory"],
        "cpu": SHARED["cpu"],
        "concurrency": SHARED["concurrency"],
        "maxInstances": 1 if name in SCHEDULED else SHARED["max_instances"],
        "timeoutSeconds": timeout_s(name),
        **trigger,
    }


@pytest.fixture(scope="module")
def deployed() -> dict[str, Any]:
    """The endpoints that firebase-tools itself finds."""
    command = [find_node(), str(DISCOVER), str(FUNCTIONS), PROJECT, runtime()]
    done = subprocess.run(
        command, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    endpoints: dict[str, Any] = json.loads(done.stdout)
    return endpoints


def runtime() -> str:
    config = json.loads((FUNCTIONS.parent / "firebase.json").read_text())
    (functions,) = config["functions"]
    return str(functions["runtime"])


def test_the_manifest_is_what_would_be_written_now() -> None:
    assert MANIFEST.read_text() == manifest(), "run ./scripts/manifest"


def test_the_manifest_names_exactly_the_functions_of_main() -> None:
    assert set(yaml.safe_load(MANIFEST.read_text())["endpoints"]) == served_functions()
    assert len(served_functions()) > 2


def test_a_deploy_finds_each_function_as_it_is_meant(deployed: dict[str, Any]) -> None:
    assert deployed.keys() == ALL.keys()
    for name, endpoint in deployed.items():
        if name in SCHEDULED:
            retries = endpoint["scheduleTrigger"].pop("retryConfig")
            assert retries["retryCount"] > 0
        assert {key: endpoint.get(key) for key in meant(name)} == meant(name)
        assert endpoint["runtime"] == "python311"


@pytest.mark.parametrize("name", GENERATING)
def test_a_whole_answer_and_its_settling_fit_the_timeout(name: str) -> None:
    whole_s = IDENTITY.verify_s + LEDGER.run_s + LEDGER.settle_before_result_s
    assert whole_s < timeout_s(name)


def test_the_queue_is_where_the_functions_look_for_it() -> None:
    assert list(QUEUED) == [queue.FUNCTION]
    assert re.fullmatch(r"[A-Za-z0-9-]+", queue.FUNCTION), "as Cloud Tasks names queues"
    assert SHARED["region"] == queue.REGION


def test_a_task_is_not_given_up_while_it_may_still_be_answered() -> None:
    assert timeout_s(queue.FUNCTION) < QUEUE.delivery_deadline_s
    assert QUEUE_RETRIES["max_retry_seconds"] <= LEDGER.queued_max_s
    claimed_s = len(QUEUE.claim_pauses_s) * (READ_S + QUEUE.claim_s)
    claimed_s += sum(QUEUE.claim_pauses_s)
    whole_s = claimed_s + LEDGER.run_s + LEDGER.settle_before_result_s
    assert whole_s < timeout_s(queue.FUNCTION)
    assert QUEUE.enqueue_s < LEDGER.queued_max_s


def test_the_shorter_deadlines_fit_into_the_longer_ones() -> None:
    assert limits.CONNECT_S < limits.FIRST_TOKEN_DEFAULT_S <= limits.FIRST_TOKEN_MAX_S
    assert limits.FIRST_TOKEN_MAX_S + limits.CONNECT_S < limits.TOTAL_S
    assert limits.IDLE_DEFAULT_S <= limits.IDLE_MAX_S < limits.TOTAL_S
    assert IDENTITY.keys_fetch_s < IDENTITY.verify_s
    ping_s = IDENTITY.verify_s + limits.READ_S + limits.PING_S
    assert ping_s < timeout_s("test_openrouter_connection")


def test_beats_come_often_enough_for_every_client() -> None:
    shortest_client_timeout_s = 60  # Flutter's; Android's and iOS's are 70
    assert shortest_client_timeout_s > 2 * limits.HEARTBEAT_S


def test_an_instance_can_hold_what_it_lets_in() -> None:
    memory_bytes = SHARED["memory"] * 2**20
    assert limits.BODY_MAX_BYTES < limits.BODIES_IN_FLIGHT_MAX_BYTES <= memory_bytes / 4
    assert SHARED["concurrency"] <= limits.CONNECTIONS_MAX
    assert SHARED["cpu"] >= 1  # else Cloud Run takes one request at a time
