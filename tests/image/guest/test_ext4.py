"""The root file system, written with mke2fs and debugfs by whoever runs the test, and read back with e2fsck and debugfs."""
from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pilvi.image.guest import ext4
from pilvi.image.guest.errors import GuestBuildFailed
from pilvi.image.guest.programs import SEARCH_PATH, run
from pilvi.image.guest.tree import Tree

pytestmark = pytest.mark.skipif(shutil.which("debugfs", path=SEARCH_PATH) is None, reason="needs e2fsprogs")
TIME = 1_700_000_000


def write(tree: Tree, file: Path) -> Path:
    ext4.write(tree, file, size_mib=16, label="testing", time=TIME)
    return file


def sample() -> Tree:
    tree = Tree()
    tree.file("usr/bin/sudo", b"\x7fELF" + bytes(9000), 0o4755)
    tree.file("home/me/x", b"mine\n", 0o600, uid=1000)
    tree.link("bin", "usr/bin")
    tree.folder("tmp", 0o1777)
    return tree


def test_contents_owners_and_modes(tmp_path: Path) -> None:
    file = write(sample(), tmp_path / "root.img")
    run(["e2fsck", "-fn", file])
    sudo = run(["debugfs", "-R", "stat /usr/bin/sudo", file])
    assert "Mode:  04755" in sudo and "Type: regular" in sudo and "Size: 9004" in sudo
    mine = run(["debugfs", "-R", "stat /home/me/x", file])
    assert "User:  1000   Group:  1000" in mine and f"mtime: 0x{TIME:08x}" in mine
    assert run(["debugfs", "-R", "cat /home/me/x", file]) == "mine\n"
    assert 'Fast link dest: "usr/bin"' in run(["debugfs", "-R", "stat /bin", file])
    assert "Mode:  01777" in run(["debugfs", "-R", "stat /tmp", file])


def test_the_same_tree_gives_the_same_bytes(tmp_path: Path) -> None:
    assert write(sample(), tmp_path / "one.img").read_bytes() == write(sample(), tmp_path / "two.img").read_bytes()


def test_label_lies_where_the_guest_looks_for_it(tmp_path: Path) -> None:
    # files/initramfs/init reads two blocks of 8 bytes from block 143
    data = write(Tree(), tmp_path / "root.img").read_bytes()
    assert data[143 * 8:145 * 8].rstrip(b"\0") == b"testing"


def test_too_much_for_its_size_is_an_error(tmp_path: Path) -> None:
    tree = Tree()
    tree.file("big", bytes(range(256)) * 4096 * 20)
    with pytest.raises(GuestBuildFailed, match="debugfs"):
        write(tree, tmp_path / "root.img")


def test_device_nodes_are_refused(tmp_path: Path) -> None:
    tree = Tree()
    tree.device("dev/null", 1, 3)
    with pytest.raises(GuestBuildFailed, match="dev/null"):
        write(tree, tmp_path / "root.img")
