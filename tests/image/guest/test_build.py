"""A whole build, for real: the same packages give the same bytes."""
from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pilvi.image.guest.build import GuestImage, build

pytestmark = pytest.mark.real


def test_a_second_build_gives_the_same_bytes(image: GuestImage, tmp_path: Path) -> None:
    said: list[str] = []
    again = build(tmp_path, cache_dir=image.qcow2.parent / "packages", progress=said.append)
    assert not any("downloading" in line for line in said)
    assert again.version == image.version
    for one, other in [(image.qcow2, again.qcow2), (image.kernel, again.kernel), (image.initrd, again.initrd)]:
        assert hashlib.sha256(one.read_bytes()).digest() == hashlib.sha256(other.read_bytes()).digest(), one.name
    assert hashlib.sha256(again.qcow2.read_bytes()).hexdigest() == again.sha256
    assert sorted(path.name for path in tmp_path.iterdir()) == ["initrd", "pilvi-guest.qcow2", "vmlinuz"]


def test_it_is_small(image: GuestImage) -> None:
    assert image.qcow2.stat().st_size < 40e6
