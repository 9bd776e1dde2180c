"""Whether KVM works is found out by booting, and remembered until the host boots again."""
from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from tests.shell_guest import shell_guest

from pilvi.compute.drivers.qemu import kvm
from pilvi.compute.drivers.qemu.definition import host_boot_id


def test_without_the_device_or_the_processors_help_nothing_is_tried(tmp_path: Path):
    device = tmp_path / "kvm"
    assert not kvm.could_work(device, "flags\t\t: fpu vmx\n")
    device.touch()
    assert kvm.could_work(device, "flags\t\t: fpu vmx\n") and kvm.could_work(device, "flags\t\t: svm\n")
    assert not kvm.could_work(device, "flags\t\t: fpu\nvmx flags\t: vnmi\n")


def test_without_a_kernel_it_is_tcg(tmp_path: Path):
    assert kvm.accelerator(tmp_path, None, None) == "tcg"


def test_the_answer_is_kept_for_this_boot_only(tmp_path: Path):
    kept, kernel = tmp_path / "accelerator.json", tmp_path / "no kernel"
    kernel.write_text("no kernel")
    kept.write_bytes(msgspec.json.encode(kvm.Answer(boot_id=host_boot_id(), accelerator="kvm")))
    assert kvm.accelerator(tmp_path, kernel, None) == "kvm"
    kept.write_bytes(msgspec.json.encode(kvm.Answer(boot_id="an earlier one", accelerator="kvm")))
    assert kvm.accelerator(tmp_path, kernel, None) == "tcg"
    assert msgspec.json.decode(kept.read_bytes(), type=kvm.Answer) == kvm.Answer(boot_id=host_boot_id(), accelerator="tcg")


@pytest.mark.real
def test_a_kernel_that_boots_and_one_that_does_not(tmp_path: Path):
    uid = 700_000 if os.geteuid() == 0 else None
    assert kvm.boots(shell_guest() / "vmlinuz", "tcg", uid, 60)
    assert not kvm.boots(shell_guest() / "initrd", "tcg", uid, 2)
