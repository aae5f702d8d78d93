"""Prints each day's totals, and checks them against the ledger: `./scripts/usage`.

__main__         the command line
usage_documents  the roll-ups and the ledger's entries, read as of one moment
recount          adds up the entries again, and compares
"""
