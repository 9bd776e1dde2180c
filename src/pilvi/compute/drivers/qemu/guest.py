"""One machine of this host: its definition on disk, its process, its monitor, and the verbs over them."""
from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pilvi.compute.drivers.interface import Disk, HypervisorFailure, Machine, Nic, Power, Size
from pilvi.compute.drivers.qemu import (
    balloon,
    console,
    definition,
    disks,
    firmware,
    machine,
    nics,
    process,
    resize,
    snapshot,
    suspension,
)
from pilvi.compute.drivers.qemu.definition import Definition, Home, host_boot_id
from pilvi.compute.drivers.qemu.qmp import Loop, Monitor

_START_SECONDS = 60
_ASK_AGAIN_SECONDS = 10
_POWERS: dict[str, Power] = {"running": "running", "shutdown": "stopped", "guest-panicked": "crashed", "internal-error": "crashed"}
"""QEMU's run states; all others (paused, prelaunch, io-error, …) mean that the virtual CPUs stand still."""


class Guest:
    """`lock` is held during every verb and while the watcher settles what happened by itself; `last` is the power state that was told
    last.
    """

    def __init__(self, directory: Path, server_id: str, loop: Loop, noticed: Callable[[str], None]) -> None:
        self.home = Home(directory, server_id)
        self.lock = threading.RLock()
        self.last: Power | None = None
        self._directory, self._loop, self._noticed = directory, loop, noticed
        self._connecting = threading.Lock()
        self._monitor: Monitor | None = None
        self._child: subprocess.Popen[bytes] | None = None

    # Looking

    def definition(self) -> Definition:
        found = self.home.load()
        if found is None: raise HypervisorFailure(f"no machine {self.home.server_id} on this host")
        return found

    def pid(self, running: dict[str, int] | None = None) -> int | None:
        """Its process, if it runs. `running`: all of this host, where the caller has looked already."""
        if self._child is not None:
            if self._child.poll() is None: return self._child.pid
            self._child = None
        return (process.find(self._directory) if running is None else running).get(self.home.server_id)

    def power(self, pid: int | None) -> Power:
        """Its state, given its process. A process that ended without a word crashed, unless the host itself went down meanwhile."""
        if pid is None:
            return "crashed" if self.home.started.exists() and self.home.started.read_text() == host_boot_id() else "stopped"
        try:
            return _POWERS.get(self.monitor(pid).execute("query-status", seconds=10)["status"], "paused")
        except HypervisorFailure:
            return self.power(None) if not process.alive(pid) else self.last or "running"

    def monitor(self, pid: int | None = None) -> Monitor:
        """The connection to the running machine, made anew where there is none."""
        with self._connecting:
            if self._monitor is not None and self._monitor.connected: return self._monitor
            pid = pid or self.pid()
            if pid is None: raise HypervisorFailure(f"machine {self.home.server_id} does not run")
            monitor = Monitor(self._loop, self.home.server_id, lambda: self._noticed(self.home.server_id))
            monitor.connect(self.home.socket("qmp", pid), pid, 10)
            self._monitor = monitor
            return monitor

    # Starting and ending

    def define(self, wanted: Machine, choose_uid: Callable[[], int | None]) -> None:
        """Remember the definition, unless it runs: then it stays as it is. A stopped machine keeps the disks that are in both."""
        firmware.check(wanted)
        for nic in wanted.nics: nics.wired(nic)
        known = self.home.load()
        if known is not None and self.power(self.pid()) in ("running", "paused"): return
        if known is not None: self._drop(known, wanted)
        self.home.save(definition.define(wanted, known.uid if known else choose_uid(), known))

    def _drop(self, known: Definition, wanted: Machine) -> None:
        """Remove what a new definition has no more, before it is saved: a later disk in the same slot must not find the old one's file."""
        images = {disk.id: disk.image_path for disk in wanted.disks}
        for slot, disk in known.disks():
            if disk.id not in images or images[disk.id] != disk.image_path: self.home.own_disk(slot).unlink(missing_ok=True)
        for nic in known.machine.nics:
            if nic.port_id not in {other.port_id for other in wanted.nics}: nics.disconnect(nic)
        for copy in (self.home.kernel, self.home.ramdisk, self.home.config_drive): copy.unlink(missing_ok=True)

    def start(self, accelerator: str) -> None:
        """Start it unless it runs; what is left of an earlier process is removed first."""
        found = self.definition()
        pid = self.pid()
        power = self.power(pid)
        if pid is not None and power == "running": return
        if pid is not None and power == "paused":
            self.monitor(pid).execute("cont")
            return
        self.end()
        self.home.memory.unlink(missing_ok=True)  # from now on its disks change
        self._run(found, accelerator)

    def _run(self, found: Definition, accelerator: str) -> None:
        self._prepare(found)
        for _, nic in found.nics(): nics.connect(nic, self.home.server_id)
        self.home.started.write_text(host_boot_id())
        try:
            self._launch(found, accelerator)
        except BaseException:
            self.end()
            raise

    def suspend(self) -> None:
        """Keep its memory and end it."""
        pid = self.pid()
        if pid is not None:
            if self.power(pid) not in ("running", "paused"): raise HypervisorFailure(f"machine {self.home.server_id} does not run")
            suspension.keep(self.monitor(pid), self.definition().machine.memory_mib, self.home.memory_beside, self.home.memory)
        elif not self.home.memory.exists(): raise HypervisorFailure(f"machine {self.home.server_id} does not run")
        self.end()

    def resume(self, accelerator: str) -> None:
        """Start it where it was suspended, or go on with that; the memory is used up before the guest runs."""
        found = self.definition()
        if self.pid() is None:
            if not self.home.memory.exists(): return self.start(accelerator)
            self.end()
            self._run(found, accelerator)
        monitor = self.monitor()
        suspension.await_loaded(monitor)
        self.home.memory.unlink(missing_ok=True)
        monitor.execute("cont")

    def rebuild(self, wanted: Machine) -> None:
        """End it and define it anew, without its own disks. May be repeated, until it is started."""
        known = self.definition()
        self.end()
        for path in (self.home.memory, *(self.home.own_disk(slot) for slot, _ in known.disks())): path.unlink(missing_ok=True)
        self.define(wanted, lambda: known.uid)

    def copy_disk(self, disk_id: str, path: Path) -> None:
        found = self.definition()
        disk = next((disk for disk in found.machine.disks if disk.id == disk_id), None)
        if disk is None: raise HypervisorFailure(f"machine {self.home.server_id} has no disk {disk_id}")
        slot = found.disk_slots[disk_id]
        snapshot.copy(self.monitor() if self.pid() is not None else None, disk, slot, self.home.own_disk(slot), path)

    def _prepare(self, found: Definition) -> None:
        self.home.run.mkdir(mode=0o700, exist_ok=True)
        if found.uid is not None: os.chown(self.home.run, found.uid, found.uid)
        for slot, disk in found.disks(): disks.make(disk, self.home.own_disk(slot))
        firmware.prepare(found.machine, self.home, found.uid)
        drive = found.machine.config_drive_path
        if drive is not None and not self.home.config_drive.exists():
            new = self.home.config_drive.with_suffix(".new")
            shutil.copyfile(drive, new)
            new.replace(self.home.config_drive)

    def _launch(self, found: Definition, accelerator: str) -> None:
        files: dict[int, int] = {}
        taps: dict[int, int] = {}
        memory: list[int] = []
        try:
            files[machine.CONSOLE_LOG_SET] = os.open(self.home.console_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            for opening in machine.openings(found, self.home):
                for file in opening.files: files[file.number] = file.open()
            for slot, nic in found.nics():
                if nics.wired(nic): taps[slot] = nics.open_tap(nic)
            memory = [os.open(self.home.memory, os.O_RDONLY | os.O_CLOEXEC)] if self.home.memory.exists() else []
            command = machine.command(found, self.home, accelerator, files, taps)
            for descriptor in memory: command += ["-incoming", f"fd:{descriptor}"]
            self._child = process.launch(command, self.home, found.uid, [*files.values(), *taps.values(), *memory])
        finally:
            for descriptor in (*files.values(), *taps.values(), *memory): os.close(descriptor)
        self._await_monitor(self._child)

    def _await_monitor(self, child: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            if child.poll() is not None:
                said = self.home.qemu_log.read_text(errors="replace").strip()[-2000:]
                raise HypervisorFailure(f"QEMU ended at once ({child.returncode}): {said}")
            try:
                self.monitor(child.pid)
                return
            except HypervisorFailure:
                if time.monotonic() > deadline: raise
            time.sleep(0.02)

    def end(self) -> None:
        """End the process at once and take its taps away; definition and disks stay. May be repeated."""
        pid = self.pid()
        if pid is not None: process.kill(pid)
        self._reap()
        found = self.home.load()
        if found is not None:
            for nic in found.machine.nics: nics.disconnect(nic)
        self.home.started.unlink(missing_ok=True)

    def _reap(self) -> None:
        if self._child is not None: self._child.wait(30)
        self._child = None
        with self._connecting: self._monitor = None

    def destroy(self) -> None:
        """Remove every trace. May be repeated, and after any crash: the definition, which names what there is to remove, goes last."""
        self.end()
        self.home.forget()

    def power_down(self, grace_seconds: float) -> bool:
        """Ask the guest to power off; whether it did in time. Asked again now and then, as a guest that still boots does not listen."""
        pid = self.pid()
        if pid is None or self.power(pid) != "running": return False
        monitor, deadline = self.monitor(pid), time.monotonic() + grace_seconds
        with monitor.events() as wait:
            while (left := deadline - time.monotonic()) > 0:
                monitor.execute("system_powerdown")
                if wait(lambda event: event["event"] == "SHUTDOWN", min(left, _ASK_AGAIN_SECONDS)): return True
                if not monitor.connected: return self.pid() is None
        return False

    def reboot(self, *, hard: bool, grace_seconds: float, accelerator: str) -> None:
        """Reboot in the same process, so that nothing plugged is lost; a machine that does not run is started."""
        pid = self.pid()
        if pid is None or self.power(pid) not in ("running", "paused"):
            self.start(accelerator)
            return
        if not hard: self.power_down(grace_seconds)
        monitor = self.monitor(pid)
        monitor.execute("system_reset")
        monitor.execute("cont")

    def pause(self, paused: bool) -> None:
        self.monitor().execute("stop" if paused else "cont")

    # Devices: the definition is written first, so that a crash in between leaves no tap that nothing knows of

    def attach_disk(self, disk: Disk) -> None:
        found = definition.with_disk(self.definition(), disk)
        slot = found.disk_slots[disk.id]
        disks.make(disk, self.home.own_disk(slot))
        self._change(found, lambda monitor: disks.plug(monitor, disk, slot, self.home.own_disk(slot)))

    def detach_disk(self, disk_id: str) -> None:
        found = self.definition()
        if disk_id not in found.disk_slots: return
        if self.pid() is not None: disks.unplug(self.monitor(), found.disk_slots[disk_id])
        self.home.own_disk(found.disk_slots[disk_id]).unlink(missing_ok=True)
        self.home.save(definition.without_disk(found, disk_id))

    def attach_nic(self, nic: Nic) -> None:
        nics.wired(nic)
        found = definition.with_nic(self.definition(), nic)
        try:
            self._change(found, lambda monitor: nics.plug(monitor, nic, found.nic_slots[nic.port_id], self.home.server_id))
        except HypervisorFailure:
            nics.disconnect(nic)
            raise

    def detach_nic(self, port_id: str) -> None:
        found = self.definition()
        if port_id not in found.nic_slots: return
        if self.pid() is not None: nics.unplug(self.monitor(), found.nic_slots[port_id])
        for nic in found.machine.nics:
            if nic.port_id == port_id: nics.disconnect(nic)
        self.home.save(definition.without_nic(found, port_id))

    def _change(self, changed: Definition, live: Callable[[Monitor], None]) -> None:
        before = self.definition()
        self.home.save(changed)
        if self.pid() is None: return
        try:
            live(self.monitor())
        except HypervisorFailure:
            self.home.save(before)
            raise

    def resize_disk(self, disk_id: str, size_gib: int) -> None:
        found = self.definition()
        if disk_id not in found.disk_slots: raise HypervisorFailure(f"machine {self.home.server_id} has no disk {disk_id}")
        if self.pid() is not None: disks.resize(self.monitor(), found.disk_slots[disk_id], size_gib)

    def resize(self, size: Size) -> None:
        if self.pid() is not None: raise HypervisorFailure(f"machine {self.home.server_id} runs: it can't be resized")
        resize.apply(self.home, self.definition(), size)

    def settle(self, keep: bool) -> None:
        if keep: return resize.forget(self.home, self.definition())
        if self.pid() is not None: raise HypervisorFailure(f"machine {self.home.server_id} runs: its resize can't be taken back")
        resize.revert(self.home, self.definition())

    def statistics(self, running: dict[str, int] | None = None) -> dict[str, Any]:
        """Counters of the running machine. `running`: all of this host, where the caller has looked already."""
        found, pid = self.definition(), self.pid(running)
        if pid is None: raise HypervisorFailure(f"machine {self.home.server_id} does not run")
        cpu_seconds, resident_mib = process.usage(pid)
        monitor = self.monitor(pid)
        counted = {entry.get("node-name"): entry["stats"] for entry in monitor.execute("query-blockstats")}
        nodes = monitor.execute("query-named-block-nodes", {"flat": True})
        return {
            "cpu_seconds": cpu_seconds, "memory_mib": found.machine.memory_mib, "resident_mib": resident_mib, **balloon.told(monitor),
            "disks": {disk.id: {"device": disk.device, **disks.counters(counted.get(disks.name(slot), {})), **disks.sizes(nodes, slot)}
                      for slot, disk in found.disks()},
            "nics": {nic.port_id: nics.counters(nic) for _, nic in found.nics()},
        }

    def trim_console_log(self) -> None:
        console.trim(self.home)

    def close(self) -> None:
        with self._connecting:
            if self._monitor is not None and self._monitor.connected: self._monitor.close()
            self._monitor = None
