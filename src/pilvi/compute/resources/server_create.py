"""Creating servers: POST /servers. Checks image, flavor, networks and volumes with the user's token, then writes rows and tasks.

Source: Compute API, "Create Server"; "Launch flavor, image, networks, block_device_mapping_v2" with the rules of Nova's checks.
"""
from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from pilvi.compute import errors
from pilvi.compute.resources import server as servers
from pilvi.compute.resources.attachment import BlockDevice, free_name
from pilvi.compute.resources.flavor import RESOURCE as FLAVORS
from pilvi.compute.resources.flavor import facts_of
from pilvi.compute.resources.keypair import Keypair
from pilvi.compute.resources.server import Server
from pilvi.compute.resources.server_group import RESOURCE as SERVER_GROUPS
from pilvi.compute.resources.server_label import check_items
from pilvi.compute.resources.task import Task, keep_spans, record
from pilvi.compute.server.boot import BOOT, STORY
from pilvi.compute.server.states import BUILDING, SERVER
from pilvi.core import quota, task, trace
from pilvi.core.context import Call
from pilvi.core.crypto import new_id
from pilvi.core.errors import Forbidden, Invalid, NotFound
from pilvi.core.http.app import Response
from pilvi.core.http.routes import Route
from pilvi.core.wire import mapping
from pilvi.image import client as image
from pilvi.network import client as network
from pilvi.volume import client as volume

ID = {"type": "string", "minLength": 1, "maxLength": 255}
UUID = {"type": "string", "pattern": "^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$"}
WORD = {"type": "string", "maxLength": 255}
COUNT = {"type": ["integer", "string"], "minimum": 1, "maximum": 1000, "pattern": "^[1-9][0-9]{0,3}$"}
FLAG = {"type": ["boolean", "string"]}
NIC = {"type": "object", "properties": {"uuid": UUID, "port": {"anyOf": [UUID, {"type": "null"}]},
    "fixed_ip": {"type": "string", "maxLength": 64},
                                        "tag": {"type": "string", "maxLength": 60}}, "additionalProperties": False}
DEVICE = {"type": "object", "properties": {
    "uuid": WORD, "source_type": {"enum": ["volume", "image", "snapshot", "blank"]}, "destination_type": {"enum": ["local", "volume"]},
    "boot_index": {"type": ["integer", "string", "null"]}, "volume_size": {"type": ["integer", "string"]}, "delete_on_termination": FLAG,
    "device_name": {"type": ["string", "null"], "maxLength": 255}, "disk_bus": WORD, "device_type": WORD,
    "guest_format": {"type": ["string", "null"]},
    "no_device": {}, "tag": {"type": "string", "maxLength": 60}, "volume_type": {"type": ["string", "null"], "maxLength": 255}},
    "additionalProperties": False}
HINTS = {"type": "object"}
HOSTNAME = {"type": "string", "pattern": "^[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$"}


def body(version: tuple[int, int]) -> dict[str, Any]:
    """The request's schema at a microversion."""
    networks: dict[str, Any] = {"type": "array", "items": NIC, "maxItems": 64}
    server: dict[str, Any] = {
        "name": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^\S(.*\S)?$"},
        "imageRef": {"type": "string", "maxLength": 2048},
        "flavorRef": {"type": ["string", "integer"]}, "adminPass": WORD, "metadata": mapping().schema, "key_name": WORD,
        "networks": {"anyOf": [networks, {"enum": ["auto", "none"]}]} if version >= (2, 37) else networks,
        "OS-DCF:diskConfig": {"enum": ["AUTO", "MANUAL"]}, "accessIPv4": {"type": "string", "maxLength": 64},
        "accessIPv6": {"type": "string", "maxLength": 64},
        "config_drive": FLAG, "security_groups": {"type": "array",
            "items": {"type": "object", "properties": {"name": WORD}, "required": ["name"]},
                                                  "maxItems": 64},
        "user_data": {"type": ["string", "null"], "maxLength": 65535},
        "availability_zone": {"type": "string", "minLength": 1, "maxLength": 255},
        "block_device_mapping_v2": {"type": "array", "items": DEVICE, "maxItems": 24}, "block_device_mapping": {"type": "array"},
        "min_count": COUNT, "max_count": COUNT, "return_reservation_id": FLAG}
    if version >= (2, 19): server["description"] = {"type": ["string", "null"], "maxLength": 255}
    if version >= (2, 52):
        server["tags"] = {"type": "array", "items": {"type": "string", "maxLength": 60, "minLength": 1, "pattern": "^[^,/]*$"},
                                             "maxItems": 50, "uniqueItems": True}
    if version >= (2, 63): server["trusted_image_certificates"] = {"type": ["array", "null"], "maxItems": 0}
    if version >= (2, 74): server |= {"host": WORD, "hypervisor_hostname": WORD}
    if version >= (2, 90): server["hostname"] = HOSTNAME
    if version < (2, 57): server["personality"] = {"type": "array", "maxItems": 0}
    required = ["name", "flavorRef", *(["networks"] if version >= (2, 37) else [])]
    return {"type": "object", "required": ["server"], "additionalProperties": False, "properties": {
        "server": {"type": "object", "properties": server, "required": required, "additionalProperties": False},
        "OS-SCH-HNT:scheduler_hints": HINTS, "os:scheduler_hints": HINTS}}


