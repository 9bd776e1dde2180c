"""Floating IP: an address outside that leads to a port's address inside.

Source: Networking API v2.0, "Floating IPs".
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from pilvi.core.context import Call
from pilvi.core.dialect import NEUTRON
from pilvi.core.resource import Resource
from pilvi.network import errors
from pilvi.network.port import service_port
from pilvi.network.port.floating import clear, router_between
from pilvi.network.resources.port import RESOURCE as PORT
from pilvi.network.resources.standard import SEEN_BY_AGENTS, check_revision, find_network, own_or_granted, permit_attributes, tag_filters
from pilvi.network.resources.tables import FloatingIp, Port

DETAILS = (Port.id, Port.name, Port.network_id, Port.mac_address, Port.admin_state_up, Port.state, Port.device_id, Port.device_owner)


def _refusal(text: str) -> errors.BadRequest:
    return errors.BadRequest(resource="floatingip", msg=text)


def create(call: Call, floating: FloatingIp, values: dict[str, Any]) -> None:
    """Takes an address of the external network and ties it to a port if one is named."""
    assert call.db is not None
    permit_attributes(call, "create_floatingip", FloatingIp, values, floating.project_id)
    network = find_network(call, floating.floating_network_id)
    if not network.external: raise _refusal(f"Network {network.id} is not a valid external network")
    asked = {"ip_address": values.get("floating_ip_address"), "subnet_id": values.get("subnet_id")}
    wish = {name: value for name, value in asked.items() if value}
    outside = service_port.make(call.db, network.id, service_port.FLOATING_IP, floating.id, "", [wish] if wish else None)
    address = next((ip["ip_address"] for ip in outside.fixed_ips if ":" not in ip["ip_address"]), None)
    if address is None:
        raise _refusal(f"Network {network.id} does not contain any IPv4 subnet")
    floating.floating_ip_address, floating.floating_port_id, floating.port_id, floating.fixed_ip_address = address, outside.id, None, None
    floating.status = "DOWN"
    if values.get("port_id"): attach(call, floating, values["port_id"], values.get("fixed_ip_address"))
    elif values.get("fixed_ip_address"):
        raise _refusal("fixed_ip_address cannot be specified without a port_id")


def change(call: Call, floating: FloatingIp, changes: dict[str, Any]) -> None:
    """port_id ties, null unties; without port_id only the description changes."""
    check_revision(call, floating)
    address = changes.pop("fixed_ip_address", None)
    if "port_id" not in changes:
        if address and floating.port_id: attach(call, floating, floating.port_id, address)
        elif address: raise _refusal("fixed_ip_address cannot be specified without a port_id")
        return
    port_id = changes.pop("port_id")
    if port_id: attach(call, floating, port_id, address)
    elif floating.port_id:
        clear(floating)
        floating.revision_number -= 1  # the engine counts the update itself


def attach(call: Call, floating: FloatingIp, port_id: str, fixed_ip: str | None) -> None:
    """Ties the floating IP to an address of the port. Raises BadRequest, ExternalGatewayForFloatingIPNotFound,
    FloatingIPPortAlreadyAssociated."""
    assert call.db is not None
    port: Port = PORT.find(call, port_id)
    if port.project_id and port.project_id != floating.project_id and not call.is_admin:
        raise _refusal(f"Port {port.id} is associated with a different tenant than Floating IP {floating.id} and therefore cannot be bound")
    chosen = _inner_address(port, fixed_ip)
    floating.router_id = router_between(call.db, chosen["subnet_id"], floating.floating_network_id, port.id)
    _check_free(call.db, floating, port, chosen["ip_address"])
    floating.port_id, floating.fixed_ip_address, floating.status = port.id, chosen["ip_address"], "ACTIVE"


def _inner_address(port: Port, asked: str | None) -> dict[str, str]:
    if asked is not None:
        found = next((ip for ip in port.fixed_ips if ip["ip_address"] == asked), None)
        if found is None:
            raise _refusal(f"Port {port.id} does not have fixed ip {asked}")
        if ":" in asked: raise _refusal(f"Fixed IP {asked} is not an IPv4 address")
        return found
    inner = [ip for ip in port.fixed_ips if ":" not in ip["ip_address"]]
    if not inner: raise _refusal(f"Cannot add floating IP to port {port.id} that has no fixed IPv4 addresses")
    if len(inner) > 1:
        raise _refusal(f"Port {port.id} has multiple fixed IPv4 addresses.  "
                       "Must provide a specific IPv4 address when assigning a floating IP")
    return inner[0]


def _check_free(db: Session, floating: FloatingIp, port: Port, address: str) -> None:
    taken = select(FloatingIp.id).where(FloatingIp.port_id == port.id, FloatingIp.fixed_ip_address == address, FloatingIp.id != floating.id)
    if db.execute(taken).first():
        raise errors.FloatingIPPortAlreadyAssociated(floating_ip_address=floating.floating_ip_address, fip_id=floating.id, port_id=port.id,
                                                     fixed_ip=address, net_id=floating.floating_network_id)


def remove(call: Call, floating: FloatingIp) -> None:
    """Its outer address is free again."""
    assert call.db is not None
    check_revision(call, floating)
    service_port.remove(call.db, [floating.floating_port_id])


def render(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    """What clients want to know of the port, without asking again."""
    assert call.db is not None
    ids = [row.port_id for row in rows if row.port_id]
    found = {port.id: port for port in call.db.execute(select(*DETAILS).where(Port.id.in_(ids)))} if ids else {}
    for row, body in zip(rows, bodies, strict=True):
        port = found.get(row.port_id)
        body["port_forwardings"] = []
        body["port_details"] = None if port is None else {
            "name": port.name, "network_id": port.network_id, "mac_address": port.mac_address, "admin_state_up": port.admin_state_up,
            "status": port.state, "device_id": port.device_id, "device_owner": port.device_owner}


RESOURCE = Resource(
    FloatingIp, "floatingip", "/v2.0/floatingips", NEUTRON, quota="floatingip", policy=SEEN_BY_AGENTS, missing=errors.FloatingIPNotFound,
    visible=own_or_granted(FloatingIp, "floatingip"), filters=tag_filters(FloatingIp),
    on_create=create, on_update=change, on_delete=remove, on_render=render)
