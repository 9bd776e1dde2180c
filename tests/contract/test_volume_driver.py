"""What every store of volumes promises (volume/drivers/interface.py), checked for all in the map."""
from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from pilvi.volume.drivers import DRIVERS
from pilvi.volume.drivers.file import Files
from pilvi.volume.drivers.interface import Statistics, StoreFailure, StoreFull, VolumeAbsent

MIB = 2**20


@pytest.fixture(params=sorted(DRIVERS))
def driver(request: Any, tmp_path: Path) -> Any:
    return DRIVERS[request.param](tmp_path / "store")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "store")


def write(driver: Files, volume_id: str, text: str, at: int = 0) -> None:
    path = driver.connection(volume_id)["path"]
    pattern = f"write -P {ord(text)} {at} 64k"
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", pattern, path], check=True, capture_output=True)


def holds(driver: Files, volume_id: str, text: str, at: int = 0) -> bool:
    path = driver.connection(volume_id)["path"]
    pattern = f"read -P {ord(text)} {at} 64k"
    done = subprocess.run(["qemu-io", "-f", "qcow2", "-c", pattern, path], check=False, capture_output=True)
    assert b"read 65536/65536" in done.stdout or b"verification failed" in done.stdout, done
    return done.returncode == 0


def test_made_found_and_removed_again_and_again(driver: Any) -> None:
    driver.clean()
    for _ in range(2): driver.create("v1", 1)
    driver.create("v2", 2)
    assert driver.volumes() == ["v1", "v2"] and (driver.size_gib("v1"), driver.size_gib("v2")) == (1, 2)
    assert driver.connection("v1")["driver"] == driver.name
    for _ in range(2): driver.delete("v1")
    assert driver.volumes() == ["v2"]
    with pytest.raises(VolumeAbsent): driver.connection("v1")
    with pytest.raises(VolumeAbsent): driver.size_gib("v1")


def test_another_process_finds_everything_again(driver: Any) -> None:
    driver.create("v1", 1)
    driver.snapshot("v1", "s1")
    again = type(driver)(driver.folder)
    again.clean()
    assert again.volumes() == ["v1"] and again.connection("v1") == driver.connection("v1")
    again.clone("v2", 1, "v1", "s1")


def test_growing(driver: Any) -> None:
    driver.create("v1", 1)
    for _ in range(2): driver.extend("v1", 3)
    driver.extend("v1", 2)
    assert driver.size_gib("v1") == 3
    with pytest.raises(VolumeAbsent): driver.extend("v9", 3)


def test_snapshots_and_copies(driver: Any) -> None:
    driver.create("v1", 1)
    for _ in range(2): driver.snapshot("v1", "s1")
    driver.extend("v1", 2)
    for _ in range(2): driver.clone("v2", 2, "v1", "s1")
    driver.clone("v3", 4, "v1", None)
    assert (driver.size_gib("v2"), driver.size_gib("v3")) == (2, 4)
    for _ in range(2): driver.delete_snapshot("v1", "s1")
    for missing in (("v9", None), ("v1", "s1"), ("v1", "s9")):
        with pytest.raises(VolumeAbsent): driver.clone("v4", 2, *missing)
    with pytest.raises(VolumeAbsent): driver.snapshot("v9", "s1")
    driver.delete_snapshot("v9", "s1")
    driver.snapshot("v1", "s2")
    driver.delete("v1")
    assert driver.volumes() == ["v2", "v3"], "a volume takes its snapshots along; copies stay"


def test_back_to_a_snapshot(driver: Any) -> None:
    driver.create("v1", 1)
    driver.snapshot("v1", "s1")
    for _ in range(2): driver.revert("v1", "s1")
    driver.delete_snapshot("v1", "s1")
    assert driver.size_gib("v1") == 1
    for missing in (("v1", "s1"), ("v9", "s1")):
        with pytest.raises(VolumeAbsent): driver.revert(*missing)


def test_a_copy_outside(driver: Any, tmp_path: Path) -> None:
    driver.create("v1", 1)
    driver.export("v1", driver.workspace() / "out", "raw")
    assert (driver.workspace() / "out").exists() and driver.volumes() == ["v1"]
    driver.clean()
    assert not (driver.workspace() / "out").exists(), "what an interrupted upload left"
    with pytest.raises(VolumeAbsent): driver.export("v9", tmp_path / "out", "raw")


