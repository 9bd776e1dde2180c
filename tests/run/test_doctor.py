"""What the doctor says about machines that have, half have or lack what a cloud needs."""
import io
import os
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from pilvi.run import debian, doctor
from pilvi.run.doctor import Finding

FLAGS = "flags\t\t: fpu vmx sse2\n"


def device(tmp_path: Path) -> Path:
    (tmp_path / "kvm").touch()
    return tmp_path / "kvm"


def never(kernel: Path, accelerator: str) -> bool:
    raise AssertionError("must not be tried")


def test_kvm_is_believed_only_when_a_kernel_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: f"/usr/bin/{program}")
    kernel = tmp_path / "vmlinuz"
    assert doctor.acceleration(tmp_path / "none", FLAGS, kernel, never).level == "warn"
    assert "vmx" in doctor.acceleration(device(tmp_path), "flags : fpu\n", kernel, never).sentence
    assert doctor.acceleration(device(tmp_path), FLAGS, None, never).level == "warn"
    asked: list[tuple[Path, str]] = []

    def starts(path: Path, accelerator: str) -> bool:
        asked.append((path, accelerator))
        return True

    assert doctor.acceleration(device(tmp_path), FLAGS, kernel, starts).level == "ok"
    assert asked == [(kernel, "kvm")]
    assert "did not start" in doctor.acceleration(device(tmp_path), FLAGS, kernel, lambda *_: False).sentence


def test_missing_packages_come_with_the_command() -> None:
    finding = doctor.packages(["nftables", "qemu-utils"], True)
    assert (finding.level, finding.command) == ("missing", "apt-get install --no-install-recommends nftables qemu-utils")
    assert doctor.packages([], True).level == "ok"
    assert doctor.packages(["nftables"], False).level == "warn"


def test_without_root_the_simulated_cloud_is_named() -> None:
    assert doctor.privileges(0).level == "ok"
    assert "--simulated" in doctor.privileges(1000).command


def test_without_programs_the_packages_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (doctor.emulation(None).level, doctor.network().level) == ("missing", "missing")
    assert "ovn-host" in doctor.network().command and "qemu-system-x86" in doctor.emulation(None).command
    assert all(name in debian.PACKAGES for name in doctor.network().command.split()[3:])


@pytest.mark.parametrize(("kib", "level"), [(100, "missing"), (2 * 1024**2, "warn"), (20 * 1024**2, "ok")])
def test_memory(kib: int, level: str) -> None:
    assert doctor.memory(f"MemTotal: 1 kB\nMemAvailable: {kib} kB\n").level == level


def test_disk_of_a_folder_that_is_yet_to_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    for free, level in ((1, "missing"), (5, "warn"), (50, "ok")):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: usage._replace(free=free * doctor.GIB))
        finding = doctor.disk(tmp_path / "a" / "b")
        assert finding.level == level and str(tmp_path) in finding.sentence


def test_this_machine_is_examined(tmp_path: Path) -> None:
    findings = doctor.examine(tmp_path)
    assert [finding.name for finding in findings] == ["Python", "root", "packages", "QEMU", "KVM", "network", "disk", "memory"]


def test_the_table_carries_words_and_commands() -> None:
    out = io.StringIO()
    findings = [Finding("a", "ok", "fine"), Finding("b", "missing", "[not] there", "do it")]
    Console(file=out, width=120, no_color=True).print(doctor.render(findings))
    assert [line.split() for line in out.getvalue().splitlines()] == [["ok", "a", "fine"], ["missing", "b", "[not]", "there"], ["do", "it"]]


@pytest.mark.real
def test_the_networks_and_the_emulation_of_a_real_host() -> None:
    if os.geteuid() != 0:
        pytest.skip("root only")
    assert doctor.emulation(None).level == "ok"
    assert doctor.network().level in {"ok", "warn"}
