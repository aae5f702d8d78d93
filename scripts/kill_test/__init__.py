"""Kills instances at random moments; afterwards everything must add up: `./scripts/kill-test`.

__main__            the command line
trial               one trial: rounds of killing, reconciliation, the audits
plan                the rounds, drawn from a seed
rounds              serves the instances, calls them and kills them
ledger_audit        compares entries with counters and with OpenRouter's own records
conversation_audit  compares messages with the calls that made them
"""
