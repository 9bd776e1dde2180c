"""Resource types of the volume service: made, changed in place, ended."""
from __future__ import annotations

from typing import Any

import pytest
from tests.requests.orchestration.types.conftest import Bench

from pilvi.core.errors import NotServed
from pilvi.orchestration.types import type_of
from pilvi.orchestration.types.interface import PropertyInvalid, ResourceFailed

VOLUME, ATTACHMENT, TYPE = "OS::Cinder::Volume", "OS::Cinder::VolumeAttachment", "OS::Cinder::VolumeType"


def test_volume(demo: Bench) -> None:
    work = demo.make(VOLUME, "disk", size=1, metadata={"a": "1"}, read_only=True)
    assert demo.get(VOLUME, work, "display_name") == work.physical_name and demo.get(VOLUME, work, "size") == "1"
    assert demo.get(VOLUME, work, "metadata_values")["a"] == "1" and '"a":"1"' in demo.get(VOLUME, work, "metadata")
    work = demo.change(VOLUME, work, size=3, name="other", description="words", metadata={"b": "2"}, read_only=False)
    shown = demo.get(VOLUME, work, "show")
    assert (shown["size"], shown["name"], shown["description"], shown["metadata"]["b"]) == (3, "other", "words", "2")
    for change in ({"size": 2}, {"volume_type": "x"}, {"backup_id": "x"}):
        with pytest.raises(NotServed): type_of(VOLUME).update(work, change)
    copy = demo.make(VOLUME, "copy", source_volid="other", size=4)
    assert demo.get(VOLUME, copy, "source_volid") == work.physical_id
    for one in (copy, work): demo.end(VOLUME, one)
    assert demo.gone(VOLUME, work)
    with pytest.raises(PropertyInvalid): demo.work(VOLUME, "x", {"size": 1, "image": "a", "snapshot_id": "b"})


def test_attachment(demo: Bench) -> None:
    """It moves from server to server."""
    one, two = [demo.make("OS::Nova::Server", name, image=demo.cloud.image, flavor="small", networks=[{"network": "net"}])
                for name in ("one", "two")]
    volume = demo.make(VOLUME, size=1)

    def holders() -> list[Any]:
        return [held["server_id"] for held in demo.get(VOLUME, volume, "attachments_list")]

    work = demo.make(ATTACHMENT, instance_uuid=one.physical_id, volume_id=volume.physical_id, mountpoint="/dev/vdc")
    assert holders() == [one.physical_id] and work.physical_id == volume.physical_id
    volume = demo.change(VOLUME, volume, size=2)
    assert holders() == [one.physical_id] and demo.get(VOLUME, volume, "size") == "2", "it leaves the server, grows and returns"
    work = demo.change(ATTACHMENT, work, instance_uuid=two.physical_id, volume_id=volume.physical_id)
    assert holders() == [two.physical_id]
    demo.ask("compute", "DELETE", f"/v2.1/servers/{two.physical_id}/os-volume_attachments/{volume.physical_id}")
    demo.wait(lambda: demo.get(VOLUME, volume, "status") == "available")
    with pytest.raises(ResourceFailed): type_of(ATTACHMENT).check(work)
    assert holders() == [], "a check changes nothing"
    demo.end(ATTACHMENT, work)
    assert holders() == [] and demo.get(VOLUME, volume, "status") == "available"
    demo.end(VOLUME, volume)
    for server in (one, two): demo.end("OS::Nova::Server", server)


def test_type(admin: Bench) -> None:
    work = admin.make(TYPE, name="fast", metadata={"a": "1"})
    work = admin.change(TYPE, work, name="faster", metadata={"b": "2"}, description="words")
    shown = admin.get(TYPE, work, "show")
    assert (shown["name"], shown["extra_specs"], shown["description"]) == ("faster", {"b": "2"}, "words")
    volume = admin.make(VOLUME, size=1, volume_type="faster")
    assert admin.get(VOLUME, volume, "volume_type") in ("faster", work.physical_id)
    admin.end(VOLUME, volume)
    admin.end(TYPE, work)
    with pytest.raises(NotServed): type_of(TYPE).create(admin.work(TYPE, "x", {"name": "x", "projects": ["demo"]}))


def test_quota(admin: Bench) -> None:
    quota = admin.make("OS::Cinder::Quota", project="demo", gigabytes=77)
    assert admin.get("OS::Cinder::Quota", quota, "show")["gigabytes"] == 77
    admin.end("OS::Cinder::Quota", quota)


def test_again_after_a_crash(demo: Bench) -> None:
    work = demo.work(VOLUME, "crash", {"size": 1})
    type_of(VOLUME).create(work)
    made, work.physical_id, work.again = work.physical_id, None, True
    type_of(VOLUME).create(work)
    assert work.physical_id == made
    demo.wait(lambda: type_of(VOLUME).created(work))
    demo.end(VOLUME, work)
