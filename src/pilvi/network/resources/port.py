"""Port: a plug on a network, with its MAC, addresses, security groups and the host that serves it.

Source: Networking API v2.0, "Ports", "Port binding", "Port security", "Allowed address pairs", "Extra DHCP options".
"""
from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from sqlalchemy import ColumnElement, delete, insert, or_, select
from sqlalchemy.orm import Session

from pilvi.core.context import Call
from pilvi.core.dialect import NEUTRON
from pilvi.core.errors import Forbidden
from pilvi.core.resource import PERSONAS, Resource
from pilvi.network import errors
from pilvi.network.port import floating, service_port
from pilvi.network.port.addresses import allocate, choose, give, is_automatic, is_routers, release_all, subnets_of
from pilvi.network.port.bind import bind
from pilvi.network.resources.security_group import default_group, usable_ids
from pilvi.network.resources.standard import SEEN_BY_AGENTS, SERVICE_OR, check_revision, find_network, permit_attributes, tag_filters
from pilvi.network.resources.tables import Allocation, Network, Port, PortGroup, Router

PRIVATE = ("binding:host_id", "binding:profile", "binding:vif_type", "binding:vif_details")
"""What only administrators and agents see."""
FIXED_IP_FILTERS = {"ip_address": Allocation.ip_address, "subnet_id": Allocation.subnet_id}


def create(call: Call, port: Port, values: dict[str, Any]) -> None:
    """Fills in MAC, addresses, groups and binding."""
    assert call.db is not None
    network = find_network(call, port.network_id)
    _check_grant(call, port)
    _permit(call, "create_port", values, network)
    _check_router(call, port.project_id, port.device_owner, port.device_id)
    _choose_mac(call.db, port, values.get("mac_address"))
    if values.get("port_security_enabled") is None: port.port_security_enabled = network.port_security_enabled
    port.allowed_address_pairs = _pairs(port, values.get("allowed_address_pairs") or [])
    if port.allowed_address_pairs and not port.port_security_enabled: raise errors.AddressPairAndPortSecurityRequired()
    port.extra_dhcp_opts = _options(values.get("extra_dhcp_opts") or [])
    _join_groups(call, port, values.get("security_groups"))
    port.fixed_ips = []
    allocate(call.db, port, values.get("fixed_ips"))
    port.profile = values.get("profile") or {}
    port.host = ""
    bind(call, call.db, port, values.get("host"))


def _check_grant(call: Call, port: Port) -> None:
    """An agent makes ports only for the server and project of its grant."""
    if call.is_admin or "service" not in call.identity.roles or port.project_id == call.project_id: return
    named = {"project": port.project_id, "server": port.device_id, "network": port.network_id}
    if not all(call.granted(kind, id) for kind, id in named.items()): raise Forbidden(action="create_port")


def _check_router(call: Call, project_id: str, device_owner: str, device_id: str) -> None:
    """A port that says it belongs to a router is plugged into it, so it may not name another project's. Raises DeviceIDNotOwnedByTenant."""
    assert call.db is not None
    if call.is_admin or "service" in call.identity.roles or not is_routers(device_owner): return
    router = call.db.get(Router, device_id)
    if router is not None and router.project_id != project_id: raise errors.DeviceIDNotOwnedByTenant(device_id=device_id)


def _permit(call: Call, action: str, values: dict[str, Any], network: Network) -> None:
    asked = {name: value for name, value in values.items() if value not in (None, [], {})}
    if not str(asked.get("device_owner", "")).startswith("network:"): asked.pop("device_owner", None)
    if not any("ip_address" in wish for wish in asked.get("fixed_ips", [])): asked.pop("fixed_ips", None)
    permit_attributes(call, action, Port, asked, network.project_id)


def _choose_mac(db: Session, port: Port, given: str | None) -> None:
    if given is None: port.mac_address = service_port.new_mac(db, port.network_id)
    elif service_port.mac_taken(db, port.network_id, given): raise errors.MacAddressInUse(net_id=port.network_id, mac=given)


