"""Hosts that fail: the boot is tried on others, ends in ERROR with the reason, and nothing is left."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.crash.inside import Cloud, Counting, parked, until

from pilvi.compute.drivers.simulated import Failures


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    """Four hosts, of which only the first works for all servers."""
    made = Cloud(hosts=4, failures="always-*:create stop-*:stop")
    made.hosts[0].driver = made.hosts[0].compute.node.drivers[made.hosts[0].name] = Counting(
        "host-1", seed=1, latencies={}, failures=Failures([]), state_path=None)
    yield made
    made.close()


def test_it_is_tried_on_three_hosts_then_fails_with_the_reason(cloud: Cloud) -> None:
    with disabled(cloud, 0):
        id = cloud.boot("always-1")
        server = cloud.settled(id)
    assert server and server["status"] == "ERROR" and "told to fail" in server["fault"]["message"], server
    assert sorted(cloud.machines(id)) == [host.name for host in cloud.hosts[1:]]
    assert set(cloud.left(id)) <= {"devices"}
    cloud.delete(id)
    cloud.gone(id)


def test_a_strangers_port_that_claims_to_be_the_servers_is_not_taken(cloud: Cloud) -> None:
    with parked("boot.23") as park:
        id = cloud.boot("claimed")
        park.wait()
        claim = {"network_id": cloud.network, "device_id": id, "device_owner": "compute:nova"}
        stranger = cloud.ask("admin", "network", "POST", "/v2.0/ports", {"port": claim})["port"]["id"]
        park.go()
        server = cloud.settled(id)
    assert server and server["status"] == "ACTIVE", server
    plugged = [nic.port_id for host in cloud.hosts for nic in (host.driver._records[id].machine.nics if id in host.driver.power() else ())]
    assert len(plugged) == 1 and plugged != [stranger]
    cloud.delete(id)
    cloud.gone(id)


def test_without_another_host_the_first_reason_is_told(cloud: Cloud) -> None:
    with disabled(cloud, 0, 2, 3):
        id = cloud.boot("always-3")
        server = cloud.settled(id)
    assert server and server["status"] == "ERROR" and "told to fail" in server["fault"]["message"], server
    cloud.delete(id)
    cloud.gone(id)


def test_another_host_takes_it(cloud: Cloud) -> None:
    with disabled(cloud, 1, 2):
        id = cloud.boot("always-2")
        server = cloud.settled(id)
    assert server and server["status"] == "ACTIVE" and cloud.host_of(id) is cloud.hosts[0], server
    left = cloud.left(id)
    assert left["machines"] == [cloud.hosts[0].name] and len(left["ports"]) == 1 and len(left["allocations"]) == 1
    cloud.delete(id)
    cloud.gone(id)


def test_a_stop_that_fails_leaves_the_server_as_it_was(cloud: Cloud) -> None:
    with disabled(cloud, 0):
        id = cloud.boot("stop-1")
        assert cloud.settled(id)
    cloud.act(id, os_stop=None)
    server = cloud.settled(id)
    assert server and server["status"] == "ACTIVE" and not cloud.tasks(id)
    action = cloud.ask("demo", "compute", "GET", f"/v2.1/servers/{id}/os-instance-actions")["instanceActions"][0]
    assert action["action"] == "stop" and action["message"] == "Error"
    cloud.delete(id)
    cloud.gone(id)


def test_no_valid_host_tells_of_each(cloud: Cloud) -> None:
    cloud.ask("admin", "compute", "POST", "/v2.1/flavors", {"flavor": {"id": "9", "name": "giant", "ram": 128, "vcpus": 1, "disk": 99_999}})
    giant = cloud.boot("giant", flavorRef="9")
    with disabled(cloud, 0, 1, 2, 3):
        small = cloud.boot("small")
        assert all(f"{host.name}: it has no room for" in _why(cloud, giant) for host in cloud.hosts)
        assert all(f"{host.name}: Its compute service must be enabled (it is: False)" in _why(cloud, small) for host in cloud.hosts)
    for id in (giant, small):
        cloud.delete(id)
        cloud.gone(id)


def _why(cloud: Cloud, id: str) -> str:
    """The fault of a boot for which there was no host, as an administrator reads it."""
    server = cloud.settled(id)
    assert server and server["status"] == "ERROR"
    text = str(cloud.ask("admin", "compute", "GET", f"/v2.1/servers/{id}")["server"]["fault"]["details"])
    assert text.startswith("No valid host was found."), text
    return text


@contextmanager
def disabled(cloud: Cloud, *numbers: int) -> Iterator[None]:
    """Within, these hosts get no servers."""
    def switch(status: str) -> None:
        for number in numbers:
            service = cloud.ask("admin", "compute", "GET", "/v2.1/os-services", host=cloud.hosts[number].name)["services"][0]
            cloud.ask("admin", "compute", "PUT", f"/v2.1/os-services/{service['id']}", {"status": status})

    switch("disabled")
    try: yield
    finally: switch("enabled")


def test_volumes_of_a_boot_that_moves(cloud: Cloud) -> None:
    """What the boot made on the host that failed is made anew on the next; what the user brought is not touched."""
    local = {"source_type": "image", "destination_type": "local", "boot_index": 0, "uuid": cloud.image}
    blank = {"source_type": "blank", "destination_type": "volume", "volume_size": 1, "delete_on_termination": True, "boot_index": -1}
    with disabled(cloud, 1, 2):
        id = cloud.boot("always-3", block_device_mapping_v2=[local, blank])
        server = cloud.settled(id)
    assert server and server["status"] == "ACTIVE" and cloud.host_of(id) is cloud.hosts[0], server
    assert [one["id"] for one in server["os-extended-volumes:volumes_attached"]] == _volumes(cloud)
    cloud.delete(id)
    cloud.gone(id)
    until(lambda: not _volumes(cloud), "its volume is gone too")


def _volumes(cloud: Cloud) -> list[str]:
    """The volumes that there are, once none of them is being made or removed."""
    def calm() -> list[Any]:
        shown = cloud.ask("demo", "volume", "GET", "/v3/volumes/detail")["volumes"]
        return [one["id"] for one in shown if one["status"] in ("creating", "deleting", "attaching")]

    until(lambda: not calm(), "the volumes are calm")
    return [one["id"] for one in cloud.ask("demo", "volume", "GET", "/v3/volumes")["volumes"]]


def test_a_brought_volume_outlives_a_boot_that_fails(cloud: Cloud) -> None:
    volume = cloud.ask("demo", "volume", "POST", "/v3/volumes", {"volume": {"size": 1}})["volume"]["id"]
    until(lambda: _volumes(cloud) == [volume], "the volume is there")
    brought = {"source_type": "volume", "destination_type": "volume", "uuid": volume, "delete_on_termination": True, "boot_index": 0}
    with disabled(cloud, 0):
        id = cloud.boot("always-4", block_device_mapping_v2=[brought], imageRef="")
        server = cloud.settled(id)
    assert server and server["status"] == "ERROR", server
    assert cloud.ask("demo", "volume", "GET", f"/v3/volumes/{volume}")["volume"]["status"] == "available"
    cloud.delete(id)
    cloud.gone(id)
    until(lambda: not _volumes(cloud), "it goes with the server, as was asked")
