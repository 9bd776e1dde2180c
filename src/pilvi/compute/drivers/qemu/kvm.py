"""Whether this host's KVM runs guests, found out by booting a kernel under it.

That /dev/kvm opens proves nothing: on a virtual machine without nested virtualisation it may open, make machines and even run a BIOS, and
yet no Linux ever starts in it (measured on such a host).
"""
from __future__ import annotations

import os
import re
import select
import subprocess
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from pilvi.compute.drivers.qemu.definition import host_boot_id
from pilvi.compute.drivers.qemu.process import PROGRAM, credentials

_PROBE_SECONDS = 5.0


class Answer(Struct, frozen=True, kw_only=True):
    boot_id: str
    accelerator: str


def accelerator(directory: Path, kernel: Path | None, uid: int | None) -> str:
    """kvm or tcg. The answer is kept in a file of `directory` until the host boots again; without a kernel to boot it is tcg."""
    kept = directory / "accelerator.json"
    if kernel is None: return "tcg"
    try:
        answer = msgspec.json.decode(kept.read_bytes(), type=Answer)
    except (FileNotFoundError, msgspec.DecodeError):
        answer = None
    if answer is None or answer.boot_id != host_boot_id():
        works = could_work(Path("/dev/kvm"), Path("/proc/cpuinfo").read_text()) and boots(kernel, "kvm", uid, _PROBE_SECONDS)
        answer = Answer(boot_id=host_boot_id(), accelerator="kvm" if works else "tcg")
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = kept.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(answer))
        new.replace(kept)
    return answer.accelerator


def could_work(device: Path, cpuinfo: str) -> bool:
    """Whether booting is worth trying."""
    return device.exists() and re.search(r"^flags\s*:.*\b(vmx|svm)\b", cpuinfo, re.MULTILINE) is not None


def boots(kernel: Path, accelerator: str, uid: int | None, seconds: float) -> bool:
    """Whether the kernel says "Linux version" within that time, started by the user that guests will have."""
    with kernel.open("rb") as file:
        command = [PROGRAM, "-accel", accelerator, "-M", "pc", "-m", "128", "-nodefaults", "-display", "none", "-no-reboot",
                   "-serial", "stdio", "-kernel", f"/proc/self/fd/{file.fileno()}", "-append", "earlyprintk=ttyS0 console=ttyS0 panic=-1"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                   pass_fds=[file.fileno()], **credentials(uid))
        output, said, deadline = process.stdout, b"", time.monotonic() + seconds
        assert output is not None
        try:
            while (left := deadline - time.monotonic()) > 0 and select.select([output], [], [], left)[0]:
                new = os.read(output.fileno(), 65536)
                if not new: break
                said += new
                if b"Linux version" in said: return True
            return False
        finally:
            process.kill()
            process.wait()
            output.close()
