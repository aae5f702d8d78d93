"""One attacker beside other users' streams, on one instance: `./scripts/crowd-test`.

__main__  the command line
attacker  a user who calls as often as the instance lets them, and counts what came of it
attacks   what the attacker does, one function for each way to hurt others
instance  the served instance: its memory is watched, and it is killed beyond its limit
surroundings  what an attack needs besides the attacked instance
trial     the quiet run and the attacked run of a row, compared
verdict   the limits, and the table
"""
