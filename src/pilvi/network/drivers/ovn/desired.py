"""The northbound rows that a topology asks for: a pure function, put together from switches, DHCP options, routers and security groups."""
from __future__ import annotations

from collections.abc import Mapping, Sequence

from pilvi.network.drivers.interface import Topology
from pilvi.network.drivers.ovn import dhcp, groups, routers, switches
from pilvi.network.drivers.ovn.lookup import Lookup
from pilvi.network.drivers.ovn.rows import Rows


def desired_rows(topology: Topology, cloud_id: str, gateways: Mapping[str, Sequence[str]]) -> Rows:
    """{(table, key): Row} for the whole topology. `gateways` names, for each physical network, the hosts that reach it."""
    lookup = Lookup(topology, cloud_id)
    return {
        **dhcp.rows(lookup),
        **switches.rows(lookup),
        **routers.rows(lookup, gateways),
        **groups.rows(lookup),
    }
