"""Disks as QEMU is told to open them, and the driver's own files."""
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pilvi.compute.drivers.interface import Disk, HypervisorFailure
from pilvi.compute.drivers.qemu.disks import GIB, File, config_drive, counters, make, opening, virtual_size

OWN = Path("/m/disk13.qcow2")


def image(path: Path, size: str, form: str = "qcow2") -> Path:
    subprocess.run(["qemu-img", "create", "-q", "-f", form, path, size], check=True)
    return path


def test_an_overlay_stands_on_an_image_that_is_only_read_and_stands_on_nothing():
    files, nodes, device = opening(Disk(id="root", device="vda", boot_index=0, size_gib=1, image_path="/images/a"), 13, OWN)
    assert files == [File(26, OWN, True), File(27, Path("/images/a"), False)]
    named = {node["node-name"]: node for node in nodes}
    assert named["disk13"]["backing"] == "disk13-base" and not named["disk13"]["read-only"]
    assert named["disk13-base"]["read-only"] and named["disk13-base"]["backing"] is None
    assert named["disk13-file"]["filename"] == "/dev/fdset/26"
    assert device["addr"] == "d.0" and device["bootindex"] == 1


def test_a_raw_image_has_no_backing_to_be_silent_about():
    nodes = opening(Disk(id="root", device="vda", image_path="/images/a", image_format="raw"), 13, OWN).nodes
    assert "backing" not in next(node for node in nodes if node["node-name"] == "disk13-base")


def test_a_volume_in_a_file_travels_as_a_descriptor_and_its_format_is_told():
    volume = Disk(id="0123456789-0123456789-x", device="vdb", connection={"driver": "file", "path": "/v", "format": "raw"}, read_only=True)
    files, nodes, device = opening(volume, 14, OWN)
    assert files == [File(28, Path("/v"), False)]
    assert nodes[-1] == {"driver": "raw", "file": "disk14-file", "node-name": "disk14", "read-only": True, "discard": "unmap"}
    assert device["serial"] == "0123456789-012345678" and "bootindex" not in device


def test_other_volumes_are_opened_as_they_say():
    volume = Disk(id="v", device="vdb", connection={"driver": "rbd", "pool": "volumes", "image": "v", "format": "raw"})
    files, nodes, _ = opening(volume, 14, OWN)
    assert files == []
    assert nodes[0] == {"driver": "rbd", "pool": "volumes", "image": "v", "node-name": "disk14-file", "read-only": False,
                        "discard": "unmap"}


def test_formats_that_qemu_would_have_to_parse_from_strangers_are_refused():
    with pytest.raises(HypervisorFailure, match="vmdk"): opening(Disk(id="r", device="vda", image_path="/i", image_format="vmdk"), 13, OWN)


def test_a_config_drive_can_be_a_cd():
    assert config_drive(Path("/c"), as_cdrom=True).device["driver"] == "ide-cd"
    assert config_drive(Path("/c"), as_cdrom=False).device["addr"] == "1f.0"


def test_an_overlay_is_made_kept_and_grown(tmp_path: Path):
    own, root = tmp_path / "own.qcow2", Disk(id="r", device="vda", size_gib=1, image_path=str(image(tmp_path / "i", "10M")))
    make(root, own)
    assert virtual_size(own, "qcow2") == GIB
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 7 0 512", own], check=True, capture_output=True)
    make(Disk(id="r", device="vda", size_gib=2, image_path=root.image_path), own)
    assert virtual_size(own, "qcow2") == 2 * GIB
    read = subprocess.run(["qemu-io", "-f", "qcow2", "-c", "read -P 7 0 512", own], capture_output=True, text=True, check=True)
    assert "verification failed" not in read.stdout


def test_without_a_size_a_disk_is_as_large_as_its_image_and_never_smaller(tmp_path: Path):
    path = image(tmp_path / "i", "2G")
    make(Disk(id="r", device="vda", image_path=str(path)), tmp_path / "own")
    assert virtual_size(tmp_path / "own", "qcow2") == 2 * GIB
    with pytest.raises(HypervisorFailure, match="cannot hold"):
        make(Disk(id="r", device="vda", size_gib=1, image_path=str(path)), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_the_size_of_raw_and_of_what_is_no_image(tmp_path: Path):
    (tmp_path / "raw").write_bytes(b"x" * 513)
    assert virtual_size(tmp_path / "raw", "raw") == 1024
    with pytest.raises(HypervisorFailure, match="not qcow2"): virtual_size(tmp_path / "raw", "qcow2")
    with pytest.raises(HypervisorFailure, match="No such file"): virtual_size(tmp_path / "absent", "raw")


def test_a_disk_that_was_never_counted_counts_nothing():
    assert counters({})["read_bytes"] == 0 and counters({"rd_bytes": 5})["read_bytes"] == 5
