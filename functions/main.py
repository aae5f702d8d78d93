"""The deployed functions: one for each row of the table in firerouter/app/callables.py.

The deploy manifest, functions.yaml, is generated from the same table (scripts/manifest).
"""

from functions_framework import aio

from firerouter.app import FUNCTIONS, check_environment, edge

check_environment()

for function in FUNCTIONS:
    globals()[function.name] = aio.http(edge.entry_point(function))
