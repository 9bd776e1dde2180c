"""A variant of the guest image for tests of the hypervisor: a root shell on the serial console, without a password."""
from __future__ import annotations

import atexit
import gzip
import shutil
import tempfile
from functools import cache
from pathlib import Path

from pilvi.image.guest import build, cpio, disk, ext4, initramfs, packages, programs, root
from pilvi.image.guest.kernel_modules import Library
from pilvi.image.guest.tree import Tree

SHELL = """\
#!/bin/sh
# `login:` tells tests, which read the console, that the guest is up
until [ -e /run/pilvi-guest/ready ]; do sleep 0.2; done
cd /root
export HOME=/root PS1='~ # '
echo "the guest is up"
echo "login: not needed"
exec sh
"""
FROM_DISK = """\
::sysinit:/etc/init.d/rcS
::once:/usr/lib/pilvi-guest/instance
ttyS0::respawn:/usr/lib/pilvi-guest/shell
::shutdown:/bin/sync
::shutdown:/bin/umount -a -r
"""
# without a disk there is nobody before init who mounts and loads what it needs, and nothing to configure
IN_MEMORY = """\
::sysinit:/bin/mount -t proc proc /proc
::sysinit:/bin/mount -t sysfs sysfs /sys
::sysinit:/bin/mount -t devtmpfs devtmpfs /dev
::sysinit:/bin/modprobe -a virtio_pci virtio_blk
::sysinit:/etc/init.d/rcS
::sysinit:/bin/touch /run/pilvi-guest/ready
ttyS0::respawn:/usr/lib/pilvi-guest/shell
"""


@cache
def shell_guest() -> Path:
    """A folder with `vmlinuz`, `disk.qcow2` (boots by itself) and `memory` (an initramfs that holds the whole system); made once."""
    programs.require()
    folder = Path(tempfile.mkdtemp(prefix="pilvi-shell-guest-"))
    atexit.register(shutil.rmtree, folder)
    folder.chmod(0o755)  # guests run as users of their own
    chosen = packages.choose(root.wanted_packages())
    packages.download(chosen, folder / "packages", print)
    packages.unpack(chosen, folder / "packages", folder / "unpacked")
    kernel = build._kernel(folder / "unpacked")
    library = Library(next(kernel.parent.parent.glob(f"**/lib/modules/{kernel.name.removeprefix('vmlinuz-')}")))
    kernel.rename(folder / "vmlinuz")
    _write_disk(folder, library)
    tree = _tree(folder, library, IN_MEMORY)
    tree.device("dev/console", 5, 1)
    tree.link("init", "usr/bin/busybox")
    (folder / "memory").write_bytes(gzip.compress(cpio.archive(tree), 1))
    for done in ("packages", "unpacked"): shutil.rmtree(folder / done)
    return folder


def _tree(folder: Path, library: Library, inittab: str) -> Tree:
    tree = root.compose(folder / "unpacked", library, "test")
    tree.file("etc/inittab", inittab.encode())
    tree.file("usr/lib/pilvi-guest/shell", SHELL.encode(), 0o755)
    return tree


def _write_disk(folder: Path, library: Library) -> None:
    tree = _tree(folder, library, FROM_DISK)
    initramfs.write(folder / "initrd", folder / "unpacked", library)
    ext4.write(tree, folder / "root.img", size_mib=tree.size() // 2**20 + build.ROOM_MIB, label=root.LABEL, time=build.BUILD_TIME)
    loader = f"DEFAULT test\nPROMPT 0\nTIMEOUT 0\nLABEL test\n KERNEL vmlinuz\n INITRD initrd\n APPEND {build.KERNEL_ARGUMENTS}\n"
    contents = {name: (folder / name).read_bytes() for name in ("vmlinuz", "initrd")} | {"syslinux.cfg": loader.encode()}
    disk.write_boot_partition(folder / "boot.img", contents, start=disk.MIB_SECTORS, time=build.BUILD_TIME)
    disk.write_disk(folder / "disk.qcow2", folder / "boot.img", folder / "root.img")
