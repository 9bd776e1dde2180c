"""What every hypervisor driver must do. A new driver adds a host here: how to make it, and how its guest powers itself off."""
from __future__ import annotations

import contextlib
import os
import queue
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.shell_guest import shell_guest

from pilvi.compute.drivers import DRIVERS
from pilvi.compute.drivers.interface import Disk, Hypervisor, HypervisorFailure, Machine, Nic, Size
from pilvi.compute.drivers.simulated import Failures
from pilvi.core import disk_image

BOOT_SECONDS = 240  # seven on a quiet machine, eighty when ten boot at once


class SimulatedHost:
    """A host on which any driver may be started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.driver = self.start()

    def start(self) -> Hypervisor:
        return DRIVERS["simulated"]("host-1", seed=1, latencies={}, failures=Failures([]), state_path=self.folder / "state.json")

    def again(self) -> Hypervisor:
        self.driver.close()
        self.driver = self.start()
        return self.driver

    def machine(self, **changed: Any) -> Machine:
        facts: dict[str, Any] = dict(server_id=str(uuid.uuid4()), name="web", vcpus=1, memory_mib=128, disks=[self.root()], nics=[nic()])
        return Machine(**(facts | changed))

    def root(self) -> Disk:
        return Disk(id="root", device="vda", boot_index=0, size_gib=1, image_path=str(self.folder / "image.qcow2"))

    def volume(self, device: str) -> Disk:
        return Disk(id=str(uuid.uuid4()), device=device, connection={"driver": "file", "path": "volume", "format": "qcow2"})

    def await_boot(self, server_id: str) -> None: pass

    def power_off_inside(self, server_id: str) -> None:
        self.driver.happen(server_id, "stopped")


class QemuHost(SimulatedHost):
    def __init__(self, folder: Path) -> None:
        self.guest = shell_guest()
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", folder / "image.qcow2", "16M"], check=True)
        super().__init__(folder)

    def start(self) -> Hypervisor:
        return DRIVERS["qemu"](self.folder / "m", uid_base=700_000 if os.geteuid() == 0 else None, accelerator="tcg")

    def machine(self, **changed: Any) -> Machine:
        return super().machine(**{
            "kernel_path": str(self.guest / "vmlinuz"), "ramdisk_path": str(self.guest / "memory"), "nics": [],
            "kernel_arguments": "console=ttyS0 quiet no_timer_check random.trust_cpu=on mitigations=off", **changed})

    def volume(self, device: str) -> Disk:
        path = self.folder / f"{uuid.uuid4()}.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "32M"], check=True)
        return Disk(id=path.stem, device=device, connection={"driver": "file", "path": str(path), "format": "qcow2"})

    def await_boot(self, server_id: str) -> None:
        """Until the shell waits: from there on the guest says nothing by itself."""
        eventually(lambda: "~ # " in self.driver.console_log(server_id, None), BOOT_SECONDS)

    def power_off_inside(self, server_id: str) -> None:
        self.await_boot(server_id)
        with socket.socket(socket.AF_UNIX) as console, contextlib.suppress(ConnectionError):
            console.connect(self.driver.console_socket(server_id, "serial"))
            while self.driver.power()[server_id] == "running":
                console.send(b"poweroff\n")
                time.sleep(2)


HOSTS = {"qemu": QemuHost, "simulated": SimulatedHost}


def nic() -> Nic:
    return Nic(port_id=str(uuid.uuid4()), mac="fa:16:3e:12:34:56", mtu=1442, binding={"vif_type": "none", "vif_details": {}})


def eventually(true: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.2)


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.real if name == "qemu" else ()) for name in DRIVERS])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SimulatedHost]:
    host = HOSTS[request.param](tmp_path)
    yield host
    for server_id in host.driver.power(): host.driver.destroy(server_id)
    host.driver.close()


def test_the_host_offers_something(host):
    offers = host.driver.capabilities()
    assert offers.vcpus >= 1 and offers.memory_mib > 512 and offers.boots_at_once >= 1
    assert offers.accelerator in ("kvm", "tcg", "simulated")


def test_create_and_destroy_may_be_repeated(host):
    machine = host.machine(nics=[nic()])
    host.driver.create(machine)
    assert host.driver.power() == {machine.server_id: "running"}
    host.driver.create(machine)
    assert host.driver.power() == {machine.server_id: "running"}
    host.driver.destroy(machine.server_id)
    assert host.driver.power() == {}
    host.driver.destroy(machine.server_id)


def test_machines_are_told_apart(host):
    one, two = host.machine(), host.machine()
    host.driver.create(one)
    host.driver.create(two)
    host.driver.stop(one.server_id, 0)
    assert host.driver.power() == {one.server_id: "stopped", two.server_id: "running"}


def test_an_absent_machine_is_named_in_the_failure(host):
    for verb in (lambda: host.driver.start("absent"), lambda: host.driver.stop("absent", 0), lambda: host.driver.pause("absent"),
                 lambda: host.driver.attach_nic("absent", nic()), lambda: host.driver.statistics("absent"),
                 lambda: host.driver.console_log("absent", None)):
        with pytest.raises(HypervisorFailure, match="absent"): verb()
    assert host.driver.power() == {}


def test_pause_and_reboot(host):
    machine = host.machine()
    host.driver.create(machine)
    host.driver.pause(machine.server_id)
    assert host.driver.power() == {machine.server_id: "paused"}
    host.driver.unpause(machine.server_id)
    assert host.driver.power() == {machine.server_id: "running"}
    host.driver.reboot(machine.server_id, hard=True, grace_seconds=0)
    assert host.driver.power() == {machine.server_id: "running"}


def test_suspend_and_resume(host):
    machine = host.machine()
    host.driver.create(machine)
    for _ in range(2): host.driver.suspend(machine.server_id)
    assert host.driver.power() == {machine.server_id: "stopped"}
    driver = host.again()
    for _ in range(2): driver.resume(machine.server_id)
    assert driver.power() == {machine.server_id: "running"}
    driver.stop(machine.server_id, 0)
    with pytest.raises(HypervisorFailure, match=machine.server_id): driver.suspend(machine.server_id)


def test_a_disk_is_copied_whether_it_runs_or_not(host):
    machine, path = host.machine(), host.folder / "copy.qcow2"
    host.driver.create(machine)
    for power in ("running", "stopped"):
        if power == "stopped": host.driver.stop(machine.server_id, 0)
        for _ in range(2): host.driver.copy_disk(machine.server_id, "root", path)
        assert host.driver.power() == {machine.server_id: power} and disk_image.virtual_size(path, "qcow2") == 1 << 30
    with pytest.raises(HypervisorFailure, match="no disk"): host.driver.copy_disk(machine.server_id, "absent", path)


def test_a_rebuilt_machine_keeps_its_volumes_and_cards(host):
    machine, volume, card = host.machine(), host.volume("vdb"), nic()
    host.driver.create(machine)
    host.driver.attach_disk(machine.server_id, volume)
    host.driver.attach_nic(machine.server_id, card)
    known = host.driver.definition(machine.server_id)
    assert {disk.id for disk in known.disks} == {"root", volume.id}
    for _ in range(2): host.driver.rebuild(replace(known, name="anew"))
    assert host.driver.power() == {machine.server_id: "stopped"} and host.driver.definition(machine.server_id).name == "anew"
    host.driver.start(machine.server_id)
    found = host.driver.statistics(machine.server_id)
    assert set(found["disks"]) == {"root", volume.id} and card.port_id in found["nics"]


def test_a_start_brings_disks_and_cards_back(host):
    machine, volume, later, card = host.machine(), host.volume("vdb"), host.volume("vdc"), nic()
    host.driver.create(machine)
    host.driver.attach_disk(machine.server_id, volume)
    host.driver.attach_nic(machine.server_id, card)
    host.driver.stop(machine.server_id, 0)
    host.driver.attach_disk(machine.server_id, later)
    host.again().start(machine.server_id)
    host.driver.start(machine.server_id)
    found = host.driver.statistics(machine.server_id)
    assert set(found["disks"]) == {"root", volume.id, later.id}
    assert card.port_id in found["nics"]


def test_devices_come_and_go_while_it_runs(host):
    machine, volume, card = host.machine(), host.volume("vdb"), nic()
    host.driver.create(machine)
    for _ in range(2):
        host.driver.attach_disk(machine.server_id, volume)
        host.driver.attach_nic(machine.server_id, card)
    host.driver.resize_disk(machine.server_id, volume.id, 1)
    for _ in range(2):  # at once: the guest still boots
        host.driver.detach_disk(machine.server_id, volume.id)
        host.driver.detach_nic(machine.server_id, card.port_id)
    found = host.driver.statistics(machine.server_id)
    assert set(found["disks"]) == {"root"} and card.port_id not in found["nics"]
    host.driver.attach_disk(machine.server_id, volume)
    assert volume.id in host.driver.statistics(machine.server_id)["disks"]


def test_what_machines_did_is_counted_while_they_run(host):
    machine, card = host.machine(), nic()
    host.driver.create(machine)
    host.driver.attach_nic(machine.server_id, card)
    found = host.driver.all_statistics()
    assert set(found) == {machine.server_id}
    counted = found[machine.server_id]
    assert counted["cpu_seconds"] >= 0 and counted["memory_mib"] == machine.memory_mib and counted["resident_mib"] > 0
    disk = counted["disks"]["root"]
    assert disk["device"] == machine.disks[0].device and disk["capacity_bytes"] >= disk["allocated_bytes"] >= 0
    assert {f"{way}_{what}" for way in ("read", "write") for what in ("bytes", "requests", "nanoseconds")} <= set(disk)
    assert set(counted["nics"][card.port_id]) == {f"{way}_{what}" for way in ("rx", "tx") for what in ("bytes", "packets", "errors",
                                                                                                       "dropped")}
    later = host.again().all_statistics()[machine.server_id]
    assert later["cpu_seconds"] >= counted["cpu_seconds"]
    host.driver.stop(machine.server_id, 0)
    assert host.driver.all_statistics() == {}


def test_machines_outlive_the_driver(host):
    machine = host.machine()
    host.driver.create(machine)
    before = host.driver.statistics(machine.server_id)["cpu_seconds"]
    assert host.again().power() == {machine.server_id: "running"}
    assert host.driver.statistics(machine.server_id)["cpu_seconds"] >= before
    host.driver.stop(machine.server_id, 0)
    assert host.again().power() == {machine.server_id: "stopped"}


def test_only_what_happens_by_itself_is_told(host):
    told: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
    host.driver.watch(lambda server_id, what: told.put((server_id, what)))
    machine = host.machine()
    for verb in (lambda: host.driver.create(machine), lambda: host.driver.pause(machine.server_id),
                 lambda: host.driver.unpause(machine.server_id), lambda: host.driver.stop(machine.server_id, 0),
                 lambda: host.driver.start(machine.server_id)):
        verb()
        time.sleep(1)  # for a driver that would tell, mistakenly
        assert told.empty()
    host.power_off_inside(machine.server_id)
    assert told.get(timeout=BOOT_SECONDS) == (machine.server_id, "stopped")
    assert host.driver.power() == {machine.server_id: "stopped"}
    host.driver.start(machine.server_id)
    assert host.driver.power() == {machine.server_id: "running"}
    assert told.empty()


def test_the_console_log_is_cut_to_lines(host):
    machine = host.machine()
    host.driver.create(machine)
    host.await_boot(machine.server_id)
    last = host.driver.console_log(machine.server_id, 1).splitlines()
    whole = host.driver.console_log(machine.server_id, None).splitlines()
    assert len(last) == 1 and len(whole) > 1
    assert whole[-1].startswith(last[0])


def size_of(host, server_id: str) -> tuple[int, int]:
    """(memory in MiB, bytes of the root disk) of a running machine"""
    told = host.driver.statistics(server_id)
    return told["memory_mib"], told["disks"]["root"]["capacity_bytes"]


@pytest.mark.parametrize("keep", [True, False])
def test_a_resize_is_kept_or_taken_back(host, keep):
    machine = host.machine()
    host.driver.create(machine)
    before = size_of(host, machine.server_id)
    bigger = Size(vcpus=2, memory_mib=192, disk_gib=(before[1] >> 30) + 1)
    with pytest.raises(HypervisorFailure): host.driver.resize(machine.server_id, bigger)
    host.driver.stop(machine.server_id, 0)
    for _ in range(2): host.driver.resize(machine.server_id, bigger)
    assert host.driver.power() == {machine.server_id: "stopped"}
    host.driver.start(machine.server_id)
    assert size_of(host, machine.server_id) == (192, bigger.disk_gib << 30)
    volume = host.volume("vdb")
    host.driver.attach_disk(machine.server_id, volume)
    host.driver.stop(machine.server_id, 0)
    host.again()
    for _ in range(2): host.driver.settle(machine.server_id, keep=keep)
    host.driver.start(machine.server_id)
    assert size_of(host, machine.server_id) == ((192, bigger.disk_gib << 30) if keep else before)
    assert volume.id in host.driver.statistics(machine.server_id)["disks"]


def test_a_stopped_machine_can_be_given_another_size(host):
    machine = host.machine()
    host.driver.create(machine)
    host.driver.stop(machine.server_id, 0)
    host.driver.create(host.machine(server_id=machine.server_id, memory_mib=192))
    assert host.driver.power() == {machine.server_id: "running"}
    assert host.driver.statistics(machine.server_id)["memory_mib"] == 192
