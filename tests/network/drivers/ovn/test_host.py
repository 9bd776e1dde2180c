"""The real network: switches, routers and rules of OVN between namespaces that behave like guests. Needs root, OVN and Open vSwitch."""
from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec import json
from msgspec.structs import replace

from pilvi.network.drivers.interface import (
    FixedIp,
    FloatingIp,
    Network,
    Port,
    Router,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    Topology,
)
from pilvi.network.drivers.ovn.control import Ovn
from pilvi.network.drivers.ovn.host import OvnHost

pytestmark = pytest.mark.real
TUNSETIFF, TAP_WITHOUT_INFORMATION = 0x400454CA, 0x1002

# Names and addresses on the host are this process's own, so that several runs can share a machine (198.18.0.0/15 is for tests, RFC 2544).
TAG = f"pt{os.getpid() & 0xFFFF:04x}"
HERE = os.getpid() % 250
BLUE, GREEN, OUTSIDE = "b1000000-net", "9e000000-net", "ee000000-net"
CIDR, GATEWAY, ROUTER, FLOATING = (f"198.18.{HERE}.{end}" for end in ("0/24", "1", "10", "50"))
WAIT_SECONDS = 60
UNDERLAY = (f"192.168.{HERE}.1", f"192.168.{HERE}.2")


def port(name: str, network: str, number: int, ip: str, host: str = "one", owner: str = "compute:nova", device: str = "") -> Port:
    return Port(id=name, name=name, network_id=network, mac=f"fa:16:3e:aa:00:{number:02x}", fixed_ips=[FixedIp("s-" + network, ip)],
                device_owner=owner, device_id=device, host=host if owner == "compute:nova" else "", security_group_ids=["g"])


def topology(*rules: SecurityGroupRule, second_host: str = "one") -> Topology:
    return Topology(
        networks=[Network(id=BLUE, name="blue", mtu=1442), Network(id=GREEN, name="green", mtu=1442),
                  Network(id=OUTSIDE, name="outside", mtu=1500, physical_network="external")],
        subnets=[Subnet(id="s-" + BLUE, network_id=BLUE, cidr="10.71.0.0/24", gateway_ip="10.71.0.1", dhcp=True, dns_servers=["9.9.9.9"]),
                 Subnet(id="s-" + GREEN, network_id=GREEN, cidr="10.72.0.0/24", gateway_ip="10.72.0.1", dhcp=True),
                 Subnet(id="s-" + OUTSIDE, network_id=OUTSIDE, cidr=CIDR, gateway_ip=GATEWAY, dhcp=False)],
        ports=[port("p-blue", BLUE, 1, "10.71.0.11"), port("p-blue2", BLUE, 2, "10.71.0.12", second_host),
               port("p-green", GREEN, 3, "10.72.0.11"),
               port("p-rb", BLUE, 4, "10.71.0.1", owner="network:router_interface", device="r"),
               port("p-rg", GREEN, 5, "10.72.0.1", owner="network:router_interface", device="r"),
               port("p-rx", OUTSIDE, 6, ROUTER, owner="network:router_gateway", device="r"),
               port("p-meta", BLUE, 7, "10.71.0.2", owner="network:distributed", device="ovnmeta")],
        routers=[Router(id="r", name="router")],
        floating_ips=[FloatingIp(id="f", floating_ip_address=FLOATING, fixed_ip_address="10.71.0.11", port_id="p-blue", router_id="r")],
        security_groups=[SecurityGroup(id="g", name="group")],
        rules=[SecurityGroupRule(id="out", security_group_id="g", direction="egress", ethertype="IPv4"), *rules])


PING = SecurityGroupRule(id="ping", security_group_id="g", direction="ingress", ethertype="IPv4", protocol="icmp")
WEB = SecurityGroupRule(id="web", security_group_id="g", direction="ingress", ethertype="IPv4", protocol="tcp", port_min=80, port_max=80,
                        remote_group_id="g")


def command(*arguments: str) -> str:
    return subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=WAIT_SECONDS).stdout


def succeeds(*arguments: str) -> bool:
    return subprocess.run(arguments, capture_output=True, timeout=WAIT_SECONDS).returncode == 0


def eventually(true: Callable[[], object], what: str) -> None:
    limit = time.monotonic() + WAIT_SECONDS
    while not true():
        assert time.monotonic() < limit, what
        time.sleep(0.1)


