"""Booting a server, the part on its host: image, ports, volumes, machine (steps 20 to 29; 13 to 19 are in core/errand.py).

Each act may be repeated: it looks before it makes. What an act finds out goes into the task's facts and comes back with the next one.
"""
from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from typing import Any

from pilvi.compute import network_data
from pilvi.compute.agent.node import Node
from pilvi.compute.drivers.interface import Disk, Machine, Nic
from pilvi.core import clock, trace
from pilvi.core.context import Call
from pilvi.core.errand import Errand
from pilvi.core.errors import Failure
from pilvi.image import client as image
from pilvi.network import client as network
from pilvi.volume import client as volume

WAIT_SECONDS = 0.2
SUBNET_FACTS = ("cidr", "enable_dhcp", "gateway_ip", "dns_nameservers", "host_routes", "ipv6_address_mode")


class PortsDown(Failure):
    """The network did not bring up port {port_id} within {seconds:g} seconds."""


class VolumeFailed(Failure):
    """Volume {id} for the server could not be made: its status is {status}."""


def fetch_image(node: Node, errand: Errand) -> dict[str, Any] | None:
    """Steps 20 to 22."""
    image_id = errand.described["image_id"]
    if not image_id: return None
    with trace.step("boot.20", "compute agent", "identity, image API", "http") as carried:
        carried["token"] = "cached" if node.apis.tokens.current()[1] else "new"
        facts = node.apis.ask(errand, lambda call: image.show(call, image_id, steps={"validate": "boot.21"}))
    trace.mark("boot.22", "image API", "compute agent", "http", image=image_id, size=facts.get("size"), checksum=facts.get("checksum"))
    if node.simulated: return {"image_path": "", "image_format": facts["disk_format"]}
    path = node.apis.ask(errand, lambda call: node.images.fetch(call, facts))
    direct = {}
    for name in ("kernel_id", "ramdisk_id"):
        if facts.get(name): direct[name] = str(_extra(node, errand, facts[name]))
    return {"image_path": str(path), "image_format": facts["disk_format"], **direct}


def _extra(node: Node, errand: Errand, image_id: str) -> Any:
    """A kernel or ramdisk that the image names."""
    found = node.apis.ask(errand, lambda call: image.show(call, image_id))
    return node.apis.ask(errand, lambda call: node.images.fetch(call, found))


def bind_ports(node: Node, errand: Errand) -> dict[str, Any]:
    """Steps 23 to 25: the ports that were asked for exist and are bound to this host."""
    with trace.step("boot.23", "compute agent", "identity, network API", "http") as carried:
        carried["token"] = "cached" if node.apis.tokens.current()[1] else "new"
        there = node.apis.ask(errand, lambda call: network.list_ports(call, device_id=errand.subject_id, steps={"validate": "boot.24"}))
        ports: list[dict[str, Any]] = []
        for wanted in errand.described["networks"]: ports.append(_port(node, errand, wanted, there, {port["id"] for port in ports}))
    nics = [_nic(port, wanted["mtu"]) for port, wanted in zip(ports, errand.described["networks"], strict=True)]
    subnets = subnets_of(node, errand, ports)
    trace.mark("boot.25", "network API", "compute agent", "http", macs=[n["mac"] for n in nics],
               addresses=[ip["ip_address"] for port in ports for ip in port["fixed_ips"]])
    names = {wanted["network"]: wanted["name"] for wanted in errand.described["networks"]}
    info = [info_of(port, names[port["network_id"]], nic["mtu"], subnets) for port, nic in zip(ports, nics, strict=True)]
    return {"nics": nics, "network_info": info}


