"""What other gateways cost for the same work, if they can be run: `./scripts/bench --peers`.

registry  the peers: how each is installed, started and called
install   installs them in .local/peers, apart from the project
measure   the same load on each of them, in turn
table     the results

`node` and `litellm` contain files that are copied next to the installed packages.
"""
