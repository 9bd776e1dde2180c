"""Resource types of the compute service: made, changed in place, ended."""
from __future__ import annotations

import base64
from typing import Any

import pytest
from sqlalchemy import update
from tests.requests.orchestration.types.conftest import Bench

from pilvi.core.errors import Failure, Invalid
from pilvi.image.resources.image import Image
from pilvi.orchestration.types import type_of
from pilvi.orchestration.types.interface import PropertyInvalid

SERVER, PORT, KEY, FLAVOR = "OS::Nova::Server", "OS::Neutron::Port", "OS::Nova::KeyPair", "OS::Nova::Flavor"
PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGbUzmxEZsfS7S3kXkDBvvDv8IpI3r4k0kMDJ1rYzbUf one"


@pytest.fixture
def server(demo: Bench) -> dict[str, Any]:
    """Properties of a small one."""
    return {"image": demo.cloud.image, "flavor": "small", "networks": [{"network": "net"}]}


def ports_of(demo: Bench, work: Any) -> list[Any]:
    found: list[Any] = demo.ask("network", "GET", "/v2.0/ports", device_id=work.physical_id)["ports"]
    return found


def test_server(demo: Bench, admin: Bench, server: dict[str, Any]) -> None:
    given = {**server, "metadata": {"a": 1, "b": "two"}, "tags": ["x"], "user_data": "#!/bin/sh\n", "user_data_format": "RAW"}
    work = demo.make(SERVER, "web", **given)
    shown = demo.get(SERVER, work, "show")
    assert (shown["name"], shown["metadata"], shown["tags"]) == (work.physical_name, {"a": "1", "b": "two"}, ["x"])
    assert base64.b64decode(admin.ask("compute", "GET", f"/v2.1/servers/{work.physical_id}")["server"]["OS-EXT-SRV-ATTR:user_data"]) == \
        b"#!/bin/sh\n"
    address = demo.get(SERVER, work, "first_address")
    assert address.startswith("10.1.0.") and demo.get(SERVER, work, "networks")["net"] == [address]
    assert demo.get(SERVER, work, "networks")[demo.cloud.network] == [address]
    one, = demo.get(SERVER, work, "addresses")["net"]
    assert (one["addr"], one["port"], one["network"]["name"]) == (address, ports_of(demo, work)[0]["id"], "net")
    assert "novnc" in demo.get(SERVER, work, "console_urls")
    work = demo.change(SERVER, work, **{**given, "name": "other", "metadata": {"c": True}, "tags": []})
    shown = demo.get(SERVER, work, "show")
    assert (shown["name"], shown["metadata"], shown["tags"]) == ("other", {"c": "true"}, [])
    assert not type_of(SERVER).failed_needs_replacement(work)
    demo.end(SERVER, work)
    assert demo.gone(SERVER, work) and type_of(SERVER).failed_needs_replacement(work)


def test_cards(demo: Bench, server: dict[str, Any]) -> None:
    """A port of its own for what the compute API can't say; cards change while the server runs, and those that stay are left alone."""
    port = demo.make(PORT, network="net")
    subnet = demo.ask("network", "GET", "/v2.0/subnets", network_id=demo.cloud.network)["subnets"][0]["id"]
    mine = {"subnet": subnet, "fixed_ip": "10.1.0.77", "port_extra_properties": {"allowed_address_pairs": [{"ip_address": "10.1.0.9"}]}}
    work = demo.make(SERVER, "cards", **{**server, "networks": [{"port": port.physical_id}, mine]})
    before = {one["fixed_ips"][0]["ip_address"]: one["id"] for one in ports_of(demo, work)}
    assert before["10.1.0.77"] == work.data["nics"][1]["port"] and port.physical_id in before.values()
    work = demo.change(SERVER, work, **{**server, "networks": [mine, {"network": "net", "fixed_ip": "10.1.0.78"}]})
    after = {one["fixed_ips"][0]["ip_address"]: one["id"] for one in ports_of(demo, work)}
    assert after["10.1.0.77"] == before["10.1.0.77"] and set(after) == {"10.1.0.77", "10.1.0.78"}
    assert demo.get(PORT, port, "device_id") == ""
    demo.end(SERVER, work)
    left = demo.ask("network", "GET", "/v2.0/ports", network_id=demo.cloud.network)["ports"]
    assert not {one["id"] for one in left} & set(after.values())
    demo.end(PORT, port)


def test_a_replacement_takes_the_port(demo: Bench, server: dict[str, Any]) -> None:
    port = demo.make(PORT, network="net")
    given = {**server, "networks": [{"port": port.physical_id}]}
    old = demo.make(SERVER, "same", **given)
    new = demo.make(SERVER, "same", **given)
    assert demo.get(PORT, port, "device_id") == new.physical_id
    demo.end(SERVER, new)
    demo.wait(lambda: demo.get(PORT, port, "device_id") == old.physical_id)
    demo.end(SERVER, old)
    demo.end(PORT, port)