def create(call: Call) -> Response:
    """Steps 3 to 7 of a boot. 202 with id, links and security groups, or the reservation id of several."""
    assert call.application is not None and call.request is not None
    asked = call.body["server"]
    servers.RESOURCE.permit(call, "create")
    wish = _check(call, asked)
    low, high = int(asked.get("min_count", 1)), int(asked.get("max_count", asked.get("min_count", 1)))
    if low > high: raise Invalid("min_count must be <= max_count")
    reservation = "r-" + new_id()[:8]
    with trace.step("boot.06", "compute API", "database", "sql"), call.application.database.write() as call.db:
        quota.check(call, "instances", call.project_id, high)
        quota.check(call, "cores", call.project_id, high * wish["flavor"]["vcpus"])
        quota.check(call, "ram", call.project_id, high * wish["flavor"]["ram"])
        made = [_write(call, asked, wish, reservation, index, high) for index in range(high)]
    call.db = None
    call.application.state["worker"].wake()
    if str(asked.get("return_reservation_id", "")).lower() in ("true", "1"): return Response(202, {"reservation_id": reservation})
    first = made[0]
    base = call.request.base
    return Response(202, {"server": {
        "id": first.id, "OS-DCF:diskConfig": asked.get("OS-DCF:diskConfig", "MANUAL"), "adminPass": asked.get("adminPass") or new_id()[:12],
        "security_groups": [{"name": name} for name in first.security_groups],
        "links": [{"rel": "self", "href": f"{base}/v2.1/servers/{first.id}"}, {"rel": "bookmark", "href": f"{base}/servers/{first.id}"}]}},
        {"Location": f"{base}/v2.1/servers/{first.id}"})


def _check(call: Call, asked: dict[str, Any]) -> dict[str, Any]:
    """All that must be true before anything is written; outside any transaction, with the user's token."""
    assert call.application is not None
    if asked.get("personality") or asked.get("block_device_mapping"):
        raise Invalid("personality and block_device_mapping are not offered; use user_data and block_device_mapping_v2.")
    with call.application.database.read() as call.db:
        try: flavor = FLAVORS.find(call, str(asked["flavorRef"]).rpartition("/")[2])
        except NotFound: raise errors.FlavorUnknown(id=asked["flavorRef"]) from None
        key = call.db.get(Keypair, (call.user_id, asked["key_name"])) if asked.get("key_name") else None
        group = _group(call)
        zones = {host.zone for host in call.application.state["fleet"].all(call.db)}
    call.db = None
    if asked.get("key_name") and key is None: raise errors.KeypairUnknown()
    wish: dict[str, Any] = {
        "flavor": facts_of(flavor), "key": key, "group": group, "user_data": user_data_of(asked.get("user_data")),
        **_place(call, asked, zones)}
    devices = _devices(call, asked)
    wish |= {"devices": devices, "image": _image(call, asked, flavor, devices)}
    wish["networks"] = _networks(call, asked)
    wish["groups"] = _groups(call, asked)
    return wish


