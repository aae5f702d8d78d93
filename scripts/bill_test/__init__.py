"""Ends generations in every possible way; the ledger must equal the bill: `./scripts/bill-test`.

__main__    the command line
trial       one trial: in each project the calls, reconciliation, the audits
totals      the totals of the projects
ends        the ways in which a generation ends, and the features that they need
plan        every call, kill and audit, drawn from a seed
traffic     serves the instances, calls them, kills and replaces them
bill_audit  entries, counters, ceilings and roll-ups against the items of the bill
"""
