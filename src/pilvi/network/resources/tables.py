"""The tables of network, in one file because they point at each other: a network's deletion looks at ports, a port's creation at subnets.

Source: Networking API v2.0. `fixed_ips` and `security_groups` of a port and `allocation_pools` of a subnet are also kept in their wire
form in their own row, so that lists and the topology need no joins; the tables beside (Allocation, PortGroup, Pool) carry the constraints
and are written in the same function.
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.core import clock
from pilvi.core.wire import (
    OPTIONAL,
    REQUIRED,
    Base,
    Identified,
    Kind,
    boolean,
    cidr,
    field,
    instant,
    integer,
    ip_address,
    json,
    list_of,
    mac,
    one_of,
    text,
    uuid,
)

ADDRESS = {"type": "string", "maxLength": 64}


def objects(required: list[str], **properties: Any) -> Kind:
    """A list of small objects."""
    return json({"type": "array", "maxItems": 1000, "items": {
        "type": "object", "properties": properties, "additionalProperties": False, "required": required}})


FIXED_IPS = objects([], subnet_id=ADDRESS, ip_address=ADDRESS)
ADDRESS_PAIRS = objects(["ip_address"], ip_address=ADDRESS, mac_address={"type": ["string", "null"], "maxLength": 32})
DHCP_OPTIONS = objects(["opt_name"], opt_name={"type": "string", "minLength": 1, "maxLength": 64}, opt_value={"type": ["string", "null"]},
                       ip_version={"enum": [4, 6, "4", "6"]})
POOLS = objects(["start", "end"], start=ADDRESS, end=ADDRESS)
PROTOCOL = Kind({"type": ["string", "integer"], "maxLength": 40}, String(40), lambda value: value if value is None else str(value))
ROUTES = objects(["destination", "nexthop"], destination=ADDRESS, nexthop=ADDRESS)
GATEWAY = json({"type": "object", "additionalProperties": False, "properties": {
    "network_id": ADDRESS, "enable_snat": {"type": ["boolean", "string"]}, "external_fixed_ips": FIXED_IPS.schema}})


class Standard(Identified):
    """What every resource of this API has: Neutron's "standard attributes"."""
    project_id: Mapped[str] = field(text(255), create=OPTIONAL, nullable=False, index=True)
    description: Mapped[str] = field(text(255), create=OPTIONAL, update=True, default="")
    created_at: Mapped[float] = field(instant(), default=clock.now, filter=False)
    updated_at: Mapped[float] = field(instant(), default=clock.now, filter=False)
    revision_number: Mapped[int] = field(integer(), default=0)


class Tagged:
    """tags, set by their own requests."""
    tags: Mapped[list[str]] = field(list_of(text(255)), default=list, filter=False)


class Network(Standard, Tagged, Base):
    __tablename__ = "network_networks"
    name: Mapped[str] = field(text(255), create=OPTIONAL, update=True, default="")
    admin_state_up: Mapped[bool] = field(boolean(), create=OPTIONAL, update=True, default=True)
    status: Mapped[str] = field(text(16), default="ACTIVE")
    mtu: Mapped[int] = field(integer(0, 2**31 - 1), create=OPTIONAL, update=True, nullable=False)
    shared: Mapped[bool] = field(boolean(), create=OPTIONAL, update=True, default=False)
    external: Mapped[bool] = field(boolean(), create=OPTIONAL, update=True, default=False, wire="router:external")
    is_default: Mapped[bool] = field(boolean(), create=OPTIONAL, update=True, default=False)
    port_security_enabled: Mapped[bool] = field(boolean(), create=OPTIONAL, update=True, default=True)
    availability_zone_hints: Mapped[list[str]] = field(list_of(text(255)), create=OPTIONAL, default=list, filter=False)
    network_type: Mapped[str] = field(one_of("flat", "vlan", "geneve"), create=OPTIONAL, default="geneve", wire="provider:network_type",
                                      show="admin")
    physical_network: Mapped[str | None] = field(text(64), create=OPTIONAL, wire="provider:physical_network", show="admin")
    segmentation_id: Mapped[int | None] = field(integer(1, 2**24 - 1), create=OPTIONAL, wire="provider:segmentation_id", show="admin")


class Sharing(Identified, Base):
    """An RBAC policy: lets a project ("*": every one) use a network, or reach the outside through it."""
    __tablename__ = "network_rbac_policies"
    __table_args__ = (UniqueConstraint("object_id", "action", "target_project"),)
    project_id: Mapped[str] = field(text(255), create=OPTIONAL, nullable=False, index=True)
    object_type: Mapped[str] = field(one_of("network"), create=REQUIRED)
    object_id: Mapped[str] = field(text(64), create=REQUIRED)
    action: Mapped[str] = field(one_of("access_as_shared", "access_as_external"), create=REQUIRED)
    target_project: Mapped[str] = field(text(255, shortest=1), create=REQUIRED, update=True, wire="target_tenant", index=True)


