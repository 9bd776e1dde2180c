"""The initramfs: a static BusyBox, the modules to reach a disk, and `files/initramfs/init`, which finds, enlarges and mounts the root."""
from __future__ import annotations

import gzip
from pathlib import Path

from pilvi.image.guest import cpio
from pilvi.image.guest.kernel_modules import Library, Module
from pilvi.image.guest.root import add_own_files, contents
from pilvi.image.guest.tree import Tree

APPLETS = ["blockdev", "cat", "dd", "insmod", "mount", "printf", "sh", "sleep", "switch_root"]
# loading a module costs time, and nearly every disk is on virtio: the rest is loaded when no root was found there
FIRST_MODULES = ["virtio_pci", "virtio_blk", "ext4"]
OTHER_MODULES = ["virtio_scsi", "ata_piix", "sd_mod"]


def write(file: Path, unpacked: Path, library: Library) -> None:
    """Writes the compressed initramfs, the same bytes for the same packages."""
    tree = Tree()
    for folder in ["proc", "sys", "dev", "root"]:
        tree.folder(folder)
    # the kernel opens it for init's messages before anything is mounted
    tree.device("dev/console", 5, 1)
    tree.file("bin/busybox", contents(unpacked / "busybox-static")["usr/bin/busybox"].read_bytes(), 0o755)
    for applet in APPLETS:
        tree.link(f"bin/{applet}", "busybox")
    add_own_files(tree, "initramfs")
    first = library.in_loading_order(FIRST_MODULES)
    others = [module for module in library.in_loading_order(OTHER_MODULES) if module not in first]
    _add_modules(tree, "first", first)
    _add_modules(tree, "others", others)
    file.write_bytes(gzip.compress(cpio.archive(tree), mtime=0))


def _add_modules(tree: Tree, group: str, modules: list[Module]) -> None:
    for module in modules:
        tree.file(f"modules/{module.name}.ko", module.data)
    tree.file(f"modules/{group}", "".join(f"{module.name}\n" for module in modules).encode())
