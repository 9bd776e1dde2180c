from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from pilvi.core.disk_image import ImageRefused, virtual_size


def qemu_img(*arguments: str) -> None:
    subprocess.run(["qemu-img", *arguments], check=True, capture_output=True)


@pytest.mark.parametrize("options", ["compat=0.10", "compat=1.1", "compression_type=zstd", "extended_l2=on", "cluster_size=2M",
                                     "lazy_refcounts=on"])
def test_what_qemu_makes_is_taken(tmp_path: Path, options: str) -> None:
    path = tmp_path / "i"
    qemu_img("create", "-f", "qcow2", "-o", options, str(path), "3M")
    assert virtual_size(path, "qcow2") == 3 * 2**20


def test_raw_is_never_looked_into(tmp_path: Path) -> None:
    path = tmp_path / "i"
    qemu_img("create", "-f", "qcow2", str(path), "3M")
    assert virtual_size(path, "raw") == virtual_size(path, "iso") == path.stat().st_size


def test_what_names_other_files_is_refused(tmp_path: Path) -> None:
    base, path = tmp_path / "base", tmp_path / "i"
    qemu_img("create", "-f", "raw", str(base), "3M")
    qemu_img("create", "-f", "qcow2", "-b", str(base), "-F", "raw", str(path))
    with pytest.raises(ImageRefused, match="backing file"): virtual_size(path, "qcow2")
    qemu_img("create", "-f", "qcow2", "-o", f"data_file={base},data_file_raw=on", str(path), "3M")
    with pytest.raises(ImageRefused, match="another file"): virtual_size(path, "qcow2")
    head = bytearray(path.read_bytes())
    head[72:80] = struct.pack(">Q", 0)  # the flag is gone, the name is still there
    path.write_bytes(head)
    with pytest.raises(ImageRefused, match="another file"): virtual_size(path, "qcow2")


def test_what_is_not_qcow2_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "i"
    qemu_img("create", "-f", "qcow2", str(path), "3M")
    whole = path.read_bytes()
    for damaged in (b"", b"nonsense" * 100, whole[:60], whole[:100], whole[:4] + struct.pack(">I", 9) + whole[8:],
                    whole[:32] + struct.pack(">I", 1) + whole[36:], whole[:72] + struct.pack(">Q", 1 << 40) + whole[80:],
                    whole[:100] + struct.pack(">I", 2**32 - 1) + whole[104:], whole[:20] + struct.pack(">I", 40) + whole[24:]):
        path.write_bytes(damaged)
        with pytest.raises(ImageRefused): virtual_size(path, "qcow2")
    path.write_bytes(whole)
    with pytest.raises(ImageRefused, match="vmdk"): virtual_size(path, "vmdk")
