"""A machine's definition and its directory: all that this driver remembers, on disk before anything else is made.

A directory holds: machine.json (the definition), disk<slot>.qcow2 (own disks), what they and the machine were before a resize (resize.py),
console.log, qemu.log, kernel and ramdisk where the image has them, `memory` (of a suspended machine), `started` (the boot id of the host
under which the machine was last started; absent after an orderly end) and run/ (QEMU's sockets).
"""
from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from pilvi.compute.drivers.interface import Disk, HypervisorFailure, Machine, Nic

# PCI slots of bus 0 of QEMU's `pc`. Fixed places keep the guest's names stable over stop, start and unplugging: Linux counts disks by slot.
# 0 and 1 are the chipset's, 2 the VGA card, 3 the random source, 4 the balloon, 31 the config drive.
NIC_SLOTS = range(5, 13)
DISK_SLOTS = range(13, 31)
CONFIG_DRIVE_SLOT = 31

_LONGEST_SOCKET_PATH = 107  # sun_path of Linux, less the final zero


class Definition(Struct, frozen=True, kw_only=True):
    """What the driver was asked for and what it chose: the guest's uid (None: the agent's own) and the PCI slot of each disk and card."""
    machine: Machine
    uid: int | None
    disk_slots: dict[str, int] = {}
    nic_slots: dict[str, int] = {}

    def disks(self) -> Iterator[tuple[int, Disk]]:
        for disk in self.machine.disks: yield self.disk_slots[disk.id], disk

    def nics(self) -> Iterator[tuple[int, Nic]]:
        for nic in self.machine.nics: yield self.nic_slots[nic.port_id], nic


def define(machine: Machine, uid: int | None, known: Definition | None) -> Definition:
    """The definition of a machine; what was `known` of it before keeps its slots."""
    disks = {disk.id: _slot_by_name(disk.device) for disk in machine.disks}
    nics: dict[str, int | None] = {nic.port_id: None for nic in machine.nics}
    return Definition(machine=machine, uid=uid,
                      disk_slots=_slots(disks, known.disk_slots if known else {}, DISK_SLOTS, "disks"),
                      nic_slots=_slots(nics, known.nic_slots if known else {}, NIC_SLOTS, "network cards"))


def with_disk(definition: Definition, disk: Disk) -> Definition:
    machine = replace(definition.machine, disks=[*_but(definition, disk.id), disk])
    return define(machine, definition.uid, definition)


def without_disk(definition: Definition, disk_id: str) -> Definition:
    return define(replace(definition.machine, disks=_but(definition, disk_id)), definition.uid, definition)


def with_nic(definition: Definition, nic: Nic) -> Definition:
    others = [other for other in definition.machine.nics if other.port_id != nic.port_id]
    return define(replace(definition.machine, nics=[*others, nic]), definition.uid, definition)


def without_nic(definition: Definition, port_id: str) -> Definition:
    others = [other for other in definition.machine.nics if other.port_id != port_id]
    return define(replace(definition.machine, nics=others), definition.uid, definition)


def _but(definition: Definition, disk_id: str) -> list[Disk]:
    return [disk for disk in definition.machine.disks if disk.id != disk_id]


def _slot_by_name(device: str) -> int | None:
    """vda's is the first, vdb's the second: then Linux gives the names that were asked for."""
    letter = re.fullmatch(r"(?:/dev/)?vd([a-z])", device)
    number = ord(letter[1]) - ord("a") if letter else len(DISK_SLOTS)
    return DISK_SLOTS[number] if number < len(DISK_SLOTS) else None


def _slots(wanted: dict[str, int | None], before: dict[str, int], all_slots: range, what: str) -> dict[str, int]:
    found = {key: before[key] for key in wanted if key in before}
    for key, preferred in wanted.items():
        if key in found: continue
        free = [slot for slot in all_slots if slot not in found.values()]
        if not free: raise HypervisorFailure(f"a machine has room for {len(all_slots)} {what}")
        found[key] = preferred if preferred in free and preferred is not None else free[0]
    return found


class Home:
    """The paths of one machine, and its definition's file."""

    def __init__(self, directory: Path, server_id: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", server_id): raise HypervisorFailure(f"not a server's id: {server_id!r}")
        self.server_id = server_id
        self.path = directory / server_id
        self.run = self.path / "run"
        self.console_log = self.path / "console.log"
        self.qemu_log = self.path / "qemu.log"
        self.kernel = self.path / "run" / "kernel"
        self.ramdisk = self.path / "run" / "ramdisk"
        self.config_drive = self.path / "config.iso"
        self.started = self.path / "started"
        self.memory = self.path / "memory"
        self.memory_beside = self.path / "memory.new"
        self.before = self.path / "before.json"
        self._definition = self.path / "machine.json"

    def socket(self, kind: str, pid: int) -> Path:
        """Where to connect to: by way of the process's working directory, should the plain path be too long for a socket."""
        path = self.run / kind
        return path if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH else Path(f"/proc/{pid}/cwd/{kind}")

    def own_disk(self, slot: int) -> Path:
        return self.path / f"disk{slot}.qcow2"

    def disk_before(self, slot: int) -> Path:
        """What the disk was before a resize that is not confirmed yet."""
        return self.path / f"disk{slot}.before.qcow2"

    def load(self) -> Definition | None:
        """The definition, or None where there is none."""
        try:
            return msgspec.json.decode(self._definition.read_bytes(), type=Definition)
        except FileNotFoundError:
            return None

    def save(self, definition: Definition) -> None:
        """Written whole or not at all."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self.path / "machine.json.new"
        with new.open("wb") as file:
            file.write(msgspec.json.encode(definition))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._definition)

    def forget(self) -> None:
        """Remove the directory; the definition goes last, as it names what else must go."""
        if not self.path.exists(): return
        for path in [*self.run.glob("*"), *(path for path in self.path.iterdir() if path not in (self.run, self._definition))]:
            path.unlink(missing_ok=True)
        if self.run.exists(): self.run.rmdir()
        self._definition.unlink(missing_ok=True)
        self.path.rmdir()


def host_boot_id() -> str:
    """Changes with every boot of the host."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