def _place(call: Call, asked: dict[str, Any], zones: set[str]) -> dict[str, Any]:
    """Availability zone (with :host for administrators), host and hints."""
    zone, _, host = (asked.get("availability_zone") or "").partition(":")
    host = host.partition(":")[0] or host
    if host and not call.is_admin: raise Forbidden(action="os_compute_api:servers:create:forced_host")
    if zone and zone not in zones and not host: raise errors.ZoneUnknown()
    requested = asked.get("host") or asked.get("hypervisor_hostname")
    if requested and not call.is_admin: raise Forbidden(action="compute:servers:create:requested_destination")
    hints = call.body.get("os:scheduler_hints") or call.body.get("OS-SCH-HNT:scheduler_hints") or {}
    return {"zone": zone or None, "forced_host": host or None, "requested_host": requested, "hints": hints}


def _group(call: Call) -> str | None:
    """The server group named by the hint `group`."""
    assert call.db is not None
    hints = call.body.get("os:scheduler_hints") or call.body.get("OS-SCH-HNT:scheduler_hints") or {}
    if not hints.get("group"): return None
    try: return str(SERVER_GROUPS.find(call, str(hints["group"])).id)
    except NotFound: raise errors.GroupUnknown(id=hints["group"]) from None


def user_data_of(text: str | None) -> str | None:
    """The user data as it is kept. Raises UserDataInvalid."""
    if not text: return None
    try: base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError): raise errors.UserDataInvalid() from None
    return text


