"""Writes a tree as an ext4 file system, without mounting one.

`mke2fs` makes an empty file system and `debugfs` fills it from a list of commands. `mke2fs -d FOLDER` would be shorter, but takes owners
and modes from the host (so it needs root or fakeroot) and the order from the host's folders (so it is not the same everywhere).
"""
from __future__ import annotations

import stat
import tempfile
from pathlib import Path

from pilvi.image.guest.errors import GuestBuildFailed
from pilvi.image.guest.programs import first_lines, run, run_script
from pilvi.image.guest.tree import Node, Tree

BLOCK_BYTES = 4096
IDENTITY = "70696c76-6900-4000-8000-67756573740a"
"""The file system's UUID and the seed of its folder hashes: constant, so that equal trees give equal bytes."""


def write(tree: Tree, file: Path, *, size_mib: int, label: str, time: int) -> None:
    """Makes `file` an ext4 file system of that size with the tree in it; every time in it is `time` (seconds since 1970)."""
    clock = {"E2FSPROGS_FAKE_TIME": str(time)}
    # 4 KiB blocks as on large disks, since it shall grow: mke2fs would take 1 KiB for one this small
    run(["mke2fs", "-q", "-F", "-t", "ext4", "-b", str(BLOCK_BYTES), "-i", "16384", "-I", "256", "-m", "0", "-J", "size=4", "-L", label,
         "-U", IDENTITY, "-E", f"hash_seed={IDENTITY},lazy_itable_init=0,root_owner=0:0", file, f"{size_mib}M"], variables=clock)
    with tempfile.TemporaryDirectory(dir=file.parent) as contents:
        script = "".join(_commands(path, node, Path(contents, str(number))) for number, (path, node) in enumerate(tree))
        complaints = run_script(["debugfs", "-w", file], script, folder=Path(contents), variables=clock)
    if complaints:
        raise GuestBuildFailed(f"debugfs could not fill the root file system: {first_lines(complaints)}")


def _commands(path: str, node: Node, content: Path) -> str:
    """The debugfs commands for one entry; a file's bytes are laid into `content`, whose name the commands use."""
    parent, _, name = path.rpartition("/")
    lines = [f"cd /{parent}"]
    if stat.S_ISDIR(node.mode):
        lines.append(f"mkdir {name}")
    elif stat.S_ISLNK(node.mode):
        lines.append(f"symlink {name} {node.data.decode()}")
    elif stat.S_ISREG(node.mode):
        content.write_bytes(node.data)
        lines.append(f"write {content.name} {name}")
    else:
        raise GuestBuildFailed(f"{path} is neither file, folder nor link: device nodes come from devtmpfs")
    facts = {"mode": f"0{node.mode:o}", "uid": node.uid, "gid": node.gid}
    lines += [f"set_inode_field {name} {field} {value}" for field, value in facts.items()]
    return "\n".join(lines) + "\n"
