"""One file, one idea: what stands between a client and its object. The order is in chain.py."""