class Guest:
    """A namespace with a card in the integration bridge: what a virtual machine is to the network. `inside` is the host's namespace, if
    any."""

    def __init__(self, port: Port, binding: dict[str, dict[str, str]], gateway: str, inside: str | None = None,
                 prefix: str = TAG) -> None:
        self.name, self.port = f"{prefix}{port.id}", port
        self.card = f"{prefix}{port.id[2:]}"[:15]
        self.host = ("ip", "netns", "exec", inside) if inside else ()
        details = binding["vif_details"]
        command("ip", "netns", "add", self.name)
        command("ip", "link", "add", self.card, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        if inside: command("ip", "link", "set", self.card, "netns", inside)
        command(*self.host, "ethtool", "-K", self.card, "tx", "off")
        self.run("ethtool", "-K", "eth0", "tx", "off")
        self.run("ip", "link", "set", "eth0", "address", port.mac)
        self.run("ip", "link", "set", "eth0", "up")
        command(*self.host, "ip", "link", "set", self.card, "up")
        command("ovs-vsctl", f"--db={details['ovsdb']}", "--timeout=60", "add-port", details["bridge"], self.card, "--",
                "set", "Interface", self.card, f"external_ids:iface-id={port.id}")
        self.gateway = gateway

    def address(self) -> None:
        """Set by hand what DHCP would say."""
        self.run("ip", "address", "add", f"{self.port.fixed_ips[0].ip_address}/24", "dev", "eth0")
        self.run("ip", "route", "add", "default", "via", self.gateway)
        self.run("ip", "route", "add", "169.254.169.254/32", "via", "10.71.0.2", "onlink", "dev", "eth0")

    def run(self, *arguments: str) -> str:
        return command("ip", "netns", "exec", self.name, *arguments)

    def pings(self, address: str, count: int = 1) -> bool:
        return succeeds("ip", "netns", "exec", self.name, "ping", "-c", str(count), "-W", "1", address)

    def connects(self, address: str, number: int) -> bool:
        return succeeds("ip", "netns", "exec", self.name, sys.executable, "-c",
                        f"import socket; socket.create_connection(({address!r}, {number}), 2)")

    def listen(self, number: int) -> subprocess.Popen[bytes]:
        return listen(self.name, number)

    def remove(self) -> None:
        succeeds("ip", "netns", "delete", self.name)


def listen(namespace: str, number: int, address: str = "") -> subprocess.Popen[bytes]:
    server = subprocess.Popen(
        ["ip", "netns", "exec", namespace, sys.executable, "-c", textwrap.dedent(f"""
            import socket
            server = socket.create_server(({address!r}, {number}))
            print("ready", flush=True)
            while True: server.accept()[0].close()
        """)], stdout=subprocess.PIPE)
    assert server.stdout
    server.stdout.readline()
    return server


DHCP_CLIENT = """
import socket, struct, sys
mac = bytes.fromhex(sys.argv[1].replace(":", ""))
link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
link.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
link.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
link.bind(("", 68)); link.settimeout(2)
packet = struct.pack("!BBBBIHH16s16s192s4s", 1, 1, 6, 0, 7, 0, 0x8000, b"", mac, b"", b"\\x63\\x82\\x53\\x63")
packet += bytes([53, 1, 1, 55, 5, 1, 3, 6, 26, 121, 255])
for attempt in range(10):
    link.sendto(packet, ("255.255.255.255", 67))
    try: answer = link.recv(2000)
    except TimeoutError: continue
    print(answer.hex()); break
"""


def dhcp_offer(guest: Guest) -> tuple[str, dict[int, bytes]]:
    """The address and the options that a guest is offered."""
    answer = bytes.fromhex(guest.run(sys.executable, "-c", DHCP_CLIENT, guest.port.mac))
    options, rest = {}, answer[240:]
    while rest and rest[0] != 255:
        options[rest[0]], rest = rest[2:2 + rest[1]], rest[2 + rest[1]:]
    return socket.inet_ntoa(answer[16:20]), options


@pytest.fixture(scope="module")
def ups() -> dict[str, bool]:
    return {}


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory, ups: dict[str, bool]) -> Iterator[Ovn]:
    ovn = Ovn(tmp_path_factory.mktemp("control"), cloud_id="cloud")
    ovn.start(status_changed=ups.__setitem__)
    yield ovn
    ovn.stop()


