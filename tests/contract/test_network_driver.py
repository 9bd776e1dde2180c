"""What every network backend does, in both halves. `ovn` is the real one: its daemons run, and its host half needs root."""
from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from pilvi.network.drivers import BACKENDS, HOST_BACKENDS
from pilvi.network.drivers.interface import (
    Backend,
    FixedIp,
    FloatingIp,
    HostBackend,
    Network,
    NetworkFailure,
    Port,
    Router,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    Topology,
)

KINDS = [pytest.param(name, marks=pytest.mark.real if name == "ovn" else ()) for name in sorted(BACKENDS)]
WAIT_SECONDS = 60
# Addresses on the host are this run's own, so that several runs can share a machine (198.18.0.0/15 is for tests, RFC 2544); all workers of
# one run must collect the same tests, and addresses are part of their names.
HERE = zlib.crc32(os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid())).encode()) % 250
CIDR, GATEWAY, ROUTER, FLOATING = (f"198.19.{HERE}.{end}" for end in ("0/24", "1", "10", "50"))


def port(name: str, network: str, number: int, ip: str, **more: object) -> Port:
    return Port(**{  # type: ignore[arg-type]
        "id": name, "name": name, "network_id": network, "mac": f"fa:16:3e:cc:00:{number:02x}", "device_id": "r",
        "fixed_ips": [FixedIp("s-" + network, ip)], "device_owner": "compute:nova", "security_group_ids": ["g"], **more})


def rule(name: str, **more: object) -> SecurityGroupRule:
    return SecurityGroupRule(**{  # type: ignore[arg-type]
        "id": name, "security_group_id": "g", "direction": "ingress", "ethertype": "IPv4", **more})


METADATA = port("meta", "blue0000", 9, "10.81.0.2", device_owner="network:distributed", security_group_ids=[])
INTERFACE, GATEWAY_OWNER = "network:router_interface", "network:router_gateway"
TOPOLOGY = Topology(
    networks=[Network(id="blue0000", name="blue", mtu=1442), Network(id="green000", name="green", mtu=1442),
              Network(id="outside0", name="outside", mtu=1500, physical_network="external")],
    subnets=[Subnet(id="s-blue0000", network_id="blue0000", cidr="10.81.0.0/24", gateway_ip="10.81.0.1", dhcp=True),
             Subnet(id="s-green000", network_id="green000", cidr="10.82.0.0/24", gateway_ip="10.82.0.1", dhcp=True),
             Subnet(id="s-outside0", network_id="outside0", cidr=CIDR, gateway_ip=GATEWAY, dhcp=False)],
    ports=[port("a", "blue0000", 1, "10.81.0.11"), port("b", "blue0000", 2, "10.81.0.12"), port("c", "green000", 3, "10.82.0.11"),
           port("bare", "blue0000", 4, "10.81.0.14", security_group_ids=[]),
           port("open", "blue0000", 8, "10.81.0.18", port_security=False), METADATA,
           port("ra", "blue0000", 5, "10.81.0.1", device_owner=INTERFACE), port("rc", "green000", 6, "10.82.0.1", device_owner=INTERFACE),
           port("rx", "outside0", 7, ROUTER, device_owner=GATEWAY_OWNER)],
    routers=[Router(id="r", name="router")], security_groups=[SecurityGroup(id="g", name="group")],
    floating_ips=[FloatingIp(id="f", floating_ip_address=FLOATING, fixed_ip_address="10.81.0.11", port_id="a", router_id="r")],
    rules=[rule("out", direction="egress"), rule("web", protocol="tcp", port_min=80, port_max=89, remote_group_id="g"),
           rule("ping", protocol="icmp"), rule("dns", protocol="udp", port_min=53, port_max=53, remote_cidr="10.82.0.0/24")])


def eventually(true: Callable[[], object], what: str) -> None:
    limit = time.monotonic() + WAIT_SECONDS
    while not true():
        assert time.monotonic() < limit, what
        time.sleep(0.05)


def joined(backend: Backend) -> bool:
    try:
        return bool(backend.binding("one", "a"))
    except NetworkFailure:
        return False


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def backend(kind: str, tmp_path: Path) -> Iterator[Backend]:
    backend = BACKENDS[kind](tmp_path / "control", cloud_id="cloud", listen=None)
    backend.start(status_changed=lambda port_id, up: None)
    yield backend
    backend.stop()


@pytest.fixture
def host(kind: str, backend: Backend, tmp_path: Path) -> Iterator[HostBackend]:
    tag = f"c{os.getpid() & 0xFFFFFF:06x}"
    host = HOST_BACKENDS[kind](tmp_path / "host", host="one", external_cidr=CIDR, external_gateway=GATEWAY, tag=tag, tunnel_ip=None)
    host.start(backend.facts())
    yield host
    host.stop()


