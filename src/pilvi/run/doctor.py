"""What this machine can do for a cloud, found out by trying, and the exact command for what is missing."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

from rich.table import Table
from rich.text import Text

from pilvi.compute.drivers.qemu import kvm
from pilvi.compute.drivers.qemu.process import PROGRAM
from pilvi.network.drivers.ovn.bridges import kernel_datapath
from pilvi.run import debian

GIB = 1024**3
DISK_GIB, MEMORY_GIB = (2, 20), (1, 4)
"""Below the first nothing starts, below the second it is tight."""
PROBE_SECONDS = 5.0
"""Enough for a kernel's first line: it takes 0.7 s even when emulated."""
NETWORK_PROGRAMS = ("ovn-northd", "ovn-controller", "ovs-vswitchd", "ovsdb-server", "ovs-vsctl")
Level = Literal["ok", "warn", "missing"]


class Finding(NamedTuple):
    """One thing looked at. warn: it works, but less well; missing: a real cloud cannot run without it."""
    name: str
    level: Level
    sentence: str
    command: str = ""
    """What puts it right, to be typed as it stands."""


def examine(state: Path, kernel: Path | None = None) -> list[Finding]:
    """Looks at everything, in a second or two; with a Linux kernel to boot (5 s more at most) also whether KVM really runs guests."""
    return [python(), privileges(os.geteuid()), packages(debian.missing(), shutil.which("apt-get") is not None), emulation(kernel),
            acceleration(Path("/dev/kvm"), Path("/proc/cpuinfo").read_text(), kernel, boots), network(), disk(state),
            memory(Path("/proc/meminfo").read_text())]


def python() -> Finding:
    """The interpreter of the environment; the launcher made sure that it is new enough."""
    return Finding("Python", "ok", f"{sys.version.split()[0]} in {sys.prefix}")


def privileges(euid: int) -> Finding:
    """Whether a real cloud may be made at all."""
    if euid == 0:
        return Finding("root", "ok", "runs as root: real guests and networks are possible")
    return Finding("root", "missing", "without root only the simulated cloud runs", "./pilvi up --simulated")


def packages(missing: list[str], debian_like: bool) -> Finding:
    """Debian's packages; `pilvi up` installs them by itself."""
    if not debian_like:
        return Finding("packages", "warn", f"not a Debian: bring the like of these yourself: {' '.join(debian.PACKAGES)}")
    if missing:
        return Finding("packages", "missing", f"not installed: {', '.join(missing)}", debian.command(missing))
    return Finding("packages", "ok", f"all {len(debian.PACKAGES)} Debian packages are installed")


def boots(kernel: Path, accelerator: str) -> bool:
    """Whether this kernel starts under that accelerator."""
    return kvm.boots(kernel, accelerator, None, PROBE_SECONDS)


def emulation(kernel: Path | None) -> Finding:
    """QEMU itself, which runs guests on every machine."""
    version = answer([PROGRAM, "--version"])
    if not version:
        return Finding("QEMU", "missing", "there is no QEMU, so no guest can run", debian.command(["qemu-system-x86", "qemu-utils"]))
    if kernel is not None and not boots(kernel, "tcg"):
        return Finding("QEMU", "missing", f"QEMU is there, but {kernel} does not start in it within {PROBE_SECONDS:g} s")
    return Finding("QEMU", "ok", version.split(" (")[0] + ("" if kernel is None else ", started a kernel by emulation"))


def acceleration(device: Path, cpuinfo: str, kernel: Path | None, boots: Callable[[Path, str], bool]) -> Finding:
    """Whether guests run on the processor itself. Only a kernel that starts proves it: the device may open, and yet no guest runs."""
    slow = "guests are emulated (TCG): a tiny one needs 5 to 9 s of a core to its login"
    if not device.exists():
        return Finding("KVM", "warn", f"there is no {device}; {slow}")
    if not kvm.could_work(device, cpuinfo):
        return Finding("KVM", "warn", f"{device} is there, but the processor shows neither vmx nor svm, so it cannot run guests; {slow}")
    if kernel is None or not shutil.which(PROGRAM):
        return Finding("KVM", "warn", f"{device} is there; whether it runs guests shows when a kernel is started in it")
    if boots(kernel, "kvm"):
        return Finding("KVM", "ok", "a kernel started under KVM: guests run on the processor itself")
    return Finding("KVM", "warn", f"{device} opens, but a kernel did not start under it within {PROBE_SECONDS:g} s; {slow}")


def network() -> Finding:
    """OVN, and who switches the packets."""
    if lacking := [program for program in NETWORK_PROGRAMS if not shutil.which(program)]:
        return Finding("network", "missing", f"not found: {', '.join(lacking)}",
                       debian.command(["ovn-central", "ovn-host", "openvswitch-switch"]))
    if not Path("/dev/net/tun").exists():
        return Finding("network", "missing", "there is no /dev/net/tun, so guests get no network card", "modprobe tun")
    version = answer(["ovn-controller", "--version"]).splitlines()[0]
    if os.geteuid() != 0:
        return Finding("network", "warn", f"{version}; whether the kernel switches packets is known to root only")
    if kernel_datapath() == "system":
        return Finding("network", "ok", f"{version}, packets are switched in the kernel")
    return Finding("network", "warn", f"{version}, packets are switched by vswitchd itself (about 0.7 Gbit/s): the kernel has no free "
                                      "Open vSwitch datapath")


def disk(state: Path) -> Finding:
    """Room for images, guests and volumes."""
    place = next(folder for folder in (state, *state.parents) if folder.exists())
    free = shutil.disk_usage(place).free / GIB
    return Finding("disk", level(free, DISK_GIB), f"{free:.0f} GiB are free below {place}")


def memory(meminfo: str) -> Finding:
    """Room for guests."""
    available = next(int(line.split()[1]) for line in meminfo.splitlines() if line.startswith("MemAvailable:")) * 1024 / GIB
    return Finding("memory", level(available, MEMORY_GIB), f"{available:.1f} GiB are available; a tiny guest takes a quarter of one")


def level(amount: float, limits: tuple[int, int]) -> Level:
    """What an amount means."""
    return "missing" if amount < limits[0] else "warn" if amount < limits[1] else "ok"


def answer(command: list[str]) -> str:
    """What a program says; empty if there is no such program."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30).stdout.strip()
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ""


def render(findings: list[Finding]) -> Table:
    """A table for a terminal; the words carry the meaning, the colours only help."""
    colours = {"ok": "green", "warn": "yellow", "missing": "red"}
    table = Table(box=None, show_header=False, pad_edge=False)
    for finding in findings:
        sentence = Text(finding.sentence)
        if finding.command:
            sentence.append(f"\n  {finding.command}", style="bold")
        table.add_row(Text(finding.level, style=colours[finding.level]), Text(finding.name, style="bold"), sentence)
    return table
