"""The emulator serves the functions of the deploy manifest, under the names that clients call."""

import httpx

from scripts.devtools.manifest import CALLABLES, QUEUED, SCHEDULED, SHARED
from scripts.devtools.suite import REGION, Suite


def test_the_emulator_serves_each_function_where_clients_look_for_it(suite: Suite) -> None:
    emulator = httpx.URL(suite.functions_url).join("/backends")
    (backend,) = httpx.get(emulator, timeout=30, trust_env=False).json()["backends"]
    found = {trigger["name"]: trigger for trigger in backend["functionTriggers"]}
    expected = {**CALLABLES, **SCHEDULED, **QUEUED}
    assert found.keys() == expected.keys()
    for name, trigger in found.items():
        assert trigger["region"] == SHARED["region"] == REGION
        assert trigger["timeoutSeconds"] == float(expected[name]["timeout_sec"])
        assert trigger["availableMemoryMb"] == SHARED["memory"]
        assert trigger.get("labels", {}).get("deployment-callable") == (
            "true" if name in CALLABLES else None
        )