def test_statistics(driver: Any) -> None:
    left = driver.statistics()
    assert 0 <= left.free_mib <= left.total_mib and left.reserve_mib >= 0


def test_leftovers_are_removed_and_volumes_stay(driver: Any) -> None:
    driver.create("v1", 1)
    (driver.folder / ".new-v2-1234").write_text("half a volume")
    driver.clean()
    assert driver.volumes() == ["v1"] and not list(driver.folder.glob(".new-*"))


# -- what only stores with bytes can show


def test_bytes_are_kept(files: Files, tmp_path: Path) -> None:
    image = tmp_path / "image.raw"
    image.write_bytes(b"a" * 65_536 + b"\0" * MIB)
    for _ in range(2): files.create_from_file("v1", 1, image, "raw")
    assert holds(files, "v1", "a") and files.size_gib("v1") == 1
    files.snapshot("v1", "s1")
    write(files, "v1", "b")
    files.clone("v2", 1, "v1", "s1")
    files.clone("v3", 1, "v1", None)
    assert holds(files, "v2", "a") and holds(files, "v3", "b")
    files.export("v3", tmp_path / "out", "raw")
    with (tmp_path / "out").open("rb") as out: assert out.read(65_536) == b"b" * 65_536
    files.revert("v1", "s1")
    assert holds(files, "v1", "a")
    write(files, "v1", "b")
    write(files, "v2", "c")
    assert holds(files, "v1", "b"), "copies are independent"


def test_a_raw_image_that_looks_like_qcow2_stays_raw(files: Files, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"s" * MIB)
    image = tmp_path / "image"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(secret), "-F", "raw", str(image)], check=True)
    files.create_from_file("v1", 1, image, "raw")
    assert not holds(files, "v1", "s")
    with pytest.raises(StoreFailure): files.create_from_file("v2", 1, image, "vmdk")


def test_an_image_too_large_leaves_nothing(files: Files, tmp_path: Path) -> None:
    image = tmp_path / "image"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(image), "3G"], check=True)
    with pytest.raises(StoreFailure): files.create_from_file("v1", 2, image, "qcow2")
    image.write_bytes(b"nonsense")
    with pytest.raises(StoreFailure): files.create_from_file("v1", 2, image, "qcow2")
    assert files.volumes() == [] and not list(files.folder.glob(".new-*"))


def test_a_snapshot_can_be_copied_while_a_guest_has_the_volume_open(files: Files) -> None:
    files.create("v1", 1)
    write(files, "v1", "a")
    files.snapshot("v1", "s1")
    path = files.connection("v1")["path"]
    guest = subprocess.Popen(["qemu-io", "-f", "qcow2", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert guest.stdin is not None and guest.stdout is not None
    try:
        guest.stdin.write(b"write -P 98 0 64k\nflush\n")
        guest.stdin.flush()
        guest.stdout.read(1)
        files.clone("v2", 1, "v1", "s1")
        with pytest.raises(StoreFailure): files.snapshot("v1", "s2")
        with pytest.raises(StoreFailure): files.extend("v1", 2)
    finally:
        guest.stdin.close()
        guest.wait(60)
    assert holds(files, "v2", "a")


class Full(Files):
    """A store whose disk is nearly full."""

    def statistics(self) -> Statistics:
        return Statistics(total_mib=10_000, free_mib=2_000, reserve_mib=2_048)


def test_a_full_disk_takes_nothing_new_but_lets_go(tmp_path: Path) -> None:
    before, image = Files(tmp_path / "store"), tmp_path / "image"
    image.write_bytes(b"a" * MIB)
    before.create("v1", 1)
    before.snapshot("v1", "s1")
    full = Full(tmp_path / "store")
    for act in (lambda: full.create("v2", 1), lambda: full.create_from_file("v2", 1, image, "raw"), lambda: full.clone("v2", 1, "v1", None),
                lambda: full.snapshot("v1", "s2"), lambda: full.extend("v1", 2)):
        with pytest.raises(StoreFull): act()
    full.delete_snapshot("v1", "s1")
    full.delete("v1")
    assert full.volumes() == []
