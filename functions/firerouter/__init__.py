"""Firerouter: the OpenRouter backend for Firebase apps.

Imports point down only (a test reads this drawing):

    bootstrap                            builds everything, once an instance
    generate  connection                 use cases
    identity  ledger  openrouter         what they talk to, one foreign library each
    prompts  quotas                      pure
    features  appsettings  keys          settings and secrets
    contract                             what callers send
    errors  limits  log  cached          the floor
    callable                             the wire: knows nothing of AI
"""
