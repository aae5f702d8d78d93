"""Which of OpenRouter's free models answer, and how fast: `./scripts/free-models`.

    GET /key     how many free requests the account has left today: never more are made
    GET /models  the free ones: Firerouter's own defaults, then the newest
    each         one short question, once, within a deadline, paced under the limit
                 -> a table, printed or put between the two markers of a Markdown file

`__main__` is the command line, `survey` the order of it all, `asking` the requests, `report` the
table.
"""
