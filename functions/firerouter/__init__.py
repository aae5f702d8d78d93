"""Firerouter: the OpenRouter backend for Firebase apps.

Imports point down only (a test says so):

    bootstrap                                      builds everything, once an instance
    generate  connection                           use cases
    identity  features  keys  ledger  openrouter   adapters, one foreign library each
    prompts                                        pure
    errors  limits  contract  log  cached          the floor
    callable                                       the wire: knows nothing of AI
"""
