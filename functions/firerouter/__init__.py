"""Firerouter: the OpenRouter backend for Firebase apps.

Imports point down only (a test reads this drawing):

    bootstrap                            builds everything, once an instance
    generate  connection  browse  keyring   use cases
    catalog                              every model, wherever the list is kept
    identity  ledger  openrouter         what they talk to, one foreign library each
    prompts  quotas  models              pure
    features  appsettings  keys          settings and secrets
    audit                                an admin's change and its entry, in one commit
    contract                             what callers send
    errors  limits  log  cached  commits   the floor
    callable                             the wire: knows nothing of AI
"""
