"""Instances are killed at random moments, and everything adds up afterwards: `./scripts/kill-test`.

__main__            the command line
trial               one trial: rounds of killing, reconciliation, the audits
plan                the rounds, drawn from a seed
project             a suite, and a project whose functions are served
rounds              serves the instances, calls them and kills them
task_queue          a small Cloud Tasks, which outlives the instances
ledger_audit        entries against counters and against OpenRouter's own records
reconciliation      two reconcilers at once, their clocks ahead of ours
conversation_audit  messages against the calls that made them
findings            what an audit found, and how it is printed
"""
