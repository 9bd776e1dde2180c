"""The initramfs archive: its form, checked with the kernel's rules, and that it depends on nothing but the tree."""
from __future__ import annotations

import stat

from hypothesis import given
from hypothesis import strategies as st

from pilvi.image.guest.cpio import archive
from pilvi.image.guest.tree import Tree

NAMES = st.text("abc.-", min_size=1, max_size=5).filter(lambda name: name.strip("."))


def members(data: bytes) -> list[tuple[str, dict[str, int], bytes]]:
    """Reads a newc archive, by the letter of the specification."""
    fields = ["ino", "mode", "uid", "gid", "nlink", "mtime", "filesize", "maj", "min", "rmaj", "rmin", "namesize", "check"]
    found, at = [], 0
    while True:
        assert at % 4 == 0
        assert data[at:at + 6] == b"070701"
        head = {field: int(data[at + 6 + 8 * number:at + 14 + 8 * number], 16) for number, field in enumerate(fields)}
        name = data[at + 110:at + 110 + head["namesize"]]
        assert name.endswith(b"\0")
        at += 110 + head["namesize"]
        at += -at % 4
        found.append((name[:-1].decode(), head, data[at:at + head["filesize"]]))
        at += head["filesize"]
        at += -at % 4
        if name == b"TRAILER!!!\0":
            assert at == len(data)
            return found


def test_each_kind_of_entry() -> None:
    tree = Tree()
    tree.file("bin/sh", b"abcde", 0o755)
    tree.link("init", "bin/sh")
    tree.device("dev/console", 5, 1)
    tree.file("home/me", b"", uid=7)
    entries = {name: (head, data) for name, head, data in members(archive(tree))}
    assert list(entries) == ["bin", "bin/sh", "dev", "dev/console", "home", "home/me", "init", "TRAILER!!!"]
    assert entries["bin"][0]["mode"] == stat.S_IFDIR | 0o755
    assert entries["bin/sh"][0]["mode"] == stat.S_IFREG | 0o755
    assert entries["bin/sh"][1] == b"abcde"
    assert (entries["init"][0]["mode"] & stat.S_IFMT(0o177777), entries["init"][1]) == (stat.S_IFLNK, b"bin/sh")
    console = entries["dev/console"][0]
    assert (console["mode"], console["rmaj"], console["rmin"]) == (stat.S_IFCHR | 0o600, 5, 1)
    assert (entries["home/me"][0]["uid"], entries["home/me"][0]["gid"], entries["bin/sh"][0]["uid"]) == (7, 7, 0)
    assert {head["mtime"] for head, _ in entries.values()} == {0}


@given(st.dictionaries(NAMES, st.binary(max_size=9), max_size=6))
def test_every_file_comes_back_whatever_its_length(contents: dict[str, bytes]) -> None:
    forwards, backwards = Tree(), Tree()
    for name, data in contents.items():
        forwards.file(f"folder/{name}", data)
    for name, data in reversed(contents.items()):
        backwards.file(f"folder/{name}", data)
    found = {name: data for name, head, data in members(archive(forwards)) if stat.S_ISREG(head["mode"])}
    assert found == {f"folder/{name}": data for name, data in contents.items()}
    assert archive(forwards) == archive(backwards)


def test_entries_have_inode_numbers_of_their_own() -> None:
    tree = Tree()
    tree.file("a", b"1")
    tree.file("b", b"2")
    numbers = [head["ino"] for _, head, _ in members(archive(tree))[:-1]]
    assert len(set(numbers)) == len(numbers)
