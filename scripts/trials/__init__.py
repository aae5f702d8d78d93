"""What the kill test and the bill test share.

project         a suite, and a project whose functions are served
task_queue      a small Cloud Tasks, which outlives the instances
reconciliation  two reconcilers at once, their clocks ahead of ours
findings        what an audit found, and how it is printed
"""
