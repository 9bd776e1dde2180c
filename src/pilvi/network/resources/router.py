"""Router: joins subnets, and with a gateway leads to the outside.

Source: Networking API v2.0, "Routers", "External gateway mode", "Extra routes". Interfaces are in router_interface.py.
"""
from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.dialect import NEUTRON
from pilvi.core.http.routes import Route
from pilvi.core.resource import Resource
from pilvi.core.wire import truth
from pilvi.network import addressing, errors
from pilvi.network.port import service_port
from pilvi.network.port.addresses import choose, give, subnets_of
from pilvi.network.resources.standard import POLICY, bump, check_revision, find_network, own_or_granted, require, tag_filters
from pilvi.network.resources.tables import ROUTES as ROUTE_LIST
from pilvi.network.resources.tables import Allocation, FloatingIp, Network, Port, Router, Subnet

MOST_ROUTES = 30
EXTRA_ROUTES = {"type": "object", "required": ["router"], "properties": {"router": {
    "type": "object", "required": ["routes"], "properties": {"routes": ROUTE_LIST.schema}}}}
Hop = dict[str, str]


def refusal(text: str) -> errors.BadRequest:
    """Neutron's way to say what is wrong with a request about a router."""
    return errors.BadRequest(resource="router", msg=text)


def create(call: Call, router: Router, values: dict[str, Any]) -> None:
    """With a gateway if one is asked for."""
    assert call.db is not None
    wanted = values.get("external_gateway_info")
    router.external_gateway_info, router.routes = None, []
    call.db.add(router)
    call.db.flush()
    if wanted: set_gateway(call, router, wanted, "create_router")


def change(call: Call, router: Router, changes: dict[str, Any]) -> None:
    """Gateway and routes are checked; the rest is written as it is."""
    check_revision(call, router)
    if "external_gateway_info" in changes: set_gateway(call, router, changes.pop("external_gateway_info") or {}, "update_router")
    if "routes" in changes: changes["routes"] = checked_routes(call, router, changes["routes"] or [])


def set_gateway(call: Call, router: Router, wanted: dict[str, Any], action: str) -> None:
    """Sets, changes or (nothing wanted) removes the gateway. Raises BadRequest, RouterExternalGatewayInUseByFloatingIp."""
    assert call.db is not None
    db = call.db
    for name in ("enable_snat", "external_fixed_ips"):
        if name in wanted: require(call, f"{action}:external_gateway_info:{name}", {"project_id": router.project_id})
    network_id = wanted.get("network_id")
    if wanted and not network_id: raise refusal("external_gateway_info needs a network_id")
    if router.gateway_network_id and network_id != router.gateway_network_id: _drop_gateway(db, router)
    if not network_id: return
    network = find_network(call, network_id)
    if not network.external: raise refusal(f"Network {network_id} is not an external network")
    port = _gateway_port(db, router, network, wanted.get("external_fixed_ips"))
    before = router.external_gateway_info or {}
    snat = truth(wanted.get("enable_snat", before.get("enable_snat", True)))
    router.gateway_network_id, router.gateway_port_id = network.id, port.id
    router.external_gateway_info = {"network_id": network.id, "enable_snat": snat,
                                    "external_fixed_ips": [dict(ip) for ip in port.fixed_ips]}
    router.updated_at = clock.now()
    _check_next_hops(db, router, router.routes or [])


def _gateway_port(db: Session, router: Router, network: Network, wishes: list[Hop] | None) -> Port:
    subnets = subnets_of(db, network.id)
    _check_disjoint(db, router, subnets)
    if router.gateway_port_id is None:
        return service_port.make(db, network.id, service_port.GATEWAY, router.id, "", wishes if subnets else [])
    port = db.get_one(Port, router.gateway_port_id)
    if wishes is not None: give(db, port, choose(port, subnets, wishes))
    return port


def _drop_gateway(db: Session, router: Router) -> None:
    used = select(FloatingIp.id).where(FloatingIp.router_id == router.id, FloatingIp.floating_network_id == router.gateway_network_id)
    if db.execute(used.limit(1)).first():
        raise errors.RouterExternalGatewayInUseByFloatingIp(router_id=router.id, net_id=router.gateway_network_id)
    assert router.gateway_port_id is not None
    port = db.get_one(Port, router.gateway_port_id)
    left = [subnet for subnet in router_subnets(db, router) if subnet.network_id != router.gateway_network_id]
    _check_hops_within(router, left, [])
    service_port.remove(db, [port.id])
    router.gateway_network_id = router.gateway_port_id = router.external_gateway_info = None


def _check_disjoint(db: Session, router: Router, new: list[Subnet]) -> None:
    for subnet in router_subnets(db, router):
        for other in new: check_overlap(subnet, other)


