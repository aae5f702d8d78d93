"""The emulator serves the functions of the deploy manifest, under the names that clients call."""

import httpx

from firerouter.app.callables import ADMIN, FUNCTIONS, RESOURCES, USER
from scripts.devtools.suite import REGION, Suite


def test_the_emulator_serves_each_function_where_clients_look_for_it(suite: Suite) -> None:
    emulator = httpx.URL(suite.functions_url).join("/backends")
    (backend,) = httpx.get(emulator, timeout=30, trust_env=False).json()["backends"]
    served = {trigger["name"]: trigger for trigger in backend["functionTriggers"]}
    assert served.keys() == {function.name for function in FUNCTIONS}
    for function in FUNCTIONS:
        trigger = served[function.name]
        assert trigger["region"] == REGION
        assert trigger["timeoutSeconds"] == function.timeout_s
        assert trigger["availableMemoryMb"] == RESOURCES.memory_mb
        is_callable = function.audience in (USER, ADMIN)
        labels = trigger.get("labels", {})
        assert labels.get("deployment-callable") == ("true" if is_callable else None)
