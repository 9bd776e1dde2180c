"""Server: a virtual machine and its record.

Source: Compute API, "Servers"; microversions 2.3 (extended attributes), 2.9 (locked), 2.16 (host_status), 2.19 (description), 2.26 (tags),
2.37 (networks auto/none), 2.47 (embedded flavor), 2.52 (tags at creation), 2.63, 2.67, 2.71, 2.73, 2.74, 2.75, 2.90 (hostname), 2.96.
"""
from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import Text, and_, or_, select, type_coerce
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.compute import errors
from pilvi.compute.resources.attachment import BlockDevice
from pilvi.compute.server.states import ACTIVE, DELETED, ERROR, POWER, states_of, status
from pilvi.core import clock, events, listing, pattern
from pilvi.core.context import Call
from pilvi.core.crypto import new_id
from pilvi.core.db.types import Instant, Json
from pilvi.core.dialect import NOVA
from pilvi.core.http.routes import Route
from pilvi.core.resource import Answer, Resource
from pilvi.core.wire import OPTIONAL, Base, field, instant, mapping, text
from pilvi.network import client as network


class Server(Base):
    __tablename__ = "compute_servers"
    TOLD = ("state", "busy", "host", "image_id", "flavor", "flavor_id", "launched_at", "deleted_at", "network_info")
    id: Mapped[str] = field(text(64), key=True, default=new_id)
    name: Mapped[str] = field(text(255, shortest=1), create=OPTIONAL, update=True, default="", index=True)
    project_id: Mapped[str] = field(text(64), wire="tenant_id", index=True, nullable=False)
    user_id: Mapped[str] = field(text(64), nullable=False)
    meta: Mapped[Any] = field(mapping(), wire="metadata", default=dict, filter=False)
    key_name: Mapped[str | None] = field(text(255))
    access_ipv4: Mapped[str] = field(text(64), update=True, default="", wire="accessIPv4", filter=False)
    access_ipv6: Mapped[str] = field(text(64), update=True, default="", wire="accessIPv6", filter=False)
    config_drive: Mapped[str] = field(text(8), default="")
    availability_zone: Mapped[str] = field(text(255), default="", wire="OS-EXT-AZ:availability_zone")
    description: Mapped[str | None] = field(text(255), update=True, since="2.19")
    hostname: Mapped[str] = field(text(255), update=True, default="", since="2.90", wire="OS-EXT-SRV-ATTR:hostname")
    created_at: Mapped[float] = field(instant(), default=clock.now, wire="created", filter=False)
    updated_at: Mapped[float] = field(instant(), default=clock.now, wire="updated", filter=False)
    state: Mapped[str] = mapped_column(index=True)
    busy: Mapped[str | None]
    host: Mapped[str | None] = mapped_column(index=True)
    image_id: Mapped[str | None] = mapped_column(index=True)
    flavor: Mapped[Any] = mapped_column(Json)
    flavor_id: Mapped[str] = mapped_column(index=True)
    tags: Mapped[Any] = mapped_column(Json, default=list)
    user_data: Mapped[str | None]
    public_key: Mapped[str | None]
    security_groups: Mapped[Any] = mapped_column(Json, default=list)
    requested: Mapped[Any] = mapped_column(Json, default=dict)
    """What the request asked of others: networks, zone, hints, forced host."""
    network_info: Mapped[Any] = mapped_column(Json, default=list)
    """[{port_id, network_id, network_name, mac, fixed_ips: [{ip_address, version}]}]"""
    fault: Mapped[Any] = mapped_column(Json, nullable=True)
    group_id: Mapped[str | None] = mapped_column(index=True)
    locked_reason: Mapped[str | None]
    before_resize: Mapped[Any] = mapped_column(Json, nullable=True)
    """{flavor, state} of a server that was resized and waits to be confirmed."""
    held: Mapped[bool] = mapped_column(default=False)
    """An administrator looks after it by hand: nothing is repaired."""
    launch_index: Mapped[int] = mapped_column(default=0)
    reservation_id: Mapped[str] = mapped_column(default="")
    launched_at: Mapped[float | None] = mapped_column(Instant)
    deleted_at: Mapped[float | None] = mapped_column(Instant, index=True)


