"""Subnet: a block of addresses on a network, which of them ports get, and what DHCP tells.

Source: Networking API v2.0, "Subnets"; Neutron's checks of pools, gateways and IPv6 modes.
"""
from __future__ import annotations

from ipaddress import ip_address, ip_network
from itertools import pairwise
from typing import Any

from sqlalchemy import ColumnElement, delete, or_, select
from sqlalchemy.orm import Session

from pilvi.core.context import Call
from pilvi.core.dialect import NEUTRON
from pilvi.core.errors import Forbidden
from pilvi.core.listing import truth_of
from pilvi.core.resource import Resource
from pilvi.network import addressing, errors
from pilvi.network.port import service_port
from pilvi.network.port.addresses import AUTOMATIC, add_own_addresses, is_automatic, release, set_pools
from pilvi.network.resources.network import LEAST_MTU
from pilvi.network.resources.standard import SEEN_BY_AGENTS, SHARED, bump, check_revision, find_network, shared_with, tag_filters
from pilvi.network.resources.subnet_pool import cut, default_pool
from pilvi.network.resources.tables import Allocation, Network, Pool, Port, Subnet

MOST_DNS_SERVERS = 5
MOST_HOST_ROUTES = 20


def create(call: Call, subnet: Subnet, values: dict[str, Any]) -> None:
    """Checks the block against the network's others, fills in gateway and pools."""
    assert call.db is not None
    network = find_network(call, subnet.network_id)
    if network.project_id != call.project_id and not call.is_admin: raise Forbidden(action="create_subnet")
    _choose_block(call, subnet, values)
    _check_family(subnet, network, values)
    _check_overlap(call.db, subnet)
    _check_ipv6(subnet)
    _check_lists(subnet.id, values)
    subnet.host_routes = _routes(values.get("host_routes") or [])
    if "gateway_ip" not in values: subnet.gateway_ip = addressing.first_address(subnet.cidr)
    _check_gateway(subnet.cidr, subnet.gateway_ip)
    pools = values.get("allocation_pools")
    ranges = addressing.default_pools(subnet.cidr, subnet.gateway_ip) if pools is None else checked_pools(subnet, pools, subnet.gateway_ip)
    set_pools(call.db, subnet, ranges)
    call.db.add(subnet)
    call.db.flush()
    service_port.serve_metadata(call.db, network)
    if is_automatic(subnet): add_own_addresses(call.db, subnet, call.db.query(Port).where(Port.network_id == network.id))
    bump(network)


def _choose_block(call: Call, subnet: Subnet, values: dict[str, Any]) -> None:
    """The CIDR that was named, or one from a subnet pool."""
    assert call.db is not None
    if subnet.use_default_subnetpool:
        if subnet.subnetpool_id:
            raise errors.InvalidInput(error_message="subnetpool_id and use_default_subnetpool cannot both be specified")
        subnet.subnetpool_id = default_pool(call.db, subnet.ip_version)
    others = set(call.db.scalars(select(Subnet.subnetpool_id).where(
        Subnet.network_id == subnet.network_id, Subnet.ip_version == subnet.ip_version)))
    if others - {subnet.subnetpool_id}: raise errors.NetworkSubnetPoolAffinityError()
    if subnet.subnetpool_id:
        if values.get("cidr") and values.get("prefixlen"):
            raise errors.InvalidInput(error_message="cidr and prefixlen must not be supplied together")
        subnet.cidr = cut(call, subnet.subnetpool_id, values.get("cidr"), values.get("prefixlen"), subnet)
    elif values.get("cidr") is None:
        raise errors.BadRequest(resource="subnets", msg="a subnetpool must be specified in the absence of a cidr")


def _check_family(subnet: Subnet, network: Network, values: dict[str, Any]) -> None:
    net = ip_network(subnet.cidr)
    if subnet.ip_version not in (4, 6): raise errors.InvalidInput(error_message=f"ip_version {subnet.ip_version} is neither 4 nor 6")
    texts = [("gateway_ip", values.get("gateway_ip")), *(("dns_nameserver", text) for text in values.get("dns_nameservers") or [])]
    if net.version != subnet.ip_version:
        raise errors.InvalidInput(error_message=f"cidr '{subnet.cidr}' does not match the ip_version '{subnet.ip_version}'")
    for name, text in texts:
        if text and ip_address(text).version != subnet.ip_version:
            raise errors.InvalidInput(error_message=f"{name} '{text}' does not match the ip_version '{subnet.ip_version}'")
    if net.is_multicast or (net.is_loopback and net.version == 4):
        raise errors.InvalidInput(error_message=f"'{subnet.cidr}' is a multicast or loopback network")
    if net.prefixlen == 0: raise errors.InvalidInput(error_message="0 is not allowed as CIDR prefix length")
    if network.mtu < LEAST_MTU[subnet.ip_version]:
        raise errors.NetworkMTUSubnetConflict(mtu=network.mtu, least=LEAST_MTU[subnet.ip_version], version=subnet.ip_version)


