"""The deployed functions: one for each row of the table in firerouter/app/callables.py.

The deploy manifest, functions.yaml, is written from the same table (scripts/manifest).
"""

import gc

# The imports of a first call make hundreds of thousands of objects, which live as long as the
# process. With Python's thresholds, looking for garbage among them takes 0.13 s of a cold start.
gc.set_threshold(50_000, 20, 50)

from functions_framework import aio  # noqa: E402

from firerouter.app import FUNCTIONS, check_environment, edge  # noqa: E402

check_environment()

for function in FUNCTIONS:
    globals()[function.name] = aio.http(edge.entry_point(function))