def _devices(call: Call, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """The block devices, checked; the image itself is one if it is the boot disk."""
    found = []
    for given in asked.get("block_device_mapping_v2") or []:
        source, destination = given.get("source_type", "volume"), given.get("destination_type") or \
            ("local" if given.get("source_type") in ("blank", "image") and not given.get("volume_size") else "volume")
        index = -1 if given.get("boot_index") in (None, "None", "") else int(given["boot_index"])
        if source == "volume" and not given.get("uuid"): raise errors.DeviceMappingInvalid(reason="a volume needs its uuid")
        if destination == "volume" and source == "blank" and not given.get("volume_size"):
            raise errors.DeviceMappingInvalid(reason="a blank volume needs volume_size")
        if destination == "local" and source not in ("image", "blank"):
            raise errors.DeviceMappingInvalid(reason=f"mapping {source} to local is not supported")
        if destination == "local" and source == "blank":
            raise errors.DeviceMappingInvalid(reason="ephemeral and swap disks are not offered; use a blank volume")
        if source == "volume": _volume(call, given["uuid"])
        if source == "snapshot": _snapshot(call, given.get("uuid"))
        found.append({"source": source, "destination": destination, "id": given.get("uuid"), "boot_index": index, "tag": given.get("tag"),
                      "size_gib": int(given.get("volume_size") or 0), "device": _device_name(given.get("device_name")),
                      "keep": str(given.get("delete_on_termination", False)).lower() not in ("true", "1")})
    if found and not asked.get("imageRef") and not any(one["boot_index"] == 0 for one in found):
        raise errors.DeviceMappingInvalid(reason="Boot sequence for the instance and image/block device mapping combination is not valid.")
    return found


def _device_name(name: str | None) -> str:
    if not name: return ""
    if not re.fullmatch(r"(/dev/)?[svh]d[a-z]", name): raise errors.DeviceMappingInvalid(reason=f"'{name[:40]}' is not a device name")
    return "/dev/vd" + name[-1]


def _volume(call: Call, id: str) -> dict[str, Any]:
    try: found = volume.show(call, id)
    except NotFound: raise errors.VolumeUnknown(id=id) from None
    if found["status"] not in ("available", "in-use") or (found["status"] == "in-use" and not found.get("multiattach")):
        raise errors.DeviceMappingInvalid(reason=f"failed to get volume {id}: its status is {found['status']}, not available")
    return found


def _snapshot(call: Call, id: str | None) -> None:
    try: status = volume.show_snapshot(call, id)["status"] if id else "missing"
    except NotFound: status = "missing"
    if status != "available": raise errors.DeviceMappingInvalid(reason=f"failed to get snapshot {id}.")


def _image(call: Call, asked: dict[str, Any], flavor: Any, devices: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The image that the local root disk is made of; None when a volume is booted."""
    reference = str(asked.get("imageRef") or "").rpartition("/")[2]
    local = next((one for one in devices if one["boot_index"] == 0 and one["destination"] == "local"), None)
    reference = reference or (local or {}).get("id") or ""
    for one in devices:
        if one["source"] == "image" and one["destination"] == "volume": _image_facts(call, one["id"])
    if not reference:
        if devices: return None
        raise errors.ImageUnknown("Invalid imageRef provided.")
    if any(one["boot_index"] == 0 and one["destination"] == "volume" for one in devices): return _image_facts(call, reference)
    return fitting_image(call, reference, flavor.ram, flavor.disk)


def fitting_image(call: Call, id: str, ram: int, disk: int) -> dict[str, Any]:
    """The facts of an image that a root disk may be made of. Raises ImageUnknown, ImageNotActive, FlavorTooSmall."""
    found = _image_facts(call, id)
    if (found.get("min_ram") or 0) > ram: raise errors.FlavorTooSmall(what="memory")
    if disk and (found.get("min_disk") or 0) > disk: raise errors.FlavorTooSmall(what="disk")
    if disk and (found.get("virtual_size") or 0) > disk << 30: raise errors.FlavorTooSmall(what="disk")
    return found


def _image_facts(call: Call, id: str) -> dict[str, Any]:
    try: found = image.show(call, id)
    except NotFound: raise errors.ImageUnknown() from None
    if found["status"] != "active": raise errors.ImageNotActive(id=id)
    return found


def _networks(call: Call, asked: dict[str, Any]) -> list[dict[str, Any]] | str:
    """[{network, name, mtu, port?, fixed_ip?}]; `none` for no network."""
    given = asked.get("networks")
    if given == "none": return "none"
    if not given or given == "auto": return _only_network(call, must=given == "auto")
    found = []
    for nic in given:
        if nic.get("port"): found.append(_port(call, nic["port"]))
        elif nic.get("uuid"):
            net = _network(call, nic["uuid"])
            found.append(_wish(net) | {"fixed_ip": nic.get("fixed_ip"), "tag": nic.get("tag")})
        else: raise Invalid("A network needs its uuid, or a port.")
    return found


def _port(call: Call, id: str) -> dict[str, Any]:
    try: port = network.show_port(call, id)
    except NotFound: raise errors.PortUnknown(id=id) from None
    if port.get("device_id"): raise errors.PortInUse(id=id)
    return _wish(_network(call, port["network_id"])) | {"port": id}


def _wish(net: dict[str, Any]) -> dict[str, Any]:
    """What the host must know of a network that the server joins."""
    return {"network": net["id"], "name": net["name"], "mtu": net.get("mtu") or 1500}


def _network(call: Call, id: str) -> dict[str, Any]:
    try: found = network.show_network(call, id)
    except NotFound: raise errors.NetworkUnknown(id=id) from None
    if not found.get("subnets"): raise errors.NetworkUnknown(f"Network {id} requires a subnet in order to boot instances on.")
    if found.get("router:external") and not found.get("shared") and not call.is_admin:
        raise Forbidden(f"It is not allowed to create an interface on external network {id}")
    return found


def _only_network(call: Call, *, must: bool) -> list[dict[str, Any]] | str:
    own = [n for n in network.list_networks(call, tenant_id=call.project_id) if n.get("subnets")]
    found = own or [n for n in network.list_networks(call, shared=True) if n.get("subnets") and not n.get("router:external")]
    if len(found) > 1: raise errors.NetworkAmbiguous()
    if not found:
        if must: raise errors.NetworkUnknown("Unable to automatically allocate a network for project; create one and name it.")
        return "none"
    return [_wish(found[0])]


def _groups(call: Call, asked: dict[str, Any]) -> list[dict[str, str]]:
    """[{id, name}] of the named security groups; none named: the network service gives its ports the default group."""
    wanted = [one["name"] for one in asked.get("security_groups") or []]
    if not wanted or wanted == ["default"]: return []
    known = network.list_security_groups(call, tenant_id=call.project_id)
    found = []
    for name in dict.fromkeys(wanted):
        group = next((g for g in known if name in (g["id"], g["name"])), None)
        if group is None: raise errors.SecurityGroupUnknown(name=name, project_id=call.project_id)
        found.append({"id": group["id"], "name": group["name"]})
    return found


def _write(call: Call, asked: dict[str, Any], wish: dict[str, Any], reservation: str, index: int, count: int) -> Server:
    """One server's row, devices, action, task and spans, in the request's transaction (step 7)."""
    assert call.db is not None
    name = asked["name"] if count == 1 else f"{asked['name']}-{index + 1}"
    row = Server(
        id=new_id(), name=name, project_id=call.project_id, user_id=call.user_id, state=BUILDING, busy=None,
        meta=check_items(call, asked.get("metadata") or {}, call.project_id),
        key_name=asked.get("key_name"), public_key=wish["key"].public_key if wish["key"] else None, flavor=wish["flavor"],
        flavor_id=wish["flavor"]["id"], image_id=wish["image"]["id"] if wish["image"] else None, user_data=wish["user_data"],
        availability_zone=wish["zone"] or "", description=asked.get("description") if "description" in asked else name,
        hostname=asked.get("hostname") or hostname(name), tags=sorted(asked.get("tags") or []), access_ipv4=asked.get("accessIPv4") or "",
        access_ipv6=asked.get("accessIPv6") or "", config_drive="True" if str(asked.get("config_drive", "")).lower() in ("true", "1")
        else "",
        security_groups=[group["name"] for group in wish["groups"]] or ["default"], reservation_id=reservation, launch_index=index,
        network_info=[], group_id=wish["group"], requested={
            "networks": wish["networks"], "groups": [group["id"] for group in wish["groups"]], "zone": wish["zone"], "group": wish["group"],
            "forced_host": wish["forced_host"], "requested_host": wish["requested_host"], "hints": wish["hints"],
            "image_properties": properties_of(wish["image"])})
    with trace.step("boot.07", "database", "compute API", "sql", server=row.id, state=BUILDING):
        call.db.add(row)
        call.db.flush()
        _write_devices(call, row, wish)
        record(call, row.id, "create")
        tries = call.application.config.boot_tries if call.application else 3
        task.add(call.db, Task, BOOT, row.id, {"request_id": call.request_id, "tries": tries})
        SERVER.begin(call.db, Server, row.id, "boot")
    if call.trace: keep_spans(call.db, row.id, 1, call.trace.spans)
    return row


def properties_of(found: dict[str, Any] | None) -> dict[str, str]:
    """What hosts and the scheduler must know of an image."""
    return {k: str(v) for k, v in (found or {}).items() if k.startswith(("hw_", "os_", "img_")) and isinstance(v, str | int | bool)}


def _write_devices(call: Call, row: Server, wish: dict[str, Any]) -> None:
    assert call.db is not None
    taken: list[str] = [one["device"] for one in wish["devices"] if one["device"]]
    boots_volume = any(one["boot_index"] == 0 and one["destination"] == "volume" for one in wish["devices"])
    if not boots_volume:
        call.db.add(BlockDevice(server_id=row.id, device="/dev/vda", boot_index=0,
            source={"type": "image", "id": row.image_id, "local": True}))
        taken.append("/dev/vda")
    for one in sorted(wish["devices"], key=lambda one: (one["boot_index"] != 0, one["boot_index"])):
        if one["destination"] == "local": continue
        device = one["device"] or free_name(taken)
        taken.append(device)
        call.db.add(BlockDevice(
            server_id=row.id, volume_id=one["id"] if one["source"] == "volume" else None, device=device, boot_index=one["boot_index"],
            source={"type": one["source"], "id": one["id"], "size_gib": one["size_gib"]}, delete_on_termination=not one["keep"],
            tag=one["tag"]))
    call.db.flush()


def hostname(name: str) -> str:
    """A server's name as a host name (RFC 1123), as Nova makes it."""
    made = re.sub(r"[^a-z0-9-]+", "", re.sub(r"[ _.]+", "-", name.lower())).strip("-")[:63]
    return made or "server"


_RULE = servers.RESOURCE.rule("compute", "create")
ROUTES = [Route("/v2.1/servers", "POST", create, _RULE, body=body, story=STORY)]
