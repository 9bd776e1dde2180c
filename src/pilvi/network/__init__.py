"""Network: networks, subnets, ports, routers, floating IPs and security groups.

Counterpart of Neutron; API v2.0. The rows say what should exist; `topology.py` makes plain values of them, and a backend (drivers/)
makes reality equal to these after every commit. The hard idea: an address belongs to a port because a row with a UNIQUE (network, address)
says so, in the same transaction as the port, so that no address is ever given twice and none is lost.
"""
