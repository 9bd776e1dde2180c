"""Headers: real images that qemu-img made, and the same with what a liar would write into them."""
from __future__ import annotations

import os
import shutil
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilvi.image.errors import ContentRefused
from pilvi.image.image.inspect import check

MIB = 1 << 20
QEMU_NAMES = {"vhd": "vpc"}
needs_qemu_img = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-img")


def look(data: bytes, disk_format: str, container_format: str = "bare") -> int | None:
    return check(disk_format, container_format, lambda offset, length: data[offset:offset + length], len(data))


def made(folder: Path, kind: str, *options: str, size: str = "8M") -> bytes:
    path = folder / f"{kind}-{len(list(folder.iterdir()))}"
    subprocess.run(["qemu-img", "create", "-q", "-f", QEMU_NAMES.get(kind, kind), *options, str(path), size], check=True, timeout=60,
                   cwd=folder)
    return path.read_bytes()


def put(data: bytes, at: int, form: str, *values: int) -> bytes:
    packed = struct.pack(form, *values)
    return data[:at] + packed + data[at + len(packed):]


def refusal(data: bytes, disk_format: str) -> str:
    with pytest.raises(ContentRefused) as caught: look(data, disk_format)
    return caught.value.message


@needs_qemu_img
@pytest.mark.parametrize(("kind", "options"), [
    ("qcow2", []), ("qcow2", ["-o", "compat=0.10"]), ("qcow2", ["-o", "extended_l2=on,cluster_size=128k"]),
    ("qcow2", ["-o", "compression_type=zstd"]), ("vmdk", []), ("vmdk", ["-o", "subformat=streamOptimized"]), ("vhdx", []), ("vdi", []),
    ("vdi", ["-o", "static=on"])])
def test_real_images_pass_and_tell_their_size(tmp_path: Path, kind: str, options: list[str]) -> None:
    assert look(made(tmp_path, kind, *options), kind) == 8 * MIB


@needs_qemu_img
@pytest.mark.parametrize("options", [["-o", "force_size=on"], ["-o", "subformat=fixed,force_size=on"]])
def test_real_vhd(tmp_path: Path, options: list[str]) -> None:
    assert look(made(tmp_path, "vhd", *options), "vhd") == 8 * MIB


@needs_qemu_img
@pytest.mark.parametrize(("kind", "options"), [
    ("vmdk", ["-o", "subformat=monolithicFlat"]), ("vmdk", ["-o", "subformat=twoGbMaxExtentSparse"]), ("qed", [])])
def test_real_images_in_several_files_or_of_unknown_kinds_are_refused(tmp_path: Path, kind: str, options: list[str]) -> None:
    data = made(tmp_path, kind, *options)
    refusal(data, "vmdk")
    refusal(data, "raw")


@needs_qemu_img
def test_real_overlays_and_external_data_are_refused(tmp_path: Path) -> None:
    for kind in ("qcow2", "vmdk"): (tmp_path / f"base-{kind}").write_bytes(made(tmp_path, kind))
    assert "backing file" in refusal(made(tmp_path, "qcow2", "-b", "base-qcow2", "-F", "qcow2"), "qcow2")
    assert "another file" in refusal(made(tmp_path, "qcow2", "-o", "data_file=outside,data_file_raw=on"), "qcow2")
    refusal(made(tmp_path, "vmdk", "-b", "base-vmdk", "-F", "vmdk"), "vmdk")


@needs_qemu_img
@pytest.mark.parametrize("change", [
    lambda data: put(data, 4, ">I", 4), lambda data: put(data, 8, ">QI", 1000, 11), lambda data: put(data, 20, ">I", 40),
    lambda data: put(data, 24, ">Q", 1 << 62), lambda data: put(data, 24, ">Q", 0), lambda data: put(data, 32, ">I", 1),
    lambda data: put(data, 36, ">I", 0), lambda data: put(data, 40, ">Q", 1 << 40), lambda data: put(data, 72, ">Q", 4),
    lambda data: put(data, 72, ">Q", 2), lambda data: put(data, 72, ">Q", 1 << 30), lambda data: put(data, 100, ">I", 1 << 31),
    lambda data: data[:100], lambda data: data[:60], lambda data: data[:70_000]])
