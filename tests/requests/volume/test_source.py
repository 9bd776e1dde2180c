"""Volumes made of images, snapshots and volumes, with real bytes in files."""
from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pilvi.core import disk_image
from pilvi.volume.drivers.file import Files

MIB = 2**20
IMAGE = "1f0d7a70-6a0c-4d41-9b2e-6b3f7a3f2a11"


@pytest.fixture
def cloud(make_world: Callable[..., Any], tmp_path: Path) -> Any:
    return make_world(Files(tmp_path / "files"))


def message(body: Any) -> str:
    return str(next(iter(body.values()))["message"])


def starts_with(cloud: Any, volume_id: str, text: str) -> bool:
    path = cloud.driver.connection(volume_id)["path"]
    return subprocess.run(["qemu-io", "-f", "qcow2", "-c", f"read -P {ord(text)} 0 64k", path], capture_output=True,
                          check=False).returncode == 0


def why(cloud: Any, volume_id: str) -> str:
    return str(cloud.ask("GET", f"/messages?resource_uuid={volume_id}")[1]["messages"][0]["user_message"])


def test_from_a_raw_image(cloud: Any) -> None:
    cloud.images.add(IMAGE, b"a" * MIB)
    id = cloud.make(imageRef=IMAGE)
    volume = cloud.ask("GET", f"/volumes/{id}")[1]["volume"]
    assert volume["bootable"] == "true" and volume["volume_image_metadata"]["image_id"] == IMAGE
    assert volume["volume_image_metadata"]["hw_disk_bus"] == "virtio" and volume["volume_image_metadata"]["size"] == str(MIB)
    assert starts_with(cloud, id, "a") and cloud.driver.size_gib(id) == 1
    assert cloud.images.asked[0]["x-auth-token"] == "agent" and cloud.images.asked[0]["x-pilvi-grant"], "the agent shows its grant"
    assert not list(cloud.driver.workspace().iterdir()), "the image's file is gone"


def test_from_a_qcow2_image(cloud: Any, tmp_path: Path) -> None:
    raw, packed = tmp_path / "raw", tmp_path / "packed"
    raw.write_bytes(b"q" * MIB)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", str(raw), str(packed)], check=True)
    cloud.images.add(IMAGE, packed.read_bytes(), "qcow2", virtual_size=MIB)
    assert starts_with(cloud, cloud.make(imageRef=IMAGE), "q")


@pytest.mark.parametrize("damage, reason", [
    (lambda data: data[:-1] + b"x", "its sha512 differs"), (lambda data: data + b"x", "longer than it should be"),
    (lambda data: data[:-1], "broke off")])
def test_an_image_damaged_on_the_way(cloud: Any, damage: Callable[[bytes], bytes], reason: str) -> None:
    cloud.images.add(IMAGE, b"a" * MIB)
    cloud.images.damage = damage
    id = cloud.make(imageRef=IMAGE, until="error")
    assert reason in why(cloud, id)
    assert cloud.driver.volumes() == [] and not list(cloud.driver.workspace().iterdir()), "nothing is left"
    assert cloud.ask("DELETE", f"/volumes/{id}")[0] == 202
    cloud.until(id, None)


def test_an_image_service_that_breaks_off_is_asked_again(cloud: Any) -> None:
    cloud.images.add(IMAGE, b"a" * MIB)
    left = ["broken", "broken"]
    cloud.images.damage = lambda data: data[:100] if left and left.pop() else data
    cloud.agent.patience_seconds = 30.0
    assert starts_with(cloud, cloud.make(imageRef=IMAGE), "a") and len(cloud.images.asked) == 3


def test_an_image_that_names_a_file_of_the_host(cloud: Any, tmp_path: Path) -> None:
    secret, trap = tmp_path / "secret", tmp_path / "trap"
    secret.write_bytes(b"s" * MIB)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(secret), "-F", "raw", str(trap)], check=True)
    cloud.images.add(IMAGE, trap.read_bytes(), "qcow2", virtual_size=MIB)
    id = cloud.make(imageRef=IMAGE, until="error")
    assert "it needs a backing file" in why(cloud, id) and cloud.driver.volumes() == []


@pytest.mark.parametrize("facts, reason", [
    ({"status": "queued"}, "is not active"), ({"size": 5 * 2**30}, "Size of specified image 5GB is larger than volume size 1GB."),
    ({"min_disk": 3}, "Volume size 1GB cannot be smaller than the image minDisk size 3GB."),
    ({"virtual_size": 2 * 2**30}, "virtual size is 2GB"),
    ({"disk_format": "vmdk"}, "disk format")])
