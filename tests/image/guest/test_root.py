"""Where files of packages go, and the guest's own files: that no password opens anything, and that the scripts are scripts."""
from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from pilvi.image.guest import root
from pilvi.image.guest.tree import Tree

FILES = sorted(path for path in (Path(root.__file__).parent / "files").rglob("*") if path.is_file())
SCRIPTS = [path for path in FILES if path.read_bytes().startswith(b"#!")]


@pytest.mark.parametrize(("path", "guest_path"), [
    ("bin/busybox", "usr/bin/busybox"),
    ("usr/sbin/dropbear", "usr/bin/dropbear"),
    ("lib/x86_64-linux-gnu/libc.so.6", "usr/lib/x86_64-linux-gnu/libc.so.6"),
    ("usr/libexec/sudo/sudoers.so", "usr/libexec/sudo/sudoers.so"),
    ("lib64/ld-linux-x86-64.so.2", "usr/lib64/ld-linux-x86-64.so.2"),
    ("etc/mke2fs.conf", "etc/mke2fs.conf"),
])
def test_merged(path: str, guest_path: str) -> None:
    assert root.merged(path) == guest_path


def test_links_out_of_a_package_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/libx.so.1.2").write_bytes(b"x")
    (tmp_path / "lib/libx.so.1").symlink_to("libx.so.1.2")
    (tmp_path / "lib/libhost.so").symlink_to("/etc/passwd")
    assert set(root.contents(tmp_path)) == {"usr/lib/libx.so.1.2", "usr/lib/libx.so.1"}


@pytest.fixture(scope="module")
def own() -> Tree:
    tree = Tree()
    root.add_own_files(tree, "root")
    return tree


def test_every_password_is_locked(own: Tree) -> None:
    accounts = [line.split(":") for line in own["etc/passwd"].data.decode().splitlines()]
    locks = {line.split(":")[0]: line.split(":")[1] for line in own["etc/shadow"].data.decode().splitlines()}
    assert {name for name, *_ in accounts} == set(locks)
    assert set(locks.values()) == {"*"}
    assert {fields[1] for fields in accounts} == {"x"}
    assert stat.S_IMODE(own["etc/shadow"].mode) == 0o600


def test_modes(own: Tree) -> None:
    assert stat.S_IMODE(own["etc/sudoers"].mode) == 0o440
    assert stat.S_IMODE(own["etc/init.d/rcS"].mode) == 0o755
    assert stat.S_IMODE(own["etc/passwd"].mode) == 0o644


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_parse(script: Path) -> None:
    subprocess.run(["sh", "-n", script], check=True)


def test_there_are_scripts() -> None:
    assert {path.name for path in SCRIPTS} >= {"init", "rcS", "instance", "hotplug", "lease", "console"}
