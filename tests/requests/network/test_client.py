"""What compute and agents call, against the service itself in the same process."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pilvi.core import errors
from pilvi.core.context import Call
from pilvi.core.http.client import TRANSPORTS, connect
from pilvi.core.http.inprocess import InProcess
from pilvi.network import client

World = Any


@pytest.fixture
def call(world: World) -> Iterator[Call]:
    """A caller of project p1."""
    connect("network", InProcess(world.application, "http://cloud/network"))
    yield Call(token="member@p1")
    del TRANSPORTS["network"]


def test_the_way_of_a_servers_port(world: World, call: Call) -> None:
    network, subnet = world.lan()
    assert [found["id"] for found in client.list_networks(call)] == [network["id"]]
    assert client.show_network(call, network["id"])["subnets"] == [subnet["id"]]
    assert client.list_subnets(call, network_id=network["id"])[0]["cidr"] == "10.0.0.0/24"
    port = client.create_port(call, {"network_id": network["id"], "device_id": "vm"})
    assert [found["id"] for found in client.list_ports(call, device_id="vm")] == [port["id"]]
    assert client.update_port(call, port["id"], {"name": "eth0"})["name"] == client.show_port(call, port["id"])["name"] == "eth0"
    assert client.list_security_groups(call, name="default")[0]["id"] == port["security_groups"][0]
    assert client.list_floating_ips(call, port_id=port["id"]) == []
    client.delete_port(call, port["id"])
    client.delete_port(call, port["id"])
    with pytest.raises(errors.NotFound): client.show_port(call, port["id"])
    with pytest.raises(errors.NotFound): client.create_port(call, {"network_id": "0" * 32})
