"""The hypervisor driver `qemu`: virtual machines as QEMU processes, driven over QMP, without libvirt."""
from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import structlog

from pilvi.compute.drivers.interface import Capabilities, Disk, HypervisorFailure, Machine, Nic, Power, Size
from pilvi.compute.drivers.qemu import console, kvm, process
from pilvi.compute.drivers.qemu.definition import Home
from pilvi.compute.drivers.qemu.guest import Guest
from pilvi.compute.drivers.qemu.qmp import Loop
from pilvi.compute.drivers.qemu.watch import Watcher

LOG = structlog.get_logger()
_TRAITS = ["COMPUTE_NODE", "COMPUTE_VOLUME_ATTACH", "COMPUTE_VOLUME_EXTEND", "COMPUTE_NET_ATTACH_INTERFACE", "COMPUTE_IMAGE_TYPE_QCOW2",
           "COMPUTE_IMAGE_TYPE_RAW", "COMPUTE_NET_VIF_MODEL_VIRTIO", "COMPUTE_STORAGE_BUS_VIRTIO",
           "COMPUTE_GRAPHICS_MODEL_VGA", "HW_ARCH_X86_64"]


class Qemu:
    """The machines below `directory`, one folder each.

    `uid_base`: guest number n runs as user uid_base + n (root only; None: all as the agent's own user). `accelerator`: kvm, tcg or auto,
    which boots `kernel_for_probe` under KVM once per boot of the host.
    """

    def __init__(self, directory: Path, *, uid_base: int | None, accelerator: str = "auto", kernel_for_probe: Path | None = None) -> None:
        if accelerator not in ("auto", "kvm", "tcg"): raise HypervisorFailure(f"no accelerator {accelerator!r}: auto, kvm or tcg")
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory, self._uid_base, self._kernel = directory.resolve(), uid_base, kernel_for_probe
        self._accelerator = None if accelerator == "auto" else accelerator
        self._version: int | None = None
        self._loop = Loop()
        self._guests: dict[str, Guest] = {}
        self._lock = threading.Lock()
        self._choosing = threading.Lock()
        self._watcher: Watcher | None = None

    def capabilities(self) -> Capabilities:
        cores = os.cpu_count() or 1
        space = os.statvfs(self._directory)
        memory = re.search(r"^MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
        if self._version is None: self._version = _version()
        return Capabilities(
            hypervisor_type="QEMU", hypervisor_version=self._version, vcpus=cores, memory_mib=int(memory[1]) >> 10 if memory else 0,
            disk_gib=space.f_blocks * space.f_frsize >> 30, accelerator=self._accelerate(), traits=_TRAITS,
            boots_at_once=cores)  # under TCG a boot is all CPU

    def create(self, machine: Machine) -> None:
        with self._at_work(machine.server_id, known=False) as guest:
            # chosen and saved under one lock, or two machines could get one user
            with self._choosing: guest.define(machine, self._free_uid)
            guest.start(self._accelerate())

    def destroy(self, server_id: str) -> None:
        with self._at_work(server_id, known=False) as guest: guest.destroy()
        with self._lock: self._guests.pop(server_id, None)

    def power(self) -> dict[str, Power]:
        running = process.find(self._directory)
        return {guest.home.server_id: guest.power(running.get(guest.home.server_id)) for guest in self._all()}

    def start(self, server_id: str) -> None:
        with self._at_work(server_id) as guest: guest.start(self._accelerate())

    def stop(self, server_id: str, grace_seconds: float) -> None:
        with self._at_work(server_id) as guest:
            guest.power_down(grace_seconds)
            guest.end()

    def reboot(self, server_id: str, *, hard: bool, grace_seconds: float) -> None:
        with self._at_work(server_id) as guest: guest.reboot(hard=hard, grace_seconds=grace_seconds, accelerator=self._accelerate())

    def pause(self, server_id: str) -> None:
        with self._at_work(server_id) as guest: guest.pause(True)

    def unpause(self, server_id: str) -> None:
        with self._at_work(server_id) as guest: guest.pause(False)

    def suspend(self, server_id: str) -> None:
        with self._at_work(server_id) as guest: guest.suspend()

    def resume(self, server_id: str) -> None:
        with self._at_work(server_id) as guest: guest.resume(self._accelerate())

    def definition(self, server_id: str) -> Machine:
        return self._guest(server_id).definition().machine

    def rebuild(self, machine: Machine) -> None:
        with self._at_work(machine.server_id) as guest: guest.rebuild(machine)

    def copy_disk(self, server_id: str, disk_id: str, path: Path) -> None:
        with self._at_work(server_id) as guest: guest.copy_disk(disk_id, path)

    def attach_disk(self, server_id: str, disk: Disk) -> None:
        with self._at_work(server_id) as guest: guest.attach_disk(disk)

    def detach_disk(self, server_id: str, disk_id: str) -> None:
        with self._at_work(server_id) as guest: guest.detach_disk(disk_id)

    def attach_nic(self, server_id: str, nic: Nic) -> None:
        with self._at_work(server_id) as guest: guest.attach_nic(nic)

    def detach_nic(self, server_id: str, port_id: str) -> None:
        with self._at_work(server_id) as guest: guest.detach_nic(port_id)

    def resize_disk(self, server_id: str, disk_id: str, size_gib: int) -> None:
        with self._at_work(server_id) as guest: guest.resize_disk(disk_id, size_gib)

    def resize(self, server_id: str, size: Size) -> None:
        with self._at_work(server_id) as guest: guest.resize(size)

    def settle(self, server_id: str, *, keep: bool) -> None:
        with self._at_work(server_id) as guest: guest.settle(keep)

    def console_log(self, server_id: str, lines: int | None) -> str:
        return console.log(self._known(server_id).home, lines)

    def console_socket(self, server_id: str, kind: Literal["vnc", "serial"]) -> str:
        guest = self._known(server_id)
        pid = guest.pid()
        if pid is None: raise HypervisorFailure(f"machine {server_id} does not run")
        return str(guest.home.socket(kind, pid))

    def statistics(self, server_id: str) -> dict[str, Any]:
        return self._known(server_id).statistics()

    def all_statistics(self) -> dict[str, dict[str, Any]]:
        running, found = process.find(self._directory), {}
        for guest in self._all():
            if guest.home.server_id not in running: continue
            try: found[guest.home.server_id] = guest.statistics(running)
            except (HypervisorFailure, OSError) as failure:
                LOG.info("no statistics", server=guest.home.server_id, reason=str(failure))
        return found

    def watch(self, changed: Callable[[str, str], None]) -> None:
        if self._watcher is not None: raise HypervisorFailure("this driver is watched already")
        self._watcher = Watcher(self._all, lambda: process.find(self._directory), changed)
        for guest in self._all(): self._watcher.notice(guest.home.server_id)

    def close(self) -> None:
        if self._watcher is not None: self._watcher.close()
        with self._lock: guests, self._guests = list(self._guests.values()), {}
        for guest in guests: guest.close()
        self._loop.close()

    def _accelerate(self) -> str:
        with self._choosing:
            if self._accelerator is None: self._accelerator = kvm.accelerator(self._directory, self._kernel, self._uid_base)
            return self._accelerator

    def _free_uid(self) -> int | None:
        if self._uid_base is None: return None
        taken = {found.uid for path in self._directory.glob("*/machine.json") if (found := Home(self._directory, path.parent.name).load())}
        return next(uid for uid in range(self._uid_base, self._uid_base + len(taken) + 1) if uid not in taken)

    @contextmanager
    def _at_work(self, server_id: str, *, known: bool = True) -> Iterator[Guest]:
        """A verb on a machine: afterwards its state is the told one, so that only later changes count as its own."""
        guest = self._known(server_id) if known else self._guest(server_id)
        with guest.lock:
            try:
                yield guest
            finally:
                guest.last = guest.power(guest.pid()) if guest.home.load() else None

    def _guest(self, server_id: str) -> Guest:
        with self._lock:
            if server_id not in self._guests: self._guests[server_id] = Guest(self._directory, server_id, self._loop, self._notice)
            return self._guests[server_id]

    def _known(self, server_id: str) -> Guest:
        guest = self._guest(server_id)
        guest.definition()
        return guest

    def _all(self) -> list[Guest]:
        """Every machine that has a definition."""
        return [self._guest(path.parent.name) for path in sorted(self._directory.glob("*/machine.json"))]

    def _notice(self, server_id: str) -> None:
        if self._watcher is not None: self._watcher.notice(server_id)


def _version() -> int:
    said = subprocess.run([process.PROGRAM, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
    found = re.search(r"version (\d+)\.(\d+)\.(\d+)", said)
    if found is None: raise HypervisorFailure(f"{process.PROGRAM} has no version: {said[:100]}")
    major, minor, micro = (int(part) for part in found.groups())
    return major * 1_000_000 + minor * 1_000 + micro