def test_applying_twice_does_it_once(backend: Backend) -> None:
    assert backend.apply(TOPOLOGY)
    assert backend.apply(TOPOLOGY) == []
    smaller = replace(TOPOLOGY, ports=TOPOLOGY.ports[1:], floating_ips=[])
    assert any("a" in line.split() for line in backend.apply(smaller))
    assert "a" not in backend.up()
    assert backend.apply(TOPOLOGY) and backend.apply(TOPOLOGY) == []
    assert backend.apply(Topology())


def test_every_port_is_known_and_none_is_up_before_it_is_served(backend: Backend) -> None:
    backend.apply(TOPOLOGY)
    up = backend.up()
    assert set(up) == {port.id for port in TOPOLOGY.ports}
    assert not any(up[name] for name in "abc")


def test_router_ports_are_reported_up(kind: str, tmp_path: Path) -> None:
    backend, seen = BACKENDS[kind](tmp_path / "control", cloud_id="cloud", listen=None), {}  # type: ignore[var-annotated]
    backend.start(status_changed=seen.__setitem__)
    try:
        backend.apply(TOPOLOGY)
        eventually(lambda: seen.get("ra") and backend.up()["ra"], "the router's port is up")
        assert "a" not in seen
    finally:
        backend.stop()


def test_starting_again_repairs_and_forgets_nothing(backend: Backend) -> None:
    backend.apply(TOPOLOGY)
    backend.start(status_changed=lambda port_id, up: None)
    assert backend.health() is None
    assert backend.apply(TOPOLOGY) == []


def test_a_stopped_backend_says_so(kind: str, tmp_path: Path) -> None:
    backend = BACKENDS[kind](tmp_path / "control", cloud_id="cloud", listen=None)
    assert backend.health()
    with pytest.raises(NetworkFailure): backend.apply(TOPOLOGY)
    backend.start(status_changed=lambda port_id, up: None)
    assert backend.health() is None
    backend.stop()
    assert backend.health()


@pytest.mark.parametrize(("source", "destination", "protocol", "number", "rule_id"), [
    ("a", "10.81.0.77", "tcp", 80, None),
    ("a", "10.82.0.77", "tcp", 80, None),
    ("a", "nonsense", "tcp", 80, None),
    ("a", "fd00::9", "tcp", 80, None),
    ("a", "10.81.0.12", "tcp", 22, None),
    ("a", "10.81.0.12", "udp", 53, None),
    ("bare", "10.81.0.12", "icmp", None, None),
    ("c", "10.81.0.14", "icmp", None, None),
    ("a", "192.0.2.1", "tcp", 443, "out"),
    ("a", "10.81.0.2", "tcp", 80, "out"),
])
def test_a_packet_is_explained(
        backend: Backend, host: HostBackend, source: str, destination: str, protocol: str, number: int | None, rule_id: str | None) -> None:
    eventually(lambda: joined(backend), "the host joins")
    backend.apply(TOPOLOGY)
    verdict = backend.explain(next(port for port in TOPOLOGY.ports if port.id == source), destination, protocol, number)
    assert (verdict.passes, verdict.rule_id) == (rule_id is not None, rule_id), verdict.reason
    assert verdict.reason.endswith(".") and "\n" not in verdict.reason


@pytest.mark.parametrize(("source", "destination", "protocol", "number", "rule_id"), [
    ("a", "10.81.0.12", "tcp", 80, "web"), ("a", "10.82.0.11", "tcp", 85, "web"), ("c", FLOATING, "icmp", None, "ping"),
    ("c", "10.81.0.12", "udp", 53, "dns"), ("a", "10.81.0.18", "tcp", 9, "out"),
])
def test_a_packet_to_a_guest_that_no_host_serves_does_not_arrive(
        backend: Backend, host: HostBackend, source: str, destination: str, protocol: str, number: int | None, rule_id: str) -> None:
    eventually(lambda: joined(backend), "the host joins")
    backend.apply(TOPOLOGY)
    verdict = backend.explain(next(port for port in TOPOLOGY.ports if port.id == source), destination, protocol, number)
    assert (verdict.passes, verdict.rule_id) == (False, rule_id) and "no host serves" in verdict.reason, verdict.reason


def test_a_binding_says_how_to_plug(backend: Backend, host: HostBackend) -> None:
    eventually(lambda: joined(backend), "the host joins")
    binding = backend.binding("one", "a")
    assert binding["vif_type"] and isinstance(binding["vif_details"], dict)


def test_metadata_comes_and_goes(host: HostBackend) -> None:
    assert host.metadata_networks() == set()
    place = host.serve_metadata(METADATA, TOPOLOGY.subnets)
    assert host.serve_metadata(METADATA, TOPOLOGY.subnets) == place
    assert host.metadata_networks() == {"blue0000"}
    host.drop_metadata("blue0000")
    host.drop_metadata("blue0000")
    assert host.metadata_networks() == set()


def test_a_hosts_network_starts_twice_and_stops_twice(backend: Backend, host: HostBackend) -> None:
    host.start(backend.facts())
    eventually(lambda: host.health() is None, "healthy")
    host.serve_metadata(METADATA, TOPOLOGY.subnets)
    host.stop()
    assert host.health()
    host.stop()
    host.start(backend.facts())
    assert host.metadata_networks() == set()
