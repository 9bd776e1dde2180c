"""A driver with real guests for the tests here, spoken to over their serial consoles."""
from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.shell_guest import shell_guest

from pilvi.compute.drivers.interface import Disk, Machine
from pilvi.compute.drivers.qemu.driver import Qemu

BOOT_SECONDS = 240
UID_BASE = 700_000


@contextmanager
def host() -> Iterator[tuple[Qemu, Path]]:
    """A driver and its folder (of a name too long for sockets, as a state folder may have); afterwards nothing of it runs."""
    folder = Path(tempfile.mkdtemp(prefix=f"hv-{'long-' * 12}"))
    driver = start(folder)
    try:
        yield driver, folder
    finally:
        driver.close()
        cleaner = start(folder)
        for server_id in cleaner.power(): cleaner.destroy(server_id)
        cleaner.close()
        shutil.rmtree(folder)


def start(folder: Path) -> Qemu:
    return Qemu(folder / "m", uid_base=UID_BASE if os.geteuid() == 0 else None, accelerator="tcg")


def in_memory(**changed: Any) -> Machine:
    """A machine whose whole system is in its ramdisk: the fastest to boot."""
    facts = dict(server_id=str(uuid.uuid4()), name="a", vcpus=1, memory_mib=128, disks=[], nics=[],
                 kernel_path=str(shell_guest() / "vmlinuz"), ramdisk_path=str(shell_guest() / "memory"),
                 kernel_arguments="console=ttyS0 quiet no_timer_check mitigations=off")
    return Machine(**{**facts, **changed})


def from_image(**changed: Any) -> Machine:
    """A machine that boots from its disk."""
    root = Disk(id="root", device="vda", boot_index=0, size_gib=1, image_path=str(shell_guest() / "disk.qcow2"))
    return Machine(**{**dict(server_id=str(uuid.uuid4()), name="a", vcpus=1, memory_mib=128, disks=[root], nics=[]), **changed})


class Shell:
    """A root shell on the serial console."""

    def __init__(self, driver: Qemu, server_id: str) -> None:
        self._link = socket.socket(socket.AF_UNIX)
        self._link.connect(driver.console_socket(server_id, "serial"))
        self._link.settimeout(2)
        self._said = ""
        deadline = time.monotonic() + BOOT_SECONDS
        while not re.search(r"~ # \S*$", self._said):
            assert time.monotonic() < deadline, self._said[-500:]
            self.send("")
            self._hear()

    def until(self, look: Callable[[], Any]) -> Any:
        """What is seen, once it is something: a guest notices some changes a moment later."""
        deadline = time.monotonic() + BOOT_SECONDS
        while not (seen := look()):
            assert time.monotonic() < deadline, self._said[-500:]
            time.sleep(0.5)
        return seen

    def run(self, command: str, seconds: float = 120) -> str:
        """What the command said."""
        self._said = ""
        self.send(f"echo B''EGIN; {command}; echo D''ONE")  # quoted, so that the line's echo is not taken for its output
        deadline = time.monotonic() + seconds
        while "DONE" not in self._said:
            assert time.monotonic() < deadline, self._said
            self._hear()
        return self._said.partition("BEGIN")[2].partition("DONE")[0].replace("\r", "")

    def send(self, line: str) -> None:
        self._link.send(f"{line}\n".encode())

    def _hear(self) -> None:
        """Until the guest is silent for a moment."""
        try:
            while heard := self._link.recv(65536): self._said += heard.decode(errors="replace")
        except TimeoutError:
            pass

    def close(self) -> None:
        self._link.close()
