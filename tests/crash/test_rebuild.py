"""A server that is rebuilt gets a new disk and keeps what it is; killed in the middle it is rebuilt all the same."""
from __future__ import annotations

from typing import Any

import pytest
from tests.crash.inside import Cloud

from pilvi.core.errors import Failure
from pilvi.image.resources.image import Image


def image(cloud: Cloud, **facts: Any) -> str:
    with cloud.control.applications["image"].database.write() as db:
        made = Image(**{"name": "other", "visibility": "public", "disk_format": "raw", "container_format": "bare", "state": "active",
                        "size": 0, **facts})
        db.add(made)
        db.flush()
        return str(made.id)


def rebuild(cloud: Cloud, id: str, image_id: str, **asked: Any) -> dict[str, Any]:
    body = {"rebuild": {"imageRef": image_id, **asked}}
    return dict(cloud.ask("demo", "compute", "POST", f"/v2.1/servers/{id}/action", body)["server"])


def refused(cloud: Cloud, id: str, image_id: str, **asked: Any) -> int:
    with pytest.raises(Failure) as failure: rebuild(cloud, id, image_id, **asked)
    return failure.value.status


def test_what_stays_and_what_changes(inside: Cloud) -> None:
    other, id = image(inside), inside.boot("before", metadata={"a": "1"})
    before = inside.settled(id)
    shown = rebuild(inside, id, other, name="after", metadata={"b": "2"}, description="anew", adminPass="secret", user_data="IyE=")
    assert (shown["image"]["id"], shown["adminPass"], shown["user_data"]) == (other, "secret", "IyE=")
    after = inside.settled(id)
    assert before and after and after["status"] == "ACTIVE" and after["image"]["id"] == other
    assert (after["name"], after["metadata"], after["description"]) == ("after", {"b": "2"}, "anew")
    assert after["addresses"] == before["addresses"] and after["OS-SRV-USG:launched_at"] > before["OS-SRV-USG:launched_at"]
    machine = inside.host_of(id).driver.definition(id)
    assert machine.name == "after" and machine.disks[0].image_format == "raw" and len(machine.nics) == 1
    inside.delete(id)
    inside.gone(id)


def test_one_that_is_off_stays_off(inside: Cloud) -> None:
    id = inside.boot("off")
    assert inside.settled(id)
    inside.act(id, os_stop=None)
    assert inside.settled(id)
    rebuild(inside, id, inside.image)
    server = inside.settled(id)
    assert server and server["status"] == "SHUTOFF" and inside.host_of(id).driver.power()[id] == "stopped"
    inside.delete(id)
    inside.gone(id)


def test_what_is_refused(inside: Cloud) -> None:
    id = inside.boot("refused")
    assert inside.settled(id)
    assert refused(inside, id, "0" * 32) == refused(inside, id, inside.image, x=1) == refused(inside, id, inside.image, name="") == 400
    for unfit in (image(inside, min_ram=9999), image(inside, state="queued")): assert refused(inside, id, unfit) == 400
    assert refused(inside, id, inside.image, key_name="absent") == 400
    assert refused(inside, id, inside.image, metadata={str(number): "" for number in range(129)}) == 403
    inside.act(id, pause=None)
    assert inside.settled(id) and refused(inside, id, inside.image) == 409
    server = inside.server(id)
    assert server and server["status"] == "PAUSED" and server["image"]["id"] == inside.image
    volume = {"source_type": "blank", "destination_type": "volume", "volume_size": 1, "boot_index": 0, "delete_on_termination": True}
    backed = inside.boot("backed", imageRef="", block_device_mapping_v2=[volume])
    assert inside.settled(backed) and refused(inside, backed, inside.image) == 400
    for one in (id, backed):
        inside.delete(one)
        inside.gone(one)
