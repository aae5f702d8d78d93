"""Mixed traffic for many minutes, with faults and kills: `./scripts/soak`.

__main__  the command line
plan      the calls and kills of so many minutes, drawn from a seed
watch     memory and open files of the instance that lives throughout
trial     one trial: the traffic of the bill test, watched, and its audit at the end
"""
