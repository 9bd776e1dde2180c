"""What compute and agents call of network. `steps` names the service's token check in a boot's trace: {"validate": "boot.24"}.

An agent's call carries a grant (`call.grant_text`) that names what it may touch: "server" and "project" (make ports for that server in that
project; list, change and delete ports whose device it is), "network" (where), "port" and "security_group".
"""
from __future__ import annotations

from typing import Any

from pilvi.core.context import Call
from pilvi.core.errors import NotFound
from pilvi.core.http.client import send

Steps = dict[str, str] | None
Body = dict[str, Any]


def _list(call: Call, plural: str, query: dict[str, Any], steps: Steps) -> list[Body]:
    path = "/v2.0/" + plural.replace("_", "-")
    found: list[Body] = send(call, "network", "GET", path, query=query, steps=steps).json()[plural]
    return found


def _show(call: Call, name: str, path: str, steps: Steps) -> Body:
    found: Body = send(call, "network", "GET", path, steps=steps).json()[name]
    return found


def list_networks(call: Call, *, steps: Steps = None, **query: Any) -> list[Body]:
    """Networks that the caller may use."""
    return _list(call, "networks", query, steps)


def show_network(call: Call, id: str, *, steps: Steps = None) -> Body:
    """Raises NotFound."""
    return _show(call, "network", f"/v2.0/networks/{id}", steps)


def list_subnets(call: Call, *, steps: Steps = None, **query: Any) -> list[Body]:
    """Subnets, for example of one network_id."""
    return _list(call, "subnets", query, steps)


def list_ports(call: Call, *, steps: Steps = None, **query: Any) -> list[Body]:
    """Ports, for example of one device_id."""
    return _list(call, "ports", query, steps)


def show_port(call: Call, id: str, *, steps: Steps = None) -> Body:
    """Raises NotFound."""
    return _show(call, "port", f"/v2.0/ports/{id}", steps)


def create_port(call: Call, values: Body, *, steps: Steps = None) -> Body:
    """Raises NotFound (the network, a group), Conflict (no address is left, quota), Invalid."""
    made: Body = send(call, "network", "POST", "/v2.0/ports", body={"port": values}, steps=steps).json()["port"]
    return made


def update_port(call: Call, id: str, values: Body, *, steps: Steps = None) -> Body:
    """Changes what is named, the binding for example. Raises NotFound, Conflict, Invalid."""
    changed: Body = send(call, "network", "PUT", f"/v2.0/ports/{id}", body={"port": values}, steps=steps).json()["port"]
    return changed


def delete_port(call: Call, id: str, *, steps: Steps = None) -> None:
    """Repeatable: a port that is gone is well."""
    try: send(call, "network", "DELETE", f"/v2.0/ports/{id}", steps=steps)
    except NotFound: return


def list_security_groups(call: Call, *, steps: Steps = None, **query: Any) -> list[Body]:
    """Security groups, each with its rules."""
    return _list(call, "security_groups", query, steps)


def list_floating_ips(call: Call, *, steps: Steps = None, **query: Any) -> list[Body]:
    """Floating IPs, for example of one port_id."""
    return _list(call, "floatingips", query, steps)