class Subnet(Standard, Tagged, Base):
    __tablename__ = "network_subnets"
    network_id: Mapped[str] = field(uuid(), create=REQUIRED, index=True)
    name: Mapped[str] = field(text(255), create=OPTIONAL, update=True, default="")
    ip_version: Mapped[int] = field(integer(4, 6), create=REQUIRED)
    cidr: Mapped[str] = field(cidr(), create=OPTIONAL, nullable=False)
    prefixlen: Mapped[int | None] = field(integer(0, 128), create=OPTIONAL, show=False, filter=False)
    """Asked for instead of a block, from a subnet pool."""
    subnetpool_id: Mapped[str | None] = field(uuid(), create=OPTIONAL, index=True)
    use_default_subnetpool: Mapped[bool | None] = field(boolean(), create=OPTIONAL, show=False, filter=False)
    gateway_ip: Mapped[str | None] = field(ip_address(), create=OPTIONAL, update=True)
    enable_dhcp: Mapped[bool] = field(boolean(), create=OPTIONAL, update=True, default=True)
    allocation_pools: Mapped[list[dict[str, str]]] = field(POOLS, create=OPTIONAL, update=True, default=list, filter=False)
    dns_nameservers: Mapped[list[str]] = field(list_of(ip_address()), create=OPTIONAL, update=True, default=list, filter=False)
    host_routes: Mapped[list[dict[str, str]]] = field(ROUTES, create=OPTIONAL, update=True, default=list, filter=False)
    ipv6_address_mode: Mapped[str | None] = field(one_of("slaac", "dhcpv6-stateful", "dhcpv6-stateless"), create=OPTIONAL)
    ipv6_ra_mode: Mapped[str | None] = field(one_of("slaac", "dhcpv6-stateful", "dhcpv6-stateless"), create=OPTIONAL)


class SubnetPool(Standard, Tagged, Base):
    __tablename__ = "network_subnet_pools"
    name: Mapped[str] = field(text(255), create=REQUIRED, update=True)
    prefixes: Mapped[list[str]] = field(list_of(text(64), 100), create=REQUIRED, update=True, filter=False)
    ip_version: Mapped[int] = field(integer(), nullable=False)
    min_prefixlen: Mapped[int] = field(integer(0, 128), create=OPTIONAL, update=True, nullable=False)
    max_prefixlen: Mapped[int] = field(integer(0, 128), create=OPTIONAL, update=True, nullable=False)
    default_prefixlen: Mapped[int] = field(integer(0, 128), create=OPTIONAL, update=True, nullable=False)
    default_quota: Mapped[int | None] = field(integer(0), create=OPTIONAL, update=True)
    shared: Mapped[bool] = field(boolean(), create=OPTIONAL, default=False)
    is_default: Mapped[bool] = field(boolean(), create=OPTIONAL, update=True, default=False)
    address_scope_id: Mapped[str | None] = field(uuid(), create=OPTIONAL, update=True, index=True)


class AddressScope(Identified, Base):
    __tablename__ = "network_address_scopes"
    project_id: Mapped[str] = field(text(255), create=OPTIONAL, nullable=False, index=True)
    name: Mapped[str] = field(text(255), create=REQUIRED, update=True)
    ip_version: Mapped[int] = field(integer(4, 6), create=REQUIRED)
    shared: Mapped[bool] = field(boolean(), create=OPTIONAL, update=True, default=False)


class Pool(Base):
    """A range of addresses that ports get. `next`: where the search for a free one begins."""
    __tablename__ = "network_allocation_pools"
    subnet_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    first: Mapped[str] = mapped_column(String(64))
    last: Mapped[str] = mapped_column(String(64))
    next: Mapped[str] = mapped_column(String(64))


class Allocation(Base):
    """An address that a port has. The primary key is what keeps an address from being given twice."""
    __tablename__ = "network_ip_allocations"
    __table_args__ = (Index("ix_network_ip_allocations_subnet_port", "subnet_id", "port_id"),)
    network_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    ip_address: Mapped[str] = mapped_column(String(64), primary_key=True)
    subnet_id: Mapped[str] = mapped_column(String(64))
    port_id: Mapped[str] = mapped_column(String(64), index=True)


