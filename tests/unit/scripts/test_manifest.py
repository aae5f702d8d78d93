"""The deploy manifest is fresh, names the table's functions, and firebase-tools reads it as meant.

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
from firerouter.app.callables import FUNCTIONS, QUEUE, RESOURCES, DeployedFunction, Queue, Schedule
from firerouter.callable import WireLimits
from firerouter.delivery import QueueLimits, queue
from firerouter.firestore import READ_S
from firerouter.ledger import LedgerLimits
from firerouter.openrouter import OpenRouterLimits
from firerouter.users import IdentityLimits
from scripts.devtools.manifest import MANIFEST, manifest
from scripts.devtools.suite import PROJECT, REGION, clean_environment
from scripts.devtools.toolchain import find_node

SOURCE = MANIFEST.parent
DISCOVER = Path(__file__).parent / "js" / "discover.cjs"
IDENTITY, LEDGER, TASKS = IdentityLimits(), LedgerLimits(), QueueLimits()
OPENROUTER = OpenRouterLimits()
GENERATING = ("execute_prompt", "api", "continuation")  # those behind which a model answers
BY_NAME = {function.name: function for function in FUNCTIONS}


def timeout_s(name: str) -> float:
    return float(BY_NAME[name].timeout_s)


def expected_endpoint(function: DeployedFunction) -> dict[str, Any]:
    """Return what the table says of a function, in the deploy tool's words."""
    trigger: dict[str, Any] = {"callableTrigger": {}}
    instances = RESOURCES.instances_max
    match function.trigger:
        case Schedule() as schedule:
            trigger = {"scheduleTrigger": {"schedule": schedule.cron, "timeZone": "UTC"}}
            instances = schedule.instances_max
        case Queue() as tasks:
            trigger = {
                "taskQueueTrigger": {
                    "rateLimits": {
                        "maxConcurrentDispatches": tasks.concurrent_max,
                        "maxDispatchesPerSecond": tasks.per_second_max,
                    },
                    "retryConfig": {
                        "maxAttempts": tasks.attempts_max,
                        "maxRetrySeconds": tasks.retry_max_s,
                        "minBackoffSeconds": tasks.backoff_min_s,
                        "maxBackoffSeconds": tasks.backoff_max_s,
                    },
                }
            }
    return {
        "platform": "gcfv2",
        "entryPoint": function.name,
        "region": [queue.REGION],
        "availableMemoryMb": RESOURCES.memory_mb,
        "cpu": RESOURCES.cpus,
        "concurrency": RESOURCES.concurrency,
        "maxInstances": instances,
        "timeoutSeconds": function.timeout_s,
        **trigger,
    }


@pytest.fixture(scope="module")
def deployed() -> dict[str, Any]:
    """The endpoints that firebase-tools itself finds."""
    command = [find_node(), str(DISCOVER), str(SOURCE), PROJECT, runtime()]
    done = subprocess.run(
        command, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    endpoints: dict[str, Any] = json.loads(done.stdout)
    return endpoints


def runtime() -> str:
    config = json.loads((SOURCE.parent / "firebase.json").read_text())
    (functions,) = config["functions"]
    return str(functions["runtime"])


def test_the_manifest_is_what_would_be_written_now() -> None:
    assert MANIFEST.read_text() == manifest(), "run ./scripts/manifest"


def test_the_manifest_names_exactly_the_functions_of_the_table() -> None:
    assert yaml.safe_load(MANIFEST.read_text())["endpoints"].keys() == BY_NAME.keys()
    assert len(BY_NAME) > 2


def test_a_deploy_finds_each_function_as_it_is_meant(deployed: dict[str, Any]) -> None:
    assert deployed.keys() == BY_NAME.keys()
    for name, endpoint in deployed.items():
        expected = expected_endpoint(BY_NAME[name])
        if isinstance(BY_NAME[name].trigger, Schedule):
            retries = endpoint["scheduleTrigger"].pop("retryConfig")
            assert retries["retryCount"] > 0
        assert {key: endpoint.get(key) for key in expected} == expected
        assert endpoint["runtime"] == "python311"


@pytest.mark.parametrize("name", GENERATING)
def test_a_whole_answer_and_its_settling_fit_the_timeout(name: str) -> None:
    whole_s = IDENTITY.verify_s + LEDGER.run_s + LEDGER.settle_before_result_s
    assert whole_s < timeout_s(name)


def test_the_queue_is_where_the_functions_look_for_it() -> None:
    assert [row.name for row in FUNCTIONS if row.audience == QUEUE] == [queue.FUNCTION]
    assert re.fullmatch(r"[A-Za-z0-9-]+", queue.FUNCTION), "as Cloud Tasks names queues"
    assert queue.REGION == REGION


def test_a_task_is_not_given_up_while_it_may_still_be_answered() -> None:
    assert timeout_s(queue.FUNCTION) < TASKS.delivery_deadline_s
    assert Queue().retry_max_s <= LEDGER.queued_max_s
    claimed_s = len(TASKS.claim_pauses_s) * (READ_S + TASKS.claim_s)
    claimed_s += sum(TASKS.claim_pauses_s)
    whole_s = claimed_s + LEDGER.run_s + LEDGER.settle_before_result_s
    assert whole_s < timeout_s(queue.FUNCTION)
    assert TASKS.enqueue_s < LEDGER.queued_max_s


def test_the_shorter_deadlines_fit_into_the_longer_ones() -> None:
    assert OPENROUTER.connect_s < limits.FIRST_TOKEN_DEFAULT_S <= limits.FIRST_TOKEN_MAX_S
    assert limits.FIRST_TOKEN_MAX_S + OPENROUTER.connect_s < limits.TOTAL_S
    assert limits.IDLE_DEFAULT_S <= limits.IDLE_MAX_S < limits.TOTAL_S
    assert IDENTITY.keys_fetch_s < IDENTITY.verify_s
    ping_s = IDENTITY.verify_s + limits.READ_S + OPENROUTER.ping_s
    assert ping_s < timeout_s("test_openrouter_connection")


def test_beats_come_often_enough_for_every_client() -> None:
    shortest_client_timeout_s = 60  # Flutter's; Android's and iOS's are 70
    assert shortest_client_timeout_s > 2 * WireLimits().heartbeat_s


def test_an_instance_can_hold_what_it_lets_in() -> None:
    memory_bytes = RESOURCES.memory_mb * 2**20
    assert WireLimits().body_max_bytes < WireLimits().bodies_max_bytes <= memory_bytes / 4
    assert RESOURCES.concurrency <= OPENROUTER.connections_max
    assert RESOURCES.cpus >= 1  # else Cloud Run takes one request at a time
