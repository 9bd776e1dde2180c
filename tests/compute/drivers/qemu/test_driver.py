"""What only real guests show: what they see of their disks, and what is left after crashes."""
from __future__ import annotations

import os
import queue
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.compute.drivers.qemu.guests import Shell, from_image, host, in_memory, start

from pilvi.compute.agent import config_drive
from pilvi.compute.drivers.interface import Disk, HypervisorFailure
from pilvi.compute.drivers.qemu import disks, process
from pilvi.compute.drivers.qemu.definition import DISK_SLOTS

pytestmark = pytest.mark.real


def volume(folder: Path, name: str, device: str) -> Disk:
    path = folder / name
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "64M"], check=True)
    return Disk(id=f"{name}-0123456789-0123456789", device=device, connection={"driver": "file", "path": str(path), "format": "qcow2"})


def test_a_guest_sees_its_disks_and_config_drive_and_keeps_what_it_wrote():
    with host() as (driver, folder):
        config_drive.write(folder / "drive", config_drive.files({
            "uuid": "83679162-1378", "name": "web", "hostname": "web-7", "project_id": "p",
            "user_data": b"#!/bin/sh\necho hello > /root/by-user-data\n"}))
        machine = from_image(config_drive_path=str(folder / "drive"))
        driver.create(machine)
        (folder / "drive").unlink()  # the agent may clean up
        data = volume(folder, "data", "vdb")
        shell = Shell(driver, machine.server_id)
        assert shell.run("hostname; cat /root/by-user-data").split() == ["web-7", "hello"]
        assert int(shell.run("cat /sys/block/vda/size")) == 1 << 21
        assert int(shell.run("df -k / | tail -1 | awk '{print $2}'")) > 900_000
        driver.attach_disk(machine.server_id, data)
        named = "for d in /sys/block/vd*; do [ \"$(cat $d/serial)\" = data-0123456789-0123 ] && basename $d; done"
        device = shell.until(lambda: shell.run(named).strip())
        assert device.startswith("vd")
        shell.run(f"echo precious > /dev/{device}; echo kept > /root/kept; sync")
        driver.resize_disk(machine.server_id, data.id, 1)
        shell.until(lambda: int(shell.run(f"cat /sys/block/{device}/size")) == 1 << 21)
        driver.detach_disk(machine.server_id, data.id)
        assert shell.run(named).strip() == ""
        driver.attach_disk(machine.server_id, data)
        shell.close()
        driver.stop(machine.server_id, 60)
        driver.start(machine.server_id)
        shell = Shell(driver, machine.server_id)
        assert shell.run(f"cat /root/kept; head -c 8 /dev/$({named})").split() == ["kept", "precious"]
        shell.close()


def test_a_soft_reboot_goes_through_the_guest_and_keeps_the_process():
    with host() as (driver, folder):
        machine = in_memory()
        driver.create(machine)
        Shell(driver, machine.server_id).close()
        before = process.find(folder / "m")
        boots = driver.console_log(machine.server_id, None).count("login:")
        started = time.monotonic()
        driver.reboot(machine.server_id, hard=False, grace_seconds=120)
        assert time.monotonic() - started < 110  # by its own power-down, not by the end of our patience
        assert process.find(folder / "m") == before
        Shell(driver, machine.server_id).close()
        assert driver.console_log(machine.server_id, None).count("login:") > boots


def test_each_guest_is_a_user_of_its_own_without_rights_on_its_disks():
    if os.geteuid(): pytest.skip("only root can give a guest another user")
    with host() as (driver, folder):
        machines = [from_image(), from_image()]
        for machine in machines: driver.create(machine)
        owners = {os.stat(f"/proc/{pid}").st_uid for pid in process.find(folder / "m").values()}
        assert len(owners) == 2 and 0 not in owners
        assert folder.stat().st_mode & 0o077 == 0 and {path.stat().st_uid for path in folder.glob("m/*/disk*")} == {0}


def test_a_killed_qemu_is_a_crash_and_can_be_started_again():
    with host() as (driver, folder):
        told: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        driver.watch(lambda *what: told.put(what))
        machine = in_memory()
        driver.create(machine)
        os.kill(process.find(folder / "m")[machine.server_id], signal.SIGKILL)
        assert told.get(timeout=60) == (machine.server_id, "crashed")
        assert driver.power() == {machine.server_id: "crashed"}
        (folder / "m" / machine.server_id / "started").write_text("another boot of the host")
        assert driver.power() == {machine.server_id: "stopped"}
        driver.start(machine.server_id)
        assert driver.power() == {machine.server_id: "running"}
        assert told.empty()


def test_what_a_guest_did_while_no_agent_ran_is_found():
    with host() as (driver, folder):
        machine = in_memory()
        driver.create(machine)
        shell = Shell(driver, machine.server_id)
        driver.close()
        shell.send("poweroff")
        time.sleep(8)
        told: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        again = start(folder)
        again.watch(lambda *what: told.put(what))
        assert told.get(timeout=60) == (machine.server_id, "stopped")
        assert process.find(folder / "m") == {}
        again.destroy(machine.server_id)
        again.close()


