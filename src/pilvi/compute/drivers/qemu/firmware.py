"""What a machine starts from: the BIOS and a disk, or a kernel of the image's; and who it says it is."""
from __future__ import annotations

import os
import shutil
from pathlib import Path

from pilvi.compute.drivers.interface import HypervisorFailure, Machine
from pilvi.compute.drivers.qemu.definition import Home

_DEFAULT_KERNEL_ARGUMENTS = "root=/dev/vda console=tty0 console=ttyS0"


def arguments(machine: Machine, home: Home) -> list[str]:
    """QEMU's arguments. cloud-init looks for OpenStack only where the SMBIOS product says "OpenStack …"."""
    smbios = {"type": "1", "manufacturer": "Pilvi", "product": "OpenStack Compute", "serial": machine.server_id, "uuid": machine.server_id}
    found = ["-uuid", machine.server_id, "-smbios", ",".join(f"{key}={value}" for key, value in smbios.items())]
    if machine.kernel_path is None: return found
    found += ["-kernel", home.kernel.name, "-append", machine.kernel_arguments or _DEFAULT_KERNEL_ARGUMENTS]
    if machine.ramdisk_path is not None: found += ["-initrd", home.ramdisk.name]
    return found


def check(machine: Machine) -> None:
    """HypervisorFailure when the image asks for firmware that this driver does not have."""
    wanted = machine.image_properties.get("hw_firmware_type", "bios")
    if wanted != "bios": raise HypervisorFailure(f"images that boot with {wanted} are not supported, only those with bios")


def prepare(machine: Machine, home: Home, uid: int | None) -> None:
    """Copy kernel and ramdisk: QEMU takes them by path only, and the machine must start again when the image is long gone. May be
    repeated.
    """
    for source, copy in ((machine.kernel_path, home.kernel), (machine.ramdisk_path, home.ramdisk)):
        if source is None or copy.exists(): continue
        new = copy.with_suffix(".new")
        try:
            shutil.copyfile(Path(source), new)
        except OSError as error:
            raise HypervisorFailure(f"{source}: {error.strerror}") from error
        if uid is not None: os.chown(new, uid, uid)
        new.replace(copy)