def alive(call: Call) -> Any:
    """Deleted servers are kept as tombstones; administrators see them with ?deleted=true (or changes-since)."""
    assert call.request is not None
    query = dict(call.request.query)
    if "changes-since" in query or (call.is_admin and listing.truth_of(query.get("deleted"))): return Server.id.is_not(None)
    return Server.deleted_at.is_(None)


def by_status(call: Call, values: list[str]) -> Any:
    """?status=; several may be given."""
    wanted = [and_(Server.state == state, Server.busy == busy if busy else Server.id.is_not(None))
        for word in values for state, busy in states_of(word)]
    return or_(*wanted) if wanted else Server.id.is_(None)


def since(call: Call, values: list[str]) -> Any:
    """?changes-since="""
    try: return Server.updated_at >= clock.parse(values[-1])
    except ValueError: raise listing.FilterInvalid(name="changes-since", text=values[-1][:60], reason="It is not a time.") from None


def by_name(call: Call, values: list[str]) -> Any:
    """?name=: a regular expression that fits somewhere in it"""
    try: pattern.linear(values[-1])
    except ValueError as failure: raise listing.FilterInvalid(name="name", text=values[-1][:60], reason=str(failure)) from None
    return Server.name.regexp_match(values[-1])


def by_address(call: Call, values: list[str]) -> Any:
    """?ip=, ?ip6="""
    return type_coerce(Server.network_info, Text).like(f"%{values[-1]}%") if all(c in "0123456789abcdef.:" for c in values[-1]) else None


def by_tags(call: Call, values: list[str]) -> Any:
    """?tags=: all of them"""
    return and_(*(type_coerce(Server.tags, Text).like(f'%"{tag}"%') for tag in values[-1].split(",")))


def for_admin(column: Any) -> Any:
    """A filter that only administrators may use; others' is left alone, as Nova does."""
    return lambda call, values: column == values[-1] if call.is_admin else None


def _floating(call: Call, rows: list[Any]) -> dict[str, list[str]]:
    """{port id: floating addresses} of these servers' ports; one call, outside any transaction."""
    ports = [nic["port_id"] for row in rows for nic in row.network_info or []]
    if not ports: return {}
    narrow: dict[str, Any] = {"port_id": ports} if len(ports) <= 50 else {}
    found: dict[str, list[str]] = {}
    for one in network.list_floating_ips(call, fields=["port_id", "floating_ip_address"], **narrow):
        if one.get("port_id"): found.setdefault(one["port_id"], []).append(one["floating_ip_address"])
    return found


def addresses(row: Any, floating: dict[str, list[str]]) -> dict[str, list[dict[str, Any]]]:
    """{network name: [address]} as the API shows them."""
    shown: dict[str, list[dict[str, Any]]] = {}
    for nic in row.network_info or []:
        entries = shown.setdefault(nic["network_name"], [])
        for fixed in nic["fixed_ips"]:
            entries.append({"version": fixed["version"], "addr": fixed["ip_address"], "OS-EXT-IPS:type": "fixed",
                            "OS-EXT-IPS-MAC:mac_addr": nic["mac"]})
        for address in floating.get(nic["port_id"], ()):
            entries.append({"version": 4, "addr": address, "OS-EXT-IPS:type": "floating", "OS-EXT-IPS-MAC:mac_addr": nic["mac"]})
    return shown