@pytest.fixture(scope="module")
def host(control: Ovn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OvnHost]:
    directory = tmp_path_factory.mktemp("host")
    before = traces_on_host(directory)
    host = OvnHost(directory / "ovn", host="one", external_cidr=CIDR, external_gateway=GATEWAY, tag=TAG)
    with held_tap("ovs-netdev"): host.start(control.facts())
    eventually(lambda: not succeeded_binding(control), "the host joins")
    yield host
    host.stop()
    assert traces_on_host(directory) == before
    assert not host.directory.exists()


@contextlib.contextmanager
def held_tap(name: str) -> Iterator[None]:
    """A device that somebody holds: a vswitchd whose agent was killed before it could rename it. No other can make a datapath then."""
    with open("/dev/net/tun", "rb+", buffering=0) as file:
        with contextlib.suppress(OSError):  # it is there already
            fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH22x", name.encode(), TAP_WITHOUT_INFORMATION))
        yield


def succeeded_binding(control: Ovn) -> bool:
    return "one" not in control._sb.chassis()


def traces_on_host(directory: Path) -> set[str]:
    """What of ours there is on the host: links, namespaces, nft tables and addresses, and processes of that directory."""
    links = [line.split(": ")[1] for line in command("ip", "-o", "link").splitlines()]
    others = [command("ip", "netns", "list"), command("nft", "list", "tables"), command("ip", "-o", "address")]
    ours = {line for text in others for line in text.splitlines() if TAG in line or f"198.18.{HERE}." in line or f"198.19.{HERE}." in line}
    processes = {line for line in command("ps", "-axww", "-o", "args").splitlines() if str(directory) in line}
    return {name for name in links if TAG in name} | ours | processes


@pytest.fixture(scope="module")
def guests(control: Ovn, host: OvnHost) -> Iterator[dict[str, Guest]]:
    ports = {port.id: port for port in topology().ports}
    control.apply(topology())
    gateways = {"p-blue": "10.71.0.1", "p-blue2": "10.71.0.1", "p-green": "10.72.0.1"}
    guests = {name: Guest(ports[name], control.binding("one", name), gateway) for name, gateway in gateways.items()}
    yield guests
    for guest in guests.values(): guest.remove()


def test_ports_come_up_when_they_are_plugged(control: Ovn, guests: dict[str, Guest], ups: dict[str, bool]) -> None:
    eventually(lambda: all(ups.get(name) for name in guests), "all three up")
    assert {name: up for name, up in control.up().items() if name in guests} == dict.fromkeys(guests, True)


def test_dhcp_offers_the_ports_address_and_the_networks_settings(guests: dict[str, Guest]) -> None:
    address, options = dhcp_offer(guests["p-blue"])
    assert address == "10.71.0.11"
    assert socket.inet_ntoa(options[3]) == "10.71.0.1" and socket.inet_ntoa(options[6]) == "9.9.9.9"
    assert struct.unpack("!H", options[26]) == (1442,)
    assert options[121] == bytes([32, 169, 254, 169, 254, 10, 71, 0, 2, 0, 10, 71, 0, 1])


def test_nothing_gets_in_until_a_rule_lets_it(control: Ovn, guests: dict[str, Guest]) -> None:
    for guest in guests.values(): guest.address()
    blue, blue2 = guests["p-blue"], guests["p-blue2"]
    server = blue2.listen(80)
    try:
        assert not blue.pings("10.71.0.12") and not blue.connects("10.71.0.12", 80)
        control.apply(topology(PING))
        eventually(lambda: blue.pings("10.71.0.12"), "ping within the network")
        assert not blue.connects("10.71.0.12", 80)
        control.apply(topology(PING, WEB))
        eventually(lambda: blue.connects("10.71.0.12", 80), "the rule opens the port")
        control.apply(topology(PING))
        eventually(lambda: not blue.connects("10.71.0.12", 80), "the port is closed again")
    finally:
        server.kill(); server.wait()


def test_routers_join_networks_and_lead_out_and_in(control: Ovn, guests: dict[str, Guest]) -> None:
    control.apply(topology(PING))
    blue, green = guests["p-blue"], guests["p-green"]
    eventually(lambda: green.pings("10.71.0.11"), "from network to network")
    eventually(lambda: green.pings(GATEWAY), "out, from the router's address")
    eventually(lambda: succeeds("ping", "-c", "1", "-W", "1", FLOATING), "in, by the floating IP")
    for guest in (blue, green): eventually(lambda guest=guest: guest.pings(FLOATING), "from inside, too")


