"""A server's disks as a template writes them, checked, and as the compute API takes them.

Source: Template Guide, "OS::Nova::Server"; Compute API guide, "Block Device Mapping in Nova".
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilvi.orchestration.template.schema import AllowedValues, Range
from pilvi.orchestration.types.interface import Property, PropertyInvalid, boolean, integer, list_of, map_of, string

VOLUME = string("The volume.", refers="cinder.volume")
SNAPSHOT = string("The snapshot that a volume is made of.", refers="cinder.snapshot")
PROPERTIES: dict[str, Property] = {
    "block_device_mapping": list_of(map_of({
        "device_name": string("The name of the device, vda for the first.", required=True),
        "volume_id": VOLUME,
        "snapshot_id": SNAPSHOT,
        "volume_size": integer("GiB of a volume that is made."),
        "delete_on_termination": boolean("Does it end with the server?"),
    }), "Disks, in the older form.", wire=""),
    "block_device_mapping_v2": list_of(map_of({
        "device_name": string("The name of the device."),
        "volume_id": VOLUME,
        "image": string("The image that a volume is made of.", refers="glance.image", older=("image_id",), since="7.0.0"),
        "snapshot_id": SNAPSHOT,
        "swap_size": integer("MiB of swap space."),
        "ephemeral_size": integer("GiB of a local disk.", constraints=(Range(1),), since="8.0.0"),
        "ephemeral_format": string("The file system of a local disk.", since="8.0.0",
                                   constraints=(AllowedValues(("ext2", "ext3", "ext4", "xfs", "ntfs")),)),
        "device_type": string("disk or cdrom.", constraints=(AllowedValues(("cdrom", "disk")),)),
        "disk_bus": string("What it is connected by.", constraints=(AllowedValues(("ide", "lame_bus", "sata", "scsi", "usb", "virtio")),)),
        "boot_index": integer("0: the server boots from it; -1: never. Not given: 0."),
        "volume_size": integer("GiB of a volume that is made."),
        "delete_on_termination": boolean("Does it end with the server?"),
        "volume_type": string("The type of a volume that is made.", refers="cinder.vtype", since="26.0.0"),
    }), "Disks.", wire="", since="2015.1"),
}
SOURCES = {"volume_id": "volume", "snapshot_id": "snapshot", "image": "image"}
LOCAL = ("swap_size", "ephemeral_size", "ephemeral_format")


def validate(properties: Mapping[str, Any]) -> None:
    """What a list of disks may not be. Values that are not known yet are None, so only what is there is judged.
    Raises PropertyInvalid."""
    older, newer = ([disk for disk in properties[name] or [] if disk] for name in PROPERTIES)
    if older and newer:
        raise PropertyInvalid(path="block_device_mapping", reason="Cannot define the following properties at the same time: "
                                                                  "block_device_mapping, block_device_mapping_v2.")
    for disk in older:
        if disk["volume_id"] and disk["snapshot_id"]:
            raise PropertyInvalid(path="block_device_mapping", reason="Cannot define the following properties at the same time: "
                                                                      "volume_id, snapshot_id.")
    boots = [properties["image"]] if properties["image"] else []
    for disk in newer:
        sources = [name for name in (*SOURCES, "swap_size") if disk[name]] + (["ephemeral"] if any(disk[n] for n in LOCAL[1:]) else [])
        if len(sources) > 1:
            raise PropertyInvalid(path="block_device_mapping_v2", reason="Cannot define the following properties at the same time: "
                                                                         + ", ".join(sources) + ".")
        if sources and sources[0] in SOURCES and disk["boot_index"] in (None, 0): boots.append(disk)
    if len(boots) > 1: raise PropertyInvalid(path="block_device_mapping_v2", reason="Multiple bootable sources for the server.")


def devices(properties: Mapping[str, Any]) -> list[dict[str, Any]]:
    """block_device_mapping_v2 of the request; names of things have been resolved."""
    return [*(_older(disk, bool(properties["image"])) for disk in properties["block_device_mapping"] or []),
            *(_newer(disk) for disk in properties["block_device_mapping_v2"] or [])]


def _older(disk: Mapping[str, Any], has_image: bool) -> dict[str, Any]:
    source = "snapshot_id" if disk.get("snapshot_id") else "volume_id"
    boots = disk["device_name"].rpartition("/")[2] == "vda" and not has_image
    told = {"source_type": SOURCES[source], "destination_type": "volume", "uuid": disk.get(source), "device_name": disk["device_name"],
            "boot_index": 0 if boots else -1, "delete_on_termination": bool(disk.get("delete_on_termination"))}
    return told | ({"volume_size": disk["volume_size"]} if disk.get("volume_size") else {})


def _newer(disk: Mapping[str, Any]) -> dict[str, Any]:
    source = next((name for name in SOURCES if disk.get(name)), None)
    if source:
        told: dict[str, Any] = {"uuid": disk[source], "source_type": SOURCES[source], "destination_type": "volume", "boot_index": 0,
                                "delete_on_termination": False}
    else:
        told = {"source_type": "blank", "destination_type": "local", "boot_index": -1, "delete_on_termination": True}
        if disk.get("swap_size"): told |= {"guest_format": "swap", "volume_size": disk["swap_size"]}
        if disk.get("ephemeral_size"): told["volume_size"] = disk["ephemeral_size"]
        if disk.get("ephemeral_format"): told["guest_format"] = disk["ephemeral_format"]
    kept = ("device_name", "device_type", "disk_bus", "boot_index", "volume_size", "delete_on_termination", "volume_type")
    return told | {name: disk[name] for name in kept if disk.get(name) is not None}
