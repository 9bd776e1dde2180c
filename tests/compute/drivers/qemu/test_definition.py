"""Slots stay where they are; directories are found, written whole, and go away wholly."""
from __future__ import annotations

from pathlib import Path

import pytest

from pilvi.compute.drivers.interface import Disk, HypervisorFailure, Machine, Nic
from pilvi.compute.drivers.qemu.definition import (
    DISK_SLOTS,
    NIC_SLOTS,
    Definition,
    Home,
    define,
    with_disk,
    with_nic,
    without_disk,
    without_nic,
)


def disk(name: str, device: str) -> Disk:
    return Disk(id=name, device=device)


def nic(name: str) -> Nic:
    return Nic(port_id=name, mac="fa:16:3e:00:00:01", mtu=1500, binding={"vif_type": "none"})


def defined(*disks: Disk, nics: tuple[Nic, ...] = ()) -> Definition:
    return define(Machine(server_id="s", name="s", vcpus=1, memory_mib=64, disks=list(disks), nics=list(nics)), 7, None)


def test_a_disks_letter_is_its_slot():
    found = defined(disk("root", "vda"), disk("b", "/dev/vdc"), disk("c", "sdx"), disk("d", "vda"))
    assert found.disk_slots == {"root": DISK_SLOTS[0], "b": DISK_SLOTS[2], "c": DISK_SLOTS[1], "d": DISK_SLOTS[3]}


def test_a_slot_outlives_what_is_plugged_beside_it():
    found = with_disk(defined(disk("root", "vda"), disk("b", "vdb")), disk("c", "vdc"))
    assert without_disk(found, "b").disk_slots["c"] == DISK_SLOTS[2]
    again = with_disk(without_disk(found, "b"), disk("new", "vdc"))
    assert again.disk_slots == {"root": DISK_SLOTS[0], "c": DISK_SLOTS[2], "new": DISK_SLOTS[1]}
    assert [slot for slot, _ in again.disks()] == [DISK_SLOTS[0], DISK_SLOTS[2], DISK_SLOTS[1]]


def test_a_new_disk_does_not_push_a_known_one_away_whatever_the_order():
    known = defined(disk("old", "vdb"))
    machine = Machine(server_id="s", name="s", vcpus=1, memory_mib=64, disks=[disk("new", "vdb"), disk("old", "vdb")], nics=[])
    assert define(machine, 7, known).disk_slots == {"old": DISK_SLOTS[1], "new": DISK_SLOTS[0]}


def test_attaching_twice_is_attaching_once():
    found = with_nic(with_nic(defined(), nic("p")), nic("p"))
    assert found.nic_slots == {"p": NIC_SLOTS[0]} and len(found.machine.nics) == 1
    assert without_nic(found, "p").machine.nics == []


def test_there_is_an_end_to_slots():
    with pytest.raises(HypervisorFailure, match="room for 8"):
        defined(nics=tuple(nic(f"p{number}") for number in range(9)))


def test_a_definition_is_remembered_and_forgotten(tmp_path: Path):
    home, found = Home(tmp_path, "s"), defined(disk("root", "vda"))
    assert home.load() is None
    home.forget()
    home.save(found)
    home.run.mkdir()
    for path in (home.own_disk(13), home.run / "qmp", home.console_log, home.kernel): path.touch()
    assert Home(tmp_path, "s").load() == found
    assert home.path.stat().st_mode & 0o077 == 0
    home.forget()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("server_id", ["../up", "", ".", "a/b"])
def test_an_id_cannot_lead_out_of_the_directory(tmp_path: Path, server_id: str):
    with pytest.raises(HypervisorFailure): Home(tmp_path, server_id)


def test_a_path_too_long_for_a_socket_is_gone_round():
    assert Home(Path("/m"), "s").socket("vnc", 12) == Path("/m/s/run/vnc")
    assert Home(Path("/m" + "x" * 100), "s").socket("vnc", 12) == Path("/proc/12/cwd/vnc")
