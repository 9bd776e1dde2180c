"""Writes a tree as a cpio archive, the form of an initramfs.

Source: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst ("newc").
"""
from __future__ import annotations

from pilvi.image.guest.tree import Node, Tree


def archive(tree: Tree) -> bytes:
    """The tree as a newc archive. Times are zero and inode numbers count up, so equal trees give equal bytes."""
    records = [_record(number, path, node) for number, (path, node) in enumerate(tree, start=1)]
    return b"".join(records) + _record(0, "TRAILER!!!", Node(mode=0))


def _record(number: int, path: str, node: Node) -> bytes:
    name = path.encode() + b"\0"
    links = 1
    fields = (number, node.mode, node.uid, node.gid, links, 0, len(node.data), 0, 0, *node.device, len(name), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields)
    return _aligned(head + name) + _aligned(node.data)


def _aligned(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
