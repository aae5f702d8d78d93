"""Feeds odd inputs to every reader of outside data: `./scripts/fuzz`.

__main__   the command line
campaign   runs the targets, round by round, and watches time and memory
targets    what is fed: callables, streams, failures, settings, the catalog, the ledger
mutations  well-formed examples, changed in a few places
samples    the examples
"""
