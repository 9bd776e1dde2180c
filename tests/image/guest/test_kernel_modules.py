"""Choosing and ordering kernel modules, with modules that are only a `.modinfo` section."""
from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from pilvi.image.guest.errors import GuestBuildFailed
from pilvi.image.guest.kernel_modules import Library, alias_file, dependency_file


def module(name: str, needs: str = "", *aliases: str) -> bytes:
    lines = [f"license=GPL alias={name}", *[f"alias={alias}" for alias in aliases], f"depends={needs}", f"name={name}"]
    return b"\x7fELF\0" + b"".join(line.encode() + b"\0" for line in lines)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    folder = tmp_path / "6.1-test"
    files = {
        "drivers/virtio/virtio.ko": module("virtio", "virtio_ring"),
        "drivers/virtio/virtio_ring.ko": module("virtio_ring"),
        "drivers/char/virtio-rng.ko": module("virtio_rng", "virtio", "virtio:d00000004v*"),
        "drivers/net/virtio_net.ko": module("virtio_net", "virtio,net-failover,virtio_ring", "virtio:d00000001v*"),
        "drivers/net/net_failover.ko.xz": lzma.compress(module("net_failover")),
    }
    for path, data in files.items():
        file = folder / "kernel" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    (folder / "modules.builtin").write_text("kernel/fs/ext4/ext4.ko\n")
    return Library(folder)


def test_loading_order_puts_what_is_needed_first(library: Library) -> None:
    names = [found.name for found in library.in_loading_order(["virtio_net", "virtio-rng", "virtio"])]
    assert names == ["virtio_ring", "virtio", "net_failover", "virtio_net", "virtio_rng"]


def test_compressed_modules_are_unpacked(library: Library) -> None:
    failover, = library.in_loading_order(["net_failover"])
    assert failover.path == "kernel/drivers/net/net_failover.ko"
    assert failover.data == module("net_failover")


def test_builtin_is_left_out_and_unknown_is_an_error(library: Library) -> None:
    assert library.in_loading_order(["ext4"]) == []
    with pytest.raises(GuestBuildFailed, match="no module floppy"):
        library.in_loading_order(["floppy"])


def test_files_for_modprobe(library: Library) -> None:
    modules = library.in_loading_order(["virtio_net", "virtio_rng"])
    lines = dependency_file(modules).splitlines()
    assert "kernel/drivers/virtio/virtio_ring.ko:" in lines
    assert ("kernel/drivers/net/virtio_net.ko: kernel/drivers/net/net_failover.ko kernel/drivers/virtio/virtio.ko "
            "kernel/drivers/virtio/virtio_ring.ko") in lines
    assert alias_file(modules) == "alias virtio:d00000001v* virtio_net\nalias virtio:d00000004v* virtio_rng\n"