class Port(Standard, Tagged, Base):
    __tablename__ = "network_ports"
    __table_args__ = (UniqueConstraint("network_id", "mac_address"), Index("ix_network_ports_device", "device_id", "device_owner"))
    network_id: Mapped[str] = field(uuid(), create=REQUIRED)
    name: Mapped[str] = field(text(255), create=OPTIONAL, update=True, default="")
    mac_address: Mapped[str] = field(mac(), create=OPTIONAL, update=True, nullable=False)
    admin_state_up: Mapped[bool] = field(boolean(), create=OPTIONAL, update=True, default=True)
    state: Mapped[str] = field(text(16), default="DOWN", wire="status")
    busy: Mapped[str | None] = mapped_column(String(16))
    """Nothing makes a port busy; the state machine's table wants the column."""
    device_id: Mapped[str] = field(text(255), create=OPTIONAL, update=True, default="")
    device_owner: Mapped[str] = field(text(255), create=OPTIONAL, update=True, default="")
    fixed_ips: Mapped[list[dict[str, str]]] = field(FIXED_IPS, create=OPTIONAL, update=True, default=list, filter=False)
    security_groups: Mapped[list[str]] = field(list_of(text(64)), create=OPTIONAL, update=True, default=list, nullable=True, filter=False)
    allowed_address_pairs: Mapped[list[dict[str, str]]] = field(ADDRESS_PAIRS, create=OPTIONAL, update=True, default=list, nullable=True,
                                                                filter=False)
    extra_dhcp_opts: Mapped[list[dict[str, Any]]] = field(DHCP_OPTIONS, create=OPTIONAL, update=True, default=list, nullable=True,
                                                          filter=False)
    port_security_enabled: Mapped[bool] = field(boolean(), create=OPTIONAL, update=True, nullable=False)
    host: Mapped[str] = field(text(255), create=OPTIONAL, update=True, default="", nullable=True, wire="binding:host_id", filter=False)
    vnic_type: Mapped[str] = field(one_of("normal"), create=OPTIONAL, update=True, default="normal", wire="binding:vnic_type")
    profile: Mapped[dict[str, Any]] = field(json({"type": "object"}), create=OPTIONAL, update=True, default=dict, nullable=True,
                                            wire="binding:profile", filter=False)
    vif_type: Mapped[str] = field(text(64), default="unbound", wire="binding:vif_type", filter=False)
    vif_details: Mapped[dict[str, Any]] = field(json(), default=dict, wire="binding:vif_details", filter=False)


class PortGroup(Base):
    """A security group that a port is in."""
    __tablename__ = "network_port_security_groups"
    port_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    security_group_id: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)


class Router(Standard, Tagged, Base):
    __tablename__ = "network_routers"
    name: Mapped[str] = field(text(255), create=OPTIONAL, update=True, default="")
    admin_state_up: Mapped[bool] = field(boolean(), create=OPTIONAL, update=True, default=True)
    status: Mapped[str] = field(text(16), default="ACTIVE")
    external_gateway_info: Mapped[dict[str, Any] | None] = field(GATEWAY, create=OPTIONAL, update=True, filter=False)
    routes: Mapped[list[dict[str, str]]] = field(ROUTES, update=True, default=list, nullable=True, filter=False)
    availability_zone_hints: Mapped[list[str]] = field(list_of(text(255)), create=OPTIONAL, default=list, filter=False)
    gateway_network_id: Mapped[str | None] = mapped_column(String(64), index=True)
    gateway_port_id: Mapped[str | None] = mapped_column(String(64))


class FloatingIp(Standard, Tagged, Base):
    __tablename__ = "network_floating_ips"
    __table_args__ = (UniqueConstraint("port_id", "fixed_ip_address"),)
    floating_network_id: Mapped[str] = field(uuid(), create=REQUIRED)
    floating_ip_address: Mapped[str] = field(ip_address(), create=OPTIONAL, nullable=False)
    subnet_id: Mapped[str | None] = field(uuid(), create=OPTIONAL, show=False)
    port_id: Mapped[str | None] = field(uuid(), create=OPTIONAL, update=True, index=True)
    fixed_ip_address: Mapped[str | None] = field(ip_address(), create=OPTIONAL, update=True)
    router_id: Mapped[str | None] = field(uuid(), index=True)
    status: Mapped[str] = field(text(16), default="DOWN")
    floating_port_id: Mapped[str] = mapped_column(String(64), index=True)


class SecurityGroup(Standard, Tagged, Base):
    __tablename__ = "network_security_groups"
    name: Mapped[str] = field(text(255), create=OPTIONAL, update=True, default="")
    stateful: Mapped[bool] = field(boolean(), create=OPTIONAL, update=True, default=True)
    default_of: Mapped[str | None] = mapped_column(String(255), unique=True)
    """The project whose default group this is."""


class SecurityGroupRule(Standard, Base):
    __tablename__ = "network_security_group_rules"
    __table_args__ = (UniqueConstraint("security_group_id", "twin"),)
    security_group_id: Mapped[str] = field(uuid(), create=REQUIRED, index=True)
    direction: Mapped[str] = field(one_of("ingress", "egress"), create=REQUIRED)
    ethertype: Mapped[str] = field(one_of("IPv4", "IPv6"), create=OPTIONAL, default="IPv4", nullable=True)
    protocol: Mapped[str | None] = field(PROTOCOL, create=OPTIONAL)
    port_range_min: Mapped[int | None] = field(integer(), create=OPTIONAL)
    port_range_max: Mapped[int | None] = field(integer(), create=OPTIONAL)
    remote_ip_prefix: Mapped[str | None] = field(text(64), create=OPTIONAL)
    normalized_cidr: Mapped[str | None] = field(text(64))
    remote_group_id: Mapped[str | None] = field(text(64), create=OPTIONAL, index=True)
    twin: Mapped[str] = mapped_column(String(255))
    """What the rule says, as one text: NULLs are never equal in an index."""


class QuotaLimit(Base):
    """A limit that a project has instead of the default."""
    __tablename__ = "network_quotas"
    project_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    kind: Mapped[str] = mapped_column(String(64), primary_key=True)
    limit: Mapped[int]