def test_the_outside_sees_the_floating_ip_or_the_routers_address(control: Ovn, guests: dict[str, Guest]) -> None:
    control.apply(topology(PING))
    for name, address in (("p-blue", FLOATING), ("p-green", ROUTER)):
        with socket.create_server((GATEWAY, 8099)) as server:
            server.settimeout(WAIT_SECONDS)
            eventually(lambda name=name: guests[name].connects(GATEWAY, 8099), "the way out is open")
            assert server.accept()[1][0] == address


def test_a_guest_may_not_send_from_anothers_address(control: Ovn, guests: dict[str, Guest]) -> None:
    control.apply(topology(PING))
    blue = guests["p-blue"]
    blue.run("ip", "address", "add", "10.71.0.99/24", "dev", "eth0")
    try:
        assert not succeeds("ip", "netns", "exec", blue.name, "ping", "-c", "1", "-W", "1", "-I", "10.71.0.99", "10.71.0.12")
        eventually(lambda: blue.pings("10.71.0.12"), "from its own address")
    finally:
        blue.run("ip", "address", "delete", "10.71.0.99/24", "dev", "eth0")


def test_explain_names_the_rule(control: Ovn, guests: dict[str, Guest]) -> None:
    desired = topology(PING, WEB)
    control.apply(desired)
    ports = {port.id: port for port in desired.ports}
    passes = control.explain(ports["p-blue"], "10.71.0.12", "tcp", 80)
    assert (passes.passes, passes.rule_id) == (True, "web") and "p-blue2" in passes.reason
    closed = control.explain(ports["p-blue"], "10.71.0.12", "tcp", 81)
    assert (closed.passes, closed.rule_id) == (False, None) and "No ingress rule" in closed.reason and "p-blue2" in closed.reason
    assert control.explain(ports["p-green"], FLOATING, "icmp", None).rule_id == "ping"
    out = control.explain(ports["p-green"], "192.0.2.77", "udp", 53)
    assert (out.passes, out.rule_id) == (True, "out") and "outside" in out.reason
    for destination in ("10.71.0.77", "10.72.0.77", "nowhere"):
        assert not control.explain(ports["p-blue"], destination, "tcp", 80).passes


def test_metadata_is_served_on_the_guests_host(control: Ovn, host: OvnHost, guests: dict[str, Guest]) -> None:
    desired = topology(PING)
    control.apply(desired)
    metadata = next(port for port in desired.ports if port.id == "p-meta")
    path = host.serve_metadata(metadata, desired.subnets)
    assert host.serve_metadata(metadata, desired.subnets) == path and host.metadata_networks() == {BLUE}
    server = listen(Path(path).name, 80, "169.254.169.254")
    try:
        eventually(lambda: guests["p-blue"].connects("169.254.169.254", 80), "the metadata address answers")
        assert not guests["p-green"].connects("169.254.169.254", 80)
    finally:
        server.kill(); server.wait()
    host.drop_metadata(BLUE)
    host.drop_metadata(BLUE)
    assert host.metadata_networks() == set() and not Path(path).exists()


def kill(directory: Path, name: str) -> None:
    os.kill(int((directory / f"{name}.pid").read_text()), signal.SIGKILL)


def test_killed_northd_is_told_and_repaired(control: Ovn, host: OvnHost, guests: dict[str, Guest], ups: dict[str, bool]) -> None:
    assert control.health() is None and host.health() is None
    kill(control.directory, "northd")
    eventually(lambda: "northd" in (control.health() or ""), "health tells")
    control.apply(topology(PING, WEB))
    control.start(status_changed=ups.__setitem__)
    assert control.health() is None
    server = guests["p-blue2"].listen(80)
    try:
        eventually(lambda: guests["p-blue"].connects("10.71.0.12", 80), "northd made up for what it missed")
    finally:
        server.kill(); server.wait()


def test_killed_databases_come_back_with_what_they_held(control: Ovn, ups: dict[str, bool], guests: dict[str, Guest]) -> None:
    control.apply(topology(PING))
    kill(control.directory, "nb")
    kill(control.directory, "sb")
    eventually(lambda: "nb and sb" in (control.health() or ""), "health tells")
    control.start(status_changed=ups.__setitem__)
    eventually(lambda: control.health() is None, "repaired")
    assert control.apply(topology(PING)) == []
    control.apply(topology(PING, WEB))
    control.apply(topology(PING))
    eventually(lambda: guests["p-blue"].pings("10.71.0.12"), "traffic as before")