def _pairs(port: Port, given: list[dict[str, Any]]) -> list[dict[str, str]]:
    pairs = []
    for pair in given:
        text = pair["ip_address"]
        try: net = ip_network(text, strict=False)
        except ValueError: raise errors.InvalidInput(error_message=f"'{text[:60]}' is not a valid IP address or network") from None
        whole = str(net.network_address) if "/" not in text else str(net)
        pairs.append({"ip_address": whole, "mac_address": (pair.get("mac_address") or port.mac_address).lower()})
    if any(pair in pairs[at + 1:] for at, pair in enumerate(pairs)):
        raise errors.InvalidInput(error_message="Request contains duplicate address pair")
    return pairs


def _options(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The options as they are kept; one without a value is removed."""
    kept = {(o["opt_name"], int(o.get("ip_version", 4))): o["opt_value"] for o in given if o.get("opt_value") is not None}
    return [{"opt_name": name, "opt_value": value, "ip_version": version} for (name, version), value in kept.items()]


def _join_groups(call: Call, port: Port, asked: list[str] | None) -> None:
    """Writes the port's groups: those asked for, or the project's default one."""
    assert call.db is not None
    if not port.port_security_enabled:
        if asked: raise errors.PortSecurityAndIPRequiredForSecurityGroups()
        ids = []
    elif asked is not None: ids = usable_ids(call, asked, port.project_id)
    elif port.device_owner.startswith("network:") or not port.project_id: ids = []
    else: ids = [default_group(call.db, port.project_id)]
    call.db.execute(delete(PortGroup).where(PortGroup.port_id == port.id))
    if ids: call.db.execute(insert(PortGroup), [{"port_id": port.id, "security_group_id": id} for id in ids])
    port.security_groups = ids


def change(call: Call, port: Port, changes: dict[str, Any]) -> None:
    """Addresses, MAC, groups, security and binding; the rest is written as it is."""
    assert call.db is not None
    check_revision(call, port)
    network = call.db.get_one(Network, port.network_id)
    _permit(call, "update_port", changes, network)
    _check_router(call, port.project_id, changes.get("device_owner", port.device_owner), changes.get("device_id", port.device_id))
    if is_routers(port.device_owner) and changes.get("device_owner", port.device_owner) != port.device_owner:
        raise errors.ServicePortInUse(port_id=port.id, reason=f"has device owner {port.device_owner}")
    _change_security(call, port, changes)
    _change_addresses(call.db, port, changes)
    if "allowed_address_pairs" in changes: changes["allowed_address_pairs"] = _pairs(port, changes["allowed_address_pairs"] or [])
    if "extra_dhcp_opts" in changes: changes["extra_dhcp_opts"] = _merged(port.extra_dhcp_opts, changes["extra_dhcp_opts"] or [])
    if "profile" in changes: changes["profile"] = changes["profile"] or {}
    if "host" in changes: bind(call, call.db, port, changes.pop("host"))


def _merged(before: list[dict[str, Any]], given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Options that are not named stay, as in Neutron."""
    named = {(o["opt_name"], int(o.get("ip_version", 4))) for o in given}
    return [o for o in before or [] if (o["opt_name"], o["ip_version"]) not in named] + _options(given)


def _change_security(call: Call, port: Port, changes: dict[str, Any]) -> None:
    secure = changes.get("port_security_enabled", port.port_security_enabled)
    if secure is None: secure = changes["port_security_enabled"] = port.port_security_enabled
    pairs = changes.get("allowed_address_pairs", port.allowed_address_pairs)
    groups = changes.get("security_groups", port.security_groups)
    if not secure and groups:
        if "security_groups" in changes: raise errors.PortSecurityAndIPRequiredForSecurityGroups()
        raise errors.PortSecurityPortHasSecurityGroup()
    if not secure and pairs: raise errors.AddressPairAndPortSecurityRequired()
    port.port_security_enabled = secure
    if "security_groups" in changes: _join_groups(call, port, changes.pop("security_groups") or [])


def _change_addresses(db: Session, port: Port, changes: dict[str, Any]) -> None:
    new_mac = changes.get("mac_address", port.mac_address)
    if new_mac != port.mac_address:
        if port.host: raise errors.PortBound(port_id=port.id, vif_type=port.vif_type, old_mac=port.mac_address, new_mac=new_mac)
        _choose_mac(db, port, new_mac)
        port.mac_address = new_mac
    elif "fixed_ips" not in changes: return
    subnets = subnets_of(db, port.network_id)
    automatic = {s.id for s in subnets if is_automatic(s)}
    wishes = changes.pop("fixed_ips", None)
    if wishes is None: wishes = [ip for ip in port.fixed_ips if ip["subnet_id"] not in automatic]
    before = {ip["ip_address"] for ip in port.fixed_ips}
    give(db, port, choose(port, subnets, wishes))
    floating.detach(db, port.id, sorted(before - {ip["ip_address"] for ip in port.fixed_ips}))


def remove(call: Call, port: Port) -> None:
    """Its addresses and groups are free again; floating IPs lead nowhere. Ports that this service made go by their own verbs."""
    assert call.db is not None
    check_revision(call, port)
    if port.device_owner in service_port.OWN:
        raise errors.ServicePortInUse(port_id=port.id, reason=f"has device owner {port.device_owner}")
    floating.detach(call.db, port.id)
    release_all(call.db, [port.id])
    call.db.execute(delete(PortGroup).where(PortGroup.port_id == port.id))


def visible(call: Call) -> ColumnElement[bool]:
    """The project's own ports, those on its networks, and those of an agent's servers."""
    own_networks = select(Network.id).where(Network.project_id == call.project_id)
    return or_(Port.project_id == call.project_id, Port.network_id.in_(own_networks), Port.id.in_(call.grant.get("port", [])),
               Port.device_id.in_(call.grant.get("server", [])))


def render(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    """Binding is for administrators and agents."""
    privileged = call.is_admin or "service" in call.identity.roles
    if privileged: return
    for body in bodies:
        for name in PRIVATE: del body[name]


def by_fixed_ips(call: Call, values: list[str]) -> Any:
    """?fixed_ips=ip_address=…, subnet_id=…, ip_address_substr=…"""
    asked: dict[str, list[str]] = {}
    for value in values:
        name, _, text = value.partition("=")
        asked.setdefault(name, []).append(text)
    conditions: list[ColumnElement[bool]] = [column.in_(asked[name]) for name, column in FIXED_IP_FILTERS.items() if name in asked]
    conditions += [Allocation.ip_address.contains(text, autoescape=True) for text in asked.get("ip_address_substr", [])]
    return Port.id.in_(select(Allocation.port_id).where(*conditions)) if conditions else None


def by_groups(call: Call, values: list[str]) -> Any:
    """?security_groups=id"""
    return Port.id.in_(select(PortGroup.port_id).where(PortGroup.security_group_id.in_(values)))


def by_host(call: Call, values: list[str]) -> Any:
    """?binding:host_id=, for those who see it."""
    return Port.host.in_(values) if call.is_admin or "service" in call.identity.roles else None


RESOURCE = Resource(
    Port, "port", "/v2.0/ports", NEUTRON, quota="port", missing=errors.PortNotFound, visible=visible,
    # The scope shows a project its own ports and those on its networks; both may delete them, only the first may change them.
    policy=SEEN_BY_AGENTS | {"create": PERSONAS["member"] + SERVICE_OR, "update": PERSONAS["member"] + SERVICE_OR,
                             "delete": "role:admin or role:member" + SERVICE_OR},
    filters={"fixed_ips": by_fixed_ips, "security_groups": by_groups, "security_group_ids": by_groups, "binding:host_id": by_host,
             **tag_filters(Port)},
    on_create=create, on_update=change, on_delete=remove, on_render=render)
