"""A server's network cards and addresses.

Source: Compute API, "Port interfaces", "Servers IPs"; microversions 2.49, 2.70.
"""
from __future__ import annotations

from typing import Any

from pilvi.compute import errors
from pilvi.compute.resources import server as servers
from pilvi.compute.resources.server import RESOURCE as SERVERS
from pilvi.compute.resources.server_task import add, wake
from pilvi.compute.resources.task import record
from pilvi.compute.resources.volume_attachment import ready
from pilvi.compute.server.attach import ATTACH
from pilvi.core.context import Call
from pilvi.core.errors import Invalid, NotFound
from pilvi.core.http.app import Response
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.core.resource import PERSONAS
from pilvi.network import client as network

FLOWS = {flow.name: flow for flow in ATTACH}


def _shown(port: dict[str, Any]) -> dict[str, Any]:
    return {"port_id": port["id"], "net_id": port["network_id"], "mac_addr": port["mac_address"], "port_state": port["status"],
            "fixed_ips": port["fixed_ips"]}


def _find(call: Call, id: str) -> Any:
    assert call.application is not None
    with call.application.database.read() as call.db: server = SERVERS.find(call, id)
    call.db = None
    return server


def list_interfaces(call: Call, id: str) -> dict[str, Any]:
    """GET /servers/{id}/os-interface"""
    _find(call, id)
    return {"interfaceAttachments": [_shown(port) for port in network.list_ports(call, device_id=id)]}


def show(call: Call, id: str, port_id: str) -> dict[str, Any]:
    """GET /servers/{id}/os-interface/{port_id}"""
    _find(call, id)
    port = next((p for p in network.list_ports(call, device_id=id) if p["id"] == port_id), None)
    if port is None: raise NotFound(f"Instance {id} does not have a port with id {port_id}")
    return {"interfaceAttachment": _shown(port)}


def attach(call: Call, id: str) -> dict[str, Any]:
    """POST /servers/{id}/os-interface: a port is made (or taken) with the user's token; the host plugs it."""
    assert call.application is not None
    asked = (call.body or {}).get("interfaceAttachment") or {}
    server = ready(call, id)
    if asked.get("port_id") and asked.get("net_id"): raise Invalid("Must not input both network_id and port_id")
    port = _take(call, server, asked)
    facts = {"port_id": port["id"], "network": port["network_id"], "brought": bool(asked.get("port_id"))}
    with call.application.database.write() as call.db:
        work = add(call, server, FLOWS["attach_interface"], facts)
        record(call, id, "attach_interface")
    call.db = None
    wake(call, work)
    return {"interfaceAttachment": _shown(port)}


def _take(call: Call, server: Any, asked: dict[str, Any]) -> dict[str, Any]:
    mine = {"device_id": server.id, "device_owner": "compute:" + (server.availability_zone or "nova")}
    if asked.get("port_id"):
        try: port = network.show_port(call, asked["port_id"])
        except NotFound: raise errors.PortUnknown(id=asked["port_id"]) from None
        if port.get("device_id"): raise errors.PortInUse(id=port["id"])
        return network.update_port(call, port["id"], mine)
    network_id = asked.get("net_id")
    if not network_id:
        own = network.list_networks(call, tenant_id=call.project_id)
        if len(own) != 1: raise errors.NetworkAmbiguous()
        network_id = own[0]["id"]
    fixed = {"fixed_ips": asked["fixed_ips"]} if asked.get("fixed_ips") else {}
    try: return network.create_port(call, {"network_id": network_id, **mine, **fixed})
    except NotFound: raise errors.NetworkUnknown(id=network_id) from None


def detach(call: Call, id: str, port_id: str) -> Response:
    """DELETE /servers/{id}/os-interface/{port_id}"""
    assert call.application is not None
    server = ready(call, id)
    if not any(nic["port_id"] == port_id for nic in server.network_info or []):
        raise NotFound(f"Instance {id} does not have a port with id {port_id}")
    with call.application.database.write() as call.db:
        work = add(call, server, FLOWS["detach_interface"], {"port_id": port_id})
        record(call, id, "detach_interface")
    call.db = None
    wake(call, work)
    return Response(202)


def list_addresses(call: Call, id: str) -> dict[str, Any]:
    """GET /servers/{id}/ips"""
    shown: dict[str, Any] = servers.show(call, id)["server"]["addresses"]
    return {"addresses": {name: [{"version": a["version"], "addr": a["addr"]} for a in found] for name, found in shown.items()}}


def show_addresses(call: Call, id: str, name: str) -> dict[str, Any]:
    """GET /servers/{id}/ips/{network name}"""
    found = list_addresses(call, id)["addresses"]
    if name not in found: raise NotFound("Instance is not a member of specified network")
    return {name: found[name]}


def list_groups(call: Call, id: str) -> dict[str, Any]:
    """GET /servers/{id}/os-security-groups: those of its ports"""
    _find(call, id)
    ids = {group for port in network.list_ports(call, device_id=id) for group in port.get("security_groups", ())}
    known = network.list_security_groups(call, id=sorted(ids)) if ids else []
    return {"security_groups": [{"id": g["id"], "name": g["name"], "description": g.get("description", ""), "tenant_id": g["tenant_id"],
                                 "rules": []} for g in known if g["id"] in ids]}


BODY = {"anyOf": [{"type": "null"}, {"type": "object", "additionalProperties": False, "properties": {"interfaceAttachment": {
    "type": "object", "additionalProperties": False, "properties": {
        "port_id": {"type": "string", "maxLength": 64}, "net_id": {"type": "string", "maxLength": 64},
        "tag": {"type": "string", "maxLength": 60},
        "fixed_ips": {"type": "array", "maxItems": 1, "items": {"type": "object", "required": ["ip_address"],
                                                                "properties": {"ip_address": {"type": "string", "maxLength": 64}}}}}}}}]}
_RULE, _IPS = "os_compute_api:os-attach-interfaces:list", "os_compute_api:ips:index"
RULES = {_RULE: Rule(PERSONAS["anyone"]), _IPS: Rule(PERSONAS["anyone"])}
ROUTES = [
    Route("/v2.1/servers/{id}/os-interface", "GET", list_interfaces, _RULE),
    Route("/v2.1/servers/{id}/os-interface", "POST", attach, None, body=BODY),
    Route("/v2.1/servers/{id}/os-interface/{port_id}", "GET", show, _RULE),
    Route("/v2.1/servers/{id}/os-interface/{port_id}", "DELETE", detach, None),
    Route("/v2.1/servers/{id}/ips", "GET", list_addresses, _IPS),
    Route("/v2.1/servers/{id}/ips/{name}", "GET", show_addresses, _IPS),
    Route("/v2.1/servers/{id}/os-security-groups", "GET", list_groups, _RULE),
]