def test_images_that_do_not_fit(cloud: Any, facts: dict[str, Any], reason: str) -> None:
    cloud.images.add(IMAGE, b"a" * MIB, **facts)
    status, body = cloud.ask("POST", "/volumes", {"volume": {"size": 1, "imageRef": IMAGE}})
    assert status == 400 and reason in message(body)


def test_from_a_snapshot_and_from_a_volume(cloud: Any) -> None:
    cloud.images.add(IMAGE, b"a" * MIB)
    first = cloud.make(imageRef=IMAGE, metadata={"x": "y"})
    snapshot_id = cloud.snapshot(first)
    second = cloud.make(size=None, snapshot_id=snapshot_id)
    third = cloud.make(size=2, source_volid=first)
    assert starts_with(cloud, second, "a") and starts_with(cloud, third, "a")
    shown = cloud.ask("GET", f"/volumes/{second}")[1]["volume"]
    assert (shown["size"], shown["snapshot_id"], shown["bootable"], shown["metadata"]) == (1, snapshot_id, "true", {})
    assert cloud.ask("GET", f"/volumes/{third}")[1]["volume"]["source_volid"] == first and cloud.driver.size_gib(third) == 2
    status, body = cloud.ask("POST", "/volumes", {"volume": {"size": 1, "source_volid": third}})
    assert status == 400 and "cannot be smaller than original volume size  2GB" in message(body)
    assert cloud.ask("POST", "/volumes", {"volume": {"snapshot_id": snapshot_id, "source_volid": first}})[0] == 400
    assert cloud.ask("POST", "/volumes", {"volume": {"snapshot_id": snapshot_id}}, who="other")[0] == 404
    assert cloud.ask("DELETE", f"/volumes/{first}?cascade=true")[0] == 202
    cloud.until(first, None)
    assert starts_with(cloud, second, "a"), "what was made of it stays"


def test_an_image_of_a_volume(cloud: Any, tmp_path: Path) -> None:
    cloud.images.add(IMAGE, b"a" * MIB)
    id = cloud.make(imageRef=IMAGE)
    status, body = cloud.act(id, "os-volume_upload_image", {"image_name": "copy", "disk_format": "qcow2", "force": False})
    told = body["os-volume_upload_image"]
    assert status == 202 and (told["status"], told["image_name"], told["size"], told["visibility"]) == ("uploading", "copy", 1, "private")
    cloud.until(id, "available")
    facts, data = cloud.images.images[told["image_id"]]
    assert facts["status"] == "active" and facts["hw_disk_bus"] == "virtio" and facts["min_disk"] == 1
    (tmp_path / "copy").write_bytes(data)
    assert disk_image.virtual_size(tmp_path / "copy", "qcow2") == 2**30
    cloud.driver.create_from_file("again", 1, tmp_path / "copy", "qcow2")
    assert starts_with(cloud, "again", "a")
    assert not list(cloud.driver.workspace().iterdir())
    assert cloud.act(id, "os-volume_upload_image", {"image_name": "x"}, who="reader")[0] == 403
    assert cloud.act(id, "os-volume_upload_image", {"disk_format": "raw"})[0] == 400
    cloud.act(id, "os-reserve")
    before = set(cloud.images.images)
    assert cloud.act(id, "os-volume_upload_image", {"image_name": "x"})[0] == 400 and set(cloud.images.images) == before


def test_an_image_that_could_not_be_uploaded_is_removed(cloud: Any) -> None:
    id = cloud.make()
    cloud.images.refuses = True
    made = cloud.act(id, "os-volume_upload_image", {"image_name": "copy", "disk_format": "qcow2"})[1]["os-volume_upload_image"]["image_id"]
    cloud.until(id, "available")
    assert made not in cloud.images.images and why(cloud, id) == "upload: no"


def test_back_to_the_latest_snapshot(cloud: Any) -> None:
    cloud.images.add(IMAGE, b"a" * MIB)
    id = cloud.make(imageRef=IMAGE)
    older, latest = cloud.snapshot(id), cloud.snapshot(id)
    path = cloud.driver.connection(id)["path"]
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 98 0 64k", path], check=True, capture_output=True)
    assert starts_with(cloud, id, "b")
    assert cloud.act(id, "revert", {"snapshot_id": older})[0] == 400 and cloud.act(id, "revert", {})[0] == 400
    assert cloud.act(id, "revert", {"snapshot_id": latest}, version="3.39")[0] == 400
    assert cloud.act(id, "revert", {"snapshot_id": latest}) == (202, None)
    cloud.until(id, "available")
    assert starts_with(cloud, id, "a") and cloud.status(latest, "snapshots") == "available"
    cloud.act(id, "os-extend", {"new_size": 2})
    cloud.until(id, "available")
    status, body = cloud.act(id, "revert", {"snapshot_id": latest})
    assert status == 400 and "must be equal" in message(body)
