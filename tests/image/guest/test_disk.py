"""The disk: its partition table, and with the host's tools (no network, no root) the boot partition and the qcow2 file."""
from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from pilvi.image.guest import disk
from pilvi.image.guest.disk import Partition, master_boot_record

TOOLS = all(shutil.which(tool) for tool in ("mformat", "mcopy", "syslinux", "qemu-img"))
BOOT_CODE = any(path.exists() for path in disk.MASTER_BOOT_CODE)
needs_tools = pytest.mark.skipif(not TOOLS or not BOOT_CODE, reason="needs mtools, syslinux, syslinux-common and qemu-utils")


def test_master_boot_record() -> None:
    record = master_boot_record(b"code", [Partition(0x0E, 2048, 32768, bootable=True), Partition(0x83, 34816, 139264)])
    assert len(record) == 512
    assert record[:5] == b"code\0"
    assert record[440:444] != bytes(4)
    assert record[510:] == b"\x55\xaa"
    first, second = record[446:462], record[462:478]
    assert (first[0], first[4], *struct.unpack("<II", first[8:])) == (0x80, 0x0E, 2048, 32768)
    assert (second[0], second[4], *struct.unpack("<II", second[8:])) == (0x00, 0x83, 34816, 139264)
    assert record[478:510] == bytes(32)


def test_the_guest_grows_the_second_partition_where_the_record_has_its_length() -> None:
    # files/initramfs/init writes four bytes at 474
    record = master_boot_record(b"", [Partition(0x0E, 1, 2), Partition(0x83, 3, 0x11223344)])
    assert record[474:478] == b"\x44\x33\x22\x11"
    assert "seek=474 " in Path(disk.__file__).parent.joinpath("files/initramfs/init").read_text()


@needs_tools
def test_boot_partition_is_the_same_each_time_and_knows_its_place(tmp_path: Path) -> None:
    images = []
    for name in ["one", "two"]:
        folder = tmp_path / name
        folder.mkdir()
        disk.write_boot_partition(folder / "boot.img", {"vmlinuz": bytes(3 * 2**20), "syslinux.cfg": b"x"}, start=2048, time=1_700_000_000)
        images.append((folder / "boot.img").read_bytes())
    assert images[0] == images[1]
    assert struct.unpack_from("<I", images[0], 28) == (2048,)
    assert b"SYSLINUX" in images[0][:512]
    assert len(images[0]) == 5 * 2**20


@needs_tools
def test_disk_holds_both_partitions_where_its_table_says(tmp_path: Path) -> None:
    boot, root = tmp_path / "boot.img", tmp_path / "root.img"
    boot.write_bytes(b"B" * 2**20)
    root.write_bytes(b"R" * 2**20)
    disk.write_disk(tmp_path / "guest.qcow2", boot, root)
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", tmp_path / "guest.qcow2", tmp_path / "again.raw"], check=True)
    raw = (tmp_path / "again.raw").read_bytes()
    for number, letter in enumerate(b"BR"):
        start, length = struct.unpack_from("<II", raw, 446 + 16 * number + 8)
        assert raw[start * 512:(start + length) * 512] == bytes([letter]) * 2**20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.raw", "boot.img", "guest.qcow2", "root.img"]
