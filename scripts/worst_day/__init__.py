"""What the worst day of one caller costs the owner at Google: measured calls, limits, list prices.

list_prices   what Google charges
measuring     what each call takes: documents, CPU, bytes; in a suite of its own
worst_case    from both, and from the limits in code: dollars a day. Pure
page          the table in docs/security.md
"""
