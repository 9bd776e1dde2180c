"""openstacksdk, unmodified, as a member of a project and as administrator: its own high-level calls, over a simulated cloud."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from openstack.exceptions import BadRequestException, ConflictException, ForbiddenException, NotFoundException
from tests.outside.clouds import Cloud, wait

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cloud(cloud_at: Callable[[str], Cloud]) -> Iterator[Cloud]:
    yield from cloud_at("sdk").while_up("--simulated", "--empty", "--hosts", "2")


def test_a_member_builds_and_removes_everything(cloud: Cloud, tmp_path: Path) -> None:
    demo = cloud.connect("pilvi-demo")
    net = demo.create_network("sdk-net")
    subnet = demo.create_subnet(net.id, cidr="10.9.8.0/24", subnet_name="sdk-subnet", enable_dhcp=True)
    public = demo.get_network("public")
    router = demo.create_router("sdk-router", ext_gateway_net_id=public.id)
    demo.add_router_interface(router, subnet_id=subnet.id)
    group = demo.create_security_group("sdk-group", "for a test")
    demo.create_security_group_rule(group.id, 22, 22, "tcp", "0.0.0.0/0")
    key = demo.create_keypair("sdk-key")
    assert "PRIVATE KEY" in key.private_key

    bytes_ = tmp_path / "image.raw"
    bytes_.write_bytes(b"sdk" * 5000)
    image = demo.create_image("sdk-image", filename=str(bytes_), disk_format="raw", container_format="bare", wait=True, timeout=300)
    volume = demo.create_volume(1, name="sdk-volume", wait=True, timeout=300)

    server = demo.create_server(
        "sdk-server", image=image.id, flavor="m1.nano", network=net.id, key_name="sdk-key", security_groups=["sdk-group"], auto_ip=False,
        userdata="#!/bin/sh\n", volumes=[volume.id], wait=True, timeout=300)
    assert server.status == "ACTIVE"
    address = demo.available_floating_ip(network=public.id)
    demo.network.update_ip(address.id, port_id=next(demo.network.ports(device_id=server.id)).id)
    assert address.floating_ip_address in str(demo.get_server("sdk-server").addresses)
    assert [a.volume_id for a in demo.compute.volume_attachments(server)] == [volume.id]
    assert [action.action for action in demo.compute.server_actions(server)][-1] == "create"

    _resize(demo, server)
    assert demo.delete_server(server.id, wait=True, timeout=300)
    assert demo.delete_volume(volume.id, wait=True, timeout=300)
    demo.delete_floating_ip(address.id)
    demo.remove_router_interface(router, subnet_id=subnet.id)
    assert demo.delete_router(router.id) and demo.delete_network(net.id) and demo.delete_security_group(group.id)
    assert demo.delete_keypair("sdk-key") and demo.delete_image(image.id, wait=True, timeout=300)
    assert not list(demo.compute.servers()) and not list(demo.block_storage.volumes())


def _resize(demo: Any, server: Any) -> None:
    """There and back, then there to stay; a flavor that asks too much changes nothing."""
    flavors = {flavor.name: flavor.id for flavor in demo.compute.flavors()}

    def become(status: str) -> Any:
        return demo.compute.wait_for_server(server, status=status, failures=["ERROR"], interval=0.2, wait=300)

    for flavor, message in ((flavors["m1.nano"], "must change flavor"), ("nothing", "could not be found")):
        with pytest.raises(BadRequestException, match=message): demo.compute.resize_server(server, flavor)
    with pytest.raises(ConflictException): demo.compute.confirm_server_resize(server)
    demo.compute.resize_server(server, flavors["m1.micro"])
    assert become("VERIFY_RESIZE").flavor.ram == 192
    with pytest.raises(ConflictException): demo.compute.stop_server(server)
    demo.compute.revert_server_resize(server)
    assert become("ACTIVE").flavor.ram == 128
    demo.compute.resize_server(server, flavors["m1.micro"])
    become("VERIFY_RESIZE")
    demo.compute.confirm_server_resize(server)
    assert become("ACTIVE").flavor.ram == 192
    with pytest.raises(BadRequestException, match="can't be made smaller"): demo.compute.resize_server(server, flavors["m1.nano"])
    actions = [action.action for action in demo.compute.server_actions(server)]
    assert actions[:4] == ["confirmResize", "resize", "revertResize", "resize"]


def test_an_administrator_sees_hosts_and_a_member_does_not(cloud: Cloud) -> None:
    admin, demo = cloud.connect("pilvi"), cloud.connect("pilvi-demo")
    wait(lambda: {h.name for h in admin.compute.hypervisors()} == {"sim-00001", "sim-00002"}, "both hosts have joined")
    with pytest.raises(ForbiddenException): list(demo.compute.hypervisors())
    user = admin.create_user(name="sdk-user", password="x", domain_id="default")
    project = admin.create_project("sdk-project", domain_id="default")
    admin.grant_role("member", user=user.id, project=project.id)
    assert admin.list_role_assignments(filters={"user": user.id})
    assert admin.delete_user(user.id) and admin.delete_project(project.id)


def test_a_strangers_server_does_not_exist(cloud: Cloud) -> None:
    admin, demo = cloud.connect("pilvi"), cloud.connect("pilvi-demo")
    net = admin.create_network("admins")
    admin.create_subnet(net.id, cidr="10.7.7.0/24")
    server = admin.create_server("admins", image="pilvi-guest", flavor="m1.nano", network=net.id, auto_ip=False, wait=True, timeout=300)
    with pytest.raises(NotFoundException): demo.compute.get_server(server.id)
    with pytest.raises(NotFoundException): demo.network.get_network(net.id)
    volume = admin.create_volume(1, name="admins", wait=True, timeout=300)
    snapshot = admin.create_volume_snapshot(volume.id, name="admins", wait=True, timeout=300)
    with pytest.raises(NotFoundException): demo.block_storage.create_volume(size=1, snapshot_id=snapshot.id)
    for source, id in (("snapshot", snapshot.id), ("volume", volume.id)):
        device = {"boot_index": 0, "uuid": id, "source_type": source, "destination_type": "volume", "volume_size": 1}
        with pytest.raises(BadRequestException):
            demo.compute.create_server(name="thief", flavor_id="1", networks="none", block_device_mapping=[device])
    assert admin.delete_volume_snapshot(snapshot.id, wait=True, timeout=300) and admin.delete_volume(volume.id, wait=True, timeout=300)
    admin.delete_server(server.id, wait=True, timeout=300)
    admin.delete_network(net.id)