def _check_overlap(db: Session, subnet: Subnet) -> None:
    for cidr in db.scalars(select(Subnet.cidr).where(Subnet.network_id == subnet.network_id)):
        if addressing.overlap(cidr, subnet.cidr):
            raise errors.InvalidInput(error_message=f"Requested subnet with cidr: {subnet.cidr} for network: {subnet.network_id} overlaps "
                                                    "with another subnet")


def _check_ipv6(subnet: Subnet) -> None:
    address, ra = subnet.ipv6_address_mode, subnet.ipv6_ra_mode
    if address is None and ra is None: return
    if subnet.ip_version == 4: raise errors.InvalidInput(error_message="ipv6_ra_mode or ipv6_address_mode cannot be set with ip_version 4")
    if not subnet.enable_dhcp:
        raise errors.InvalidInput(error_message="ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False")
    if address and ra and address != ra:
        raise errors.InvalidInput(error_message=f"ipv6_ra_mode set to '{ra}' with ipv6_address_mode set to '{address}' is not valid. If "
                                                "both attributes are set, they must be the same value")
    if (address in AUTOMATIC or ra in AUTOMATIC) and ip_network(subnet.cidr).prefixlen != 64:
        raise errors.InvalidInput(error_message=f"Invalid CIDR {subnet.cidr} for IPv6 address mode. OpenStack uses the EUI-64 address "
                                                "format, which requires the prefix to be /64")


def _check_lists(subnet_id: str, values: dict[str, Any]) -> None:
    servers, routes = values.get("dns_nameservers") or [], values.get("host_routes") or []
    if len(servers) > MOST_DNS_SERVERS: raise errors.DNSNameServersExhausted(subnet_id=subnet_id, quota=MOST_DNS_SERVERS)
    if len(servers) != len(set(servers)): raise errors.InvalidInput(error_message="Duplicate nameserver in dns_nameservers")
    if len(routes) > MOST_HOST_ROUTES: raise errors.HostRoutesExhausted(subnet_id=subnet_id, quota=MOST_HOST_ROUTES)


def _routes(given: list[dict[str, str]]) -> list[dict[str, str]]:
    kept = []
    for route in given:
        try: kept.append({"destination": str(ip_network(route["destination"], strict=False)), "nexthop": str(ip_address(route["nexthop"]))})
        except ValueError as failure: raise errors.InvalidInput(error_message=f"host_routes: {failure}") from None
    if any(route in kept[at + 1:] for at, route in enumerate(kept)):
        raise errors.InvalidInput(error_message="Duplicate hostroute in host_routes")
    return kept


def _check_gateway(cidr: str, gateway: str | None) -> None:
    """A gateway may lie outside of the block (an on-link next hop), but not be its network or broadcast address."""
    if gateway is None or ip_network(cidr).num_addresses <= 2: return
    if addressing.contains(cidr, gateway) and not addressing.usable(cidr, gateway) and ip_network(cidr).version == 4:
        raise errors.InvalidInput(error_message=f"Gateway IP {gateway} is not valid on subnet {cidr}")


def checked_pools(subnet: Subnet, given: list[dict[str, str]], gateway: str | None) -> list[addressing.Range]:
    """The pools in order. Raises InvalidAllocationPool, OutOfBoundsAllocationPool, OverlappingAllocationPools,
    GatewayConflictWithAllocationPools."""
    ranges = []
    for pool in given:
        shown = f"{pool['start']}-{pool['end']}"
        try: first, last = ip_address(pool["start"]), ip_address(pool["end"])
        except ValueError: raise errors.InvalidAllocationPool(pool=shown[:100]) from None
        if first.version != last.version or first.version != subnet.ip_version or int(first) > int(last):
            raise errors.InvalidAllocationPool(pool=shown)
        if not all(addressing.usable(subnet.cidr, str(end)) for end in (first, last)):
            raise errors.OutOfBoundsAllocationPool(pool=shown, subnet_cidr=subnet.cidr)
        ranges.append((int(first), int(last), str(first), str(last)))
    ranges.sort()
    for one, other in pairwise(ranges):
        if other[0] <= one[1]:
            raise errors.OverlappingAllocationPools(pool_1=f"{one[2]}-{one[3]}", pool_2=f"{other[2]}-{other[3]}", subnet_cidr=subnet.cidr)
    _check_gateway_free(gateway, ranges)
    return [(first_text, last_text) for _, _, first_text, last_text in ranges]


