"""A second machine joins a cloud: real guests on both, one tenant network over the tunnel, floating IPs to either. Two to four minutes."""
from __future__ import annotations

import json
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.outside.clouds import wait
from tests.outside.hosts import Machine, wire

from pilvi.image.guest.build import build

pytestmark = [pytest.mark.real, pytest.mark.slow]
DEVICES = {"lo", "lan", "tun"}


@pytest.fixture
def machines() -> Iterator[tuple[Machine, Machine]]:
    if not shutil.which("nats-server"): pytest.skip("nats-server is not installed")
    base = Path(tempfile.mkdtemp(prefix="pilvi-hosts-", dir="/var/tmp"))
    base.chmod(0o755)
    one, two = Machine(1, base / "one"), Machine(2, base / "two")
    wire(one, two)
    (base / "nats.conf").write_text(f'listen: "{one.address}:4222"\nmax_payload: 8500000\n')
    broker = one.start("nats-server", "-c", base / "nats.conf")
    try: yield one, two
    finally:
        for machine in (two, one):
            if (machine.state / "cloud.json").exists(): machine.pilvi("down")
        broker.send_signal(signal.SIGTERM)
        broker.wait(30)
        for machine in (two, one): machine.remove()
        shutil.rmtree(base)


def test_a_second_machine_joins(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    # Here, since the machines of the test do not reach Debian.
    build(one.state / "guest", cache_dir=one.state / "guest" / "packages", progress=print)
    one.pilvi("up", "--privileged-control", "--listen", f"{one.address}:5000", "--bus-url", f"nats://{one.address}:4222",
              "--network-listen", f"{one.address}:6642", "--tunnel-address", one.tunnel)
    ticket = two.state.parent / "second.json"
    one.pilvi("host", "add", "second", "--to", str(ticket))
    assert ticket.stat().st_mode & 0o777 == 0o600
    two.pilvi("agent", "--join", str(ticket), "--tunnel-address", two.tunnel)
    _wait_for_host(one, "second")

    one.openstack("pilvi", "role", "add", "--user", "admin", "--project", "demo", "admin")
    network = one.openstack("pilvi-demo", "network", "list", "--internal", "-f", "value", "-c", "ID").splitlines()[0]
    _give_key(one)
    made = one.openstack("pilvi", "server", "create", "--flavor", "m1.nano", "--image", "pilvi-guest", "--network", network, "--key-name",
                         "second", "--security-group", "ssh-and-ping", "--host", "second", "--wait", "second", "-f", "json",
                         project="demo")
    second = json.loads(made)
    assert (second["status"], second["OS-EXT-SRV-ATTR:host"]) == ("ACTIVE", "second")
    hello = json.loads(one.openstack("pilvi", "server", "show", "hello", "-f", "json", project="demo"))
    assert hello["OS-EXT-SRV-ATTR:host"] != "second"

    outside = one.openstack("pilvi-demo", "floating", "ip", "create", "public", "-f", "value", "-c", "floating_ip_address")
    one.openstack("pilvi-demo", "server", "add", "floating", "ip", "second", outside)
    key = one.state / "hello.key"
    inside = second["addresses"]["private"][0]
    assert one.ssh(key, outside, "hostname").strip() == "second"
    first = _floating_of(hello)
    assert one.ssh(key, first, "hostname").strip() == "hello"
    wait(lambda: " 0% packet loss" in one.ssh(key, first, f"ping -c 3 {inside} || true"), "from guest to guest over the tunnel")

    one.openstack("pilvi-demo", "server", "delete", "--wait", "second")
    two.pilvi("down")
    assert two.links() == DEVICES
    assert two.tunnel in two.run("ip", "-4", "address", "show", "dev", "tun")


def _give_key(machine: Machine) -> None:
    """Key pairs belong to users: the administrator, who boots the second server, needs the key too."""
    public = machine.run("ssh-keygen", "-y", "-f", machine.state / "hello.key")
    (machine.state / "hello.pub").write_text(public)
    machine.openstack("pilvi", "keypair", "create", "--public-key", f"{machine.state}/hello.pub", "second")


def _floating_of(server: dict[str, dict[str, list[str]]]) -> str:
    return server["addresses"]["private"][-1]


def _wait_for_host(machine: Machine, name: str) -> None:
    words = ("hypervisor", "list", "-f", "value", "-c", "Hypervisor Hostname", "-c", "State")
    wait(lambda: f"{name} up" in machine.openstack("pilvi", *words), f"host {name} joins")
