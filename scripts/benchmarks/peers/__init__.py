"""What others cost for the same work, where they can be run: `./scripts/bench --peers`.

registry  who they are, how each is installed, started and called
install   installs them aside, in .local/peers
measure   the same load on each of them, in turn
table     the results

`node` and `litellm` hold what is copied beside the installed packages.
"""