def test_disks(demo: Bench, server: dict[str, Any]) -> None:
    volume = demo.make("OS::Cinder::Volume", size=1)
    work = demo.make(SERVER, "disks", **server, block_device_mapping_v2=[
        {"volume_id": volume.physical_id, "boot_index": -1}, {"image": demo.cloud.image, "boot_index": 1, "volume_size": 1,
                                                              "delete_on_termination": True}])
    attached = demo.get(SERVER, work, "show")["os-extended-volumes:volumes_attached"]
    assert len(attached) == 2 and volume.physical_id in [one["id"] for one in attached]
    demo.end(SERVER, work)
    demo.wait(lambda: len(demo.ask("volume", "GET", "/v3/volumes")["volumes"]) == 1)
    older = demo.make(SERVER, "older", flavor="1", networks=[{"allocate_network": "none"}], image=demo.cloud.image,
                      block_device_mapping=[{"device_name": "vdb", "volume_id": volume.physical_id}])
    assert demo.get(SERVER, older, "addresses") == {}
    demo.end(SERVER, older)
    demo.end("OS::Cinder::Volume", volume)


@pytest.mark.parametrize("properties", [
    {"networks": [{"port": "p", "fixed_ip": "10.0.0.1"}]}, {"networks": [{"network": "n", "floating_ip": "f"}]},
    {"networks": [{"allocate_network": "auto", "network": "n"}]}, {"networks": [{"port": "p"}], "security_groups": ["g"]},
    {"block_device_mapping": [{"device_name": "vda", "volume_id": "a", "snapshot_id": "b"}]},
    {"block_device_mapping_v2": [{"volume_id": "a", "image": "b"}]}, {"block_device_mapping_v2": [{"volume_id": "a"}]},
    {"user_data_format": "NONSENSE"}, {"personality": {"/etc/motd": "x"}}])
def test_contradictions(demo: Bench, properties: dict[str, Any]) -> None:
    with pytest.raises(PropertyInvalid): demo.work(SERVER, "x", {"image": "i", "flavor": "f", **properties})


def test_what_is_replaced_and_what_is_refused(demo: Bench, server: dict[str, Any]) -> None:
    work = demo.work(SERVER, "x", server)
    for name in ("flavor", "image"):
        assert not type_of(SERVER).needs_replacement(work, {name: "new"})
        assert type_of(SERVER).needs_replacement(work, {name: "new", f"{name}_update_policy": "REPLACE"})
    assert type_of(SERVER).needs_replacement(work, {"user_data": "new"})
    assert not type_of(SERVER).needs_replacement(work, {"user_data": "new", "user_data_update_policy": "IGNORE"})


def test_a_server_is_rebuilt_of_another_image(demo: Bench, server: dict[str, Any]) -> None:
    with demo.cloud.control.applications["image"].database.write() as db:
        image = Image(name="other", visibility="public", disk_format="raw", container_format="bare", state="active", size=0)
        db.add(image)
        db.flush()
        other = image.id
    work = demo.make(SERVER, "rebuilt", **server)
    with pytest.raises(Invalid): type_of(SERVER).update(work, {"image": None})
    changed = demo.change(SERVER, work, **{**server, "image": "other"})
    assert changed.physical_id == work.physical_id and demo.get(SERVER, changed, "show")["image"]["id"] == other
    type_of(SERVER).update(changed, {"image": "other"})  # again, as after a crash
    demo.end(SERVER, changed)


def test_a_server_is_snapshotted_and_restored(demo: Bench, server: dict[str, Any]) -> None:
    kind = type_of(SERVER)
    for host in demo.cloud.hosts: host.compute.node.apis.patience_seconds = 120.0  # so long the agent tries to upload
    work = demo.make(SERVER, "kept", **server)
    data = kind.snapshot(work)
    work.again = True
    assert kind.snapshot(work) == data, "again, as after a crash"
    image = data["snapshot_image_id"]
    assert not kind.snapshotted(work, data)
    with demo.cloud.control.applications["image"].database.write() as db:  # its bytes need a socket
        db.execute(update(Image).where(Image.id == image).values(state="active", size=0))
    demo.wait(lambda: demo.get(SERVER, work, "show")["OS-EXT-STS:task_state"] is None)
    assert kind.snapshotted(work, data) and kind.restored_properties(work, data) == {"image": image}
    for _ in range(2): kind.delete_snapshot(work, data)
    with pytest.raises(Failure, match="image"): kind.snapshotted(work, data)
    demo.end(SERVER, work)


def test_a_server_is_suspended_and_resumed(demo: Bench, server: dict[str, Any]) -> None:
    work = demo.make(SERVER, "sleeper", **server)
    for _ in range(2): type_of(SERVER).suspend(work)  # again, as after a crash
    demo.wait(lambda: type_of(SERVER).suspended(work))
    assert demo.get(SERVER, work, "show")["status"] == "SUSPENDED"
    type_of(SERVER).suspend(work)
    type_of(SERVER).resume(work)
    demo.wait(lambda: type_of(SERVER).resumed(work))
    assert demo.get(SERVER, work, "show")["status"] == "ACTIVE"
    demo.end(SERVER, work)


