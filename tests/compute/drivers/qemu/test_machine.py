"""QEMU's command line."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from pilvi.compute.drivers.interface import Disk, HypervisorFailure, Machine, Nic
from pilvi.compute.drivers.qemu import firmware
from pilvi.compute.drivers.qemu.definition import Home, define
from pilvi.compute.drivers.qemu.machine import command

ID = "83679162-1378-4288-a2d4-70e13ec132aa"


def words(machine: Machine, accelerator: str = "tcg", files: dict[int, int] | None = None, taps: dict[int, int] | None = None) -> list[str]:
    return command(define(machine, 7, None), Home(Path("/m"), machine.server_id), accelerator, files or {}, taps or {})


def machine(**changed: object) -> Machine:
    facts = dict(server_id=ID, name="web, the first", vcpus=2, memory_mib=128, disks=[], nics=[])
    return Machine(**{**facts, **changed})  # type: ignore[arg-type]


def test_the_accelerator_decides_the_processor_and_tcgs_cache_is_bounded():
    assert "tcg,tb-size=64" in words(machine()) and "Nehalem" in words(machine())
    assert "tcg,tb-size=256" in words(machine(memory_mib=512))
    assert words(machine(), "kvm")[3:7] == ["-accel", "kvm", "-cpu", "host"]


def test_what_a_user_named_is_nowhere_on_the_command_line():
    assert not any("the first" in word for word in words(machine()))


def test_the_sandbox_is_on_and_nothing_is_there_by_default():
    assert "-nodefaults" in words(machine()) and any(word.startswith("on,") and "spawn=deny" in word for word in words(machine()))


def test_descriptors_are_named_where_they_are_used():
    nic = Nic(port_id="p", mac="fa:16:3e:00:00:01", mtu=1442, binding={"vif_type": "ovs", "vif_details": {"datapath": "system"}})
    found = words(machine(nics=[nic], disks=[Disk(id="v", device="vda", size_gib=1)]), files={26: 11}, taps={5: 12})
    assert "fd=11,set=26" in found and "tap,id=nic5,fd=12,vhost=off" in found
    devices = [json.loads(word) for word in found if word.startswith("{")]
    assert [device["id"] for device in devices if "id" in device] == ["disk13", "nic5"]


def test_a_kernel_of_the_images_own(tmp_path: Path):
    given = machine(kernel_path="/i/k", ramdisk_path="/i/r", kernel_arguments="quiet, please")
    found = firmware.arguments(given, Home(tmp_path, ID))
    assert found[found.index("-append") + 1] == "quiet, please" and found[found.index("-initrd") + 1] == "ramdisk"
    assert "-kernel" not in firmware.arguments(machine(), Home(tmp_path, ID))


def test_a_kernel_is_copied_once_and_outlives_the_image(tmp_path: Path):
    home, source = Home(tmp_path, ID), tmp_path / "k"
    home.run.mkdir(parents=True)
    source.write_text("kernel")
    given = machine(kernel_path=str(source))
    firmware.prepare(given, home, None)
    source.unlink()
    firmware.prepare(given, home, None)
    assert home.kernel.read_text() == "kernel"
    home.kernel.unlink()
    with pytest.raises(HypervisorFailure, match="No such file"): firmware.prepare(given, home, None)


def test_uefi_is_refused_rather_than_ignored():
    with pytest.raises(HypervisorFailure, match="uefi"): firmware.check(machine(image_properties={"hw_firmware_type": "uefi"}))
