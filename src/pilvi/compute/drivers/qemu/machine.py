"""QEMU's command line for a machine: a pure function of its definition and of the descriptors that are open for it."""
from __future__ import annotations

import json
from typing import Any

from pilvi.compute.drivers.qemu import disks, firmware, nics
from pilvi.compute.drivers.qemu.definition import Definition, Home
from pilvi.compute.drivers.qemu.process import PROGRAM

CONSOLE_LOG_SET = 1
"""The descriptor set of the console log; disks have twice their slot and the next."""
# Without a size TCG's cache of translated code grows by hundreds of MiB; with less than 64 the guest's code is translated again and again
# (measured)
_ACCELERATORS = {"kvm": ["-accel", "kvm", "-cpu", "host"], "tcg": ["-accel", "tcg,tb-size=64", "-cpu", "Nehalem"]}
_BIG_GUEST_MIB = 512
_BIG_GUEST_TCG = ["-accel", "tcg,tb-size=256", "-cpu", "Nehalem"]


def openings(definition: Definition, home: Home) -> list[disks.Opening]:
    """All the machine's disks, the config drive last."""
    found = [disks.opening(disk, slot, home.own_disk(slot)) for slot, disk in definition.disks()]
    if definition.machine.config_drive_path is not None:
        found.append(disks.config_drive(home.config_drive, as_cdrom=definition.machine.image_properties.get("hw_cdrom_bus") == "ide"))
    return found


def command(definition: Definition, home: Home, accelerator: str, files: dict[int, int], taps: dict[int, int]) -> list[str]:
    """The arguments. `files`: {number of the descriptor set: descriptor}; `taps`: {slot: descriptor}."""
    machine = definition.machine
    big = accelerator == "tcg" and machine.memory_mib >= _BIG_GUEST_MIB
    words = [
        PROGRAM, "-M", "pc", *(_BIG_GUEST_TCG if big else _ACCELERATORS[accelerator]), "-nodefaults", "-no-user-config", "-display", "none",
        "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
        "-m", str(machine.memory_mib), "-smp", str(machine.vcpus), *firmware.arguments(machine, home),
        # a guest that powers off or panics stays, stopped, until the driver has seen it: nothing is lost while no agent runs
        "-action", "shutdown=pause,panic=pause", "-device", "pvpanic",
        "-global", "PIIX4_PM.disable_s3=1", "-global", "PIIX4_PM.disable_s4=1",
        "-chardev", "socket,id=qmp,path=qmp,server=on,wait=off", "-mon", "chardev=qmp,mode=control",
        "-chardev", f"socket,id=serial,path=serial,server=on,wait=off,logfile=/dev/fdset/{CONSOLE_LOG_SET},logappend=on",
        "-serial", "chardev:serial",
        "-device", "VGA,addr=2.0", "-vnc", "unix:vnc", "-usb", "-device", "usb-tablet",
        "-device", "virtio-rng-pci,addr=3.0", "-device", "virtio-balloon-pci,id=balloon,addr=4.0",
    ]
    for number, descriptor in files.items(): words += ["-add-fd", f"fd={descriptor},set={number}"]
    for opening in openings(definition, home):
        for node in opening.nodes: words += ["-blockdev", _json(node)]
        words += ["-device", _json(opening.device)]
    for slot, nic in definition.nics():
        if slot in taps: words += ["-netdev", f"tap,id={nics.name(slot)},fd={taps[slot]},vhost=off"]
        words += ["-device", _json(nics.device(nic, slot))]
    return words


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))
