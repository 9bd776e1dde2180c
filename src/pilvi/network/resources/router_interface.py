"""A router's interfaces: by subnet (the router gets the gateway's address) or by a port that exists.

Source: Networking API v2.0, "Add interface to router", "Remove interface from router".
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.http.routes import Route
from pilvi.core.wire import uuid
from pilvi.network import addressing, errors
from pilvi.network.port import service_port
from pilvi.network.port.addresses import choose, give, subnets_of
from pilvi.network.resources.port import RESOURCE as PORT
from pilvi.network.resources.router import RESOURCE as ROUTER
from pilvi.network.resources.router import check_overlap, refusal, router_subnets
from pilvi.network.resources.standard import bump
from pilvi.network.resources.subnet import RESOURCE as SUBNET
from pilvi.network.resources.tables import Allocation, FloatingIp, Port, PortGroup, Router, Sharing, Subnet

BODY = {"type": "object", "properties": {"subnet_id": uuid().schema, "port_id": uuid().schema}}


def add(call: Call, id: str) -> dict[str, Any]:
    """PUT /v2.0/routers/{id}/add_router_interface"""
    assert call.db is not None
    router = _router(call, id)
    subnet_id, port_id = _asked(call)
    if subnet_id and port_id: raise refusal("Cannot specify both subnet-id and port-id")
    if port_id: port, subnets = _take_port(call, router, port_id)
    else:
        subnet = SUBNET.find(call, subnet_id)
        _check_lent(call, subnet)
        port, subnets = _make_port(call.db, router, subnet), [subnet]
    return _told(call, router, port, subnets)


def _router(call: Call, id: str) -> Router:
    router: Router = ROUTER.find(call, id)
    ROUTER.permit(call, "update", {"project_id": router.project_id})
    return router


def _asked(call: Call) -> tuple[str, str]:
    subnet_id, port_id = call.body.get("subnet_id") or "", call.body.get("port_id") or ""
    if not subnet_id and not port_id: raise refusal("Either subnet_id or port_id must be specified")
    return subnet_id, port_id


def _check_lent(call: Call, subnet: Subnet) -> None:
    """The router takes the gateway's address, and with it the way of everybody's packets; so not on a subnet that is only there for all.
    One whose network was shared with this project by name will do, as upstream."""
    assert call.db is not None
    if call.is_admin or subnet.project_id == call.project_id: return
    lent = select(Sharing.id).where(Sharing.object_id == subnet.network_id, Sharing.action == "access_as_shared",
                                    Sharing.target_project == call.project_id)
    if call.db.execute(lent).first() is None:
        raise refusal(f"Cannot add interface to router because subnet {subnet.id} is not owned by project making the request")


def _check_new(db: Session, router: Router, subnet: Subnet) -> None:
    for present in router_subnets(db, router):
        if present.id == subnet.id: raise refusal(f"Router already has a port on subnet {subnet.id}")
        check_overlap(present, subnet)


def _make_port(db: Session, router: Router, subnet: Subnet) -> Port:
    if subnet.gateway_ip is None: raise refusal("Subnet for router interface must have a gateway IP")
    if not addressing.usable(subnet.cidr, subnet.gateway_ip):
        raise refusal(f"Gateway IP {subnet.gateway_ip} is not on subnet {subnet.id}")
    _check_new(db, router, subnet)
    wish = {"subnet_id": subnet.id, "ip_address": subnet.gateway_ip}
    if subnet.ip_version == 6 and (port := _ipv6_port(db, router, subnet.network_id)):
        give(db, port, choose(port, subnets_of(db, subnet.network_id), [*port.fixed_ips, wish]))
        return port
    return service_port.make(db, subnet.network_id, service_port.INTERFACE, router.id, router.project_id, [wish])


def _ipv6_port(db: Session, router: Router, network_id: str) -> Port | None:
    """A router has one port for all IPv6 subnets of a network."""
    ports = db.query(Port).where(Port.device_id == router.id, Port.network_id == network_id, Port.device_owner == service_port.INTERFACE)
    return next((port for port in ports if any(":" in ip["ip_address"] for ip in port.fixed_ips)), None)


def _take_port(call: Call, router: Router, port_id: str) -> tuple[Port, list[Subnet]]:
    assert call.db is not None
    db = call.db
    port: Port = PORT.find(call, port_id)
    if port.device_id: raise errors.PortInUse(port_id=port.id, net_id=port.network_id, device_id=port.device_id)
    if not port.fixed_ips: raise refusal("Router port must have at least one fixed IP")
    on_port = {ip["subnet_id"] for ip in port.fixed_ips}
    subnets = [subnet for subnet in subnets_of(db, port.network_id) if subnet.id in on_port]
    if len([s for s in subnets if s.ip_version == 4]) > 1:
        raise refusal("Cannot have multiple IPv4 subnets on router port")
    for subnet in subnets: _check_new(db, router, subnet)
    port.device_id, port.device_owner = router.id, service_port.INTERFACE
    port.security_groups, port.port_security_enabled, port.allowed_address_pairs = [], False, []
    for membership in db.query(PortGroup).where(PortGroup.port_id == port.id): db.delete(membership)
    port.updated_at = clock.now()
    bump(port)
    return port, subnets


def _told(call: Call, router: Router, port: Port, subnets: list[Subnet]) -> dict[str, Any]:
    assert call.db is not None
    router.updated_at = clock.now()
    bump(router)
    call.db.flush()
    ids = [subnet.id for subnet in subnets]
    return {"id": router.id, "tenant_id": router.project_id, "project_id": router.project_id, "port_id": port.id,
            "network_id": port.network_id, "subnet_id": ids[0] if ids else None, "subnet_ids": ids, "tags": router.tags or []}


def remove(call: Call, id: str) -> dict[str, Any]:
    """PUT /v2.0/routers/{id}/remove_router_interface: by port, by subnet, or by both if they agree."""
    assert call.db is not None
    db = call.db
    router = _router(call, id)
    subnet_id, port_id = _asked(call)
    port = _interface(db, router, subnet_id, port_id)
    on_port = [subnet for subnet in subnets_of(db, port.network_id) if any(ip["subnet_id"] == subnet.id for ip in port.fixed_ips)]
    leaving = [subnet for subnet in on_port if not subnet_id or subnet.id == subnet_id]
    for subnet in leaving: _check_unused(db, router, subnet)
    if len(leaving) < len(on_port) and not port_id:
        give(db, port, choose(port, on_port, [ip for ip in port.fixed_ips if ip["subnet_id"] != subnet_id]))
    else: service_port.remove(db, [port.id])
    return _told(call, router, port, leaving)


def _interface(db: Session, router: Router, subnet_id: str, port_id: str) -> Port:
    ports = select(Port).where(Port.device_id == router.id, Port.device_owner == service_port.INTERFACE)
    if port_id:
        port = db.scalar(ports.where(Port.id == port_id))
        if port is None: raise errors.RouterInterfaceNotFound(router_id=router.id, port_id=port_id)
        if subnet_id and all(ip["subnet_id"] != subnet_id for ip in port.fixed_ips):
            raise refusal(f"Subnet mismatch: port {port_id} has no address on subnet {subnet_id}")
        return port
    port = db.scalar(ports.join(Allocation, Allocation.port_id == Port.id).where(Allocation.subnet_id == subnet_id))
    if port is None: raise errors.RouterInterfaceNotFoundForSubnet(router_id=router.id, subnet_id=subnet_id)
    return port


def _check_unused(db: Session, router: Router, subnet: Subnet) -> None:
    on_subnet = select(Allocation.ip_address).where(Allocation.subnet_id == subnet.id)
    floating = select(FloatingIp.id).join(Port, Port.id == FloatingIp.port_id).where(
        FloatingIp.router_id == router.id, Port.network_id == subnet.network_id, FloatingIp.fixed_ip_address.in_(on_subnet))
    if db.execute(floating.limit(1)).first(): raise errors.RouterInterfaceInUseByFloatingIP(router_id=router.id, subnet_id=subnet.id)
    if any(addressing.contains(subnet.cidr, route["nexthop"]) for route in router.routes or []):
        raise errors.RouterInterfaceInUseByRoute(router_id=router.id, subnet_id=subnet.id)


ROUTES = [Route("/v2.0/routers/{id}/add_router_interface", "PUT", add, None, transaction="write", body=BODY),
          Route("/v2.0/routers/{id}/remove_router_interface", "PUT", remove, None, transaction="write", body=BODY)]
