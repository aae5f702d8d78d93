"""Instances are killed at random moments, and everything adds up afterwards: `./scripts/kill-test`.

__main__            the command line
trial               one trial: rounds of killing, reconciliation, the audits
plan                the rounds, drawn from a seed
rounds              serves the instances, calls them and kills them
ledger_audit        entries against counters and against OpenRouter's own records
conversation_audit  messages against the calls that made them
"""
