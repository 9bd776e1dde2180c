"""What the cloud has to offer: zones, the hosts that serve ports, and how many addresses are left.

Source: Networking API v2.0, "Availability zones", "Agents", "Network IP availability".
"""
from __future__ import annotations

import uuid
from ipaddress import ip_address, ip_network
from typing import Any

from sqlalchemy import ColumnElement, func, select

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.network import errors
from pilvi.network.drivers.interface import Backend
from pilvi.network.resources.standard import ADMIN
from pilvi.network.resources.tables import Allocation, Network, Pool, Port, Subnet

ZONE = "nova"
AGENTS = uuid.UUID("6c1c4bb2-2d0b-4bb1-8d1f-6f0b1a8f3c55")
"""The name space of agents' ids, which are derived from their host's name."""
RULES = {"get_availability_zone": Rule("@"), "get_agent": Rule(ADMIN), "get_network_ip_availability": Rule(ADMIN)}


def list_zones(call: Call) -> dict[str, Any]:
    """GET /v2.0/availability_zones"""
    return {"availability_zones": [{"name": ZONE, "resource": kind, "state": "available"} for kind in ("network", "router")]}


def _agents(call: Call) -> list[dict[str, Any]]:
    """One for each host that has ports; alive as far as the backend says."""
    assert call.db is not None and call.application is not None
    backend: Backend = call.application.state["network_backend"]
    alive, now = backend.health() is None, _moment(clock.now())
    hosts = call.db.execute(select(Port.host, func.min(Port.created_at)).where(Port.host != "").group_by(Port.host).order_by(Port.host))
    return [{"id": str(uuid.uuid5(AGENTS, host)), "agent_type": "OVN Controller agent", "binary": "ovn-controller", "host": host,
             "topic": "n/a", "alive": alive, "admin_state_up": True, "availability_zone": "", "configurations": {}, "description": "",
             "resources_synced": None, "created_at": _moment(since), "started_at": _moment(since), "heartbeat_timestamp": now}
            for host, since in hosts]


def _moment(seconds: float) -> str:
    """As agents' times are written: 2026-11-22 17:00:00."""
    return clock.iso(seconds, zone="").replace("T", " ")


def list_agents(call: Call) -> dict[str, Any]:
    """GET /v2.0/agents, with ?host=, ?agent_type=, ?binary="""
    assert call.request is not None
    asked = {name: value for name, value in call.request.query if name in ("host", "agent_type", "binary", "id")}
    return {"agents": [agent for agent in _agents(call) if all(agent[name] == value for name, value in asked.items())]}


def show_agent(call: Call, id: str) -> dict[str, Any]:
    """GET /v2.0/agents/{id}"""
    found = next((agent for agent in _agents(call) if agent["id"] == id), None)
    if found is None: raise errors.AgentNotFound(id=id)
    return {"agent": found}


def _availability(call: Call, conditions: list[ColumnElement[bool]]) -> list[dict[str, Any]]:
    assert call.db is not None
    db = call.db
    used = {subnet_id: count for subnet_id, count in db.execute(
        select(Allocation.subnet_id, func.count()).group_by(Allocation.subnet_id))}
    pools: dict[str, int] = {}
    for subnet_id, first, last in db.execute(select(Pool.subnet_id, Pool.first, Pool.last)):
        pools[subnet_id] = pools.get(subnet_id, 0) + int(ip_address(last)) - int(ip_address(first)) + 1
    networks = db.execute(select(Network.id, Network.name, Network.project_id).where(*conditions).order_by(Network.id)).all()
    subnets: dict[str, list[dict[str, Any]]] = {}
    for row in db.execute(select(Subnet.id, Subnet.network_id, Subnet.name, Subnet.cidr, Subnet.ip_version)):
        total = pools.get(row.id) or _size(row.cidr)
        subnets.setdefault(row.network_id, []).append({
            "subnet_id": row.id, "subnet_name": row.name, "cidr": row.cidr, "ip_version": row.ip_version, "total_ips": total,
            "used_ips": used.get(row.id, 0)})
    return [{"network_id": id, "network_name": name, "project_id": project_id, "tenant_id": project_id,
             "subnet_ip_availability": subnets.get(id, []), "total_ips": sum(s["total_ips"] for s in subnets.get(id, [])),
             "used_ips": sum(s["used_ips"] for s in subnets.get(id, []))} for id, name, project_id in networks]


def _size(cidr: str) -> int:
    """Without pools: the block less its network and broadcast addresses."""
    size = ip_network(cidr).num_addresses
    return max(size - 2, size if size <= 2 else 0)


def list_availabilities(call: Call) -> dict[str, Any]:
    """GET /v2.0/network-ip-availabilities, with ?network_id=, ?network_name=, ?tenant_id=, ?project_id=, ?ip_version="""
    assert call.request is not None
    columns: dict[str, Any] = {"network_id": Network.id, "network_name": Network.name, "tenant_id": Network.project_id,
                               "project_id": Network.project_id}
    bodies = _availability(call, [columns[name] == value for name, value in call.request.query if name in columns])
    version = call.request.one("ip_version")
    if version: bodies = [body for body in bodies if any(str(s["ip_version"]) == version for s in body["subnet_ip_availability"])]
    return {"network_ip_availabilities": bodies}


def show_availability(call: Call, id: str) -> dict[str, Any]:
    """GET /v2.0/network-ip-availabilities/{id}"""
    found = _availability(call, [Network.id == id])
    if not found: raise errors.NetworkNotFound(id=id)
    return {"network_ip_availability": found[0]}


ROUTES = [
    Route("/v2.0/availability_zones", "GET", list_zones, "get_availability_zone"),
    Route("/v2.0/agents", "GET", list_agents, "get_agent", transaction="read"),
    Route("/v2.0/agents/{id}", "GET", show_agent, "get_agent", transaction="read"),
    Route("/v2.0/network-ip-availabilities", "GET", list_availabilities, "get_network_ip_availability", transaction="read"),
    Route("/v2.0/network-ip-availabilities/{id}", "GET", show_availability, "get_network_ip_availability", transaction="read")]
