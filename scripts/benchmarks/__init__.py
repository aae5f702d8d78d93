"""What `execute_prompt` costs compared with a bare relay and the upstream: `./scripts/bench`.

__main__            the command line
runs                what one run measures, in which order
plan                how much of each is measured
measures            tokens, requests, first tokens, many streams
stop_latency        how soon a stop reaches another process
comparison_latency  the first token of a comparison
catalog_cost        reading and listing the models
startup             from the start of a process to its first token
bench               what the measures run on
load                the load generator, in a process of its own
http_callers        the requests of any number of users
proc_stats          CPU and memory of a process
report              the table
"""