def test_another_flavor_is_a_resize_that_is_confirmed(demo: Bench, admin: Bench, server: dict[str, Any]) -> None:
    for name, disk in (("larger", 2), ("huge", 100_000)): admin.make(FLAVOR, name, name=name, ram=256, vcpus=1, disk=disk, is_public=True)
    work = demo.make(SERVER, "grows", **server)
    before, path = work.physical_id, f"/v2.1/servers/{work.physical_id}"
    work = demo.change(SERVER, work, **{**server, "flavor": "larger"})
    shown = demo.ask("compute", "GET", path)["server"]
    assert work.physical_id == before and (shown["status"], shown["OS-EXT-STS:vm_state"]) == ("ACTIVE", "active")
    with pytest.raises(Failure, match="not resized"): demo.change(SERVER, work, **{**server, "flavor": "huge"})
    assert demo.ask("compute", "GET", path)["server"]["status"] == "ACTIVE"
    given_up = demo.ask("compute", "GET", f"{path}/os-instance-actions")["instanceActions"][0]
    assert (given_up["action"], given_up["message"]) == ("resize", "Error")
    demo.end(SERVER, work)


def test_a_server_that_fails_says_why(demo: Bench, server: dict[str, Any]) -> None:
    work = demo.work(SERVER, "unlucky", {**server, "scheduler_hints": {"same_host": "nobody"}})
    with pytest.raises(Failure, match="No valid host"):
        type_of(SERVER).create(work)
        demo.wait(lambda: type_of(SERVER).created(work))
    assert type_of(SERVER).failed_needs_replacement(work)
    demo.end(SERVER, work)


def test_server_again_after_a_crash(demo: Bench, server: dict[str, Any]) -> None:
    work = demo.work(SERVER, "crash", server)
    type_of(SERVER).create(work)
    made, work.physical_id, work.data, work.again = work.physical_id, None, {}, True
    type_of(SERVER).create(work)
    assert work.physical_id == made
    work.physical_id = None
    demo.end(SERVER, work)
    assert demo.cloud.server(made or "") is None


def test_key_pair(demo: Bench) -> None:
    own = demo.make(KEY, "key", name="made", save_private_key=True)
    assert "PRIVATE KEY" in demo.get(KEY, own, "private_key") and own.physical_id == "made"
    new = demo.make(KEY, "key", name="made", public_key=PUBLIC)
    assert demo.get(KEY, new, "public_key") == PUBLIC and demo.get(KEY, new, "private_key") == ""
    demo.end(KEY, own)
    assert demo.get(KEY, new, "public_key") == PUBLIC, "the predecessor's end leaves the successor's pair alone"
    with pytest.raises(Failure): demo.make(KEY, "another", name="made", public_key=PUBLIC)
    demo.end(KEY, new)
    assert demo.gone(KEY, new)


def test_flavor(admin: Bench) -> None:
    work = admin.make(FLAVOR, name="tiny", ram=64, vcpus=1, extra_specs={"a": "1", "b": "2"}, is_public=False, tenants=["demo"])
    assert admin.get(FLAVOR, work, "extra_specs") == {"a": "1", "b": "2"} and admin.get(FLAVOR, work, "is_public") is False
    work = admin.change(FLAVOR, work, name="tiny", ram=64, vcpus=1, extra_specs={"b": "3"}, is_public=False, tenants=["admin"])
    assert admin.get(FLAVOR, work, "extra_specs") == {"b": "3"}
    path = f"/v2.1/flavors/{work.physical_id}/os-flavor-access"
    assert [one["tenant_id"] for one in admin.ask("compute", "GET", path)["flavor_access"]] == [admin.project_id]
    admin.end(FLAVOR, work)


def test_groups_and_aggregates(demo: Bench, admin: Bench) -> None:
    group = demo.make("OS::Nova::ServerGroup", policies=["anti-affinity"], rules={"max_server_per_host": 2})
    assert demo.get("OS::Nova::ServerGroup", group, "show")["rules"] == {"max_server_per_host": 2}
    demo.end("OS::Nova::ServerGroup", group)
    kind = "OS::Nova::HostAggregate"
    hosts = admin.make(kind, name="fast", hosts=["host-1"], metadata={"ssd": True})
    hosts = admin.change(kind, hosts, name="faster", hosts=[], metadata={"nvme": "yes"})
    shown = admin.get(kind, hosts, "show")
    assert (shown["name"], shown["hosts"], shown["metadata"]) == ("faster", [], {"nvme": "yes"})
    hosts = admin.change(kind, hosts, name="faster", hosts=["host-1"])
    assert admin.get(kind, hosts, "show")["metadata"] == {}
    admin.end(kind, hosts)


def test_quota(admin: Bench) -> None:
    quota = admin.make("OS::Nova::Quota", project="demo", cores=77)
    assert admin.get("OS::Nova::Quota", quota, "show")["cores"] == 77
    admin.end("OS::Nova::Quota", quota)
