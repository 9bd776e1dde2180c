"""A file tree in memory, with the owners and modes it shall have in the guest.

The builder runs as an ordinary user, who can own nothing but their own files and cannot make device nodes. So the trees are never laid
out on the host's disk: they are values, which `cpio` and `ext4` write into archives and file systems.
"""
from __future__ import annotations

import stat
from collections.abc import Iterator

import msgspec

from pilvi.image.guest.errors import GuestBuildFailed


class Node(msgspec.Struct, frozen=True):
    """One entry: `mode` includes the type bits; `data` is a file's content or a link's target."""

    mode: int
    data: bytes = b""
    uid: int = 0
    gid: int = 0
    device: tuple[int, int] = (0, 0)


class Tree:
    """Entries by path, without a leading slash: `usr/bin/sh`. Parents appear by themselves, owned by root, mode 0755."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}

    def folder(self, path: str, mode: int = 0o755, uid: int = 0) -> None:
        """Adds a folder, or sets the mode and owner of one that is there."""
        old = self._nodes.get(path)
        if old is not None and not stat.S_ISDIR(old.mode):
            raise GuestBuildFailed(f"{path} is to be a folder and is something else already")
        self._place(path, Node(stat.S_IFDIR | mode, uid=uid, gid=uid))

    def file(self, path: str, data: bytes, mode: int = 0o644, uid: int = 0) -> None:
        """Adds a regular file; a later one with the same path takes its place."""
        self._place(path, Node(stat.S_IFREG | mode, data, uid, uid))

    def link(self, path: str, target: str) -> None:
        """Adds a symbolic link."""
        self._place(path, Node(stat.S_IFLNK | 0o777, target.encode()))

    def device(self, path: str, major: int, minor: int, mode: int = 0o600) -> None:
        """Adds a character device."""
        self._place(path, Node(stat.S_IFCHR | mode, device=(major, minor)))

    def __contains__(self, path: str) -> bool:
        return path in self._nodes

    def __getitem__(self, path: str) -> Node:
        return self._nodes[path]

    def __iter__(self) -> Iterator[tuple[str, Node]]:
        """All entries sorted by path, so a folder comes before what is in it and the order is always the same."""
        return iter(sorted(self._nodes.items()))

    def size(self) -> int:
        """The bytes of all files, each rounded up to blocks of 4096."""
        return sum(-(-len(node.data) // 4096) * 4096 for node in self._nodes.values() if stat.S_ISREG(node.mode))

    def _place(self, path: str, node: Node) -> None:
        parent = path.rpartition("/")[0]
        if parent and parent not in self._nodes:
            self.folder(parent)
        if parent and not stat.S_ISDIR(self._nodes[parent].mode):
            raise GuestBuildFailed(f"{path} would lie inside {parent}, which is not a folder")
        self._nodes[path] = node
