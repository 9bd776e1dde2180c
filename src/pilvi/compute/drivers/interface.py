"""What compute asks of a hypervisor. Every driver passes tests/contract/test_hypervisor_driver.py.

All methods are synchronous, may be called from several threads (for one server only one at a time: the agent holds the server's lock),
and may be repeated: a second `create` of a running machine and a `destroy` of an absent one change nothing.
Names on the host derive from the server's id, so that a driver finds everything again after a restart, without a database.
"""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol

from msgspec import Struct
from msgspec.structs import replace

Power = Literal["running", "paused", "stopped", "crashed"]


class Disk(Struct, frozen=True, kw_only=True):
    """A block device of a machine.

    `connection` says how to open it: {"driver": "file", "path": …, "format": "qcow2"|"raw"} (a volume's, from the volume API).
    The root disk of a server that boots from an image has `image_path` instead: the driver makes its own overlay of `size_gib` on it.
    `device` is the name the user sees (vda); `serial` is what the guest sees (the first 20 characters of the volume's id).
    """
    id: str
    device: str
    boot_index: int = -1
    size_gib: int = 0
    image_path: str | None = None
    image_format: str = "qcow2"
    connection: dict[str, Any] | None = None
    serial: str = ""
    read_only: bool = False


class Nic(Struct, frozen=True, kw_only=True):
    """A network card. `binding` is what the network API's port said (vif_type, vif_details: bridge, ovsdb, datapath)."""
    port_id: str
    mac: str
    mtu: int
    binding: dict[str, Any]


class Machine(Struct, frozen=True, kw_only=True):
    """Everything a hypervisor must know to build a server. The first disk by boot_index is the one to boot."""
    server_id: str
    name: str
    vcpus: int
    memory_mib: int
    disks: list[Disk]
    nics: list[Nic]
    config_drive_path: str | None = None
    """An ISO 9660 file labelled config-2, or None."""
    kernel_path: str | None = None
    ramdisk_path: str | None = None
    kernel_arguments: str = ""
    extra_specs: dict[str, str] = {}
    image_properties: dict[str, str] = {}


class Size(Struct, frozen=True, kw_only=True):
    """What a flavor says of a machine. `disk_gib`: of its own disk; 0 leaves that as it is."""
    vcpus: int
    memory_mib: int
    disk_gib: int
    extra_specs: dict[str, str] = {}

    def of(self, machine: Machine) -> Machine:
        """The machine in this size."""
        sized = [replace(disk, size_gib=self.disk_gib) if disk.connection is None and self.disk_gib else disk for disk in machine.disks]
        return replace(machine, vcpus=self.vcpus, memory_mib=self.memory_mib, extra_specs=self.extra_specs, disks=sized)


class Capabilities(Struct, frozen=True, kw_only=True):
    """What the host offers: whole, not what is left."""
    hypervisor_type: str
    hypervisor_version: int
    vcpus: int
    memory_mib: int
    disk_gib: int
    accelerator: str
    """kvm, tcg or simulated."""
    architecture: str = "x86_64"
    traits: list[str] = []
    boots_at_once: int = 2
    """More machines than this should not boot at the same time."""


class Interrupted(Exception):
    """The caller withdrew the request while the driver waited."""


class HypervisorFailure(Exception):
    """The hypervisor refused or failed; the text is shown to administrators."""


class Hypervisor(Protocol):
    """One host's hypervisor."""

    def capabilities(self) -> Capabilities:
        """Probe the host (may take seconds the first time; later answers come from memory)."""

    def create(self, machine: Machine) -> None:
        """Make the disks, plug the cards, start the machine; return when it runs. On failure nothing is left but what `destroy` removes."""

    def destroy(self, server_id: str) -> None:
        """End the machine at once and remove every trace of it on this host: process, taps, ports, own disks, directories."""

    def power(self) -> dict[str, Power]:
        """Every machine this driver knows on this host, by server id."""

    def start(self, server_id: str) -> None:
        """Start a stopped machine with its disks and cards as they were (attached volumes included)."""

    def stop(self, server_id: str, grace_seconds: float) -> None:
        """Ask the guest to power off, wait that long, then cut the power. Its disks and definition stay."""

    def reboot(self, server_id: str, *, hard: bool, grace_seconds: float) -> None:
        """Reboot; hard: reset without asking the guest."""

    def pause(self, server_id: str) -> None:
        """Stop the virtual CPUs; memory stays."""

    def unpause(self, server_id: str) -> None:
        """Let the virtual CPUs run again."""

    def suspend(self, server_id: str) -> None:
        """Keep a running machine's memory in a file and end it; it is `stopped` then. On failure it runs on."""

    def resume(self, server_id: str) -> None:
        """Start it with the memory that `suspend` kept; without one (it was resumed before, and then the host ended) from its disks."""

    def definition(self, server_id: str) -> Machine:
        """What `create` was told, and what has been plugged and unplugged since."""

    def rebuild(self, machine: Machine) -> None:
        """End the machine, throw its own disks away and define it anew; `start` then makes new ones. Volumes and cards stay."""

    def copy_disk(self, server_id: str, disk_id: str, path: Path) -> None:
        """Write a disk of the driver's own, as it is at one moment, to a new qcow2 file that needs no other; a running guest runs on.
        Repeated, it begins anew: nothing is left of an attempt that was broken off but its file."""

    def attach_disk(self, server_id: str, disk: Disk) -> None:
        """Plug a volume into a running or stopped machine."""

    def detach_disk(self, server_id: str, disk_id: str) -> None:
        """Unplug it and return when the guest has let go (retrying the request); HypervisorFailure when it does not."""

    def attach_nic(self, server_id: str, nic: Nic) -> None:
        """Plug a network card into a running or stopped machine."""

    def detach_nic(self, server_id: str, port_id: str) -> None:
        """Unplug it and remove its tap."""

    def resize_disk(self, server_id: str, disk_id: str, size_gib: int) -> None:
        """Tell a running machine that a volume has grown."""

    def resize(self, server_id: str, size: Size) -> None:
        """Give a stopped machine another size, of disks never a smaller one. What it was is kept until `settle`."""

    def settle(self, server_id: str, *, keep: bool) -> None:
        """After `resize`: keep the new size and forget the old one; or give the stopped machine back what it was, its disk's contents
        included. Changes nothing where nothing was kept."""

    def console_log(self, server_id: str, lines: int | None) -> str:
        """The last lines (None: all kept, at most 1 MiB) of the serial console; text, errors replaced."""

    def console_socket(self, server_id: str, kind: Literal["vnc", "serial"]) -> str:
        """Path of a unix stream socket that speaks RFB or raw serial."""

    def statistics(self, server_id: str) -> dict[str, Any]:
        """Counters now: {"cpu_seconds", "memory_mib", "resident_mib", "used_mib", "available_mib" (what the guest itself says; absent if
        it does not), "disks": {id: {"device", "read_bytes", "read_requests", "read_nanoseconds", "write_…", "capacity_bytes",
        "allocated_bytes"}}, "nics": {port_id: {"rx_bytes", "rx_packets", "rx_errors", "rx_dropped", "tx_…"}}}, as the guest sees them."""

    def all_statistics(self) -> dict[str, dict[str, Any]]:
        """The counters of every machine that runs, by server id; one that can't be asked just now is left out."""

    def watch(self, changed: Callable[[str, str], None]) -> None:
        """From now on call `changed(server_id, power)` (from any thread) when a machine stops, crashes, pauses or resumes by itself."""

    def close(self) -> None:
        """Let go of sockets and threads; machines run on."""