def test_a_qcow2_header_that_lies_is_refused(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    refusal(change(made(tmp_path, "qcow2")), "qcow2")


@needs_qemu_img
@pytest.mark.parametrize(("old", "new"), [
    (b'"monolithicSparse"', b'"monolithicFlat"  '), (b"SPARSE", b"FLAT  "), (b"parentCID=ffffffff", b"parentCID=12345678"),
    (b"RW 16384 SPARSE", b"RW 1 FLAT \"/a\"\n"), (b"# The Disk Data Base", b'RW 5 FLAT "/secret"\n')])
def test_a_vmdk_descriptor_that_names_files_is_refused(tmp_path: Path, old: bytes, new: bytes) -> None:
    data = made(tmp_path, "vmdk")
    assert data.count(old) == 1
    refusal(data.replace(old, new), "vmdk")


def test_a_vmdk_descriptor_of_empty_lines_takes_no_time() -> None:
    head = b"KDMV" + struct.pack("<IIQQQQ", 1, 3, 2048, 128, 1, 2048)
    began = time.thread_time()
    assert "not a VMDK of one file" in refusal(head.ljust(512, b"\0") + b"\n" * (2048 * 512), "vmdk")
    assert time.thread_time() - began < 5


@needs_qemu_img
def test_differences_to_other_disks_are_refused(tmp_path: Path) -> None:
    vhd = made(tmp_path, "vhd")
    assert "difference" in refusal(put(vhd, 60, ">I", 4), "vhd")
    assert "difference" in refusal(put(made(tmp_path, "vdi"), 0x4C, "<I", 4), "vdi")
    vhdx = made(tmp_path, "vhdx")
    at = vhdx.index(struct.pack("<II", 8 * MIB, 0), 2 * MIB)
    assert "difference" in refusal(put(vhdx, at + 4, "<I", 2), "vhdx")


@needs_qemu_img
def test_content_must_be_what_is_declared(tmp_path: Path) -> None:
    assert "looks like qcow2" in refusal(made(tmp_path, "qcow2"), "raw")
    assert "looks like qcow2" in refusal(made(tmp_path, "qcow2"), "iso")
    assert "is not" in refusal(bytes(4096), "qcow2")
    assert "looks like vmdk" in refusal(b"# Disk DescriptorFile\nversion=1\n", "raw")
    assert "looks like vmdk" in refusal(made(tmp_path, "vmdk"), "ami")


def test_raw_bytes_and_wrapped_disks() -> None:
    assert look(b"\xeb\x63\x90" + bytes(4093), "raw") == 4096
    assert look(b"", "raw") == 0
    assert look(b"QFI\xfb", "qcow2", "ova") is None
    assert look(b"anything", "aki", "aki") is None


def test_a_header_that_points_beyond_every_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(put(b"KDMV" + bytes(508), 4, "<IIQQQQ", 1, 0, 8, 8, (1 << 64) - 1, 20))
    with path.open("rb") as file, pytest.raises(ContentRefused):
        check("vmdk", "bare", lambda offset, length: os.pread(file.fileno(), length, offset), 512)


def test_an_iso_tells_the_size_of_its_volume() -> None:
    data = put(bytes(0x8000) + b"\x01CD001" + bytes(2042), 0x8000 + 80, "<I", 7)
    assert look(put(data, 0x8000 + 128, "<H", 2048), "iso") == 7 * 2048
    refusal(put(data, 0x8000, "<B", 0), "iso")


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["qcow2", "vmdk", "vhd", "vhdx", "vdi", "iso", "raw"]), st.binary(max_size=600), st.sampled_from(
    [b"", b"QFI\xfb\0\0\0\3", b"KDMV\1\0\0\0", b"conectix", b"vhdxfile", bytes(0x40) + b"\x7f\x10\xda\xbe"]))
def test_no_bytes_make_it_stumble(disk_format: str, tail: bytes, head: bytes) -> None:
    try: look(head + tail, disk_format)
    except ContentRefused: pass
