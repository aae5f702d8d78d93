"""Google's list prices in australia-southeast1, in US dollars, without any free tier.

The pages draw their tables with scripts, per region and currency: compare these numbers with the
pages before a cent matters. As of November 2026.
"""

from typing import Final

# https://cloud.google.com/run/pricing, request-based billing, tier 2. An instance is billed while
# it answers at least one request, in steps of 100 ms
CPU_S_USD: Final = 0.0000336  # of one vCPU
MEMORY_GIB_S_USD: Final = 0.0000035
REQUEST_USD: Final = 0.40 / 1_000_000
BILLED_STEP_S: Final = 0.1

# https://cloud.google.com/firestore/pricing, Sydney, Standard edition
READ_USD: Final = 0.038 / 100_000
WRITE_USD: Final = 0.115 / 100_000
DELETE_USD: Final = 0.013 / 100_000

# https://cloud.google.com/vpc/network-pricing, Premium Tier to Australia, the first TiB of a month
EGRESS_GIB_USD: Final = 0.19
GIB: Final = 2**30
