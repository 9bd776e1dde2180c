"""Builds the guest image: packages in, a bootable disk and a kernel with its initramfs out."""
from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import msgspec

from pilvi.image.guest import disk, ext4, initramfs, packages, programs, root
from pilvi.image.guest.errors import GuestBuildFailed
from pilvi.image.guest.kernel_modules import Library
from pilvi.image.guest.packages import Package

BUILD_TIME = 1_700_000_000
"""Every time in the image: a constant, so that the same packages give the same bytes."""
KERNEL_ARGUMENTS = "console=tty0 console=ttyS0,115200 quiet no_timer_check random.trust_cpu=on mitigations=off"
ROOM_MIB = 40
"""Free space in the root file system, for a disk no larger than the image."""


class GuestImage(msgspec.Struct, frozen=True):
    """A built image: the disk boots by itself; kernel and initrd boot the same disk directly, with these arguments."""

    qcow2: Path
    kernel: Path
    initrd: Path
    kernel_arguments: str
    version: str
    sha256: str


def build(out_dir: Path, *, cache_dir: Path, progress: Callable[[str], None]) -> GuestImage:
    """Builds into `out_dir` and returns what is there. Packages come from the cache or over apt; raises GuestBuildFailed.

    May be repeated and run by any user. Each file of an older build is replaced at once, when its successor is complete.
    """
    programs.require()
    out_dir, cache_dir = out_dir.resolve(), cache_dir.resolve()
    progress("choosing packages")
    chosen = packages.choose(root.wanted_packages())
    packages.download(chosen, cache_dir, progress)
    version = _version(chosen)
    out_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out_dir, prefix=".building-") as name:
        work = Path(name)
        progress(f"unpacking {len(chosen)} packages")
        unpacked = work / "unpacked"
        packages.unpack(chosen, cache_dir, unpacked)
        progress("writing the file systems and the disk")
        _write_parts(work, unpacked, version)
        for part in ["pilvi-guest.qcow2", "vmlinuz", "initrd"]:
            os.replace(work / part, out_dir / part)
    image = _describe(out_dir, version)
    progress(f"guest image {version}: {image.qcow2.stat().st_size / 1e6:.1f} MB, {image.qcow2}")
    return image


def _write_parts(work: Path, unpacked: Path, version: str) -> None:
    kernel = _kernel(unpacked)
    library = Library(next(kernel.parent.parent.glob(f"**/lib/modules/{kernel.name.removeprefix('vmlinuz-')}")))
    kernel.rename(work / "vmlinuz")
    initramfs.write(work / "initrd", unpacked, library)
    tree = root.compose(unpacked, library, version)
    size_mib = tree.size() // 2**20 + ROOM_MIB
    ext4.write(tree, work / "root.img", size_mib=size_mib, label=root.LABEL, time=BUILD_TIME)
    loader = f"DEFAULT pilvi\nPROMPT 0\nTIMEOUT 0\nLABEL pilvi\n KERNEL vmlinuz\n INITRD initrd\n APPEND {KERNEL_ARGUMENTS}\n"
    contents = {"vmlinuz": (work / "vmlinuz").read_bytes(), "initrd": (work / "initrd").read_bytes(), "syslinux.cfg": loader.encode()}
    disk.write_boot_partition(work / "boot.img", contents, start=disk.MIB_SECTORS, time=BUILD_TIME)
    disk.write_disk(work / "pilvi-guest.qcow2", work / "boot.img", work / "root.img")


def _kernel(unpacked: Path) -> Path:
    found = sorted(unpacked.glob("linux-image-*/boot/vmlinuz-*"))
    if len(found) != 1:
        raise GuestBuildFailed(f"the kernel's packages hold {len(found)} kernels instead of one")
    return found[0]


def _version(chosen: Sequence[Package]) -> str:
    """A short name for the inputs: the packages and all of this builder."""
    digest = hashlib.sha256()
    for package in chosen:
        digest.update(f"{package.file} {package.sha256}\n".encode())
    for name, data in _sources(files(__package__), ""):
        digest.update(f"{name} {hashlib.sha256(data).hexdigest()}\n".encode())
    return digest.hexdigest()[:12]


def _sources(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir() and entry.name != "__pycache__":
            found += _sources(entry, f"{prefix}{entry.name}/")
        elif entry.is_file():
            found.append((prefix + entry.name, entry.read_bytes()))
    return found


def _describe(out_dir: Path, version: str) -> GuestImage:
    built = out_dir / "pilvi-guest.qcow2"
    with built.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    return GuestImage(built, out_dir / "vmlinuz", out_dir / "initrd", KERNEL_ARGUMENTS, version, sha256)
