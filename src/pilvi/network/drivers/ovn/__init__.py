"""OVN as the network: a topology becomes rows of OVN's northbound database, OVN's own daemons do the rest.

In the order a topology travels: control.py (the daemons of the control process) → desired.py with switches, dhcp, routers, groups (rows
from a topology, pure) → rows.py (the comparison, pure) → northbound.py on replica.py (the database). southbound.py tells which hosts
joined, trace.py explains a packet. On a host: host.py with bridges, uplink, tunnel, metadata_port; keys.py lets hosts on other machines in.
"""
