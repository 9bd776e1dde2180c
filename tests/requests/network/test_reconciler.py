"""The backend follows the rows, and statuses follow the backend."""
from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from pilvi.core import reconcile
from pilvi.network import topology

World = Any
PATIENCE_SECONDS = 40.0


def eventually(holds: Callable[[], Any]) -> None:
    """Waits for something that a loop does soon."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.02)


def status(world: World, port: dict[str, Any]) -> str:
    found: str = world.ask("admin@p0", "GET", f"/ports/{port['id']}")[1]["port"]["status"]
    return found


def test_every_commit_reaches_the_backend(world: World) -> None:
    network, _ = world.lan()
    port = world.make("port", network_id=network["id"], allowed_address_pairs=[{"ip_address": "10.0.0.99"}],
                      extra_dhcp_opts=[{"opt_name": "mtu", "opt_value": "1400"}])
    eventually(lambda: any(found.id == port["id"] for found in world.backend.topology.ports))
    found = next(found for found in world.backend.topology.ports if found.id == port["id"])
    assert found.fixed_ips[0].ip_address == "10.0.0.3" and found.security_group_ids == port["security_groups"]
    assert found.allowed_address_pairs == [("10.0.0.99", port["mac_address"])] and found.dhcp_options == {"mtu": "1400"}
    world.ask("member@p1", "DELETE", f"/ports/{port['id']}")
    eventually(lambda: all(found.id != port["id"] for found in world.backend.topology.ports))


def test_a_refused_request_is_no_reason_to_work(world: World) -> None:
    world.make("network")
    loop = world.application.state["network_reconciler"]
    eventually(lambda: world.backend.applied and loop._applied == loop._changes)
    before = world.backend.applied
    assert world.ask("member@p1", "POST", "/networks", {"network": {"mtu": 9000}})[0] == 400
    world.ask("member@p1", "GET", "/networks")
    time.sleep(0.2)
    assert world.backend.applied == before


def test_the_topology_is_what_the_rows_say(world: World) -> None:
    outside = world.outside()
    network, subnet = world.lan(dns_nameservers=["9.9.9.9"], host_routes=[{"destination": "10.9.0.0/16", "nexthop": "10.0.0.5"}])
    router = world.make("router", "admin@p0", project_id="p1", external_gateway_info={"network_id": outside["id"], "enable_snat": False})
    world.ask("member@p1", "PUT", f"/routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]})
    port = world.make("port", network_id=network["id"])
    floating = world.make("floatingip", floating_network_id=outside["id"], port_id=port["id"])
    world.make("floatingip", floating_network_id=outside["id"])
    with world.application.database.read() as db: built = topology.build(db, ["8.8.8.8"])
    networks = {one.id: (one.physical_network, one.mtu) for one in built.networks}
    assert networks == {outside["id"]: ("external", 1500), network["id"]: (None, 1442)}
    inner = next(one for one in built.subnets if one.id == subnet["id"])
    assert inner.dns_servers == ["9.9.9.9"] and inner.host_routes == [("10.9.0.0/16", "10.0.0.5")] and inner.dhcp
    assert next(one for one in built.subnets if one.id != subnet["id"]).dns_servers == ["8.8.8.8"]
    assert [(one.id, one.snat) for one in built.routers] == [(router["id"], False)]
    assert [(one.id, one.fixed_ip_address, one.router_id) for one in built.floating_ips] == [(floating["id"], "10.0.0.3", router["id"])]
    owners = sorted(one.device_owner for one in built.ports)
    assert owners == ["", "network:distributed", "network:router_gateway", "network:router_interface"]
    assert len(built.rules) >= 4 and {rule.security_group_id for rule in built.rules} == {group.id for group in built.security_groups}


def test_ports_follow_what_the_backend_reports(world: World) -> None:
    network, _ = world.lan()
    port = world.make("port", network_id=network["id"])
    world.ask("admin@p0", "PUT", f"/ports/{port['id']}", {"port": {"binding:host_id": "h1"}})
    eventually(lambda: world.backend.tell)
    world.backend.tell(port["id"], True)
    world.backend.tell("a port that is gone", True)
    eventually(lambda: status(world, port) == "ACTIVE")
    moved = world.ask("admin@p0", "PUT", f"/ports/{port['id']}", {"port": {"binding:host_id": "h2"}})[1]["port"]
    assert moved["status"] == "DOWN"
    world.backend.tell(port["id"], True)
    eventually(lambda: status(world, port) == "ACTIVE")
    world.backend.tell(port["id"], False)
    eventually(lambda: status(world, port) == "DOWN")


def test_a_port_that_is_let_go_and_bound_again_is_up_at_once(simulated_world: World) -> None:
    world, (network, _) = simulated_world, simulated_world.lan()
    port = world.make("port", network_id=network["id"])
    for host in ("h1", "", "h1", "", "h1"):  # (several times: each may meet a turn between its two commits)
        world.ask("admin@p0", "PUT", f"/ports/{port['id']}", {"port": {"binding:host_id": host}})
        if host: eventually(lambda: status(world, port) == "ACTIVE")
    eventually(lambda: status(world, port) == "ACTIVE")  # long before the minute in which statuses are compared


def test_a_backend_that_fails_is_tried_again(world: World) -> None:
    loop = world.application.state["network_reconciler"]
    world.backend.failing = "the database is away"
    network = world.make("network")
    eventually(lambda: loop.problem == "the database is away")
    world.backend.failing = None
    eventually(lambda: loop.problem is None)
    assert [one.id for one in world.backend.topology.networks] == [network["id"]]


def test_what_a_periodic_turn_repairs_is_counted(world: World) -> None:
    loop = world.application.state["network_reconciler"]
    network, _ = world.lan()
    port = world.make("port", network_id=network["id"])
    eventually(lambda: world.backend.topology.ports and loop._applied == loop._changes)
    time.sleep(0.1)
    before = reconcile.REPAIRS["network.backend"], reconcile.REPAIRS["network.port status"]
    world.backend.topology = type(world.backend.topology)()  # somebody emptied it
    world.backend.ups = {port["id"]: True}
    loop._applied_at = float("-inf")
    loop.turn()
    assert (reconcile.REPAIRS["network.backend"], reconcile.REPAIRS["network.port status"]) == (before[0] + 1, before[1] + 1)
    assert status(world, port) == "ACTIVE"


def test_stopping_lets_go_of_the_backend(world: World) -> None:
    world.application.state["network_reconciler"].stop()
    assert world.backend.closed
    world.application.service.start(world.application)