def render(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    """What is not a column. The addresses are added by `complete`, which may ask the network."""
    assert call.db is not None
    devices: dict[str, list[Any]] = {}
    wanted = select(BlockDevice.__table__).where(BlockDevice.server_id.in_([row.id for row in rows]), BlockDevice.volume_id.is_not(None))
    for device in call.db.execute(wanted): devices.setdefault(device.server_id, []).append(device)
    base = call.request.base if call.request else ""
    for row, body in zip(rows, bodies, strict=True):
        body |= {
            "status": status(row.state, row.busy), "hostId": _host_id(row), "progress": 100 if row.state == ACTIVE else 0,
            "image": {"id": row.image_id, "links": [{"rel": "bookmark", "href": f"{base}/images/{row.image_id}"}]} if row.image_id else "",
            "flavor": _flavor(call, row, base), "OS-DCF:diskConfig": "MANUAL", "OS-EXT-STS:vm_state": row.state,
            "OS-EXT-STS:task_state": "rebooting_hard" if row.busy == "rebooting_hard" else row.busy,
            "OS-EXT-STS:power_state": POWER[row.before_resize["state"] if row.before_resize else row.state],
            "OS-SRV-USG:launched_at": None if row.launched_at is None else clock.iso(row.launched_at, fraction=True, zone=""),
            "OS-SRV-USG:terminated_at": None if row.deleted_at is None else clock.iso(row.deleted_at, fraction=True, zone=""),
            "os-extended-volumes:volumes_attached": [_volume(call, device) for device in devices.get(row.id, ())]}
        if row.security_groups: body["security_groups"] = [{"name": name} for name in row.security_groups]
        if row.fault and row.state in (ERROR, DELETED): body["fault"] = _fault(call, row.fault)
        _later(call, row, body)
        if call.is_admin: _extended(call, row, body)
        else: body.pop("OS-EXT-SRV-ATTR:hostname", None)


def _later(call: Call, row: Any, body: dict[str, Any]) -> None:
    """Attributes that microversions added."""
    if call.version >= (2, 9): body["locked"] = bool(row.locked_reason is not None)
    if call.version >= (2, 26): body["tags"] = row.tags or []
    if call.version >= (2, 63): body["trusted_image_certificates"] = None
    if call.version >= (2, 71): body["server_groups"] = [row.group_id] if row.group_id else []
    if call.version >= (2, 73): body["locked_reason"] = row.locked_reason or None
    if call.version >= (2, 96): body["pinned_availability_zone"] = (row.requested or {}).get("zone")
    if call.version >= (2, 16) and call.is_admin: body["host_status"] = "UP" if row.host else ""


def _extended(call: Call, row: Any, body: dict[str, Any]) -> None:
    """What administrators see."""
    body |= {"OS-EXT-SRV-ATTR:host": row.host, "OS-EXT-SRV-ATTR:hypervisor_hostname": row.host,
             "OS-EXT-SRV-ATTR:instance_name": f"instance-{row.id[:8]}"}
    if call.version >= (2, 3):
        body |= {"OS-EXT-SRV-ATTR:reservation_id": row.reservation_id, "OS-EXT-SRV-ATTR:launch_index": row.launch_index,
                 "OS-EXT-SRV-ATTR:hostname": row.hostname, "OS-EXT-SRV-ATTR:kernel_id": "", "OS-EXT-SRV-ATTR:ramdisk_id": "",
                 "OS-EXT-SRV-ATTR:root_device_name": "/dev/vda", "OS-EXT-SRV-ATTR:user_data": row.user_data}


def _host_id(row: Any) -> str:
    """A word for the host that tells servers of one project apart without naming the host."""
    if not row.host: return ""
    return hashlib.sha224((row.project_id + row.host).encode()).hexdigest()


def _flavor(call: Call, row: Any, base: str) -> dict[str, Any]:
    flavor = row.flavor
    if call.version < (2, 47):
        return {"id": row.flavor_id, "links": [{"rel": "bookmark", "href": f"{base}/flavors/{row.flavor_id}"}]}
    return {"vcpus": flavor["vcpus"], "ram": flavor["ram"], "disk": flavor["disk"], "ephemeral": flavor["ephemeral"],
        "swap": flavor["swap"],
            "original_name": flavor["name"], "extra_specs": flavor["extra_specs"]}


def _volume(call: Call, device: Any) -> dict[str, Any]:
    shown = {"id": device.volume_id}
    return shown | {"delete_on_termination": bool(device.delete_on_termination)} if call.version >= (2, 3) else shown


def _fault(call: Call, fault: dict[str, Any]) -> dict[str, Any]:
    shown = {"code": fault["code"], "created": clock.iso(fault["created"]), "message": fault["message"][:255]}
    if call.is_admin or fault["code"] != 500: shown["details"] = fault.get("details", fault["message"])
    return shown


def show(call: Call, id: str) -> dict[str, Any]:
    """GET /servers/{id}"""
    assert call.application is not None
    with call.application.database.read() as call.db:
        row = RESOURCE.find(call, id)
        RESOURCE.permit(call, "show", {"project_id": row.project_id, "user_id": row.user_id})
        body = RESOURCE.render(call, [row])[0]
    call.db = None
    body["addresses"] = addresses(row, _floating(call, [row]))
    return {"server": body}


def list_servers(call: Call, *, detail: bool) -> dict[str, Any]:
    """GET /servers and /servers/detail"""
    assert call.application is not None and call.request is not None
    RESOURCE.permit(call, "list")
    every = call.is_admin and any(k == "all_tenants" and v.lower() not in ("0", "false") for k, v in call.request.query)
    with call.application.database.read() as call.db:
        page = listing.page_of(call, RESOURCE)
        conditions = [*RESOURCE.scope(call, every_project=every), *listing.filters(call, RESOURCE)]
        rows, more = listing.rows(call, RESOURCE, page, conditions)
        bodies = RESOURCE.render(call, rows) if detail else [{k: b[k] for k in ("id", "name", "links")}
            for b in RESOURCE.render_columns(call, rows)]
        links = listing.links(call, RESOURCE, page, rows, more)
    call.db = None
    if detail:
        floating = _floating(call, rows)
        for row, body in zip(rows, bodies, strict=True): body["addresses"] = addresses(row, floating)
    return {"servers": bodies} | links


def update(call: Call, id: str) -> Any:
    """PUT /servers/{id}: name, addresses for access, description, hostname."""
    assert call.application is not None
    changes = RESOURCE.take(call, "update", RESOURCE.open(call.body))
    with call.application.database.write() as call.db:
        row = RESOURCE.find(call, id)
        RESOURCE.permit(call, "update", {"project_id": row.project_id, "user_id": row.user_id})
        for column, value in changes.items(): setattr(row, column, value)
        row.updated_at = clock.now()
        call.db.flush()
        events.emit_about(call.db, Server, id, "compute.instance.update")
    call.db = None
    return Answer(200, show(call, id))


FILTERS: dict[str, listing.Filter] = {
    "status": by_status, "changes-since": since, "ip": by_address, "ip6": by_address, "tags": by_tags,
    "image": lambda c, v: Server.image_id == v[-1],
    "flavor": lambda c, v: Server.flavor_id == v[-1], "host": for_admin(Server.host), "project_id": for_admin(Server.project_id),
    "tenant_id": for_admin(Server.project_id), "user_id": for_admin(Server.user_id), "vm_state": for_admin(Server.state),
    "task_state": for_admin(Server.busy), "name": by_name, "deleted": lambda c, v: None,
    "uuid": lambda c, v: Server.id.in_(v), "reservation_id": lambda c, v: Server.reservation_id == v[-1]}
RESOURCE = Resource(
    Server, "server", "/v2.1/servers", NOVA, verbs=(), owner="project_id", missing=errors.ServerNotFound, alive=alive, filters=FILTERS,
    default_sort=[("created_at", True)], on_render=render, quota="instances",
    policy={"list": "role:admin or role:reader", "show": "reader", "create": "role:admin or role:member", "update": "member",
        "delete": "member"})
ROUTES = [
    Route("/v2.1/servers", "GET", lambda call: list_servers(call, detail=False), None),
    Route("/v2.1/servers/detail", "GET", lambda call: list_servers(call, detail=True), None),
    Route("/v2.1/servers/{id}", "GET", show, None),
    Route("/v2.1/servers/{id}", "PUT", update, None),
]