def test_traffic_goes_on_while_the_controller_is_away(control: Ovn, host: OvnHost, guests: dict[str, Guest]) -> None:
    control.apply(topology(PING))
    eventually(lambda: guests["p-blue"].pings("10.71.0.12"), "ping")
    host._daemons()[2].stop()
    assert "controller" in (host.health() or "")
    assert guests["p-blue"].pings("10.71.0.12", 3)
    host.start(control.facts())
    assert guests["p-blue"].pings("10.71.0.12", 3)
    eventually(lambda: host.health() is None, "healthy again")


def test_killed_vswitchd_is_told_and_repaired(control: Ovn, host: OvnHost, guests: dict[str, Guest]) -> None:
    control.apply(topology(PING))
    kill(host.directory, "vswitchd")
    eventually(lambda: "vswitchd" in (host.health() or ""), "health tells")
    host.start(control.facts())
    eventually(lambda: guests["p-blue"].pings("10.71.0.12"), "between guests")
    eventually(lambda: succeeds("ping", "-c", "1", "-W", "1", FLOATING), "from the host")


def test_version_6_guests_configure_themselves(control: Ovn, guests: dict[str, Guest]) -> None:
    desired, blue = topology(PING), guests["p-blue"]
    six = Subnet(id="six", network_id=BLUE, cidr="fd00:71::/64", gateway_ip="fd00:71::1", dhcp=True, ipv6_mode="slaac")
    own = {"p-blue": "fd00:71::f816:3eff:feaa:1", "p-rb": "fd00:71::1"}
    ports = [replace(port, fixed_ips=[*port.fixed_ips, FixedIp("six", own[port.id])]) if port.id in own else port for port in desired.ports]
    out = SecurityGroupRule(id="out6", security_group_id="g", direction="egress", ethertype="IPv6")
    control.apply(replace(desired, subnets=[*desired.subnets, six], ports=ports, rules=[*desired.rules, out]))
    blue.run("ip", "link", "set", "eth0", "down")
    blue.run("ip", "link", "set", "eth0", "up")
    eventually(lambda: own["p-blue"] in blue.run("ip", "-6", "address", "show", "dev", "eth0"), "the router announces the prefix")
    eventually(lambda: blue.pings(own["p-rb"]), "the router answers")
    blue.run("ip", "route", "add", "default", "via", "10.71.0.1")


def test_an_unplugged_port_goes_down(control: Ovn, host: OvnHost, guests: dict[str, Guest], ups: dict[str, bool]) -> None:
    control.apply(topology(PING))
    eventually(lambda: ups["p-green"], "up")
    host.switch.vsctl("del-port", guests["p-green"].card)
    eventually(lambda: not ups["p-green"] and not control.up()["p-green"], "down")
    verdict = control.explain(guests["p-blue"].port, "10.72.0.11", "icmp", None)
    assert not verdict.passes and "no host serves" in verdict.reason
    host.switch.vsctl("add-port", host.switch.integration, guests["p-green"].card, "--",
                      "set", "Interface", guests["p-green"].card, "external_ids:iface-id=p-green")
    eventually(lambda: ups["p-green"], "up again")


def test_a_new_control_process_adopts_what_runs(control: Ovn, host: OvnHost, guests: dict[str, Guest]) -> None:
    control.apply(topology(PING))
    before = {daemon.name: daemon.pid() for daemon in control._daemons() + host._daemons()}
    again = Ovn(control.directory, cloud_id="cloud")
    seen: dict[str, bool] = {}
    again.start(status_changed=seen.__setitem__)
    OvnHost(host.directory, host="one", external_cidr=CIDR, external_gateway=GATEWAY, tag=TAG).start(again.facts())
    try:
        assert again.apply(topology(PING)) == []
        assert {daemon.name: daemon.pid() for daemon in control._daemons() + host._daemons()} == before
        assert {name for name, up in seen.items() if up} >= set(guests)
    finally:
        again.close()