def check_overlap(present: Subnet, new: Subnet) -> None:
    """Raises BadRequest if a router could not tell the subnets apart."""
    if present.id == new.id or not addressing.overlap(present.cidr, new.cidr): return
    raise refusal(f"Cidr {new.cidr} of subnet {new.id} overlaps with cidr {present.cidr} of subnet {present.id}")


def router_subnets(db: Session, router: Router) -> list[Subnet]:
    """The subnets on which the router has an address, the gateway's included."""
    ids = select(Allocation.subnet_id).join(Port, Port.id == Allocation.port_id).where(
        Port.device_id == router.id, Port.device_owner.in_([service_port.INTERFACE, service_port.GATEWAY]))
    return list(db.query(Subnet).where(Subnet.id.in_(ids)))


def checked_routes(call: Call, router: Router, given: list[Hop]) -> list[Hop]:
    """The routes as they are kept. Raises InvalidRoutes, RoutesExhausted."""
    assert call.db is not None
    if len(given) > MOST_ROUTES: raise errors.RoutesExhausted(router_id=router.id, quota=MOST_ROUTES)
    routes = [_route(given, route) for route in given]
    if any(route in routes[at + 1:] for at, route in enumerate(routes)):
        raise errors.InvalidRoutes(routes=routes, reason="Duplicate routes")
    _check_next_hops(call.db, router, routes)
    return routes


def _route(all_given: list[Hop], route: Hop) -> Hop:
    try:
        destination, hop = ip_network(route["destination"], strict=False), ip_address(route["nexthop"])
    except ValueError as failure: raise errors.InvalidRoutes(routes=all_given, reason=str(failure)) from None
    if destination.version != hop.version:
        raise errors.InvalidRoutes(routes=all_given, reason="destination and nexthop are of different families")
    return {"destination": str(destination), "nexthop": str(hop)}


def _check_next_hops(db: Session, router: Router, routes: list[Hop]) -> None:
    if not routes: return
    own = [ip["ip_address"] for (ips,) in db.execute(select(Port.fixed_ips).where(
        Port.device_id == router.id, Port.device_owner.in_([service_port.INTERFACE, service_port.GATEWAY]))) for ip in ips]
    subnets = router_subnets(db, router)
    for route in routes:
        if not any(addressing.contains(subnet.cidr, route["nexthop"]) for subnet in subnets):
            raise errors.InvalidRoutes(routes=routes, reason="the nexthop is not connected with router")
        if route["nexthop"] in own: raise errors.InvalidRoutes(routes=routes, reason="the nexthop is used by router")


def _check_hops_within(router: Router, subnets: list[Subnet], but: list[str]) -> None:
    """Raises InvalidRoutes if a route's next hop would be lost."""
    for route in router.routes or []:
        if not any(addressing.contains(s.cidr, route["nexthop"]) for s in subnets if s.id not in but):
            raise errors.InvalidRoutes(routes=router.routes, reason="the nexthop is not connected with router")


def remove(call: Call, router: Router) -> None:
    """Its gateway goes with it; interfaces keep it."""
    assert call.db is not None
    check_revision(call, router)
    interfaces = select(Port.id).where(Port.device_id == router.id, Port.device_owner == service_port.INTERFACE)
    if call.db.execute(interfaces.limit(1)).first(): raise errors.RouterInUse(router_id=router.id)
    router.routes = []
    if router.gateway_port_id: _drop_gateway(call.db, router)


def change_routes(call: Call, id: str, *, add: bool) -> dict[str, Any]:
    """PUT …/add_extraroutes and …/remove_extraroutes: like sets, so that two clients do not undo each other's."""
    assert call.db is not None
    router = RESOURCE.find(call, id)
    RESOURCE.permit(call, "update", {"project_id": router.project_id})
    given = [_route(call.body["router"]["routes"], route) for route in call.body["router"]["routes"]]
    before = list(router.routes or [])
    wanted = [*before, *(route for route in given if route not in before)] if add else [route for route in before if route not in given]
    router.routes = checked_routes(call, router, wanted)
    router.updated_at = clock.now()
    bump(router)
    call.db.flush()
    return RESOURCE.wrap(RESOURCE.render(call, [router])[0])


def render(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    """Zones and flavors have one value here."""
    for body in bodies: body |= {"availability_zones": ["nova"], "routes": body["routes"] or [], "flavor_id": None}


RESOURCE = Resource(
    Router, "router", "/v2.0/routers", NEUTRON, quota="router", policy=POLICY, missing=errors.RouterNotFound,
    visible=own_or_granted(Router, "router"), filters=tag_filters(Router),
    on_create=create, on_update=change, on_delete=remove, on_render=render)
ROUTES = [Route(f"/v2.0/routers/{{id}}/{verb}_extraroutes", "PUT", lambda call, id, add=add: change_routes(call, id, add=add), None,
                transaction="write", body=EXTRA_ROUTES) for verb, add in (("add", True), ("remove", False))]
