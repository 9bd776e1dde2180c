"""Puts the boot loader, the kernel and the root file system together into a bootable disk, as a compressed qcow2 file.

The disk has a master boot record, a FAT partition with SYSLINUX, kernel and initramfs, and last the root partition, which the guest
enlarges to the disk's end when it boots.
"""
from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from pilvi.image.guest.programs import MASTER_BOOT_CODE, run

SECTOR_BYTES = 512
MIB_SECTORS = 2048
FAT16_LBA, LINUX = 0x0E, 0x83
FAT_SERIAL = "50494c56"
DISK_SIGNATURE = 0x50494C56
# the form in which a partition table says "look at the sector numbers instead": no BIOS of today counts cylinders
NO_CYLINDERS = b"\xfe\xff\xff"


class Partition(msgspec.Struct, frozen=True):
    """One line of the partition table, in sectors of 512 bytes."""

    kind: int
    start: int
    length: int
    bootable: bool = False


def master_boot_record(boot_code: bytes, partitions: Sequence[Partition]) -> bytes:
    """The disk's first sector: at most 440 bytes of boot code, the disk's signature and up to four partitions."""
    table = b""
    for partition in partitions:
        flag = b"\x80" if partition.bootable else b"\0"
        table += flag + NO_CYLINDERS + bytes([partition.kind]) + NO_CYLINDERS + struct.pack("<II", partition.start, partition.length)
    return boot_code.ljust(440, b"\0") + struct.pack("<IH", DISK_SIGNATURE, 0) + table.ljust(64, b"\0") + b"\x55\xaa"


def write_boot_partition(file: Path, contents: Mapping[str, bytes], *, start: int, time: int) -> None:
    """Makes `file` a FAT file system just large enough for the contents (`{name: bytes}`), which boots by SYSLINUX from sector `start`."""
    clock = {"SOURCE_DATE_EPOCH": str(time)}
    folder = file.parent
    # the boot loader and the file system's own tables need well under a MiB
    sectors = (sum(map(len, contents.values())) // 2**20 + 2) * MIB_SECTORS
    # tracks of 32 and 64 heads make a cylinder of one MiB; SYSLINUX reads the hidden sectors to find its partition
    run(["mformat", "-i", file, "-C", "-t", str(sectors // MIB_SECTORS), "-h", "64", "-s", "32", "-H", str(start), "-N", FAT_SERIAL,
         "-v", "PILVI-BOOT", "::"], variables=clock)
    for name, data in contents.items():
        (folder / name).write_bytes(data)
        run(["mcopy", "-i", file, folder / name, "::"], variables=clock)
    run(["syslinux", "--install", file], variables=clock)


def write_disk(disk: Path, boot_partition: Path, root_partition: Path) -> None:
    """Writes the qcow2 file; the partitions follow one another from the first MiB on."""
    images = [boot_partition.read_bytes(), root_partition.read_bytes()]
    lengths = [len(image) // SECTOR_BYTES for image in images]
    boot = Partition(FAT16_LBA, MIB_SECTORS, lengths[0], bootable=True)
    root = Partition(LINUX, boot.start + boot.length, lengths[1])
    boot_code = next(path for path in MASTER_BOOT_CODE if path.exists()).read_bytes()
    raw = disk.with_suffix(".raw")
    with raw.open("wb") as stream:
        stream.write(master_boot_record(boot_code, [boot, root]))
        for partition, image in zip([boot, root], images, strict=True):
            stream.seek(partition.start * SECTOR_BYTES)
            stream.write(image)
    run(["qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", raw, disk])
    raw.unlink()
