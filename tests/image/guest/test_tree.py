"""The tree in memory: parents, order, and entries that cannot be."""
from __future__ import annotations

import stat

import pytest

from pilvi.image.guest.errors import GuestBuildFailed
from pilvi.image.guest.tree import Tree


def test_parents_appear_and_come_first() -> None:
    tree = Tree()
    tree.file("b/c/d", b"x")
    tree.file("b/c-d", b"")
    tree.file("a", b"")
    assert [path for path, _ in tree] == ["a", "b", "b/c", "b/c-d", "b/c/d"]
    assert tree["b/c"].mode == stat.S_IFDIR | 0o755


def test_a_folders_mode_can_be_set_after_its_files() -> None:
    tree = Tree()
    tree.file("home/me/x", b"", uid=5)
    tree.folder("home/me", 0o700, uid=5)
    assert (tree["home/me"].mode & 0o777, tree["home/me"].uid, tree["home/me"].gid) == (0o700, 5, 5)
    assert "home/me/x" in tree


def test_nothing_lies_inside_a_link_or_a_file() -> None:
    tree = Tree()
    tree.link("bin", "usr/bin")
    with pytest.raises(GuestBuildFailed, match="not a folder"):
        tree.file("bin/sh", b"")
    with pytest.raises(GuestBuildFailed, match="something else"):
        tree.folder("bin")


def test_size_counts_whole_blocks_of_files() -> None:
    tree = Tree()
    tree.file("a", bytes(1))
    tree.file("b", bytes(4097))
    tree.file("c", b"")
    tree.link("d", "a")
    assert tree.size() == 3 * 4096
