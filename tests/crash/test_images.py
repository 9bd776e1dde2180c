"""An image of a server: what its user is told, and that one whose bytes don't arrive goes. None can arrive here: bytes need a socket."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.crash.inside import Cloud, until

from pilvi.core.context import Call
from pilvi.core.errors import Conflict, Failure
from pilvi.core.http.client import send


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    made = Cloud(hosts=1, failures="uncopied-*:copy_disk")
    made.hosts[0].compute.node.apis.patience_seconds = 120.0  # until it is over an upload is tried again
    yield made
    made.close()


def running(cloud: Cloud, name: str) -> str:
    id = cloud.boot(name)
    server = cloud.settled(id)
    assert server and server["status"] == "ACTIVE", server
    return id


def images(cloud: Cloud, server_id: str) -> list[dict[str, Any]]:
    return [one for one in cloud.ask("demo", "image", "GET", "/v2/images")["images"] if one.get("instance_uuid") == server_id]


def create_image(cloud: Cloud, id: str, user: str = "demo", **asked: Any) -> str:
    return str(cloud.ask(user, "compute", "POST", f"/v2.1/servers/{id}/action", {"createImage": asked})["image_id"])


def refused(cloud: Cloud, id: str, **asked: Any) -> int:
    with pytest.raises(Failure) as failure: create_image(cloud, id, **asked)
    return failure.value.status


def test_what_is_told_of_it(cloud: Cloud) -> None:
    id = running(cloud, "told")
    made = create_image(cloud, id, name="mine", metadata={"colour": "blue"})
    server = cloud.server(id)
    assert server and (server["status"], server["OS-EXT-STS:task_state"]) == ("ACTIVE", "image_snapshot")
    image, = images(cloud, id)
    assert image["id"] == made and image["name"] == "mine" and image["owner"] == server["tenant_id"] and image["visibility"] == "private"
    assert image["image_type"] == "snapshot" and image["base_image_ref"] == cloud.image and image["colour"] == "blue"
    assert (image["disk_format"], image["min_disk"], image["status"]) == ("qcow2", 1, "queued")
    with pytest.raises(Conflict): cloud.act(id, os_stop=None)
    assert refused(cloud, id, name="another") == 409 and len(images(cloud, id)) == 1
    cloud.delete(id)
    cloud.gone(id)
    until(lambda: not images(cloud, id), "an image that was being made goes with its server")


def test_before_2_45_its_address_is_told(cloud: Cloud) -> None:
    id = running(cloud, "older")
    body = {"createImage": {"name": "mine"}}
    reply = send(Call(token=cloud.tokens["demo"]), "compute", "POST", f"/v2.1/servers/{id}/action", body=body,
                 headers={"openstack-api-version": "compute 2.44"})
    assert reply.status == 202 and not reply.body and reply.headers["location"].endswith("/images/" + images(cloud, id)[0]["id"])
    cloud.delete(id)
    cloud.gone(id)


def test_what_is_refused_makes_no_image(cloud: Cloud) -> None:
    id = running(cloud, "refused")
    assert refused(cloud, id) == refused(cloud, id, name="") == refused(cloud, id, name="a", metadata={"a": 1}) == 400
    assert refused(cloud, id, name="a", metadata={str(number): "" for number in range(129)}) == 403
    assert refused(cloud, "0" * 32, name="a") == 404
    volume = {"source_type": "blank", "destination_type": "volume", "volume_size": 1, "boot_index": 0, "delete_on_termination": True}
    backed = cloud.boot("backed", imageRef="", block_device_mapping_v2=[volume])
    assert cloud.settled(backed) and refused(cloud, backed, name="a") == 400
    for one in (id, backed):
        assert not images(cloud, one)
        cloud.delete(one)
        cloud.gone(one)


def test_a_copy_that_fails_leaves_nothing(cloud: Cloud) -> None:
    id = running(cloud, "uncopied-1")
    cloud.act(id, lock=None)
    create_image(cloud, id, name="mine")  # a locked server is not changed by it
    server = cloud.settled(id)
    assert server and server["status"] == "ACTIVE" and not images(cloud, id) and not cloud.tasks(id)
    action = cloud.ask("demo", "compute", "GET", f"/v2.1/servers/{id}/os-instance-actions")["instanceActions"][0]
    assert action["action"] == "createImage" and action["message"] == "Error"
    cloud.act(id, unlock=None)
    cloud.delete(id)
    cloud.gone(id)


def test_suspended_and_resumed(cloud: Cloud) -> None:
    id = running(cloud, "suspended")
    cloud.act(id, suspend=None)
    server = cloud.settled(id)
    assert server and (server["status"], server["OS-EXT-STS:power_state"]) == ("SUSPENDED", 4)
    for refused in ("suspend", "pause", "os_start", "os_stop"):
        with pytest.raises(Conflict): cloud.act(id, **{refused: None})
    cloud.act(id, resume=None)
    server = cloud.settled(id)
    assert server and server["status"] == "ACTIVE" and cloud.host_of(id).driver.power()[id] == "running"
    cloud.act(id, suspend=None)
    assert cloud.settled(id)
    cloud.act(id, reboot={"type": "HARD"})
    server = cloud.settled(id)
    assert server and server["status"] == "ACTIVE"
    cloud.delete(id)
    cloud.gone(id)