def _check_gateway_free(gateway: str | None, ranges: list[tuple[int, int, str, str]]) -> None:
    if gateway is None: return
    number = int(ip_address(gateway))
    for first, last, low, high in ranges:
        if first <= number <= last: raise errors.GatewayConflictWithAllocationPools(ip_address=gateway, pool=f"{low}-{high}")


def change(call: Call, subnet: Subnet, changes: dict[str, Any]) -> None:
    """A gateway that a router has stays; DHCP's port comes and goes with DHCP."""
    assert call.db is not None
    check_revision(call, subnet)
    network = call.db.get_one(Network, subnet.network_id)
    _check_family(subnet, network, changes)
    _check_lists(subnet.id, changes)
    if "host_routes" in changes: changes["host_routes"] = _routes(changes["host_routes"])
    gateway = changes.get("gateway_ip", subnet.gateway_ip)
    if gateway != subnet.gateway_ip:
        _check_gateway(subnet.cidr, gateway)
        _check_gateway_unused(call.db, subnet)
    if "allocation_pools" in changes or gateway != subnet.gateway_ip:
        set_pools(call.db, subnet, checked_pools(subnet, changes.pop("allocation_pools", None) or subnet.allocation_pools, gateway))
    if changes.get("enable_dhcp") is False and (subnet.ipv6_address_mode or subnet.ipv6_ra_mode):
        raise errors.InvalidInput(error_message="Cannot disable enable_dhcp with ipv6 attributes set")
    if changes.get("enable_dhcp", subnet.enable_dhcp) != subnet.enable_dhcp:
        subnet.enable_dhcp = changes["enable_dhcp"]
        call.db.flush()
        service_port.serve_metadata(call.db, network)


def _check_gateway_unused(db: Session, subnet: Subnet) -> None:
    held = select(Allocation.port_id).join(Port, Port.id == Allocation.port_id).where(
        Allocation.network_id == subnet.network_id, Allocation.ip_address == subnet.gateway_ip, Port.device_owner == service_port.INTERFACE)
    if port_id := db.scalar(held): raise errors.GatewayIpInUse(ip_address=subnet.gateway_ip, port_id=port_id)


def remove(call: Call, subnet: Subnet) -> bool:
    """Ports that have addresses only by themselves (SLAAC) or for DHCP lose them; any other address keeps the subnet."""
    assert call.db is not None
    check_revision(call, subnet)
    db = call.db
    ports = list(db.query(Port).join(Allocation, Allocation.port_id == Port.id).where(Allocation.subnet_id == subnet.id))
    for port in ports:
        if port.device_owner == service_port.METADATA: continue
        if not is_automatic(subnet) or port.device_owner == service_port.INTERFACE:
            raise errors.SubnetInUse(subnet_id=subnet.id, reason="One or more ports have an IP allocation from this subnet")
    for port in ports:
        release(db, port, [ip["ip_address"] for ip in port.fixed_ips if ip["subnet_id"] == subnet.id])
        port.fixed_ips = [ip for ip in port.fixed_ips if ip["subnet_id"] != subnet.id]
    db.execute(delete(Pool).where(Pool.subnet_id == subnet.id))
    db.delete(subnet)
    db.flush()
    network = db.get_one(Network, subnet.network_id)
    service_port.serve_metadata(db, network)
    bump(network)
    return True  # the row is gone already, so that the metadata port saw what is left


def visible(call: Call) -> ColumnElement[bool]:
    """Own ones and those of own or shared networks (not of merely external ones: their addresses are the administrator's business)."""
    networks = select(Network.id).where(or_(Network.project_id == call.project_id, Network.id.in_(call.grant.get("network", []))))
    return or_(Subnet.project_id == call.project_id, Subnet.network_id.in_(networks), Subnet.network_id.in_(shared_with(call, SHARED)))


def render(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    """Attributes of extensions that have one value here."""
    for body in bodies: body |= {"service_types": [], "segment_id": None, "dns_publish_fixed_ip": False}


def by_shared(call: Call, values: list[str]) -> ColumnElement[bool]:
    """?shared="""
    shared = Subnet.network_id.in_(select(Network.id).where(Network.shared))
    return shared if truth_of(values[-1]) else ~shared


RESOURCE = Resource(
    Subnet, "subnet", "/v2.0/subnets", NEUTRON, quota="subnet", policy=SEEN_BY_AGENTS, missing=errors.SubnetNotFound, visible=visible,
    filters={"shared": by_shared, **tag_filters(Subnet)}, on_create=create, on_update=change, on_delete=remove, on_render=render)
