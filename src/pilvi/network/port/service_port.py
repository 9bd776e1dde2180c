"""Ports that this service makes for itself: routers' and floating IPs', and each network's port for DHCP and metadata."""
from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from pilvi.core.crypto import new_id
from pilvi.network import addressing, errors
from pilvi.network.port.addresses import Wish, allocate, choose, give, release_all, subnets_of
from pilvi.network.resources.tables import Network, Port, PortGroup

INTERFACE = "network:router_interface"
GATEWAY = "network:router_gateway"
FLOATING_IP = "network:floatingip"
METADATA = "network:distributed"
OWN = (INTERFACE, GATEWAY, FLOATING_IP, METADATA)


def new_mac(db: Session, network_id: str) -> str:
    """A MAC that no port of the network has."""
    while True:
        mac = addressing.random_mac()
        if not mac_taken(db, network_id, mac): return mac


def mac_taken(db: Session, network_id: str, mac: str) -> bool:
    """Does a port of the network have this MAC?"""
    return db.execute(select(Port.id).where(Port.network_id == network_id, Port.mac_address == mac)).first() is not None


def make(db: Session, network_id: str, owner: str, device_id: str, project_id: str, wishes: Sequence[Wish] | None) -> Port:
    """A port without groups and filters, with the addresses wished for (None: as any port). Raises what `allocate` raises."""
    port = Port(id=new_id(), network_id=network_id, project_id=project_id, device_owner=owner, device_id=device_id, name="",
                mac_address=new_mac(db, network_id), port_security_enabled=False, fixed_ips=[], security_groups=[])
    allocate(db, port, wishes)
    db.add(port)
    db.flush()
    return port


def remove(db: Session, port_ids: Sequence[str]) -> None:
    """Ports, with their addresses and memberships."""
    release_all(db, port_ids)
    for at in range(0, len(port_ids), 500):
        some = port_ids[at:at + 500]
        db.execute(delete(PortGroup).where(PortGroup.port_id.in_(some)))
        db.execute(delete(Port).where(Port.id.in_(some)), execution_options={"synchronize_session": "fetch"})


def serve_metadata(db: Session, network: Network) -> None:
    """Keeps the network's port for DHCP and metadata: with an address in each IPv4 subnet that has DHCP; none without such subnets.
    A subnet without a free address is left out: its machines need them more."""
    subnets = [s for s in subnets_of(db, network.id) if s.enable_dhcp and s.ip_version == 4]
    port = db.query(Port).where(Port.network_id == network.id, Port.device_owner == METADATA).first()
    if not subnets:
        if port: remove(db, [port.id])
        return
    if port is None: port = make(db, network.id, METADATA, f"ovnmeta-{network.id}", network.project_id, [])
    wishes = [dict(ip) for ip in port.fixed_ips if ip["subnet_id"] in {s.id for s in subnets}]
    for subnet in subnets:
        if any(wish["subnet_id"] == subnet.id for wish in wishes): continue
        try: give(db, port, choose(port, subnets, [*wishes, {"subnet_id": subnet.id}]))
        except errors.IpAddressGenerationFailure: continue
        wishes = [dict(ip) for ip in port.fixed_ips]
    if wishes != port.fixed_ips: give(db, port, choose(port, subnets, wishes))
    db.flush()