@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.05, 0.1, 0.2])
def test_an_agent_killed_while_it_creates_leaves_nothing_that_create_and_destroy_cannot_handle(seconds):
    with host() as (driver, folder):
        machine = in_memory(disks=[Disk(id="root", device="vda", boot_index=0, size_gib=1)])
        if (agent := os.fork()) == 0:
            os.setsid()
            start(folder).create(machine)
            os._exit(0)
        time.sleep(seconds)
        os.kill(agent, signal.SIGKILL)
        os.waitpid(agent, 0)
        driver.create(machine)
        assert driver.power() == {machine.server_id: "running"}
        assert len(process.find(folder / "m")) == 1
        driver.destroy(machine.server_id)
        assert process.find(folder / "m") == {} and not (folder / "m" / machine.server_id).exists()


def test_a_disk_that_cannot_be_opened_leaves_a_running_machine_as_it_was():
    with host() as (driver, folder):
        machine = in_memory()
        driver.create(machine)
        absent = Disk(id="absent", device="vdb", connection={"driver": "file", "path": str(folder / "absent"), "format": "qcow2"})
        (folder / "text").write_text("not a qcow2 image")
        broken = Disk(id="broken", device="vdb", connection={"driver": "file", "path": str(folder / "text"), "format": "qcow2"})
        for disk in (absent, broken):
            with pytest.raises(HypervisorFailure): driver.attach_disk(machine.server_id, disk)
        assert driver.statistics(machine.server_id)["disks"] == {}
        driver.attach_disk(machine.server_id, volume(folder, "good", "vdb"))
        driver.stop(machine.server_id, 0)
        driver.start(machine.server_id)


def test_an_attachment_that_was_cut_short_is_done_again():
    with host() as (driver, folder):
        machine, disk = in_memory(), volume(folder, "data", "vdb")
        driver.create(machine)
        monitor, half = driver._guest(machine.server_id).monitor(), disks.opening(disk, DISK_SLOTS[1], Path("/own"))
        with open(folder / "data", "r+b") as file:
            monitor.execute_with_descriptor("add-fd", {"fdset-id": half.files[0].number}, file.fileno())
        for node in half.nodes: monitor.execute("blockdev-add", node)
        driver.attach_disk(machine.server_id, disk)
        assert disk.id in driver.statistics(machine.server_id)["disks"]
        assert len(monitor.execute("query-fdsets")) == 2  # the console log's and the disk's


def test_a_machine_that_cannot_start_says_why_and_can_be_destroyed():
    with host() as (driver, folder):
        (folder / "text").write_text("not a qcow2 image")
        broken = Disk(id="v", device="vda", connection={"driver": "file", "path": str(folder / "text"), "format": "qcow2"})
        machine = in_memory(disks=[broken])
        with pytest.raises(HypervisorFailure, match="not in qcow2 format"): driver.create(machine)
        assert driver.power() == {machine.server_id: "stopped"}
        driver.destroy(machine.server_id)
        assert list((folder / "m").iterdir()) == []


def test_a_stopped_machine_with_another_image_gets_a_fresh_root_and_keeps_its_own_other_disks():
    with host() as (driver, folder):
        images = [volume(folder, name, "vda").connection["path"] for name in ("one", "two")]
        swap = Disk(id="swap", device="vdb", size_gib=1)
        roots = [Disk(id="root", device="vda", boot_index=0, size_gib=1, image_path=path) for path in images]
        machine = in_memory(disks=[roots[0], swap])
        driver.create(machine)
        driver.stop(machine.server_id, 0)
        own = sorted((folder / "m" / machine.server_id).glob("disk*.qcow2"))
        kept = own[1].stat().st_ino
        driver.create(in_memory(server_id=machine.server_id, disks=[roots[1], swap]))
        assert images[1] in subprocess.run(["qemu-img", "info", "-U", own[0]], check=True, capture_output=True, text=True).stdout
        assert own[1].stat().st_ino == kept
        driver.stop(machine.server_id, 0)
        driver.detach_disk(machine.server_id, "swap")
        assert not own[1].exists() and own[0].exists()


def test_destroying_a_machine_whose_bridge_is_gone_can_be_tried_again():
    with host() as (driver, folder):
        machine = in_memory()
        driver.create(machine)
        definition = folder / "m" / machine.server_id / "machine.json"
        lost = (b'"nics":[{"port_id":"p","mac":"fa:16:3e:00:00:01","mtu":1442,'
                b'"binding":{"vif_type":"ovs","vif_details":{"bridge":"b","ovsdb":"unix:/no"}}}]')
        definition.write_bytes(definition.read_bytes().replace(b'"nics":[]', lost).replace(b'"nic_slots":{}', b'"nic_slots":{"p":5}'))
        with pytest.raises(HypervisorFailure, match="ovs-vsctl"): driver.destroy(machine.server_id)
        assert process.find(folder / "m") == {} and definition.exists()
        definition.write_bytes(definition.read_bytes().replace(lost, b'"nics":[]'))
        driver.destroy(machine.server_id)
        assert not definition.parent.exists()