def subnets_of(node: Node, errand: Errand, ports: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """{id: what a guest must know of the subnet}; simulated guests know nothing."""
    if node.simulated or not ports: return {}
    ids = [port["network_id"] for port in ports]
    found = node.apis.ask(errand, lambda call: network.list_subnets(call, network_id=ids))
    return {subnet["id"]: {name: subnet.get(name) for name in SUBNET_FACTS} for subnet in found}


def info_of(port: dict[str, Any], network_name: str, mtu: int, subnets: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What the server's record keeps of a port."""
    fixed = [{"ip_address": ip["ip_address"], "version": 6 if ":" in ip["ip_address"] else 4, "subnet": subnets.get(ip["subnet_id"])}
             for ip in port["fixed_ips"]]
    return {"port_id": port["id"], "network_id": port["network_id"], "network_name": network_name, "mac": port["mac_address"],
            "mtu": mtu, "fixed_ips": fixed}


def _port(node: Node, errand: Errand, wanted: dict[str, Any], there: list[dict[str, Any]], taken: set[str]) -> dict[str, Any]:
    """The port for one wish: the user's own, one that an earlier try made, or a new one."""
    server = errand.described
    mine = {"device_id": errand.subject_id, "device_owner": "compute:" + (server["availability_zone"] or "nova"),
        "binding:host_id": errand.host}
    if wanted.get("port"): return node.apis.ask(errand, lambda call: network.update_port(call, wanted["port"], mine))
    body = {"network_id": wanted["network"], "project_id": server["project_id"], **mine}
    if wanted.get("fixed_ip"): body["fixed_ips"] = [{"ip_address": wanted["fixed_ip"]}]
    if server["groups"]: body["security_groups"] = server["groups"]
    others = taken | {other["port"] for other in server["networks"] if other.get("port")}
    looked = [there]

    def make(call: Call) -> dict[str, Any]:
        """Looks before it makes; asked again, it looks anew, since it was perhaps only the answer that was lost."""
        found = looked.pop() if looked else network.list_ports(call, device_id=errand.subject_id)
        made = next((port for port in found if port["network_id"] == wanted["network"] and port["id"] not in others
                     and port["project_id"] == server["project_id"]), None)  # strangers' ports may claim any device
        if made is None: return network.create_port(call, body)
        return network.update_port(call, made["id"], {"binding:host_id": errand.host})

    return node.apis.ask(errand, make)


def _nic(port: dict[str, Any], mtu: int) -> dict[str, Any]:
    return {"port_id": port["id"], "network_id": port["network_id"], "mac": port["mac_address"], "mtu": mtu,
            "binding": {"vif_type": port["binding:vif_type"], "vif_details": port["binding:vif_details"]}}


def connect_volumes(node: Node, errand: Errand) -> dict[str, Any]:
    """Steps 26 to 28: every volume is made, reserved for the server and connected to this host; a server without volumes asks all the
    same."""
    with trace.step("boot.26", "compute agent", "identity, volume API", "http") as carried:
        carried["token"] = "cached" if node.apis.tokens.current()[1] else "new"
        held = node.apis.ask(errand, lambda call: volume.attachments(call, instance_id=errand.subject_id, steps={"validate": "boot.27"}))
    disks = []
    for device in errand.described["devices"]:
        if device["source"].get("local"): continue
        volume_id = device["volume_id"] or _make_volume(node, errand, device)
        attachment = next((a for a in held if a["volume_id"] == volume_id), None) or _reserve(node, errand, volume_id)
        errand.runner.ask("made_volume", {"device_id": device["id"], "volume_id": volume_id, "attachment_id": attachment["id"]})
        connection = connect(node, errand, attachment["id"], device["device"])
        disks.append({"id": volume_id, "attachment_id": attachment["id"], "device": device["device"], "boot_index": device["boot_index"],
                      "connection": connection})
    trace.mark("boot.28", "volume API", "compute agent", "http", volumes=[disk["id"] for disk in disks])
    return {"disks": disks}


def _reserve(node: Node, errand: Errand, volume_id: str) -> dict[str, Any]:
    """Reserves a volume for the server; looks before, since an answer may have been lost."""
    def make(call: Call) -> dict[str, Any]:
        held = volume.attachments(call, instance_id=errand.subject_id)
        return next((a for a in held if a["volume_id"] == volume_id), None) or volume.reserve(call, volume_id, errand.subject_id)

    return node.apis.ask(errand, make)


def connect(node: Node, errand: Errand, attachment_id: str, device: str) -> dict[str, Any]:
    """How this host opens an attachment's volume."""
    connector = {"host": errand.host, "mountpoint": device, "platform": "x86_64", "os_type": "linux"}
    return node.apis.ask(errand, lambda call: volume.connect(call, attachment_id, connector))


def _make_volume(node: Node, errand: Errand, device: dict[str, Any]) -> str:
    """Makes the volume of a block device mapping, on this host; an earlier try's is found by its metadata."""
    source, mark = device["source"], {"pilvi_device": device["id"]}
    body: dict[str, Any] = {"size": source["size_gib"] or errand.described["flavor"]["disk"] or 1, "metadata": mark,
                            "project_id": errand.described["project_id"], "host": errand.host}
    if source["type"] == "image": body["imageRef"] = source["id"]
    if source["type"] == "snapshot": body["snapshot_id"] = source["id"]

    def make(call: Call) -> dict[str, Any]:
        found = volume.made_for(call, errand.described["project_id"], mark)
        return found[0] if found else volume.create(call, body)

    made = node.apis.ask(errand, make)
    until = clock.monotonic() + node.patience_seconds
    while True:
        state = node.apis.ask(errand, lambda call: volume.show(call, made["id"]))
        if state["status"] in ("available", "reserved", "attaching", "in-use"): return str(made["id"])
        if state["status"].startswith("error") or clock.monotonic() > until: raise VolumeFailed(id=made["id"], status=state["status"])
        time.sleep(WAIT_SECONDS * 2)


def create_machine(node: Node, errand: Errand) -> None:
    """Step 29: the machine runs and the network serves its ports; nothing that another has taken over is started."""
    with trace.step("boot.29", "compute agent", node.name_of_driver(errand.host), "call") as carried:
        errand.still_mine()
        server = errand.described
        metadata = metadata_of(errand)
        node.write_metadata(errand.subject_id, metadata)
        for nic in errand.facts["nics"]: node.serve_metadata(nic["network_id"])
        drive = node.write_config_drive(errand.subject_id, metadata) if server["config_drive"] else None
        machine = Machine(
            server_id=errand.subject_id, name=server["name"], vcpus=server["flavor"]["vcpus"], memory_mib=server["flavor"]["ram"],
            disks=_disks(errand), nics=[Nic(**{k: nic[k] for k in ("port_id", "mac", "mtu", "binding")}) for nic in errand.facts["nics"]],
            config_drive_path=drive, kernel_path=errand.facts.get("kernel_id"), ramdisk_path=errand.facts.get("ramdisk_id"),
            extra_specs=server["flavor"]["extra_specs"], image_properties=server["image_properties"])
        with node.boots: node.drivers[errand.host].create(machine)
        carried |= {"vcpus": machine.vcpus, "memory_mib": machine.memory_mib, "disks": len(machine.disks), "nics": len(machine.nics)}
        for disk in errand.facts["disks"]: node.apis.ask(errand, lambda call, d=disk: volume.complete(call, d["attachment_id"]))  # type: ignore[misc]
        for nic in errand.facts["nics"]: wait_up(node, errand, nic["port_id"])


def _disks(errand: Errand) -> list[Disk]:
    """The machine's disks: the overlay over its image, and volumes."""
    server, disks = errand.described, []
    for device in server["devices"]:
        if not device["source"].get("local"): continue
        disks.append(Disk(id="root", device=device["device"].removeprefix("/dev/"), boot_index=0, size_gib=server["flavor"]["disk"],
                          image_path=errand.facts["image_path"], image_format=errand.facts["image_format"]))
    for disk in errand.facts["disks"]:
        disks.append(Disk(id=disk["id"], device=disk["device"].removeprefix("/dev/"), boot_index=disk["boot_index"],
                          connection=disk["connection"], serial=disk["id"][:20]))
    return disks


def wait_up(node: Node, errand: Errand, port_id: str) -> None:
    """Until the network serves the port; a delete need not wait for that. Raises PortsDown, Withdrawn."""
    until = clock.monotonic() + node.port_up_seconds
    pause = WAIT_SECONDS / 4
    while node.apis.ask(errand, lambda call: network.show_port(call, port_id))["status"] != "ACTIVE":
        if clock.monotonic() > until: raise PortsDown(port_id=port_id, seconds=node.port_up_seconds)
        time.sleep(pause)
        pause = min(pause * 2, 1.0)
        if pause == 1.0: errand.still_mine()


def metadata_of(errand: Errand, more: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """What the server is told about itself (compute/metadata.py), with where it may ask from; `more`: cards plugged since."""
    server = errand.described
    info = [*(errand.facts.get("network_info") or server["network_info"]), *more]
    data = base64.b64decode(server["user_data"]) if server["user_data"] else None
    return {
        "uuid": server["id"], "name": server["name"], "hostname": server["hostname"], "project_id": server["project_id"],
        "launch_index": server["launch_index"], "availability_zone": server["availability_zone"] or "nova", "meta": server["meta"],
        "public_keys": {server["key_name"]: server["public_key"]} if server["public_key"] else {}, "user_data": data,
        "fixed_ips": [ip["ip_address"] for nic in info for ip in nic["fixed_ips"]], "security_groups": server["security_groups"],
        "flavor": server["flavor"]["name"], "image_id": server["image_id"] or "", "reservation_id": server["reservation_id"],
        "network_data": network_data.document(info),
        "sources": [[nic["network_id"], ip["ip_address"]] for nic in info for ip in nic["fixed_ips"]]}


def destroy_machine(node: Node, errand: Errand) -> None:
    """Removes every trace of the server on this host."""
    node.drivers[errand.host].destroy(errand.subject_id)
    node.forget(errand.subject_id)
    node.tidy_metadata()