def test_a_second_host_joins_and_carries_the_same_network(tmp_path: Path) -> None:
    """Two hosts with a wire between them, mutual TLS to the southbound and geneve on the wire. The second host is a namespace."""
    second, tag = f"{TAG}h2", f"{TAG}x"[:8]
    before = traces_on_host(tmp_path)
    command("ip", "netns", "add", second)
    command("ip", "link", "add", f"{TAG}w1", "type", "veth", "peer", "name", "w2", "netns", second)
    command("ip", "address", "add", f"{UNDERLAY[0]}/24", "dev", f"{TAG}w1")
    command("ip", "link", "set", f"{TAG}w1", "up")
    for arguments in (("address", "add", f"{UNDERLAY[1]}/24", "dev", "w2"), ("link", "set", "w2", "up"), ("link", "set", "lo", "up")):
        command("ip", "-n", second, *arguments)
    command("ip", "netns", "exec", second, "ethtool", "-K", "w2", "tx", "off")
    control = Ovn(tmp_path / "control", cloud_id="pair", listen=f"{UNDERLAY[0]}:16642")
    # Another external network than that of the first cloud, whose host is this machine too.
    cidr, gateway = CIDR.replace("198.18", "198.19"), GATEWAY.replace("198.18", "198.19")
    one = OvnHost(tmp_path / "one", host="one", external_cidr=cidr, external_gateway=gateway, tag=tag, tunnel_ip=UNDERLAY[0])
    guests: list[Guest] = []
    try:
        control.start(status_changed=lambda port_id, up: None)
        one.start(control.facts())
        (tmp_path / "facts.json").write_bytes(json.encode(control.facts()))
        in_second(second, tmp_path, tag, "start(json.loads(pathlib.Path(sys.argv[1], 'facts.json').read_text()))")
        eventually(lambda: set(control._sb.chassis()) == {"one", "two"}, "both joined")
        desired = json.decode(json.encode(topology(PING, second_host="two")).replace(b"198.18.", b"198.19."), type=Topology)
        control.apply(desired)
        ports = {port.id: port for port in desired.ports}
        guests.append(Guest(ports["p-blue"], control.binding("one", "p-blue"), "10.71.0.1", prefix=tag))
        guests.append(Guest(ports["p-blue2"], control.binding("two", "p-blue2"), "10.71.0.1", inside=second, prefix=tag))
        for guest in guests: guest.address()
        eventually(lambda: control.up()["p-blue2"], "up on the second host")
        eventually(lambda: guests[0].pings("10.71.0.12"), "from host to host")
        eventually(lambda: guests[1].pings(gateway), "out by the first host's gateway")
        kill(one.directory, "vswitchd")
        one.start(control.facts())
        eventually(lambda: guests[0].pings("10.71.0.12"), "from host to host again")
    finally:
        for guest in guests: guest.remove()
        in_second(second, tmp_path, tag, "stop()")
        one.stop()
        control.stop()
        wire = json.decode(command("ip", "-j", "address", "show", "dev", f"{TAG}w1"))[0]
        command("ip", "link", "delete", f"{TAG}w1")
        command("ip", "netns", "delete", second)
    assert [entry["local"] for entry in wire["addr_info"] if entry["family"] == "inet"] == [UNDERLAY[0]]
    assert traces_on_host(tmp_path) == before


def in_second(namespace: str, directory: Path, tag: str, call: str) -> None:
    """Call a method of the second host's network in its namespace (nsenter keeps the mounts, as a real host's agent has them)."""
    code = textwrap.dedent(f"""
        import json, pathlib, sys
        from pilvi.network.drivers.ovn.host import OvnHost
        host = OvnHost(pathlib.Path(sys.argv[1], "two"), host="two", external_cidr=None, external_gateway=None, tag={tag!r},
                       tunnel_ip={UNDERLAY[1]!r})
        host.{call}
    """)
    done = subprocess.run(["nsenter", f"--net=/run/netns/{namespace}", sys.executable, "-c", code, str(directory)],
                          capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, timeout=120)
    assert done.returncode == 0, done.stderr


def test_gateway_hosts_follow_those_that_reach_the_outside(control: Ovn, host: OvnHost) -> None:
    control.apply(topology())
    inner = [replace(network, physical_network=None) for network in topology().networks]
    lines = control.apply(replace(topology(), networks=inner))
    assert "delete Gateway_Chassis p-rx/one" in lines
    assert "create Gateway_Chassis p-rx/one" in control.apply(topology())
