"""Network: a layer-2 segment. Tunnelled between hosts unless an administrator lays it on a provider network.

Source: Networking API v2.0, "Networks", "Provider extended attributes", "External network", "Network MTU", "Port security".
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, delete, or_, select
from sqlalchemy.orm import Session

from pilvi.core.context import Call
from pilvi.core.dialect import NEUTRON
from pilvi.core.listing import truth_of
from pilvi.core.resource import Resource
from pilvi.network import errors
from pilvi.network.config import Config, config_of
from pilvi.network.port import service_port
from pilvi.network.resources.security_group import default_group
from pilvi.network.resources.standard import (
    EXTERNAL,
    SEEN_BY_AGENTS,
    SHARED,
    check_revision,
    permit_attributes,
    refuse_agents,
    shared_with,
    tag_filters,
    visible_networks,
)
from pilvi.network.resources.tables import FloatingIp, Network, Pool, Port, Router, Sharing, Subnet, SubnetPool

LEAST_MTU = {4: 68, 6: 1280}
IN_THE_WAY = 10
"""How many port ids an error names."""


def create(call: Call, network: Network, values: dict[str, Any]) -> None:
    """Checks provider attributes and MTU; makes the project's default group and the sharing that the flags mean."""
    assert call.db is not None
    config = config_of(call.application)
    permit_attributes(call, "create_network", Network, values, network.project_id)
    _check_provider(call.db, network, config)
    most = config.provider_mtu if network.physical_network else config.tenant_mtu
    network.mtu = values.get("mtu") or most
    _check_mtu(network.mtu, most, [])
    default_group(call.db, network.project_id)
    share(call.db, network, SHARED, network.shared)
    share(call.db, network, EXTERNAL, network.external)


def _check_provider(db: Session, network: Network, config: Config) -> None:
    kind, physical, segment = network.network_type or "geneve", network.physical_network, network.segmentation_id
    network.network_type = kind
    if kind == "geneve":
        if physical: raise errors.InvalidInput(error_message="provider:physical_network specified for geneve network")
        return
    if not physical: raise errors.InvalidInput(error_message=f"provider:physical_network required for {kind} provider network")
    if physical not in config.physical_networks:
        raise errors.InvalidInput(error_message=f"physical_network '{physical}' unknown for {kind} provider network")
    twin = select(Network.id).where(Network.physical_network == physical, Network.network_type == kind)
    if kind == "flat":
        if segment is not None: raise errors.InvalidInput(error_message="provider:segmentation_id specified for flat network")
        if db.scalar(twin): raise errors.FlatNetworkInUse(physical_network=physical)
        return
    if segment is None or not 1 <= segment <= 4094:
        raise errors.InvalidInput(error_message=f"segmentation_id out of range (1 through 4094): {segment}")
    if db.scalar(twin.where(Network.segmentation_id == segment)): raise errors.VlanIdInUse(vlan_id=segment, physical_network=physical)


def _check_mtu(mtu: int, most: int, versions: list[int]) -> None:
    if mtu > most: raise errors.InvalidInput(error_message=f"Requested MTU is too big, maximum is {most}")
    for version in versions:
        if mtu < LEAST_MTU[version]: raise errors.NetworkMTUSubnetConflict(mtu=mtu, least=LEAST_MTU[version], version=version)


def share(db: Session, network: Network, action: str, wanted: bool) -> None:
    """Makes or removes the policy by which every project may."""
    same = [Sharing.object_id == network.id, Sharing.action == action, Sharing.target_project == "*"]
    found = db.scalar(select(Sharing.id).where(*same))
    if wanted and not found:
        db.add(Sharing(project_id=network.project_id, object_type="network", object_id=network.id, action=action, target_project="*"))
    if found and not wanted: db.execute(delete(Sharing).where(*same))


def change(call: Call, network: Network, changes: dict[str, Any]) -> None:
    """What others use already stays."""
    assert call.db is not None
    check_revision(call, network)
    refuse_agents(call, "update_network")
    permit_attributes(call, "update_network", Network, changes, network.project_id)
    if changes.get("shared") is False and network.shared: check_unshared(call.db, network, "*")
    if changes.get("external") is False and network.external: check_no_gateways(call.db, network)
    if "mtu" in changes:
        config = config_of(call.application)
        versions = list(call.db.scalars(select(Subnet.ip_version).where(Subnet.network_id == network.id)))
        _check_mtu(changes["mtu"], config.provider_mtu if network.physical_network else config.tenant_mtu, versions)
    if "shared" in changes: share(call.db, network, SHARED, changes["shared"])
    if changes.get("external") is True: share(call.db, network, EXTERNAL, True)
    if changes.get("external") is False: call.db.execute(delete(Sharing).where(Sharing.object_id == network.id, Sharing.action == EXTERNAL))


