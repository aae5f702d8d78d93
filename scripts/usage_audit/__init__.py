"""What each day's generations came to, and whether that is what the ledger says: `./scripts/usage`.

__main__         the command line
usage_documents  the roll-ups and the ledger's entries, read as of one moment
recount          adds the entries up again, and compares
"""