def check_unshared(db: Session, network: Network, target: str, successor: str = "") -> None:
    """Raises InvalidSharedSetting if the policy for the target ("*": every one) is what lets a project have ports or subnets there;
    `successor`: whom a new policy would let in instead."""
    others = set(db.scalars(select(Sharing.target_project).where(
        Sharing.object_id == network.id, Sharing.action == SHARED, Sharing.target_project != target))) | {successor}
    if "*" in others: return
    ports = select(Port.project_id).where(Port.network_id == network.id, Port.device_owner.not_in(service_port.OWN))
    users = set(db.scalars(ports.union(select(Subnet.project_id).where(Subnet.network_id == network.id))))
    left = users - others - {network.project_id, ""}
    if left and target in ("*", *left): raise errors.InvalidSharedSetting(network=network.name or network.id)


def check_no_gateways(db: Session, network: Network) -> None:
    """Raises ExternalNetworkInUse if a router or floating IP uses the network."""
    for used in (select(Router.id).where(Router.gateway_network_id == network.id),
                 select(FloatingIp.id).where(FloatingIp.floating_network_id == network.id)):
        if db.execute(used.limit(1)).first(): raise errors.ExternalNetworkInUse(net_id=network.id)


def remove(call: Call, network: Network) -> None:
    """Its subnets, its own port and floating IPs that lead nowhere go with it; others' ports keep it."""
    assert call.db is not None
    check_revision(call, network)
    refuse_agents(call, "delete_network")
    db = call.db
    idle = list(db.query(FloatingIp).where(FloatingIp.floating_network_id == network.id, FloatingIp.port_id.is_(None)))
    service_port.remove(db, [floating.floating_port_id for floating in idle])
    for floating in idle: db.delete(floating)
    ports = list(db.execute(select(Port.id, Port.device_owner).where(Port.network_id == network.id)))
    if used := [port.id for port in ports if port.device_owner != service_port.METADATA]:
        raise errors.NetworkInUse(net_id=network.id, ports=", ".join(used[:IN_THE_WAY]))
    service_port.remove(db, [port.id for port in ports])
    subnets = select(Subnet.id).where(Subnet.network_id == network.id)
    db.execute(delete(Pool).where(Pool.subnet_id.in_(subnets)), execution_options={"synchronize_session": False})
    db.execute(delete(Subnet).where(Subnet.network_id == network.id), execution_options={"synchronize_session": False})
    db.execute(delete(Sharing).where(Sharing.object_id == network.id))


def render(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    """Subnets, zones, and whether it is shared with the caller."""
    assert call.db is not None
    ids = [row.id for row in rows]
    subnets: dict[str, list[str]] = {id: [] for id in ids}
    mine: set[str] = set()
    for at in range(0, len(ids), 500):
        some = ids[at:at + 500]
        order = select(Subnet.network_id, Subnet.id).where(Subnet.network_id.in_(some)).order_by(Subnet.created_at, Subnet.id)
        for network_id, subnet_id in call.db.execute(order): subnets[network_id].append(subnet_id)
        given = shared_with(call, SHARED).where(Sharing.object_id.in_(some))
        mine.update(call.db.scalars(given))
    scopes = _address_scopes(call.db)
    for row, body in zip(rows, bodies, strict=True):
        body |= {"subnets": subnets[row.id], "shared": row.shared or row.id in mine, "availability_zones": ["nova"],
                 "ipv4_address_scope": scopes.get((row.id, 4)), "ipv6_address_scope": scopes.get((row.id, 6))}


def _address_scopes(db: Session) -> dict[tuple[str, int], str]:
    """{(network, IP version): scope} of the networks whose subnets come from pools in a scope: few."""
    found = select(Subnet.network_id, Subnet.ip_version, SubnetPool.address_scope_id).join(
        SubnetPool, SubnetPool.id == Subnet.subnetpool_id).where(SubnetPool.address_scope_id.is_not(None))
    return {(network_id, version): scope for network_id, version, scope in db.execute(found) if scope}


def by_shared(call: Call, values: list[str]) -> ColumnElement[bool]:
    """?shared= means shared with the caller."""
    shared = or_(Network.shared, Network.id.in_(shared_with(call, SHARED)))
    return shared if truth_of(values[-1]) else ~shared


RESOURCE = Resource(
    Network, "network", "/v2.0/networks", NEUTRON, quota="network", policy=SEEN_BY_AGENTS, missing=errors.NetworkNotFound,
    visible=visible_networks, filters={"shared": by_shared, **tag_filters(Network)},
    on_create=create, on_update=change, on_delete=remove, on_render=render)
